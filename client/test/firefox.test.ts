// Firefox has another WebRTC and another service worker, and no static routing.
import { afterEach, expect, test } from "vitest";
import { arriveWithFirefox } from "./firefox";
import { PATIENCE_MS } from "./harness";
import { ALL_BYTES, expectBodies, expectComplete, failPictures, PICTURES, pictures, type Scene } from "./scene";
import type { SimpleVisitor } from "./simple-visitor";

let site: Scene;
let firefox: SimpleVisitor | undefined;

afterEach(async () => {
  await firefox?.leave();
  firefox = undefined;
  await site.close();
});

test("a Firefox gets from a Chromium what the origin does not give", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await pictures({ patienceMs: 1000 });
  firefox = await arriveWithFirefox();
  await site.seed("/next.html", PICTURES.length);
  await firefox.go(`${site.origin.url}/`);
  await firefox.settle();
  await firefox.until("introduced", (stats) => stats.admitted === PICTURES.length && stats.neighbours > 0);
  failPictures(site);
  await firefox.go(`${site.origin.url}/next.html`);
  const widths = await firefox.evaluate(() => [...document.images].map((image) => image.naturalWidth));
  expect(widths.filter((width) => width > 0)).toHaveLength(PICTURES.length);
  await expectBodies(site.origin, firefox, PICTURES);
  await firefox.until("served by peers", (stats) => stats.bytes.peers === ALL_BYTES);
});

test("a Chromium gets from a Firefox what the origin does not give", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await pictures({ patienceMs: 1000 });
  firefox = await arriveWithFirefox();
  await firefox.go(`${site.origin.url}/next.html`);
  await firefox.settle();
  await firefox.until("holding all", (stats) => stats.held === PICTURES.length);
  const visitor = await site.meet(PICTURES.length);
  failPictures(site);
  await visitor.go(`${site.origin.url}/next.html`);
  await visitor.until("served by peers", (stats) => stats.bytes.peers === ALL_BYTES);
  await expectComplete(site, visitor, PICTURES);
});
