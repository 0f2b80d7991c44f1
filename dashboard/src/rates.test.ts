import { expect, test } from "vitest";
import type { Sample } from "./api";
import { rates } from "./rates";

function sample(at_ms: number, peers: number): Sample {
  const none = { cache: 0, peers: 0, supernode: 0, origin: 0 };
  const traffic = { requests: none, bytes: { ...none, peers }, uploaded: 0, replicated: 0, replicated_used: 0 };
  return { at_ms, crowd: 2, holders: 1, assets: 1, introductions: 0, traffic };
}

test("rates are what came between samples, a second", () => {
  const [first, second] = rates([sample(0, 0), sample(5_000, 10_000), sample(10_000, 10_000)]);
  expect([first?.peers, second?.peers, first?.at]).toEqual([2_000, 0, 5]);
});

test("a counter that begins anew is no negative rate", () => {
  expect(rates([sample(0, 10_000), sample(5_000, 5)])[0]?.peers).toBe(0);
});
