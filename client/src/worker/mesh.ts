import type { Reason } from "../generated/Reason";
import type { Head, ToWorker } from "../shared/wire";
import type { Concern } from "./concerns";
import { type Link, listen } from "./link";
import { restOf } from "./rest";

/** Bytes of a response that are handed over ahead of what the page has read. */
const AHEAD_BYTES = 512 * 1024;
/** How long past its own patience a busy tab is waited for, in milliseconds. */
const BUSY_MS = 250;
/** A response that has begun, and that the page waits for, may stand still for so long, in milliseconds. */
const STILL_MS = 8_000;

/** How the mesh is asked. */
export interface Asking {
  /** Milliseconds until the engine must have answered somehow. */
  patience: number;
  /** The origin has failed: the mesh is the last hope. */
  rescue: boolean;
  /** Fetches from the origin. */
  own: (signal: AbortSignal) => Promise<Response>;
}

let next = 1;

/** The mesh's answer; nothing when the request is left to the origin. */
export function fromMesh(
  link: Link,
  request: Request,
  { url, range }: Concern,
  asking: Asking,
): Promise<Response | undefined> {
  const id = next++;
  const { promise, resolve, reject } = Promise.withResolvers<Response | undefined>();
  const origin = new AbortController();
  let body: Body | undefined;
  let hedged = false;
  let timer = setTimeout(() => giveUp("engine_busy"), asking.patience + BUSY_MS);
  const forget = [listen(heard), link.onGone(() => leave("engine_gone"))];
  link.send({ request: { id, url, range, rescue: asking.rescue } });
  return promise;

  function heard(message: ToWorker): void {
    if ("head" in message && message.head.id === id) begin(message.head);
    else if ("chunk" in message && message.chunk.id === id) body?.chunk(new Uint8Array(message.chunk.bytes));
    else if ("end" in message && message.end.id === id) {
      done();
      body?.end();
    } else if ("fallback" in message && message.fallback.id === id) leave(message.fallback.reason);
    else if ("hedge" in message && message.hedge.id === id) hedge();
    if (body) watch();
  }

  /** The mesh was first: its response is the one. */
  function begin(head: Head): void {
    origin.abort();
    body = responseBody(head, {
      consumed: (bytes) => link.send({ consumed: { id, bytes } }),
      cancelled() {
        done();
        link.send({ cancel: { id, reason: null } });
      },
    });
    resolve(new Response(body.stream, { status: head.status, headers: new Headers(head.headers) }));
  }

  /** Starts the origin beside the mesh: whichever has its head first is used. */
  function hedge(): void {
    if (hedged || body) return;
    hedged = true;
    clearTimeout(timer);
    asking.own(origin.signal).then(
      (response) => {
        if (body || !response.ok) return;
        done();
        link.send({ cancel: { id, reason: "origin_won" } });
        resolve(response);
      },
      () => undefined, // The mesh is still being waited for; when it gives up, the origin is asked once more.
    );
  }

  function giveUp(reason: Reason): void {
    link.send({ cancel: { id, reason } });
    leave(reason);
  }

  /** The mesh answers no more: what has begun is carried on from the origin, at the exact byte. */
  function leave(reason: Reason): void {
    done();
    if (body) void restOf(request, body.head, body.position(), body).catch((error: unknown) => body?.fail(error));
    else if (hedged) {
      // The origin's answer is on its way already.
      asking.own(origin.signal).then(resolve, reject);
    } else resolve(undefined);
    link.send({ note: { event: "fallback", reason, about: url, bytes: 0 } });
  }

  function watch(): void {
    clearTimeout(timer);
    timer = setTimeout(() => (body?.isWaitedFor() ? giveUp("stalled") : watch()), STILL_MS);
  }

  function done(): void {
    clearTimeout(timer);
    for (const drop of forget) drop();
  }
}

/** A response's body, as it grows. */
export interface Body {
  head: Head;
  stream: ReadableStream<Uint8Array>;
  chunk(bytes: Uint8Array): void;
  end(): void;
  fail(error: unknown): void;
  /** Where in the asset the next byte belongs. */
  position(): number;
  /** Whether the page waits for more. */
  isWaitedFor(): boolean;
  /** Waits until the page wants more. */
  wanted(): Promise<void>;
}

function responseBody(head: Head, on: { consumed(bytes: number): void; cancelled(): void }): Body {
  let position = head.first;
  let unread = 0;
  let cancelled = false;
  let pulled: (() => void)[] = [];
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(made) {
        controller = made;
      },
      pull() {
        // What is no longer queued has been read.
        const queued = Math.max(0, AHEAD_BYTES - (controller.desiredSize ?? AHEAD_BYTES));
        if (unread > queued) on.consumed(unread - queued);
        unread = Math.min(unread, queued);
        for (const resolve of pulled.splice(0)) resolve();
      },
      cancel() {
        cancelled = true;
        for (const resolve of pulled.splice(0)) resolve();
        on.cancelled();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
  );
  pulled = [];
  return {
    head,
    stream,
    chunk(bytes) {
      if (cancelled) return;
      position += bytes.byteLength;
      unread += bytes.byteLength;
      controller.enqueue(bytes);
    },
    end() {
      if (!cancelled) controller.close();
    },
    fail(error) {
      if (!cancelled) controller.error(error);
    },
    position: () => position,
    isWaitedFor: () => !cancelled && (controller.desiredSize ?? 0) > 0,
    async wanted() {
      if (cancelled) throw new DOMException("the page is gone", "AbortError");
      if ((controller.desiredSize ?? 0) <= 0) await new Promise<void>((resolve) => pulled.push(resolve));
    },
  };
}
