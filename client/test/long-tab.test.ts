import { afterEach, expect, test } from "vitest";
import { PATIENCE_MS, settle, type Visitor } from "./harness";
import { PICTURES, pictures, type Scene } from "./scene";

/** How often another visitor comes and goes while the tab is open. */
const ROUNDS = 6;
/** The time that passes with each, for the tab alone. */
const ROUND_MINUTES = 10;
/** What a browser's own accounts may grow by, in bytes: an asset's copy that stayed would be more. */
const NOISE_BYTES = 256 * 1024;

/** Counts a page's peer connections that are open, without keeping those that are not. */
const COUNTED = `{
  const made = [];
  const Native = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      made.push(new WeakRef(this));
    }
  };
  globalThis.openConnections = () =>
    made.filter((connection) => (connection.deref()?.connectionState ?? "closed") !== "closed").length;
}`;

/** Lets time pass for an engine's thread: what is due by then happens at once. */
const HURRIED = `{
  let ahead = 0;
  const waiting = new Map();
  const [now, set, clear] = [performance.now.bind(performance), setTimeout, clearTimeout];
  performance.now = () => now() + ahead;
  globalThis.clearTimeout = (timer) => {
    clear(timer);
    waiting.delete(timer);
  };
  globalThis.setTimeout = (run, ms) => {
    const happen = () => {
      clearTimeout(timer);
      run();
    };
    const timer = set(happen, ms);
    waiting.set(timer, { due: performance.now() + ms, happen });
    return timer;
  };
  new BroadcastChannel("time").onmessage = ({ data }) => {
    ahead += data;
    for (const { due, happen } of [...waiting.values()]) if (due <= performance.now()) happen();
  };
}`;

let site: Scene;

afterEach(() => site.close());

/** What a page and its engine's thread hold on to when everything else has been cleared away. */
async function heapBytes(visitor: Visitor): Promise<number> {
  const page = await visitor.context.newCDPSession(visitor.page);
  const attached = new Promise<string>((at) => page.once("Target.attachedToTarget", ({ sessionId }) => at(sessionId)));
  // Playwright's sessions are with pages; messages to a worker go through its page's.
  await page.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const sessionId = await attached;
  const inThread = (method: string) =>
    new Promise<object>((answered) => {
      page.once("Target.receivedMessageFromTarget", ({ message }) => answered(JSON.parse(message).result));
      void page.send("Target.sendMessageToTarget", { sessionId, message: JSON.stringify({ id: 1, method }) });
    });
  await page.send("HeapProfiler.collectGarbage");
  await inThread("HeapProfiler.collectGarbage");
  const heaps = [await page.send("Runtime.getHeapUsage"), await inThread("Runtime.getHeapUsage")] as {
    usedSize: number;
    backingStorageSize: number;
  }[];
  await page.detach();
  return heaps.reduce((sum, { usedSize, backingStorageSize }) => sum + usedSize + backingStorageSize, 0);
}

/** Somebody comes, gets from the tab what a page needs, and leaves; the tab has got older meanwhile. */
async function guest(tab: Visitor): Promise<void> {
  const visitor = await site.meet(PICTURES.length);
  await visitor.go(`${site.origin.url}/next.html`);
  await visitor.until("served", ({ bytes }) => bytes.peers + bytes.cache >= 1_600_108);
  await visitor.leave();
  await tab.until("alone", (stats) => stats.neighbours === 0);
  await tab.page.clock.fastForward(ROUND_MINUTES * 60_000);
  await tab.page.evaluate((ms) => new BroadcastChannel("time").postMessage(ms), ROUND_MINUTES * 60_000);
  await tab.until("connected", (stats) => stats.connected);
}

test("a tab that is open for an hour holds no more than at first", { timeout: ROUNDS * PATIENCE_MS }, async () => {
  site = await pictures({ patienceMs: 5000 });
  const tab = await site.arrive({ script: COUNTED, threadScript: HURRIED });
  await tab.page.clock.install();
  await tab.go(`${site.origin.url}/next.html`);
  await settle(tab);
  await tab.until("holding both", (stats) => stats.held === PICTURES.length);
  await guest(tab);
  const before = await heapBytes(tab);
  for (let round = 1; round < ROUNDS; round += 1) await guest(tab);
  const after = await heapBytes(tab);
  expect(after - before).toBeLessThan(NOISE_BYTES);
  expect(await tab.page.evaluate("openConnections()")).toBe(0);
  expect((await tab.stats()).uploaded).toBeGreaterThan(ROUNDS * 1_000_000);
  expect(tab.errors).toEqual([]);
});
