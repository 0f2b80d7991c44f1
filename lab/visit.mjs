// One visit of one visitor, whatever the browser.
//
// A browser has its `first` page, `newPage()` and `close()`. A page has
//   evaluate(run, ...args)  runs a function in it, and returns what it returns;
//   go(url, from, link)     goes there, by the link if there is one, and waits until it has loaded;
//   hear()                  collects `errors` from now on until `deaf()`, and says digests of some `bodies()`.
//
// Everything that is read from a page is read after the visitor has looked at it, so that no load is disturbed.

/** Milliseconds that a page may take to load. */
export const LOAD_TIMEOUT_MS = 60_000;
/** Milliseconds for which a client that has not said which arm it is in is waited for. */
const ARM_TIMEOUT_MS = 5_000;
/** How often something that is waited for is looked at, in milliseconds. */
const POLL_MS = 100;
/** Milliseconds for which a page is looked at after it has loaded, at least. */
const LOOK_LEAST_MS = 1_000;
/** How often a reader scrolls while looking at a page. */
const SCROLLS = 3;
/** Bodies of a page that are compared with the origin's. More would keep the machine from the next pages. */
const BODIES_OF_A_PAGE = 3;

export const VIEWPORT = { width: 1280, height: 900 };
/**
 * By default browsers remember 250 resources of a page, and large galleries have more. So the client's own way around that
 * is not tried here (client/test/large-gallery.test.ts does).
 */
export const REMEMBER_ALL = "performance.setResourceTimingBufferSize(10_000);";
/** What a page that visitors look at runs first. A worker that takes over in the middle of a page has not controlled it. */
export const WATCH = `globalThis.controlledFromTheStart = navigator.serviceWorker?.controller != null;${REMEMBER_ALL}`;

/** Visits as ordered, with a browser that `open` opens, and says what comes of it. */
export async function visit(order, open, say, isOver) {
  const { id } = order;
  let browser;
  let index = 0;
  try {
    browser = await open(order);
    const visitor = { id, browser, page: browser.first, base: undefined, from: undefined };
    for (; index < order.views.length && !isOver(); index += 1)
      say({ view: await look(visitor, index, order.views[index], isOver) });
  } catch (error) {
    say({ failed: { visit: id, index, error: text(error) } });
  }
  await browser?.close().catch(() => {});
  say({ left: { visit: id } });
}

export function text(error) {
  return error instanceof Error ? error.message : String(error);
}

export function wait(ms) {
  return new Promise((over) => setTimeout(over, ms));
}

/** Looks at one page; returns what came of it. */
async function look(visitor, index, { url, dwell_ms, tab }, isOver) {
  if (tab === "new") {
    // The tab before stays open and goes on leading: its figures go on, too.
    visitor.base = await statsOf(visitor.page);
    visitor.page = await visitor.browser.newPage();
    visitor.isSecond = true;
  } else if (!visitor.isSecond) {
    // The only tab of the site leads, and what it counts begins with each page.
    visitor.base = undefined;
  }
  const { page } = visitor;
  const heard = page.hear();
  const asked = Date.now();
  await page.go(url, visitor.from, await page.evaluate(placeOfLink, url));
  visitor.from = url;
  const looks = Math.max(LOOK_LEAST_MS, dwell_ms - (Date.now() - asked));
  for (let step = 1; step <= SCROLLS && !isOver(); step += 1) {
    await wait(looks / SCROLLS);
    await page.evaluate((part) => scrollTo({ top: document.body.scrollHeight * part }), step / SCROLLS);
  }
  const stats = await armKnown(page, isOver);
  const timing = await page.evaluate(timingOf);
  heard.deaf();
  const bodies = await heard.bodies();
  const { base } = visitor;
  // Bodies that are read once more are no part of the next page.
  if (visitor.isSecond) visitor.base = await statsOf(page);
  return {
    visit: visitor.id,
    index,
    url,
    ended_ms: Date.now(),
    ...timing,
    off: stats?.off ?? null,
    connected: stats?.connected ?? false,
    neighbours: stats?.neighbours ?? 0,
    replicated: stats?.replicated ?? 0,
    uploaded: (stats?.uploaded ?? 0) - (base?.uploaded ?? 0),
    bytes: difference(stats?.bytes, base?.bytes),
    requests: difference(stats?.requests, base?.requests),
    errors: heard.errors,
    bodies,
  };
}

/** Which bodies of a page are compared: others on each, and in each process. */
let turn = process.pid;

/** A few of a page's bodies. */
export function aFew(all) {
  const chosen = new Set();
  for (let count = 0; count < Math.min(BODIES_OF_A_PAGE, all.length); count += 1) chosen.add(all[turn++ % all.length]);
  return [...chosen];
}

/** Where a link can be pointed at that leads to a page, in this tab. Runs in the page. */
function placeOfLink(url) {
  for (const link of document.links) {
    if (link.href.split("#")[0] !== url || !["", "_self"].includes(link.target)) continue;
    link.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, top, width, height } = link.getClientRects()[0] ?? {};
    const place = { x: left + width / 2, y: top + height / 2 };
    if (width > 0 && document.elementFromPoint(place.x, place.y)?.closest("a") === link) return place;
  }
  return null;
}

function statsOf(page) {
  return page.evaluate(async () => (await globalThis.edgeweave?.stats()) ?? null);
}

/** The client's figures, once it says which arm it is in. */
export async function armKnown(page, isOver) {
  for (const end = Date.now() + ARM_TIMEOUT_MS; ; await wait(POLL_MS)) {
    const stats = await statsOf(page);
    // An engine that has not begun says that it is disabled.
    const isKnown = stats?.connected || (stats?.off && stats.off !== "disabled");
    if (isKnown || Date.now() > end || isOver()) return stats;
  }
}

function difference(now = {}, before = {}) {
  const of = (name) => Math.max(0, (now[name] ?? 0) - (before[name] ?? 0));
  return { cache: of("cache"), peers: of("peers"), supernode: of("supernode"), origin: of("origin") };
}

/** What the browser measured of a page. Runs in the page. */
function timingOf() {
  const navigation = performance.getEntriesByType("navigation")[0];
  return {
    began_ms: performance.timeOrigin,
    load_ms: navigation.loadEventEnd,
    first_byte_ms: navigation.responseStart,
    controlled: globalThis.controlledFromTheStart === true,
    resources: performance.getEntriesByType("resource").map((entry) => ({
      url: entry.name,
      kind: entry.initiatorType,
      start_ms: entry.startTime,
      first_byte_ms: entry.responseStart,
      end_ms: entry.responseEnd,
      bytes: entry.decodedBodySize,
      transferred: entry.transferSize,
      worker: entry.workerStart > 0,
    })),
  };
}
