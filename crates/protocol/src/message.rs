//! Messages between a peer and its node: JSON text over one WebSocket, one object a message, whose only key is the
//! message's name (`{"find":{"assets":[3]}}`): a reader knows what follows before it reads it, so that nothing is
//! buffered and relayed signals stay raw. Unknown fields are ignored; an unknown message is answered with `error`
//! and [`Reason::Malformed`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::PieceDigests;
use crate::manifest::{ManifestDelta, ManifestVersion};
use crate::policy::Policy;
use crate::{AssetId, AssetSet, PeerId, Reason, Signal, SiteId};

/// From a peer to its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ToNode {
    /// The first message of a session, answered by `welcome` or by `error` and the end of the session.
    Hello {
        /// The version that the peer speaks.
        protocol: u32,
        /// The site that the page belongs to.
        site: SiteId,
        /// The client release that the peer runs.
        release: Box<str>,
        /// A random number that the browser keeps for a day, so that one visitor's reloads count as one sighting.
        visitor: u32,
        /// The manifest that the peer has kept, if any.
        #[serde(default)]
        manifest: Option<ManifestVersion>,
        /// Whether the peer can open connections to others (consent, WebRTC, no reason against it).
        connects: bool,
        /// Whether the peer serves others.
        shares: bool,
    },
    /// What the peer holds has changed. Indices are of the manifest version that the peer last received.
    Holdings {
        /// Assets of which it now holds something.
        #[serde(default)]
        add: AssetSet,
        /// Assets of which it no longer holds anything.
        #[serde(default)]
        remove: AssetSet,
    },
    /// The peer looks for holders of these assets.
    Find {
        /// What it wants, most wanted first.
        assets: Vec<AssetId>,
    },
    /// A session description or candidate for another peer.
    Signal {
        /// The peer it is for.
        to: PeerId,
        /// The description or candidate, verbatim.
        signal: Signal,
    },
    /// How an introduction went.
    Met {
        /// The peer that was introduced.
        peer: PeerId,
        /// Milliseconds until the channel was open, or why it did not open.
        outcome: Meeting,
    },
    /// What a neighbour was good for, when the channel closes and from time to time before.
    Parted {
        /// The neighbour.
        peer: PeerId,
        /// Bytes of verified pieces that it sent since the last such message.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        bytes: u64,
        /// Milliseconds in which at least one piece was awaited from it.
        busy_ms: u32,
        /// Why the peer was let go, if it was for a fault.
        #[serde(default)]
        fault: Option<Reason>,
    },
    /// Sightings: URLs that the page loaded and the manifest does not have.
    Seen {
        /// Absolute URLs without fragments.
        urls: Vec<Box<str>>,
        /// The origin says that they are not there.
        #[serde(default)]
        missing: bool,
    },
    /// The visitor's own copy of these differs from the admitted one.
    Differs {
        /// The assets.
        assets: Vec<AssetId>,
    },
    /// Asks for the piece digests of a large asset.
    Pieces {
        /// The asset.
        asset: AssetId,
    },
    /// A page was shown, and has come to rest; answered by `likely`, or not at all. The node adds up what follows what,
    /// and keeps nobody's path.
    Viewed {
        /// The page's URL, without query and fragment.
        page: Box<str>,
        /// The page before it in this visit, if there was one, in the last half hour.
        #[serde(default)]
        from: Option<Box<str>>,
        /// Admitted assets that the page used, at most `MAX_PAGE_ASSETS`.
        #[serde(default)]
        assets: AssetSet,
        /// Milliseconds from the beginning of the navigation to the end of the page's load event; none where the page
        /// was not loaded, or not looked at meanwhile.
        #[serde(default)]
        loaded_ms: Option<u32>,
    },
}

/// How an introduction went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Meeting {
    /// The channel opened after so many milliseconds.
    Opened(u32),
    /// It did not.
    Failed(Reason),
}

/// From a node to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ToPeer {
    /// The session has begun.
    Welcome {
        /// The version that the node speaks.
        protocol: u32,
        /// The peer's identity for this session.
        peer: PeerId,
        /// Addresses of STUN servers, as `RTCIceServer.urls` wants them.
        stun: Vec<Box<str>>,
        /// The site's policy.
        policy: Policy,
        /// Peers in the swarm, this one included.
        crowd: u32,
    },
    /// The manifest, or what changed in it.
    Manifest(ManifestDelta),
    /// The piece digests of a large asset.
    Pieces {
        /// The asset.
        asset: AssetId,
        /// Its digests.
        pieces: Arc<PieceDigests>,
    },
    /// Meet this peer.
    Introduce {
        /// The other peer.
        peer: PeerId,
        /// Whether this side makes the offer; the other waits for it.
        offers: bool,
        /// Which of the wanted assets the other holds something of.
        holds: AssetSet,
    },
    /// Nobody else holds these.
    NoHolder {
        /// The assets.
        assets: Vec<AssetId>,
    },
    /// What the next pages will probably need, at most `MAX_LIKELY_ASSETS`: an idle peer may fetch it from others.
    Likely {
        /// The assets, the most likely first.
        assets: Vec<AssetId>,
    },
    /// A session description or candidate from another peer.
    Signal {
        /// The peer it is from.
        from: PeerId,
        /// The description or candidate, verbatim.
        signal: Signal,
    },
    /// The peer has left the swarm.
    Gone {
        /// The peer.
        peer: PeerId,
    },
    /// The site's policy has changed.
    Policy {
        /// The new policy.
        policy: Policy,
    },
    /// Something the peer said was wrong, or the session ends.
    Error {
        /// Why.
        reason: Reason,
        /// What it is about, for people.
        about: Box<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_passes_verbatim() {
        let text = r#"{"signal":{"to":"00000000000000ff","signal":{"sdp":"v=0\r\n",  "odd" : [1,2]}}}"#;
        let ToNode::Signal { to, signal } = serde_json::from_str(text).unwrap() else {
            panic!("not a signal")
        };
        let relayed = serde_json::to_string(&ToPeer::Signal { from: to, signal }).unwrap();
        assert!(relayed.contains(r#"{"sdp":"v=0\r\n",  "odd" : [1,2]}"#), "{relayed}");
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_messages_refused() {
        assert!(serde_json::from_str::<ToNode>(r#"{"find":{"assets":[1],"from_the_future":1}}"#).is_ok());
        assert!(serde_json::from_str::<ToNode>(r#"{"from_the_future":{}}"#).is_err());
    }
}
