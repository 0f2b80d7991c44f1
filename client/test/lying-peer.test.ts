import { afterEach, test } from "vitest";
import type { Reason } from "../src/generated/Reason";
import { PATIENCE_MS } from "./harness";
import { type Mischief, mischievous } from "./mischief";
import { expectComplete, expectRecorded, PICTURES, pictures, type Scene } from "./scene";

let site: Scene;

afterEach(() => site.close());

/** What a peer does, and why it is let go for that. */
const LIES: [string, Mischief, Reason][] = [
  [
    "wrong bytes",
    (frame, send) => {
      const last = frame.length - 1;
      frame[last] = (frame[last] ?? 0) ^ 1;
      send(frame);
    },
    "wrong_piece",
  ],
  ["short pieces", (frame, send) => send(frame.subarray(0, -1)), "short_piece"],
  ["empty pieces", (frame, send) => send(frame.subarray(0, 9)), "short_piece"],
  [
    "pieces that are too long",
    (frame, send) => {
      const longer = new Uint8Array(frame.length + 1);
      longer.set(frame);
      send(longer);
    },
    "short_piece",
  ],
  [
    "the same pieces without end",
    (frame, send) => {
      for (let time = 0; time < 100; time += 1) send(frame);
    },
    "unasked",
  ],
  ["what is no frame", (frame, send) => send(frame.fill(0xff)), "bad_frame"],
  ["nothing", () => undefined, "origin_won"],
  ["nothing after the first pieces", (frame, send) => frame[5] === 0 && send(frame), "stalled"],
];

test.each(LIES)(
  "a page is complete though its only neighbour sends %s",
  { timeout: 3 * PATIENCE_MS },
  async (_what, mischief, reason) => {
    site = await pictures({ patienceMs: 1000 });
    await site.seed("/next.html", PICTURES.length, { script: mischievous(mischief) });
    const visitor = await site.meet(PICTURES.length);
    await visitor.go(`${site.origin.url}/next.html`);
    await expectComplete(site, visitor, PICTURES);
    await expectRecorded(visitor, reason);
  },
);
