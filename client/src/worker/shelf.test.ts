import { beforeEach, expect, test, vi } from "vitest";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { answerOf, SEGMENT_BYTES, SHELF_KEY, segmentKey } from "../shared/storage";

const stored = new Map<string, Response>();
const cache = {
  match: async (key: string) => stored.get(key)?.clone(),
  put: async (key: string, response: Response) => void stored.set(key, response),
};
let lent = true;
vi.stubGlobal("caches", {
  has: async () => lent,
  open: async () => cache,
  match: (key: string) => cache.match(key),
});
const { fromCache, setShelf } = await import("./shelf");

const URL = "https://site.example/picture.png";

function shelve(size: number, headers: [string, string][]): ShelfAsset {
  const asset = { url: URL, hash: "h", size, fresh_until_ms: Date.now() + 60_000, status: 200, headers, held: true };
  setShelf(JSON.stringify({ patience_ms: 0, rescue_patience_ms: 0, supernode_ms: 0, assets: [asset] }));
  return asset;
}

function store(segment: number, bytes: Uint8Array<ArrayBuffer>, headers?: Headers): Response {
  const response = new Response(bytes, { headers });
  stored.set(segmentKey("h", segment), response);
  return response;
}

beforeEach(() => {
  stored.clear();
  lent = true;
});

test("what is known is kept for the next worker", async () => {
  const asset = shelve(3, []);
  await vi.waitFor(async () => expect(await stored.get(SHELF_KEY)?.clone().json()).toMatchObject({ assets: [asset] }));
});

test("nothing is kept where the cache is gone: the visitor wants that", async () => {
  lent = false;
  shelve(3, []);
  await new Promise((looked) => setTimeout(looked));
  expect([...stored.keys()]).toEqual([]);
});

test("an asset of one segment is given as it is stored", async () => {
  const asset = shelve(3, [["content-type", "image/png"]]);
  store(0, new Uint8Array([1, 2, 3]), answerOf(asset, null, 3).headers);
  const blob = vi.spyOn(Response.prototype, "blob");
  const answer = await fromCache({ url: URL, range: null });
  expect(blob).not.toHaveBeenCalled();
  blob.mockRestore();
  expect(answer?.headers.get("content-type")).toBe("image/png");
  expect(new Uint8Array((await answer?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]));
});

test("what was stored under other headers is given with the asset's, and kept with them", async () => {
  const asset = shelve(3, [["content-type", "image/png"]]);
  for (const headers of [
    undefined,
    answerOf({ ...asset, headers: [["content-type", "text/plain"]] }, null, 3).headers,
  ]) {
    store(0, new Uint8Array([1, 2, 3]), headers);
    const answer = await fromCache({ url: URL, range: null });
    expect(answer?.headers.get("content-type")).toBe("image/png");
    expect(new Uint8Array((await answer?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([1, 2, 3]));
    await vi.waitFor(() => expect(stored.get(segmentKey("h", 0))?.headers.get("content-type")).toBe("image/png"));
  }
});

test("a range is cut out of what is stored", async () => {
  const asset = shelve(3, [["content-type", "video/mp4"]]);
  store(0, new Uint8Array([1, 2, 3]), answerOf(asset, null, 3).headers);
  const answer = await fromCache({ url: URL, range: { first: 1, last: null } });
  expect(answer?.status).toBe(206);
  expect(answer?.headers.get("content-range")).toBe("bytes 1-2/3");
  expect(new Uint8Array((await answer?.arrayBuffer()) ?? [])).toEqual(new Uint8Array([2, 3]));
});

test("an asset of two segments is put together, and nothing is given when one is missing", async () => {
  const asset = shelve(SEGMENT_BYTES + 1, []);
  store(0, new Uint8Array(SEGMENT_BYTES), answerOf(asset, null, SEGMENT_BYTES).headers);
  expect(await fromCache({ url: URL, range: null })).toBe(undefined);
  store(0, new Uint8Array(SEGMENT_BYTES), answerOf(asset, null, SEGMENT_BYTES).headers);
  store(1, new Uint8Array([7]), answerOf(asset, null, 1).headers);
  const answer = await fromCache({ url: URL, range: null });
  expect(answer?.headers.get("content-length")).toBe(String(SEGMENT_BYTES + 1));
  expect((await answer?.arrayBuffer())?.byteLength).toBe(SEGMENT_BYTES + 1);
});
