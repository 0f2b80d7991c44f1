import { PIECE_BYTES } from "../generated/limits";
import { DIGEST_CHARS, digest } from "../shared/digest";
import { pieces } from "../shared/pieces";
import type { Head } from "../shared/wire";
import { ask } from "./ask";
import type { Body } from "./body";
import { leaderWithin, tell } from "./link";

/** The origin has another version by now. */
class OriginChanged extends Error {}

/**
 * Carries a response on that the mesh began: from the origin at the exact byte, and when the origin fails, from the mesh
 * again, with so many milliseconds of patience.
 */
export async function carryOn(request: Request, url: string, body: Body, patience: number): Promise<void> {
  const ending = new AbortController();
  body.readBy({ consumed: () => undefined, cancelled: () => ending.abort() });
  request.signal.addEventListener("abort", () => {
    ending.abort();
    body.fail();
  });
  try {
    await fromOrigin(request, body, ending.signal);
  } catch (error) {
    if (error instanceof OriginChanged) {
      tell({ note: { event: "error", reason: "origin_changed", about: url, bytes: body.position() } });
    } else if (!body.isOver()) await fromMeshAgain(url, body, patience);
  }
  body.fail();
}

async function fromOrigin(request: Request, body: Body, signal: AbortSignal): Promise<void> {
  const { head } = body;
  if (body.position() >= head.end) return body.end();
  const first = Math.floor(body.position() / PIECE_BYTES);
  const { referrer, referrerPolicy, credentials } = request;
  const response = await fetch(request.url, {
    headers: { range: `bytes=${first * PIECE_BYTES}-${head.size - 1}` },
    // What the page may not read it may still show, but then nobody can verify it.
    mode: request.mode === "no-cors" ? "cors" : request.mode,
    credentials,
    referrer,
    referrerPolicy,
    signal,
  });
  if (!response.ok || !response.body) throw new Error();
  // An origin that knows no ranges answers with everything.
  const skip = response.status === 206 ? 0 : first * PIECE_BYTES;
  for await (const part of verified(response.body, head, body.position(), skip)) {
    await body.wanted();
    body.chunk(part);
  }
  body.end();
}

/**
 * What belongs at `position` and after it, out of an origin's answer that begins at that position's piece once `skip`
 * bytes are left out. Every piece is verified, because what the page already has is the admitted version, and the
 * origin may have another by now.
 */
export async function* verified(
  stream: ReadableStream<Uint8Array>,
  head: Pick<Head, "pieces" | "end">,
  position: number,
  skip: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = Math.floor(position / PIECE_BYTES);
  for await (const bytes of pieces(stream, skip)) {
    const expected = head.pieces.slice(piece * DIGEST_CHARS, (piece + 1) * DIGEST_CHARS);
    if ((await digest(bytes)) !== expected) throw new OriginChanged();
    const start = piece * PIECE_BYTES;
    const part = bytes.subarray(Math.max(0, position - start), Math.max(0, head.end - start));
    if (part.length > 0) yield part;
    piece += 1;
    position = Math.max(position, start + bytes.length);
    if (position >= head.end) return;
  }
  throw new Error();
}

async function fromMeshAgain(url: string, body: Body, patience: number): Promise<void> {
  const link = await leaderWithin(patience);
  if (!link || body.isOver()) return;
  const range = { first: body.position(), last: body.head.end - 1 };
  await new Promise<void>((over) => {
    const asked = ask(
      link,
      { url, range, rescue: true },
      {
        taken: () => undefined,
        hedge: () => undefined,
        head(head) {
          if (head.pieces === body.head.pieces) return;
          asked.cancel("changed");
          over();
        },
        chunk: body.chunk,
        end() {
          body.end();
          over();
        },
        left: () => over(),
      },
    );
    body.readBy({
      consumed: asked.consumed,
      cancelled() {
        asked.cancel(null);
        over();
      },
    });
  });
}
