import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { digest } from "../shared/digest";
import type { Known } from "./shelf";

const soon = setTimeout;
const told: unknown[] = [];
vi.mock("./link", () => ({ tell: (message: unknown) => told.push(message) }));
vi.mock("./shelf", () => ({ SEGMENT_BYTES: 1 }));

const COUNT = 20;
const PATIENCE_MS = 300;
/** What the supernode, far away and one answer after the other, takes for each. */
const EACH_MS = 100;
const body = new Uint8Array([1, 2, 3]);
let known: Known;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  Object.assign(globalThis, { __edgeweave: { base: "https://node" } });
  told.length = 0;
  const hash = await digest(new Uint8Array(await crypto.subtle.digest("SHA-256", body)));
  const asset = (at: number): [string, ShelfAsset] => [`/${at}`, { hash, size: body.length } as ShelfAsset];
  const assets = new Map(Array.from({ length: COUNT }, (_, at) => asset(at)));
  known = { shelf: { supernode_ms: PATIENCE_MS } as Known["shelf"], assets };
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A supernode that begins an answer every `each` milliseconds, and after so many of them says nothing more. */
function supernode(answers: number, each = EACH_MS): void {
  let asked = 0;
  vi.stubGlobal("fetch", (_url: string, { signal }: RequestInit) => {
    const turn = ++asked;
    return new Promise<Response>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      if (turn <= answers) setTimeout(() => resolve(new Response(body)), turn * each);
    });
  });
}

async function askForAll(): Promise<(Response | undefined)[]> {
  vi.resetModules();
  const { fromSupernode } = await import("./supernode");
  const ask = (url: string) => fromSupernode({ url, range: null }, known, new AbortController().signal);
  const all = Promise.all([...known.assets.keys()].map(ask));
  let done = false;
  void all.then(() => {
    done = true;
  });
  while (!done) {
    await vi.advanceTimersByTimeAsync(EACH_MS);
    // Digests are not computed by timers.
    await new Promise((later) => soon(later));
  }
  return all;
}

test("who waits behind others waits for as long as the supernode answers", async () => {
  supernode(COUNT);
  expect(await askForAll()).not.toContain(undefined);
  const times = () =>
    (told as { supernode: { served: { first_byte_ms: number | null } } }[]).map(
      ({ supernode: { served } }) => served.first_byte_ms,
    );
  await vi.waitFor(() => expect(told).toHaveLength(COUNT));
  // What waited for a connection says nothing about how quick the supernode is.
  expect(times().slice(0, 6)).toEqual([100, 200, 300, 400, 500, 600]);
  expect(new Set(times().slice(6))).toEqual(new Set([null]));
});

test("nobody waits in a long queue for ever", async () => {
  supernode(COUNT, 2 * EACH_MS);
  // After eleven times the patience, sixteen have been answered.
  expect((await askForAll()).filter((answer) => answer !== undefined)).toHaveLength(16);
});

test("a supernode that answers no more is not waited for", async () => {
  supernode(5);
  const answers = await askForAll();
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(5);
  expect(told).toContainEqual(expect.objectContaining({ note: expect.objectContaining({ reason: "stalled" }) }));
});
