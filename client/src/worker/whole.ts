/** Answers of the mesh are given away whole up to so many bytes. */
export const MESH_WHOLE_MOST = 4 * 1024 * 1024;

/**
 * Answers of the origin are, up to so many bytes: what is larger may come slowly, and a browser shows and compiles what
 * it has of it.
 */
export const ORIGIN_WHOLE_MOST = 1024 * 1024;

/** What plays while it arrives, and is asked for again by the browser where it breaks off. */
const STREAMED = new Set<string>(["audio", "video"]);

/**
 * The same response with a body that is complete, where that is worth waiting for; nothing when the body does not come
 * to its end. A body that passes through this script breaks off when the browser stops the worker; a complete one is
 * the browser's own. Until then the browser has no answer, and asks the worker that it starts next.
 */
export async function whole(response: Response, request: Request, most: number): Promise<Response | undefined> {
  // What does not say how long it is may be endless.
  const length = Number(response.headers.get("content-length") ?? most + 1);
  const opaque = response.type.startsWith("opaque");
  // Pages may look at where a redirect led to, which a response made by a script cannot tell.
  if (opaque || response.redirected || length > most || STREAMED.has(request.destination)) return response;
  const body = await response.blob().catch(() => undefined);
  return body && new Response(body, response);
}
