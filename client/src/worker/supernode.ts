import { MAX_TOGETHER, PIECE_BYTES } from "../generated/limits";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { DIGEST_BYTES, digest } from "../shared/digest";
import { answerOf, CACHE, SEGMENT_BYTES, segmentKey, segmentResponse } from "../shared/storage";
import type { Concern } from "./concerns";
import { tell } from "./link";
import { askNode, base } from "./node";
import { pause } from "./pause";
import type { Known } from "./shelf";

/** Larger contents are left to the origin, whose answer need not be complete before the page gets any of it. */
const SIZE_MOST = 8 * 1024 * 1024;
/** Who waits behind others, or for much, waits so many times as long at most. */
const QUEUE_TIMES = 10;
/** While the origin is tried, others wait so many times as long more at most. */
const TRIAL_TIMES = 3;
/** A supernode that failed is left alone for so long, in milliseconds: a page has many requests, and each would wait. */
const LEFT_ALONE_MS = 30_000;

/** What came is kept when nobody waits for more; whether anybody does is looked at so often, in milliseconds. */
const QUIET_MS = 100;
/** It is kept all the same so long after it was wanted, in milliseconds: a page may never have enough, and memory is short. */
const KEPT_WITHIN_MS = 5_000;

/** So many connections to a host that speaks HTTP/1.1 browsers open at a time; who comes later waits for one. */
const CONNECTIONS = 6;
/** Over HTTP/2 and later it is as many requests. */
const STREAMS = 100;

/** A content that a request waits for. */
interface Wanted {
  asset: ShelfAsset;
  began: number;
  /** Whether it had to wait for a connection, which says nothing about how quick the supernode is. */
  queued: boolean;
  settle(answer?: Response): void;
  /** It is waited for no more. */
  closed?: () => void;
}

let leftAloneUntil = 0;
/** Everything that is waited for; what of it has not been asked for; and answers that are under way. */
const all = new Set<Wanted>();
let waiting: Wanted[] = [];
let open = 0;
let most = CONNECTIONS;
/** When something came last. */
let heard = 0;
/** What is tried at the origin, and since when, while the supernode stands still. */
let trial: { url: string; began: number } | undefined;
/**
 * What is kept, one after the other, when nobody waits any more: the storage takes as long as the supernode does, of the
 * same processor.
 */
let keeping = Promise.resolve();

new PerformanceObserver((list) => {
  for (const { name, nextHopProtocol } of list.getEntries() as PerformanceResourceTiming[]) {
    if (name.startsWith(base) && /^h\d/.test(nextHopProtocol)) most = STREAMS;
  }
}).observe({ type: "resource" });

/** Whether the supernode is left alone for now. */
export function isLeftAlone(): boolean {
  return performance.now() < leftAloneUntil;
}

/**
 * The origin has answered, well or not: where it was tried, and the supernode has said nothing meanwhile, that is slower
 * indeed, and not this computer, or the network, for both. Then nobody waits for it any more.
 */
export function originAnswered(url: string, well: boolean): void {
  if (trial?.url !== url) return;
  if (well && heard < trial.began) {
    leaveAlone();
    for (const { settle } of all) settle();
  }
  trial = undefined;
}

function leaveAlone(): void {
  leftAloneUntil = performance.now() + LEFT_ALONE_MS;
}

/** Answers from the supernode, whole and verified; nothing when it does not have the content, or is slow. */
export async function fromSupernode({ url, range }: Concern, known: Known, signal: AbortSignal) {
  const asset = known.assets.get(url);
  const patience = known.shelf.supernode_ms;
  if (patience === 0 || isLeftAlone() || range || !asset || asset.size > SIZE_MOST) return undefined;
  return new Promise<Response | undefined>((resolve) => {
    let timer = 0;
    const began = performance.now();
    const wanted: Wanted = {
      asset,
      began,
      queued: open >= most,
      settle(answer) {
        all.delete(wanted);
        clearTimeout(timer);
        resolve(answer);
        wanted.closed?.();
      },
    };
    signal.addEventListener("abort", () => wanted.settle());
    // While it answers others, a supernode is not slow; but a long queue is. When it stands still, one request tells
    // whether the origin is quicker.
    const wait = () => {
      const now = performance.now();
      const last = began + QUEUE_TIMES * patience;
      const due = Math.max(began, heard, trial ? trial.began + TRIAL_TIMES * patience : 0) + patience;
      const next = Math.min(due, last);
      if (now < next) timer = setTimeout(wait, next - now);
      else {
        if (now < last) trial ??= { url, began: now };
        missed("stalled", url);
        wanted.settle();
      }
    };
    wait();
    all.add(wanted);
    waiting.push(wanted);
    ask();
  });
}

