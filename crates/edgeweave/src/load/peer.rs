//! A peer that speaks the protocol with its node, and nothing with other peers.

use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::{AssetSet, PROTOCOL_VERSION, PeerId, SiteId};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, Message, WebSocketStream};

use crate::failure::Failure;

/// A peer's end of a session.
pub(super) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Its identity.
    pub(super) id: PeerId,
    /// Where it is connected, for errors.
    node: Box<str>,
}

impl Peer {
    /// Joins the swarm of a site.
    pub(super) async fn join(node: &str, site: &SiteId, visitor: u32) -> Result<Self, Failure> {
        let failed = |about: String| Failure::other(format!("cannot join at {node}: {about}"));
        let builder = ClientBuilder::new()
            .uri(node)
            .map_err(|error| failed(error.to_string()))?
            .limits(Limits::unlimited());
        let (socket, _) = builder.connect().await.map_err(|error| failed(error.to_string()))?;
        let mut peer = Self { socket, id: PeerId(0), node: node.into() };
        let hello = ToNode::Hello {
            protocol: PROTOCOL_VERSION,
            site: site.clone(),
            release: "load".into(),
            visitor,
            manifest: None,
            connects: true,
            shares: true,
        };
        peer.say(&hello).await?;
        loop {
            let text = peer.hear().await?;
            match serde_json::from_slice::<ToPeer>(&text) {
                Ok(ToPeer::Welcome { peer: id, .. }) => {
                    peer.id = id;
                    return Ok(peer);
                }
                Ok(ToPeer::Error { reason, about }) => {
                    return Err(failed(format!("{}: {about}", reason.as_str())));
                }
                _ => {}
            }
        }
    }

    /// Says that it holds assets.
    pub(super) async fn announce(&mut self, add: AssetSet) -> Result<(), Failure> {
        self.say(&ToNode::Holdings { add, remove: AssetSet::new() }).await
    }

    /// Says something.
    pub(super) async fn say(&mut self, message: &ToNode) -> Result<(), Failure> {
        let text = serde_json::to_string(message).map_err(|error| Failure::other(error.to_string()))?;
        self.send(text).await
    }

    /// Sends a text.
    pub(super) async fn send(&mut self, text: String) -> Result<(), Failure> {
        let sent = self.socket.send(Message::text(text)).await;
        sent.map_err(|error| Failure::other(format!("the session with {} ended: {error}", self.node)))
    }

    /// Waits for the next text.
    pub(super) async fn hear(&mut self) -> Result<tokio_websockets::Payload, Failure> {
        let ended = |about: String| Failure::other(format!("the session with {} ended: {about}", self.node));
        loop {
            match self.socket.next().await {
                Some(Ok(message)) if message.is_text() => return Ok(message.into_payload()),
                Some(Ok(message)) => {
                    if let Some((_, reason)) = message.as_close() {
                        return Err(ended(reason.into()));
                    }
                }
                Some(Err(error)) => return Err(ended(error.to_string())),
                None => return Err(ended("closed".into())),
            }
        }
    }
}
