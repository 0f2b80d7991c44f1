// The page part: of all tabs of a site, one runs the engine for all; this is what every tab does about it.
import type { Edgeweave } from "../api";
import type { Note } from "../generated/Note";
import type { Reason } from "../generated/Reason";
import type { Stats } from "../generated/Stats";
import { channel } from "./channel";
import { showIndicator } from "./indicator";
import { type Leader, lead } from "./leader";
import { observeResources } from "./resources";

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
}

/** What the snippet can ask. */
export interface Running {
  circumstancesChanged(): void;
  forget(): void;
  stats(): Promise<Stats | undefined>;
  notes(): Promise<Note[] | undefined>;
}

/** Starts this tab's part, and returns when this tab leads or another does. */
export async function start(config: Config): Promise<Running> {
  let leader: Leader | undefined;
  const tabs = channel(() => leader);
  const indicator = config.indicator ? showIndicator() : undefined;

  let standing = new AbortController();
  async function stand(): Promise<void> {
    const { signal } = standing;
    let elected = false;
    const taken = new Promise<void>((settled, refused) => {
      // The lock is held until the page goes: others wait for it in line, and take over at that instant.
      navigator.locks
        .request("edgeweave-leader", { signal }, async () => {
          elected = true;
          leader = await lead(config, (stats) => {
            indicator?.(stats.uploaded);
            config.api.dispatchEvent(new CustomEvent("stats", { detail: stats }));
          });
          settled();
          await new Promise((gone) => signal.addEventListener("abort", gone));
          leader?.stop();
          leader = undefined;
        })
        .catch((error: unknown) => (signal.aborted ? settled() : refused(error)));
      // Another tab leads: there is nothing to wait for.
      navigator.locks.query().then((locks) => {
        if (locks.held?.some((lock) => lock.name === "edgeweave-leader") && !elected) settled();
      }, refused);
    });
    await taken;
  }

  // A page with open connections cannot be kept for "back" (https://web.dev/articles/bfcache).
  addEventListener("pagehide", () => standing.abort());
  addEventListener("pageshow", (event: PageTransitionEvent) => {
    if (!event.persisted) return;
    standing = new AbortController();
    stand().catch(config.failed);
  });
  await stand();
  // Not before somebody leads: what the page has loaded until then is told now.
  observeResources(config.base, (resources) => (leader ? leader.fetched(resources) : tabs.tell(resources)));

  return {
    circumstancesChanged: () => leader?.circumstancesChanged(),
    forget: () => leader?.forget(),
    stats: async () => (leader ? leader.stats() : tabs.ask("stats")),
    notes: async () => (leader ? leader.notes() : tabs.ask("notes")),
  };
}
