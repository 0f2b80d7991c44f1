import { isStillAdmitted } from "./admitted";
import type { Body } from "./body";
import type { Concern } from "./concerns";
import { confirmed, type Link, leader, leaderWithin, tell } from "./link";
import { type Asking, fromMesh } from "./mesh";
import { nextRung } from "./next-rung";
import { failed } from "./origin";
import { carryOn } from "./rest";
import { fromCache, type Known } from "./shelf";
import { MESH_WHOLE_MOST, ORIGIN_WHOLE_MOST, whole } from "./whole";

/** Where speed is preferred, a tab must have taken the request within so long, in milliseconds. */
const TAKEN_MS = 100;

/** Answers a request for something admitted: from the secondary cache, from the mesh, from the supernode, or from the origin. */
export async function answer(request: Request, concern: Concern, known: Known): Promise<Response> {
  const { shelf } = known;
  const { signal } = request;
  const beside = nextRung(request, concern, known);
  const carry = (body: Body) => void carryOn(request, concern.url, body, shelf.rescue_patience_ms).catch(body.fail);

  // Without a session the node is asked whether what is held may be used, while a leader is looked for.
  const sure = confirmed() || isStillAdmitted(concern, known);
  let held = sure === true ? await heldCopy(concern) : undefined;
  if (held) return held;
  const patience = shelf.patience_ms;
  const link = await (patience > 0 ? leaderWithin(patience) : leader());
  // The leader may have brought the session's word with it.
  held = confirmed() || (await sure) ? await heldCopy(concern) : undefined;
  if (held) return held;
  if (link) {
    const response = await askMesh(link, { rescue: false, patience: patience || TAKEN_MS });
    if (response) return response;
  } else tell({ note: { event: "fallback", reason: "no_engine", about: concern.url, bytes: 0 } });

  const response = await beside.answer();
  // What is made here comes from the supernode, and is whole.
  const most = response.type === "default" ? 0 : ORIGIN_WHOLE_MOST;
  return (!failed(response) && (await whole(response, request, most))) || (await rescued()) || response;

  async function askMesh(link: Link, how: Pick<Asking, "rescue" | "patience">): Promise<Response | undefined> {
    const response = await fromMesh(link, { ...concern, ...how, beside, signal, carryOn: carry });
    return response && whole(response, request, MESH_WHOLE_MOST);
  }

  /** The origin has failed: what this visitor and others hold is asked for once more, with patience. */
  async function rescued(): Promise<Response | undefined> {
    if (signal.aborted) return undefined;
    const patience = shelf.rescue_patience_ms;
    let response = await heldCopy(concern);
    const link = response ? undefined : await leaderWithin(patience);
    if (link) response = await askMesh(link, { rescue: true, patience });
    if (response) tell({ note: { event: "served", reason: "origin_failed", about: concern.url, bytes: 0 } });
    return response;
  }
}

async function heldCopy(concern: Concern): Promise<Response | undefined> {
  const response = await fromCache(concern);
  if (response) tell({ cached: { url: concern.url, bytes: Number(response.headers.get("content-length")) } });
  return response;
}
