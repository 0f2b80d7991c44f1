import type { Payload } from "../generated/Payload";

/** The bytes that the engine knows by number only. */
export function payloads() {
  const kept = new Map<number, Uint8Array<ArrayBuffer>>();
  let next = 0;
  const released: (() => void)[] = [];
  return {
    /** Keeps some bytes. */
    keep(bytes: Uint8Array<ArrayBuffer>): Payload {
      next += 1;
      kept.set(next, bytes);
      return { handle: next, len: bytes.byteLength };
    },
    /** The bytes under a number; none after their release. */
    get(handle: number): Uint8Array<ArrayBuffer> | undefined {
      return kept.get(handle);
    },
    release(handle: number): void {
      kept.delete(handle);
      for (const resolve of released.splice(0)) resolve();
    },
    /** Waits until fewer than `most` are kept. */
    async room(most: number): Promise<void> {
      while (kept.size >= most) await new Promise<void>((resolve) => released.push(resolve));
    },
  };
}

export type Payloads = ReturnType<typeof payloads>;
