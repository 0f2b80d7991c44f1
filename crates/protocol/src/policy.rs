//! What a site's owner decides, and every peer keeps to.

use serde::{Deserialize, Serialize};

/// What a request prefers when both the mesh and the origin could answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// Whichever is predicted to finish first.
    Speed,
    /// The mesh, as long as it is predicted to be at most `patience` later than the origin.
    Offload,
}

/// What a browser fetches of a linked page before its visitor goes there, by the browser's own means. The names are those of
/// speculation rules (<https://developer.mozilla.org/docs/Web/HTML/Reference/Elements/script/type/speculationrules>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Prefetch {
    /// Nothing.
    #[default]
    Off,
    /// The document, when the link is pressed: it is on its way before the press is over.
    Conservative,
    /// The document, when a pointer rests on the link; on phones, where none does, soon after the link has come into view.
    Moderate,
}

/// A site's policy. Every key has a default that is right for most sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Policy {
    /// The mesh is on. Off, connected clients fall back at once and let go of their neighbours.
    pub enabled: bool,
    /// What a request prefers.
    pub prefer: Prefer,
    /// With `prefer = "offload"`: milliseconds by which the mesh may be later than the origin.
    pub patience_ms: u32,
    /// Milliseconds for which the mesh is waited for when the origin has failed.
    pub rescue_patience_ms: u32,
    /// The largest asset that is admitted, in bytes.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub max_asset_bytes: u64,
    /// The most bytes a visitor's secondary cache may take.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub cache_bytes: u64,
    /// The most bytes a visitor uploads in a calendar month.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub upload_bytes_per_month: u64,
    /// The most bytes a visitor uploads in a second, in the long run.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub upload_bytes_per_second: u64,
    /// Neighbours that a peer looks for itself; as many again may come to it.
    pub neighbours: u32,
    /// Peer connections are only opened in swarms of at least this many peers.
    pub min_crowd: u32,
    /// The most bytes that a visitor's idle browser fetches ahead from neighbours during one page, for the next ones; none
    /// where it is zero.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub replicate_bytes_per_page: u64,
    /// What is fetched of a linked page before its visitor goes there.
    pub prefetch: Prefetch,
    /// The supernode, or the origin, is started beside a slow mesh. Off, which is for experiments only, the mesh is waited for until it
    /// stalls.
    pub hedge: bool,
    /// Of 100 visitors, so many are left alone, so that the mesh can be compared with its absence; where it does harm it
    /// is turned off.
    pub holdout_percent: u32,
    /// The node gives the contents of admitted assets over HTTP, by their names: `GET /asset/{hash}`. The node says so
    /// itself; it is no choice of the site's.
    pub supernode: bool,
    /// Removes candidates with private or `.local` addresses from session descriptions before they are used.
    pub strip_local_candidates: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: true,
            prefer: Prefer::Speed,
            patience_ms: 1_000,
            rescue_patience_ms: 10_000,
            max_asset_bytes: 128 << 20,
            cache_bytes: 256 << 20,
            upload_bytes_per_month: 2 << 30,
            upload_bytes_per_second: 8 << 20,
            neighbours: 8,
            min_crowd: 2,
            replicate_bytes_per_page: 32 << 20,
            prefetch: Prefetch::Conservative,
            hedge: true,
            holdout_percent: 0,
            supernode: false,
            strip_local_candidates: false,
        }
    }
}

impl Policy {
    /// Whether a visitor, by its number of the day, belongs to the holdout.
    pub fn holds_out(&self, visitor: u32) -> bool {
        // The multiplier spreads neighbouring numbers (Knuth, The Art of Computer Programming, section 6.4).
        let drawn = (u64::from(visitor.wrapping_mul(2_654_435_769)) * 100) >> 32;
        drawn < u64::from(self.holdout_percent)
    }
}
