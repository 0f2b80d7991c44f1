// A native peer of the operator's: to visitors a neighbour like any other, which holds everything.
import { afterEach, beforeEach, expect, test } from "vitest";
import { type NativePeer, PATIENCE_MS, startNativePeer, type Visitor } from "./harness";
import { expectComplete, failPictures, kept, PICTURES, pictures, type Scene } from "./scene";

/** The bytes of both pictures. */
const LARGE_BYTES = 8_000_054;
const ALL_BYTES = 100_054 + LARGE_BYTES;
/** After so many the native peer dies. */
const SOME_BYTES = 500_000;
let site: Scene;
let peer: NativePeer | undefined;

beforeEach(async () => {
  site = await pictures({ patienceMs: 10_000, supernode: {}, largeBytes: LARGE_BYTES });
  const guide = await site.seed("/next.html", PICTURES.length);
  await guide.leave();
  await kept(site, PICTURES.length);
}, PATIENCE_MS);

afterEach(async () => {
  await peer?.kill();
  peer = undefined;
  await site.close();
});

/** The only visitor has come, and has a channel to the native peer. */
async function meet(flags?: string[]): Promise<Visitor> {
  const native = await startNativePeer(site.node.url, "site", flags);
  peer = native;
  // What it fetches while it is asked comes from the node.
  await expect.poll(() => native.figure("contents"), { timeout: PATIENCE_MS }).toBe(PICTURES.length);
  const visitor = await site.meet(PICTURES.length);
  site.origin.asked.length = 0;
  return visitor;
}

test(
  "a visitor who is alone gets from a native peer what is admitted, though the origin fails",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const visitor = await meet();
    failPictures(site);
    await visitor.go(`${site.origin.url}/next.html`);
    const { bytes } = await visitor.until("holding all", (stats) => stats.held === PICTURES.length);
    expect({ peers: bytes.peers, supernode: bytes.supernode, origin: bytes.origin }).toEqual({
      peers: ALL_BYTES,
      supernode: 0,
      origin: 0,
    });
    await expectComplete(site, visitor, PICTURES);
    expect(site.origin.asked.filter((path) => path.endsWith(".bmp"))).toEqual([]);
  },
);

test("a page is complete though the native peer dies in the middle of it", { timeout: 3 * PATIENCE_MS }, async () => {
  const visitor = await meet(["--upload-bytes-per-second", "1000000"]);
  const loading = visitor.go(`${site.origin.url}/next.html`);
  await expect
    .poll(async () => (await peer?.figure("sent_bytes_total")) ?? 0, { timeout: PATIENCE_MS })
    .toBeGreaterThan(SOME_BYTES);
  await peer?.kill();
  await loading;
  await expectComplete(site, visitor, PICTURES);
  expect((await visitor.stats()).bytes.peers).toBeLessThan(ALL_BYTES);
});
