import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, type SupernodeOptions, settle, startOrigin } from "./harness";
import { expectComplete, failPictures, kept, PICTURES, pictures, type Scene, scene } from "./scene";

let site: Scene;

afterEach(() => site.close());

/** What a page's policy says beside what the site itself needs, by directive. */
type Directives = Record<"script-src" | "connect-src" | "worker-src", string>;

/** What docs/site.md says. */
function documented(node: string): Directives {
  return {
    "script-src": `${node} 'wasm-unsafe-eval' 'inline-speculation-rules'`,
    "connect-src": `'self' ${node} ${node.replace("http", "ws")}`,
    "worker-src": "'self' blob:",
  };
}

/** A site whose pages, and whose worker file, have a policy. */
async function siteWith(change: (node: string) => Partial<Directives>, supernode?: SupernodeOptions): Promise<void> {
  site = await pictures({ patienceMs: 5000, supernode });
  const directives = { ...documented(site.node.url), ...change(site.node.url) };
  const ours = Object.entries(directives).map(([name, value]) => `${name} ${value}`);
  const policy = ["default-src 'none'", "img-src 'self' data:", ...ours].join("; ");
  for (const path of ["/", "/next.html", "/edgeweave-sw.js"]) {
    const content = site.origin.contents.get(path);
    if (content) content.headers = { ...content.headers, "content-security-policy": policy };
  }
}

test("the documented directives suffice", { timeout: 3 * PATIENCE_MS }, async () => {
  await siteWith(() => ({}));
  await site.seed("/next.html", PICTURES.length);
  await site.seed("/next.html", PICTURES.length);
  const third = await site.meet(PICTURES.length);
  failPictures(site);
  await third.go(`${site.origin.url}/next.html`);
  await expectComplete(site, third, PICTURES);
  await third.until("served by peers", (stats) => stats.bytes.peers >= 1_600_108);
});

test("they suffice for the supernode, too", { timeout: 3 * PATIENCE_MS }, async () => {
  await siteWith(() => ({}), {});
  const guide = await site.seed("/next.html", PICTURES.length);
  await guide.leave();
  await kept(site, PICTURES.length);
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  await visitor.go(`${site.origin.url}/next.html`);
  await visitor.until("served by the supernode", (stats) => stats.bytes.supernode === 1_600_108);
  await expectComplete(site, visitor, PICTURES);
});

/** What a policy may forbid, by the directives that differ then. */
const FORBIDDEN: [string, (node: string) => Partial<Directives>][] = [
  ["WebAssembly", (node) => ({ "script-src": node })],
  ["requests to the node", (node) => ({ "connect-src": `'self' ${node.replace("http", "ws")}` })],
  ["WebSockets to the node", (node) => ({ "connect-src": `'self' ${node}` })],
  ["workers", () => ({ "worker-src": "'none'" })],
  ["threads", () => ({ "worker-src": "'self'" })],
];

test.each(FORBIDDEN)(
  "the client stays off where a policy forbids %s",
  { timeout: 3 * PATIENCE_MS },
  async (_what, change) => {
    await siteWith(change);
    const visitor = await site.arrive();
    await visitor.go(`${site.origin.url}/`);
    await visitor.until("off", (stats) => stats.off === "content_security_policy");
    await visitor.go(`${site.origin.url}/next.html`);
    await visitor.until("off", (stats) => stats.off !== null);
    expect(JSON.stringify(await visitor.notes())).toContain("content_security_policy");
    // The browser says in the console what it has forbidden.
    visitor.errors = visitor.errors.filter((error) => !/content security policy/i.test(error));
    await expectComplete(site, visitor, PICTURES);
  },
);

test("nothing is broken where the worker may fetch less than its pages", { timeout: 3 * PATIENCE_MS }, async () => {
  const others = await startOrigin({ "/c.bmp": { type: "image/bmp", body: picture(100_054, 3) } });
  try {
    site = await scene({
      contents: {
        "/": pageOf([]),
        "/next.html": pageOf(["/a.bmp", `${others.url}/c.bmp`]),
        "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      },
    });
    const worker = site.origin.contents.get("/edgeweave-sw.js");
    if (!worker) throw new Error("the site has a worker");
    for (const policy of ["connect-src 'self'", "connect-src 'none'"]) {
      worker.headers = { ...worker.headers, "content-security-policy": policy };
      const visitor = await site.arrive();
      await visitor.go(`${site.origin.url}/`);
      await visitor.until("started or off", (stats) => stats.connected || stats.off !== null);
      for (let round = 0; round < 3; round += 1) {
        // The next request starts the worker, and is there before it has read what it knows.
        await visitor.stopWorker();
        await visitor.go(`${site.origin.url}/next.html`);
        expect(await visitor.page.evaluate(shown)).toEqual([true, true]);
      }
      await visitor.leave();
    }
  } finally {
    await others.close();
  }
});

/** Which of the page's pictures are there. */
function shown(): boolean[] {
  return [...document.images].map((image) => image.naturalWidth > 0);
}
