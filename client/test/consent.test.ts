import { afterEach, expect, test } from "vitest";
import type { Edgeweave } from "../src/api";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
const CONTENTS = {
  "/": pageOf(PICTURES),
  "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
  "/b.bmp": { type: "image/bmp", body: picture(58, 2) },
};
let site: Scene;

afterEach(() => site.close());

/** What there is of us in the page's browser. */
const traces = async () => ({
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  caches: await caches.keys(),
});

/** Says something to the client. */
const say = (to: keyof Edgeweave, given?: boolean) => `edgeweave.${to}(${given ?? ""})`;

test("nothing starts before the visitor consents, and nothing stays after", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({ contents: CONTENTS, attributes: 'data-consent="required"' });
  const asked: string[] = [];
  const visitor = await site.arrive();
  visitor.context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.href.startsWith(site.node.url)) asked.push(url.pathname);
  });

  await visitor.go(`${site.origin.url}/`);
  await visitor.until("without consent", (stats) => stats.off === "no_consent");
  await expectComplete(site, visitor, PICTURES);
  expect(asked).toEqual(["/edgeweave.js"]);
  expect(await visitor.page.evaluate(traces)).toEqual({ workers: 0, caches: [] });

  await visitor.page.evaluate(say("consent", true));
  await settle(visitor);
  await visitor.page.reload();
  await settle(visitor);
  await visitor.until("holding all", (stats) => stats.held === PICTURES.length);

  await visitor.page.evaluate(say("consent", false));
  await visitor.until("stopped", (stats) => stats.off === "no_consent" && !stats.connected);
  await expect.poll(() => visitor.page.evaluate(traces), { timeout: PATIENCE_MS }).toEqual({ workers: 0, caches: [] });
  // The page still has its worker; one that has been stopped hears what a worker must know when it starts again.
  await visitor.stopWorker();
  await visitor.page.evaluate(() => fetch("/b.bmp"));
  await visitor.page.reload();
  await visitor.until("without consent", (stats) => stats.off === "no_consent");
  await expectComplete(site, visitor, PICTURES);
  expect(await visitor.page.evaluate(traces)).toEqual({ workers: 0, caches: [] });
});

test("a client that the page turns off stays off until it is turned on", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({ contents: CONTENTS });
  const visitor = await site.seed("/", PICTURES.length);

  await visitor.page.evaluate(say("disable"));
  await visitor.until("off", (stats) => stats.off === "disabled" && !stats.connected);
  await visitor.page.reload();
  await visitor.until("off", (stats) => stats.off === "disabled" && !stats.connected);
  await expectComplete(site, visitor, PICTURES);

  await visitor.page.evaluate(say("enable"));
  await settle(visitor);
  await visitor.page.reload();
  await settle(visitor);
  await expectComplete(site, visitor, PICTURES);
});
