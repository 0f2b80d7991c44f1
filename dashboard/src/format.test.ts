import { expect, test } from "vitest";
import { bytes, count, percent, words } from "./format";

test("bytes have three digits and the right unit", () => {
  expect([0, 999, 1000, 12_345, 999_600, 1_234_567_890].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "12.3 kB",
    "1.00 MB",
    "1.23 GB",
  ]);
});

test("a share of nothing is no number", () => {
  expect([percent(1, 3), percent(1, 1), percent(0, 1), percent(0, 0)]).toEqual(["33.3 %", "100 %", "0 %", "–"]);
});

test("counts and reasons are for people", () => {
  expect([count(1_234_567), words("no_holder")]).toEqual(["1,234,567", "no holder"]);
});
