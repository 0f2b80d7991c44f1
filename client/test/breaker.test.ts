import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, reasons, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp"];
let site: Scene;

afterEach(() => site.close());

/** The engine does not start on its thread until the page says that it is mended. */
const BROKEN = `try {
  if (!localStorage.mended) {
    const fail = 'WebAssembly.compileStreaming = () => Promise.reject(new RangeError("out of memory"));';
    globalThis.Worker = class extends Worker {
      constructor(url) {
        super(URL.createObjectURL(new Blob([fail, 'importScripts("' + url + '")'])));
      }
    };
  }
} catch {}`;

test("a client that has failed stays out of the way for a while", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: { "/": pageOf(PICTURES), "/a.bmp": { type: "image/bmp", body: picture(100_054) } },
  });
  const visitor = await site.arrive({ script: BROKEN });
  await visitor.go(`${site.origin.url}/`);
  await visitor.until("off", (stats) => stats.off === "client_error");
  await expectComplete(site, visitor, PICTURES);

  // The breaker is open, though the next page's client would work.
  await visitor.page.evaluate(() => localStorage.setItem("mended", "yes"));
  await visitor.page.reload();
  await visitor.until("off", (stats) => stats.off === "breaker_open");
  expect(await reasons(visitor)).toEqual(["breaker_open"]);
  expect((await visitor.notes())[0]?.about).toBe("client_error");
  await expectComplete(site, visitor, PICTURES);

  // A while passes.
  await visitor.page.evaluate(() => {
    const settings = JSON.parse(localStorage.getItem("edgeweave") ?? "");
    localStorage.setItem("edgeweave", JSON.stringify({ ...settings, openUntil: Date.now() - 1 }));
  });
  await visitor.page.reload();
  await settle(visitor);
  await expectComplete(site, visitor, PICTURES);
});
