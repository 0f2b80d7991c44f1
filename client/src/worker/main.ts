// The worker part: it answers what it can, asks the tab that leads about the rest, and otherwise stays out of the way.
import { isAside } from "../shared/wire";
import { askAhead } from "./admitted";
import { answer } from "./answer";
import { type Concern, concerns } from "./concerns";
import { ownCopy } from "./copy";
import { call, follow, greet, tell } from "./link";
import { observeOrigin, origin } from "./origin";
import { mayKnow, shelfLoaded } from "./shelf";
import { isAlive, watch } from "./uninstall";

declare const self: ServiceWorkerGlobalScope;

/** The static routing API (https://developer.chrome.com/docs/workbox/service-worker-overview/static-routing). */
interface RoutableInstallEvent extends ExtendableEvent {
  addRoutes?(routes: { condition: { requestMode: string }; source: "network" }[]): Promise<void>;
}

/** After so many errors of its own, a worker leaves everything to the browser until it is started again. */
const ERRORS_MOST = 5;
let errors = 0;

self.addEventListener("install", (event: RoutableInstallEvent) => {
  void self.skipWaiting();
  // Where this file's own policy forbids it the site's assets, there is no worker rather than one that breaks pages.
  event.waitUntil(fetch(location.href));
  // Where the browser can be told so, navigations do not wait for this worker. Chromium starts it beside them
  // (`ServiceWorkerStaticRouterStartServiceWorker`, https://crbug.com/1371756).
  const routed = event.addRoutes?.([{ condition: { requestMode: "navigate" }, source: "network" }]);
  if (routed) event.waitUntil(routed.catch(() => undefined));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(Promise.all([self.clients.claim(), shelfLoaded()]));
});

self.addEventListener("message", (event) => {
  if (!isAside(event.data)) return;
  const port = event.ports[0];
  if (event.data.edgeweave === "lead" && port) follow(port, event.data.lock);
  if (event.data.edgeweave === "copy" && port) {
    event.waitUntil(ownCopy(event.data.url, event.data.range).then((copy) => port.postMessage(copy)));
  }
  if (event.data.edgeweave === "alive" && event.source instanceof WindowClient) {
    greet(event.source);
    event.waitUntil(isAlive(event.source.id));
  }
});

self.addEventListener("fetch", (event) => {
  void watch(event.clientId).catch(() => undefined);
  const { request } = event;
  const concern = errors < ERRORS_MOST ? concerns(request) : undefined;
  // What is known not to be admitted is left alone altogether.
  if (!concern || !mayKnow(concern.url)) return;
  event.respondWith(
    answered(request, concern).catch((error: unknown) => {
      // The origin's failures are answers; whatever is thrown is ours, and the browser does what it would have done.
      errors += 1;
      tell({ note: { event: "error", reason: "client_error", about: String(error), bytes: 0 } });
      return fetch(request);
    }),
  );
});

async function answered(request: Request, concern: Concern): Promise<Response> {
  const known = await shelfLoaded();
  if (known?.assets.has(concern.url)) return answer(request, concern, known);
  // What passes through a worker takes nothing from the network as far as its page can see: it is counted here.
  return origin(request, concern.url).answer();
}

observeOrigin();
void call("who");
void askAhead();
