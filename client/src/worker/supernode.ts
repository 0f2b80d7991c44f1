import { PIECE_BYTES } from "../generated/limits";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { DIGEST_BYTES, digest } from "../shared/digest";
import { CACHE, headersOf, segmentKey, segmentResponse } from "../shared/storage";
import type { Known as Node } from "../shared/wire";
import type { Concern } from "./concerns";
import { tell } from "./link";
import { type Known, SEGMENT_BYTES } from "./shelf";

/** Larger contents are left to the origin, whose answer need not be complete before the page gets any of it. */
const SIZE_MOST = 8 * 1024 * 1024;
/** A body that has begun is waited for so many times as long as its first byte. */
const BODY_TIMES = 10;
/** Who waits behind others waits so many times as long at most. */
const QUEUE_TIMES = 10;
/** A supernode that failed is left alone for so long, in milliseconds: a page has many requests, and each would wait. */
const REST_MS = 30_000;

/** So many connections to a host that speaks HTTP/1.1 browsers open at a time; who comes later may wait for one. */
const CONNECTIONS = 6;

let restsUntil = 0;
/** Answers that are under way. */
let open = 0;
/** When one began last. */
let heard = 0;
/** What is kept, one after the other: the storage is slow, and a page that waits for it has many contents. */
let keeping = Promise.resolve();

const { base } = (globalThis as unknown as { __edgeweave: Node }).__edgeweave;

/** Answers from the supernode, whole and verified; nothing when it does not have the content, or is slow. */
export async function fromSupernode({ url, range }: Concern, known: Known, signal: AbortSignal) {
  const asset = known.assets.get(url);
  const patience = known.shelf.supernode_ms;
  if (patience === 0 || performance.now() < restsUntil || range || !asset || asset.size > SIZE_MOST) return undefined;
  // Ending what has ended does nothing, so nobody is told to do otherwise.
  const ending = new AbortController();
  const end = () => ending.abort();
  signal.addEventListener("abort", end);
  const began = performance.now();
  const since = () => Math.round(performance.now() - began);
  // While it answers others, a supernode is not slow; but a long queue is.
  let timer = 0;
  const wait = () => {
    const from = Math.min(Math.max(began, heard), began + QUEUE_TIMES * patience);
    const left = from + patience - performance.now();
    if (left > 0) timer = setTimeout(wait, left);
    else end();
  };
  wait();
  const queues = ++open > CONNECTIONS;
  try {
    // The name says what the content is: what comes is what was asked for, or is not used.
    const response = await fetch(`${base}/asset/${asset.hash}`, { signal: ending.signal, credentials: "omit" });
    heard = performance.now();
    const first_byte_ms = queues ? null : since();
    clearTimeout(timer);
    setTimeout(end, BODY_TIMES * patience);
    const body = response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
    if (body && (await nameOf(body)) === asset.hash) {
      const served = { hash: asset.hash, bytes: body.length, first_byte_ms, total_ms: since() };
      keeping = keeping.then(async () => {
        const stored = await keep(asset, body);
        tell({ supernode: { url, served: { ...served, stored } } });
      });
      return new Response(body, { headers: headersOf(asset, body.length) });
    }
    note(body ? "wrong_piece" : "not_held");
  } catch {
    if (!signal.aborted) note(ending.signal.aborted ? "stalled" : "connect_failed");
  } finally {
    open -= 1;
  }
  return undefined;

  function note(reason: "wrong_piece" | "not_held" | "stalled" | "connect_failed"): void {
    if (reason !== "not_held") restsUntil = performance.now() + REST_MS;
    tell({ note: { event: "fallback", reason, about: `supernode: ${url}`, bytes: 0 } });
  }
}

/** A content's name: the digest of the digests of its pieces. */
async function nameOf(body: Uint8Array<ArrayBuffer>): Promise<string> {
  const pieces = parts(body, PIECE_BYTES);
  const digests = new Uint8Array(pieces.length * DIGEST_BYTES);
  const add = async (piece: Uint8Array<ArrayBuffer>, at: number) =>
    digests.set(new Uint8Array(await crypto.subtle.digest("SHA-256", piece)), at * DIGEST_BYTES);
  await Promise.all(pieces.map(add));
  return digest(digests);
}

/** Puts a content into the secondary cache; false when there is no room. */
async function keep(asset: ShelfAsset, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
  try {
    const cache = await caches.open(CACHE);
    const segments = parts(body, SEGMENT_BYTES);
    const put = (bytes: Uint8Array<ArrayBuffer>, segment: number) =>
      cache.put(segmentKey(asset.hash, segment), segmentResponse(bytes, bytes.length, asset));
    await Promise.all(segments.map(put));
    return true;
  } catch {
    return false;
  }
}

/** A body cut up: at least one part, all but the last of the same size. */
function parts(body: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer>[] {
  const count = Math.max(1, Math.ceil(body.length / size));
  return Array.from({ length: count }, (_, part) => body.subarray(part * size, (part + 1) * size));
}
