// The lab's visitors: `node visitors.mjs '{"origin":…}'`, driven by JSON lines on standard input, which it answers with
// JSON lines on standard output.
//
//   {"crawl":{…}}  → {"crawled":{…}}: what pages the site has, what they load and where they lead
//   {"copy":{…}}   → {"copied":[…]}: what a site on the Internet answered, kept in a folder
//   {"visit":{…}}  → {"view":{…}} for each page, then {"left":{…}}, or {"failed":{…}} and {"left":{…}}
//   {"cost":{…}}   → {"cost":{…}}: what the client adds to a page that it cannot help
//
// Everything that is read from a page is read after the visitor has looked at it, so that no load is disturbed. All
// browsers close when standard input ends.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { launch } from "../client/test/devtools.mjs";

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(options.client)("playwright-core");

/** Milliseconds that a page may take to load. */
const LOAD_TIMEOUT_MS = 60_000;
/** Milliseconds for which a client that has not said which arm it is in is waited for. */
const ARM_TIMEOUT_MS = 5_000;
/** Milliseconds after a click after which it leads to no page. */
const CLICK_LEADS_MS = 2_000;
/** How often something that is waited for is looked at, in milliseconds. */
const POLL_MS = 100;
/** Milliseconds for which a page is looked at after it has loaded, at least. */
const LOOK_LEAST_MS = 1_000;
/** How often a reader scrolls while looking at a page. */
const SCROLLS = 3;
/** Bodies of a page that are compared with the origin's. More would keep the machine from the next pages. */
const BODIES_OF_A_PAGE = 3;
/** Milliseconds after the load event of a page after which a client that cannot help it has done what it does. */
const COST_AFTER_MS = 4_000;
/** Loads with and without the client whose medians are compared. */
const COST_LOADS = 5;
/**
 * By default browsers remember 250 resources of a page, and large galleries have more. So the client's own way around that
 * is not tried here (client/test/large-gallery.test.ts does).
 */
const REMEMBER_ALL = "performance.setResourceTimingBufferSize(10_000);";
const VIEWPORT = { width: 1280, height: 900 };

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // By default the HTTP cache, and the largest entry it takes, are as large as the disk has room.
  "--disk-cache-size=1073741824",
  "--disable-extensions",
  "--no-default-browser-check",
  "--mute-audio",
  // Service workers need a secure context, and nobody has certificates for made-up addresses.
  `--unsafely-treat-insecure-origin-as-secure=${options.secure.join(",")}`,
];

/** Nothing but the site and the node is there: what pages want of others fails at once instead of when names time out. */
const NOBODY_ELSE = [
  "MAP * ~NOTFOUND",
  ...options.secure.map((origin) => `EXCLUDE ${new URL(origin).hostname}`),
].join(", ");

const browsers = new Set();
let closing = false;
/** Which bodies of a page are compared: others on each. */
let turn = 0;

process.on("SIGTERM", close);
process.on("SIGINT", close);
const commands = createInterface({ input: process.stdin });
commands.on("close", close);
commands.on("line", (line) => {
  const command = JSON.parse(line);
  if (command.crawl) answer("crawled", crawl(command.crawl));
  if (command.copy) answer("copied", copy(command.copy));
  if (command.visit) visit(command.visit);
  if (command.cost) answer("cost", cost(command.cost));
});

/** Tells the one who started us. */
function say(line) {
  if (!closing) process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function answer(name, work) {
  try {
    say({ [name]: await work });
  } catch (error) {
    say({ broken: text(error) });
  }
}

function text(error) {
  return error instanceof Error ? error.message : String(error);
}

function wait(ms) {
  return new Promise((over) => setTimeout(over, ms));
}

/** What a browser is started with; one that is online finds the whole Internet. */
function flags(online) {
  return online ? FLAGS : [...FLAGS, `--host-resolver-rules=${NOBODY_ELSE}`];
}

/** Opens a browser with a profile, to be looked into. */
async function open({ profile, chromium: executablePath, online = false }, more = {}) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    // Chromium's sandbox does not start for root, which namespaces need.
    chromiumSandbox: false,
    args: flags(online),
    viewport: VIEWPORT,
    ...more,
  });
  browsers.add(context);
  return context;
}

