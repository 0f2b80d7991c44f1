import { afterEach, expect, test } from "vitest";
import type { Reason } from "../src/generated/Reason";
import { PATIENCE_MS, pageOf, picture, settle } from "./harness";
import { expectComplete, reasons, type Scene, scene } from "./scene";

const PICTURES = ["/a.bmp", "/b.bmp"];
let site: Scene;

afterEach(() => site.close());

/** How a browser has no WebRTC, and what the client says of it. */
const WITHOUT: [string, string, Reason][] = [
  ["is absent", "delete globalThis.RTCPeerConnection", "no_webrtc"],
  [
    "is refused",
    'globalThis.RTCPeerConnection = function () { throw new DOMException("", "NotAllowedError") }',
    "connect_failed",
  ],
];

test.each(WITHOUT)("a page is complete where WebRTC %s", { timeout: 3 * PATIENCE_MS }, async (_how, script, reason) => {
  site = await scene({
    contents: {
      "/": pageOf([]),
      "/next.html": pageOf(PICTURES),
      "/a.bmp": { type: "image/bmp", body: picture(100_054, 1) },
      "/b.bmp": { type: "image/bmp", body: picture(1_500_054, 2) },
    },
    policy: 'prefer = "offload"\npatience_ms = 1000',
  });
  await site.seed("/next.html", PICTURES.length);
  const visitor = await site.arrive({ script });
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  expect(await reasons(visitor)).toContain(reason);
  const { bytes, neighbours } = await visitor.stats();
  expect({ peers: bytes.peers, neighbours }).toEqual({ peers: 0, neighbours: 0 });
});
