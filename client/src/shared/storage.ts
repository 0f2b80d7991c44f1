import { PIECE_BYTES, SEGMENT_PIECES } from "../generated/limits";
import type { ShelfAsset } from "../generated/ShelfAsset";

/** The name of our cache in the browser's Cache Storage. */
export const CACHE = "edgeweave";

/** Where what is ours is stored: in full, because the engine's thread has no address that others are relative to. */
export const FOLDER = `${globalThis.origin}/.edgeweave/`;

/** Where a segment of a content is stored. */
export function segmentKey(hash: string, segment: number): string {
  return `${FOLDER}${hash}/${segment}`;
}

/** Where the worker's snapshot is stored. */
export const SHELF_KEY = `${FOLDER}shelf`;
/** Where the engine's memory is stored. */
export const STATE_KEY = `${FOLDER}state`;

/** Reads a segment's key back; nothing for other keys. */
export function segmentOf(url: string): { hash: string; segment: number } | undefined {
  const [hash, segment] = url.slice(FOLDER.length).split("/");
  return hash && segment ? { hash, segment: Number(segment) } : undefined;
}

/** The bytes of a full segment. */
export const SEGMENT_BYTES = PIECE_BYTES * SEGMENT_PIECES;

/** A segment as it is stored: one that is a whole asset, where that is known, is ready to be answered with. */
export function segmentResponse(segment: BodyInit, asset?: ShelfAsset): Response {
  const isWhole = asset && asset.size <= SEGMENT_BYTES;
  return isWhole ? answerOf(asset, segment, asset.size) : new Response(segment);
}

/** An asset as the origin answers with it, or so many bytes of it. */
export function answerOf(asset: ShelfAsset, body: BodyInit | null, bytes: number): Response {
  const headers = new Headers(asset.headers);
  headers.set("content-length", String(bytes));
  return new Response(body, { status: asset.status, headers });
}
