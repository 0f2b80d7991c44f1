import { afterEach, beforeEach, expect, test } from "vitest";
import { PATIENCE_MS, picture, settle, type Visitor } from "./harness";
import { mischievous, pausing } from "./mischief";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;
let peer: Visitor;

beforeEach(async () => {
  site = await pictures({ patienceMs: 5000, largeBytes: 1_000_054 });
  peer = await site.seed("/next.html", PICTURES.length, { script: mischievous(pausing) });
}, PATIENCE_MS);

afterEach(() => site.close());

/** Waits for what the browser had asked of the worker that it was stopping, and for which the client asks once more. */
async function expectCompleteSoon(visitor: Visitor): Promise<void> {
  const shown = () => [...document.images].every((image) => image.complete && image.naturalWidth > 0);
  await visitor.page.waitForFunction(shown, undefined, { timeout: PATIENCE_MS });
  visitor.errors = visitor.errors.filter((error) => !/net::ERR_(FAILED|EMPTY_RESPONSE)/.test(error));
  await expectComplete(site, visitor, PICTURES);
}

/** The peer leaves, and a visitor comes who knows what is admitted and has nobody to get it from; a new tab is open. */
async function meetNobody(): Promise<Visitor> {
  await peer.page.goto("about:blank");
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  await visitor.tab();
  return visitor;
}

test("what a worker lets pass that has just started is counted", { timeout: 3 * PATIENCE_MS }, async () => {
  site.origin.contents.set("/new.bmp", { type: "image/bmp", body: picture(100_054, 3) });
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.stopWorker();
  await visitor.page.evaluate(() => fetch("/new.bmp").then((response) => response.arrayBuffer()));
  const { bytes } = await visitor.until("counted", (stats) => stats.bytes.origin > 0);
  expect(bytes.origin).toBe(100_054);
});

test("what failed before the client had begun is loaded again as well", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitor = await meetNobody();
  site.origin.fault = (request, response) => {
    if (request.url?.endsWith(".bmp")) response.destroy();
    return response.destroyed;
  };
  await visitor.page.route(`${site.node.url}/edgeweave.js`, async (route) => {
    const failed = () => document.images.length > 0 && [...document.images].every((image) => image.complete);
    await visitor.page.waitForFunction(failed, undefined, { timeout: PATIENCE_MS });
    site.origin.fault = () => false;
    await visitor.stopWorker();
    await route.continue();
  });
  await visitor.go(`${site.origin.url}/next.html`);
  await expectCompleteSoon(visitor);
});

test("a page is complete though its worker is stopped while peers answer", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitor = await site.meet(PICTURES.length);
  const loading = visitor.go(`${site.origin.url}/next.html`);
  await peer.page.waitForFunction(() => "goOn" in globalThis, undefined, { timeout: PATIENCE_MS });
  await visitor.stopWorker();
  await peer.page.evaluate("goOn()");
  await loading;
  await expectCompleteSoon(visitor);
  const { bytes } = await visitor.until("served by peers", (stats) => stats.bytes.peers >= 1_100_108);
  expect(bytes.origin).toBe(0);
  await expectRecorded(visitor, "worker_stopped");
});

test(
  "a page is complete though its worker is stopped while the origin answers",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const visitor = await meetNobody();
    let goOn!: () => void;
    const half = new Promise<void>((begun) => {
      site.origin.fault = (request, response) => {
        const body = site.origin.contents.get(request.url ?? "")?.body;
        if (!request.url?.endsWith(".bmp") || !body) return false;
        response.writeHead(200, { "content-type": "image/bmp", "content-length": body.length });
        response.write(body.subarray(0, 50_000));
        goOn = () => response.end(body.subarray(50_000));
        begun();
        return true;
      };
    });
    const loading = visitor.go(`${site.origin.url}/next.html`);
    await half;
    site.origin.fault = () => false;
    await visitor.stopWorker();
    goOn();
    await loading;
    await expectCompleteSoon(visitor);
    await expectRecorded(visitor, "worker_stopped");
  },
);
