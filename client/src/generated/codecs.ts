// Written by `cargo xtask types`: how values pass between the engine and its shell (docs/protocol.md).
import { bytes, digest, flag, list, nothing, oneOf, option, or, pair, peerId, pieceDigests, signal, struct, text, type Codec, u32, u64, variants } from "../engine/codec";
import type { Asset } from "./Asset";
import type { AssetSet } from "./AssetSet";
import type { ByteRange } from "./ByteRange";
import type { Circumstances } from "./Circumstances";
import type { Event } from "./Event";
import type { FetchedResource } from "./FetchedResource";
import type { HeldSegment } from "./HeldSegment";
import type { Input } from "./Input";
import type { ManifestDelta } from "./ManifestDelta";
import type { ManifestVersion } from "./ManifestVersion";
import type { Meeting } from "./Meeting";
import type { Note } from "./Note";
import type { Output } from "./Output";
import type { Payload } from "./Payload";
import type { Policy } from "./Policy";
import type { Prefer } from "./Prefer";
import type { Prefetch } from "./Prefetch";
import type { Reason } from "./Reason";
import type { Renewal } from "./Renewal";
import type { Report } from "./Report";
import type { Setup } from "./Setup";
import type { Shelf } from "./Shelf";
import type { ShelfAsset } from "./ShelfAsset";
import type { SiteId } from "./SiteId";
import type { Sources } from "./Sources";
import type { Stats } from "./Stats";
import type { ToNode } from "./ToNode";
import type { ToPeer } from "./ToPeer";
import type { Traffic } from "./Traffic";

export const asset: Codec<Asset> = struct<Asset>({ id: u32, url: text, hash: digest, size: u64, fresh_ms: u64, status: u32, headers: list(pair(text)), pieces: option(pieceDigests) });

export const assetSet: Codec<AssetSet> = list(u32);

export const byteRange: Codec<ByteRange> = struct<ByteRange>({ first: u64, last: option(u64) });

export const reason: Codec<Reason> = oneOf<Reason>("not_admitted stale no_holder origin_faster origin_won stalled no_session no_engine engine_gone worker_stopped engine_busy bad_range origin_failed origin_changed no_consent disabled no_webrtc no_worker foreign_worker content_security_policy save_data metered upload_cap breaker_open client_error storage_full storage_failed switched_off holdout wrong_piece short_piece bad_frame unasked silent not_held busy channel_closed connect_timeout connect_failed idle no_such_peer      differs  too_large      purged changed evicted protocol_version unknown_site malformed out_of_order flooding slow_reader shutting_down full unknown");

export const circumstances: Codec<Circumstances> = struct<Circumstances>({ off: option(reason), alone: option(reason), selfish: option(reason) });

export const event: Codec<Event> = oneOf<Event>("started off joined left met parted served fallback hedge cached stored evicted replicated error");

export const fetchedResource: Codec<FetchedResource> = struct<FetchedResource>({ url: text, bytes: u64, first_byte_ms: u32, total_ms: u32, controlled: flag, status: u32 });

export const heldSegment: Codec<HeldSegment> = struct<HeldSegment>({ hash: digest, segment: u32 });

export const prefer: Codec<Prefer> = oneOf<Prefer>("speed offload");

export const prefetch: Codec<Prefetch> = oneOf<Prefetch>("off conservative moderate");

export const policy: Codec<Policy> = struct<Policy>({ enabled: flag, prefer: prefer, patience_ms: u32, rescue_patience_ms: u32, max_asset_bytes: u64, cache_bytes: u64, upload_bytes_per_month: u64, upload_bytes_per_second: u64, neighbours: u32, min_crowd: u32, replicate_bytes_per_page: u64, prefetch: or(prefetch, "conservative"), hedge: flag, holdout_percent: u32, supernode: flag, strip_local_candidates: flag });

export const manifestVersion: Codec<ManifestVersion> = struct<ManifestVersion>({ epoch: u32, number: u32 });

export const renewal: Codec<Renewal> = struct<Renewal>({ id: u32, fresh_ms: u64 });

export const manifestDelta: Codec<ManifestDelta> = struct<ManifestDelta>({ version: manifestVersion, reset: or(flag, false), more: or(flag, false), add: or(list(asset), []), renew: or(list(renewal), []), remove: or(list(u32), []) });

export const toPeer: Codec<ToPeer> = variants<ToPeer>({
  welcome: struct({ protocol: u32, peer: peerId, stun: list(text), policy: policy, crowd: u32 }),
  manifest: manifestDelta,
  pieces: struct({ asset: u32, pieces: pieceDigests }),
  introduce: struct({ peer: peerId, offers: flag, holds: assetSet }),
  no_holder: struct({ assets: list(u32) }),
  likely: struct({ assets: list(u32) }),
  signal: struct({ from: peerId, signal: signal }),
  gone: struct({ peer: peerId }),
  policy: struct({ policy: policy }),
  error: struct({ reason: reason, about: text }),
});

export const payload: Codec<Payload> = struct<Payload>({ handle: u32, len: u32 });

