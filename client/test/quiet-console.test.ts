import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { type Scene, scene } from "./scene";

let site: Scene;

afterEach(() => site.close());

test("nothing is complained of in the console when a copy is not there", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: {
      "/": pageOf(["/a.bmp"]),
      "/a.bmp": { type: "image/bmp", body: picture(2_000_054) },
      "/b.bmp": { type: "image/bmp", body: picture(58) },
    },
  });
  // The node takes its time, and meanwhile the browser forgets what it has loaded.
  let goOn!: () => void;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const asked: string[] = [];
  site.origin.delay = async (path) => {
    asked.push(path);
    if (path === "/a.bmp" && asked.filter((other) => other === path).length > 1) await held;
  };
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await expect.poll(() => asked.filter((path) => path === "/a.bmp").length, { timeout: PATIENCE_MS }).toBe(2);
  const browser = await visitor.context.newCDPSession(visitor.page);
  await browser.send("Network.clearBrowserCache");
  goOn();
  await visitor.until("told", (stats) => stats.admitted === 1);
  // Copies are read in turn: with the next one it is over.
  await visitor.bodies(["/b.bmp"]);
  await visitor.until("holding only the second", (stats) => stats.admitted === 2 && stats.held === 1);
  expect(visitor.errors).toEqual([]);
});
