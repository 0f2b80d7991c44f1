// Pages that name what the site does not have: each waits for that word again, unless the mesh has it.
import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { kept, type Scene, scene } from "./scene";
import { eventually } from "./simple-visitor";

const STYLE = "/lost.css";
const PICTURE = "/lost.bmp";
const HERE = "/here.bmp";
let site: Scene;

afterEach(() => site.close());

test(
  "what is missing is answered from the secondary cache, until it is there",
  { timeout: 4 * PATIENCE_MS },
  async () => {
    const link = `<link rel="stylesheet" href="${STYLE}">`;
    const contents = {
      "/": pageOf([HERE, PICTURE], link),
      "/next.html": pageOf([HERE, PICTURE], link),
      [HERE]: { type: "image/bmp", body: picture(1_054) },
    };
    // The node asks the origin again before that word is stale, as long as anybody holds it: within ten seconds.
    site = await scene({ contents, supernode: {}, admission: "missing_freshness_s = 10\nmissing_after_s = 0" });
    const guide = await site.arrive();
    await guide.go(`${site.origin.url}/`);
    await settle(guide);
    await guide.until("told of all", ({ admitted }) => admitted === 3);
    // Both are missing in the same words.
    await kept(site, 2);

    const visitor = await site.arrive();
    await visitor.go(`${site.origin.url}/`);
    await settle(visitor);
    await visitor.until("told of all", ({ admitted }) => admitted === 3);
    site.origin.asked.length = 0;
    // The browser has kept nothing of what is missing: others have it first.
    await visitor.go(`${site.origin.url}/next.html`);
    await visitor.until("all is held", ({ held }) => held === 2);
    await visitor.go(`${site.origin.url}/`);
    await visitor.until("answered", ({ requests }) => requests.cache >= 2);
    expect(site.origin.asked.filter((path) => path === STYLE || path === PICTURE)).toEqual([]);
    const answer = (path: string) =>
      visitor.page.evaluate(async (path) => {
        const response = await fetch(path);
        return [response.status, await response.text(), response.headers.get("content-length")];
      }, path);
    expect(await answer(STYLE)).toEqual([404, "not found", "9"]);

    site.origin.contents.set(STYLE, { type: "text/css", body: Buffer.from("b{}") });
    await eventually("it is there", async () => (await answer(STYLE))[0] === 200);
    expect(await answer(STYLE)).toEqual([200, "b{}", "3"]);
  },
);
