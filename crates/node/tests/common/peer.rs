//! A peer's end of a session, word for word.

use edgeweave_protocol::PROTOCOL_VERSION;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use super::Served;

/// A peer.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Its identity.
    pub(crate) id: String,
}

impl Peer {
    /// A connection on which nothing has been said.
    pub(crate) async fn connect(site: &Served) -> Self {
        let url = site.base.replace("http://", "ws://") + "/mesh";
        let builder = ClientBuilder::new().uri(&url).unwrap();
        let builder = builder.add_header(http::header::ORIGIN, site.base.parse().unwrap()).unwrap();
        let (socket, _) = builder.connect().await.unwrap();
        Self { socket, id: String::new() }
    }

    /// A peer in the swarm.
    pub(crate) async fn join(site: &Served, visitor: u32) -> Self {
        let mut peer = Self::connect(site).await;
        peer.say(hello("default", visitor)).await;
        let welcome = peer.hear("welcome").await;
        peer.id = welcome["peer"].as_str().unwrap().into();
        peer
    }

    /// Says something.
    pub(crate) async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Waits for a message of a name; what comes before it is passed over.
    pub(crate) async fn hear(&mut self, name: &str) -> Value {
        loop {
            let message = self.socket.next().await.unwrap().unwrap();
            if let Some(text) = message.as_text() {
                let mut message: Value = serde_json::from_str(text).unwrap();
                if let Some(content) = message.get_mut(name) {
                    return content.take();
                }
            }
        }
    }

    /// Waits for the end; returns the close frame's code and text.
    pub(crate) async fn ending(&mut self) -> (u16, String) {
        let mut ending = (0, String::new());
        while let Some(Ok(message)) = self.socket.next().await {
            if let Some((code, reason)) = message.as_close() {
                ending = (code.into(), reason.into());
            }
        }
        ending
    }
}

/// The first message.
pub(crate) fn hello(site: &str, visitor: u32) -> Value {
    json!({ "hello": {
        "protocol": PROTOCOL_VERSION, "site": site, "release": "test", "visitor": visitor,
        "connects": true, "shares": true,
    } })
}
