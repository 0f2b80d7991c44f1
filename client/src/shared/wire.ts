import type { ByteRange } from "../generated/ByteRange";
import type { Event } from "../generated/Event";
import type { FetchedResource } from "../generated/FetchedResource";
import type { Input } from "../generated/Input";
import type { Output } from "../generated/Output";
import type { Reason } from "../generated/Reason";

type Part<K extends string> = Extract<Output, Record<K, unknown>> extends Record<K, infer V> ? V : never;

/** What the node writes in front of the snippet and the worker. */
export interface Known {
  /** The site, where the node could tell it from the request. */
  site: string | null;
  /** The release whose files are at `base/client/release/`. */
  release: string;
  /** How this browser reaches the node. */
  base: string;
}

/** The response that the mesh begins. */
export type Head = Part<"head">;

/** From the tab that leads to the worker. */
export type ToWorker =
  /** The request has arrived: the tab is awake, and the engine decides from here on. */
  | { taken: { id: number } }
  | { head: Head }
  | { chunk: { id: number; bytes: ArrayBuffer } }
  | { end: { id: number } }
  | { fallback: { id: number; reason: Reason; delivered: number } }
  | { hedge: { id: number } }
  /** What the worker may know from now on, and is to keep: a `Shelf`, as text. */
  | { shelf: string }
  /** The engine's memory, which the worker is to keep: it is still there when the tab is gone. */
  | Extract<Output, { persist: unknown }>
  /** Whether there is a session with a node, so that purges arrive. */
  | { session: boolean };

/** From the worker to the tab that leads. */
export type FromWorker =
  /** This worker listens on this port from now on. */
  | "ready"
  | { request: { id: number; url: string; range: ByteRange | null; rescue: boolean } }
  | { cancel: { id: number; reason: Reason | null } }
  | { consumed: { id: number; bytes: number } }
  | { fetched: FetchedResource }
  | { cached: { url: string; bytes: number } }
  | { supernode: { url: string; served: Extract<Input, { supernode_served: unknown }>["supernode_served"] } }
  /** A segment of what came from the supernode is in the secondary cache. */
  | { stored: { hash: string; segment: number } }
  | { note: { event: Event; reason: Reason | null; about: string; bytes: number } };

/** Between tabs and the worker, beside any port: the key tells our messages from the site's own. */
export type Aside =
  /** To the worker: a tab leads; its port comes with the message, and it holds the lock for as long as it does. */
  | { edgeweave: "lead"; lock: string }
  /** To the worker: the snippet runs in this tab. */
  | { edgeweave: "alive" }
  /** To the worker: read the browser's own copy; the port for it comes with the message. */
  | { edgeweave: "copy"; url: string; range: string | null }
  /** To every tab: say again what you are, because this worker has just started. */
  | { edgeweave: "who" }
  /** To every tab: a request waits for an engine. */
  | { edgeweave: "wanted" };

/** Whether a message is one of ours. */
export function isAside(data: unknown): data is Aside {
  return (data as Partial<Aside> | null | undefined)?.edgeweave !== undefined;
}
