//! Measurements. The command itself carries the load generators; a task builds it with optimisations and runs them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::build::{self, Profile};
use crate::step::{output_of, run_through};
use crate::workspace::Workspace;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// How many signals a node relays, beside a bare echo of as many bytes, and what an idle connection costs.
    Signalling(Options),
    /// How many page views the simulator does in a second, for more and more of them.
    Simulation,
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
    let binary = build::command(workspace, Profile::Release)?;
    let Bench::Signalling(options) = bench else { return simulation(&binary) };
    let mut load = Command::new(binary);
    load.args(["load", "signalling"]);
    if options.json {
        load.arg("--json");
    }
    run_through("measure signalling", &mut load)
}

/// Page views that the simulator is measured with.
const PAGE_VIEWS: [u64; 4] = [10_000, 20_000, 40_000, 80_000];

/// Prints a table of how long the simulator takes for more and more page views.
fn simulation(binary: &Path) -> Result<()> {
    println!("| page views | seconds | page views a second | events | peak memory |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for page_views in PAGE_VIEWS {
        let mut sim = Command::new(binary);
        sim.args(["sim", "--seed", "7", "--json", "--until-page-views", &page_views.to_string()]);
        let line = output_of(&mut sim).context("the simulator failed")?;
        let figure = |name: &str| {
            let value = line.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
            value.split([',', '}']).next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN)
        };
        println!(
            "| {:.0} | {:.1} | {:.0} | {:.1} million | {:.0} MB |",
            figure("page_views"),
            figure("wall_s"),
            figure("page_views_per_s"),
            figure("events") / 1e6,
            figure("peak_rss_bytes") / 1e6,
        );
    }
    Ok(())
}
