import { PIECE_BYTES } from "../generated/limits";

/**
 * Cuts a stream into pieces; the last one is what is left, and an empty stream is one empty piece. It reads through a
 * reader, because Safari cannot iterate over a stream
 * (https://developer.mozilla.org/docs/Web/API/ReadableStream#browser_compatibility).
 */
export async function* pieces(
  stream: ReadableStream<Uint8Array>,
  /** Bytes to leave out at the beginning. */
  skip = 0,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  let piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  let any = false;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      let chunk = read.value.subarray(Math.min(skip, read.value.length));
      skip -= read.value.length - chunk.length;
      while (chunk.length > 0) {
        const taken = chunk.subarray(0, PIECE_BYTES - filled);
        piece.set(taken, filled);
        filled += taken.length;
        chunk = chunk.subarray(taken.length);
        if (filled < PIECE_BYTES) continue;
        yield piece;
        any = true;
        piece = new Uint8Array(PIECE_BYTES);
        filled = 0;
      }
    }
    if (filled > 0 || !any) yield piece.slice(0, filled);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
