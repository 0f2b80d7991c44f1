//! Why a native peer cannot be started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What has to be there before the first visitor is met.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The node's address leads nowhere.
    #[error("`{0}` is no address of a node: it must begin with http:// or https://")]
    Node(url::Url),
    /// The socket for datagrams.
    #[error("cannot listen on udp {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No address that visitors could reach is known.
    #[error("cannot find out by which address visitors reach udp {address}: {source}")]
    Address {
        /// Where datagrams arrive.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The folder.
    #[error("cannot {doing} {}: {source}", path.display())]
    Folder {
        /// What was attempted.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Two processes would remove each other's contents.
    #[error("another process keeps contents in {}", .0.display())]
    InUse(PathBuf),
    /// Something that every system has is not there.
    #[error("cannot {doing}: {about}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        about: String,
    },
}
