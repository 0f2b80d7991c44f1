import type { Activity, Site, Sources } from "./api";
import { bytes, count, percent } from "./format";
import { Ranking } from "./ranking";
import { rates } from "./rates";
import { SourceBar } from "./source-bar";
import { TimeChart } from "./time-chart";

/** One site's figures. */
export function SitePage({ site, activity }: { site: Site; activity: Activity }) {
  const { traffic, met, failed, crowd, holders } = activity;
  const over = rates(activity.samples);
  const mesh = traffic.bytes.cache + traffic.bytes.peers + traffic.bytes.supernode;
  const all = sum(traffic.bytes);
  const failures = Object.values(failed).reduce((total, times) => total + times, 0);
  const of = (event: string) =>
    added(
      activity.notes.filter((note) => note.event === event).map(({ reason, count }) => [reason ?? "unknown", count]),
    );
  const last = over.at(-1);

  return (
    <>
      {all === 0 && crowd === 0 && <Empty site={site} />}
      <section class="figures" aria-label="Now">
        <Figure
          name="Offload"
          value={percent(mesh, all)}
          note={`${bytes(mesh)} of ${bytes(all)} not from the origin`}
        />
        <Figure name="In the swarm" value={count(crowd)} note={`${count(holders)} hold something and share it`} />
        <Figure
          name="Channels opened"
          value={percent(met, met + failures)}
          note={`${count(activity.introductions)} introductions, ${count(activity.signals)} signals`}
        />
        <Figure
          name="Admitted"
          value={count(activity.assets)}
          note={`${count(activity.admissions)} admissions so far`}
        />
      </section>

      <section class="wide">
        <h2>What answered, the last hour</h2>
        <TimeChart
          label="Bytes a second by source"
          at={over.map(({ at }) => at)}
          bands={[
            { name: "origin", values: over.map(({ origin }) => origin) },
            { name: "supernode", values: over.map(({ supernode }) => supernode) },
            { name: "peers", values: over.map(({ peers }) => peers) },
            { name: "cache", values: over.map(({ cache }) => cache) },
          ]}
          show={(value) => `${bytes(value)}/s`}
        />
        <SourceBar sources={traffic.bytes} now={last} />
      </section>

      <section>
        <h2>Swarm, the last hour</h2>
        <TimeChart
          label="Peers in the swarm"
          at={over.map(({ at }) => at)}
          bands={[{ name: "crowd", values: over.map(({ crowd }) => crowd) }]}
          show={count}
        />
      </section>
      <Ranking title="Left to the origin, because" counts={of("fallback")} none="Nothing was left to the origin." />
      <Ranking title="Channels that did not open" counts={failed} none="Every channel opened." />
      <Ranking title="Not admitted" counts={activity.refusals} none="Nothing was refused." />
      <Ranking
        title="Errors and faults"
        counts={added([...Object.entries(of("error")), ...Object.entries(activity.faults)])}
        none="No client has reported an error."
      />
      {Object.keys(activity.countries).length > 0 && (
        <Ranking title="Reports by country" counts={activity.countries} none="" />
      )}
    </>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div class="figure">
      <h2>{name}</h2>
      <output>{value}</output>
      <p>{note}</p>
    </div>
  );
}

/** What to do when nobody has come yet. */
function Empty({ site }: { site: Site }) {
  return (
    <section class="notice">
      <h2>No visitor yet</h2>
      {site.upstream ? (
        <p>
          Open <a href={site.origins[0]}>{site.origins[0]}</a>: the node passes on {site.upstream} and adds the client
          to its pages. Figures appear here within seconds.
        </p>
      ) : (
        <p>
          Add <code>{`<script async src="${location.origin}/edgeweave.js" data-site="${site.id}"></script>`}</code> to
          the pages of {site.origins.join(", ")}, and a worker file; docs/site.md has both.
        </p>
      )}
    </section>
  );
}

/** Counts by name, those of one name added up. */
function added(counts: [string, number][]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, times] of counts) sums[name] = (sums[name] ?? 0) + times;
  return sums;
}

function sum({ cache, peers, supernode, origin }: Sources): number {
  return cache + peers + supernode + origin;
}
