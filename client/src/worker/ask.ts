import type { ByteRange } from "../generated/ByteRange";
import type { Reason } from "../generated/Reason";
import type { Head } from "../shared/wire";
import type { Link } from "./link";

/** What is asked of the mesh. */
export interface Question {
  url: string;
  range: ByteRange | null;
  /** The origin has failed: the mesh is the last hope. */
  rescue: boolean;
}

/** What the mesh says to it, in this order; `left` may come at any time, and after it or `end` nothing more does. */
export interface Listener {
  taken(): void;
  /** The next rung is to be started beside the mesh. */
  hedge(): void;
  head(head: Head): void;
  chunk(bytes: Uint8Array): void;
  end(): void;
  /** The mesh answers no more. */
  left(reason: Reason): void;
}

/** A question that is open. */
export interface Asked {
  /** The page has read so many more bytes. */
  consumed(bytes: number): void;
  /** The answer is no longer wanted; the reason, if it is not the page's own. */
  cancel(reason: Reason | null): void;
}

// An engine outlives workers, and must not take a new one's question for an old one's.
let next = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
next *= 2 ** 15;

/** Asks the engine of the tab that leads. */
export function ask(link: Link, question: Question, on: Listener): Asked {
  const id = next++;
  const close = link.listen(
    (message) => {
      if ("taken" in message && message.taken.id === id) on.taken();
      else if ("hedge" in message && message.hedge.id === id) on.hedge();
      else if ("head" in message && message.head.id === id) on.head(message.head);
      else if ("chunk" in message && message.chunk.id === id) on.chunk(new Uint8Array(message.chunk.bytes));
      else if ("end" in message && message.end.id === id) {
        close();
        on.end();
      } else if ("fallback" in message && message.fallback.id === id) {
        close();
        on.left(message.fallback.reason);
      }
    },
    () => {
      close();
      on.left("engine_gone");
    },
  );
  link.send({ request: { id, ...question } });
  return {
    consumed: (bytes) => link.send({ consumed: { id, bytes } }),
    cancel(reason) {
      close();
      link.send({ cancel: { id, reason } });
    },
  };
}
