/** What fails to load so shortly before or after a worker starts, in milliseconds, failed because the one before was stopped. */
const ABOUT_MS = 2_000;

const failed = new Map<HTMLImageElement | HTMLLinkElement, number>();
const tried = new WeakSet<Element>();
let started = Number.NEGATIVE_INFINITY;

/**
 * Watches what fails to load. A browser that stops a worker asks the next one for what the first has not answered, but
 * may be so quick that it asks the one that it is stopping; and an answer that passes through a worker ends with it.
 */
export function watchLoads(): void {
  const failing = ({ target }: { target: EventTarget | null }) => {
    if (!(target instanceof HTMLImageElement || target instanceof HTMLLinkElement)) return;
    failed.set(target, performance.now());
    loadAgain();
  };
  // The error of an element does not bubble.
  addEventListener("error", failing, true);
  // Some may have failed before this script was there.
  for (const image of document.images)
    if (image.complete && image.src && !image.naturalWidth) failing({ target: image });
}

/** A worker has just started: what failed with the one before is loaded once more. */
export function workerStarted(): void {
  started = performance.now();
  loadAgain();
}

function loadAgain(): void {
  for (const [element, at] of failed) {
    if (Math.abs(at - started) > ABOUT_MS || tried.has(element)) continue;
    failed.delete(element);
    tried.add(element);
    const name = element instanceof HTMLImageElement ? "src" : "href";
    element.setAttribute(name, element.getAttribute(name) ?? "");
  }
}
