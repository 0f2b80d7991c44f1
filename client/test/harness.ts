// What the browser tests stand on: a real node before a real origin with faults, and real browsers.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import type { Edgeweave } from "../src/api";
import type { Note } from "../src/generated/Note";
import type { Stats } from "../src/generated/Stats";
import { ALONE } from "./devtools.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? resolve(HERE, "../../target");
const BINARY = process.env.EDGEWEAVE ?? join(TARGET, "debug/edgeweave");
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const FLAGS = [
  // Nothing but the tests' own servers is there.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ...ALONE,
  // By default the HTTP cache, and the largest entry it takes, are as large as the disk has room.
  "--disk-cache-size=1073741824",
];

/** How long anything may take that is waited for, in milliseconds. */
export const PATIENCE_MS = 30_000;

/** What an origin answers for a path. */
export interface Content {
  type: string;
  body: Buffer;
  /** More headers; `cache-control` is a public hour, unless it is given, if only as nothing. */
  headers?: Record<string, string | undefined>;
}

/** An origin with a content for each path, and faults on demand. */
export interface Origin {
  url: string;
  contents: Map<string, Content>;
  /** Paths that were asked for, in order. */
  asked: string[];
  /** Waits before it answers for a path. */
  delay: (path: string) => Promise<void>;
  /** Answers instead of the content when it returns true. */
  fault: (request: IncomingMessage, response: ServerResponse) => boolean;
  close(): Promise<void>;
}

/** Bytes of a bitmap's header; pixels follow. */
const BITMAP_HEADER_BYTES = 54;

/** The most pixels in a row of a bitmap: browsers decode none that is higher or wider than 65,535. */
const BITMAP_WIDTH_MOST = 1024;

