import type { Reason } from "../generated/Reason";
import { ask, type Question } from "./ask";
import { type Body, responseBody } from "./body";
import { type Link, tell } from "./link";
import { failed, type Rung } from "./origin";

/** A request that a tab has taken is decided by its engine; past this, in milliseconds, the tab must be frozen. */
const FROZEN_MS = 30_000;
/** A response that has begun, and that the page waits for, may stand still for so long, in milliseconds. */
const STILL_MS = 5_000;

/** How the mesh is asked. */
export interface Asking extends Question {
  /** Milliseconds within which a tab must have taken the request: otherwise others are asked. */
  patience: number;
  /** What is started beside the mesh when the engine hedges. */
  beside: Rung;
  /** The page no longer wants an answer. */
  signal: AbortSignal;
  /** Carries a response that the mesh began on to its end. */
  carryOn(body: Body): void;
}

/** The first good answer: the mesh's, or the one that was started beside it; nothing when the mesh has none. */
export function fromMesh(link: Link, asking: Asking): Promise<Response | undefined> {
  const { url, range, rescue, beside, signal } = asking;
  let settle!: (response: Response | undefined) => void;
  const settled = new Promise<Response | undefined>((resolve) => {
    settle = resolve;
  });
  let body: Body | undefined;
  let hedged = false;
  let open = true;
  // A tab that says nothing is busy, or frozen.
  const doubt = () => giveUp("engine_busy");
  let timer = setTimeout(doubt, asking.patience);

  const asked = ask(
    link,
    { url, range, rescue },
    {
      taken() {
        if (!body) again(FROZEN_MS, doubt);
      },
      hedge,
      head(head) {
        // The mesh was first.
        if (hedged) beside.abandon();
        body = responseBody(head, { consumed: asked.consumed, cancelled: () => close(() => asked.cancel(null)) });
        settle(new Response(body.stream, { status: head.status, headers: head.headers }));
        watch();
      },
      chunk(bytes) {
        body?.chunk(bytes);
        watch();
      },
      end: () => close(() => body?.end()),
      left,
    },
  );
  signal.addEventListener("abort", leave);
  return settled;

  /** The page has gone. */
  function leave(): void {
    close(() => asked.cancel(null));
    body?.fail();
    settle(undefined);
  }

  /** Starts the next rung beside the mesh: whichever has its head first is used. */
  function hedge(): void {
    if (hedged || body || !open) return;
    hedged = true;
    again(FROZEN_MS, doubt);
    void beside.answer().then((response) => {
      // What fails is no answer; the mesh may have one.
      if (body || !open || failed(response)) return;
      close(() => asked.cancel("origin_won"));
      settle(response);
    });
  }

  function giveUp(reason: Reason): void {
    asked.cancel(reason);
    left(reason);
  }

  /** The mesh answers no more: what has begun is carried on from the origin, at the exact byte. */
  function left(reason: Reason): void {
    close(() => undefined);
    if (reason === "engine_gone")
      tell({ note: { event: "fallback", reason, about: url, bytes: body?.position() ?? 0 } });
    if (body) asking.carryOn(body);
    else settle(undefined);
  }

  /** Nothing may stand still while the page waits. */
  function watch(): void {
    again(STILL_MS + asking.patience, () => (body?.isWaitedFor() ? giveUp("stalled") : watch()));
  }

  function again(ms: number, due: () => void): void {
    clearTimeout(timer);
    if (open) timer = setTimeout(due, ms);
  }

  function close(last: () => void): void {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    last();
  }
}
