import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { digest } from "../shared/digest";
import type { Known } from "./shelf";

let known: Known;
/** Whether a tab leads. */
let isLed: boolean;

vi.mock("./link", () => ({ leader: async () => (isLed ? {} : undefined) }));
vi.mock("./shelf", () => ({ shelfLoaded: async () => known }));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  Object.assign(globalThis, { __edgeweave: { base: "https://node" } });
  known = { shelf: { supernode_ms: 300, assets: [] as ShelfAsset[] } as Known["shelf"], assets: new Map() };
  isLed = false;
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A node that says what is admitted, and counts how often it is asked. */
async function node(says: () => Promise<Response>) {
  const asked: string[] = [];
  vi.stubGlobal("location", { host: "site.example" });
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    return says();
  });
  vi.resetModules();
  const { askAhead, isStillAdmitted } = await import("./admitted");
  const isAdmitted = (url: string) => isStillAdmitted({ url, range: null }, known);
  return { asked, isAdmitted, askAhead };
}

/** Holds an asset of a hash. */
function hold(url: string, hash: string, fresh_until_ms = Number.POSITIVE_INFINITY): void {
  const asset = { hash, held: true, fresh_until_ms } as ShelfAsset;
  known.assets.set(url, asset);
  known.shelf.assets.push(asset);
}

/** What the node calls an asset. */
async function nameOf(url: string, hash: string): Promise<string> {
  return (await digest(new TextEncoder().encode(`${url}\n${hash}`))).slice(0, 8);
}

test("the node is asked once whether what is held is admitted still", async () => {
  hold("/kept", "yesterday's");
  hold("/purged", "this morning's");
  hold("/stale", "last week's", 0);
  known.assets.set("/known", { hash: "another's" } as ShelfAsset);
  const names = [await nameOf("/another", "this morning's"), await nameOf("/kept", "yesterday's")].join("\n");
  const { asked, isAdmitted } = await node(async () => new Response(names));
  const urls = ["/kept", "/purged", "/stale", "/known", "/unknown"];
  expect(await Promise.all(urls.map(isAdmitted))).toEqual([true, false, false, false, false]);
  expect(asked).toEqual(["https://node/mesh/admitted?site=site.example"]);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(await isAdmitted("/kept")).toBe(true);
  expect(asked).toHaveLength(2);
});

test("the node is asked before anything is asked for, where that will be needed", async () => {
  const { asked, askAhead, isAdmitted } = await node(async () => new Response(await nameOf("/kept", "yesterday's")));
  await askAhead();
  expect(asked).toEqual([]);
  hold("/kept", "yesterday's");
  isLed = true;
  await askAhead();
  expect(asked).toEqual([]);
  isLed = false;
  await askAhead();
  expect(asked).toHaveLength(1);
  expect(await isAdmitted("/kept")).toBe(true);
  expect(asked).toHaveLength(1);
});

const SILENT: [string, () => Promise<Response>][] = [
  ["has no list", async () => new Response("", { status: 404 })],
  ["fails", () => Promise.reject(new TypeError("connection refused"))],
];

test.each(SILENT)("a node that %s is not asked again for a while, and nothing is used", async (_how, says) => {
  hold("/kept", "yesterday's");
  const { asked, isAdmitted } = await node(says);
  expect(await isAdmitted("/kept")).toBe(false);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await isAdmitted("/kept")).toBe(false);
  expect(asked).toHaveLength(1);
});
