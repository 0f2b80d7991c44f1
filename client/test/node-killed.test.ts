import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, reasons, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
let site: Scene;

afterEach(() => site.close());

test("a page is complete though its node dies while it loads", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: {
      "/": pageOf(PICTURES.slice(0, 1)),
      "/next.html": pageOf(PICTURES),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(1_500_054, 2) },
    },
  });
  await site.seed("/next.html", PICTURES.length);
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);

  // The pictures wait at the origin until the node is dead.
  let dead!: () => void;
  const death = new Promise<void>((resolve) => {
    dead = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    site.origin.delay = (path) => {
      if (path !== "/b.bmp") return Promise.resolve();
      resolve();
      return death;
    };
  });
  const going = visitor.go(`${site.origin.url}/next.html`);
  await asked;
  await site.node.kill();
  dead();
  await going;
  await expectComplete(site, visitor, PICTURES);

  await visitor.page.reload({ waitUntil: "load" });
  await expectComplete(site, visitor, PICTURES);
});

test("a client whose node has died says so, and its pages stay complete", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: {
      "/": pageOf(PICTURES),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(58, 2) },
    },
    policy: 'prefer = "offload"\npatience_ms = 300',
  });
  const visitor = await site.seed("/", PICTURES.length);
  await site.node.kill();
  await visitor.until("without a session", (stats) => !stats.connected);
  await expectComplete(site, visitor, PICTURES);
  expect(await reasons(visitor)).toContain("no_session");
});
