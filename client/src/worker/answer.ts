import type { Concern } from "./concerns";
import { confirmed, leader, leaderWithin, tell } from "./link";
import { fromMesh } from "./mesh";
import { fromCache, shelf, shelfLoaded } from "./shelf";

/** Where speed is preferred, a worker that has just started looks for its leader for so long, in milliseconds. */
const FIND_LEADER_MS = 20;
/** Where speed is preferred, the engine must have said something within so long, in milliseconds. */
const ANSWER_MS = 400;
/** How long the mesh is waited for when the origin has failed and no policy is known, in milliseconds. */
const RESCUE_MS = 10_000;

/** Answers a request: from the secondary cache, from the mesh, or from the origin, and from the mesh again if that fails. */
export async function answer(request: Request, concern: Concern): Promise<Response> {
  const known = await shelfLoaded();
  const { url } = concern;
  if (!known?.held.has(url) && !known?.admitted.has(url)) return fetch(request);

  const patience = known.shelf.patience_ms;
  if (confirmed()) {
    const held = await heldCopy(concern);
    if (held) return held;
  }
  const link = leader() ?? (await leaderWithin(patience || FIND_LEADER_MS));
  if (!link) {
    tell({ note: { event: "fallback", reason: "no_engine", about: url, bytes: 0 } });
    return fromOrigin(request, concern);
  }
  // The leader has brought the session's word with it.
  const held = confirmed() ? await heldCopy(concern) : undefined;
  if (held) return held;
  const own = (signal: AbortSignal) => measured(request, concern, signal);
  const response = await fromMesh(link, request, concern, {
    patience: patience || ANSWER_MS,
    rescue: false,
    own,
  }).catch(() => undefined);
  return response ?? fromOrigin(request, concern);
}

async function heldCopy(concern: Concern): Promise<Response | undefined> {
  const response = await fromCache(concern);
  if (response) tell({ cached: { url: concern.url, bytes: Number(response.headers.get("content-length")) } });
  return response;
}

/** The browser's own fetch; when the origin fails, what visitors hold is asked for once more, with patience. */
async function fromOrigin(request: Request, concern: Concern): Promise<Response> {
  const outcome = await measured(request, concern).catch((error: unknown) => error);
  const failed = !(outcome instanceof Response) || outcome.status >= 500;
  if (!failed) return outcome;

  const held = await heldCopy(concern);
  if (held) return held;
  const patience = shelf()?.shelf.rescue_patience_ms ?? RESCUE_MS;
  const link = await leaderWithin(patience);
  const own = () => Promise.reject(outcome);
  const rescued =
    link && (await fromMesh(link, request, concern, { patience, rescue: true, own }).catch(() => undefined));
  if (rescued) {
    tell({ note: { event: "served", reason: "origin_failed", about: concern.url, bytes: 0 } });
    return rescued;
  }
  if (outcome instanceof Response) return outcome;
  throw outcome;
}

/** Fetches from the origin, and tells how long it took and how much it was. */
async function measured(request: Request, { url }: Concern, signal?: AbortSignal): Promise<Response> {
  const began = performance.now();
  const response = await fetch(request, signal ? { signal } : undefined);
  const first = performance.now();
  if (!response.ok || !response.body) return response;
  let bytes = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      controller.enqueue(chunk);
    },
    flush() {
      const resource = {
        url,
        bytes,
        first_byte_ms: Math.round(first - began),
        total_ms: Math.round(performance.now() - began),
        controlled: true,
      };
      tell({ fetched: resource });
    },
  });
  const counted = new Response(response.body.pipeThrough(count), response);
  // A made response says nothing of its address, by which stylesheets and scripts resolve theirs; it takes the request's,
  // which is the same unless the origin redirected.
  return response.redirected ? response : counted;
}
