//! The one command of Edgeweave.

mod failure;
mod load;
mod serve;
mod sim;
mod supernode;
mod warm;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Nodes and simulations live on small allocations: this one takes about half the time of the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Visitors' browsers serve a site's verified assets to each other.
#[derive(Parser)]
#[command(name = "edgeweave", version, propagate_version = true, max_term_width = 110)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run a node: reverse proxy, coordinator, origin fetcher and STUN in one process.
    Serve(Box<serve::Options>),
    /// Generate load, and measure with it.
    #[command(subcommand)]
    Load(load::Load),
    /// Simulate the mesh: the same brains under a virtual clock and a model of the Internet.
    Sim(Box<sim::Options>),
    /// Run a native peer: it gives a site's admitted assets to visitors over data channels.
    Supernode(Box<supernode::Options>),
    /// Have a running node fetch and admit what a site's pages need, before visitors come.
    Warm(warm::Options),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let ended = match command.what {
        What::Serve(options) => serve::run(*options),
        What::Load(load) => load::run(load),
        What::Sim(options) => sim::run(&options),
        What::Supernode(options) => supernode::run(*options),
        What::Warm(options) => warm::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.show(),
    }
}

/// Every connection is a file descriptor, and the usual limit is 1024.
fn raise_file_limit() {
    // Without more, the node serves fewer; it says so when it runs out of them.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Warnings, and what else `EDGEWEAVE_LOG` asks for.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EDGEWEAVE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Comes when the process is told to end. From the call on, signals are kept until they are waited for.
fn told_to_end() -> Result<impl Future<Output = ()>, Failure> {
    let ends = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = ends else {
        return Err(Failure::other("cannot wait for signals"));
    };
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A runtime for everything that waits.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start threads: {error}")))
}
