import type { FromWorker, ToWorker } from "../shared/wire";
import { keepState, setShelf } from "./shelf";

declare const self: ServiceWorkerGlobalScope;

/** For so long after the last session a purge may have been missed by no more than this, in milliseconds. */
const CONFIRMED_MS = 5_000;
/** A worker that has just started hears from the tab that leads within so long, in milliseconds. */
const INTRODUCED_MS = 50;
/** Messages kept for the next leader: a few for each request of a page with hundreds. */
const KEPT_MOST = 2_000;

/** The way to the tab that leads. */
export interface Link {
  send(message: FromWorker): void;
  /** Hears what the leader says, and that it is gone; returns a function that ends it. */
  listen(heard: (message: ToWorker) => void, gone: () => void): () => void;
}

let current: Link | undefined;
let currentLock: string | undefined;
let session = false;
let confirmedUntil = 0;
/** Requests that wait for a leader. */
const seekers = new Set<(link: Link) => void>();
const kept: FromWorker[] = [];
const started = performance.now();

/** Whether purges reach this browser, or did a moment ago: only then does it answer from what it holds. */
export function confirmed(): boolean {
  return session || Date.now() < confirmedUntil;
}

/** The tab that leads, if one has said so. A worker that has just started waits a moment for that. */
export async function leader(): Promise<Link | undefined> {
  return current ?? arrival(started + INTRODUCED_MS - performance.now());
}

/** Wants a tab to lead, and waits for it, but not for longer than so many milliseconds. */
export async function leaderWithin(ms: number): Promise<Link | undefined> {
  if (current) return current;
  const arriving = arrival(ms);
  await call("wanted");
  return arriving;
}

function arrival(ms: number): Promise<Link | undefined> {
  return new Promise((resolve) => {
    if (ms <= 0) return resolve(undefined);
    const arrived = (link: Link) => {
      clearTimeout(timer);
      resolve(link);
    };
    const timer = setTimeout(() => {
      seekers.delete(arrived);
      resolve(undefined);
    }, ms);
    seekers.add(arrived);
  });
}

/** Calls every tab that is under this worker's control. */
export async function call(what: "who" | "wanted"): Promise<void> {
  for (const tab of await self.clients.matchAll({ type: "window" })) tab.postMessage({ edgeweave: what });
}

/** A tab has begun to listen: it may not have heard that an engine is wanted. */
export function greet(tab: Client): void {
  if (seekers.size > 0) tab.postMessage({ edgeweave: "wanted" });
}

/** Tells the leader something, or the next one when there is none; what is oldest is lost when there is too much. */
export function tell(message: FromWorker): void {
  if (current) current.send(message);
  else if (kept.push(message) > KEPT_MOST) kept.shift();
}

/** A tab leads from now on, and holds the lock for as long as it does. */
export function follow(port: MessagePort, lock: string): void {
  if (current && currentLock === lock) {
    // A tab that was called several times offers several ports.
    port.close();
    return;
  }
  const listeners = new Set<{ heard: (message: ToWorker) => void; gone: () => void }>();
  const link: Link = {
    send: (message) => port.postMessage(message),
    listen(heard, gone) {
      const listener = { heard, gone };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if ("shelf" in data) setShelf(data.shelf);
    else if ("persist" in data) keepState(data.persist.state);
    else if ("session" in data) {
      if (link === current) setSession(data.session);
    } else for (const { heard } of [...listeners]) heard(data);
  };
  current = link;
  currentLock = lock;
  link.send("ready");
  for (const message of kept.splice(0)) link.send(message);
  for (const arrived of [...seekers]) {
    seekers.delete(arrived);
    arrived(link);
  }
  void navigator.locks.request(lock, () => {
    if (current === link) {
      current = undefined;
      setSession(false);
    }
    for (const { gone } of [...listeners]) gone();
  });
}

function setSession(now: boolean): void {
  if (session && !now) confirmedUntil = Date.now() + CONFIRMED_MS;
  session = now;
}
