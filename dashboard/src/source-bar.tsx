import type { Sources } from "./api";
import { bytes, percent } from "./format";
import type { Rate } from "./rates";

const NAMES = {
  cache: "own secondary cache",
  peers: "other visitors",
  supernode: "supernode",
  origin: "origin",
} as const;

/** What answered so far, source by source; the key to the chart's colours at the same time. */
export function SourceBar({ sources, now }: { sources: Sources; now: Rate | undefined }) {
  const all = sources.cache + sources.peers + sources.supernode + sources.origin;
  return (
    <dl class="sources">
      {(["cache", "peers", "supernode", "origin"] as const).map((source) => (
        <div key={source}>
          <dt class={source}>{NAMES[source]}</dt>
          <dd>
            <b>{percent(sources[source], all)}</b> {bytes(sources[source])}
            {now && now[source] > 0 ? <span>now {bytes(now[source])}/s</span> : null}
          </dd>
        </div>
      ))}
    </dl>
  );
}
