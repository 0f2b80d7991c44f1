import { CACHE, MISSED_KEY } from "../shared/storage";

declare const self: ServiceWorkerGlobalScope;

/** How long a tab may take until it runs the snippet, in milliseconds. */
const ALIVE_MS = 20_000;
/** So many tabs in a row without the snippet mean that the site no longer uses it. */
const MISSED_MOST = 3;

const seen = new Set<string>();
const alive = new Set<string>();

/** A tab runs the snippet. */
export async function isAlive(client: string): Promise<void> {
  alive.add(client);
  await count(0);
}

/** Watches whether a tab that asks for something runs the snippet, and leaves the site when tabs no longer do. */
export async function watch(client: string): Promise<void> {
  if (!client || seen.has(client)) return;
  seen.add(client);
  await new Promise((resolve) => setTimeout(resolve, ALIVE_MS));
  const tab = await self.clients.get(client);
  if (!tab || alive.has(client) || !("frameType" in tab) || tab.frameType !== "top-level") return;
  const missed = (await count()) + 1;
  await count(missed);
  if (missed < MISSED_MOST) return;
  await caches.delete(CACHE);
  await self.registration.unregister();
}

/** Reads how many tabs in a row had no snippet, or writes it. */
async function count(missed?: number): Promise<number> {
  try {
    const cache = await caches.open(CACHE);
    if (missed !== undefined) await cache.put(MISSED_KEY, new Response(String(missed)));
    return Number((await (await cache.match(MISSED_KEY))?.text()) ?? 0);
  } catch {
    return 0;
  }
}
