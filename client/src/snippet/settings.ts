import type { Reason } from "../generated/Reason";

/** What this browser remembers of the visitor's wishes and of our own failures. */
export interface Settings {
  /** The visitor's answer, once there is one. */
  consent?: boolean;
  /** The page turned the client off. */
  disabled?: boolean;
  /** Failures of the client in a row. */
  strikes?: number;
  /** Until when the circuit breaker is open, in milliseconds since 1970. */
  openUntil?: number;
  /** What the last failure was. */
  why?: Reason;
}

/** The name under which they are kept. */
export const SETTINGS_KEY = "edgeweave";

let fallback: Settings = {};

/** Reads the settings. Browsers that block storage throw on mere access: then they last as long as the page. */
export function settings(): Settings {
  try {
    return JSON.parse(localStorage.getItem(SETTINGS_KEY) ?? "{}") as Settings;
  } catch {
    return fallback;
  }
}

/** Changes some of them. */
export function remember(change: Settings): void {
  fallback = { ...settings(), ...change };
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(fallback));
  } catch {
    // They last as long as the page.
  }
}
