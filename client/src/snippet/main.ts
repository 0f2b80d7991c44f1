// The part that every page loads: it decides whether there is anything to do, registers the worker, and brings in the
// rest when the page is idle or a request waits for it. Size is a feature.
import type { Edgeweave } from "../api";
import type { Reason } from "../generated/Reason";
import type { Running } from "../page/main";
import { CACHE } from "../shared/storage";
import { isAside, type Known } from "../shared/wire";
import { breakerOpen, strike, worked } from "./breaker";
import { watchLoads, workerStarted } from "./repair";
import { remember, SETTINGS_KEY, settings } from "./settings";

const WORKER = "/edgeweave-sw.js";
const FORBIDDEN = "content_security_policy";
/** A client that has run for so long without an error works, in milliseconds. */
const WORKED_MS = 60_000;
/** A page that is never idle is not waited for longer than this after its load, in milliseconds. */
const IDLE_MOST_MS = 2_000;
/** Resources that the browser is to remember beyond its own limit: as many as the engine knows of (`MOST_URLS`). */
const MORE_RESOURCES = 1_000;

const known = (globalThis as unknown as { __edgeweave?: Known }).__edgeweave as Known;
const script = document.currentScript as HTMLScriptElement | null;
const needsConsent = script?.dataset.consent === "required";
const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;

let running: Promise<Running | undefined> | undefined;
/** Why the client stays off on this page, whatever the visitor wishes. */
let offHere: Reason | undefined;
/** What the error said that the client met. */
let failure: string | undefined;
/** How often the visitor has left this page, and come back in between. */
let timesLeft = 0;

/** Why the client takes no part now, if it does not. */
function off(): Reason | undefined {
  const { consent, disabled } = settings();
  if (needsConsent ? !consent : consent === false) return "no_consent";
  if (disabled) return "disabled";
  if (!container || !isSecureContext) return "no_worker";
  return offHere ?? (breakerOpen(Date.now()) ? "breaker_open" : undefined);
}

/** Brings in the rest of the client, once; once more, if the page was left before it was there, and is back. */
function run(): void {
  running = (running ?? Promise.resolve(undefined)).then((started) => started ?? (off() ? undefined : load()));
}

async function load(): Promise<Running | undefined> {
  const before = timesLeft;
  try {
    const page = (await import(`${known.base}/client/${known.release}/page.js`)) as typeof import("../page/main");
    const started = await page.start({
      base: known.base,
      release: known.release,
      site: script?.dataset.site ?? known.site ?? "",
      off,
      failed,
      api,
      indicator: script?.dataset.indicator !== undefined,
      nonce: script?.nonce,
    });
    setTimeout(() => offHere || worked(), WORKED_MS);
    return started;
  } catch (error) {
    // The browser ends what a page has begun when the page is left, with errors that are nobody's fault.
    if (timesLeft === before) failed(error);
    return undefined;
  }
}

/** The client met an error of its own: it stays out of the way, and says so, once. */
function failed(error: unknown): void {
  if (offHere) return;
  failure = String(error).slice(0, 200);
  // What a policy forbids the engine's thread says so (`begin` in page/thread.ts), and so does WebAssembly's own error.
  offHere = /content security/i.test(failure) ? FORBIDDEN : "client_error";
  strike(Date.now(), offHere);
  const notes = [{ at_ms: Math.round(performance.now()), event: "error", reason: offHere, about: failure }];
  const site = script?.dataset.site ?? known.site;
  navigator.sendBeacon?.(`${known.base}/report`, JSON.stringify({ site, release: known.release, notes }));
  void changed();
}

/** The page's policy has forbidden something of ours. */
function forbidden(what: string): void {
  if (!offHere) failed(`content security policy: ${what}`);
  // What could not be loaded may have failed already, and did not say why.
  offHere = FORBIDDEN;
  if (breakerOpen(Date.now())) remember({ why: FORBIDDEN });
  void changed();
}

/** Says again what the visitor, the page and the browser allow. */
async function changed(): Promise<void> {
  (await running)?.circumstancesChanged();
  api.dispatchEvent(new CustomEvent("state", { detail: await api.stats() }));
}

/** Tells the worker that this page has the snippet: a site that drops it gets rid of the worker as well. */
function alive(): void {
  container?.controller?.postMessage({ edgeweave: "alive" });
}

/** The page part tells what was loaded before it came, and by default browsers remember 250 resources. */
function rememberMore(): void {
  performance.setResourceTimingBufferSize(performance.getEntriesByType("resource").length + MORE_RESOURCES);
}

