// The thread of the engine. What the engine decides becomes an effect here where it concerns bytes, the storage or the
// worker, and in the page where only a page can have it.
import type { FetchedResource } from "../generated/FetchedResource";
import type { Output } from "../generated/Output";
import type { Report } from "../generated/Report";
import type { Shelf } from "../generated/Shelf";
import type { Stats } from "../generated/Stats";
import type { ToPeer } from "../generated/ToPeer";
import { type Channel, join } from "../shared/channel";
import { digest } from "../shared/digest";
import { ownFiles } from "../shared/own-files";
import { SHELF_KEY, STATE_KEY } from "../shared/storage";
import type { Arrived, Ready, Sent, Setting, ToPage, ToThread, Way } from "../shared/thread";
import type { FromWorker } from "../shared/wire";
import { adopt } from "./adopt";
import { splitFrame } from "./frame";
import { payloads } from "./payloads";
import { storage } from "./storage";
import { engineCode, runEngine } from "./wasm";
import { workerLink } from "./worker-link";

type Part<K extends string> = Extract<Output, Record<K, unknown>> extends Record<K, infer V> ? V : never;
type Say = (message: ToPage, transfer?: Transferable[]) => void;

/** Runs the engine for the page at the other end, until that says its last. What keeps it from starting is thrown. */
export async function run(page: Way<Ready | ToPage, ToThread> & { close(): void }, setting: Setting): Promise<void> {
  const say = (message: Ready | ToPage, transfer: Transferable[] = []) => page.postMessage(message, transfer);
  const hear = await begin(setting, say);
  page.onmessage = ({ data, ports }) => {
    hear(data, ports);
    if (data === "suspend") page.close();
  };
  say("ready");
}

