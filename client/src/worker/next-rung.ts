import type { Concern } from "./concerns";
import { failed, origin as originOf, type Rung } from "./origin";
import type { Known } from "./shelf";
import { fromSupernode, originAnswered } from "./supernode";
import { ORIGIN_WHOLE_MOST, whole } from "./whole";

/** What answers beside the mesh, or instead of it: a supernode, and the origin where that has nothing. */
export function nextRung(request: Request, concern: Concern, known: Known): Rung {
  const origin = originOf(request, concern.url);
  let answer: Promise<Response> | undefined;
  return {
    answer() {
      answer ??= climb();
      return answer;
    },
    abandon: origin.abandon,
  };

  async function climb(): Promise<Response> {
    const near = await fromSupernode(concern, known, request.signal);
    if (near) return near;
    const response = await origin.answer();
    const well = !failed(response);
    originAnswered(concern.url, well && !request.signal.aborted);
    return (well ? await whole(response, request, ORIGIN_WHOLE_MOST) : response) ?? Response.error();
  }
}
