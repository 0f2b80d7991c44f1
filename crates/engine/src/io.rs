//! What goes into the engine and what comes out of it. Both are plain values that serialise: the browser's shell
//! passes them in a binary format, and a recorded run is a file of inputs that replays.
//!
//! Payload bytes never pass through here. The body keeps each payload under a [`Handle`], and lets it go when the
//! engine says [`Output::Release`].

use std::sync::Arc;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::Headers;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Prefetch;
use edgeweave_protocol::report::{Event, Report, Sources};
use edgeweave_protocol::{AssetId, Digest, PeerId, Reason, Signal, SiteId};
use serde::{Deserialize, Serialize};

use crate::memory::State;
pub use crate::shelf::ShelfAssets;

/// What the engine is told once, when it is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Setup {
    /// The site that the page belongs to.
    pub site: SiteId,
    /// The client release that runs.
    pub release: Box<str>,
    /// Randomness for everything that is drawn, from the body's best source. 53 bits are used in browsers.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub seed: u64,
    /// The wall clock at [`Timestamp::ZERO`](edgeweave_protocol::Timestamp::ZERO), in milliseconds since 1970: what
    /// is kept from page to page (freshness, the month's uploads) is kept in wall-clock time.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub unix_ms: u64,
    /// What [`Output::Persist`] last gave, if it could be kept.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(type = "Uint8Array<ArrayBuffer> | null"))]
    pub state: Option<State>,
    /// What the secondary cache holds, read from the storage itself, which may have lost some.
    #[serde(default)]
    pub held: Vec<HeldSegment>,
}

/// One entry of the secondary cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct HeldSegment {
    /// The asset's content.
    pub hash: Digest,
    /// Which of its segments.
    pub segment: u32,
}

/// The number under which the body keeps a payload; the body never uses a number twice.
pub type Handle = u32;

/// The number of a page's request; the body never uses a number twice.
pub type RequestId = u32;

/// A payload that the body keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Payload {
    /// The number under which it is kept.
    pub handle: Handle,
    /// Its length in bytes.
    pub len: u32,
}

/// A byte range as a page asks for it: `first` to `last` inclusive, or to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ByteRange {
    /// The first byte.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub first: u64,
    /// The last byte, inclusive.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub last: Option<u64>,
}

/// What the browser and its visitor allow; the body says it again whenever it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Circumstances {
    /// Why the client takes no part at all: no session, no neighbours, every request falls back.
    pub off: Option<Reason>,
    /// Why it opens no peer connections.
    pub alone: Option<Reason>,
    /// Why it serves nobody.
    pub selfish: Option<Reason>,
}

/// A resource that the page fetched by the browser's own means: a measurement of the origin and, when the manifest
/// does not have it, a sighting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct FetchedResource {
    /// The absolute URL without fragment.
    pub url: Box<str>,
    /// Bytes of the content; zero when unknown, or when the browser's own HTTP cache answered.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
    /// Milliseconds from the request to the first byte of the answer.
    pub first_byte_ms: u32,
    /// Milliseconds from the request to the last byte.
    pub total_ms: u32,
    /// Whether it was fetched under the worker's control, and so counts as a request that the origin answered.
    pub controlled: bool,
    /// The answer's status; zero, which counts as that of what is there, where browsers do not tell it.
    pub status: u16,
}

