import { expect, test } from "vitest";
import { PIECE_BYTES } from "../generated/limits";
import { digest } from "../shared/digest";
import { verified } from "./rest";

const SIZE = 2 * PIECE_BYTES + 500;
const content = new Uint8Array(SIZE).map((_, at) => at % 251);

async function digests(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) parts.push(await digest(bytes.slice(at, at + PIECE_BYTES)));
  return parts.join("");
}

/** What is taken out of an origin's answer, for a response that got as far as `position` and ends at `end`. */
async function rest(answer: Uint8Array<ArrayBuffer>, position: number, end: number, skip: number): Promise<number[]> {
  const head = { pieces: await digests(content), end };
  const taken: number[] = [];
  for await (const part of verified(new Blob([answer]).stream(), head, position, skip)) taken.push(...part);
  return taken;
}

test("a response is carried on at the exact byte", async () => {
  const position = PIECE_BYTES + 77;
  expect(await rest(content.slice(PIECE_BYTES), position, SIZE, 0)).toEqual([...content.slice(position)]);
});

test("an origin that knows no ranges sends everything, of which the beginning is left out", async () => {
  const position = PIECE_BYTES + 77;
  expect(await rest(content, position, SIZE, PIECE_BYTES)).toEqual([...content.slice(position)]);
});

test("a range ends where it must", async () => {
  expect(await rest(content, 10, 20, 0)).toEqual([...content.slice(10, 20)]);
  expect(await rest(content, 10, PIECE_BYTES + 1, 0)).toEqual([...content.slice(10, PIECE_BYTES + 1)]);
});

test("no byte of another version gets through", async () => {
  const changed = content.slice();
  changed[PIECE_BYTES + 5] = 255;
  const head = { pieces: await digests(content), end: SIZE };
  const taken: number[] = [];
  const carried = async () => {
    for await (const part of verified(new Blob([changed]).stream(), head, 0, 0)) taken.push(...part);
  };
  await expect(carried()).rejects.toThrow();
  expect(taken).toEqual([...content.slice(0, PIECE_BYTES)]);
});

test("an answer that is too short is not taken for complete", async () => {
  await expect(rest(content.slice(0, PIECE_BYTES), 0, SIZE, 0)).rejects.toThrow();
});
