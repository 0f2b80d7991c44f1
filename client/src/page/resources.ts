import type { FetchedResource } from "../generated/FetchedResource";
import { ownFiles } from "../shared/own-files";

/** Tells what this page loads by the browser's own means, from its beginning on. */
export function observeResources(base: string, tell: (resources: FetchedResource[]) => void): void {
  const container = navigator.serviceWorker;
  let controlledSince = container.controller ? 0 : Number.POSITIVE_INFINITY;
  container.addEventListener("controllerchange", () => {
    controlledSince = Math.min(controlledSince, performance.now());
  });
  const isOurs = ownFiles(base);

  const observer = new PerformanceObserver((list) => {
    const resources = (list.getEntries() as PerformanceResourceTiming[])
      // A frame's document is a page of its own.
      .filter(({ name, initiatorType: by }) => /^https?:/.test(name) && !isOurs(name) && by !== "iframe")
      .map((entry) => fetchedResource(entry, entry.startTime >= controlledSince));
    if (resources.length > 0) tell(resources);
  });
  observer.observe({ type: "resource", buffered: true });
}

/** What the browser's timing says of a resource. */
function fetchedResource(entry: PerformanceResourceTiming, controlled: boolean): FetchedResource {
  // What the browser's HTTP cache answered took nothing from the origin and says nothing about it.
  const fromNetwork = entry.transferSize > 0;
  return {
    url: entry.name.split("#")[0] ?? entry.name,
    bytes: fromNetwork ? entry.decodedBodySize : 0,
    first_byte_ms: Math.max(0, Math.round(entry.responseStart - entry.startTime)),
    total_ms: Math.max(0, Math.round(entry.responseEnd - entry.startTime)),
    controlled,
    status: entry.responseStatus ?? 0,
  };
}
