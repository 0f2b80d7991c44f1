import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { digest } from "../shared/digest";
import type { Known } from "./shelf";

const soon = setTimeout;
const told: unknown[] = [];
vi.mock("./link", () => ({ tell: (message: unknown) => told.push(message) }));
vi.mock("./shelf", () => ({}));
vi.mock("../shared/storage", async (original) => ({ ...(await original<object>()), SEGMENT_BYTES: 1 }));

const COUNT = 20;
const PATIENCE_MS = 300;
/** What the supernode, far away and one answer after the other, takes for each. */
const EACH_MS = 100;
let body: Uint8Array<ArrayBuffer>;
let known: Known;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  Object.assign(globalThis, { __edgeweave: { base: "https://node" } });
  told.length = 0;
  await admit(COUNT, new Uint8Array([1, 2, 3]));
});

/** So many URLs have this content. */
async function admit(count: number, content: Uint8Array<ArrayBuffer>): Promise<void> {
  body = content;
  const hash = await digest(new Uint8Array(await crypto.subtle.digest("SHA-256", body)));
  const asset = (at: number): [string, ShelfAsset] => [
    `/${at}`,
    { url: `/${at}`, hash, size: body.length } as ShelfAsset,
  ];
  const assets = new Map(Array.from({ length: count }, (_, at) => asset(at)));
  known = { shelf: { supernode_ms: PATIENCE_MS } as Known["shelf"], assets };
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** What a supernode says to a request for one content, or for several: those that it lacks are marked. */
function answerTo(url: string, lacks = ""): Response {
  const names = url.split("/").pop()?.split(",") ?? [];
  if (names.length === 1) return new Response(body);
  const held = names.map((_, at) => Number(`${at}` !== lacks));
  const bodies = held.flatMap((isHeld) => (isHeld ? [...body] : []));
  return new Response(new Uint8Array([...held, ...bodies]));
}

/** A supernode that begins an answer every `each` milliseconds, and after so many of them says nothing more. */
function supernode(answers: number, each = EACH_MS, lacks = ""): string[] {
  const asked: string[] = [];
  let free = 0;
  vi.stubGlobal("fetch", (url: string, { signal }: RequestInit) => {
    const turn = asked.push(url);
    return new Promise<Response>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      free = Math.max(free, performance.now()) + each;
      if (turn <= answers) setTimeout(() => resolve(answerTo(url, lacks)), free - performance.now());
    });
  });
  return asked;
}

/** Asks for everything; what is left to the origin is answered by it after so many milliseconds. */
async function askForAll(originMs = 0): Promise<(Response | undefined)[]> {
  let digesting = 0;
  const compute = crypto.subtle.digest.bind(crypto.subtle);
  vi.spyOn(crypto.subtle, "digest").mockImplementation((...given) => {
    digesting += 1;
    return compute(...given).finally(() => {
      digesting -= 1;
    });
  });
  vi.resetModules();
  const { fromSupernode, originAnswered } = await import("./supernode");
  const ask = async (url: string) => {
    const answer = await fromSupernode({ url, range: null }, known, new AbortController().signal);
    if (!answer) setTimeout(() => originAnswered(url, true), originMs);
    return answer;
  };
  const all = Promise.all([...known.assets.keys()].map(ask));
  let done = false;
  void all.then(() => {
    done = true;
  });
  while (!done) {
    await vi.advanceTimersByTimeAsync(EACH_MS);
    // Digests are not computed by timers, and time stands still for them.
    do await new Promise((later) => soon(later));
    while (digesting > 0);
  }
  return all;
}

test("who comes later waits for those before, and is asked for together with others", async () => {
  const asked = supernode(COUNT);
  expect(await askForAll()).not.toContain(undefined);
  expect(asked.map((url) => url.split(",").length)).toEqual([1, 1, 1, 1, 1, 1, 14]);
  const times = () =>
    (told as { supernode: { served: { first_byte_ms: number | null } } }[]).map(
      ({ supernode: { served } }) => served.first_byte_ms,
    );
  await vi.waitFor(() => expect(told).toHaveLength(COUNT));
  // What waited for a connection says nothing about how quick the supernode is.
  expect(new Set(times())).toEqual(new Set([100, 200, 300, 400, 500, 600, null]));
  expect(times().filter((ms) => ms === null)).toHaveLength(COUNT - 6);
});

test("of several contents the one that the supernode lacks is left to the origin", async () => {
  supernode(COUNT, EACH_MS, "1");
  const answers = await askForAll();
  // The second of those that were asked for together.
  expect(answers.flatMap((answer, at) => (answer ? [] : [at]))).toEqual([7]);
  expect(await answers[8]?.bytes()).toEqual(body);
});

/** A secondary cache; returns when something was put into it. */
function cache(): number[] {
  const kept: number[] = [];
  const put = () => Promise.resolve(kept.push(performance.now()));
  vi.stubGlobal("caches", { open: () => Promise.resolve({ put }) });
  return kept;
}

test("what came is kept when nobody waits for more", async () => {
  supernode(COUNT);
  const kept = cache();
  expect(await askForAll()).not.toContain(undefined);
  expect(Math.min(...kept)).toBeGreaterThanOrEqual(performance.now() - EACH_MS);
  expect(told.filter((message) => "supernode" in (message as object))).toHaveLength(COUNT);
  await vi.advanceTimersByTimeAsync(COUNT * EACH_MS);
  const hash = known.assets.get("/0")?.hash;
  const segments = Array.from({ length: body.length }, (_, segment) => ({ stored: { hash, segment } }));
  expect(told).toEqual(expect.arrayContaining(segments));
  expect(told).toHaveLength(COUNT + COUNT * segments.length);
});

test("it is kept all the same when somebody waits for long", async () => {
  await admit(2, body);
  known.shelf.supernode_ms = 8_000;
  supernode(1);
  const kept = cache();
  const began = performance.now();
  await askForAll();
  expect(performance.now() - began).toBeGreaterThan(8_000);
  expect(Math.min(...kept) - began).toBeGreaterThanOrEqual(5_000);
  expect(Math.min(...kept) - began).toBeLessThan(5_300);
});

test("nobody waits in a long queue for ever", async () => {
  await admit(200, new Uint8Array([1, 2, 3]));
  supernode(200, PATIENCE_MS - 20);
  // After ten times the patience, ten requests have been answered, four of them for sixteen contents.
  expect((await askForAll()).filter((answer) => answer !== undefined)).toHaveLength(70);
});

test("a supernode that answers no more is not waited for", async () => {
  supernode(5);
  const answers = await askForAll();
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(5);
  expect(told).toContainEqual(expect.objectContaining({ note: expect.objectContaining({ reason: "stalled" }) }));
});

test("a supernode that stands still for as long as the origin does is not given up", async () => {
  // Its sixth answer takes a second.
  let asked = 0;
  let free = 0;
  vi.stubGlobal("fetch", (url: string) => {
    asked += 1;
    free = Math.max(free, performance.now()) + (asked === 6 ? 1_000 : EACH_MS);
    return new Promise((resolve) => setTimeout(() => resolve(answerTo(url)), free - performance.now()));
  });
  const answers = await askForAll(1_000);
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
});
