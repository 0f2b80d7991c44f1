import type { Edgeweave } from "../src/api";
import type { Stats } from "../src/generated/Stats";
import { digestsOf, PATIENCE_MS } from "./harness";

/** How often something that is waited for is looked at, in milliseconds. */
const POLL_MS = 50;

/** A visitor who is told where to go, and asked what the page says. */
export interface SimpleVisitor {
  /** Runs a function in the page, and returns what it returns. */
  evaluate<R, A = undefined>(run: (arg: A) => R | Promise<R>, arg?: A): Promise<R>;
  /** Goes to a page, and waits until it is loaded. */
  go(url: string): Promise<void>;
  /** The client's figures. */
  stats(): Promise<Stats>;
  /** Waits until the client's figures are as they should be. */
  until(what: string, condition: (stats: Stats) => boolean): Promise<Stats>;
  /** Waits until the worker controls the page, and the client has a session. */
  settle(): Promise<void>;
  /** The digests of what the page gets for each path. */
  bodies(paths: string[]): Promise<string[]>;
  leave(): Promise<void>;
}

/** The same, by what a browser can be told. */
export function simpleVisitor(browser: Pick<SimpleVisitor, "evaluate" | "go" | "leave">): SimpleVisitor {
  const visitor: SimpleVisitor = {
    ...browser,
    stats: () => visitor.evaluate(figures).then((stats) => stats ?? Promise.reject(new Error("there is no client"))),
    until: (what, condition) =>
      eventually(what, async () => {
        // The snippet is loaded at the browser's convenience.
        const stats = await visitor.evaluate(figures);
        return stats && condition(stats) && stats;
      }),
    async settle() {
      await eventually("controlled", () => visitor.evaluate(() => navigator.serviceWorker.controller !== null));
      await visitor.until("connected", (stats) => stats.connected);
    },
    bodies: (paths) => visitor.evaluate(digestsOf, paths),
  };
  return visitor;
}

/** Runs in the page. */
function figures(): Promise<Stats> | undefined {
  return (globalThis as { edgeweave?: Edgeweave }).edgeweave?.stats();
}

/** Looks until there is something, and returns that; for a while. A page may be replaced while it is looked at. */
export async function eventually<T>(what: string, look: () => Promise<T | false | undefined>): Promise<T> {
  let failed: unknown;
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const seen = await look().catch((error: unknown) => {
      failed = error;
      return undefined;
    });
    if (seen) return seen;
    await new Promise((over) => setTimeout(over, POLL_MS));
  }
  throw new Error(`never ${what}${failed ? `: ${failed}` : ""}`);
}
