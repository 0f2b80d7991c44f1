import { afterEach, beforeEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, type Visitor } from "./harness";
import { mischievous, pausing } from "./mischief";
import { expectComplete, reasons, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
let site: Scene;
let peer: Visitor;
let visitor: Visitor;

beforeEach(async () => {
  site = await scene({
    contents: {
      "/": pageOf([]),
      "/next.html": pageOf(PICTURES),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(1_500_054, 2) },
    },
    policy: 'prefer = "offload"\npatience_ms = 1000',
  });
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
  expect(await reasons(visitor)).toContain("channel_closed");
});

test("a page is complete though a peer crashes in mid-transfer", { timeout: 3 * PATIENCE_MS }, async () => {
  await loadWhile(async () => {
    const crashed = peer.page.waitForEvent("crash");
    await Promise.all([crashed, peer.page.goto("chrome://crash").catch(() => undefined)]);
  });
  await expectComplete(site, visitor, PICTURES);
  expect(await reasons(visitor)).toContain("stalled");
});
