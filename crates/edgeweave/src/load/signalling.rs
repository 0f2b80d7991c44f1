//! The measurement of a node: what a relayed signal costs beside a bare echo of as many bytes, and what an idle
//! session costs.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::{AssetId, AssetSet, SiteId};
use serde::{Deserialize, Serialize};

use super::peer::Peer;
use super::process::Server;
use super::{Amount, echo, idle, origin, relay};
use crate::failure::Failure;

/// Assets that each idle peer holds.
const HELD: u32 = 100;
/// How long the node has to admit them.
const ADMISSION: Duration = Duration::from_secs(20);
/// How long a server is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Idle sessions at a time.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    idle: u32,
    /// Rounds, of which the median counts: clock rates and neighbours on the machine come and go.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    #[command(flatten)]
    amount: Amount,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Measured {
    message_bytes: u32,
    connections: u32,
    rounds: Vec<Round>,
    relayed_messages_per_core_s: f64,
    bare_echo_per_core_s: f64,
    ratio_to_bare_echo: f64,
    idle_connections: u32,
    held_assets: u32,
    bytes_per_idle_connection: u64,
    resident_bytes: u64,
}

/// A bare echo and a relay, one after the other.
#[derive(Serialize)]
struct Round {
    relayed_messages_per_core_s: f64,
    relayed_messages_per_s: f64,
    bare_echo_per_core_s: f64,
    bare_echo_per_s: f64,
}

/// What a server says when it has started.
#[derive(Deserialize)]
struct Started {
    listen: SocketAddr,
}

/// Measures and prints.
pub(super) async fn run(options: &Options) -> Result<(), Failure> {
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(measure_round(options.amount).await?);
    }
    let relayed = median(rounds.iter().map(|round| round.relayed_messages_per_core_s));
    let bare = median(rounds.iter().map(|round| round.bare_echo_per_core_s));
    let ratio =
        median(rounds.iter().map(|round| round.relayed_messages_per_core_s / round.bare_echo_per_core_s));
    let (resident_bytes, bytes_per_idle_connection) = measure_idle(options.idle).await?;
    let measured = Measured {
        message_bytes: options.amount.message_bytes,
        connections: options.amount.connections,
        rounds,
        relayed_messages_per_core_s: relayed,
        bare_echo_per_core_s: bare,
        ratio_to_bare_echo: ratio,
        idle_connections: options.idle,
        held_assets: HELD,
        bytes_per_idle_connection,
        resident_bytes,
    };
    if options.json {
        return super::print(&measured);
    }
    let Measured { message_bytes, connections, idle_connections, .. } = measured;
    println!(
        "messages of {message_bytes} bytes over {connections} connections, per second of a server's core:"
    );
    println!("  bare TCP echo     {bare:>9.0}");
    println!("  relayed signals   {relayed:>9.0}  ({ratio:.2} of it)");
    println!("an idle session, with {HELD} assets held, {idle_connections} of them:");
    println!("  resident memory   {bytes_per_idle_connection:>9} bytes");
    Ok(())
}

async fn measure_round(amount: Amount) -> Result<Round, Failure> {
    let (bare_rate, bare_per_core) = measure_echo(amount).await?;
    let (relayed, relayed_per_core) = measure_relay(amount).await?;
    if relayed.ended > 0 {
        let about =
            format!("the node ended {} sessions: each sent more than the protocol allows", relayed.ended);
        return Err(Failure::other(about).with_way_out("give more --connections, so that each sends less"));
    }
    Ok(Round {
        relayed_messages_per_core_s: relayed_per_core,
        relayed_messages_per_s: relayed.generated.messages_per_s,
        bare_echo_per_core_s: bare_per_core,
        bare_echo_per_s: bare_rate,
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn measure_echo(amount: Amount) -> Result<(f64, f64), Failure> {
    let (server, Started { listen }) = Server::start(&["load", "echo-server"])?;
    let mut cpu = Vec::new();
    let options = echo::Options { server: listen, amount };
    let generated = echo::run(&options, || cpu.push(server.core_seconds())).await?;
    Ok((generated.messages_per_s, generated.messages as f64 / spent(cpu)?))
}

async fn measure_relay(amount: Amount) -> Result<(relay::Relayed, f64), Failure> {
    let (server, node, site, _) = start_node().await?;
    let mut cpu = Vec::new();
    let options = relay::Options { node, site, amount };
    let relayed = relay::run(&options, || cpu.push(server.core_seconds())).await?;
    let per_core = relayed.generated.messages as f64 / spent(cpu)?;
    Ok((relayed, per_core))
}

async fn measure_idle(connections: u32) -> Result<(u64, u64), Failure> {
    let (server, node, site, base) = start_node().await?;
    let holdings = admit(&node, &site, &base).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.resident_bytes()?;
    let peers = idle::join(&node, &site, connections, &holdings).await?;
    tokio::time::sleep(SETTLE).await;
    let after = server.resident_bytes()?;
    drop(peers);
    Ok((after, after.saturating_sub(before) / u64::from(connections.max(1))))
}

/// Processor time between the two edges of the measured time.
fn spent(edges: Vec<Result<f64, Failure>>) -> Result<f64, Failure> {
    let edges = edges.into_iter().collect::<Result<Vec<f64>, Failure>>()?;
    match edges[..] {
        [begin, end] if end > begin => Ok(end - begin),
        _ => Err(Failure::other("the server took no processor time: measure for longer")),
    }
}

async fn start_node() -> Result<(Server, String, SiteId, String), Failure> {
    let origin = format!("http://{}", origin::serve().await?);
    let quiet = ["--no-stun", "--no-supernode", "--json"];
    let arguments =
        [&["serve", "--listen", "127.0.0.1:0", "--sightings", "1", "--origin", &origin], &quiet[..]].concat();
    let (server, Started { listen }) = Server::start(&arguments)?;
    let site = "default".parse().map_err(|_| Failure::other("the site has no name"))?;
    Ok((server, format!("ws://{listen}/mesh"), site, format!("http://{listen}")))
}

/// Lets a visitor sight assets until all are admitted; returns their set.
async fn admit(node: &str, site: &SiteId, base: &str) -> Result<AssetSet, Failure> {
    let mut peer = Peer::join(node, site, u32::MAX).await?;
    let urls = (0..HELD).map(|index| format!("{base}/asset/{index}.css").into()).collect();
    peer.say(&ToNode::Seen { urls, missing: false }).await?;
    let mut admitted: Vec<AssetId> = Vec::new();
    let all = async {
        while admitted.len() < HELD as usize {
            let text = peer.hear().await?;
            if let Ok(ToPeer::Manifest(delta)) = serde_json::from_slice(&text) {
                admitted.extend(delta.add.iter().map(|asset| asset.id));
            }
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(ADMISSION, all).await;
    in_time.unwrap_or_else(|_| {
        Err(Failure::other(format!("the node did not admit {HELD} assets within {} s", ADMISSION.as_secs())))
    })?;
    Ok(admitted.into_iter().collect())
}
