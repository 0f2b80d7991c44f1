import { count, words } from "./format";

/** Rows that are shown; the rest is summed up. */
const ROWS = 6;

/** Counts by reason, the most frequent first. */
export function Ranking({ title, counts, none }: { title: string; counts: Record<string, number>; none: string }) {
  const ranked = Object.entries(counts)
    .filter(([, times]) => times > 0)
    .sort(([, a], [, b]) => b - a);
  const most = ranked[0]?.[1] ?? 1;
  const rest = ranked.slice(ROWS).reduce((total, [, times]) => total + times, 0);
  return (
    <section>
      <h2>{title}</h2>
      {ranked.length === 0 && <p class="none">{none}</p>}
      <table>
        <tbody>
          {ranked.slice(0, ROWS).map(([name, times]) => (
            <tr key={name}>
              <th scope="row">{words(name)}</th>
              <td class="bar" aria-hidden="true">
                <meter min={0} max={most} value={times} />
              </td>
              <td>{count(times)}</td>
            </tr>
          ))}
          {rest > 0 && (
            <tr class="rest">
              <th scope="row">others</th>
              <td />
              <td>{count(rest)}</td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
