import type { Concern } from "./concerns";
import { failed, origin as originOf, type Rung } from "./origin";
import type { Known } from "./shelf";
import { fromSupernode, originAnswered } from "./supernode";

/**
 * What answers beside the mesh, or instead of it: a supernode, and the origin where that has nothing. What a supernode has
 * been asked for is kept for the next time though it be abandoned.
 */
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
    originAnswered(concern.url, !failed(response));
    return response;
  }
}
