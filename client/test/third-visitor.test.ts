import { afterAll, beforeAll, expect, test } from "vitest";
import {
  arrive,
  type Origin,
  PATIENCE_MS,
  pageOf,
  picture,
  type RunningNode,
  settle,
  startNode,
  startOrigin,
  type Visitor,
} from "./harness";
import { expectBodies, failPictures } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp", "/c.bmp"];
let origin: Origin;
let node: RunningNode;
const visitors: Visitor[] = [];

beforeAll(async () => {
  origin = await startOrigin({
    "/": pageOf([]),
    "/next.html": pageOf(PICTURES),
    "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
    "/b.bmp": { type: "image/bmp", body: picture(1_500_054, 2) },
    "/c.bmp": { type: "image/bmp", body: picture(58, 3) },
    "/private.bmp": { type: "image/bmp", body: picture(58, 4), headers: { "cache-control": "private" } },
  });
  node = await startNode([`origin = "${origin.url}"`]);
}, PATIENCE_MS);

afterAll(async () => {
  await Promise.all(visitors.map((visitor) => visitor.leave()));
  await node.kill();
  await origin.close();
}, PATIENCE_MS);

test(
  "a third visitor gets from peers what two have seen, though the origin fails",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    for (let number = 1; number <= 2; number += 1) {
      const visitor = await arrive();
      visitors.push(visitor);
      await visitor.go(`${node.url}/next.html`);
      await settle(visitor);
    }
    await Promise.all(
      visitors.map((visitor) => visitor.until("holding all", (stats) => stats.held === PICTURES.length)),
    );

    failPictures({ origin });
    const third = await arrive();
    visitors.push(third);
    await third.go(`${node.url}/`);
    await settle(third);
    await third.until("told what is admitted", (stats) => stats.admitted === PICTURES.length);
    await third.go(`${node.url}/next.html`);
    const sizes = await third.page.evaluate(async (paths) => {
      const sizes = paths.map(async (path) => (await (await fetch(path)).blob()).size);
      return Promise.all(sizes);
    }, PICTURES);
    expect(sizes).toEqual([100_054, 1_500_054, 58]);
    await expectBodies(origin, third, PICTURES);
    await third.until("served by peers", (stats) => stats.bytes.peers >= 1_500_054);
    expect(third.errors).toEqual([]);
  },
);
