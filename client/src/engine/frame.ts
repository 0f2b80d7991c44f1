/** The first byte of a piece's frame, and the length of its header (`protocol/src/frame.rs`). */
const PIECE_KIND = 4;
const PIECE_HEADER_BYTES = 9;

/** The longest message that is no piece (`MAX_FRAME_HEADER_BYTES`). */
const HEADER_MOST = 4096;

/** A message between neighbours as the engine wants it: a piece's payload stays outside. */
export interface Frame {
  header: Uint8Array<ArrayBuffer>;
  payload: Uint8Array<ArrayBuffer> | null;
}

/** Splits what arrived on a channel. What is no frame is shown to the engine as an empty one, for which it parts. */
export function splitFrame(data: ArrayBuffer | string): Frame {
  const bytes = typeof data === "string" ? new Uint8Array() : new Uint8Array(data);
  if (bytes[0] === PIECE_KIND)
    return { header: bytes.subarray(0, PIECE_HEADER_BYTES), payload: bytes.subarray(PIECE_HEADER_BYTES) };
  return { header: bytes.length > HEADER_MOST ? new Uint8Array() : bytes, payload: null };
}
