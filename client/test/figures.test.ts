import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, settle } from "./harness";
import { PICTURES, pictures, type Scene } from "./scene";

/** Keeps what the client's figures say of why it takes no part, from the first on. */
const LISTENING = `
  globalThis.reasons = [];
  const listen = () =>
    globalThis.edgeweave
      ? edgeweave.addEventListener("stats", ({ detail }) => reasons.push(detail.off))
      : setTimeout(listen);
  listen();
`;

let site: Scene;

afterEach(() => site.close());

test("figures never say that a client takes no part which does", { timeout: 2 * PATIENCE_MS }, async () => {
  site = await pictures();
  const visitor = await site.seed("/next.html", PICTURES.length, { script: LISTENING });
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  const reasons: unknown[] = await visitor.page.evaluate("reasons");
  expect(reasons.length).toBeGreaterThan(0);
  expect(reasons.filter((reason) => reason !== null)).toEqual([]);
});
