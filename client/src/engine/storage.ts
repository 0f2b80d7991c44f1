import type { HeldSegment } from "../generated/HeldSegment";
import type { Reason } from "../generated/Reason";
import type { ShelfAsset } from "../generated/ShelfAsset";
import { CACHE, STATE_KEY, segmentKey, segmentOf, segmentResponse } from "../shared/storage";

/** Segments that are kept in memory after they were read: as many as neighbours who ask in turn for different ones. */
const RECENT_MOST = 4;

/** The secondary cache as the engine's body uses it. A browser that lends no storage has an empty one. */
export async function storage() {
  const cache = await caches.open(CACHE).catch(() => undefined);
  /** What was read lately, the latest at the end: whoever asks for a piece of a segment asks for the others next. */
  const recent = new Map<string, Promise<ArrayBuffer | undefined>>();

  return {
    /** What is there. */
    async held(): Promise<HeldSegment[]> {
      const keys = (await cache?.keys().catch(() => [])) ?? [];
      return keys.map((request) => segmentOf(request.url)).filter((segment) => segment !== undefined);
    },
    /** What the last page's engine kept. */
    async state(): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const kept = await cache?.match(STATE_KEY).catch(() => undefined);
      return kept && new Uint8Array(await kept.arrayBuffer());
    },
    /** Keeps a value of our own. Without room the next page begins with less; nothing else depends on it. */
    async keep(key: string, value: BodyInit): Promise<void> {
      await cache?.put(key, new Response(value)).catch(() => undefined);
    },
    /** Stores a segment, ready to be answered with where its asset is known; the reason when it cannot. */
    async store(
      hash: string,
      segment: number,
      parts: (Uint8Array<ArrayBuffer> | undefined)[],
      asset?: ShelfAsset,
    ): Promise<Reason | undefined> {
      if (!cache) return "storage_failed";
      try {
        // As a blob it would pass through the browser's process twice. Nothing is no part of a body: then storing fails.
        const content = new ReadableStream({
          start(controller) {
            for (const part of parts) controller.enqueue(part);
            controller.close();
          },
        });
        await cache.put(segmentKey(hash, segment), segmentResponse(content, asset));
        return undefined;
      } catch (error) {
        return (error as Error).name === "QuotaExceededError" ? "storage_full" : "storage_failed";
      }
    },
    /** Reads part of a segment; nothing when it is no longer there. */
    async read(hash: string, segment: number, offset: number, len: number) {
      const key = segmentKey(hash, segment);
      const content = recent.get(key) ?? find(key);
      recent.delete(key);
      recent.set(key, content);
      for (const oldest of recent.keys()) if (recent.size > RECENT_MOST) recent.delete(oldest);
      const part = new Uint8Array((await content) ?? []).subarray(offset, offset + len);
      if (part.length === len) return part;
      recent.delete(key);
      return undefined;
    },
    async drop(hash: string, segments: number[]): Promise<void> {
      recent.clear();
      await Promise.all(segments.map((segment) => cache?.delete(segmentKey(hash, segment)).catch(() => false)));
    },
  };

  async function find(key: string): Promise<ArrayBuffer | undefined> {
    return (await cache?.match(key).catch(() => undefined))?.arrayBuffer().catch(() => undefined);
  }
}

export type Storage = Awaited<ReturnType<typeof storage>>;