/** Opens a browser with a profile, to be left alone as far as can be. */
async function openForVisit({ profile, chromium: executable }) {
  const browser = await launch({ executable, profile, flags: [...flags(false), "--no-sandbox"] });
  browsers.add(browser);
  return browser;
}

async function shut(browser) {
  browsers.delete(browser);
  await browser?.close().catch(() => {});
}

// ---- visits

/** One visit of one visitor. */
async function visit(order) {
  const { id } = order;
  let browser;
  let index = 0;
  try {
    browser = await openForVisit(order);
    const visitor = { id, browser, page: await watched(browser.first), base: undefined, from: undefined };
    for (; index < order.views.length && !closing; index += 1) await look(visitor, index, order.views[index]);
  } catch (error) {
    say({ failed: { visit: id, index, error: text(error) } });
  }
  await shut(browser);
  say({ left: { visit: id } });
}

/** A page that says what a visit is asked about. */
async function watched(page) {
  await page.send("Emulation.setDeviceMetricsOverride", { ...VIEWPORT, deviceScaleFactor: 1, mobile: false });
  // A worker that takes over in the middle of a page has not controlled it.
  const controlled = "globalThis.controlledFromTheStart = navigator.serviceWorker?.controller != null;";
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: controlled + REMEMBER_ALL });
  await Promise.all(["Runtime", "Log", "Network"].map((domain) => page.send(`${domain}.enable`)));
  return page;
}

/** Looks at one page, and says what came of it. */
async function look(visitor, index, { url, dwell_ms, tab }) {
  if (tab === "new") {
    // The tab before stays open and goes on leading: its figures go on, too.
    visitor.base = await statsOf(visitor.page);
    visitor.page = await watched(await visitor.browser.newPage());
    visitor.isSecond = true;
  } else if (!visitor.isSecond) {
    // The only tab of the site leads, and what it counts begins with each page.
    visitor.base = undefined;
  }
  const { page } = visitor;
  const responses = new Map();
  const errors = [];
  const deaf = page.listen((event, said) => {
    if (event === "Network.requestWillBeSent" && said.request.method === "GET") responses.set(said.requestId, undefined);
    if (event === "Network.responseReceived" && responses.has(said.requestId)) responses.set(said.requestId, said);
    if (event === "Runtime.exceptionThrown") errors.push(thrown(said.exceptionDetails));
    if (event === "Runtime.consoleAPICalled" && said.type === "error") errors.push(logged(said));
    if (event === "Log.entryAdded" && said.entry.level === "error") errors.push(`${said.entry.text} (${said.entry.url ?? ""})`);
  });

  const asked = Date.now();
  await go(page, url, visitor.from);
  visitor.from = url;
  const looks = Math.max(LOOK_LEAST_MS, dwell_ms - (Date.now() - asked));
  for (let step = 1; step <= SCROLLS && !closing; step += 1) {
    await wait(looks / SCROLLS);
    await page.evaluate((part) => scrollTo({ top: document.body.scrollHeight * part }), step / SCROLLS);
  }
  const stats = await armKnown(page);
  const timing = await page.evaluate(timingOf);
  const bodies = await bodiesOf(page, [...responses.values()].filter((response) => response !== undefined));
  deaf();
  say({
    view: {
      visit: visitor.id,
      index,
      url,
      ended_ms: Date.now(),
      ...timing,
      off: stats?.off ?? null,
      connected: stats?.connected ?? false,
      neighbours: stats?.neighbours ?? 0,
      replicated: stats?.replicated ?? 0,
      uploaded: (stats?.uploaded ?? 0) - (visitor.base?.uploaded ?? 0),
      bytes: difference(stats?.bytes, visitor.base?.bytes),
      requests: difference(stats?.requests, visitor.base?.requests),
      errors,
      bodies,
    },
  });
  if (visitor.isSecond) visitor.base = stats;
}

