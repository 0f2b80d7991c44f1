import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, settle } from "./harness";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;

afterEach(() => site.close());

/** How a browser says that it is not to use much data. */
const SPARING: [string, string][] = [
  ["saves data", 'Object.defineProperty(NetworkInformation.prototype, "saveData", { get: () => true })'],
  [
    "has a metered connection",
    'Object.defineProperty(NetworkInformation.prototype, "type", { get: () => "cellular" })',
  ],
];

test.each(SPARING)("a visitor who %s gives nothing", { timeout: 3 * PATIENCE_MS }, async (_how, script) => {
  site = await pictures({ patienceMs: 5000 });
  const sparing = await site.seed("/next.html", PICTURES.length, { script });
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await expectRecorded(visitor, "no_holder");
  expect((await visitor.stats()).bytes.peers).toBe(0);
  expect((await sparing.stats()).uploaded).toBe(0);
});
