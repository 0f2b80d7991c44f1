import { afterEach, beforeEach, expect, test } from "vitest";
import { type ArriveOptions, PATIENCE_MS } from "./harness";
import { expectComplete, PICTURES, pictures, reasons, type Scene } from "./scene";

let site: Scene;

beforeEach(async () => {
  site = await pictures({ patienceMs: 5000 });
}, PATIENCE_MS);

afterEach(() => site.close());

test("a private window takes part, and its page is complete", { timeout: 3 * PATIENCE_MS }, async () => {
  await site.seed("/next.html", PICTURES.length);
  const visitor = await site.meet(PICTURES.length, { window: "private" });
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await visitor.until("served by peers", (stats) => stats.bytes.peers >= 1_600_108);
});

/** How a browser has no service workers: it says so, or only when one is registered. */
const WITHOUT: [string, ArriveOptions][] = [
  ["are absent", { script: "delete Navigator.prototype.serviceWorker" }],
  [
    "are refused",
    {
      script: `if (navigator.serviceWorker) ServiceWorkerContainer.prototype.register = () =>
        Promise.reject(new DOMException("The operation is insecure.", "SecurityError"))`,
    },
  ],
];

test.each(WITHOUT)(
  "a page is complete where service workers %s",
  { timeout: 3 * PATIENCE_MS },
  async (_how, options) => {
    const visitor = await site.arrive({ ...options, window: "private" });
    await visitor.go(`${site.origin.url}/next.html`);
    await visitor.until("off", (stats) => stats.off === "no_worker");
    await expectComplete(site, visitor, PICTURES);
    expect(await reasons(visitor)).toEqual(["no_worker"]);
  },
);