export const input: Codec<Input> = variants<Input>({
  tick: nothing,
  circumstances: circumstances,
  suspend: nothing,
  resume: nothing,
  forget: nothing,
  socket_opened: nothing,
  heard: toPeer,
  socket_closed: nothing,
  page: struct({ url: text }),
  page_loaded: struct({ ms: u32 }),
  request: struct({ id: u32, url: text, range: option(byteRange), rescue: flag }),
  cancel: struct({ id: u32, reason: option(reason) }),
  consumed: struct({ id: u32, bytes: u32 }),
  fetched: struct({ resources: list(fetchedResource) }),
  cache_served: struct({ url: text, bytes: u64 }),
  supernode_served: struct({ hash: digest, bytes: u64, first_byte_ms: option(u32), total_ms: u32 }),
  peer_signal: struct({ peer: peerId, signal: signal }),
  peer_opened: struct({ peer: peerId }),
  peer_closed: struct({ peer: peerId, reason: reason }),
  frame: struct({ peer: peerId, header: bytes, payload: option(payload) }),
  hashed: struct({ handle: u32, digest: digest }),
  piece_sent: struct({ peer: peerId, transfer: u32 }),
  piece_lost: struct({ peer: peerId, transfer: u32, hash: digest, segment: u32 }),
  adopted: struct({ asset: u32, piece: u32, payload: payload }),
  adopt_ended: struct({ asset: u32 }),
  loaded: struct({ hash: digest, piece: u32, payload: option(payload) }),
  stored: struct({ hash: digest, segment: u32 }),
  store_failed: struct({ hash: digest, segment: u32, reason: reason }),
  note: struct({ event: event, reason: option(reason), about: text, bytes: u64 }),
});

export const meeting: Codec<Meeting> = variants<Meeting>({
  opened: u32,
  failed: reason,
});

export const note: Codec<Note> = struct<Note>({ at_ms: u32, event: event, reason: option(reason), peer: option(peerId), about: text, bytes: u64 });

export const siteId: Codec<SiteId> = text;

export const toNode: Codec<ToNode> = variants<ToNode>({
  hello: struct({ protocol: u32, site: siteId, release: text, visitor: u32, manifest: option(manifestVersion), connects: flag, shares: flag }),
  holdings: struct({ add: assetSet, remove: assetSet }),
  find: struct({ assets: list(u32) }),
  signal: struct({ to: peerId, signal: signal }),
  met: struct({ peer: peerId, outcome: meeting }),
  parted: struct({ peer: peerId, bytes: u64, busy_ms: u32, fault: option(reason) }),
  seen: struct({ urls: list(text), missing: flag }),
  differs: struct({ assets: list(u32) }),
  pieces: struct({ asset: u32 }),
  viewed: struct({ page: text, from: option(text), assets: assetSet, loaded_ms: option(u32) }),
});

export const shelfAsset: Codec<ShelfAsset> = struct<ShelfAsset>({ url: text, hash: digest, size: u64, fresh_until_ms: u64, status: u32, headers: list(pair(text)), held: flag });

export const shelf: Codec<Shelf> = struct<Shelf>({ patience_ms: u32, rescue_patience_ms: u32, supernode_ms: u32, assets: list(shelfAsset) });

export const sources: Codec<Sources> = struct<Sources>({ cache: u64, peers: u64, supernode: u64, origin: u64 });

export const stats: Codec<Stats> = struct<Stats>({ requests: sources, bytes: sources, uploaded: u64, replicated: u64, replicated_used: u64, neighbours: u32, crowd: u32, connected: flag, admitted: u32, held: u32, stored: u64, uploaded_this_month: u64, prefetch: prefetch, off: option(reason) });

export const traffic: Codec<Traffic> = struct<Traffic>({ requests: sources, bytes: sources, uploaded: u64, replicated: u64, replicated_used: u64 });

export const report: Codec<Report> = struct<Report>({ site: siteId, release: text, notes: list(note), traffic: traffic });

export const output: Codec<Output> = variants<Output>({
  connect: nothing,
  disconnect: nothing,
  say: toNode,
  open_peer: struct({ peer: peerId, offers: flag, stun: list(text), strip_local: flag }),
  signal_peer: struct({ peer: peerId, signal: signal }),
  close_peer: struct({ peer: peerId }),
  send_frame: struct({ peer: peerId, bytes: bytes }),
  send_piece: struct({ peer: peerId, transfer: u32, header: bytes, hash: digest, segment: u32, offset: u32, len: u32 }),
  hash: struct({ handle: u32 }),
  release: struct({ handle: u32 }),
  head: struct({ id: u32, status: u32, headers: list(pair(text)), first: u64, end: u64, size: u64, pieces: pieceDigests }),
  deliver: struct({ id: u32, handle: u32, skip: u32, take: u32 }),
  end: struct({ id: u32 }),
  fallback: struct({ id: u32, reason: reason, delivered: u64 }),
  hedge: struct({ id: u32 }),
  adopt: struct({ asset: u32, url: text, size: u64 }),
  load: struct({ hash: digest, piece: u32, segment: u32, offset: u32, len: u32 }),
  store: struct({ hash: digest, segment: u32, handles: list(u32) }),
  drop: struct({ hash: digest, segments: list(u32) }),
  shelf: shelf,
  persist: struct({ state: bytes }),
  stats: stats,
  report: report,
});

export const setup: Codec<Setup> = struct<Setup>({ site: siteId, release: text, seed: u64, unix_ms: u64, state: option(bytes), held: list(heldSegment) });
