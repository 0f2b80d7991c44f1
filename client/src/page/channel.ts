import type { FetchedResource } from "../generated/FetchedResource";
import type { Note } from "../generated/Note";
import type { Stats } from "../generated/Stats";

/** What a tab can ask the one that leads. */
export interface Answers {
  stats(): Stats | undefined;
  notes(): Promise<Note[]>;
  forget(): void;
}

type Message =
  | { ask: keyof Answers; id: string }
  | { answer: unknown; id: string }
  | { fetched: FetchedResource[] }
  | { stats: Stats };

/** What a tab hears from the others. */
interface Heard {
  /** Answers, if this tab leads. */
  leader(): (Answers & { fetched(resources: FetchedResource[]): void }) | undefined;
  /** The figures of the tab that leads. */
  stats(stats: Stats): void;
}

/** How long another tab may take to answer, in milliseconds. */
const ANSWER_MS = 1_000;

/** The way between the tabs of a site: those that do not lead ask the one that does. */
export function channel(on: Heard) {
  let tabs: BroadcastChannel | undefined;
  const waiting = new Map<string, (answer: unknown) => void>();

  async function heard({ data }: MessageEvent<Message>): Promise<void> {
    const leader = on.leader();
    if ("answer" in data) waiting.get(data.id)?.(data.answer);
    else if ("stats" in data) on.stats(data.stats);
    else if (leader && "ask" in data) say({ answer: await leader[data.ask](), id: data.id });
    else if (leader && "fetched" in data) leader.fetched(data.fetched);
  }

  function say(message: Message): void {
    tabs?.postMessage(message);
  }

  return {
    /** A page that is kept for "back" must not be spoken to (https://web.dev/articles/bfcache): it closes, and opens again. */
    open(): void {
      tabs ??= new BroadcastChannel("edgeweave");
      tabs.onmessage = heard;
    },
    close(): void {
      tabs?.close();
      tabs = undefined;
    },
    say,
    /** Asks the tab that leads; nothing when none answers. */
    ask<K extends keyof Answers>(ask: K): Promise<Awaited<ReturnType<Answers[K]>> | undefined> {
      const id = crypto.randomUUID();
      return new Promise((resolve) => {
        const done = (answer: unknown) => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(answer as Awaited<ReturnType<Answers[K]>> | undefined);
        };
        const timer = setTimeout(done, ANSWER_MS);
        waiting.set(id, done);
        say({ ask, id });
      });
    },
  };
}
