import { afterEach, beforeEach, expect, test } from "vitest";
import { PATIENCE_MS, type Visitor } from "./harness";
import { mischievous, pausing } from "./mischief";
import { expectComplete, expectRecorded, PICTURES, pictures, reasons, type Scene } from "./scene";

let site: Scene;
let peer: Visitor;
let visitor: Visitor;

beforeEach(async () => {
  site = await pictures({ patienceMs: 1000 });
  peer = await site.seed("/next.html", PICTURES.length, { script: mischievous(pausing) });
  visitor = await site.meet(PICTURES.length);
}, PATIENCE_MS);

afterEach(() => site.close());

/** The visitor loads a page, and in the middle of it the node dies, and then something happens to the peer. */
async function loadWhileNodeDies(happening: () => Promise<unknown>): Promise<void> {
  const loading = visitor.go(`${site.origin.url}/next.html`);
  await peer.page.waitForFunction(() => "goOn" in globalThis, undefined, { timeout: PATIENCE_MS });
  await site.node.kill();
  await happening();
  await loading;
}

test(
  "a page is complete, from its neighbours, though the node dies while it loads",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    site.origin.delay = (path) => (path.endsWith(".bmp") ? new Promise(() => undefined) : Promise.resolve());
    await loadWhileNodeDies(() => peer.page.evaluate("goOn()"));
    await expectComplete(site, visitor, PICTURES);
    await expectRecorded(visitor, "no_session");
  },
);

test(
  "a page is complete though the node and the neighbour die while it loads",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    await loadWhileNodeDies(() => peer.page.goto("about:blank"));
    await expectComplete(site, visitor, PICTURES);
    await expectRecorded(visitor, "no_session");
    // Browsers may forget to say goodbye: then the origin is quicker than the news.
    const seen = await reasons(visitor);
    expect(seen.includes("channel_closed") || seen.includes("origin_won")).toBe(true);
  },
);

test("pages stay complete after the node has died", { timeout: 3 * PATIENCE_MS }, async () => {
  await site.node.kill();
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await visitor.page.reload();
  await expectComplete(site, visitor, PICTURES);
});
