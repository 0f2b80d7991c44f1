// The node as a supernode: what no neighbour gives, and what is not held, comes from the disk of the node.
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Reason } from "../src/generated/Reason";
import { type ArriveOptions, PATIENCE_MS, picture, type SupernodeOptions, settle, type Visitor } from "./harness";
import {
  ALL_BYTES,
  expectBodies,
  expectComplete,
  expectRecorded,
  failPictures,
  kept,
  PICTURES,
  pictures,
  type Scene,
} from "./scene";

/** The bytes of the larger picture. */
const LARGE_BYTES = 1_500_054;
let site: Scene;

afterEach(() => site.close());

/** A site whose pictures somebody has made known before, and has left; only the supernode has them, and the origin. */
async function known(supernode: SupernodeOptions = {}, count = PICTURES.length): Promise<void> {
  site = await pictures({ patienceMs: 1000, supernode });
  const guide = await site.seed("/next.html", PICTURES.length);
  await guide.leave();
  await kept(site, count);
}

/** The only visitor comes, and has been told what is admitted. */
async function visit(options?: ArriveOptions): Promise<Visitor> {
  const visitor = await site.arrive(options);
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  site.origin.asked.length = 0;
  return visitor;
}

/** The pictures that the origin was asked for. */
function asked(): string[] {
  return site.origin.asked.filter((path) => path.endsWith(".bmp"));
}

/** The next page is complete, all of it from the supernode, and its pictures are held from then on. */
async function expectFromSupernode(visitor: Visitor): Promise<void> {
  await visitor.go(`${site.origin.url}/next.html`);
  const { requests, bytes } = await visitor.until("holding all", (stats) => stats.held === PICTURES.length);
  expect({ requests: requests.supernode, bytes: bytes.supernode }).toEqual({
    requests: PICTURES.length,
    bytes: ALL_BYTES,
  });
  expect({ peers: bytes.peers, origin: requests.origin }).toEqual({ peers: 0, origin: 0 });
  await expectComplete(site, visitor, PICTURES);
  expect(asked()).toEqual([]);
}

test("a visitor who is alone gets from the supernode what is admitted", { timeout: 3 * PATIENCE_MS }, async () => {
  await known();
  const visitor = await visit();
  failPictures(site);
  await expectFromSupernode(visitor);

  // What came from there is held like everything else, whatever becomes of it there.
  await rm(site.node.supernode, { recursive: true });
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  await visitor.until("using what it holds", (stats) => stats.requests.cache >= PICTURES.length);
  await expectComplete(site, visitor, PICTURES);
  expect(asked()).toEqual([]);
});

test(
  "a visitor who comes again uses what is held, as soon as the node says that it may",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    await known();
    const visitor = await visit();
    failPictures(site);
    await expectFromSupernode(visitor);

    // The worker that starts next has no session, and nobody else has the pictures.
    await rm(site.node.supernode, { recursive: true });
    await visitor.go("about:blank");
    await visitor.stopWorker();
    await visitor.go(`${site.origin.url}/next.html`);
    await visitor.until("using what it holds", (stats) => stats.requests.cache === PICTURES.length);
    await expectComplete(site, visitor, PICTURES);
    expect(asked()).toEqual([]);
  },
);

/** How a browser keeps out of the mesh. */
const APART: [string, string][] = [
  ["saves data", 'Object.defineProperty(NetworkInformation.prototype, "saveData", { get: () => true })'],
  ["has no WebRTC", "delete globalThis.RTCPeerConnection"],
];

test.each(APART)("a visitor who %s uses the supernode", { timeout: 3 * PATIENCE_MS }, async (_how, script) => {
  await known();
  const visitor = await visit({ script });
  failPictures(site);
  await expectFromSupernode(visitor);
});

/** Does something with each content that the supernode keeps. */
async function withContents(change: (file: string, size: number) => Promise<void>): Promise<void> {
  for (const file of await kept(site, PICTURES.length)) await change(file, (await stat(file)).size);
}

/** How a supernode fails while somebody is there, and what the visitor's flight recorder says of it. */
const FAILURES: [string, () => Promise<unknown>, Reason][] = [
  ["gives wrong bytes", () => withContents((file, size) => writeFile(file, Buffer.alloc(size, 1))), "wrong_piece"],
  ["has been emptied", () => withContents((file) => rm(file)), "not_held"],
  ["gives too little", () => withContents((file) => writeFile(file, "little")), "not_held"],
  ["stands still", async () => site.node.process.kill("SIGSTOP"), "stalled"],
  ["has died", () => site.node.kill(), "connect_failed"],
];

test.each(FAILURES)(
  "a page is complete though the supernode %s",
  { timeout: 3 * PATIENCE_MS },
  async (_how, fail, reason) => {
    await known();
    const visitor = await visit();
    // The tab that leads stays, so that its flight recorder has everything.
    await visitor.tab();
    await fail();
    await visitor.go(`${site.origin.url}/next.html`);
    await expectComplete(site, visitor, PICTURES);
    await expectRecorded(visitor, reason);
    expect((await visitor.stats()).bytes.supernode).toBe(0);
    expect(new Set(asked())).toEqual(new Set(PICTURES));
  },
);

test("a page is complete though the supernode has no room for all", { timeout: 3 * PATIENCE_MS }, async () => {
  await known({ diskBytes: ALL_BYTES - LARGE_BYTES }, 1);
  const visitor = await visit();
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  // What came is kept a moment later; until then it would be asked for again.
  const { bytes } = await visitor.until("holding all", (stats) => stats.held === PICTURES.length);
  expect(bytes.supernode).toBe(ALL_BYTES - LARGE_BYTES);
  await expectComplete(site, visitor, PICTURES);
  await expectRecorded(visitor, "not_held");
  expect(asked()).toEqual(["/b.bmp"]);
});

test("after a purge the supernode gives nothing of what was purged", { timeout: 3 * PATIENCE_MS }, async () => {
  await known();
  const visitor = await visit();
  // Who is away still knows the old content by its name.
  await visitor.go("about:blank");
  await visitor.stopWorker();

  const assets = new URL("/api/v1/sites/site/assets", site.node.url);
  const listed = (await (await fetch(assets)).json()) as { assets: { url: string; hash: string }[] };
  const hash = listed.assets.find(({ url }) => url.endsWith("/a.bmp"))?.hash;
  const status = async () => (await fetch(`${site.node.url}/asset/${hash}`)).status;
  expect(await status()).toBe(200);
  site.origin.contents.set("/a.bmp", { type: "image/bmp", body: picture(200_054, 3) });
  assets.searchParams.set("url", "/a.bmp");
  expect((await fetch(assets, { method: "DELETE" })).ok).toBe(true);
  expect(await status()).toBe(404);
  expect(await kept(site, PICTURES.length - 1)).not.toContain(join(site.node.supernode, hash ?? ""));

  await visitor.go(`${site.origin.url}/next.html`);
  await expectBodies(site.origin, visitor, PICTURES);
  expect(asked()).toContain("/a.bmp");
});
