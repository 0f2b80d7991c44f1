import type { FetchedResource } from "../generated/FetchedResource";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Shelf } from "../generated/Shelf";
import type { Stats } from "../generated/Stats";
import { digest } from "../shared/digest";
import type { FromWorker } from "../shared/wire";
import { adopt } from "./adopt";
import { circumstances, onCircumstances } from "./circumstances";
import { runEngine } from "./engine";
import type { Config } from "./main";
import { neighbours } from "./neighbours";
import { payloads } from "./payloads";
import { socket } from "./socket";
import { storage } from "./storage";
import { workerLink } from "./worker-link";

/** What the tab that leads does for all. */
export interface Leader {
  fetched(resources: FetchedResource[]): void;
  circumstancesChanged(): void;
  forget(): void;
  stats(): Stats | undefined;
  notes(): Note[];
  stop(): void;
}

/** Runs the engine in this tab: turns what happens into inputs, and outputs into effects. */
export async function lead(config: Config, changed: (stats: Stats) => void): Promise<Leader> {
  const store = await storage();
  const bytes = payloads();
  let stats: Stats | undefined;
  let shelf: Shelf | undefined;
  /** URLs that the worker has answered for: the browser's timing of them is not the origin's. */
  const answered = new Set<string>();

  const link = await workerLink(heard, () => [...(shelf ? [{ shelf }] : []), { session: stats?.connected ?? false }]);
  const engine = await runEngine(
    {
      site: config.site,
      release: config.release,
      seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      unix_ms: Math.round(performance.timeOrigin),
      state: (await store.state()) ?? null,
      held: await store.held(),
    },
    act,
    (error) => {
      link.close();
      config.failed(error);
    },
  );
  const { handle } = engine;
  const node = socket(config.base, config.site, handle);
  const peers = neighbours(bytes, handle);

  function heard(message: FromWorker): void {
    if ("request" in message) {
      answered.add(message.request.url);
      handle(message);
    } else if ("fetched" in message) {
      answered.add(message.fetched.url);
      handle({ fetched: { resources: [message.fetched] } });
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
    else if ("send" in output) node.send(output.send.text);
    else if ("open_peer" in output) peers.open(output.open_peer);
    else if ("signal_peer" in output) peers.signal(output.signal_peer.peer, output.signal_peer.signal);
    else if ("close_peer" in output) peers.close(output.close_peer.peer);
    else if ("send_frame" in output) peers.send(output.send_frame.peer, new Uint8Array(output.send_frame.bytes));
    else if ("send_piece" in output) void sendPiece(output.send_piece);
    else if ("hash" in output) void hash(output.hash.handle);
    else if ("release" in output) bytes.release(output.release.handle);
    else if ("deliver" in output) deliver(output.deliver);
    else if ("adopt" in output) void adopt(output.adopt.asset, output.adopt.url, output.adopt.size, bytes, handle);
    else if ("load" in output) void load(output.load);
    else if ("store" in output) void keep(output.store);
    else if ("drop" in output) void store.drop(output.drop.hash, output.drop.segments);
    else if ("shelf" in output) {
      shelf = output.shelf;
      link.send({ shelf });
      void store.keepShelf(JSON.stringify(shelf));
    } else if ("persist" in output) void store.keepState(output.persist.state);
    else if ("stats" in output) {
      if (output.stats.connected !== stats?.connected) link.send({ session: output.stats.connected });
      stats = output.stats;
      changed(stats);
    } else if ("report" in output) {
      navigator.sendBeacon(`${config.base}/report`, JSON.stringify(output.report));
    } else link.send(output);
  }

  async function sendPiece(piece: Extract<Output, { send_piece: unknown }>["send_piece"]): Promise<void> {
    const { peer, transfer, hash, segment } = piece;
    const payload = await store.read(hash, segment, piece.offset, piece.len);
    if (!payload) return handle({ piece_lost: { peer, transfer, hash, segment } });
    await peers.sendPiece(peer, piece.header, payload);
    handle({ piece_sent: { peer, transfer } });
  }

  async function hash(payload: number): Promise<void> {
    const content = bytes.get(payload);
    if (content) handle({ hashed: { handle: payload, digest: await digest(content) } });
  }

  function deliver({
    id,
    handle: payload,
    skip,
    take,
  }: {
    id: number;
    handle: number;
    skip: number;
    take: number;
  }): void {
    // A copy, because the engine may yet store what the worker is given for good.
    const part = bytes.get(payload)?.slice(skip, skip + take).buffer;
    if (part) link.send({ chunk: { id, bytes: part } }, [part]);
  }

  async function load(piece: Extract<Output, { load: unknown }>["load"]): Promise<void> {
    const content = await store.read(piece.hash, piece.segment, piece.offset, piece.len);
    handle({ loaded: { hash: piece.hash, piece: piece.piece, payload: content ? bytes.keep(content) : null } });
  }

  async function keep({ hash, segment, handles }: { hash: string; segment: number; handles: number[] }): Promise<void> {
    const parts = handles.map((payload) => bytes.get(payload)).filter((part) => part !== undefined);
    const reason = await store.store(hash, segment, parts);
    handle(reason ? { store_failed: { hash, segment, reason } } : { stored: { hash, segment } });
  }

  const circumstancesChanged = () => handle({ circumstances: circumstances(config.off()) });
  onCircumstances(circumstancesChanged);
  circumstancesChanged();

  return {
    fetched(resources) {
      const own = resources.filter(({ url, controlled }) => !(controlled && answered.has(url)));
      if (own.length > 0) handle({ fetched: { resources: own } });
    },
    circumstancesChanged,
    forget: () => handle("forget"),
    stats: () => stats,
    notes: () => engine.notes(),
    stop() {
      engine.stop();
      node.disconnect();
      link.close();
      bytes.clear();
    },
  };
}
