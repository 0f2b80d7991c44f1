//! Every limit of the protocol, with its unit and what happens past it. A message that breaks one is answered with
//! the [`Reason`](crate::Reason) named here; a peer that goes on is disconnected.

/// The unit of verification and transfer, in bytes. A piece and its frame header fit one 64 KiB message, which is
/// what RFC 8841 (section 6.1) lets every WebRTC implementation accept without saying so: a piece is one message,
/// and nobody reassembles.
pub const PIECE_BYTES: u32 = 60 * 1024;

/// Pieces stored together as one entry of a secondary cache, about a megabyte: few entries for small assets, and
/// a long video can be held in part.
pub const SEGMENT_PIECES: u32 = 16;

/// The largest asset that any site may admit, in bytes. Sites choose a lower limit in their policy.
pub const MAX_ASSET_BYTES: u64 = 1 << 30;

/// Manifest indices end here, within one epoch. Past it a site's manifest begins a new epoch.
pub const MAX_ASSETS: u32 = 1 << 20;

/// The most assets that are admitted at a time; the least used leave first.
pub const MAX_ADMITTED: usize = 16 * 1024;

/// The longest URL that is sighted or admitted, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// The most bytes of response headers that travel with an asset.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The longest message from a peer to a node, in bytes; past it the socket is closed with `Reason::TooLarge`.
/// Session descriptions with many candidates stay below 16 KiB.
pub const MAX_TO_NODE_BYTES: usize = 64 * 1024;

/// The longest message from a node to a peer, in bytes. Larger manifests arrive in several messages.
pub const MAX_TO_PEER_BYTES: usize = 256 * 1024;

/// The most assets asked for in one `find`.
pub const MAX_FIND_ASSETS: usize = 256;

/// The most URLs in one `seen`.
pub const MAX_SEEN_URLS: usize = 128;

/// The most assets of one page in a `viewed`; further ones are passed over.
pub const MAX_PAGE_ASSETS: usize = 256;

/// The most assets in one `likely`.
pub const MAX_LIKELY_ASSETS: usize = 128;

/// The most contents that a supernode gives in one answer.
pub const MAX_TOGETHER: usize = 16;

/// The longest frame header between peers, in bytes; what follows it is a piece's payload.
pub const MAX_FRAME_HEADER_BYTES: usize = 4096;

/// The most pieces that one `ask` between peers may name.
pub const MAX_ASK_PIECES: u32 = 64;

/// Asks that a neighbour may have open at a time; further ones are refused with `Reason::Busy`.
pub const MAX_OPEN_ASKS: usize = 64;

/// The largest body of `POST /report`, in bytes. Requests that outlive their page have 64 KiB at most.
pub const MAX_REPORT_BYTES: usize = 60 * 1024;

/// Messages a peer may send in a burst, and then a second in the long run, before `Reason::Flooding`.
pub const MESSAGE_BURST: u32 = 200;
/// See [`MESSAGE_BURST`].
pub const MESSAGES_PER_SECOND: u32 = 50;
