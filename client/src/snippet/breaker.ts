import type { Reason } from "../generated/Reason";
import { remember, settings } from "./settings";

/** How long the breaker stays open after the first failure, in milliseconds; it doubles with each further one. */
const FIRST_MS = 60_000;
/** The longest that it stays open. */
const MOST_MS = 24 * 3_600_000;
/** Failures that are further apart than this are not in a row, in milliseconds. */
const APART_MS = 7 * MOST_MS;

/** Whether the client has failed so recently that it stays out of the way. It survives reloads. */
export function breakerOpen(now: number): boolean {
  return now < (settings().openUntil ?? 0);
}

/** Counts a failure of the client itself. */
export function strike(now: number, why: Reason): void {
  const { strikes = 0, openUntil = 0 } = settings();
  const inRow = now < openUntil + APART_MS ? strikes + 1 : 1;
  remember({ strikes: inRow, openUntil: now + openFor(inRow), why });
}

/** The client has worked: failures are no longer in a row. */
export function worked(): void {
  if (settings().strikes) remember({ strikes: 0, openUntil: 0 });
}

/** How long the breaker stays open after so many failures in a row, in milliseconds. */
export function openFor(strikes: number): number {
  return Math.min(FIRST_MS * 2 ** (strikes - 1), MOST_MS);
}
