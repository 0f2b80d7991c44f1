//! What clients tell their node outside the WebSocket: `POST /report`, so that it arrives when the WebSocket is what
//! broke.

use serde::{Deserialize, Serialize};

use crate::{PeerId, Reason, SiteId};

/// A small structured message about one thing that happened in a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Note {
    /// Milliseconds since the page began.
    #[serde(default)]
    pub at_ms: u32,
    /// What happened.
    pub event: Event,
    /// Why.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub reason: Option<Reason>,
    /// The neighbour concerned.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub peer: Option<PeerId>,
    /// The URL concerned, without its query string, or words for people.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<Box<str>>"))]
    pub about: Box<str>,
    /// Bytes, where it is about bytes.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional, type = "number"))]
    pub bytes: u64,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The client started.
    Started,
    /// The client does not take part.
    Off,
    /// The session with the node began.
    Joined,
    /// The session with the node ended.
    Left,
    /// A channel to a neighbour opened.
    Met,
    /// A channel did not open, or closed.
    Parted,
    /// A request was answered by the mesh; `bytes` of it came from peers.
    Served,
    /// A request went to the origin, whole or from `bytes` on.
    Fallback,
    /// The supernode or the origin was started beside the mesh.
    Hedge,
    /// A request was answered from the secondary cache.
    Cached,
    /// Something was stored in the secondary cache.
    Stored,
    /// Something left the secondary cache.
    Evicted,
    /// Something was fetched ahead for the next pages.
    Replicated,
    /// An error in the client itself.
    Error,
}

/// One report of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Report {
    /// The site.
    pub site: SiteId,
    /// The client release.
    pub release: Box<str>,
    /// The notes, oldest first.
    pub notes: Vec<Note>,
    /// What the page's requests were answered with since the last report.
    #[serde(default)]
    pub traffic: Traffic,
}

/// Requests and bytes by the rung of the ladder that answered them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Traffic {
    /// How many requests each answered; one that took from several counts for the one that gave the most.
    pub requests: Sources,
    /// How many bytes came from each.
    pub bytes: Sources,
    /// Bytes uploaded to neighbours.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub uploaded: u64,
    /// Bytes fetched ahead from neighbours for the next pages.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub replicated: u64,
    /// Bytes of what was fetched ahead that pages then used, each asset counted once.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub replicated_used: u64,
}

impl Traffic {
    /// Adds what another has counted; a sum that would be too large is as large as it can be.
    pub const fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        self.bytes.add(&other.bytes);
        self.uploaded = self.uploaded.saturating_add(other.uploaded);
        self.replicated = self.replicated.saturating_add(other.replicated);
        self.replicated_used = self.replicated_used.saturating_add(other.replicated_used);
    }

    /// What was added since an earlier state of the same counters.
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.since(&earlier.requests),
            bytes: self.bytes.since(&earlier.bytes),
            uploaded: self.uploaded.saturating_sub(earlier.uploaded),
            replicated: self.replicated.saturating_sub(earlier.replicated),
            replicated_used: self.replicated_used.saturating_sub(earlier.replicated_used),
        }
    }
}

impl Sources {
    const fn add(&mut self, other: &Self) {
        self.cache = self.cache.saturating_add(other.cache);
        self.peers = self.peers.saturating_add(other.peers);
        self.supernode = self.supernode.saturating_add(other.supernode);
        self.origin = self.origin.saturating_add(other.origin);
    }

    const fn since(&self, earlier: &Self) -> Self {
        Self {
            cache: self.cache.saturating_sub(earlier.cache),
            peers: self.peers.saturating_sub(earlier.peers),
            supernode: self.supernode.saturating_sub(earlier.supernode),
            origin: self.origin.saturating_sub(earlier.origin),
        }
    }
}

/// A count for each rung of the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Sources {
    /// The visitor's own secondary cache.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub cache: u64,
    /// Neighbours.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub peers: u64,
    /// The supernode.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub supernode: u64,
    /// The origin.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub origin: u64,
}

impl std::ops::Add for Sources {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cache: self.cache + other.cache,
            peers: self.peers + other.peers,
            supernode: self.supernode + other.supernode,
            origin: self.origin + other.origin,
        }
    }
}
