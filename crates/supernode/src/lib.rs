//! A native peer: the engine over `str0m`, with a folder for a secondary cache. It is run by the operator, and gives a
//! site's admitted assets to visitors over data channels, as any neighbour does.
//!
//! **Invariant:** it decides nothing of the mesh: whom to meet, what to announce, what to send and what leaves the folder
//! first is the engine's word, of the same engine that runs in browsers. It knows neither the node nor the coordinator
//! but by what is said to peers.
//!
//! The loop in `run.rs` drives everything:
//!
//! 1. wait for a datagram, a message of the node, something from the folder, or the next deadline;
//! 2. hand it to the [`Peer`](peer::Peer) or the engine that it is for;
//! 3. do what the engine says, until it says nothing more;
//! 4. let every peer that was touched say what it has to send, and hand what it received to the engine; go on at 3 while
//!    there is something;
//! 5. send, and go on at 1.

mod contents;
mod error;
mod fetch;
mod folder;
mod metrics;
pub mod peer;
mod run;
mod signal;
mod signalling;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use edgeweave_protocol::SiteId;
use url::Url;

pub use self::error::CannotStart;
pub use self::metrics::Metrics;
pub use self::run::Supernode;

/// How a native peer is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node, as `http://` or `https://`.
    pub node: Url,
    /// Whoever knows the token of the node's API is the operator; without one, whoever is on the node's machine.
    pub api_token: Option<Box<str>>,
    /// The site whose assets are given.
    pub site: SiteId,
    /// Where contents are.
    pub contents: Keep,
    /// The most bytes of contents that are held.
    pub disk_bytes: u64,
    /// Where datagrams of neighbours arrive.
    pub listen_udp: SocketAddr,
    /// The addresses at which visitors reach `listen_udp`, where they are others: behind a translation of addresses.
    pub public_addresses: Vec<IpAddr>,
    /// The most bytes that are uploaded in a second, in the long run; none where there is no limit.
    pub upload_bytes_per_second: Option<u64>,
    /// The most neighbours at a time.
    pub neighbours: u32,
}

/// Whose the contents are.
#[derive(Clone, Debug)]
pub enum Keep {
    /// This peer's own: it fetches what is admitted into this folder, and removes what leaves.
    Own(PathBuf),
    /// A node's on the same machine: they are only read, and come and go as the node wants.
    OfNode(PathBuf),
}
