// How quick transfers are, between real browsers: `node bundle.mjs transfer.ts '{"mib":64,"rounds":5}'`. What is compared
// takes turns in the same browsers. Standard output is JSON lines: `{"progress":"…"}`, and at last `{"measured":{…}}`.
import { randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Edgeweave } from "../src/api";
import { arrive, type Origin, pageOf, type RunningNode, startNativePeer, startNode, startOrigin } from "./harness";
import { eventually, type SimpleVisitor } from "./simple-visitor";
import { arriveUnwatched } from "./unwatched";

interface Options {
  /** The asset's size. */
  mib: number;
  /** How often each is measured. */
  rounds: number;
}

/** A message of the bare channel is as long as a piece with its header, in bytes. */
const MESSAGE_BYTES = 60 * 1024 + 9;
/** Bytes that the bare channel may buffer, and below which it is given more: as in the client. */
const BUFFERED_MOST = 1 << 20;
const LARGE = "/large.bin";
/** The largest that clients take from the supernode over HTTP, in bytes. */
const MEDIUM = "/medium.bin";
const MEDIUM_BYTES = 8 << 20;
/** Where a native peer that is far away is met: another address of this machine. */
const FAR = "127.0.0.2";
/** Round trips, in milliseconds, of which the longer one is compared with the shorter. */
const ROUND_TRIPS_MS: [number, number] = [100, 300];
/** Milliseconds that the origin takes to answer. */
const ORIGIN_MS = 300;

/** Visitors' upload limits are lifted, and nobody is in a hurry to ask the origin. */
const POLICY = [
  "[admission]",
  "sightings = 1",
  "[policy]",
  'prefer = "offload"',
  "patience_ms = 600000",
  "upload_bytes_per_second = 1000000000",
  "upload_bytes_per_month = 1000000000000",
  // Which way is measured must be known: no origin beside it.
  "hedge = false",
];

const options = JSON.parse(process.argv[3] ?? "{}") as Options;
const bytes = options.mib << 20;
const content = (size: number) => ({ type: "application/octet-stream", body: randomFillSync(Buffer.alloc(size)) });
const origin = await startOrigin({ "/": pageOf([]), [LARGE]: content(bytes), [MEDIUM]: content(MEDIUM_BYTES) });
const node = await startNode([`origin = "${origin.url}"`, ...POLICY], {});
try {
  say({ measured: { bytes, ...(await measure(origin, node)) } });
} finally {
  await node.kill();
  await origin.close();
}

async function measure(origin: Origin, node: RunningNode) {
  progress("a visitor fetches the assets");
  const giver = await come(node);
  for (const path of [LARGE, MEDIUM])
    await giver.evaluate((path) => fetch(path).then((response) => response.arrayBuffer()), path);
  await giver.until("holding both", (stats) => stats.held === 2);
  // From now on the mesh or nothing, and an origin that is no temptation.
  origin.delay = () => new Promise((answer) => setTimeout(answer, ORIGIN_MS));
  origin.fault = (request, response) => {
    if (request.url !== LARGE && request.url !== MEDIUM) return false;
    response.writeHead(503).end();
    return true;
  };

  const taker = await come(node);
  const neighbour: number[] = [];
  const bare: number[] = [];
  await openBare(giver, taker, `stun:${new URL(node.url).host}`);
  for (let round = 1; round <= options.rounds; round += 1) {
    progress(`round ${round} of ${options.rounds}: a neighbour through the client, and a bare channel`);
    neighbour.push(await throughClient(taker, "peers"));
    bare.push(await overBare(giver, taker));
  }
  await giver.leave();
  await taker.leave();

  const alone = await come(node, "delete globalThis.RTCPeerConnection");
  const overHttp: number[] = [];
  const bareHttp: number[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    progress(`round ${round} of ${options.rounds}: the supernode over HTTP, through the client and bare`);
    overHttp.push(await throughClient(alone, "supernode"));
    bareHttp.push(await overHttpBare(alone, node));
  }
  await alone.leave();

  progress("a native peer takes the asset");
  const native = await startNativePeer(node.url, "default");
  const visitor = await come(node);
  const overChannel: number[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    progress(`round ${round} of ${options.rounds}: the native peer over a data channel`);
    overChannel.push(await throughClient(visitor, "peers"));
  }
  await visitor.leave();
  await native.kill();

  const setup = await measureSetup(node);
  const ratios = neighbour.map((rate, round) => rate / (bare[round] ?? Number.NaN));
  return {
    neighbour_to_bare_ratio: median(ratios),
    neighbour_mbit_s: median(neighbour),
    bare_channel_mbit_s: median(bare),
    supernode_mbit_s: median(overHttp),
    supernode_bare_mbit_s: median(bareHttp),
    native_peer_mbit_s: median(overChannel),
    ...setup,
    rounds: { neighbour, bare, supernode: overHttp, supernode_bare: bareHttp, native_peer: overChannel },
  };
}