/** Starts the engine; returns what takes in the page's messages. */
async function begin({ site, release, base, origin }: Setting, say: Say) {
  const [code, store] = await Promise.all([engineCode(), storage()]);
  const bytes = payloads();
  let stats: Stats | undefined;
  let shelf: Shelf | undefined;
  /** URLs that the worker has answered for: what the browser says of them is not about the origin. */
  const answered = new Set<string>();
  let admitted = new Set<string>();
  const isOurs = ownFiles(base);
  /** The channels of neighbours, where browsers let a thread have them. */
  const channels = new Map<string, Channel>();

  const engine = await runEngine(
    code,
    {
      site,
      release,
      seed: randomSeed(),
      unix_ms: Math.round(origin),
      state: (await store.state()) ?? null,
      held: await store.held(),
    },
    origin,
    act,
    failed,
  );
  const { handle } = engine;
  const worker = workerLink(workerSaid);
  return hear;

  function hear(message: ToThread, [port]: readonly Transferable[]): void {
    if (message === "port") worker.offered(port as MessagePort);
    else if (message === "notes") say({ notes: engine.notes() });
    else if (message === "suspend") engine.stop();
    else if (typeof message === "string") handle(message);
    else if ("said" in message) nodeSaid(message.said);
    else if ("data" in message) arrived(message);
    else if ("channel" in message) channels.set(message.peer, join(message, hear));
    else if ("fetched" in message) fetched(message.fetched.resources);
    else {
      if ("peer_closed" in message) part(message.peer_closed.peer);
      handle(message);
    }
  }

  function nodeSaid(text: string): void {
    try {
      handle({ heard: JSON.parse(text) as ToPeer });
    } catch {
      // The node may be newer.
      handle({
        note: { event: "error", reason: "malformed", about: "message from the node", bytes: text.length },
      });
    }
  }

  function arrived({ peer, data }: Arrived): void {
    const { header, payload } = splitFrame(data);
    handle({ frame: { peer, header, payload: payload && bytes.keep(payload) } });
  }

  /** What the page has loaded, but for what the worker has told. */
  function fetched(resources: FetchedResource[]): void {
    // What is not admitted passed through a worker that had just started: once, and the next goes by it.
    const told = (url: string) => (admitted.has(url) ? answered.has(url) : answered.delete(url));
    const own = resources.filter(({ url, controlled }) => !(controlled && told(url)));
    if (own.length > 0) handle({ fetched: { resources: own } });
  }

  function workerSaid(message: Exclude<FromWorker, "ready">): void {
    if ("request" in message) {
      worker.send({ taken: { id: message.request.id } });
      answered.add(message.request.url);
      handle(message);
    } else if ("fetched" in message) {
      if (isOurs(message.fetched.url)) return;
      answered.add(message.fetched.url);
      handle({ fetched: { resources: [message.fetched] } });
    } else if ("supernode" in message) {
      answered.add(message.supernode.url);
      handle({ supernode_served: message.supernode.served });
    } else if ("cached" in message) {
      answered.add(message.cached.url);
      handle({ cache_served: message.cached });
    } else {
      handle(message);
    }
  }

  function act(output: Output): void {
    if (typeof output === "string") say(output);
    else if ("say" in output) say({ tell: JSON.stringify(output.say) });
    else if ("send_frame" in output) send(output.send_frame);
    else if ("send_piece" in output) later(sendPiece(output.send_piece));
    else if ("hash" in output) later(hash(output.hash));
    else if ("release" in output) bytes.release(output.release.handle);
    else if ("deliver" in output) deliver(output.deliver);
    else if ("adopt" in output) later(adopt(output.adopt, bytes, handle, say));
    else if ("load" in output) later(load(output.load));
    else if ("store" in output) later(keep(output.store));
    else if ("drop" in output) later(store.drop(output.drop.hash, output.drop.segments));
    else if ("shelf" in output) shelve(output.shelf);
    else if ("stats" in output) tell(output.stats);
    else if ("report" in output) report(output.report);
    else if ("open_peer" in output || "signal_peer" in output) say(output);
    else if ("close_peer" in output) part(output.close_peer.peer);
    else {
      // What is said last, the worker has to keep; but workers are stopped, and do not hear of it.
      if ("persist" in output) void store.keep(STATE_KEY, output.persist.state);
      worker.send(output);
    }
  }

  function later(work: Promise<void>): void {
    work.catch(failed);
  }

  /** An error of our own: nothing goes on. */
  function failed(error: unknown): void {
    say({ failed: String(error) });
  }

  async function sendPiece({ peer, transfer, header, hash, segment, offset, len }: Part<"send_piece">): Promise<void> {
    const payload = await store.read(hash, segment, offset, len);
    if (!payload) return handle({ piece_lost: { peer, transfer, hash, segment } });
    const frame = new Uint8Array(header.length + payload.length);
    frame.set(header);
    frame.set(payload, header.length);
    send({ peer, bytes: frame, transfer }, [frame.buffer]);
  }

  function send(sent: Sent, transfer: Transferable[] = []): void {
    const channel = channels.get(sent.peer);
    if (channel) void channel.send(sent);
    else say(sent, transfer);
  }

  /** A neighbour is none any more. */
  function part(peer: string): void {
    channels.get(peer)?.leave();
    channels.delete(peer);
    say({ close_peer: { peer } });
  }

  async function hash({ handle: payload }: Part<"hash">): Promise<void> {
    const content = bytes.get(payload);
    if (content) handle({ hashed: { handle: payload, digest: await digest(content) } });
  }

  function deliver({ id, handle: payload, skip, take }: Part<"deliver">): void {
    // A copy, because the engine may yet store what the worker is given for good.
    const part = bytes.get(payload)?.slice(skip, skip + take).buffer;
    if (part) worker.send({ chunk: { id, bytes: part } }, [part]);
  }

  async function load({ hash, piece, segment, offset, len }: Part<"load">): Promise<void> {
    const content = await store.read(hash, segment, offset, len);
    handle({ loaded: { hash, piece, payload: content ? bytes.keep(content) : null } });
  }

  async function keep({ hash, segment, handles }: Part<"store">): Promise<void> {
    const parts = handles.map((payload) => bytes.get(payload));
    const asset = shelf?.assets.find((asset) => asset.hash === hash);
    const reason = await store.store(hash, segment, parts, asset);
    handle(reason ? { store_failed: { hash, segment, reason } } : { stored: { hash, segment } });
  }

  function shelve(next: Shelf): void {
    shelf = next;
    const text = JSON.stringify(shelf);
    worker.send({ shelf: text });
    void store.keep(SHELF_KEY, text);
    // What is admitted no more goes by the worker, and the browser's word on it counts again.
    admitted = new Set(shelf.assets.map(({ url }) => url));
    for (const url of answered) if (!admitted.has(url)) answered.delete(url);
  }

  function tell(next: Stats): void {
    if (next.connected !== stats?.connected) worker.send({ session: next.connected });
    stats = next;
    say({ stats });
  }

  /** A report goes its way also when the page is left. */
  function report(report: Report): void {
    // Its reader takes for granted what is left out: nothing and zero.
    const body = JSON.stringify(report, (_, value: unknown) => value || undefined);
    void fetch(`${base}/report`, { method: "POST", body, keepalive: true, mode: "no-cors" }).catch(() => undefined);
  }
}

/** As much randomness as a JavaScript number holds: 53 bits. */
function randomSeed(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low;
}
