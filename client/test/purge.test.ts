import { afterEach, beforeEach, expect, test } from "vitest";
import { type Content, PATIENCE_MS, pageOf, picture } from "./harness";
import { expectBodies, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
/** How long a purge may take to reach a visitor, in milliseconds. */
const PURGED_MS = 2_000;
let site: Scene;

/** A picture that shared caches keep, and browsers ask for again: only the mesh can answer with an old one. */
function shared(size: number, flavour: number): Content {
  const headers = { "cache-control": "public, max-age=0, s-maxage=3600" };
  return { type: "image/bmp", body: picture(size, flavour), headers };
}

beforeEach(async () => {
  site = await scene({
    contents: {
      "/": pageOf(PICTURES),
      "/a.bmp": shared(100_054, 1),
      "/b.bmp": shared(1_500_054, 2),
    },
    policy: 'prefer = "offload"\npatience_ms = 5000',
  });
}, PATIENCE_MS);

afterEach(() => site.close());

/** The origin has a new picture, and its owner says so. */
async function replace(path: string): Promise<void> {
  site.origin.contents.set(path, shared(200_054, 3));
  const api = new URL("/api/v1/sites/site/assets", site.node.url);
  api.searchParams.set("url", path);
  const response = await fetch(api, { method: "DELETE" });
  expect(await response.json()).toEqual({ purged: [site.origin.url + path] });
}

test("a purge reaches connected visitors at once", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitors = [await site.seed("/", PICTURES.length), await site.seed("/", PICTURES.length)];
  await Promise.all(visitors.map((visitor) => expectBodies(site.origin, visitor, PICTURES)));

  await replace("/a.bmp");
  const purged = Date.now();
  const reached = visitors.map(async (visitor) => {
    await visitor.until("purged", (stats) => stats.admitted === 1 && stats.held === 1);
    return Date.now() - purged;
  });
  for (const took of await Promise.all(reached)) expect(took).toBeLessThan(PURGED_MS);
  for (const visitor of visitors) await expectBodies(site.origin, visitor, PICTURES);
});

test("a visitor who is away hears of a purge before anything is shown", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitor = await site.seed("/", PICTURES.length);
  await visitor.go("about:blank");
  await visitor.stopWorker();

  await replace("/a.bmp");
  await visitor.go(`${site.origin.url}/`);
  await expectBodies(site.origin, visitor, PICTURES);
});