/** How the time to meet a native peer grows with the round trip. It is as far to the node as to the peer. */
async function measureSetup(node: RunningNode) {
  const browser_setup_ms: Record<string, number> = {};
  for (const roundTripMs of ROUND_TRIPS_MS) {
    const took: number[] = [];
    for (let round = 1; round <= options.rounds; round += 1) {
      progress(`round ${round} of ${options.rounds}: a native peer is met, ${roundTripMs} ms away`);
      took.push(await meetAfar(node, roundTripMs));
    }
    browser_setup_ms[roundTripMs] = median(took);
  }
  const [near, far] = ROUND_TRIPS_MS;
  const [nearMs, farMs] = ROUND_TRIPS_MS.map((ms) => browser_setup_ms[ms] ?? Number.NaN) as [number, number];
  const browser_setup_round_trips = (farMs - nearMs) / (far - near);
  const browser_setup_fixed_ms = nearMs - browser_setup_round_trips * near;
  return { browser_setup_round_trips, browser_setup_fixed_ms, browser_setup_ms };
}

/** Milliseconds from the introduction until the channel to a native peer is open. All of what both say is delayed. */
async function meetAfar(node: RunningNode, roundTripMs: number): Promise<number> {
  const tcp = await delayTcp(node.url, roundTripMs / 2);
  const udp = await delayUdp(roundTripMs / 2);
  const where = ["--listen-udp", `127.0.0.1:${udp.port}`, "--public-address", FAR];
  const native = await startNativePeer(tcp.url, "default", where);
  const visitor = await arrive({ script: `(${timeConnections})()`, threadScript: `(${timeChannels})()` });
  await visitor.go(`${tcp.url}/`);
  await visitor.until("introduced", (stats) => stats.neighbours > 0);
  await visitor.page.waitForFunction(() => (globalThis as unknown as { opened: number[] }).opened.length > 0);
  const took = await visitor.page.evaluate(() => (globalThis as unknown as { opened: number[] }).opened[0]);
  await visitor.leave();
  await native.kill();
  tcp.close();
  udp.close();
  return took ?? Number.NaN;
}

/** Runs in pages: when a connection is made, and when its channel is open. */
function timeConnections(): void {
  const opened: number[] = [];
  let began = 0;
  const timed = class extends RTCPeerConnection {
    constructor(configuration: RTCConfiguration) {
      // The native peer is to know no way to the browser but the one that delays.
      super({ ...configuration, iceServers: [] });
      began = performance.timeOrigin + performance.now();
    }
  };
  new BroadcastChannel("opened").onmessage = ({ data }) => opened.push(data - began);
  Object.assign(globalThis, { opened, RTCPeerConnection: timed });
}

/** Runs in the engine's thread, which has the channels. */
function timeChannels(): void {
  const say = () => new BroadcastChannel("opened").postMessage(performance.timeOrigin + performance.now());
  addEventListener("message", ({ data }) => data.channel?.addEventListener("open", say));
}

