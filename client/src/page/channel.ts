import type { FetchedResource } from "../generated/FetchedResource";
import type { Note } from "../generated/Note";
import type { Stats } from "../generated/Stats";
import type { Leader } from "./leader";

interface Answers {
  stats: Stats;
  notes: Note[];
}

type Message = { ask: keyof Answers; id: string } | { answer: unknown; id: string } | { fetched: FetchedResource[] };

/** How long another tab may take to answer, in milliseconds. */
const ANSWER_MS = 1_000;

/** The way between the tabs of a site: those that do not lead ask the one that does. */
export function channel(leader: () => Leader | undefined) {
  const tabs = new BroadcastChannel("edgeweave");
  const waiting = new Map<string, (answer: unknown) => void>();
  tabs.onmessage = async ({ data }: MessageEvent<Message>) => {
    const leading = leader();
    if ("answer" in data) waiting.get(data.id)?.(data.answer);
    else if (leading && "ask" in data) tabs.postMessage({ answer: await leading[data.ask](), id: data.id });
    else if (leading && "fetched" in data) leading.fetched(data.fetched);
  };
  return {
    /** Asks the tab that leads; nothing when none answers. */
    ask<K extends keyof Answers>(ask: K): Promise<Answers[K] | undefined> {
      const id = crypto.randomUUID();
      return new Promise((resolve) => {
        const done = (answer: unknown) => {
          waiting.delete(id);
          resolve(answer as Answers[K] | undefined);
        };
        waiting.set(id, done);
        setTimeout(done, ANSWER_MS);
        tabs.postMessage({ ask, id });
      });
    },
    /** Tells the tab that leads what this one has loaded. */
    tell(fetched: FetchedResource[]): void {
      tabs.postMessage({ fetched });
    },
  };
}
