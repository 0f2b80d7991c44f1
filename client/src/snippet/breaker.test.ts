import { beforeEach, expect, test, vi } from "vitest";
import { breakerOpen, openFor, strike, worked } from "./breaker";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
});

test("the breaker stays open longer with every failure, up to a day", () => {
  expect([1, 2, 3].map(openFor)).toEqual([MINUTE, 2 * MINUTE, 4 * MINUTE]);
  expect(openFor(1_000)).toBe(DAY);
});

test("a failure opens it for a while, and the next one for longer", () => {
  expect(breakerOpen(0)).toBe(false);
  strike(0, "client_error");
  expect(breakerOpen(MINUTE - 1)).toBe(true);
  expect(breakerOpen(MINUTE)).toBe(false);
  strike(MINUTE, "client_error");
  expect(breakerOpen(3 * MINUTE - 1)).toBe(true);
  expect(breakerOpen(3 * MINUTE)).toBe(false);
});

test("a client that has worked, or has not failed for long, begins anew", () => {
  strike(0, "client_error");
  worked();
  expect(breakerOpen(0)).toBe(false);
  strike(0, "client_error");
  strike(30 * DAY, "client_error");
  expect(breakerOpen(30 * DAY + MINUTE)).toBe(false);
});

test("where storage is blocked, the breaker lasts as long as the page", () => {
  const blocked = () => {
    throw new DOMException("blocked", "SecurityError");
  };
  vi.stubGlobal("localStorage", { getItem: blocked, setItem: blocked });
  strike(0, "client_error");
  expect(breakerOpen(1)).toBe(true);
});
