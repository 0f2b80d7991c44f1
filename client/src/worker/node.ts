import type { Known } from "../shared/wire";

export const { base, site } = (globalThis as unknown as { __edgeweave: Known }).__edgeweave;

/** Asks the node for something that is the same for everybody. */
export function askNode(path: string, signal: AbortSignal): Promise<Response> {
  return fetch(base + path, { signal, credentials: "omit" });
}
