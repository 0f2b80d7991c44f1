// The worker part: it answers what it can, asks the tab that leads about the rest, and otherwise stays out of the way.
import { isAside } from "../shared/wire";
import { answer } from "./answer";
import { concerns } from "./concerns";
import { follow } from "./link";
import { shelf, shelfLoaded } from "./shelf";
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
  // Where the browser can be told so, navigations do not even start this worker.
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
  if (event.data.edgeweave === "alive" && event.source instanceof WindowClient) {
    event.waitUntil(isAlive(event.source.id));
  }
});

self.addEventListener("fetch", (event) => {
  void watch(event.clientId);
  const { request } = event;
  const concern = errors < ERRORS_MOST ? concerns(request) : undefined;
  if (!concern) return;
  // What is known not to be admitted is left alone altogether.
  const known = shelf();
  if (known && !known.held.has(concern.url) && !known.admitted.has(concern.url)) return;
  event.respondWith(
    answer(request, concern).catch((error: unknown) => {
      // The origin's own failure is the page's to see; anything else is ours, and the browser does what it would have done.
      if (error instanceof TypeError || error instanceof DOMException) throw error;
      errors += 1;
      return fetch(request);
    }),
  );
});
