import type { Note } from "./generated/Note";
import type { Stats } from "./generated/Stats";

/** What a page can ask of Edgeweave: `window.edgeweave`. */
export interface Edgeweave extends EventTarget {
  /** Gives or withdraws the visitor's consent, which is kept. Withdrawn, the client stops and forgets everything. */
  consent(given: boolean): void;
  /** Turns the client on again after `disable()`. */
  enable(): void;
  /** Turns the client off in this browser, for this site, until `enable()`. */
  disable(): void;
  /** Figures since the tab that runs the engine was opened: requests and bytes by source, neighbours, uploads. */
  stats(): Promise<Stats>;
  /** Forgets everything that the secondary cache holds. */
  purge(): Promise<void>;
  /** The flight recorder: what happened lately, and why. */
  recorder(): Promise<Note[]>;
}

/** Events: `stats` and `state` carry the figures, `note` a note of the flight recorder, as `detail`. */
export type EdgeweaveEvent = CustomEvent<Stats | Note>;

declare global {
  interface Window {
    edgeweave?: Edgeweave;
  }
}