/** What a page threw, by its first line: the others say where in the page. */
function thrown({ exception, text }) {
  return (exception?.description ?? String(exception?.value ?? text)).split("\n")[0];
}

function logged({ args, stackTrace }) {
  const words = args.map((arg) => arg.description ?? String(arg.value));
  return `${words.join(" ")} (${stackTrace?.callFrames[0]?.url ?? ""})`;
}

/** Goes to a page: by a link, where there is one that can be pointed at. */
async function go(page, url, from) {
  const link = await page.evaluate(placeOfLink, url);
  const byName = () => page.send("Page.navigate", { url, ...(from && { referrer: from }) });
  await page.load(() => (link ? click(page, link, url, byName) : byName()), LOAD_TIMEOUT_MS);
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

/** Clicks as people do, on a link that leads to a page. Where something else comes of it, `instead` is done. */
async function click(page, place, url, instead) {
  let leads = false;
  const deaf = page.listen((event, said) => {
    if (event === "Page.frameStartedNavigating" && said.url.split("#")[0] === url) leads = true;
  });
  const mouse = (type) => page.send("Input.dispatchMouseEvent", { type, ...place, button: "left", clickCount: 1 });
  await mouse("mouseMoved");
  await wait(options.rest_ms);
  await mouse("mousePressed");
  await wait(options.press_ms);
  await mouse("mouseReleased");
  for (const end = Date.now() + CLICK_LEADS_MS; !leads && Date.now() < end; ) await wait(POLL_MS);
  deaf();
  return leads ? undefined : instead();
}

function statsOf(page) {
  return page.evaluate(async () => (await globalThis.edgeweave?.stats()) ?? null);
}

/** The client's figures, once it says which arm it is in. */
async function armKnown(page) {
  for (const end = Date.now() + ARM_TIMEOUT_MS; ; await wait(POLL_MS)) {
    const stats = await statsOf(page);
    // An engine that has not begun says that it is disabled.
    const isKnown = stats?.connected || (stats?.off && stats.off !== "disabled");
    if (isKnown || Date.now() > end || closing) return stats;
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

/** Digests of some bodies, as the page got them: the browser keeps them for its inspector, nothing is asked for again. */
async function bodiesOf(page, responses) {
  const assets = responses.filter(
    ({ type, response }) => response.url.startsWith(options.origin) && response.status === 200 && type !== "Document",
  );
  const chosen = new Set();
  for (let count = 0; count < Math.min(BODIES_OF_A_PAGE, assets.length); count += 1) chosen.add(assets[turn++ % assets.length]);
  const bodies = [];
  for (const { requestId, response } of chosen) {
    // A body that the browser no longer has cannot be compared; of a picture that it could not decode it keeps nothing.
    const found = await page.send("Network.getResponseBody", { requestId }).catch(() => undefined);
    if (!found?.body) continue;
    const body = Buffer.from(found.body, found.base64Encoded ? "base64" : "utf8");
    bodies.push({ url: response.url, sha256: createHash("sha256").update(body).digest("hex") });
  }
  return bodies;
}

// ---- the site

/** Looks at pages as the origin has them, without the snippet. */
async function crawl({ pages: most, from, at_once, ...browser }) {
  const context = await open(browser, { extraHTTPHeaders: { [options.plain]: "1" } });
  await context.addInitScript(REMEMBER_ALL);
  const pages = [];
  const assets = new Map();
  await walk(context, from, most, async (url, page, responses) => {
    const found = await page.evaluate(crawlOf);
    for (const { url, kind, bytes, status, render_blocking } of found.assets) {
      if (bytes === 0 || assets.has(url)) continue;
      const headers = responses.get(url)?.headers() ?? {};
      const type = headers["content-type"] ?? "";
      const caching = headers["cache-control"] ?? "";
      assets.set(url, { url, kind, type, bytes, status, render_blocking, caching });
    }
    const loaded = found.assets.filter(({ bytes }) => bytes > 0).map(({ url }) => url);
    pages.push({ url, html_bytes: found.html_bytes, assets: loaded, links: found.links });
  });
  await shut(context);
  await measureProcessing({ ...browser, at_once }, pages);
  const known = new Set(pages.map(({ url }) => url));
  for (const page of pages) page.links = page.links.filter((link) => link !== page.url && known.has(link));
  return { pages, assets: [...assets.values()] };
}

/**
 * Measures what each page takes when the browser has everything, and the origin is near: what the browser itself does, on
 * a machine that it shares with as many others as during visits.
 */
async function measureProcessing({ profile, chromium, at_once }, pages) {
  const shares = Array.from({ length: at_once }, (_, place) => pages.filter((_, page) => page % at_once === place));
  await Promise.all(shares.map((share, place) => measureShare({ profile: `${profile}-${place}`, chromium }, share)));
}

/** Measures a share of the pages in a browser of its own. */
async function measureShare(order, pages) {
  const browser = await openForVisit(order);
  const { first } = browser;
  const load = (page) => first.load(() => first.send("Page.navigate", { url: page.url }), LOAD_TIMEOUT_MS);
  try {
    await first.send("Network.enable");
    await first.send("Network.setExtraHTTPHeaders", { headers: { [options.plain]: "1" } });
    for (const page of pages) {
      // From the second time on the browser has everything.
      await load(page);
      await load(page);
      page.processing_ms = await first.evaluate(() => {
        const { loadEventEnd, responseEnd } = performance.getEntriesByType("navigation")[0];
        return loadEventEnd - responseEnd;
      });
    }
  } finally {
    await shut(browser);
  }
}

/** Keeps what pages of a site on the Internet, and what they load, answered. Absolute links to the site become relative. */
async function copy({ pages: most, from, folder, ...browser }) {
  const context = await open({ ...browser, online: true });
  const copied = new Map();
  await walk(context, from, most, async (_url, _page, responses) => {
    for (const response of responses.values()) {
      const path = decodeURIComponent(new URL(response.url()).pathname);
      if (copied.has(path)) continue;
      const body = await response.body().catch(() => undefined);
      if (!body) continue;
      const headers = response.headers();
      const type = headers["content-type"] ?? "application/octet-stream";
      const isText = /^text\/|javascript|json|svg/.test(type);
      const file = String(copied.size);
      await writeFile(join(folder, file), isText ? body.toString().replaceAll(options.origin, "/") : body);
      copied.set(path, { path, file, type, caching: headers["cache-control"] ?? null });
    }
  });
  await shut(context);
  return [...copied.values()];
}

/** Goes through a site's pages, breadth first, and has `seen` look at each, with what the site answered for it. */
async function walk(context, from, most, seen) {
  const page = context.pages()[0] ?? (await context.newPage());
  const queue = [from];
  const known = new Set(queue);
  let count = 0;
  while (queue.length > 0 && count < most && !closing) {
    const url = queue.shift();
    const responses = new Map();
    const remember = (response) => {
      const isMeant = response.request().method() === "GET" && response.status() === 200;
      if (isMeant && response.url().startsWith(options.origin)) responses.set(response.url(), response);
    };
    page.on("response", remember);
    const response = await page.goto(url, { waitUntil: "load", timeout: LOAD_TIMEOUT_MS });
    // What is loaded lazily is loaded when it is scrolled to.
    await page.evaluate(() => scrollTo({ top: document.body.scrollHeight }));
    await wait(POLL_MS);
    page.off("response", remember);
    if (!response?.ok() || !(response.headers()["content-type"] ?? "").startsWith("text/html")) continue;
    count += 1;
    await seen(url, page, responses);
    const links = await page.evaluate(() => [...document.links].map((link) => link.href.split("#")[0]));
    for (const link of links) {
      // A document by its name: others are not worth finding out.
      const isDocument = link.startsWith(options.origin) && /(\/|\.x?html?|\/[^./]+)$/.test(new URL(link).pathname);
      if (!isDocument || known.has(link)) continue;
      known.add(link);
      queue.push(link);
    }
  }
}

/** What a page is made of, and where it leads. Runs in the page. */
function crawlOf() {
  const links = [...document.links].map((link) => link.href.split("#")[0]);
  return {
    html_bytes: performance.getEntriesByType("navigation")[0].decodedBodySize,
    links: [...new Set(links)],
    assets: performance
      .getEntriesByType("resource")
      .filter(({ name, initiatorType }) => name.startsWith(location.origin) && initiatorType !== "iframe")
      .map((entry) => {
        const status = entry.responseStatus;
        return {
          url: entry.name.split("#")[0],
          kind: entry.initiatorType,
          // Of an error, what browsers take headers for (https://www.w3.org/TR/resource-timing/#dom-performanceresourcetiming-transfersize).
          bytes: entry.decodedBodySize || (status >= 400 ? 300 : 0),
          status,
          render_blocking: entry.renderBlockingStatus === "blocking",
        };
      }),
  };
}

// ---- the client's cost

/**
 * Loads a page with and without the client, each time with a new profile, and says what the main thread did. Nothing else is
 * watched: saying what a page asks for is work of its main thread, too, and who has a client asks for more.
 */
async function cost({ profiles, urls, ...browser }) {
  const loads = [];
  for (const [round, profile] of profiles.entries()) {
    // Neither arm is always the one that finds the machine warm.
    const plain = round % 2 === 0;
    if (loads.filter((load) => load.plain === plain).length === COST_LOADS) continue;
    const visitor = await openForVisit({ ...browser, profile });
    const page = visitor.first;
    await page.send("Page.addScriptToEvaluateOnNewDocument", { source: `(${watchCost})()` });
    // Processor time of the thread: what else the machine does is not the client's doing.
    await page.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.load(() => page.send("Page.navigate", { url: plain ? urls.plain : urls.client }), LOAD_TIMEOUT_MS);
    await wait(COST_AFTER_MS);
    const { metrics } = await page.send("Performance.getMetrics");
    const ms = (name) => (metrics.find((metric) => metric.name === name)?.value ?? 0) * 1000;
    const found = await page.evaluate(costOf, options.origin);
    const load = { plain, main_thread_ms: ms("TaskDuration"), script_ms: ms("ScriptDuration"), ...found };
    // A client that is drawn to leave its visitor alone costs less.
    if (plain || (await armKnown(page))?.off !== "holdout") loads.push(load);
    await shut(visitor);
  }
  return { loads };
}

/** Watches what disturbs a visitor. Runs in the page, before anything else. */
function watchCost() {
  globalThis.shifted = 0;
  globalThis.blockedMs = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => {
    // As Lighthouse counts blocking: what of a task is beyond 50 ms.
    for (const entry of list.getEntries()) globalThis.blockedMs += Math.max(0, entry.duration - 50);
  }).observe({ type: "longtask", buffered: true });
}

/** What came of that. Runs in the page. */
function costOf(site) {
  const blocking = performance
    .getEntriesByType("resource")
    .filter(({ name, renderBlockingStatus }) => !name.startsWith(site) && renderBlockingStatus === "blocking");
  const { shifted, blockedMs } = globalThis;
  return { layout_shift: shifted, blocked_ms: blockedMs, render_blocking: blocking.length };
}

/** Closes every browser. */
async function close() {
  if (closing) return;
  closing = true;
  await Promise.all([...browsers].map(shut));
  process.exit();
}
