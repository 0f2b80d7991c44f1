// Headless visitors for demonstrations: `node visitors.mjs '{"url":…,"origin":…,"visitors":3,"pages":4,"chromium":…}'`.
//
// Each visitor has a browser and a profile of its own, looks at one page after the other as a person does, and stays
// when the next one comes, so that it serves. Standard output is JSON lines: `{"progress":{…}}` while it goes on,
// `{"visit":{…}}` for each page seen, `"done"` when all have seen all. The browsers are closed, and their
// profiles removed, when standard input ends.
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { ALONE } from "./devtools.mjs";

/** Milliseconds that a page may take to load. */
const LOAD_TIMEOUT_MS = 60_000;
/** Milliseconds that a client may take to be installed, or to have settled after a page. */
const SETTLE_TIMEOUT_MS = 20_000;
/** Milliseconds for which nothing must have changed before a client counts as settled. */
const QUIET_MS = 1_500;
/** Milliseconds after which a client that has not come counts as absent. */
const ABSENT_MS = 6_000;
/** How often a client is asked, in milliseconds. */
const POLL_MS = 100;

const options = JSON.parse(process.argv[2]);
const site = new URL(options.url);
const origin = new URL(options.origin);
const visitors = [];
/** Digests of what the origin answers, by URL. */
const truths = new Map();
let closing = false;

process.stdin.resume();
process.stdin.on("end", close);
process.on("SIGTERM", close);
process.on("SIGINT", close);

try {
  for (let number = 1; number <= options.visitors && !closing; number += 1) {
    await visit(await arrive(number));
  }
  say("done");
} catch (error) {
  if (!closing) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    await close();
  }
}

/** Tells the one who started us. */
function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Starts a visitor's browser. */
async function arrive(number) {
  say({ progress: { visitor: number, doing: "opens the browser" } });
  const profile = await mkdtemp(join(tmpdir(), "edgeweave-visitor-"));
  const visitor = { number, profile, context: undefined, page: undefined, responses: [], errors: [] };
  visitors.push(visitor);
  visitor.context = await chromium.launchPersistentContext(profile, {
    executablePath: options.chromium,
    // Chromium's sandbox does not start for root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ALONE,
    viewport: { width: 1280, height: 900 },
  });
  // A worker that takes over in the middle of a page has not controlled it.
  await visitor.context.addInitScript(() => {
    globalThis.controlledFromTheStart = navigator.serviceWorker?.controller != null;
  });
  const page = visitor.context.pages()[0] ?? (await visitor.context.newPage());
  visitor.page = page;
  page.on("response", (response) => visitor.responses.push(response));
  page.on("pageerror", (error) => visitor.errors.push(error.message));
  page.on("requestfailed", (request) => visitor.errors.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("console", (message) => {
    if (message.type() === "error") visitor.errors.push(message.text());
  });
  return visitor;
}

/** Looks at the site's pages, one after the other. */
async function visit(visitor) {
  const pages = [site.href];
  for (let index = 0; index < pages.length && !closing; index += 1) {
    await look(visitor, pages[index]);
    if (index === 0) {
      pages.push(...(await links(visitor.page)).slice(0, options.pages - 1));
      await installed(visitor.page);
    }
  }
  say({ progress: { visitor: visitor.number, doing: "takes in what it has seen" } });
  await settled(visitor.page, (stats) => [stats.admitted, stats.held]);
}

/** Looks at one page, and says what came of it. */
async function look(visitor, url) {
  const { page } = visitor;
  say({ progress: { visitor: visitor.number, doing: `looks at ${new URL(url).pathname}` } });
  visitor.responses = [];
  visitor.errors = [];
  await page.goto(url, { waitUntil: "load", timeout: LOAD_TIMEOUT_MS });
  const controlled = await page.evaluate(() => globalThis.controlledFromTheStart);
  const loadMs = await page.evaluate(() => performance.getEntriesByType("navigation")[0].loadEventEnd);
  const stats = await settled(page, (stats) => stats.bytes);
  const notes = (await page.evaluate(() => globalThis.edgeweave?.recorder())) ?? [];
  const mismatched = await mismatches(visitor);
  say({
    visit: {
      visitor: visitor.number,
      page: new URL(url).pathname,
      controlled,
      load_ms: Math.round(loadMs),
      bytes: stats?.bytes ?? { cache: 0, peers: 0, supernode: 0, origin: 0 },
      fallbacks: countByReason(notes.filter((note) => note.event === "fallback")),
      mismatched: mismatched.length,
      errors: visitor.errors.length,
      ...(mismatched.length > 0 && { mismatched_urls: mismatched }),
      ...(visitor.errors.length > 0 && { error_texts: visitor.errors }),
    },
  });
}

/** How many notes have each reason. */
function countByReason(notes) {
  const counts = {};
  for (const { reason = "none" } of notes) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
}

/** The pages of this site that a page links to, in its order. */
async function links(page) {
  const found = await page.evaluate(() => [...document.links].map((link) => link.href.split("#")[0]));
  const pages = found.filter(
    (url) => new URL(url).origin === site.origin && /(\/|\.html?|\/[^./]+)$/.test(new URL(url).pathname),
  );
  return [...new Set(pages)].filter((url) => url !== site.href);
}

/** Waits until the worker is there for the next page. */
async function installed(page) {
  await until(() =>
    page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state === "activated"),
  );
}

