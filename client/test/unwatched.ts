// A visitor whose browser is told what to do and is not watched: to say what a page asks for, and to keep it for an
// inspector, takes a browser as long as the mesh does.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "../../lab/devtools.mjs";
import type { Edgeweave } from "../src/api";
import type { Stats } from "../src/generated/Stats";
import { CHROMIUM, FLAGS, PATIENCE_MS } from "./harness";

export interface Unwatched {
  /** Runs a function in the page, and returns what it returns. */
  evaluate<R, A = undefined>(run: (arg: A) => R | Promise<R>, arg?: A): Promise<R>;
  go(url: string): Promise<void>;
  stats(): Promise<Stats>;
  /** Waits for figures that are as they should be. */
  until(what: string, condition: (stats: Stats) => boolean): Promise<Stats>;
  leave(): Promise<void>;
}

/** A visitor comes; `script` runs before each page's own. */
export async function arriveUnwatched(script = ""): Promise<Unwatched> {
  const profile = await mkdtemp(join(tmpdir(), "edgeweave-test-"));
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await launch({ executable: CHROMIUM, profile, flags: [...FLAGS, ...sandbox] });
  const page = browser.first;
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: script });

  async function until(what: string, condition: (stats: Stats) => boolean): Promise<Stats> {
    let last: Stats | undefined;
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      last = await visitor.stats();
      if (last && condition(last)) return last;
      await new Promise((over) => setTimeout(over, 50));
    }
    throw new Error(`never ${what}: ${JSON.stringify(last)}`);
  }
  const visitor: Unwatched = {
    evaluate: (run, arg) => page.evaluate(run, arg),
    go: (url) => page.load(() => page.send("Page.navigate", { url }), PATIENCE_MS),
    stats: () => page.evaluate(() => (globalThis as unknown as { edgeweave?: Edgeweave }).edgeweave?.stats()),
    until,
    async leave() {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
  return visitor;
}
