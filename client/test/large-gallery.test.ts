// A page with more pictures than browsers remember by default (https://www.w3.org/TR/resource-timing/#dfn-resource-timing-buffer-size-limit).
import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, kept, type Scene, scene } from "./scene";

const GALLERY = Array.from({ length: 300 }, (_, number) => `/${number}.bmp`);
let site: Scene;

afterEach(() => site.close());

test(
  "all of a large gallery is told of, and the next visitor has all of it from the supernode, and counted",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const images = GALLERY.map((path, number) => [path, { type: "image/bmp", body: picture(1_054, number) }] as const);
    const contents = { "/": pageOf([]), "/gallery.html": pageOf(GALLERY), ...Object.fromEntries(images) };
    site = await scene({ contents, supernode: {} });
    const guide = await site.arrive();
    await guide.go(`${site.origin.url}/gallery.html`);
    await settle(guide);
    await guide.until("told of all", ({ admitted }) => admitted === GALLERY.length);
    await guide.leave();
    await kept(site, GALLERY.length);

    const visitor = await site.arrive();
    await visitor.go(`${site.origin.url}/`);
    await settle(visitor);
    await visitor.until("told", ({ admitted }) => admitted === GALLERY.length);
    site.origin.asked.length = 0;
    await visitor.go(`${site.origin.url}/gallery.html`);
    const { requests } = await visitor.until("done", ({ requests }) => requests.supernode >= GALLERY.length);
    expect(requests.supernode).toBe(GALLERY.length);
    expect(site.origin.asked.filter((path) => path.endsWith(".bmp"))).toEqual([]);
    await expectComplete(site, visitor, GALLERY);
  },
);
