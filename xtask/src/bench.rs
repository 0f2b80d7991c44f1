//! Measurements. The command itself carries the load generators; a task builds it with optimisations and runs them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::build::{self, Profile};
use crate::setup::{self, Node};
use crate::step::{Step, output_of, run_through};
use crate::workspace::Workspace;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// How many signals a node relays, beside a bare echo of as many bytes, and what an idle connection costs.
    Signalling(Options),
    /// How quick transfers are between real browsers and from the supernode, beside a bare data channel, and how many round
    /// trips it takes to meet a neighbour.
    Transfer(TransferOptions),
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

/// What to transfer, and how to print it.
#[derive(Args)]
pub(crate) struct TransferOptions {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The size of what is transferred, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=128))]
    mib: u32,
    /// How often each is measured, in turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Measures.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    let binary = build::command(workspace, Profile::Release)?;
    match bench {
        Bench::Signalling(options) => signalling(&binary, options),
        Bench::Transfer(options) => transfer(workspace, &binary, options),
        Bench::Simulation => simulation(&binary),
    }
}

fn signalling(binary: &Path, options: &Options) -> Result<()> {
    let mut load = Command::new(binary);
    load.args(["load", "signalling"]);
    if options.json {
        load.arg("--json");
    }
    run_through("measure signalling", &mut load)
}

/// What the browsers say while they are measured.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Progress(String),
    Measured(serde_json::Map<String, serde_json::Value>),
}

/// Prints what came of transfers between browsers, and of meetings in virtual time.
fn transfer(workspace: &Workspace, binary: &Path, options: &TransferOptions) -> Result<()> {
    let node = setup::node(workspace)?;
    let chromium = setup::chromium()?;
    let mut measured = transfers(workspace, &node, &chromium, binary, options)?;
    let line = output_of(Command::new(binary).args(["load", "meeting", "--json"]));
    let meeting: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&line.context("the meeting of two peers failed")?)?;
    measured.extend(meeting);
    if options.json {
        println!("{}", serde_json::Value::Object(measured));
        return Ok(());
    }
    println!("| figure | |");
    println!("| --- | ---: |");
    for (name, value) in measured.iter().filter(|(_, value)| value.is_number()) {
        println!("| {name} | {:.2} |", value.as_f64().unwrap_or(f64::NAN));
    }
    Ok(())
}

fn transfers(
    workspace: &Workspace,
    node: &Node,
    chromium: &Path,
    binary: &Path,
    options: &TransferOptions,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let step = Step::begin("measure transfers");
    let words = serde_json::json!({ "mib": options.mib, "rounds": options.rounds });
    let mut child = node
        .command()
        .arg(workspace.client().join("test/bundle.mjs"))
        .arg("transfer.ts")
        .arg(words.to_string())
        .env("EDGEWEAVE", binary)
        .env("CHROMIUM", chromium)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the browsers")?;
    let mut measured = None;
    for line in BufReader::new(child.stdout.take().context("there is no output")?).lines() {
        match serde_json::from_str(&line?)? {
            Told::Progress(what) => step.say(what),
            Told::Measured(figures) => measured = Some(figures),
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cannot measure transfers: {status}");
    }
    step.done();
    measured.context("the browsers ended without a figure")
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
