import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, picture } from "./harness";
import { type Scene, scene } from "./scene";

let site: Scene;

afterEach(() => site.close());

test("the dashboard shows what the mesh does", { timeout: 3 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: { "/": pageOf(["/a.bmp"]), "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) } },
  });
  const visitor = await site.seed("/", 1);
  const operator = await visitor.context.newPage();
  const complaints: string[] = [];
  operator.on("console", (message) => complaints.push(message.text()));
  operator.on("pageerror", (error) => complaints.push(error.message));
  await operator.goto(`${site.node.url}/edgeweave/`);

  const fallbacks = { at_ms: 1, event: "fallback", reason: "no_holder" };
  const traffic = { bytes: { peers: 7.5e12, origin: 2.5e12 } };
  const report = { site: "site", release: "r", notes: [fallbacks, fallbacks], traffic };
  const origin = site.origin.url;
  await fetch(`${site.node.url}/report`, { method: "POST", headers: { origin }, body: JSON.stringify(report) });

  const figure = (name: string) => operator.locator(".figure", { hasText: name }).locator("output");
  const shows = (name: string, value: RegExp) =>
    operator.waitForFunction(
      ([name, value]) =>
        [...document.querySelectorAll(".figure")].some(
          (figure) =>
            figure.querySelector("h2")?.textContent === name &&
            new RegExp(value ?? "").test(figure.querySelector("output")?.textContent ?? ""),
        ),
      [name, value.source],
      { timeout: PATIENCE_MS },
    );
  await shows("Admitted", /^1$/);
  await shows("Offload", /^75.0 %$/);
  // Its own figures are asked for again and again, so that it can be left open.
  await shows("In the swarm", /^[1-9]/);
  expect(await operator.locator("output.pulse").textContent()).toBe("live");
  expect(await figure("Channels opened").count()).toBe(1);
  expect(await operator.locator(".sources div", { hasText: "other visitors" }).textContent()).toContain("7.50 TB");
  expect(await operator.locator("tr", { hasText: "no holder" }).textContent()).toBe("no holder2");
  await operator.locator(".chart canvas").first().waitFor();
  expect(complaints).toEqual([]);
});
