import { expect, test } from "vitest";
import { bytesOf, parseRange } from "./range";

test("a range that begins somewhere is read, any other is not ours", () => {
  expect(parseRange("bytes=0-")).toEqual({ first: 0, last: null });
  expect(parseRange("bytes=5-9")).toEqual({ first: 5, last: 9 });
  for (const other of ["bytes=-5", "bytes=0-1,4-5", "items=0-1", "bytes=a-b", ""])
    expect(parseRange(other)).toBeUndefined();
});

test("a range asks for what the content has of it", () => {
  expect(bytesOf(null, 0)).toEqual({ first: 0, end: 0 });
  expect(bytesOf({ first: 5, last: null }, 10)).toEqual({ first: 5, end: 10 });
  expect(bytesOf({ first: 5, last: 500 }, 10)).toEqual({ first: 5, end: 10 });
  expect(bytesOf({ first: 10, last: null }, 10)).toBeUndefined();
});
