import type { FetchedResource } from "../generated/FetchedResource";
import type { Output } from "../generated/Output";
import type { Report } from "../generated/Report";
import type { Shelf } from "../generated/Shelf";
import type { Stats } from "../generated/Stats";
import { digest } from "../shared/digest";
import type { FromWorker } from "../shared/wire";
import { adopt } from "./adopt";
import type { Answers } from "./channel";
import { circumstances, onCircumstances } from "./circumstances";
import { runEngine } from "./engine";
import type { Config } from "./main";
import { neighbours } from "./neighbours";
import { payloads } from "./payloads";
import { ownFiles } from "./resources";
import { socket } from "./socket";
import { storage } from "./storage";
import { workerLink } from "./worker-link";

/** What the tab that leads does for all. */
export interface Leader extends Answers {
  fetched(resources: FetchedResource[]): void;
  circumstancesChanged(): void;
  stop(): void;
}

type Part<K extends string> = Extract<Output, Record<K, unknown>> extends Record<K, infer V> ? V : never;

/** Runs the engine in this tab: turns what happens into inputs, and outputs into effects. */
export async function lead(
  config: Config,
  on: { stats(stats: Stats): void; failed(error: unknown): void },
): Promise<Leader> {
  const store = await storage();
  const bytes = payloads();
  const ending = new AbortController();
  let stats: Stats | undefined;
  let shelf: Shelf | undefined;
  /** URLs that the worker has answered for: what the browser says of them is not about the origin. */
  const answered = new Set<string>();
  let admitted = new Set<string>();
  const isOurs = ownFiles(config.base);

  const engine = await runEngine(
    {
      site: config.site,
      release: config.release,
      seed: randomSeed(),
      unix_ms: Math.round(performance.timeOrigin),
      state: (await store.state()) ?? null,
      held: await store.held(),
    },
    act,
    failed,
  );
  const { handle } = engine;
  const node = socket(config.base, config.site, handle);
  const peers = neighbours(bytes, handle);
  const link = await workerLink(heard, () => [...(shelf ? [{ shelf }] : []), { session: stats?.connected ?? false }]);
  // Before anything that has figures told: they would say that the client takes no part.
  const circumstancesChanged = () => handle({ circumstances: circumstances(config.off()) });
  onCircumstances(circumstancesChanged, ending.signal);
  circumstancesChanged();
  // Before the worker says what this page has asked for.
  handle({ page: { url: location.origin + location.pathname } });
  const ms = loadTime();
  if (ms) handle({ page_loaded: { ms } });

  return {
    fetched(resources) {
      // What is not admitted passed through a worker that had just started: once, and the next goes by it.
      const told = (url: string) => (admitted.has(url) ? answered.has(url) : answered.delete(url));
      const own = resources.filter(({ url, controlled }) => !(controlled && told(url)));
      if (own.length > 0) handle({ fetched: { resources: own } });
    },
    circumstancesChanged,
    forget: () => handle("forget"),
    stats: () => stats,
    notes: () => engine.notes(),
    stop() {
      engine.stop();
      close();
    },
  };

  function heard(message: Exclude<FromWorker, "ready">): void {
    if ("request" in message) {
      link.send({ taken: { id: message.request.id } });
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
    if (output === "connect") node.connect();
    else if (output === "disconnect") node.disconnect();
    else if ("say" in output) node.say(output.say);
    else if ("open_peer" in output) peers.open(output.open_peer);
    else if ("signal_peer" in output) peers.signal(output.signal_peer.peer, output.signal_peer.signal);
    else if ("close_peer" in output) peers.close(output.close_peer.peer);
    else if ("send_frame" in output) peers.send(output.send_frame.peer, output.send_frame.bytes);
    else if ("send_piece" in output) later(sendPiece(output.send_piece));
    else if ("hash" in output) later(hash(output.hash));
    else if ("release" in output) bytes.release(output.release.handle);
    else if ("deliver" in output) deliver(output.deliver);
    else if ("adopt" in output) later(adopt(output.adopt, bytes, handle));
    else if ("load" in output) later(load(output.load));
    else if ("store" in output) later(keep(output.store));
    else if ("drop" in output) later(store.drop(output.drop.hash, output.drop.segments));
    else if ("shelf" in output) shelve(output.shelf);
    else if ("persist" in output) later(store.keepState(output.persist.state));
    else if ("stats" in output) tell(output.stats);
    else if ("report" in output) navigator.sendBeacon(`${config.base}/report`, report(output.report));
    else link.send(output);
  }

  function later(work: Promise<void>): void {
    work.catch(failed);
  }

  /** An error of our own: nothing goes on. */
  function failed(error: unknown): void {
    if (ending.signal.aborted) return;
    close();
    on.failed(error);
  }

  function close(): void {
    ending.abort();
    node.disconnect();
    peers.closeAll();
    link.close();
    bytes.clear();
  }

  async function sendPiece({ peer, transfer, header, hash, segment, offset, len }: Part<"send_piece">): Promise<void> {
    const payload = await store.read(hash, segment, offset, len);
    if (!payload) return handle({ piece_lost: { peer, transfer, hash, segment } });
    await peers.sendPiece(peer, header, payload);
    handle({ piece_sent: { peer, transfer } });
  }

  async function hash({ handle: payload }: Part<"hash">): Promise<void> {
    const content = bytes.get(payload);
    if (content) handle({ hashed: { handle: payload, digest: await digest(content) } });
  }

  function deliver({ id, handle: payload, skip, take }: Part<"deliver">): void {
    // A copy, because the engine may yet store what the worker is given for good.
    const part = bytes.get(payload)?.slice(skip, skip + take).buffer;
    if (part) link.send({ chunk: { id, bytes: part } }, [part]);
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
    link.send({ shelf });
    later(store.keepShelf(JSON.stringify(shelf)));
    // What is admitted no more goes by the worker, and the browser's word on it counts again.
    admitted = new Set(shelf.assets.map(({ url }) => url));
    for (const url of answered) if (!admitted.has(url)) answered.delete(url);
  }

  function tell(next: Stats): void {
    if (next.connected !== stats?.connected) link.send({ session: next.connected });
    stats = next;
    on.stats(next);
  }
}

/** A report, without what its reader takes for granted: nothing and zero. */
function report(report: Report): string {
  return JSON.stringify(report, (_, value: unknown) => value || undefined);
}

/** How long this page took to load, in whole milliseconds; zero where it is not loaded, or nobody looks. */
function loadTime(): number {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return (document.hidden ? 0 : (navigation?.loadEventEnd ?? 0)) | 0;
}

/** As much randomness as a JavaScript number holds: 53 bits. */
function randomSeed(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low;
}
