//! Sessions that do nothing.

use std::time::Duration;

use clap::Args;
use edgeweave_protocol::{AssetSet, SiteId};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Amount;
use super::peer::Peer;
use crate::failure::Failure;

/// Peers that join at a time.
const JOINING: usize = 64;

/// What to hold.
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

/// Holds sessions open for the time asked for.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let peers = join(&options.node, &options.site, options.amount.connections, &AssetSet::new()).await?;
    super::print(&serde_json::json!({ "connections": peers.len() }))?;
    tokio::time::sleep(Duration::from_secs(options.amount.seconds.into())).await;
    drop(peers);
    Ok(())
}

/// Joins many peers that all hold the same.
pub(super) async fn join(
    node: &str,
    site: &SiteId,
    count: u32,
    holdings: &AssetSet,
) -> Result<Vec<Peer>, Failure> {
    stream::iter(0..count)
        .map(|visitor| async move {
            let mut peer = Peer::join(node, site, visitor).await?;
            if !holdings.is_empty() {
                peer.announce(holdings.clone()).await?;
            }
            Ok(peer)
        })
        .buffer_unordered(JOINING)
        .try_collect()
        .await
}
