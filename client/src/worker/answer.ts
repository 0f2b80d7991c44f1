import type { Body } from "./body";
import type { Concern } from "./concerns";
import { confirmed, type Link, leader, leaderWithin, tell } from "./link";
import { fromMesh } from "./mesh";
import { failed, type Origin, origin as originOf } from "./origin";
import { carryOn } from "./rest";
import { fromCache, type Known } from "./shelf";

/** Where speed is preferred, a tab must have taken the request within so long, in milliseconds. */
const TAKEN_MS = 100;

/** Answers a request for something admitted: from the secondary cache, from the mesh, or from the origin. */
export async function answer(request: Request, concern: Concern, { shelf }: Known): Promise<Response> {
  const origin = originOf(request, concern.url);
  const rest = (body: Body) => void carryOn(request, concern.url, body, shelf.rescue_patience_ms).catch(body.fail);

  let held = confirmed() ? await heldCopy(concern) : undefined;
  if (held) return held;
  const patience = shelf.patience_ms;
  const link = await (patience > 0 ? leaderWithin(patience) : leader());
  if (link) {
    // The leader has brought the session's word with it.
    held = confirmed() ? await heldCopy(concern) : undefined;
    const asking = { ...concern, rescue: false, patience: patience || TAKEN_MS, origin, carryOn: rest };
    const response = held ?? (await fromMesh(link, asking));
    if (response) return response;
  } else tell({ note: { event: "fallback", reason: "no_engine", about: concern.url, bytes: 0 } });
  return originOrRescue(concern, origin, shelf.rescue_patience_ms, rest);
}

/** The origin's answer; when it fails, what this visitor and others hold is asked for once more, with patience. */
async function originOrRescue(
  concern: Concern,
  origin: Origin,
  patience: number,
  rest: (body: Body) => void,
): Promise<Response> {
  const response = await origin.answer();
  if (!failed(response)) return response;
  const rescued = (await heldCopy(concern)) ?? (await rescue(await leaderWithin(patience)));
  if (!rescued) return response;
  tell({ note: { event: "served", reason: "origin_failed", about: concern.url, bytes: 0 } });
  await response.body?.cancel();
  return rescued;

  async function rescue(link: Link | undefined): Promise<Response | undefined> {
    return link && fromMesh(link, { ...concern, rescue: true, patience, origin, carryOn: rest });
  }
}

async function heldCopy(concern: Concern): Promise<Response | undefined> {
  const response = await fromCache(concern);
  if (response) tell({ cached: { url: concern.url, bytes: Number(response.headers.get("content-length")) } });
  return response;
}
