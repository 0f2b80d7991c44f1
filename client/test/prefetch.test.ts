import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, type Visitor } from "./harness";
import { type Scene, scene } from "./scene";

let site: Scene;
/** How documents were asked for: their path and query, and the browser's purpose, if it is not to show them. */
let asked: string[];

afterEach(() => site.close());

async function siteWith(policy: string, scripts?: (node: string) => string): Promise<Visitor> {
  const front = pageOf([]);
  const links = '<a id="next" href="/next.html">next</a> <a id="action" href="/next.html?add=1">add</a>';
  front.body = Buffer.from(front.body.toString().replace("<body>", `<body>${links}`));
  site = await scene({ contents: { "/": front, "/next.html": pageOf([]) }, policy });
  const page = site.origin.contents.get("/");
  if (page && scripts) page.headers = { ...page.headers, "content-security-policy": scripts(site.node.url) };
  asked = [];
  site.origin.fault = ({ url, headers }) => {
    if (url?.startsWith("/next.html")) asked.push(`${url} ${headers["sec-purpose"] ?? "shown"}`);
    return false;
  };
  const visitor = await site.arrive();
  await visitor.go(`${site.origin.url}/`);
  await visitor.until("told", (stats) => stats.connected);
  return visitor;
}

const FIRST: [string, (visitor: Visitor) => Promise<void>][] = [
  ["conservative", ({ page }) => page.mouse.down()],
  ["moderate", () => Promise.resolve()],
];

test.each(FIRST)(
  "with a %s policy a document is there before its page",
  { timeout: 3 * PATIENCE_MS },
  async (when, first) => {
    const visitor = await siteWith(`prefetch = "${when}"`);
    const { page, errors } = visitor;
    await page.hover("#next");
    await first(visitor);
    await expect.poll(() => asked, { timeout: PATIENCE_MS }).toEqual(["/next.html prefetch"]);
    if (when === "moderate") await page.mouse.down();
    await page.mouse.up();
    await page.waitForURL("**/next.html");
    const how = () => (performance.getEntriesByType("navigation")[0] as { deliveryType?: string }).deliveryType;
    expect(await page.evaluate(how)).toBe("navigational-prefetch");
    expect(asked).toHaveLength(1);
    expect(errors).toEqual([]);
  },
);

test(
  "a link that may do something is left alone, and so is every one where the policy says so",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const visitor = await siteWith('prefetch = "conservative"');
    await visitor.page.click("#action", { delay: 300 });
    await visitor.page.waitForURL("**/next.html?add=1");
    expect(asked).toEqual(["/next.html?add=1 shown"]);
    await visitor.leave();
    await site.close();

    // Nor does the browser complain that something is forbidden.
    const other = await siteWith(
      'prefetch = "off"',
      (node) => `script-src 'self' ${node} 'wasm-unsafe-eval'; worker-src 'self' blob:`,
    );
    await other.page.click("#next", { delay: 300 });
    await other.page.waitForURL("**/next.html");
    expect(asked).toEqual(["/next.html shown"]);
    expect(other.errors).toEqual([]);
  },
);
