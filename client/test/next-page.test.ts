import { afterAll, beforeAll, expect, test } from "vitest";
import { PATIENCE_MS, settle, type Visitor } from "./harness";
import { expectComplete, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;

beforeAll(async () => {
  site = await pictures();
}, PATIENCE_MS);

afterAll(() => site.close(), PATIENCE_MS);

/** Waits until the visitor's next page has rested, and the node has been told of it. */
async function tellsOfItsPage(visitor: Visitor): Promise<void> {
  const socket = await visitor.page.waitForEvent("websocket", { timeout: PATIENCE_MS });
  const predicate = ({ payload }: { payload: string | Buffer }) => payload.includes('"viewed"');
  await socket.waitForEvent("framesent", { timeout: PATIENCE_MS, predicate });
}

/** Whether the worker has been told that all that it knows is held. Runs in the page. */
async function isShelved(): Promise<boolean> {
  const shelf = await caches.match("/.edgeweave/shelf");
  const { assets } = (await shelf?.json()) as { assets: { held: boolean }[] };
  return assets.length > 0 && assets.every(({ held }) => held);
}

test("what the next page needs comes from others while this one is read", { timeout: 3 * PATIENCE_MS }, async () => {
  const guide = await site.arrive();
  // A session is a page's: these count for three.
  for (let times = 0; times < 3; times += 1) {
    for (const path of ["/", "/next.html"]) {
      const told = tellsOfItsPage(guide);
      await guide.go(site.origin.url + path);
      await told;
    }
  }
  await guide.until("holding all", (stats) => stats.held === PICTURES.length);

  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/?from=elsewhere#top`);
  await settle(visitor);
  const idle = await visitor.until("holding all", (stats) => stats.held === PICTURES.length);
  expect(idle.replicated).toBe(1_600_108);
  expect(idle.bytes.peers).toBe(0);
  // What the engine says of that waits a little for company, and its last word may come after the next page's first request.
  await expect.poll(() => visitor.page.evaluate(isShelved), { timeout: PATIENCE_MS }).toBe(true);

  site.origin.asked.length = 0;
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await visitor.until("using it", (stats) => stats.replicated_used === 1_600_108);
  expect(site.origin.asked.filter((path) => path.endsWith(".bmp"))).toEqual([]);
});