/** Waits until what `of` takes from the client's figures has been the same for a while; returns the figures. */
async function settled(page, of) {
  let last = "";
  let since = Date.now();
  let stats;
  await until(async () => {
    stats = await page.evaluate(() => globalThis.edgeweave?.stats());
    const now = JSON.stringify(stats ? of(stats) : null);
    if (now !== last) {
      last = now;
      since = Date.now();
    }
    // A client that is not there, or takes no part, will not change its mind.
    const quiet = Date.now() - since;
    return stats?.connected ? quiet >= QUIET_MS : quiet >= (stats?.off ? QUIET_MS : ABSENT_MS);
  });
  return stats;
}

/** Waits for something, but not for ever. */
async function until(condition) {
  for (const end = Date.now() + SETTLE_TIMEOUT_MS; Date.now() < end && !closing; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The URLs whose bodies, as the page got them, are not the origin's. Pages themselves carry the snippet, and differ. */
async function mismatches(visitor) {
  const wrong = [];
  for (const response of visitor.responses) {
    const url = new URL(response.url());
    if (url.origin !== site.origin || response.status() !== 200 || response.request().method() !== "GET") continue;
    if (response.request().resourceType() === "document") continue;
    const admitted = await truth(url);
    if (admitted === undefined) continue;
    const body = await response.body().catch(() => undefined);
    const got = body ? sha256(body) : await readAgain(visitor.page, url.href);
    if (got !== admitted) wrong.push(url.href);
  }
  return wrong;
}

/** The digest of what the origin itself answers; nothing for what is not the origin's, such as the client's files. */
async function truth(url) {
  const direct = new URL(url.pathname + url.search, origin).href;
  if (!truths.has(direct)) {
    const response = await fetch(direct);
    truths.set(direct, response.ok ? sha256(Buffer.from(await response.arrayBuffer())) : undefined);
  }
  return truths.get(direct);
}

/** The digest of what the page gets for a URL when the browser no longer has the body that it got first. */
async function readAgain(page, url) {
  const bytes = await page.evaluate(async (url) => {
    const digest = await crypto.subtle.digest("SHA-256", await (await fetch(url)).arrayBuffer());
    return [...new Uint8Array(digest)];
  }, url);
  return Buffer.from(bytes).toString("hex");
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Closes every browser and removes its profile. */
async function close() {
  if (closing) return;
  closing = true;
  await Promise.all(
    visitors.map(async ({ context, profile }) => {
      await context?.close().catch(() => {});
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    }),
  );
  process.exit();
}