/// What happened outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The deadline of `poll_timeout` has come.
    Tick,
    /// What the browser and its visitor allow has changed.
    Circumstances(Circumstances),
    /// The page is frozen or hidden for good: close everything, keep the state. [`Input::Resume`] undoes it.
    Suspend,
    /// The page is back.
    Resume,
    /// Forget everything that is held.
    Forget,

    /// The WebSocket is open.
    SocketOpened,
    /// A message arrived on it. Of one that cannot be read the body makes an [`Input::Note`]: the node may be newer.
    Heard(ToPeer),
    /// The WebSocket is closed, or could not be opened.
    SocketClosed,

    /// A page is shown: what is asked for and fetched from now on is this page's.
    Page {
        /// Its URL, without query and fragment.
        url: Box<str>,
    },
    /// The page that is shown has loaded, and was looked at meanwhile.
    PageLoaded {
        /// Milliseconds from the beginning of the navigation to the end of the load event.
        ms: u32,
    },
    /// A page asks for a URL that its worker could not answer by itself.
    Request {
        /// The request's number.
        id: RequestId,
        /// The absolute URL without fragment.
        url: Box<str>,
        /// The range, if one was asked for.
        #[serde(default)]
        range: Option<ByteRange>,
        /// True when the origin has already failed: the mesh is the last hope, and is waited for with patience.
        #[serde(default)]
        rescue: bool,
    },
    /// The request is over for the body: the page went away, or what was started beside the mesh won.
    Cancel {
        /// The request's number.
        id: RequestId,
        /// Why, when it was not the page.
        #[serde(default)]
        reason: Option<Reason>,
    },
    /// The page has read so many of the delivered bytes.
    Consumed {
        /// The request's number.
        id: RequestId,
        /// Bytes read since the last time.
        bytes: u32,
    },
    /// The browser fetched these by its own means.
    Fetched {
        /// The resources.
        resources: Vec<FetchedResource>,
    },
    /// The worker answered from the secondary cache without asking.
    CacheServed {
        /// The absolute URL without fragment.
        url: Box<str>,
        /// Bytes served.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        bytes: u64,
    },

    /// The worker answered with a content that it got from the supernode. Once it is in the secondary cache there is an
    /// [`Input::Stored`] for each of its segments.
    SupernodeServed {
        /// The content's name.
        hash: Digest,
        /// Bytes served: the content's size.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        bytes: u64,
        /// Milliseconds until the first byte; none where it waited behind other answers, which says nothing of the supernode.
        first_byte_ms: Option<u32>,
        /// Milliseconds until the last byte.
        total_ms: u32,
    },

    /// The local peer connection has something for the other side.
    PeerSignal {
        /// The other side.
        peer: PeerId,
        /// A session description or candidate.
        signal: Signal,
    },
    /// The channel to a peer is open.
    PeerOpened {
        /// The peer, from now on a neighbour.
        peer: PeerId,
    },
    /// The channel to a peer is closed, or did not open.
    PeerClosed {
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// A message arrived on a channel.
    Frame {
        /// The neighbour.
        peer: PeerId,
        /// Its header: the first [`PIECE_HEADER_BYTES`](edgeweave_protocol::frame::PIECE_HEADER_BYTES) bytes of a
        /// piece, the whole of anything else.
        #[cfg_attr(feature = "ts", ts(type = "Uint8Array<ArrayBuffer>"))]
        header: Vec<u8>,
        /// What follows the header of a piece.
        #[serde(default)]
        payload: Option<Payload>,
    },
    /// The SHA-256 of a payload, asked for by [`Output::Hash`].
    Hashed {
        /// The payload.
        handle: Handle,
        /// Its digest.
        digest: Digest,
    },
    /// The channel has taken a piece from [`Output::SendPiece`].
    PieceSent {
        /// The neighbour.
        peer: PeerId,
        /// The transfer.
        transfer: u32,
    },
    /// A piece for [`Output::SendPiece`] is no longer in the storage.
    PieceLost {
        /// The neighbour.
        peer: PeerId,
        /// The transfer.
        transfer: u32,
        /// The asset's content.
        hash: Digest,
        /// The segment that is gone.
        segment: u32,
    },

    /// A piece of the visitor's own copy, for [`Output::Adopt`].
    Adopted {
        /// The asset.
        asset: AssetId,
        /// The piece's index.
        piece: u32,
        /// The piece.
        payload: Payload,
    },
    /// The browser has no more of its own copy.
    AdoptEnded {
        /// The asset.
        asset: AssetId,
    },
    /// A piece from the storage, for [`Output::Load`]; no payload when it is no longer there.
    Loaded {
        /// The asset's content.
        hash: Digest,
        /// The piece's index.
        piece: u32,
        /// The piece.
        payload: Option<Payload>,
    },
    /// A segment is in the storage.
    Stored {
        /// The asset's content.
        hash: Digest,
        /// The segment.
        segment: u32,
    },
    /// A segment could not be stored.
    StoreFailed {
        /// The asset's content.
        hash: Digest,
        /// The segment.
        segment: u32,
        /// [`Reason::StorageFull`] or [`Reason::StorageFailed`].
        reason: Reason,
    },
    /// Something happened in the body that belongs in the flight recorder.
    Note {
        /// What happened.
        event: Event,
        /// Why.
        #[serde(default)]
        reason: Option<Reason>,
        /// The URL concerned, or words for people.
        #[serde(default)]
        about: Box<str>,
        /// Bytes, where it is about bytes.
        #[serde(default)]
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        bytes: u64,
    },
}

