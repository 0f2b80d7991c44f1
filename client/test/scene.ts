// A site with the snippet, a node beside it, and visitors: what most scenarios begin with.
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Note } from "../src/generated/Note";
import type { Reason } from "../src/generated/Reason";
import {
  type ArriveOptions,
  arrive,
  type Content,
  type Origin,
  PATIENCE_MS,
  pageOf,
  picture,
  type RunningNode,
  type SupernodeOptions,
  settle,
  startNode,
  startOrigin,
  type Visitor,
} from "./harness";

export interface Scene {
  /** The site, on an origin of its own. */
  origin: Origin;
  node: RunningNode;
  /** A visitor comes; who is still there at the end is sent home. */
  arrive(options?: ArriveOptions): Promise<Visitor>;
  /** A visitor comes who looks at a page, and stays until it holds so many assets. */
  seed(path: string, assets: number, options?: ArriveOptions): Promise<Visitor>;
  /** A visitor comes who holds nothing of so many admitted assets, and has a neighbour for them; a new tab is open. */
  meet(assets: number, options?: ArriveOptions): Promise<Visitor>;
  close(): Promise<void>;
}

export interface SceneOptions {
  /** What the origin has, pages without the snippet. */
  contents: Record<string, Content>;
  /** The site's policy, as lines of the node's configuration. */
  policy?: string;
  /** What is admitted besides, as lines of it. */
  admission?: string;
  /** More attributes of the script tag. */
  attributes?: string;
  /** How the node is a supernode; it is none when nothing is said. */
  supernode?: SupernodeOptions;
}

/** The pictures of the usual site. */
export const PICTURES = ["/a.bmp", "/b.bmp"];

/** Their bytes in all. */
export const ALL_BYTES = 1_600_108;

/** The origin has pictures no more. */
export function failPictures({ origin }: Pick<Scene, "origin">): void {
  origin.fault = (request, response) => {
    if (!request.url?.endsWith(".bmp")) return false;
    response.writeHead(503).end();
    return true;
  };
}

/** How the usual site is not quite the usual one. */
interface PicturesOptions extends Pick<SceneOptions, "supernode"> {
  /** Milliseconds for which requests wait for the mesh; where nothing is said, speed is preferred. */
  patienceMs?: number;
  largeBytes?: number;
}

/** The usual site: an empty page, and one with two pictures. */
export function pictures(options: PicturesOptions = {}): Promise<Scene> {
  return scene({
    ...options,
    contents: {
      "/": pageOf([]),
      "/next.html": pageOf(PICTURES),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(options.largeBytes ?? 1_500_054, 2) },
    },
    policy: options.patienceMs === undefined ? "" : `prefer = "offload"\npatience_ms = ${options.patienceMs}`,
  });
}

/** The script tag that a page needs. */
export function snippet(node: RunningNode, attributes = ""): string {
  return `<script async src="${node.url}/edgeweave.js" data-site="site" ${attributes}></script>`;
}

export async function scene({
  contents,
  policy = "",
  admission = "",
  attributes,
  supernode,
}: SceneOptions): Promise<Scene> {
  const origin = await startOrigin({});
  const lines = [
    "allow_private_addresses = true",
    "[admission]",
    "sightings = 1",
    admission,
    "[policy]",
    policy,
    "[[sites]]",
    'id = "site"',
    `origins = ["${origin.url}"]`,
  ];
  const node = await startNode(lines, supernode);
  const worker = Buffer.from(`importScripts("${node.url}/edgeweave-sw.js?site=site");`);
  const noCache = { "cache-control": "no-cache" };
  origin.contents.set("/edgeweave-sw.js", { type: "text/javascript", body: worker, headers: noCache });
  for (const [path, content] of Object.entries(contents)) {
    const isPage = content.type.startsWith("text/html");
    const body = isPage
      ? Buffer.from(content.body.toString().replace("</head>", `${snippet(node, attributes)}</head>`))
      : content.body;
    origin.contents.set(path, { ...content, body, headers: { ...(isPage ? noCache : {}), ...content.headers } });
  }

  const visitors: Visitor[] = [];
  async function come(options?: ArriveOptions): Promise<Visitor> {
    const visitor = await arrive(options);
    visitors.push(visitor);
    return visitor;
  }
  return {
    origin,
    node,
    arrive: come,
    async seed(path, assets, options) {
      const visitor = await come(options);
      await visitor.go(origin.url + path);
      await settle(visitor);
      await visitor.until(`holding ${assets} assets`, (stats) => stats.held === assets);
      return visitor;
    },
    async meet(assets, options) {
      const visitor = await come(options);
      await visitor.go(`${origin.url}/`);
      await settle(visitor);
      await visitor.until("introduced", (stats) => stats.admitted === assets && stats.neighbours > 0);
      await visitor.tab();
      return visitor;
    },
    async close() {
      await Promise.all(visitors.map((visitor) => visitor.leave()));
      await node.kill();
      await origin.close();
    },
  };
}

/** Every picture of the page is shown, and what the page gets for each path is what the origin has. */
export async function expectComplete({ origin, node }: Scene, visitor: Visitor, paths: string[]): Promise<void> {
  const broken = await visitor.page.evaluate(() =>
    [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.src),
  );
  expect(broken).toEqual([]);
  await expectBodies(origin, visitor, paths);
  // Nobody can keep a browser from saying in its console that a node does not answer.
  const dead = node.process.signalCode !== null;
  expect(visitor.errors.filter((error) => !(dead && error.includes(new URL(node.url).host)))).toEqual([]);
}

/** What the page gets for each path is what the origin has. */
export async function expectBodies(origin: Origin, visitor: Pick<Visitor, "bodies">, paths: string[]): Promise<void> {
  const expected = paths.map((path) =>
    createHash("sha256")
      .update(origin.contents.get(path)?.body ?? "")
      .digest("hex"),
  );
  expect(await visitor.bodies(paths)).toEqual(expected);
}

/** The files of what the node's supernode keeps, once there are so many: visitors hear of an admission a moment before. */
export async function kept({ node }: Scene, count: number): Promise<string[]> {
  const files = async () => (await readdir(node.supernode)).filter((name) => !name.startsWith("."));
  await expect.poll(async () => (await files()).length, { timeout: PATIENCE_MS }).toBe(count);
  return (await files()).map((name) => join(node.supernode, name));
}

/** The reasons in a visitor's flight recorder. */
export async function reasons(visitor: Visitor): Promise<Note["reason"][]> {
  return (await visitor.notes()).map((note) => note.reason);
}

/** Waits until the visitor's flight recorder has all these reasons: some are known a moment after the page is complete. */
export function expectRecorded(visitor: Visitor, ...expected: Reason[]): Promise<void> {
  return expect.poll(() => reasons(visitor), { timeout: PATIENCE_MS }).toEqual(expect.arrayContaining(expected));
}
