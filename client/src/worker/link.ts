import type { FromWorker, ToWorker } from "../shared/wire";
import { setShelf } from "./shelf";

declare const self: ServiceWorkerGlobalScope;

/** For so long after the last session a purge may have been missed by no more than this, in milliseconds. */
const CONFIRMED_MS = 30_000;
/** Messages kept for the next leader. */
const KEPT_MOST = 200;

/** The way to the tab that leads. */
export interface Link {
  send(message: FromWorker): void;
  /** Calls back when the leader is gone. */
  onGone(callback: () => void): () => void;
}

type Listener = (message: ToWorker) => void;

let current: Link | undefined;
let session = false;
let confirmedUntil = 0;
const arrivals: ((link: Link) => void)[] = [];
const kept: FromWorker[] = [];
const listeners = new Set<Listener>();

/** Whether purges reach this browser, or did a moment ago: only then does it answer from what it holds. */
export function confirmed(): boolean {
  return session || Date.now() < confirmedUntil;
}

/** The tab that leads, if one has said so. */
export function leader(): Link | undefined {
  return current;
}

/** Asks for a leader, and waits for it, but not for longer than so many milliseconds. */
export async function leaderWithin(ms: number): Promise<Link | undefined> {
  if (current || ms <= 0) return current;
  void wanted();
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    arrivals.push((link) => {
      clearTimeout(timer);
      resolve(link);
    });
  });
}

/** Asks every tab whether it leads, or can. */
export async function wanted(): Promise<void> {
  for (const client of await self.clients.matchAll({ type: "window" })) client.postMessage({ edgeweave: "wanted" });
}

/** Tells the leader something, or the next one when there is none. */
export function tell(message: FromWorker): void {
  if (current) current.send(message);
  else if (kept.length < KEPT_MOST) kept.push(message);
}

/** Hears everything that leaders say. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A tab leads from now on, and holds the lock for as long as it does. */
export function follow(port: MessagePort, lock: string): void {
  const gone = new Set<() => void>();
  const link: Link = {
    send: (message) => port.postMessage(message),
    onGone(callback) {
      gone.add(callback);
      return () => gone.delete(callback);
    },
  };
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if ("shelf" in data) setShelf(data.shelf);
    if ("session" in data && link === current) setSession(data.session);
    for (const listener of listeners) listener(data);
  };
  current = link;
  for (const message of kept.splice(0)) link.send(message);
  for (const arrive of arrivals.splice(0)) arrive(link);
  void navigator.locks.request(lock, () => {
    port.close();
    if (current === link) {
      current = undefined;
      setSession(false);
    }
    for (const callback of gone) callback();
  });
}

function setSession(now: boolean): void {
  if (session && !now) confirmedUntil = Date.now() + CONFIRMED_MS;
  session = now;
}
