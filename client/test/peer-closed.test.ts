import { afterEach, beforeEach, test } from "vitest";
import { PATIENCE_MS, type Visitor } from "./harness";
import { mischievous, pausing } from "./mischief";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;
let peer: Visitor;
let visitor: Visitor;

beforeEach(async () => {
  site = await pictures({ patienceMs: 1000 });
  peer = await site.seed("/next.html", PICTURES.length, { script: mischievous(pausing) });
  visitor = await site.meet(PICTURES.length);
}, PATIENCE_MS);

afterEach(() => site.close());

/** The visitor loads a page, and when the peer is in the middle of it, something happens to the peer. */
async function loadWhile(happening: () => Promise<unknown>): Promise<void> {
  const loading = visitor.go(`${site.origin.url}/next.html`);
  await peer.page.waitForFunction(() => "goOn" in globalThis, undefined, { timeout: PATIENCE_MS });
  await happening();
  await loading;
}

test("a page is complete though a peer closes in mid-transfer", { timeout: 3 * PATIENCE_MS }, async () => {
  await loadWhile(() => peer.page.goto("about:blank"));
  await expectComplete(site, visitor, PICTURES);
  await expectRecorded(visitor, "channel_closed");
});

test("a page is complete though a peer crashes in mid-transfer", { timeout: 3 * PATIENCE_MS }, async () => {
  await loadWhile(async () => {
    const crashed = peer.page.waitForEvent("crash");
    await Promise.all([crashed, peer.page.goto("chrome://crash").catch(() => undefined)]);
  });
  await expectComplete(site, visitor, PICTURES);
  await expectRecorded(visitor, "channel_closed");
});
