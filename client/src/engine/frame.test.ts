import { expect, test } from "vitest";
import { splitFrame } from "./frame";

const bytes = (...values: number[]) => new Uint8Array(values);
const message = (...values: number[]) => bytes(...values).buffer;

test("a piece's payload is kept apart from its header", () => {
  const { header, payload } = splitFrame(message(4, 1, 0, 0, 0, 2, 0, 0, 0, 77, 78));
  expect(header).toEqual(bytes(4, 1, 0, 0, 0, 2, 0, 0, 0));
  expect(payload).toEqual(new Uint8Array([77, 78]));
});

test("anything else is all header, and text is no frame", () => {
  expect(splitFrame(message(6, 1, 0, 0, 0))).toEqual({ header: bytes(6, 1, 0, 0, 0), payload: null });
  expect(splitFrame(message())).toEqual({ header: bytes(), payload: null });
  expect(splitFrame(new ArrayBuffer(70_000))).toEqual({ header: bytes(), payload: null });
  expect(splitFrame("hello")).toEqual({ header: bytes(), payload: null });
});

test("a piece without all of its header has an empty payload", () => {
  expect(splitFrame(message(4, 1))).toEqual({ header: bytes(4, 1), payload: new Uint8Array() });
});
