import { expect, test } from "vitest";
import { PIECE_BYTES } from "../generated/limits";
import { pieces } from "./pieces";

/** A stream that hands over its bytes in chunks of this size. */
function streamOf(bytes: Uint8Array<ArrayBuffer>, chunk: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + chunk));
      at += chunk;
    },
  });
}

async function lengths(size: number, chunk: number, skip = 0): Promise<number[]> {
  const found: number[] = [];
  for await (const piece of pieces(streamOf(new Uint8Array(size), chunk), skip)) found.push(piece.length);
  return found;
}

test("a stream is cut into pieces, whatever its chunks are", async () => {
  for (const chunk of [1_000, PIECE_BYTES, 1_000_000]) {
    expect(await lengths(2 * PIECE_BYTES + 1, chunk)).toEqual([PIECE_BYTES, PIECE_BYTES, 1]);
    expect(await lengths(PIECE_BYTES, chunk)).toEqual([PIECE_BYTES]);
  }
});

test("an empty stream is one empty piece", async () => {
  expect(await lengths(0, 1)).toEqual([0]);
});

test("what is left out at the beginning does not count", async () => {
  expect(await lengths(3 * PIECE_BYTES, 7_777, 2 * PIECE_BYTES)).toEqual([PIECE_BYTES]);
  const bytes = new Uint8Array([1, 2, 3, 4]);
  for await (const piece of pieces(streamOf(bytes, 3), 2)) expect(piece).toEqual(new Uint8Array([3, 4]));
});
