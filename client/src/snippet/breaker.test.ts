import { expect, test } from "vitest";
import { openFor } from "./breaker";

test("the breaker stays open longer with every failure, up to a day", () => {
  expect([1, 2, 3].map(openFor)).toEqual([60_000, 120_000, 240_000]);
  expect(openFor(1_000)).toBe(24 * 3_600_000);
});
