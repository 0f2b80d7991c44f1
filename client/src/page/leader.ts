import type { FetchedResource } from "../generated/FetchedResource";
import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Stats } from "../generated/Stats";
import type { ToPage } from "../shared/thread";
import type { Answers } from "./channel";
import { circumstances, onCircumstances } from "./circumstances";
import type { Config } from "./main";
import { neighbours } from "./neighbours";
import { socket } from "./socket";
import { startThread } from "./thread";
import { askWorker, offerWays } from "./worker-link";

/** What the tab that leads does for all. */
export interface Leader extends Answers {
  fetched(resources: FetchedResource[]): void;
  circumstancesChanged(): void;
  stop(): void;
}

/** Runs the engine for this tab, and does for it what only a page can do. */
export async function lead(
  config: Config,
  on: { stats(stats: Stats): void; failed(error: unknown): void },
): Promise<Leader> {
  const { site, release, base } = config;
  const thread = await startThread({ site, release, base, origin: performance.timeOrigin });
  const handle = (input: Input) => thread.postMessage(input, []);
  const node = socket(base, site, (said) => thread.postMessage(said, []));
  const peers = neighbours(thread);
  const ending = new AbortController();
  let stats: Stats | undefined;
  const asked: ((notes: Note[]) => void)[] = [];

  thread.onmessage = act;
  // What the engine cannot go on from, its thread says; whatever else is thrown there stands in the console.
  thread.onerror = null;
  await offerWays((way) => thread.postMessage("port", [way]), ending.signal);
  // Before anything that has figures told: they would say that the client takes no part.
  const circumstancesChanged = () => handle({ circumstances: circumstances(config.off()) });
  onCircumstances(circumstancesChanged, ending.signal);
  circumstancesChanged();
  // Before the worker says what this page has asked for.
  handle({ page: { url: location.origin + location.pathname } });
  const ms = loadTime();
  if (ms) handle({ page_loaded: { ms } });
  // They come behind the first figures.
  await notes();

  return {
    fetched: (resources) => handle({ fetched: { resources } }),
    circumstancesChanged,
    forget: () => handle("forget"),
    stats: () => stats,
    notes,
    stop() {
      handle("suspend");
      close();
    },
  };

  function notes(): Promise<Note[]> {
    thread.postMessage("notes", []);
    return new Promise((told) => asked.push(told));
  }

  function act({ data, ports }: MessageEvent<ToPage>): void {
    if (data === "connect") node.connect();
    else if (data === "disconnect") node.disconnect();
    else if ("tell" in data) node.tell(data.tell);
    else if ("bytes" in data) peers.send(data);
    else if ("open_peer" in data) peers.open(data.open_peer);
    else if ("signal_peer" in data) peers.signal(data.signal_peer.peer, data.signal_peer.signal);
    else if ("close_peer" in data) peers.close(data.close_peer.peer);
    else if ("ask" in data) void askWorker(data.ask, ports);
    else if ("notes" in data) for (const told of asked.splice(0)) told(data.notes);
    else if ("stats" in data) {
      stats = data.stats;
      on.stats(stats);
    } else failed(data.failed);
  }

  /** An error of our own: nothing goes on. */
  function failed(error: unknown): void {
    close();
    thread.terminate();
    on.failed(error);
  }

  /** What the thread says from now on, nobody hears. */
  function close(): void {
    thread.onmessage = null;
    for (const told of asked) told([]);
    ending.abort();
    node.disconnect();
    peers.closeAll();
  }
}

/** How long this page took to load, in whole milliseconds; zero where it is not loaded, or nobody looks. */
function loadTime(): number {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return (document.hidden ? 0 : (navigation?.loadEventEnd ?? 0)) | 0;
}
