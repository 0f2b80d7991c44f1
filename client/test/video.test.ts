import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, pageOf, type Visitor } from "./harness";
import { expectBodies, type Scene, scene } from "./scene";

const FILM_BYTES = 64 * 1024 * 1024;
const BYTES_PER_SECOND = 44_100 * 4;
let site: Scene;

afterEach(() => site.close());

/**
 * A film of a given size that every browser plays: sound alone, two channels of 16 bits at 44.1 kHz, without compression
 * (https://en.wikipedia.org/wiki/WAV).
 */
function film(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.write("RIFF");
  bytes.writeUInt32LE(size - 8, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(2, 22);
  bytes.writeUInt32LE(44_100, 24);
  bytes.writeUInt32LE(BYTES_PER_SECOND, 28);
  bytes.writeUInt16LE(4, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(size - 44, 40);
  // No two pieces are the same.
  for (let at = 44; at + 4 <= size; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  return bytes;
}

/** Moves the film to a second, and waits until it plays on from there. */
function playFrom(visitor: Visitor, second: number): Promise<void> {
  return visitor.page.evaluate(async (second) => {
    const video = document.querySelector("video") as HTMLVideoElement;
    video.muted = true;
    video.currentTime = second;
    await video.play();
    while (video.currentTime < second + 0.5) {
      await new Promise((moved) => video.addEventListener("timeupdate", moved, { once: true }));
    }
  }, second);
}

test("a film of 64 MB plays and seeks from peers", { timeout: 6 * PATIENCE_MS }, async () => {
  site = await scene({
    contents: {
      "/": pageOf([]),
      "/film.html": pageOf([], "<video src=/film.wav preload=auto></video>"),
      "/film.wav": { type: "audio/wav", body: film(FILM_BYTES) },
    },
    policy: 'prefer = "offload"\npatience_ms = 5000\nupload_bytes_per_second = 200000000',
  });
  const peer = await site.arrive();
  await peer.go(`${site.origin.url}/`);
  await expectBodies(site.origin, peer, ["/film.wav"]);
  await peer.until("holding the film", (stats) => stats.held === 1);
  const visitor = await site.meet(1);
  site.origin.fault = (request, response) => {
    if (request.url !== "/film.wav") return false;
    response.writeHead(503).end();
    return true;
  };
  await visitor.go(`${site.origin.url}/film.html`);
  for (const second of [0, 300, 100, 375]) await playFrom(visitor, second);
  await expectBodies(site.origin, visitor, ["/film.wav"]);
  // What a player reads again has been stored meanwhile, from peers: nobody else has given any of it.
  const { bytes } = await visitor.until("served", ({ bytes }) => bytes.peers + bytes.cache > FILM_BYTES);
  expect(bytes.peers).toBeGreaterThan(FILM_BYTES / 2);
  expect(bytes.origin + bytes.supernode).toBe(0);
  expect(visitor.errors).toEqual([]);
});