/** A bitmap of a given size in bytes (54 and a multiple of 4), whose pixels look like nothing and are always the same. */
export function picture(size: number, flavour = 1): Buffer {
  const pixels = (size - BITMAP_HEADER_BYTES) / 4;
  let width = Math.min(pixels, BITMAP_WIDTH_MOST);
  while (pixels % width > 0) width -= 1;
  const bytes = Buffer.alloc(size);
  // Four bytes a pixel, so that rows need no padding (https://en.wikipedia.org/wiki/BMP_file_format).
  bytes.write("BM");
  bytes.writeUInt32LE(size, 2);
  bytes.writeUInt32LE(BITMAP_HEADER_BYTES, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(width, 18);
  bytes.writeInt32LE(pixels / width, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(32, 28);
  bytes.writeUInt32LE(pixels * 4, 34);
  let state = flavour;
  for (let at = BITMAP_HEADER_BYTES; at < size; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A page that shows pictures. */
export function pageOf(pictures: string[], more = ""): Content {
  const images = pictures.map((src) => `<img src="${src}" alt="">`).join("\n");
  // Browsers ask for an icon, and complain when there is none.
  const head = `<title>Pictures</title><link rel="icon" href="data:,">${more}`;
  const body = `<!doctype html><html><head>${head}</head><body>${images}</body></html>`;
  return { type: "text/html; charset=utf-8", body: Buffer.from(body) };
}

export async function startOrigin(contents: Record<string, Content>): Promise<Origin> {
  const origin: Origin = {
    url: "",
    contents: new Map(Object.entries(contents)),
    asked: [],
    delay: () => Promise.resolve(),
    fault: () => false,
    close: () => new Promise((closed) => server.close(() => closed()) && server.closeAllConnections()),
  };
  const server: Server = createServer(async (request, response) => {
    const path = request.url?.split("?")[0] ?? "/";
    origin.asked.push(path);
    await origin.delay(path);
    if (origin.fault(request, response)) return;
    const content = origin.contents.get(path);
    if (!content) return void response.writeHead(404).end("not found");
    const all = { "content-type": content.type, "cache-control": "public, max-age=3600", ...content.headers };
    const headers = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (!range) {
      response.writeHead(200, { ...headers, "content-length": content.body.length, "accept-ranges": "bytes" });
      return void response.end(content.body);
    }
    const first = Number(range[1]);
    const last = Math.min(range[2] ? Number(range[2]) : content.body.length - 1, content.body.length - 1);
    response.writeHead(206, {
      ...headers,
      "content-length": last - first + 1,
      "content-range": `bytes ${first}-${last}/${content.body.length}`,
    });
    response.end(content.body.subarray(first, last + 1));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  origin.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return origin;
}

/** A running node. */
export interface RunningNode {
  url: string;
  process: ChildProcess;
  /** Where its supernode keeps contents, if it is one. */
  supernode: string;
  kill(): Promise<void>;
}

/** How a node is a supernode. */
export interface SupernodeOptions {
  /** The most bytes of contents that it keeps. */
  diskBytes?: number;
}

/** Starts a node with these lines of configuration, and a folder of its own; it is no supernode unless that is said. */
export async function startNode(lines: string[], supernode?: SupernodeOptions): Promise<RunningNode> {
  const folder = await mkdtemp(join(tmpdir(), "edgeweave-node-"));
  const config = join(folder, "edgeweave.toml");
  const contents = join(folder, "supernode");
  const table = ["[supernode]", `enabled = ${supernode !== undefined}`, `folder = "${contents}"`];
  if (supernode?.diskBytes) table.push(`disk_bytes = ${supernode.diskBytes}`);
  await writeFile(config, [...lines, ...table].join("\n"));
  const child = spawn(BINARY, ["serve", "--config", config, "--listen", "127.0.0.1:0", "--json"], {
    stdio: ["ignore", "pipe", process.env.VERBOSE ? "inherit" : "ignore"],
  });
  const ended = new Promise<void>((ended) => child.once("exit", () => ended()));
  const line = await firstLine(child, "the node");
  const { listen } = JSON.parse(line) as { listen: string };
  return {
    url: `http://${listen}`,
    process: child,
    supernode: contents,
    async kill() {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A running native peer. */
export interface NativePeer {
  process: ChildProcess;
  /** What its metrics say: contents that it holds, and bytes of contents that it has given so far. */
  figure(name: "contents" | "sent_bytes_total"): Promise<number>;
  kill(): Promise<void>;
}

/** Starts a native peer of the operator's, with a folder of its own, and more flags. */
export async function startNativePeer(node: string, site: string, flags: string[] = []): Promise<NativePeer> {
  const folder = await mkdtemp(join(tmpdir(), "edgeweave-peer-"));
  const where = ["--node", node, "--site", site, "--folder", folder, "--listen", "127.0.0.1:0", "--json"];
  const udp = flags.includes("--listen-udp") ? [] : ["--listen-udp", "127.0.0.1:0"];
  const child = spawn(BINARY, ["supernode", ...where, ...udp, ...flags], {
    stdio: ["ignore", "pipe", process.env.VERBOSE ? "inherit" : "ignore"],
  });
  const ended = new Promise<void>((ended) => child.once("exit", () => ended()));
  const { listen } = JSON.parse(await firstLine(child, "the native peer")) as { listen: string };
  return {
    process: child,
    async figure(name) {
      const metrics = await (await fetch(`http://${listen}/metrics`)).text();
      return Number(new RegExp(`^edgeweave_peer_${name}{\\S* (\\d+)`, "m").exec(metrics)?.[1] ?? 0);
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a command says first on standard output. */
function firstLine(child: ChildProcess, what: string): Promise<string> {
  return new Promise<string>((said, failed) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", said);
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`${what} ended with ${code}`)));
  });
}

/** A visitor's browser. */
export interface Visitor {
  context: BrowserContext;
  /** The tab that the visitor looks at. */
  page: Page;
  /** What went wrong in its tabs: uncaught errors, and errors in the console. */
  errors: string[];
  /** Opens another tab, and looks at that from now on: the one before goes on leading. */
  tab(): Promise<void>;
  /** Goes to a page, and waits until it is loaded. */
  go(url: string): Promise<void>;
  stats(): Promise<Stats>;
  notes(): Promise<Note[]>;
  /** Waits until the client's figures are as they should be. */
  until(what: string, condition: (stats: Stats) => boolean): Promise<Stats>;
  /** The digests of all pictures of the page, as the page gets them. */
  bodies(paths: string[]): Promise<string[]>;
  /** The browser stops the worker, as it does when it runs out of memory, or when the worker has been idle for long. */
  stopWorker(): Promise<void>;
  leave(): Promise<void>;
}

export interface ArriveOptions {
  /** More flags for the browser. */
  flags?: string[];
  /** Flags that Playwright gives it and this visitor's has not. */
  without?: string[];
  /** A script that runs in every page before its own. */
  script?: string;
  /** A script that runs in every engine's thread before its own. */
  threadScript?: string;
  /** A private window forgets everything when it is closed. */
  window?: "ordinary" | "private";
}

/** A visitor comes, with a browser and a profile of its own. */
export async function arrive(options: ArriveOptions = {}): Promise<Visitor> {
  const profile = await mkdtemp(join(tmpdir(), "edgeweave-test-"));
  const launch = {
    executablePath: CHROMIUM,
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...FLAGS, ...(options.flags ?? [])],
    ignoreDefaultArgs: options.without ?? [],
  };
  const context =
    options.window === "private"
      ? await (await chromium.launch(launch)).newContext()
      : await chromium.launchPersistentContext(profile, launch);
  if (options.script) await context.addInitScript(options.script);
  if (options.threadScript) await context.addInitScript(beforeThreads, options.threadScript);
  context.on("weberror", (error) => visitor.errors.push(error.error().message));
  context.on("console", (message) => {
    if (message.type() === "error") visitor.errors.push(`${message.text()} (${message.location().url})`);
  });

  async function stats(): Promise<Stats> {
    // The snippet is loaded at the browser's convenience.
    await visitor.page.waitForFunction(() => "edgeweave" in globalThis, undefined, { timeout: PATIENCE_MS });
    return visitor.page.evaluate(() => (globalThis as unknown as { edgeweave: Edgeweave }).edgeweave.stats());
  }
  async function notes(): Promise<Note[]> {
    return visitor.page.evaluate(() => (globalThis as unknown as { edgeweave: Edgeweave }).edgeweave.recorder());
  }
  const visitor: Visitor = {
    context,
    page: context.pages()[0] ?? (await context.newPage()),
    errors: [],
    stats,
    notes,
    async tab() {
      visitor.page = await context.newPage();
    },
    async go(url) {
      await visitor.page.goto(url, { waitUntil: "load", timeout: PATIENCE_MS });
    },
    async until(what, condition) {
      let last: Stats | undefined;
      for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
        last = await stats();
        if (condition(last)) return last;
        await visitor.page.waitForTimeout(50);
      }
      throw new Error(`never ${what}: ${JSON.stringify(last)}\n${JSON.stringify(await notes(), null, 1)}`);
    },
    bodies: (paths) => visitor.page.evaluate(digestsOf, paths),
    async stopWorker() {
      const browser = await context.newCDPSession(visitor.page);
      await browser.send("ServiceWorker.enable");
      await browser.send("ServiceWorker.stopAllWorkers");
      await browser.detach();
    },
    async leave() {
      await context.close();
      await context.browser()?.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
  return visitor;
}

/** Has a script run in every worker that a page makes, before the worker's own. Runs in the page. */
function beforeThreads(script: string): void {
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL) {
      super(URL.createObjectURL(new Blob([script, `;importScripts("${url}")`])));
    }
  };
}

/** The digests of what a page gets for each path. Runs in the page. */
export function digestsOf(paths: string[]): Promise<string[]> {
  const digests = paths.map(async (path) => {
    const bytes = await (await fetch(path)).arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  });
  return Promise.all(digests);
}

/** Waits until the worker controls the page, and the client has a session. */
export async function settle(visitor: Visitor): Promise<void> {
  await visitor.page.waitForFunction(() => navigator.serviceWorker.controller !== null, undefined, {
    timeout: PATIENCE_MS,
  });
  await visitor.until("connected", (stats) => stats.connected);
}