/// What the body is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Open the WebSocket to the node.
    Connect,
    /// Close it.
    Disconnect,
    /// Send a message on it.
    Say(ToNode),

    /// Make a peer connection.
    OpenPeer {
        /// The other side.
        peer: PeerId,
        /// Whether this side makes the channel and the offer.
        offers: bool,
        /// Addresses of STUN servers.
        stun: Vec<Box<str>>,
        /// Whether candidates with local addresses are removed from what is signalled.
        strip_local: bool,
    },
    /// Give a peer connection what the other side said.
    SignalPeer {
        /// The other side.
        peer: PeerId,
        /// A session description or candidate.
        signal: Signal,
    },
    /// Close a peer connection; no [`Input::PeerClosed`] is owed for it.
    ClosePeer {
        /// The other side.
        peer: PeerId,
    },
    /// Send a frame without payload.
    SendFrame {
        /// The neighbour.
        peer: PeerId,
        /// The frame.
        #[cfg_attr(feature = "ts", ts(type = "Uint8Array<ArrayBuffer>"))]
        bytes: Vec<u8>,
    },
    /// Read a piece from the storage and send it, behind what the channel has yet to send; then say
    /// [`Input::PieceSent`] when the channel's buffer is below its mark again, or [`Input::PieceLost`].
    SendPiece {
        /// The neighbour.
        peer: PeerId,
        /// The transfer.
        transfer: u32,
        /// The frame's header.
        #[cfg_attr(feature = "ts", ts(type = "Uint8Array<ArrayBuffer>"))]
        header: Vec<u8>,
        /// The asset's content.
        hash: Digest,
        /// The segment that the piece is in.
        segment: u32,
        /// Where in the segment it starts, in bytes.
        offset: u32,
        /// Its length in bytes.
        len: u32,
    },

    /// Compute the SHA-256 of a payload.
    Hash {
        /// The payload.
        handle: Handle,
    },
    /// Let go of a payload.
    Release {
        /// The payload.
        handle: Handle,
    },
    /// The mesh answers this request: begin the response.
    Head {
        /// The request's number.
        id: RequestId,
        /// 200, or 206 for a range.
        status: u16,
        /// The headers, with `content-length` and, for a range, `content-range`.
        headers: Headers,
        /// Where in the asset the response starts, in bytes.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        first: u64,
        /// Where in the asset it ends, in bytes, exclusive.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        end: u64,
        /// The whole asset's size in bytes.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        size: u64,
        /// The digests by which the worker verifies what it must fetch by itself.
        pieces: Arc<PieceDigests>,
    },
    /// Append part of a payload to a response.
    Deliver {
        /// The request's number.
        id: RequestId,
        /// The payload.
        handle: Handle,
        /// Bytes to leave out at its start.
        skip: u32,
        /// Bytes to append.
        take: u32,
    },
    /// The response is complete.
    End {
        /// The request's number.
        id: RequestId,
    },
    /// Answer (the rest of) this request from the origin; the engine is done with it.
    Fallback {
        /// The request's number.
        id: RequestId,
        /// Why.
        reason: Reason,
        /// Bytes of the response that have been delivered.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        delivered: u64,
    },
    /// Start the next rung beside the mesh, the supernode or the origin: whichever answers first is used.
    Hedge {
        /// The request's number.
        id: RequestId,
    },

    /// Read the browser's own copy of an asset, without the network, and hand it in by pieces.
    Adopt {
        /// The asset.
        asset: AssetId,
        /// Its URL.
        url: Arc<str>,
        /// Its size in bytes.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        size: u64,
    },
    /// Read a piece of a segment from the storage for a request of this visitor, and say [`Input::Loaded`].
    Load {
        /// The asset's content.
        hash: Digest,
        /// The piece's index.
        piece: u32,
        /// The segment that the piece is in.
        segment: u32,
        /// Where in the segment it starts, in bytes.
        offset: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// Store a segment: the payloads, one after the other.
    Store {
        /// The asset's content.
        hash: Digest,
        /// The segment.
        segment: u32,
        /// The payloads; they are let go by [`Output::Release`] as ever, after this.
        handles: Vec<Handle>,
    },
    /// Remove segments from the storage.
    Drop {
        /// The asset's content.
        hash: Digest,
        /// The segments.
        segments: Vec<u32>,
    },
    /// What the worker may know: it replaces what it knew before.
    Shelf(Shelf),
    /// Keep this for the next page's engine.
    Persist {
        /// Opaque bytes, once it is written.
        #[cfg_attr(feature = "ts", ts(type = "Uint8Array<ArrayBuffer>"))]
        state: State,
    },
    /// The figures have changed.
    Stats(Stats),
    /// Send this to the node, by a way that does not need the WebSocket.
    Report(Report),
}

