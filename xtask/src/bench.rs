//! Measurements. The command itself carries the load generators; a task builds it with optimisations and runs them.

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::build::{self, Profile};
use crate::step::run_through;
use crate::workspace::Workspace;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// How many signals a node relays, beside a bare echo of as many bytes, and what an idle connection costs.
    Signalling(Options),
}

/// How to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    let Bench::Signalling(options) = bench;
    let binary = build::command(workspace, Profile::Release)?;
    let mut load = Command::new(binary);
    load.args(["load", "signalling"]);
    if options.json {
        load.arg("--json");
    }
    run_through("measure signalling", &mut load)
}
