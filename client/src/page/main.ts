// The page part: of all tabs of a site, one runs the engine for all; this is what every tab does about it.
import type { Edgeweave } from "../api";
import type { Note } from "../generated/Note";
import type { Reason } from "../generated/Reason";
import type { Stats } from "../generated/Stats";
import { channel } from "./channel";
import { showIndicator } from "./indicator";
import { type Leader, lead } from "./leader";
import { prefetching } from "./prefetch";
import { observeResources } from "./resources";

// The engine's thread takes its part from the same file, which is there already.
export { run } from "../engine/run";

/** The lock that the tab that leads holds. */
const LOCK = "edgeweave-leader";

/** What the snippet knows. */
export interface Config {
  site: string;
  release: string;
  base: string;
  /** Why the client takes no part now, if it does not. */
  off: () => Reason | undefined;
  /** The client met an error of its own. */
  failed: (error: unknown) => void;
  api: Edgeweave;
  indicator: boolean;
  /** What the page's policy lets inline scripts run by. */
  nonce: string | undefined;
}

/** What the snippet can ask. */
export interface Running {
  circumstancesChanged(): void;
  forget(): Promise<void>;
  stats(): Promise<Stats | undefined>;
  notes(): Promise<Note[] | undefined>;
}

/** Starts this tab's part, and returns when this tab leads or another does. */
export async function start(config: Config): Promise<Running> {
  let leader: Leader | undefined;
  let standing = new AbortController();
  let broken = false;
  const indicator = config.indicator ? showIndicator() : undefined;
  const prefetch = prefetching(config.nonce);
  const tabs = channel({ leader: () => leader, stats: show });

  // A page with open connections cannot be kept for "back" (https://web.dev/articles/bfcache), and one that is frozen
  // answers nobody (https://developer.chrome.com/docs/web-platform/page-lifecycle-api): another tab may lead.
  addEventListener("pagehide", standDown);
  document.addEventListener("freeze", standDown);
  addEventListener("pageshow", standAgain);
  document.addEventListener("resume", standAgain);

  await stand();
  // The figures of a tab that leads already may not change for long.
  if (!leader) void tabs.ask("stats").then((stats) => stats && show(stats));
  // Not before somebody leads: what the page has loaded until then is told now.
  observeResources(config.base, (resources) => (leader ? leader.fetched(resources) : tabs.say({ fetched: resources })));
  return {
    circumstancesChanged: () => leader?.circumstancesChanged(),
    forget: async () => (leader ? leader.forget() : tabs.ask("forget")),
    stats: async () => (leader ? leader.stats() : tabs.ask("stats")),
    notes: async () => (leader ? leader.notes() : tabs.ask("notes")),
  };

  /** Leads if nobody does, and otherwise waits in line. */
  function stand(): Promise<void> {
    standing = new AbortController();
    const { signal } = standing;
    tabs.open();
    return new Promise((stood, refused) => {
      const asked = async (lock: Lock | null) => {
        if (lock) return reign(signal, stood);
        stood();
        const taken = () => reign(signal, () => undefined);
        navigator.locks.request(LOCK, { signal }, taken).catch((error: unknown) => signal.aborted || failed(error));
      };
      navigator.locks
        .request(LOCK, { ifAvailable: true }, asked)
        .catch((error: unknown) => (signal.aborted ? stood() : refused(error)));
    });
  }

  /** Leads for as long as this tab stands; the lock is held until then. */
  async function reign(signal: AbortSignal, begun: () => void): Promise<void> {
    const made = await lead(config, { stats: told, failed });
    begun();
    if (!signal.aborted) {
      leader = made;
      await new Promise((over) => signal.addEventListener("abort", over));
      leader = undefined;
    }
    made.stop();
  }

  function standDown(): void {
    standing.abort();
    tabs.close();
  }

  function standAgain(): void {
    if (standing.signal.aborted && !broken) stand().catch(failed);
  }

  function failed(error: unknown): void {
    broken = true;
    prefetch("off");
    standDown();
    config.failed(error);
  }

  function told(stats: Stats): void {
    tabs.say({ stats });
    show(stats);
  }

  function show(stats: Stats): void {
    if (leader) indicator?.(stats.uploaded);
    prefetch(stats.prefetch);
    config.api.dispatchEvent(new CustomEvent("stats", { detail: stats }));
  }
}
