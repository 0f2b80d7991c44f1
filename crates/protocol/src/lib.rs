//! What is said in a mesh: the messages between a peer and its node, the frames between two peers, the
//! manifest of a site, and the policy, limits and reasons that all of them share.
//!
//! **Invariant:** this crate decides nothing. It has no clock, no I/O and no state machine, and it depends on no
//! other crate of the workspace, so the engine, the coordinator, their bodies and the browser's generated types
//! can all agree through it.
//!
//! Start with [`message::ToNode`] and [`message::ToPeer`] (JSON over one WebSocket), then [`frame::Frame`]
//! (binary over data channels) and [`manifest::Asset`]. `docs/protocol.md` walks through a session.
//!
//! Everything that serialises does so in JSON and in positional binary formats, between an engine and its body: no
//! field is ever left out when it is written. The feature `json` is for those who relay messages as JSON.

pub mod asset_set;
mod binary;
pub mod digest;
pub mod frame;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod message;
#[cfg(feature = "hash")]
pub mod naming;
pub mod policy;
pub mod reason;
pub mod report;
pub mod signal;
pub mod time;

pub use asset_set::AssetSet;
pub use digest::Digest;
pub use id::{AssetId, PeerId, SiteId};
pub use reason::Reason;
pub use signal::Signal;
pub use time::Timestamp;

/// The version of everything in this crate, agreed at `hello`. A node refuses a peer whose version it does not
/// speak with [`Reason::ProtocolVersion`], and the peer's client then stays out of the way until it is updated.
pub const PROTOCOL_VERSION: u32 = 2;
