import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { storage } from "./storage";

const SEGMENT_BYTES = 1000;
let matched: string[];

beforeEach(() => {
  matched = [];
  const match = (key: string) => {
    matched.push(key);
    const content = new Uint8Array(SEGMENT_BYTES).fill(Number(key.at(-1)));
    return Promise.resolve(key.includes("lost") ? undefined : new Response(content));
  };
  const cache = { match, delete: () => Promise.resolve(true) };
  vi.stubGlobal("caches", { open: () => Promise.resolve(cache) });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test("segments that neighbours ask for in turn are read once", async () => {
  const store = await storage();
  for (let offset = 0; offset < SEGMENT_BYTES; offset += 100) {
    for (const segment of [1, 2, 3, 4]) {
      expect(await store.read("hash", segment, offset, 100)).toEqual(new Uint8Array(100).fill(segment));
    }
  }
  expect(matched).toHaveLength(4);
  await store.read("hash", 5, 0, 100);
  await store.read("hash", 2, 0, 100);
  expect(matched).toHaveLength(5);
  await store.read("hash", 1, 0, 100);
  expect(matched).toHaveLength(6);
  await store.drop("hash", [1]);
  await store.read("hash", 1, 0, 100);
  expect(matched).toHaveLength(7);
});

test("what is not there, or too short, is asked for again the next time", async () => {
  const store = await storage();
  for (const [hash, offset] of [
    ["lost", 0],
    ["hash", SEGMENT_BYTES - 50],
  ] as const) {
    matched = [];
    expect(await store.read(hash, 1, offset, 100)).toBeUndefined();
    expect(await store.read(hash, 1, offset, 100)).toBeUndefined();
    expect(matched).toHaveLength(2);
  }
});

test("a segment of which a part is gone is not stored", async () => {
  const stored: number[] = [];
  const put = async (_key: string, response: Response) => stored.push((await response.arrayBuffer()).byteLength);
  vi.stubGlobal("caches", { open: () => Promise.resolve({ put }) });
  const store = await storage();
  const part = () => new Uint8Array(100);
  expect(await store.store("hash", 0, [part(), part()])).toBeUndefined();
  expect(await store.store("hash", 1, [part(), undefined])).toBe("storage_failed");
  expect(stored).toEqual([200]);
});