/** Passes on what it gets over TCP, later. */
async function delayTcp(to: string, oneWayMs: number) {
  const { hostname, port } = new URL(to);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay();
      one.on("data", (data) => setTimeout(() => other.write(data), oneWayMs));
      one.on("close", () => setTimeout(() => other.destroy(), oneWayMs));
      one.on("error", () => undefined);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** Passes on datagrams to the same port of 127.0.0.1, later, and what is answered back. */
async function delayUdp(oneWayMs: number) {
  const near = createSocket("udp4");
  await new Promise<void>((bound) => near.bind(0, FAR, bound));
  const { port } = near.address();
  const byVisitor = new Map<number, ReturnType<typeof createSocket>>();
  let open = true;
  const later = (send: () => void) => setTimeout(() => open && send(), oneWayMs);
  near.on("message", (data, from) => {
    let far = byVisitor.get(from.port);
    if (!far) {
      far = createSocket("udp4");
      byVisitor.set(from.port, far);
      far.on("message", (answer) => later(() => near.send(answer, from.port, from.address)));
    }
    const way = far;
    later(() => way.send(data, port, "127.0.0.1"));
  });
  const close = () => {
    open = false;
    near.close();
    for (const far of byVisitor.values()) far.close();
  };
  return { port, close };
}

/** A visitor comes, and has what it needs to ask for the asset. */
async function come(node: RunningNode, script?: string): Promise<SimpleVisitor> {
  const visitor = await arriveUnwatched(script);
  // The worker answers from the second page on.
  for (let page = 1; page <= 2; page += 1) {
    await visitor.go(`${node.url}/`);
    await visitor.settle();
  }
  return visitor;
}

/** Fetches the asset as a page does, and forgets it again; megabits a second. */
async function throughClient(visitor: SimpleVisitor, source: "peers" | "supernode"): Promise<number> {
  await visitor.evaluate(() => (globalThis as unknown as { edgeweave: Edgeweave }).edgeweave.purge());
  await visitor.until(
    `without the asset, and able to get it from ${source}`,
    (stats) => stats.admitted === 2 && stats.stored === 0 && (source === "supernode" || stats.neighbours > 0),
  );
  const before = (await visitor.stats()).bytes[source];
  const [path, size] = source === "peers" ? [LARGE, bytes] : [MEDIUM, MEDIUM_BYTES];
  const ms = await read(visitor, path, size);
  await visitor.until(`served by ${source}`, (stats) => stats.bytes[source] - before === size);
  return rate(size, ms);
}

/** Fetches the same content from the node by its name. */
async function overHttpBare(visitor: SimpleVisitor, node: RunningNode): Promise<number> {
  const listed = await fetch(`${node.url}/api/v1/sites/default/assets`);
  const { assets } = (await listed.json()) as { assets: { url: string; hash: string }[] };
  const hash = assets.find(({ url }) => url.endsWith(MEDIUM))?.hash;
  return rate(MEDIUM_BYTES, await read(visitor, `${node.url}/asset/${hash}`, MEDIUM_BYTES));
}

/** Milliseconds in which the page has read all of it. */
async function read(visitor: SimpleVisitor, url: string, size: number): Promise<number> {
  return visitor.evaluate(
    async ({ url, size }) => {
      const began = performance.now();
      const reader = (await fetch(url)).body?.getReader();
      let read = 0;
      for (let part = await reader?.read(); part?.value; part = await reader?.read()) read += part.value.length;
      if (read !== size) throw new Error(`${url} gave ${read} bytes of ${size}`);
      return performance.now() - began;
    },
    { url, size },
  );
}

/** Two browsers' own ends of a channel, with nothing of Edgeweave's. */
interface Bare {
  bare: { connection: RTCPeerConnection; channel: RTCDataChannel };
}

async function openBare(giver: SimpleVisitor, taker: SimpleVisitor, stun: string): Promise<void> {
  const make = (stun: string) => {
    const connection = new RTCPeerConnection({ iceServers: [{ urls: stun }] });
    const channel = connection.createDataChannel("bare", { negotiated: true, id: 0 });
    channel.binaryType = "arraybuffer";
    (globalThis as unknown as Bare).bare = { connection, channel };
  };
  const described = async () => {
    const { connection } = (globalThis as unknown as Bare).bare;
    await connection.setLocalDescription();
    while (connection.iceGatheringState !== "complete")
      await new Promise((changed) => connection.addEventListener("icegatheringstatechange", changed, { once: true }));
    return JSON.stringify(connection.localDescription);
  };
  const hear = (description: string) =>
    (globalThis as unknown as Bare).bare.connection.setRemoteDescription(JSON.parse(description));
  await Promise.all([giver, taker].map((visitor) => visitor.evaluate(make, stun)));
  await taker.evaluate(hear, await giver.evaluate(described));
  await giver.evaluate(hear, await taker.evaluate(described));
  await eventually("open", () =>
    giver.evaluate(() => (globalThis as unknown as Bare).bare.channel.readyState === "open"),
  );
}

async function overBare(giver: SimpleVisitor, taker: SimpleVisitor): Promise<number> {
  await giver.evaluate(
    ({ bytes, message, most }) => {
      const { channel } = (globalThis as unknown as Bare).bare;
      channel.bufferedAmountLowThreshold = most / 2;
      const content = new Uint8Array(message);
      const give = async () => {
        for (let left = bytes; left > 0; left -= message) {
          channel.send(content.subarray(0, Math.min(left, message)));
          if (channel.bufferedAmount >= most)
            await new Promise((low) => channel.addEventListener("bufferedamountlow", low, { once: true }));
        }
      };
      channel.addEventListener("message", () => void give(), { once: true });
    },
    { bytes, message: MESSAGE_BYTES, most: BUFFERED_MOST },
  );
  const ms = await taker.evaluate(
    (bytes) =>
      new Promise<number>((resolve) => {
        const { channel } = (globalThis as unknown as Bare).bare;
        const began = performance.now();
        let read = 0;
        channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
          read += data.byteLength;
          if (read >= bytes) resolve(performance.now() - began);
        };
        channel.send("go");
      }),
    bytes,
  );
  return rate(bytes, ms);
}

/** Megabits a second. */
function rate(size: number, ms: number): number {
  return (size * 8) / ms / 1000;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function progress(progress: string): void {
  say({ progress });
}

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
