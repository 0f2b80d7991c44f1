import { afterEach, expect, test } from "vitest";
import { type Content, type Origin, PATIENCE_MS, pageOf, picture, settle, startOrigin, type Visitor } from "./harness";
import { expectBodies, expectRecorded, type Scene, scene } from "./scene";

/** Why each of these must not be admitted, whoever has seen it. */
const REFUSED: Record<string, [string, Record<string, string>]> = {
  "/private.bmp": ["private", { "cache-control": "private, max-age=3600" }],
  "/no-store.bmp": ["no_store", { "cache-control": "no-store" }],
  "/cookie.bmp": ["set_cookie", { "set-cookie": "visit=1" }],
  "/varies-on-cookie.bmp": ["varies", { vary: "accept-encoding, cookie" }],
  "/varies-on-authorization.bmp": ["varies", { vary: "Authorization" }],
  "/varies-on-all.bmp": ["varies", { vary: "*" }],
  "/differs.bmp": ["differs", {}],
  "/transformed.bmp": ["status", {}],
  "/elsewhere.bmp": ["redirect", {}],
  "/large.bmp": ["too_large", {}],
};
let site: Scene;
let elsewhere: Origin | undefined;

afterEach(async () => {
  await site.close();
  await elsewhere?.close();
});

/** How many URLs the node has refused, by reason. */
async function refusals(): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${site.node.url}/metrics`)).text();
  const lines = [...metrics.matchAll(/^edgeweave_refusals_total\{(.*)\} (\d+)$/gm)];
  return Object.fromEntries(
    lines.map(([, labels, count]) => [/reason="(\w+)"/.exec(labels ?? "")?.[1], Number(count)]),
  );
}

test("what is not for everybody is not admitted, whatever visitors report", { timeout: 3 * PATIENCE_MS }, async () => {
  elsewhere = await startOrigin({ "/b.bmp": { type: "image/bmp", body: picture(58) } });
  const pictures = Object.entries(REFUSED).map(([path, [, headers]], flavour): [string, Content] => {
    const body = picture(path === "/large.bmp" ? 300_054 : 1_054, flavour);
    return [path, { type: "image/bmp", body, headers }];
  });
  site = await scene({
    contents: {
      "/": pageOf(["/a.bmp", `${elsewhere.url}/b.bmp`, ...Object.keys(REFUSED)]),
      "/a.bmp": { type: "image/bmp", body: picture(58, 99) },
      ...Object.fromEntries(pictures),
    },
    policy: "max_asset_bytes = 200000",
  });
  let fetches = 0;
  site.origin.fault = (request, response) => {
    if (request.url === "/differs.bmp") {
      fetches += 1;
      response.writeHead(200, { "content-type": "image/bmp", "cache-control": "max-age=60" }).end(picture(58, fetches));
    } else if (request.url === "/transformed.bmp") {
      response.writeHead(203, { "content-type": "image/bmp", "cache-control": "max-age=60" }).end(picture(58));
    } else if (request.url === "/elsewhere.bmp") {
      response.writeHead(302, { location: "/a.bmp", "cache-control": "max-age=60" }).end();
    } else return false;
    return true;
  };

  const visitors = [await site.seed("/", 1), await site.seed("/", 1)];
  const expected = new Set(["other_origin", ...Object.values(REFUSED).map(([reason]) => reason)]);
  await expect.poll(async () => new Set(Object.keys(await refusals())), { timeout: PATIENCE_MS }).toEqual(expected);
  expect((await refusals()).varies).toBe(3);
  const list = await (await fetch(`${site.node.url}/api/v1/sites/site/assets`)).json();
  expect(list.assets.map((asset: { url: string }) => asset.url)).toEqual([`${site.origin.url}/a.bmp`]);
  for (const visitor of visitors) {
    const { admitted, held } = await visitor.stats();
    expect({ admitted, held }).toEqual({ admitted: 1, held: 1 });
  }
});

test("a logged-in visitor's own variant never leaves the browser", { timeout: 3 * PATIENCE_MS }, async () => {
  // The origin answers differently to who is logged in, and does not say so.
  const own = picture(100_054, 7);
  site = await scene({
    contents: { "/": pageOf(["/me.bmp"]), "/me.bmp": { type: "image/bmp", body: picture(100_054, 1) } },
    policy: 'prefer = "offload"\npatience_ms = 5000',
  });
  site.origin.fault = (request, response) => {
    if (request.url !== "/me.bmp" || !request.headers.cookie?.includes("login=alice")) return false;
    response.writeHead(200, { "content-type": "image/bmp", "cache-control": "public, max-age=3600" }).end(own);
    return true;
  };

  const alice = await site.arrive();
  await alice.context.addCookies([{ name: "login", value: "alice", url: site.origin.url }]);
  await alice.go(`${site.origin.url}/`);
  await settle(alice);
  await expectRecorded(alice, "differs");
  expect((await alice.stats()).held).toBe(0);

  const bob: Visitor = await site.arrive();
  await bob.go(`${site.origin.url}/`);
  await settle(bob);
  await expectBodies(site.origin, bob, ["/me.bmp"]);
  await bob.go(`${site.origin.url}/?again`);
  await expectBodies(site.origin, bob, ["/me.bmp"]);
  expect((await alice.stats()).uploaded).toBe(0);
  expect((await alice.stats()).held).toBe(0);
});