/// What the worker answers by itself, and what it asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Shelf {
    /// Milliseconds for which the worker waits for an engine before it lets the browser fetch: zero when speed is
    /// preferred.
    pub patience_ms: u32,
    /// Milliseconds for which it waits when the origin has failed.
    pub rescue_patience_ms: u32,
    /// Milliseconds for which it waits for the supernode's first byte; zero where the origin is as quick.
    pub supernode_ms: u32,
    /// Everything that is admitted.
    #[cfg_attr(feature = "ts", ts(as = "Vec<ShelfAsset>"))]
    pub assets: ShelfAssets,
}

/// An admitted asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ShelfAsset {
    /// The absolute URL without fragment.
    pub url: Arc<str>,
    /// The content's name: its segments are stored under it.
    pub hash: Digest,
    /// Its size in bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size: u64,
    /// Until when it may be used, in milliseconds since 1970.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub fresh_until_ms: u64,
    /// The status of the answer.
    pub status: u16,
    /// The response headers.
    pub headers: Arc<Headers>,
    /// Whether the secondary cache holds it whole.
    pub held: bool,
}

/// Figures for the page's owner: `edgeweave.stats()`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Stats {
    /// Requests by the source that answered them, since the page began.
    pub requests: Sources,
    /// Bytes by source, since the page began.
    pub bytes: Sources,
    /// Bytes uploaded to neighbours, since the page began.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub uploaded: u64,
    /// Bytes fetched ahead from neighbours for the next pages, since the page began.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub replicated: u64,
    /// Bytes that this page used of what was fetched ahead, each asset counted once.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub replicated_used: u64,
    /// Open channels.
    pub neighbours: u32,
    /// Peers in the swarm, as the node last said.
    pub crowd: u32,
    /// Whether there is a session with a node, and the manifest has arrived in it.
    pub connected: bool,
    /// Assets in the manifest.
    pub admitted: u32,
    /// Assets held whole.
    pub held: u32,
    /// Bytes in the secondary cache.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub stored: u64,
    /// Bytes uploaded this month.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub uploaded_this_month: u64,
    /// What the browser is to fetch of linked pages before its visitor goes there.
    pub prefetch: Prefetch,
    /// Why the client takes no part, if it does not.
    pub off: Option<Reason>,
}
