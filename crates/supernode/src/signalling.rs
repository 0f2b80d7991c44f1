//! The WebSocket to the node: one task a connection, which ends when it is disconnected.

use edgeweave_protocol::SiteId;
use edgeweave_protocol::limits::MAX_TO_PEER_BYTES;
use edgeweave_protocol::message::{ToNode, ToPeer};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_websockets::{ClientBuilder, Limits, Message};
use url::Url;

use crate::error::CannotStart;

/// By this the node knows the operator's own peer, if whoever says it may use the API.
const SUPERNODE: &str = "supernode";

/// What the node, or the way to it, has to say.
#[derive(Debug)]
pub(crate) enum FromNode {
    Opened,
    Heard(ToPeer),
    /// A message that cannot be read, of so many bytes.
    Unreadable(u64),
    Closed,
}

/// A connection, or the lack of one.
pub(crate) struct Node {
    url: Url,
    authorization: Option<String>,
    /// The present connection: what it says carries its number.
    connection: Option<Connection>,
    made: u64,
    said: mpsc::UnboundedSender<(u64, FromNode)>,
}

struct Connection {
    messages: mpsc::UnboundedSender<ToNode>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub(crate) fn new(
        node: &Url,
        site: &SiteId,
        api_token: Option<&str>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<(u64, FromNode)>), CannotStart> {
        let scheme = match node.scheme() {
            "http" => "ws",
            "https" => "wss",
            _ => return Err(CannotStart::Node(node.clone())),
        };
        let mut url = node.join("/mesh").map_err(|_| CannotStart::Node(node.clone()))?;
        url.set_scheme(scheme).map_err(|()| CannotStart::Node(node.clone()))?;
        url.query_pairs_mut().append_pair("site", site.as_str()).append_pair(SUPERNODE, "");
        let authorization = api_token.map(|token| format!("Bearer {token}"));
        let (said, heard) = mpsc::unbounded_channel();
        Ok((Self { url, authorization, connection: None, made: 0, said }, heard))
    }

    /// Whether something was said on the present connection; what an earlier one says is not heard.
    pub(crate) fn is_current(&self, number: u64) -> bool {
        number == self.made && self.connection.is_some()
    }

    pub(crate) fn connect(&mut self) {
        self.made += 1;
        let (messages, outbox) = mpsc::unbounded_channel();
        let (number, said) = (self.made, self.said.clone());
        let tell = move |what| said.send((number, what)).is_ok();
        let (url, authorization) = (self.url.clone(), self.authorization.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = talk(url, authorization, outbox, &tell).await {
                tracing::info!(%error, "there is no session with the node");
            }
            tell(FromNode::Closed);
        });
        self.connection = Some(Connection { messages, task });
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    pub(crate) fn say(&self, message: ToNode) {
        if let Some(connection) = &self.connection {
            // A connection that has just ended says so itself.
            let _ = connection.messages.send(message);
        }
    }
}

async fn talk(
    url: Url,
    authorization: Option<String>,
    mut outbox: mpsc::UnboundedReceiver<ToNode>,
    tell: &(impl Fn(FromNode) -> bool + Sync),
) -> Result<(), tokio_websockets::Error> {
    let limits = Limits::default().max_payload_len(Some(2 * MAX_TO_PEER_BYTES));
    let uri = url.as_str().parse().map_err(|_| tokio_websockets::Error::AlreadyClosed)?;
    let mut builder = ClientBuilder::from_uri(uri).limits(limits);
    if let Some(value) = authorization.and_then(|value| value.parse().ok()) {
        builder = builder.add_header(http::header::AUTHORIZATION, value)?;
    }
    let (mut socket, _) = builder.connect().await?;
    tell(FromNode::Opened);
    loop {
        tokio::select! {
            message = outbox.recv() => {
                let Some(message) = message else { return socket.close().await };
                if let Ok(text) = serde_json::to_string(&message) {
                    socket.send(Message::text(text)).await?;
                }
            }
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                let message = message?;
                let Some(text) = message.as_text() else { continue };
                let heard = serde_json::from_str(text).map(FromNode::Heard);
                if !tell(heard.unwrap_or(FromNode::Unreadable(text.len() as u64))) {
                    return Ok(());
                }
            }
        }
    }
}
