//! `edgeweave load`: generators of load, and the measurements made with them.

mod echo;
mod idle;
mod meeting;
mod origin;
mod peer;
mod process;
mod relay;
mod signalling;

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::failure::Failure;

/// What to generate.
#[derive(Subcommand)]
pub(crate) enum Load {
    /// Measure a node of its own: signals relayed a core-second beside a bare echo, and bytes an idle connection.
    Signalling(signalling::Options),
    /// Let peers in pairs send signals to each other through a node.
    Relay(relay::Options),
    /// Let two native peers meet in virtual time: in how many round trips a channel is open.
    Meeting(meeting::Options),
    /// Hold sessions open that do nothing.
    Idle(idle::Options),
    /// Send messages to a bare echo server and wait for each to come back.
    Echo(echo::Options),
    /// Be the bare echo server.
    EchoServer {
        /// Where to answer.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// How much, for how long.
#[derive(Args, Clone, Copy)]
pub(crate) struct Amount {
    /// Connections at a time. The default lets a core's worth of messages through at a rate for each connection that
    /// the protocol allows, and is few enough that replies come before the system acknowledges what they reply to.
    #[arg(long, value_name = "N", default_value_t = 2_400, value_parser = clap::value_parser!(u32).range(2..))]
    connections: u32,
    /// Seconds to measure, after everything is connected and warm.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Bytes of a message.
    #[arg(long, value_name = "BYTES", default_value_t = 900, value_parser = clap::value_parser!(u32).range(200..=60_000))]
    message_bytes: u32,
}

/// What a generator saw.
#[derive(Debug, Serialize)]
pub(crate) struct Generated {
    /// Connections at a time.
    connections: u32,
    /// Messages that arrived in the measured time.
    messages: u64,
    /// The measured time.
    seconds: f64,
    /// Messages a second.
    messages_per_s: f64,
}

impl Generated {
    fn new(connections: u32, messages: u64, seconds: f64) -> Self {
        Self { connections, messages, seconds, messages_per_s: messages as f64 / seconds }
    }
}

/// Generates it.
pub(crate) fn run(load: Load) -> Result<(), Failure> {
    crate::raise_file_limit();
    // One thread: the generator must not take the cores that it measures on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        match load {
            Load::Signalling(options) => signalling::run(&options).await,
            Load::Relay(options) => print(&relay::run(&options, || {}).await?.generated),
            Load::Meeting(options) => meeting::run(&options),
            Load::Idle(options) => idle::run(&options).await,
            Load::Echo(options) => print(&echo::run(&options, || {}).await?),
            Load::EchoServer { listen } => echo::serve(listen).await,
        }
    })
}

fn print(result: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(result).map_err(|error| Failure::other(error.to_string()))?;
    println!("{line}");
    Ok(())
}
