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
  /**
   * Figures since the tab that runs the engine was opened: requests and bytes by source, neighbours, uploads; and the
   * client release that runs.
   */
  stats(): Promise<Stats & { release: string }>;
  /** Forgets everything that the secondary cache holds. */
  purge(): Promise<void>;
  /** The flight recorder: what happened lately, and why. */
  recorder(): Promise<Note[]>;

  addEventListener<K extends keyof EdgeweaveEvents>(
    type: K,
    listener: (event: EdgeweaveEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/** The events of `window.edgeweave`. */
export interface EdgeweaveEvents {
  /** The figures have changed. */
  stats: CustomEvent<Stats>;
  /** Whether the client takes part, and why not (`detail.off`), may have changed. */
  state: CustomEvent<Stats>;
}

declare global {
  interface Window {
    edgeweave?: Edgeweave;
  }
}
