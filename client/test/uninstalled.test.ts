import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture } from "./harness";
import { type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp"];
let site: Scene;

afterEach(() => site.close());

test("the worker leaves a site that no longer has the snippet", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: { "/": pageOf(PICTURES), "/a.bmp": { type: "image/bmp", body: picture(100_054) } },
  });
  const visitor = await site.seed("/", PICTURES.length);
  site.origin.contents.set("/", pageOf(PICTURES));
  // For the worker, time flies.
  await visitor.context.serviceWorkers()[0]?.evaluate(() => {
    const unhurried = setTimeout;
    Object.assign(globalThis, {
      setTimeout: (due: () => void, ms: number) => unhurried(due, ms / 100),
    });
  });
  const left = () => visitor.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length === 0);
  for (let tab = 1; tab <= 3; tab += 1) {
    expect(await left()).toBe(false);
    await visitor.tab();
    await visitor.go(`${site.origin.url}/`);
  }
  await expect.poll(left, { timeout: PATIENCE_MS }).toBe(true);
  expect(await visitor.page.evaluate(() => caches.keys())).toEqual([]);
  expect(visitor.errors).toEqual([]);
});
