//! What goes into the coordinator and what comes out of it, as plain values. They can be written down: a recorded
//! run is a setup and the inputs with their times, and replays to the same outputs.

use std::collections::BTreeMap;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::Headers;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Digest, Reason, SiteId};
use serde::{Deserialize, Serialize};

/// What the coordinator is told once, when it is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The site whose swarm it is.
    pub site: SiteId,
    /// The site's origins, as `scheme://host[:port]` in lower case without a default port; the first is the main one.
    pub origins: Vec<Box<str>>,
    /// The site's policy.
    pub policy: Policy,
    /// What is admitted, and when.
    pub admission: AdmissionRules,
    /// How holders are chosen.
    #[serde(default)]
    pub introductions: Introductions,
    /// Randomness for peer identities, the manifest's epoch and ties.
    pub seed: u64,
    /// The wall clock at `Timestamp::ZERO`, in milliseconds since 1970; caching headers are in wall-clock time.
    pub unix_ms: u64,
}

/// How a holder is chosen out of those that a peer could meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Introductions {
    /// The one from which the asset is predicted to come soonest.
    #[default]
    Ranked,
    /// Any of them: what ranking is worth is measured against this.
    Random,
}

/// When a sighted URL is fetched and admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRules {
    /// Distinct visitors that must have seen a URL before the node fetches it.
    pub sightings: u32,
    /// The freshness in seconds given to static kinds of content (images, fonts, styles, scripts, media) whose origin
    /// says nothing of freshness; RFC 9111, section 4.2.2, leaves it to the cache. They are revalidated when it ends.
    pub heuristic_freshness_s: u32,
    /// The freshness in seconds given to the answer that a file of such a kind is not there (404 or 410), whose origin says
    /// nothing of freshness; zero where no such answer is to be admitted. CDNs give it 10 s (CloudFront) to 180 s (Cloudflare).
    pub missing_freshness_s: u32,
    /// For how many seconds visitors must have missed something before it is considered as missing: a file that is being
    /// published is there for some visitors before it is for others.
    pub missing_after_s: u32,
    /// For how many seconds past its freshness an asset stays in use while its origin fails or cannot be reached,
    /// unless the origin demands revalidation (RFC 9111, section 4.2.4).
    pub stale_if_error_s: u32,
}

impl Default for AdmissionRules {
    fn default() -> Self {
        Self {
            sightings: 2,
            heuristic_freshness_s: 60,
            missing_freshness_s: 60,
            missing_after_s: 30,
            stale_if_error_s: 24 * 3600,
        }
    }
}

/// What a coordinator has counted, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Peers in the swarm.
    pub crowd: u32,
    /// Assets in the manifest.
    pub assets: u32,
    /// Admissions since the coordinator was made, those of new versions of an asset included.
    pub admissions: u64,
    /// How often a URL was not admitted, or an asset was removed, by reason.
    pub refusals: BTreeMap<Reason, u64>,
}

/// What passed between peers, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Peers that hold something of an admitted asset and share it.
    pub holders: u32,
    /// Signals relayed since the coordinator was made.
    pub signals: u64,
    /// Pairs of peers that were told to meet.
    pub introductions: u64,
    /// How often a peer said that a channel had opened.
    pub met: u64,
    /// How often a peer said that a channel did not open, by reason.
    pub failed: BTreeMap<Reason, u64>,
    /// How often a peer let a neighbour go for a fault, by reason.
    pub faults: BTreeMap<Reason, u64>,
}

/// A session's number, chosen by the body; it may be used again after [`Input::Closed`].
pub type SessionId = u32;

/// Where a visitor connects from, as far as the node's tables know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of the autonomous system.
    pub network: Option<u32>,
    /// The ISO 3166 code of the country.
    pub country: Option<[u8; 2]>,
    /// The browser, as far as it says what it is.
    #[serde(default)]
    pub browser: BrowserKind,
    /// A number for the address (or its prefix), so that one address cannot sight a URL as many visitors.
    pub address: u64,
    /// Whose peer it is.
    #[serde(default)]
    pub whose: Whose,
}

/// Whose a peer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// A visitor's browser.
    #[default]
    Visitor,
    /// The operator's own: it says by itself when it has company enough, and is not helped to neighbours.
    Operator,
}

/// Browsers by their engines: those of one kind do most things alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrowserKind {
    /// Chrome, Edge, Opera, Samsung's, ….
    Chromium,
    /// Firefox.
    Firefox,
    /// Safari, and every browser on iOS.
    Safari,
    /// Whatever says something else, or nothing.
    #[default]
    Other,
}

/// What happened outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// The deadline of `poll_timeout` has come.
    Tick,
    /// A peer has connected.
    Opened {
        /// The session's number.
        session: SessionId,
        /// Where it connects from.
        place: Place,
        /// Addresses of STUN servers as this peer can reach them.
        stun: Vec<Box<str>>,
    },
    /// A peer said something.
    Message {
        /// The session's number.
        session: SessionId,
        /// What it said.
        message: ToNode,
    },
    /// A peer said something that the body could not read.
    Unreadable {
        /// The session's number.
        session: SessionId,
        /// [`Reason::Malformed`] or [`Reason::TooLarge`].
        reason: Reason,
        /// What is wrong with it, for people.
        about: Box<str>,
    },
    /// The connection is gone.
    Closed {
        /// The session's number.
        session: SessionId,
    },
    /// The answer to [`Output::Fetch`].
    Fetched {
        /// The URL.
        url: Box<str>,
        /// What the origin said, or why there is no answer.
        outcome: Result<Fetched, Reason>,
    },
    /// The operator purges one URL, or everything.
    Purge {
        /// The absolute URL; everything when there is none.
        url: Option<Box<str>>,
    },
    /// The operator wants a URL admitted without waiting for visitors; [`Output::Warmed`] says what became of it.
    Warm {
        /// The absolute URL.
        url: Box<str>,
    },
    /// The operator changes the policy.
    SetPolicy(Policy),
}

/// What the origin answered to an anonymous request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The status; 304 when the validators still hold.
    pub status: u16,
    /// All response headers, names in lower case.
    pub headers: Headers,
    /// The content, after content decoding; absent when the status is not 200.
    pub content: Option<Content>,
}

/// The digests of a content that passed through the fetcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// SHA-256 over the piece digests.
    pub hash: Digest,
    /// SHA-256 of each piece.
    pub pieces: PieceDigests,
}

/// What the body is to do.
#[derive(Clone, Debug, Serialize)]
pub enum Output {
    /// Send a message to a peer.
    Send {
        /// The session's number.
        session: SessionId,
        /// The message.
        message: ToPeer,
    },
    /// End a session after what was sent before; no [`Input::Closed`] is owed for it.
    Close {
        /// The session's number.
        session: SessionId,
        /// Why.
        reason: Reason,
    },
    /// Fetch a URL from the origin, without cookies, and say [`Input::Fetched`].
    Fetch {
        /// The absolute URL, of one of the site's origins.
        url: Box<str>,
        /// Validators (`if-none-match`, `if-modified-since`) for a revalidation; none for an unconditional fetch.
        validators: Headers,
        /// Stop with [`Reason::TooLarge`] past so many bytes.
        max_bytes: u64,
    },
    /// Tell the operator what became of a URL that was to be admitted ([`Input::Warm`]): it is, or why not. Whoever
    /// asked for the same URL in the meantime has the same answer.
    Warmed {
        /// The URL.
        url: Box<str>,
        /// Why it is not admitted.
        outcome: Result<(), Reason>,
    },
}
