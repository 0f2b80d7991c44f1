import { CACHE, FOLDER } from "../shared/storage";
import { pause } from "./pause";

declare const self: ServiceWorkerGlobalScope;

/** How long a tab may take until it runs the snippet, in milliseconds. */
const ALIVE_MS = 20_000;
/** How long a tab that runs it may take to say so, in milliseconds. */
const REPLY_MS = 5_000;
/** So many tabs in a row without the snippet mean that the site no longer uses it. */
const MISSED_MOST = 3;

/** Where tabs are counted that no longer run the snippet. */
const MISSED_KEY = `${FOLDER}missed`;

const seen = new Set<string>();
const alive = new Set<string>();

/** A tab runs the snippet. */
export async function isAlive(tab: string): Promise<void> {
  alive.add(tab);
  await count(() => 0);
}

/** Watches whether a tab that asks for something runs the snippet, and leaves the site when tabs no longer do. */
export async function watch(id: string): Promise<void> {
  if (!id || seen.has(id)) return;
  seen.add(id);
  await pause(ALIVE_MS);
  const tab = (await self.clients.get(id)) as WindowClient | undefined;
  if (alive.has(id) || tab?.frameType !== "top-level") return;
  // It may have told a worker that has been stopped since.
  tab.postMessage({ edgeweave: "who" });
  await pause(REPLY_MS);
  if (alive.has(id) || (await count((missed) => missed + 1)) < MISSED_MOST) return;
  await caches.delete(CACHE);
  await self.registration.unregister();
}

let counting: Promise<number> | undefined;

/** Changes how many tabs in a row had no snippet, and returns it; it outlives the worker. */
function count(change: (missed: number) => number): Promise<number> {
  const changed = async () => {
    const before = Number((await (await caches.match(MISSED_KEY, { cacheName: CACHE }))?.text()) ?? 0);
    const after = change(before);
    if (after !== before) await (await caches.open(CACHE)).put(MISSED_KEY, new Response(String(after)));
    return after;
  };
  // One after the other, so that no tab is lost from the count. Without storage nobody is counted.
  counting = (counting ?? Promise.resolve(0)).then(changed).catch(() => 0);
  return counting;
}
