// The lab's visitors: `node visitors.mjs '{"origin":…}'`, driven by JSON lines on standard input, which it answers with
// JSON lines on standard output.
//
//   {"crawl":{…}}  → {"crawled":{…}}: what pages the site has, what they load and where they lead
//   {"copy":{…}}   → {"copied":[…]}: what a site on the Internet answered, kept in a folder
//   {"visit":{…}}  → {"view":{…}} for each page, then {"left":{…}}, or {"failed":{…}} and {"left":{…}}
//   {"cost":{…}}   → {"cost":{…}}: what the client adds to a page that it cannot help
//
// All browsers close when standard input ends.
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { flags, openBare, openChromium } from "./chromium.mjs";
import { options } from "./options.mjs";
import { armKnown, LOAD_TIMEOUT_MS, REMEMBER_ALL, text, VIEWPORT, visit, wait } from "./visit.mjs";

const { chromium } = createRequire(options.client)("playwright-core");

/** Milliseconds that a page is given to load what it loads when it is scrolled to. */
const LAZY_MS = 100;
/** Milliseconds after the load event of a page after which a client that cannot help it has done what it does. */
const COST_AFTER_MS = 4_000;
/** Loads with and without the client whose medians are compared. */
const COST_LOADS = 5;

const browsers = new Set();
let closing = false;

process.on("SIGTERM", close);
process.on("SIGINT", close);
const commands = createInterface({ input: process.stdin });
commands.on("close", close);
commands.on("line", (line) => {
  const command = JSON.parse(line);
  if (command.crawl) answer("crawled", crawl(command.crawl));
  if (command.copy) answer("copied", copy(command.copy));
  if (command.visit?.browser === "chromium") visitWithChromium(command.visit);
  if (command.visit?.browser === "firefox") visitWithFirefox(command.visit);
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
  return keep(context);
}

/** Remembers what has to be closed. */
function keep(browser) {
  browsers.add(browser);
  return browser;
}

async function shut(browser) {
  browsers.delete(browser);
  await browser?.close().catch(() => {});
}

// ---- visits

async function visitWithChromium(order) {
  let browser;
  const open = async () => {
    browser = keep(await openChromium(order));
    return browser;
  };
  await visit(order, open, say, () => closing);
  browsers.delete(browser);
}

/** Firefox listens for who drives it on an address of its own namespace, so whoever drives it is in there, too. */
function visitWithFirefox(order) {
  const script = fileURLToPath(new URL("firefox.mjs", import.meta.url));
  const driver = spawn(order.node, [script, process.argv[2], JSON.stringify(order)], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((over) => {
    driver.on("error", (error) => over(error.message));
    driver.on("close", (code, signal) => over(`${signal ?? code}`));
  });
  driver.stdin.on("error", () => {});
  const browser = keep({
    close() {
      driver.stdin.end();
      return ended;
    },
  });
  let index = 0;
  let isLeft = false;
  createInterface({ input: driver.stdout }).on("line", (line) => {
    const told = JSON.parse(line);
    if (told.view) index = told.view.index + 1;
    isLeft ||= told.left !== undefined;
    say(told);
  });
  ended.then((how) => {
    browsers.delete(browser);
    if (isLeft) return;
    say({ failed: { visit: order.id, index, error: `the driver of Firefox has ended (${how})` } });
    say({ left: { visit: order.id } });
  });
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
  const browser = keep(await openBare(order));
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
    await wait(LAZY_MS);
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
    const visitor = keep(await openBare({ ...browser, profile }));
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
    if (plain || (await armKnown(page, () => closing))?.off !== "holdout") loads.push(load);
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
