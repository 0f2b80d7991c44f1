import type { Input } from "../generated/Input";
import { PIECE_BYTES, SEGMENT_PIECES } from "../generated/limits";
import type { Payloads } from "./payloads";

/** Payloads that may be kept while a copy is read: about four megabytes. */
const KEPT_MOST = 64;
const SEGMENT_BYTES = PIECE_BYTES * SEGMENT_PIECES;

/** Reads the browser's own copy of an asset, without the network, and hands it in by pieces. */
export async function adopt(
  asset: number,
  url: string,
  size: number,
  payloads: Payloads,
  handle: (input: Input) => void,
): Promise<void> {
  const piece = async (index: number, bytes: Uint8Array<ArrayBuffer>) => {
    await payloads.room(KEPT_MOST);
    handle({ adopted: { asset, piece: index, payload: payloads.keep(bytes) } });
  };
  try {
    const whole = await ownCopy(url);
    if (whole) {
      await cut(whole, 0, piece);
    } else if (size > SEGMENT_BYTES) {
      // A media element loads ranges, and the HTTP cache may have some of them.
      for (let first = 0; first < size; first += SEGMENT_BYTES) {
        const last = Math.min(first + SEGMENT_BYTES, size) - 1;
        const part = await ownCopy(url, `bytes=${first}-${last}`);
        if (part) await cut(part, first / PIECE_BYTES, piece);
      }
    }
  } catch {
    // There is no copy, or no longer.
  }
  handle({ adopt_ended: { asset } });
}

/** The HTTP cache's answer, if it has one. Its own mode exists for the page's origin only (Fetch standard, "cache mode"). */
async function ownCopy(url: string, range?: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
  const headers: HeadersInit = range ? { range } : {};
  const own = new URL(url).origin === location.origin;
  const how: RequestInit = own
    ? { cache: "only-if-cached", mode: "same-origin" }
    : { cache: "force-cache", mode: "cors", credentials: "omit" };
  const response = await fetch(url, { headers, ...how }).catch(() => undefined);
  const status = range ? 206 : 200;
  if (response?.status === status && response.body) return response.body;
  await response?.body?.cancel();
  return undefined;
}

async function cut(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  first: number,
  piece: (index: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  let index = first;
  let filled = 0;
  let buffer = new Uint8Array(PIECE_BYTES);
  for await (let chunk of stream) {
    while (chunk.length > 0) {
      const taken = chunk.subarray(0, PIECE_BYTES - filled);
      buffer.set(taken, filled);
      filled += taken.length;
      chunk = chunk.subarray(taken.length);
      if (filled === PIECE_BYTES) {
        await piece(index, buffer);
        index += 1;
        filled = 0;
        buffer = new Uint8Array(PIECE_BYTES);
      }
    }
  }
  // An empty content is one empty piece.
  if (filled > 0 || index === 0) await piece(index, buffer.slice(0, filled));
}
