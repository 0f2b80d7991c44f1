import { useEffect, useState } from "preact/hooks";
import { type Activity, ask, rememberToken, type Sample, type Site, TokenWanted } from "./api";
import { SitePage } from "./site-page";

/** How often the node is asked, in milliseconds; it takes a sample as often. */
const EVERY_MS = 5_000;

/** Samples that are drawn: an hour's. */
const SAMPLES_MOST = 720;

/** What is known of the node. */
type Known = { state: "asking" | "token" } | { state: "failed"; why: string } | { state: "live"; activity: Activity };

/** Everything on the page. */
export function Dashboard() {
  const [sites, setSites] = useState<Site[]>([]);
  const [chosen, choose] = useState<string>();
  const [known, setKnown] = useState<Known>({ state: "asking" });
  const [attempt, again] = useState(0);

  useEffect(() => {
    const over = new AbortController();
    let samples: Sample[] = [];
    async function look(): Promise<void> {
      try {
        const found = (await ask<{ sites: Site[] }>("sites")).sites;
        const site = found.find(({ id }) => id === chosen) ?? found[0];
        if (!site) throw new Error("this node has no site; see docs/node.md#configuration");
        const since = samples.at(-1)?.at_ms ?? 0;
        const activity = await ask<Activity>(`sites/${encodeURIComponent(site.id)}/activity?since=${since}`);
        samples = [...samples, ...activity.samples].slice(-SAMPLES_MOST);
        activity.samples = samples;
        if (over.signal.aborted) return;
        setSites(found);
        setKnown({ state: "live", activity });
      } catch (error) {
        if (over.signal.aborted) return;
        if (error instanceof TokenWanted) return setKnown({ state: "token" });
        setKnown({ state: "failed", why: error instanceof Error ? error.message : String(error) });
      }
      timer = setTimeout(look, EVERY_MS);
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    void look();
    return () => {
      over.abort();
      clearTimeout(timer);
    };
  }, [chosen, attempt]);

  const site = sites.find(({ id }) => id === chosen) ?? sites[0];
  return (
    <>
      <header>
        <h1>Edgeweave</h1>
        {sites.length > 1 && (
          <select aria-label="Site" value={site?.id} onChange={({ currentTarget }) => choose(currentTarget.value)}>
            {sites.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        )}
        {sites.length === 1 && <span class="site">{site?.id}</span>}
        <output class={`pulse ${known.state}`}>
          {{ asking: "asking the node", token: "locked", failed: "no answer", live: "live" }[known.state]}
        </output>
      </header>
      <main>
        {known.state === "token" && (
          <TokenForm
            given={(token) => {
              rememberToken(token);
              again(attempt + 1);
            }}
          />
        )}
        {known.state === "failed" && (
          <section class="notice">
            <h2>The node does not answer</h2>
            <p>{known.why}</p>
          </section>
        )}
        {known.state === "live" && site && <SitePage site={site} activity={known.activity} />}
      </main>
    </>
  );
}

/** Asks the operator for the API's token. */
function TokenForm({ given }: { given: (token: string) => void }) {
  const [token, setToken] = useState("");
  return (
    <form
      class="notice"
      onSubmit={(event) => {
        event.preventDefault();
        given(token);
      }}
    >
      <h2>This node wants its token</h2>
      <label>
        The one that it was given with <code>--api-token</code>. It is kept until this tab is closed.
        <input
          type="password"
          autocomplete="off"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>
      <button type="submit">Show the dashboard</button>
    </form>
  );
}
