import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Joined } from "./channel";
import type { Aside } from "./wire";

/** The first that the page says to the thread on which the engine is to run. */
export interface Setting {
  site: string;
  release: string;
  base: string;
  /** When the page began, in milliseconds since 1970: the engine's clock counts from there. */
  origin: number;
}

/** What a neighbour said, as it came. */
export interface Arrived {
  peer: string;
  data: ArrayBuffer | string;
}

/** From the page to the thread on which the engine runs, once that is ready. */
export type ToThread =
  /** What happened in the page; `suspend` is the last of all messages. */
  | Input
  /** What the node said, as it came. */
  | { said: string }
  | Arrived
  /** A neighbour's channel is the thread's from now on. */
  | Joined
  /** A way to the worker, if that wants it, comes with the message. */
  | "port"
  /** Asks for the flight recorder. */
  | "notes";

/** A frame for a neighbour; with a transfer, it is a piece of that, and the engine waits until there is room for more. */
export interface Sent {
  peer: string;
  bytes: Uint8Array<ArrayBuffer>;
  transfer?: number;
}

/** From the thread on which the engine runs to the page: what only a page can do. */
export type ToPage =
  | Extract<Output, "connect" | "disconnect">
  | Extract<Output, { open_peer: unknown } | { signal_peer: unknown } | { close_peer: unknown } | { stats: unknown }>
  /** What the node is to be told. */
  | { tell: string }
  | Sent
  /** What the worker is to be asked; the port for its answer comes with the message. */
  | { ask: Aside }
  | { notes: Note[] }
  /** An error of our own: nothing goes on. */
  | { failed: string };

/** The first of all messages to the page: the engine runs. */
export type Ready = "ready";

/** One end of the way between the two. */
export interface Way<Said, Heard> {
  postMessage(message: Said, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<Heard>) => void) | null;
}
