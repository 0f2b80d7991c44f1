import type { Shelf } from "../generated/Shelf";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { answerOf, CACHE, SEGMENT_BYTES, SHELF_KEY, STATE_KEY, segmentKey, segmentResponse } from "../shared/storage";
import type { Concern } from "./concerns";
import { bytesOf } from "./range";

/** What the worker knows of the site's assets. */
export interface Known {
  shelf: Shelf;
  /** What is admitted, by its URL. */
  assets: Map<string, ShelfAsset>;
}

let known: Known | undefined;
let loaded = false;
const loading = load();

/**
 * Whether an asset is, or may be, admitted under this URL. Before the storage is read nobody knows, and what is the
 * site's own waits for that. What is others' does not: the worker's policy may forbid it what the page's allows.
 */
export function mayKnow(url: string): boolean {
  return known ? known.assets.has(url) : !loaded && url.startsWith(`${location.origin}/`);
}

/** Waits until what an earlier worker knew has been read. */
export async function shelfLoaded(): Promise<Known | undefined> {
  await loading;
  return known;
}

/** The engine says what may be known from now on, also by the workers to come. */
export function setShelf(told: string): void {
  know(JSON.parse(told) as Shelf);
  keep(SHELF_KEY, told);
}

/** Keeps the engine's memory for the engines to come. */
export function keepState(state: BodyInit): void {
  keep(STATE_KEY, state);
}

function know(shelf: Shelf): void {
  known = { shelf, assets: new Map(shelf.assets.map((asset) => [asset.url, asset])) };
}

/** Where the cache is gone, the visitor wants nothing kept. Without room, what comes next begins with less. */
function keep(key: string, value: BodyInit): void {
  const put = async (there: boolean) => there && (await caches.open(CACHE)).put(key, new Response(value));
  void caches
    .has(CACHE)
    .then(put)
    .catch(() => undefined);
}

async function load(): Promise<void> {
  try {
    // Opening the cache would make one, where the visitor wants nothing kept.
    const stored = await caches.match(SHELF_KEY, { cacheName: CACHE });
    if (stored && !known) know((await stored.json()) as Shelf);
  } catch {
    // Without storage the worker knows nothing until an engine tells it.
  } finally {
    loaded = true;
  }
}

/** Answers from the secondary cache; nothing when the asset is not held whole, or not fresh. */
export async function fromCache({ url, range }: Concern): Promise<Response | undefined> {
  const asset = known?.assets.get(url);
  if (!asset?.held || asset.fresh_until_ms <= Date.now()) return undefined;
  const wanted = bytesOf(range, asset.size);
  // What is missing has no parts.
  if (!wanted || (range && asset.status >= 400)) return undefined;
  const parts: Blob[] = [];
  const last = Math.max(0, Math.ceil(wanted.end / SEGMENT_BYTES) - 1);
  for (let segment = Math.floor(wanted.first / SEGMENT_BYTES); segment <= last; segment += 1) {
    // Opening the cache first would be another way to the browser's process and back, for each of a page's requests.
    const stored = await caches.match(segmentKey(asset.hash, segment), { cacheName: CACHE });
    if (!stored) return undefined;
    // Most assets are one segment, stored with their headers: the browser takes that from the disk by itself. The page
    // waits for nothing that the worker has to do, and the storage has a response whole or not at all.
    if (!range && alike(stored, answerOf(asset, null, asset.size))) return stored;
    const start = segment * SEGMENT_BYTES;
    // A blob stays on disk: slicing it reads nothing.
    parts.push((await stored.blob()).slice(Math.max(0, wanted.first - start), wanted.end - start));
  }
  const body = new Blob(parts);
  if (body.size !== wanted.end - wanted.first) return undefined;
  const whole = answerOf(asset, body, body.size);
  if (range) {
    whole.headers.set("content-range", `bytes ${wanted.first}-${wanted.end - 1}/${asset.size}`);
    return new Response(body, { status: 206, headers: whole.headers });
  }
  // It was stored before its asset was known, or with headers that have changed: the next time it will be ready.
  if (last === 0) {
    const put = (cache: Cache) => cache.put(segmentKey(asset.hash, 0), segmentResponse(body, asset));
    void caches
      .open(CACHE)
      .then(put)
      .catch(() => undefined);
  }
  return whole;
}

function alike(a: Response, b: Response): boolean {
  return a.status === b.status && String([...a.headers]) === String([...b.headers]);
}
