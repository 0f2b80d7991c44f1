import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
let site: Scene;

afterEach(() => site.close());

test("a page with the client is kept for going back, and takes part again", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: {
      "/": pageOf(PICTURES),
      "/next.html": pageOf([]),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(1_500_054, 2) },
    },
  });
  await site.seed("/", PICTURES.length);
  const without = ["--disable-back-forward-cache"];
  const visitor = await site.seed("/", PICTURES.length, { without });
  await visitor.until("met", (stats) => stats.neighbours === 1);
  await visitor.page.evaluate(() => {
    window.addEventListener("pageshow", ({ persisted }) => Object.assign(globalThis, { persisted }));
  });

  await visitor.go(`${site.origin.url}/next.html`);
  await visitor.page.evaluate(() => history.back());
  await visitor.page.waitForFunction(() => "persisted" in globalThis, undefined, { timeout: PATIENCE_MS });
  expect(await visitor.page.evaluate("persisted")).toBe(true);
  await visitor.until("back", (stats) => stats.connected && stats.held === PICTURES.length);
  await expectComplete(site, visitor, PICTURES);
});

/** The page is left while the engine's thread starts, and the browser ends that as it does at times. */
const RESTLESS = `if (location.pathname === "/") {
  globalThis.Worker = class {
    terminate() {}
    postMessage() {
      addEventListener("pagehide", () => this.onmessage({ data: { failed: "illegal access" } }));
      location.href = "/next.html";
    }
  };
}`;

test(
  "a page that is left while the client starts is no failure of the client",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    site = await scene({ contents: { "/": pageOf([]), "/next.html": pageOf([]) } });
    const visitor = await site.arrive({ script: RESTLESS });
    await visitor.go(`${site.origin.url}/`);
    await visitor.page.waitForURL("**/next.html");
    await settle(visitor);
  },
);
