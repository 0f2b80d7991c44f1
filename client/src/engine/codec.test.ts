import { expect, test } from "vitest";
import { input, note, output, setup, toNode, toPeer } from "../generated/codecs";
import samples from "../generated/samples.json";
import type { ToPeer } from "../generated/ToPeer";
import { type Codec, decoded, encoded } from "./codec";

const codecs = { Input: input, Note: note, Output: output, Setup: setup, ToNode: toNode, ToPeer: toPeer };

const fromHex = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const toHex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** As the engine would write it in JSON. */
const json = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner: unknown) => (inner instanceof Uint8Array ? [...inner] : inner)));

test.each(Object.keys(codecs) as (keyof typeof codecs)[])("values of %s pass both ways", (name) => {
  const codec = codecs[name] as Codec<unknown>;
  for (const [value, hex] of samples[name] as [unknown, string][]) {
    const read = decoded(codec, fromHex(hex));
    expect(json(read)).toEqual(value);
    expect(toHex(encoded(codec, read))).toBe(hex);
  }
});

const heard = (message: unknown) => decoded(toPeer, encoded(toPeer, message as ToPeer));

test("what a node leaves out is what its readers take for it", () => {
  expect(heard({ manifest: { version: { epoch: 1, number: 2 } } })).toEqual({
    manifest: { version: { epoch: 1, number: 2 }, reset: false, more: false, add: [], renew: [], remove: [] },
  });
});

test("a node that is older than the client says less of its policy", () => {
  const said = (samples.ToPeer as [object, string][]).find(([value]) => "policy" in value)?.[0] as {
    policy: { policy: object };
  };
  const older = { ...said.policy.policy, prefetch: undefined };
  expect(heard({ policy: { policy: older } })).toEqual({ policy: { policy: { ...older, prefetch: "conservative" } } });
});

test("what a newer node says besides is passed over", () => {
  expect(heard({ gone: { peer: "00000000000000ff", from_the_future: 1 } })).toEqual({
    gone: { peer: "00000000000000ff" },
  });
  expect(heard({ error: { reason: "from_the_future", about: "" } })).toEqual({
    error: { reason: "unknown", about: "" },
  });
});

test.each([
  [{ from_the_future: {} }],
  [{}],
  ["gone"],
  [null],
  [7],
  [{ gone: {} }],
  [{ gone: { peer: "ff" } }],
  [{ gone: { peer: "00000000000000fg" } }],
  [{ no_holder: { assets: [1.5] } }],
  [{ no_holder: { assets: [-1] } }],
  [{ no_holder: { assets: [2 ** 32] } }],
  [{ no_holder: { assets: "1" } }],
  [{ no_holder: { assets: { length: 1 } } }],
  [{ pieces: { asset: 1, pieces: "short" } }],
  [{ pieces: { asset: 1, pieces: "!".repeat(43) } }],
  [{ pieces: { asset: 1, pieces: `${" ".repeat(43)}` } }],
  [{ introduce: { peer: "00000000000000ff", offers: 1, holds: [] } }],
  [{ error: { reason: "busy", about: 5 } }],
  [{ signal: { from: "00000000000000ff" } }],
])("%j is refused", (message) => {
  expect(() => heard(message)).toThrow();
});
