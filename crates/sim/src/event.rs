//! What can happen in the simulated world.

use edgeweave_coordinator::io::{Fetched, SessionId};
use edgeweave_engine::Input;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::{PeerId, Reason};

use crate::browser::RequestKey;
use crate::content::Token;
use crate::queue::Fingerprint;
use crate::slab::Key;

/// The arms of the experiment: the same visits without the mesh, and with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Holdout,
    Mesh,
}

/// Who answers over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Origin,
    Supernode,
}

/// Names an engine: the visitor at whose browser it runs, and which of that browser's pages began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EngineKey {
    pub(crate) visitor: Key,
    pub(crate) load: u16,
}

#[derive(Debug)]
pub(crate) enum Event {
    /// A visitor comes: the next entry of the plan.
    Visit,
    /// The visitor goes to the next page, or leaves.
    NextView { visitor: Key },
    /// The visitor is about to go to the next page: its link is pointed at.
    Pointed { visitor: Key },
    /// A server sends the next part of what a browser asked for.
    Pump { visitor: Key, arm: Arm, server: Server },
    /// The last byte of a server's answer is here.
    Answered { visitor: Key, arm: Arm, server: Server, request: RequestKey },
    /// The supernode does not have what was asked for, or not in time.
    SupernodeFails { visitor: Key, request: RequestKey },
    /// The browser has answered by itself, from its HTTP cache or the secondary cache.
    AnsweredLocally { visitor: Key, arm: Arm, request: RequestKey },
    /// So many bytes of the document are here, and more is on its way.
    DocumentGrew { visitor: Key, arm: Arm, load: u16, bytes: u64 },
    /// The browser has made a page of everything.
    Processed { visitor: Key, arm: Arm, load: u16 },
    /// The worker of somebody who is left alone has passed a request on.
    PassedOn { visitor: Key, request: RequestKey },
    /// The worker looks at a request.
    Dispatch { visitor: Key, request: RequestKey },
    /// A worker that was started beside a navigation has heard from no tab that leads.
    WorkerIsAlone { visitor: Key },
    /// The page part starts an engine.
    EngineStarts(EngineKey),
    /// The engine's deadline has come.
    Tick(EngineKey),
    /// The engine's WebSocket is open.
    SocketOpened(EngineKey),
    /// A message from the node arrives.
    PeerHears(EngineKey, Box<ToPeer>),
    /// A message from an engine arrives at the node.
    NodeHears { session: SessionId, message: Box<ToNode> },
    /// The node notices that a WebSocket is closed.
    NodeLoses { session: SessionId },
    /// The origin's answer to the node arrives.
    NodeFetched { url: Box<str>, outcome: Box<Result<Fetched, Reason>> },
    /// The node crashes, and begins anew.
    NodeCrashes,
    /// A slow disk has done what an engine wanted.
    DiskAnswers(EngineKey, Box<Input>),
    /// The coordinator's deadline has come.
    NodeTick,
    /// The channel between two engines is open on both sides.
    ChannelOpens(EngineKey, EngineKey),
    /// An engine notices that the other side closed the channel.
    ChannelCloses(EngineKey, PeerId),
    /// A piece has left the sender's access link.
    PieceLeaves(EngineKey, PeerId, Box<Piece>),
    /// A frame arrives.
    FrameArrives(EngineKey, PeerId, Box<Frame>),
}

/// A piece on its way out.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) transfer: u32,
    pub(crate) frame: Frame,
}

/// A message on a channel.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Vec<u8>,
    /// A piece's payload and its length.
    pub(crate) payload: Option<(Token, u32)>,
}

impl Fingerprint for Event {
    fn fingerprint(&self) -> u64 {
        let engine =
            |kind: u64, key: &EngineKey| kind << 56 ^ key.visitor.number() << 12 ^ u64::from(key.load);
        let browser = |kind: u64, visitor: &Key, request: &RequestKey| {
            kind << 56 ^ visitor.number() << 20 ^ u64::from(request.load) << 10 ^ u64::from(request.place)
        };
        match self {
            Self::Visit => 1 << 56,
            Self::NextView { visitor } => 2 << 56 ^ visitor.number(),
            Self::Pointed { visitor } => 27 << 56 ^ visitor.number(),
            Self::Pump { visitor, arm, server } => {
                3 << 56 ^ visitor.number() << 2 ^ (*server as u64) << 1 ^ *arm as u64
            }
            Self::Answered { visitor, arm, server: Server::Origin, request } => {
                browser(4 + *arm as u64, visitor, request)
            }
            Self::Answered { visitor, server: Server::Supernode, request, .. } => {
                browser(21, visitor, request)
            }
            Self::SupernodeFails { visitor, request } => browser(22, visitor, request),
            Self::AnsweredLocally { visitor, arm, request } => browser(6 + *arm as u64, visitor, request),
            Self::Processed { visitor, arm, load } => {
                25 << 56 ^ visitor.number() << 20 ^ u64::from(*load) << 1 ^ *arm as u64
            }
            Self::DocumentGrew { visitor, arm, load, .. } => {
                29 << 56 ^ visitor.number() << 20 ^ u64::from(*load) << 1 ^ *arm as u64
            }
            Self::PassedOn { visitor, request } => browser(26, visitor, request),
            Self::Dispatch { visitor, request } => browser(8, visitor, request),
            Self::WorkerIsAlone { visitor } => 28 << 56 ^ visitor.number(),
            Self::EngineStarts(key) => engine(9, key),
            Self::Tick(key) => engine(10, key),
            Self::SocketOpened(key) => engine(11, key),
            Self::PeerHears(key, _) => engine(12, key),
            Self::NodeHears { session, .. } => 13 << 56 ^ u64::from(*session),
            Self::NodeLoses { session } => 14 << 56 ^ u64::from(*session),
            Self::NodeFetched { url, .. } => 15 << 56 ^ url.len() as u64,
            Self::NodeTick => 16 << 56,
            Self::NodeCrashes => 23 << 56,
            Self::DiskAnswers(key, _) => engine(24, key),
            Self::ChannelOpens(a, b) => engine(17, a) ^ engine(0, b).rotate_left(17),
            Self::ChannelCloses(key, peer) => engine(18, key) ^ peer.0,
            Self::PieceLeaves(key, peer, piece) => engine(19, key) ^ peer.0 ^ u64::from(piece.transfer) << 32,
            Self::FrameArrives(key, peer, frame) => {
                engine(20, key) ^ peer.0 ^ (frame.header.len() as u64) << 32
            }
        }
    }
}