/** Asks for those who wait: each connection that is free has its share of them in one answer. */
function ask(): void {
  if (isLeftAlone()) for (const { settle } of waiting) settle();
  waiting = waiting.filter((wanted) => all.has(wanted));
  while (waiting.length > 0 && open < most) {
    const share = Math.min(MAX_TOGETHER, Math.ceil(waiting.length / (most - open)));
    open += 1;
    void bring(waiting.splice(0, share)).finally(() => {
      open -= 1;
      ask();
    });
  }
}

/** Brings contents in one answer, one after the other: `GET /asset/HASH` or `GET /asset/HASH,HASH…`. */
async function bring(wanted: Wanted[]): Promise<void> {
  const ending = new AbortController();
  // Ending what has ended does nothing, so nobody is told to do otherwise.
  const closed = () => wanted.some((each) => all.has(each)) || ending.abort();
  for (const each of wanted) each.closed = closed;
  // The names say what the contents are: what comes is what was asked for, or is not used.
  const names = wanted.map(({ asset }) => asset.hash);
  try {
    const response = await askNode(`/asset/${names}`, ending.signal);
    heard = performance.now();
    const first = heard;
    const read = response.ok && response.body ? reader(response.body) : undefined;
    // Before several contents comes a byte for each: zero where it is not held.
    const held = names.length > 1 ? await read?.(names.length) : undefined;
    for (const [at, each] of wanted.entries()) {
      const { asset, began, queued, settle } = each;
      const body = held?.[at] === 0 ? undefined : await read?.(asset.size);
      if (body && (await nameOf(body)) !== asset.hash) {
        missed("wrong_piece", asset.url);
        return leaveAlone();
      }
      if (!body) missed("not_held", asset.url);
      // Who waits no more has gone to the origin, or is gone.
      if (!all.has(each)) continue;
      const since = (then: number) => Math.round(then - began);
      const first_byte_ms = queued ? null : since(first);
      const served = { hash: asset.hash, bytes: asset.size, first_byte_ms, total_ms: since(performance.now()) };
      if (body) {
        tell({ supernode: { url: asset.url, served } });
        keeping = keeping.then(() => keep(asset, body, began + KEPT_WITHIN_MS));
      }
      settle(body && answerOf(asset, body, body.length));
    }
  } catch {
    if (!ending.signal.aborted) {
      missed("connect_failed", names[0]);
      leaveAlone();
    }
  } finally {
    for (const { settle } of wanted) settle();
  }
}

/** Says why the supernode has not answered. */
function missed(reason: "wrong_piece" | "not_held" | "stalled" | "connect_failed", what?: string): void {
  tell({ note: { event: "fallback", reason, about: `supernode: ${what}`, bytes: 0 } });
}

/** Reads a body, so many bytes at a time; nothing when it has ended. */
function reader(body: ReadableStream<Uint8Array>) {
  const chunks = body.getReader();
  let chunk = new Uint8Array();
  return async (size: number) => {
    const bytes = new Uint8Array(size);
    for (let filled = 0; filled < size; ) {
      if (chunk.length === 0) {
        const { value } = await chunks.read();
        if (!value) return undefined;
        heard = performance.now();
        chunk = value as Uint8Array<ArrayBuffer>;
      }
      const part = chunk.subarray(0, size - filled);
      bytes.set(part, filled);
      filled += part.length;
      chunk = chunk.subarray(part.length);
    }
    return bytes;
  };
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

/** Puts a content into the secondary cache when nobody waits any more, or it is late; nothing is said when there is no room. */
async function keep(asset: ShelfAsset, body: Uint8Array<ArrayBuffer>, latest: number): Promise<void> {
  while (all.size > 0 && performance.now() < latest) await pause(QUIET_MS);
  const { hash } = asset;
  const put = async (cache: Cache, bytes: Uint8Array<ArrayBuffer>, segment: number) => {
    await cache.put(segmentKey(hash, segment), segmentResponse(bytes, asset));
    tell({ stored: { hash, segment } });
  };
  try {
    const cache = await caches.open(CACHE);
    await Promise.all(parts(body, SEGMENT_BYTES).map((bytes, segment) => put(cache, bytes, segment)));
  } catch {
    // What is not kept is asked for again.
  }
}

/** A body cut up: at least one part, all but the last of the same size. */
function parts(body: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer>[] {
  const count = Math.max(1, Math.ceil(body.length / size));
  return Array.from({ length: count }, (_, part) => body.subarray(part * size, (part + 1) * size));
}
