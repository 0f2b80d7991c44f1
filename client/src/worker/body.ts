import type { Head } from "../shared/wire";

/** Bytes that are handed over ahead of what the page has read. */
const AHEAD_BYTES = 512 * 1024;
/** What the page has read is told in so many bytes at a time. The mesh stops for want of it after many times as many. */
const TOLD_BYTES = 256 * 1024;

/** Who is told what the page does with a body. */
export interface Reader {
  consumed(bytes: number): void;
  cancelled(): void;
}

/** A response's body, as it grows. */
export interface Body {
  head: Head;
  stream: ReadableStream<Uint8Array>;
  /** Says who is told from now on. */
  readBy(reader: Reader): void;
  chunk(bytes: Uint8Array): void;
  end(): void;
  fail(): void;
  /** Where in the asset the next byte belongs. */
  position(): number;
  /** Whether the page waits for more. */
  isWaitedFor(): boolean;
  /** Whether the page has gone, or the body is complete. */
  isOver(): boolean;
  /** Waits until the page wants more, or never will. */
  wanted(): Promise<void>;
}

/** The body of a response that begins with this head. */
export function responseBody(head: Head, first: Reader): Body {
  let reader = first;
  let position = head.first;
  let unread = 0;
  let over = false;
  const pulled = new Set<() => void>();
  let controller!: ReadableStreamDefaultController<Uint8Array>;

  function wake(): void {
    for (const resolve of pulled) resolve();
    pulled.clear();
  }

  const source: UnderlyingDefaultSource<Uint8Array> = {
    start(made) {
      controller = made;
    },
    pull() {
      // What is no longer queued has been read.
      const queued = AHEAD_BYTES - (controller.desiredSize ?? 0);
      if (unread - queued >= TOLD_BYTES) {
        reader.consumed(unread - queued);
        unread = queued;
      }
      wake();
    },
    cancel() {
      over = true;
      wake();
      reader.cancelled();
    },
  };
  const stream = new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }));

  return {
    head,
    stream,
    readBy(next) {
      reader = next;
    },
    chunk(bytes) {
      if (over) return;
      position += bytes.byteLength;
      unread += bytes.byteLength;
      controller.enqueue(bytes);
    },
    end() {
      if (!over) controller.close();
      over = true;
    },
    fail() {
      if (!over) controller.error();
      over = true;
    },
    position: () => position,
    isWaitedFor: () => !over && (controller.desiredSize ?? 0) > 0,
    isOver: () => over,
    async wanted() {
      if (!over && (controller.desiredSize ?? 0) <= 0) await new Promise<void>((resolve) => pulled.add(resolve));
    },
  };
}
