import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./devtools.mjs";
import { CHROMIUM, FLAGS, PATIENCE_MS } from "./harness";
import { type SimpleVisitor, simpleVisitor } from "./simple-visitor";

/**
 * A visitor whose browser, a Chromium, is told what to do and is not watched: to say what a page asks for, and to keep it for
 * an inspector, takes a browser as long as the mesh does. `script` runs before each page's own.
 */
export async function arriveUnwatched(script = ""): Promise<SimpleVisitor> {
  const profile = await mkdtemp(join(tmpdir(), "edgeweave-test-"));
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await launch({ executable: CHROMIUM, profile, flags: [...FLAGS, ...sandbox] });
  const page = browser.first;
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: script });
  return simpleVisitor({
    evaluate: (run, arg) => page.evaluate(run, arg),
    go: (url) => page.load(() => page.send("Page.navigate", { url }), PATIENCE_MS),
    async leave() {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  });
}
