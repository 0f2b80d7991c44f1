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
  // Its own figures are asked for again and again, so that it can be left open.
  await shows("In the swarm", /^[1-9]/);
  expect(await operator.locator("output.pulse").textContent()).toBe("live");
  expect(await figure("Channels opened").count()).toBe(1);
  await operator.locator(".chart canvas").first().waitFor();
  expect(complaints).toEqual([]);
});
