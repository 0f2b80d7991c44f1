import { afterEach, beforeEach, test } from "vitest";
import { type ArriveOptions, PATIENCE_MS, settle, type Visitor } from "./harness";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;

beforeEach(async () => {
  site = await pictures({ patienceMs: 5000 });
  await site.seed("/next.html", PICTURES.length);
}, PATIENCE_MS);

afterEach(() => site.close());

/** A visitor's browser lends no storage from its first page on; a page gets from a neighbour what it cannot keep. */
async function visit(options: ArriveOptions, prepare?: (visitor: Visitor) => Promise<void>): Promise<Visitor> {
  const visitor = await site.arrive(options);
  await prepare?.(visitor);
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("introduced", (stats) => stats.admitted === PICTURES.length && stats.neighbours > 0);
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await visitor.until("served by peers", (stats) => stats.bytes.peers >= 1_600_108);
  return visitor;
}

test("a page is complete though the storage is full", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitor = await visit({}, async ({ context, page }) => {
    const browser = await context.newCDPSession(page);
    await browser.send("Storage.overrideQuotaForOrigin", { origin: site.origin.url, quotaSize: 50_000 });
  });
  await expectRecorded(visitor, "storage_full");
});

test("a page is complete though nothing can be stored", { timeout: 3 * PATIENCE_MS }, async () => {
  const threadScript = 'Cache.prototype.put = () => Promise.reject(new DOMException("", "UnknownError"))';
  await expectRecorded(await visit({ threadScript }), "storage_failed");
});

test("a page is complete though there is no storage at all", { timeout: 3 * PATIENCE_MS }, async () => {
  const noCaches = `
    const refuse = () => { throw new DOMException("", "SecurityError") };
    if (globalThis.caches) CacheStorage.prototype.open = () => Promise.reject(new DOMException("", "SecurityError"));
    IDBFactory.prototype.open = refuse;`;
  const script = `{${noCaches}
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(globalThis, name, { get: refuse });
  }`;
  await expectRecorded(await visit({ script, threadScript: `{${noCaches}}` }), "storage_failed");
});
