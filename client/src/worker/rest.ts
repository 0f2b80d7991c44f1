import { PIECE_BYTES } from "../generated/limits";
import { digest } from "../shared/digest";
import type { Head } from "../shared/wire";
import { tell } from "./link";
import type { Body } from "./mesh";

/** Characters of a digest in text. */
const DIGEST_CHARS = 43;

/**
 * Carries a response on from the origin. Every piece is verified, because what the page already has is the admitted
 * version, and the origin may have another by now.
 */
export async function restOf(request: Request, head: Head, position: number, body: Body): Promise<void> {
  if (position >= head.end) return body.end();
  const firstPiece = Math.floor(position / PIECE_BYTES);
  const start = firstPiece * PIECE_BYTES;
  const response = await fetch(request.url, {
    headers: { range: `bytes=${start}-${head.size - 1}` },
    credentials: request.credentials,
    mode: request.mode === "no-cors" ? "cors" : request.mode,
  });
  if (!response.ok || !response.body) throw new TypeError(`the origin answered ${response.status}`);
  // An origin that knows no ranges answers with everything.
  let skip = response.status === 206 ? 0 : start;
  let piece = firstPiece;
  let filled = 0;
  const buffer = new Uint8Array(PIECE_BYTES);

  const verified = async () => {
    const bytes = buffer.slice(0, filled);
    const expected = head.pieces.slice(piece * DIGEST_CHARS, (piece + 1) * DIGEST_CHARS);
    if ((await digest(bytes)) !== expected) {
      tell({ note: { event: "error", reason: "origin_changed", about: request.url, bytes: body.position() } });
      throw new TypeError("the origin has another version by now");
    }
    const offset = piece * PIECE_BYTES;
    const part = bytes.subarray(Math.max(0, body.position() - offset), Math.max(0, head.end - offset));
    if (part.length > 0) {
      await body.wanted();
      body.chunk(part);
    }
    piece += 1;
    filled = 0;
  };

  for await (let chunk of response.body as ReadableStream<Uint8Array>) {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    chunk = chunk.subarray(skipped);
    while (chunk.length > 0 && body.position() < head.end) {
      const taken = chunk.subarray(0, PIECE_BYTES - filled);
      buffer.set(taken, filled);
      filled += taken.length;
      chunk = chunk.subarray(taken.length);
      if (filled === PIECE_BYTES) await verified();
    }
    if (body.position() >= head.end) break;
  }
  if (filled > 0 && body.position() < head.end) await verified();
  if (body.position() < head.end) throw new TypeError("the origin's answer is short");
  body.end();
}
