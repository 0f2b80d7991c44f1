//! Real browsers on an emulated wide-area network, with and without the mesh.
//!
//! Visitors' browsers, the site's origin and the node are in network namespaces, which a router in this process joins:
//!
//! 1. `namespace` makes the namespaces, each with a device; `router` moves packets between them. What happens to a packet on
//!    its way is decided by `network`, a state machine of `link` (rate, delay, jitter, loss) and `nat` (address translators).
//! 2. `origin` and `node` start what is visited; `site` is what a browser finds there, and `scenario` who comes to see it.
//! 3. `visits` sends everybody, through `lab/visitors.mjs` and `lab/visit.mjs`, and hears what browsers and origin tell (`told`).
//! 4. `summary` makes numbers of it with `figures`, `simulation` has the simulator say what it expects, and `report` makes a page.
//!
//! **Invariant:** the lab decides nothing that the product decides. Which visitors are left alone is drawn by their clients,
//! as the site's policy says, and what a client did is what it says it did.

mod addresses;
mod content;
mod figures;
mod link;
mod namespace;
mod nat;
mod network;
mod node;
mod origin;
mod packet;
mod processes;
mod report;
mod requirements;
mod router;
mod run;
mod scenario;
mod simulation;
mod site;
mod summary;
mod told;
mod visits;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Real browsers on an emulated wide-area network, with and without the mesh.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Send real browsers to a site over an emulated wide-area network, with and without the mesh.
    // The hidden options are the task's to give.
    #[command(override_usage = "cargo xtask lab --site <DIR_OR_URL> [OPTIONS]")]
    Lab(Box<run::Options>),
    /// The process that stands in for the site's origin.
    #[command(hide = true)]
    Origin(origin::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Lab(options) => run::run(&options),
        Task::Origin(options) => origin::run(options).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        ExitCode::FAILURE
    })
}