async function begin(): Promise<void> {
  if (off() || !container) return;
  const registration = await container.getRegistration("/");
  const there = (registration?.active ?? registration?.waiting ?? registration?.installing)?.scriptURL;
  if (there && new URL(there).pathname !== WORKER) {
    // The site has a worker of its own: registering ours would take its place.
    offHere = "foreign_worker";
    return;
  }
  await container.register(WORKER, { scope: "/", updateViaCache: "none" });
  // A page that is only being prepared may never be looked at (https://developer.mozilla.org/docs/Web/API/Document/prerendering).
  if ("prerendering" in document && document.prerendering) await next(document, "prerenderingchange");
  if (document.readyState !== "complete") await next(window, "load");
  // Safari has no `requestIdleCallback`.
  await new Promise<unknown>((idle) =>
    "requestIdleCallback" in window ? requestIdleCallback(idle, { timeout: IDLE_MOST_MS }) : setTimeout(idle, 200),
  );
  run();
}

function next(target: EventTarget, event: string): Promise<Event> {
  return new Promise((happened) => target.addEventListener(event, happened, { once: true }));
}

function start(): void {
  begin()
    .catch(() => {
      // A policy, a private window or a missing worker file: the page has what it always had.
      offHere ??= "no_worker";
    })
    .then(changed);
}

async function stop(): Promise<void> {
  await changed();
  const registration = await container?.getRegistration("/");
  if (registration?.active?.scriptURL.includes(WORKER)) await registration.unregister();
}

async function dropCache(): Promise<void> {
  // Absent where the page is no secure context, and refused where the browser lends no storage.
  await globalThis.caches?.delete(CACHE).catch(() => false);
}

const none = { cache: 0, peers: 0, supernode: 0, origin: 0 };

const api: Edgeweave = Object.assign(new EventTarget(), {
  consent(given: boolean): void {
    remember({ consent: given });
    if (given) start();
    // The engine forgets what it holds; what it knows of the site goes with the cache.
    else void stop().then(api.purge).then(dropCache);
  },
  enable(): void {
    remember({ disabled: false });
    start();
  },
  disable(): void {
    remember({ disabled: true });
    void stop();
  },
  async stats() {
    const stats = await (await running)?.stats();
    return {
      requests: none,
      bytes: none,
      uploaded: 0,
      replicated: 0,
      replicated_used: 0,
      neighbours: 0,
      crowd: 0,
      connected: false,
      admitted: 0,
      held: 0,
      stored: 0,
      uploaded_this_month: 0,
      prefetch: "off" as const,
      release: known.release,
      ...stats,
      off: off() ?? stats?.off ?? null,
    };
  },
  async purge(): Promise<void> {
    const client = await running;
    if (client) await client.forget();
    else await dropCache();
  },
  async recorder() {
    const notes = await (await running)?.notes();
    const reason = off();
    if (notes || !reason) return notes ?? [];
    // A breaker is open for what was the matter when it opened.
    const about = reason === "breaker_open" ? settings().why : failure;
    return [{ at_ms: 0, event: "off" as const, reason, ...(about && { about }) }];
  },
});

if (!window.edgeweave && known) {
  window.edgeweave = api;
  container?.addEventListener("message", ({ data }) => {
    if (!isAside(data)) return;
    if (data.edgeweave === "who") {
      alive();
      workerStarted();
    }
    // A request waits: this cannot be put off until the page is idle.
    if (data.edgeweave === "wanted") run();
  });
  container?.startMessages();
  watchLoads();
  alive();
  window.addEventListener("pagehide", () => {
    timesLeft += 1;
  });
  window.addEventListener("pageshow", ({ persisted }) => persisted && start());
  // Another tab has changed the visitor's wishes.
  window.addEventListener("storage", ({ key }) => key === SETTINGS_KEY && void changed());
  const parts = [`${known.base}/client/`, `${known.base.replace("http", "ws")}/mesh`, location.origin + WORKER];
  document.addEventListener("securitypolicyviolation", ({ blockedURI, disposition, effectiveDirective }) => {
    // Where any such worker is forbidden, the engine's is.
    const isThread = running && blockedURI === "blob" && effectiveDirective === "worker-src";
    const isOurs = isThread || parts.some((part) => blockedURI.startsWith(part));
    if (disposition === "enforce" && isOurs) forbidden(blockedURI);
  });
  // A page may have put a clock of its own here, which is nothing but that.
  performance.addEventListener?.("resourcetimingbufferfull", rememberMore, { once: true });
  start();
}
