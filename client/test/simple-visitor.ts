import type { Edgeweave } from "../src/api";
import type { Stats } from "../src/generated/Stats";
import { digestsOf, PATIENCE_MS } from "./harness";

/** A visitor who is told where to go, and asked what the page says. */
export interface SimpleVisitor {
  /** Runs a function in the page, and returns what it returns. */
  evaluate<R, A = undefined>(run: (arg: A) => R | Promise<R>, arg?: A): Promise<R>;
  /** Goes to a page, and waits until it is loaded. */
  go(url: string): Promise<void>;
  /** The client's figures, once it is there. */
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
    async until(what, condition) {
      let last: Stats | undefined;
      for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
        last = await visitor.evaluate(() => (globalThis as { edgeweave?: Edgeweave }).edgeweave?.stats());
        if (last && condition(last)) return last;
        await new Promise((over) => setTimeout(over, 50));
      }
      throw new Error(`never ${what}: ${JSON.stringify(last)}`);
    },
    async settle() {
      await visitor.evaluate(async () => {
        const container = navigator.serviceWorker;
        if (!container.controller)
          await new Promise((taken) => container.addEventListener("controllerchange", taken, { once: true }));
      });
      await visitor.until("connected", (stats) => stats.connected);
    },
    bodies: (paths) => visitor.evaluate(digestsOf, paths),
  };
  return visitor;
}
