// The part that every page loads: it decides whether there is anything to do, registers the worker, and brings in the
// rest when the page is idle or a request waits for it. Size is a feature.
import type { Edgeweave } from "../api";
import type { Reason } from "../generated/Reason";
import type { Stats } from "../generated/Stats";
import type { Running } from "../page/main";
import { CACHE } from "../shared/storage";
import { isAside, type Known } from "../shared/wire";
import { breakerOpen, strike, worked } from "./breaker";
import { remember, settings } from "./settings";

const WORKER = "/edgeweave-sw.js";

const known = (globalThis as unknown as { __edgeweave: Known }).__edgeweave;
const script = document.currentScript as HTMLScriptElement | null;
const needsConsent = script?.dataset.consent === "required";
const site = script?.dataset.site ?? known.site;
const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;

let running: Promise<Running | undefined> | undefined;
let lastReason: Reason | undefined;

function off(): Reason | undefined {
  const wishes = settings();
  if (needsConsent && !wishes.consent) return "no_consent";
  if (wishes.disabled || wishes.consent === false) return "disabled";
  if (!container || !isSecureContext || !site) return "no_worker";
  if (breakerOpen(Date.now())) return "breaker_open";
  return lastReason;
}

/** Brings in the rest of the client, once. */
function run(): Promise<Running | undefined> {
  running ??= import(`${known.base}/client/${known.release}/page.js`)
    .then((page: typeof import("../page/main")) =>
      page.start({
        ...known,
        site: site as string,
        off,
        failed,
        api,
        indicator: script?.dataset.indicator !== undefined,
      }),
    )
    .then((started) => {
      worked();
      return started;
    })
    .catch((error: unknown) => {
      failed(error);
      return undefined;
    });
  return running;
}

/** The client met an error of its own: it stays out of the way, and says so. */
function failed(error: unknown): void {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  lastReason = /content security/i.test(text) ? "content_security_policy" : "client_error";
  strike(Date.now());
  const notes = [
    { at_ms: Math.round(performance.now()), event: "error", reason: lastReason, about: text.slice(0, 200) },
  ];
  const traffic = { requests: {}, bytes: {}, uploaded: 0 };
  navigator.sendBeacon?.(`${known.base}/report`, JSON.stringify({ site, release: known.release, notes, traffic }));
}

async function begin(): Promise<void> {
  if (off() || !container) return changed();
  const registration = await container.getRegistration("/");
  const script = (registration?.active ?? registration?.waiting ?? registration?.installing)?.scriptURL;
  if (script && new URL(script).pathname !== WORKER) {
    // The site has a worker of its own: registering ours would take its place.
    lastReason = "foreign_worker";
    return changed();
  }
  container.addEventListener("message", (event) => {
    if (isAside(event.data) && event.data.edgeweave === "wanted" && !off()) void run();
  });
  container.startMessages();
  await container.register(WORKER, { scope: "/", updateViaCache: "none" });
  container.controller?.postMessage({ edgeweave: "alive" });
  if (document.readyState !== "complete")
    await new Promise((loaded) => addEventListener("load", loaded, { once: true }));
  await new Promise<unknown>((idle) =>
    "requestIdleCallback" in window ? requestIdleCallback(idle, { timeout: 2_000 }) : setTimeout(idle, 200),
  );
  if (!off()) await run();
}

function start(): void {
  begin().catch((error: unknown) => {
    // A policy or a private window may forbid workers; the page has what it always had.
    lastReason = "no_worker";
    if (!(error instanceof DOMException || error instanceof TypeError)) failed(error);
  });
}

/** What the visitor or the page wishes has changed. */
async function changed(): Promise<void> {
  (await running)?.circumstancesChanged();
  api.dispatchEvent(new CustomEvent("state", { detail: await api.stats() }));
}

async function stop(): Promise<void> {
  await changed();
  const registration = await container?.getRegistration("/");
  if (registration?.active?.scriptURL.endsWith(WORKER)) await registration.unregister();
}

const none = { cache: 0, peers: 0, supernode: 0, origin: 0 };

const api: Edgeweave = Object.assign(new EventTarget(), {
  consent(given: boolean): void {
    remember({ consent: given });
    if (given) start();
    else void stop().then(api.purge);
  },
  enable(): void {
    remember({ disabled: false });
    start();
  },
  disable(): void {
    remember({ disabled: true });
    void stop();
  },
  async stats(): Promise<Stats> {
    const stats = await (await running)?.stats();
    return {
      requests: none,
      bytes: none,
      uploaded: 0,
      neighbours: 0,
      crowd: 0,
      connected: false,
      admitted: 0,
      held: 0,
      stored: 0,
      uploaded_this_month: 0,
      release: known.release,
      ...stats,
      off: off() ?? stats?.off ?? null,
    };
  },
  async purge(): Promise<void> {
    (await running)?.forget();
    await globalThis.caches?.delete(CACHE);
  },
  async recorder() {
    const notes = await (await running)?.notes();
    const reason = off();
    return notes ?? (reason ? [{ at_ms: 0, event: "off" as const, reason }] : []);
  },
});

if (!window.edgeweave && known) {
  window.edgeweave = api;
  start();
}
