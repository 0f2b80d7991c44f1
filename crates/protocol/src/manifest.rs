//! A site's versioned list of admitted assets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::PieceDigests;
use crate::limits::{PIECE_BYTES, SEGMENT_PIECES};
use crate::{AssetId, Digest};

/// Where a manifest stands. Versions count up within an epoch; a node that lost its manifest begins a new epoch,
/// and indices of different epochs have nothing to do with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ManifestVersion {
    /// Drawn at random when the manifest is begun; 32 bits, so that JavaScript can hold it.
    pub epoch: u32,
    /// The number of changes since then.
    pub number: u32,
}

/// One version of one URL's bytes. What is long in it is shared by everybody who has a copy: peers are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Asset {
    /// The index in the manifest.
    pub id: AssetId,
    /// The absolute URL, without a fragment.
    pub url: Arc<str>,
    /// The content's name: SHA-256 over the SHA-256 values of its pieces, one after the other.
    pub hash: Digest,
    /// Bytes of the content, after content decoding.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub size: u64,
    /// How long from the arrival of this message the asset stays fresh, in milliseconds.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub fresh_ms: u64,
    /// The status of the answer: 200, or 404 or 410 of what is missing, whose content is the page that says so.
    pub status: u16,
    /// The response headers that make the answer the origin's: `content-type`, `etag`, `cache-control`, ….
    pub headers: Arc<Headers>,
    /// The digests of the pieces, for assets of one segment; larger ones are asked for with `pieces`.
    #[serde(default)]
    pub pieces: Option<Arc<PieceDigests>>,
}

/// The status of what is there.
pub const OK: u16 = 200;

/// Whether a status says that nothing is there, or nothing any more.
pub const fn is_missing(status: u16) -> bool {
    matches!(status, 404 | 410)
}

/// Response headers, names in lower case, in the order in which the origin gave them.
pub type Headers = Vec<(Box<str>, Box<str>)>;

/// A renewal of freshness, after the node revalidated an asset at the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Renewal {
    /// The asset whose bytes are still the origin's.
    pub id: AssetId,
    /// How long from the arrival of this message it stays fresh, in milliseconds.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub fresh_ms: u64,
}

/// What changed in a manifest since a version that the peer has; from nothing, when it has none of this epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ManifestDelta {
    /// The version that this leads to.
    pub version: ManifestVersion,
    /// True when the peer must forget every asset that it knew before it reads the rest.
    #[serde(default)]
    pub reset: bool,
    /// True when the next message carries more of the same change: a change counts when all of it has arrived.
    #[serde(default)]
    pub more: bool,
    /// Newly admitted assets.
    #[serde(default)]
    pub add: Vec<Asset>,
    /// Assets whose freshness was renewed.
    #[serde(default)]
    pub renew: Vec<Renewal>,
    /// Assets that may be neither used nor served any more: changed, purged or evicted.
    #[serde(default)]
    pub remove: Vec<AssetId>,
}

/// How many pieces an asset of `size` bytes has; an empty one has a single empty piece, so that every asset has a
/// digest to verify.
pub const fn piece_count(size: u64) -> u32 {
    let count = size.div_ceil(PIECE_BYTES as u64);
    if count == 0 { 1 } else { count as u32 }
}

/// The length in bytes of piece `index` of an asset of `size` bytes; zero past the end.
pub const fn piece_len(size: u64, index: u32) -> u32 {
    let start = index as u64 * PIECE_BYTES as u64;
    let left = size.saturating_sub(start);
    if left < PIECE_BYTES as u64 { left as u32 } else { PIECE_BYTES }
}

/// How many segments an asset of `size` bytes has.
pub const fn segment_count(size: u64) -> u32 {
    piece_count(size).div_ceil(SEGMENT_PIECES)
}
