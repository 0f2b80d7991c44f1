//! Why something was done, refused or given up: one list for telemetry, errors, tests and the dashboard.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// Why something was done, refused or given up. The text of each is its name on the wire and in metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS))]
        pub enum Reason {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
            /// A reason that this version does not know; it keeps old nodes and new clients talking.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl Reason {
            /// Every reason, for metrics that start at zero and for documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+ Reason::Unknown];

            /// The name on the wire and in metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)+
                    Reason::Unknown => "unknown",
                }
            }

            /// What it means, for people.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Reason::$name => concat!($($doc),+),)+
                    Reason::Unknown => " A reason that this version does not know.",
                }
            }
        }
    };
}

reasons! {
    // Why a request went to the origin.
    /// The URL is not in the manifest.
    NotAdmitted = "not_admitted",
    /// The asset's freshness has run out and the node has not renewed it.
    Stale = "stale",
    /// No neighbour holds the asset and none could be had in time.
    NoHolder = "no_holder",
    /// The origin is predicted to be faster.
    OriginFaster = "origin_faster",
    /// The mesh was asked; the supernode or the origin, started beside it, answered first.
    OriginWon = "origin_won",
    /// The mesh stopped delivering for too long.
    Stalled = "stalled",
    /// There is no session with a node.
    NoSession = "no_session",
    /// No tab of the site runs an engine.
    NoEngine = "no_engine",
    /// The tab that ran the engine went away.
    EngineGone = "engine_gone",
    /// The browser had stopped the worker, and has started it again.
    WorkerStopped = "worker_stopped",
    /// The engine did not answer the worker in time.
    EngineBusy = "engine_busy",
    /// The requested range cannot be satisfied.
    BadRange = "bad_range",
    /// The origin failed, so the mesh was asked again with patience.
    OriginFailed = "origin_failed",
    /// The origin's bytes stopped being the admitted ones in the middle of a response.
    OriginChanged = "origin_changed",

    // Why this client does not take part, or only in part.
    /// Consent is required and has not been given.
    NoConsent = "no_consent",
    /// The page turned Edgeweave off.
    Disabled = "disabled",
    /// The browser has no WebRTC, or it is switched off.
    NoWebRtc = "no_webrtc",
    /// The browser has no service workers here (or the page is not a secure context).
    NoWorker = "no_worker",
    /// Another service worker owns this scope.
    ForeignWorker = "foreign_worker",
    /// The page's Content-Security-Policy forbids a part of the client.
    ContentSecurityPolicy = "content_security_policy",
    /// The visitor asked to save data.
    SaveData = "save_data",
    /// The connection is metered.
    Metered = "metered",
    /// The upload cap of this month is used up.
    UploadCap = "upload_cap",
    /// The circuit breaker is open after repeated failures.
    BreakerOpen = "breaker_open",
    /// The client met an error of its own.
    ClientError = "client_error",
    /// There is no room, or no permission, to store anything.
    StorageFull = "storage_full",
    /// The browser refused to read or write its storage.
    StorageFailed = "storage_failed",
    /// The site's policy switched the mesh off, or pages are slower with it where this visitor is.
    SwitchedOff = "switched_off",
    /// The visitor was drawn to be left alone, for comparison.
    Holdout = "holdout",

    // What peers do to each other.
    /// A piece did not match its digest.
    WrongPiece = "wrong_piece",
    /// A piece had another length than it must.
    ShortPiece = "short_piece",
    /// A frame broke the protocol between peers.
    BadFrame = "bad_frame",
    /// A frame arrived that nobody asked for.
    Unasked = "unasked",
    /// The neighbour sent nothing for too long.
    Silent = "silent",
    /// The neighbour does not hold what was asked for.
    NotHeld = "not_held",
    /// The neighbour has too much to do.
    Busy = "busy",
    /// The channel closed.
    ChannelClosed = "channel_closed",
    /// The channel could not be opened in time.
    ConnectTimeout = "connect_timeout",
    /// The connection failed.
    ConnectFailed = "connect_failed",
    /// Nothing has passed over the channel for a while.
    Idle = "idle",
    /// The peer is not, or no longer, in this swarm.
    NoSuchPeer = "no_such_peer",

    // Why an asset is not admitted, or no longer.
    /// `Cache-Control: private`.
    Private = "private",
    /// `Cache-Control: no-store`.
    NoStore = "no_store",
    /// The response sets a cookie.
    SetCookie = "set_cookie",
    /// The response varies on something that differs between visitors.
    Varies = "varies",
    /// The status is not 200.
    Status = "status",
    /// Two anonymous fetches gave different bytes.
    Differs = "differs",
    /// The URL does not belong to the site's origins.
    OtherOrigin = "other_origin",
    /// The asset is larger than the site allows.
    TooLarge = "too_large",
    /// Nothing lets a shared cache keep it for long enough.
    NotCacheable = "not_cacheable",
    /// The origin could not be reached, or not in time.
    OriginUnreachable = "origin_unreachable",
    /// The address is private and the site does not allow that.
    PrivateAddress = "private_address",
    /// Too many redirects, or a redirect to another origin.
    Redirect = "redirect",
    /// Visitors received other bytes than the anonymous fetch did.
    VisitorsDiffer = "visitors_differ",
    /// The site's operator purged it.
    Purged = "purged",
    /// The bytes changed at the origin.
    Changed = "changed",
    /// The manifest is full and this was used least.
    Evicted = "evicted",

    // What a node says of messages.
    /// The node does not speak this protocol version.
    ProtocolVersion = "protocol_version",
    /// The site is not known here.
    UnknownSite = "unknown_site",
    /// The message could not be read.
    Malformed = "malformed",
    /// A message came before `hello`, or a second `hello`.
    OutOfOrder = "out_of_order",
    /// Too many messages.
    Flooding = "flooding",
    /// The peer reads too slowly.
    SlowReader = "slow_reader",
    /// The node is shutting down.
    ShuttingDown = "shutting_down",
    /// The node has all the sessions it can take.
    Full = "full",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_same_on_the_wire_and_in_metrics() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{}\"", reason.as_str()));
            assert!(!reason.meaning().is_empty());
        }
        assert_eq!(serde_json::from_str::<Reason>("\"from_the_future\"").unwrap(), Reason::Unknown);
    }
}
