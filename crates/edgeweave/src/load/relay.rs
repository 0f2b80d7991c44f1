//! Peers in pairs that send signals to each other, each when the other's has come.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::{AssetSet, PeerId, SiteId};

use super::echo::WARM_UP;
use super::peer::Peer;
use super::{Amount, Generated, idle};
use crate::failure::Failure;

/// What to generate.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The node, as ws://HOST:PORT/mesh.
    #[arg(value_name = "URL")]
    pub(super) node: String,
    /// The site.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) site: SiteId,
    #[command(flatten)]
    pub(super) amount: Amount,
}

/// What came of it.
pub(super) struct Relayed {
    /// Signals that arrived.
    pub(super) generated: Generated,
    /// Sessions that ended on the way.
    pub(super) ended: u64,
}

/// Generates. `at_edge` is called when the measured time begins and ends.
pub(super) async fn run(options: &Options, mut at_edge: impl FnMut()) -> Result<Relayed, Failure> {
    let Amount { connections, seconds, message_bytes } = options.amount;
    let mut peers = idle::join(&options.node, &options.site, connections / 2 * 2, &AssetSet::new()).await?;
    let relayed = Rc::new(Cell::new(0));
    let ended = Rc::new(Cell::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    while let (Some(mut first), Some(second)) = (peers.pop(), peers.pop()) {
        let to_second = signal(second.id, message_bytes as usize)?;
        let to_first = signal(first.id, message_bytes as usize)?;
        first.send(to_second.clone()).await?;
        for (peer, text) in [(first, to_second), (second, to_first)] {
            let (relayed, ended) = (relayed.clone(), ended.clone());
            tasks.spawn_local(async move {
                answer(peer, text, &relayed).await;
                ended.set(ended.get() + 1);
            });
        }
    }
    tokio::time::sleep(WARM_UP).await;
    at_edge();
    let (before, began) = (relayed.get(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (messages, took) = (relayed.get() - before, began.elapsed().as_secs_f64());
    at_edge();
    Ok(Relayed { generated: Generated::new(connections, messages, took), ended: ended.get() })
}

/// A signal of so many bytes, as text.
fn signal(to: PeerId, bytes: usize) -> Result<String, Failure> {
    let text = |filling: usize| {
        let signal =
            serde_json::json!({ "type": "offer", "sdp": "x".repeat(filling) }).to_string().parse()?;
        serde_json::to_string(&ToNode::Signal { to, signal })
    };
    let written = text(0).and_then(|empty| text(bytes.saturating_sub(empty.len())));
    written.map_err(|error| Failure::other(error.to_string()))
}

async fn answer(mut peer: Peer, text: String, relayed: &Cell<u64>) {
    while let Ok(heard) = peer.hear().await {
        // Everything else is short work for the generator, and none for the comparison.
        if heard.starts_with(br#"{"signal""#) {
            relayed.set(relayed.get() + 1);
            if peer.send(text.clone()).await.is_err() {
                return;
            }
        }
    }
}
