import { afterEach, expect, test } from "vitest";
import type { Reason } from "../src/generated/Reason";
import { PATIENCE_MS, settle } from "./harness";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

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
  site = await pictures({ patienceMs: 1000 });
  await site.seed("/next.html", PICTURES.length);
  const visitor = await site.arrive({ script });
  await visitor.go(`${site.origin.url}/`);
  await settle(visitor);
  await visitor.until("told", (stats) => stats.admitted === PICTURES.length);
  await visitor.tab();
  await visitor.go(`${site.origin.url}/next.html`);
  await expectComplete(site, visitor, PICTURES);
  await expectRecorded(visitor, reason);
  const { bytes, neighbours } = await visitor.stats();
  expect({ peers: bytes.peers, neighbours }).toEqual({ peers: 0, neighbours: 0 });
});
