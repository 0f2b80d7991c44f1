import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  arrive,
  type Content,
  type Origin,
  PATIENCE_MS,
  type RunningNode,
  settle,
  startNode,
  startOrigin,
  type Visitor,
} from "./harness";
import { expectBodies } from "./scene";

/** A site that nobody here wrote. */
const SITE = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".png": "image/png",
};
/** What its front page loads. */
const ASSETS = [
  "/index.css",
  "/swagger-initializer.js",
  "/swagger-ui-bundle.js",
  "/swagger-ui-standalone-preset.js",
  "/swagger-ui.css",
];

let origin: Origin;
let node: RunningNode;
const visitors: Visitor[] = [];

afterEach(async () => {
  await Promise.all(visitors.map((visitor) => visitor.leave()));
  await node.kill();
  await origin.close();
});

/** The files of a folder, as a plain static server has them: it says when each was changed, and nothing of caching. */
async function files(folder: string): Promise<Record<string, Content>> {
  const names = (await readdir(folder)).filter((name) => extname(name) in TYPES);
  const contents = names.map(async (name): Promise<[string, Content]> => {
    const headers = { "cache-control": undefined, "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT" };
    return [`/${name}`, { type: TYPES[extname(name)] ?? "", body: await readFile(join(folder, name)), headers }];
  });
  return Object.fromEntries(await Promise.all(contents));
}

async function come(): Promise<Visitor> {
  const visitor = await arrive();
  visitors.push(visitor);
  return visitor;
}

/** What a visitor sees of the front page, and what the browser complains of, whatever the site's address. */
async function looks(visitor: Visitor, site: string) {
  await visitor.go(`${site}/index.html`);
  await visitor.page.getByText("Failed to load API definition").waitFor();
  const anonymous = (text: string) => text.replaceAll(site, "");
  const mask = [visitor.page.locator(".errors-wrapper")];
  const picture = await visitor.page.screenshot({ animations: "disabled", mask });
  return {
    text: anonymous(await visitor.page.evaluate(() => document.body.innerText)),
    picture: createHash("sha256").update(picture).digest("hex"),
    errors: visitor.errors.map(anonymous).sort(),
  };
}

test("a site that knows nothing of Edgeweave looks and works the same", { timeout: 4 * PATIENCE_MS }, async () => {
  origin = await startOrigin(await files(SITE));
  node = await startNode([`origin = "${origin.url}"`]);
  const plain = await looks(await come(), origin.url);

  for (const visitor of [await come(), await come()]) {
    await visitor.go(`${node.url}/index.html`);
    await settle(visitor);
  }
  const holding = visitors
    .slice(1)
    .map((visitor) => visitor.until("holding all", (stats) => stats.held >= ASSETS.length));
  await Promise.all(holding);

  const third = await come();
  await third.go(`${node.url}/oauth2-redirect.html`);
  await settle(third);
  await third.until("introduced", (stats) => stats.admitted >= ASSETS.length && stats.neighbours > 0);
  await third.tab();
  third.errors = [];
  origin.fault = (request, response) => {
    if (!ASSETS.includes(request.url ?? "")) return false;
    response.writeHead(503).end();
    return true;
  };
  expect(await looks(third, node.url)).toEqual(plain);
  await expectBodies(origin, third, ASSETS);
  const size = ASSETS.reduce((sum, path) => sum + (origin.contents.get(path)?.body.length ?? 0), 0);
  await third.until("served by peers", (stats) => stats.bytes.peers >= size);
});
