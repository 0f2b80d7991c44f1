//! `edgeweave sim`: the brains under a virtual clock, from flags or a scenario file.

mod report;
mod violation;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Args, ValueEnum};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use edgeweave_protocol::policy::Prefer;
use edgeweave_sim::{Baseline, Control, Fault, Loads, Outcome, Scenario, Without};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::report::ReportFile;
use crate::failure::Failure;

/// A terabyte: what the default scenario goes on for.
const TERABYTE: u64 = 1_000_000_000_000;

/// What to simulate. Flags win over the scenario's file.
#[derive(Args)]
pub(crate) struct Options {
    /// A scenario in TOML; docs/simulation.md describes its keys.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Show a scenario step by step, until a law is violated.
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    replay: Option<PathBuf>,
    /// Networks that visitors come from.
    #[arg(long, value_name = "N")]
    networks: Option<usize>,
    /// Countries that the networks are in.
    #[arg(long, value_name = "N")]
    countries: Option<usize>,
    /// People who come to the site; with this the simulation goes on to the end of its days.
    #[arg(long, value_name = "N")]
    visitors: Option<u32>,
    /// Days over which they come.
    #[arg(long, value_name = "DAYS")]
    days: Option<f64>,
    /// The seed of everything that is drawn.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// What goes wrong: none, all, or names with commas between them (docs/simulation.md#faults).
    #[arg(long, value_name = "LIST", value_parser = Fault::parse_list)]
    faults: Option<BTreeSet<Fault>>,
    /// The share of visitors whose browsers are hostile peers, where there are such, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    hostile_share: Option<f64>,
    /// End when so many bytes have been kept off the origin.
    #[arg(long, value_name = "BYTES")]
    until_offloaded_bytes: Option<u64>,
    /// End after so many page views.
    #[arg(long, value_name = "N")]
    until_page_views: Option<u64>,
    /// What pages prefer, and what is left out: speed, offload, random-neighbours, no-hedging, no-replication,
    /// no-prefetch, no-supernodes, with commas between them.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    policy: Vec<Way>,
    /// Page views over which the policies are compared with simpler ones; zero compares nothing. By default the usual
    /// scenario is compared, and no other.
    #[arg(long, value_name = "N")]
    baselines: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write what came of it as a page of HTML, with plots; what the file had is lost.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// A way to run the mesh.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Speed,
    Offload,
    RandomNeighbours,
    NoHedging,
    NoReplication,
    NoPrefetch,
    NoSupernodes,
}

impl Way {
    fn apply(self, scenario: &mut Scenario) {
        match self {
            Self::Speed => scenario.policy.prefer = Prefer::Speed,
            Self::Offload => scenario.policy.prefer = Prefer::Offload,
            Self::RandomNeighbours => Without::Ranking.apply(scenario),
            Self::NoHedging => Without::Hedging.apply(scenario),
            Self::NoReplication => Without::Replication.apply(scenario),
            Self::NoPrefetch => Without::Prefetch.apply(scenario),
            Self::NoSupernodes => Without::Supernodes.apply(scenario),
        }
    }
}

/// What is printed: the outcome, and what it took.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    baselines: &'a [Baseline],
    wall_s: f64,
    page_views_per_s: f64,
    peak_rss_bytes: Option<u64>,
}

/// Simulates it.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(file) = &options.replay {
        return violation::replay(read(file)?);
    }
    let scenario = scenario(options)?;
    let report = options.report.as_deref().map(ReportFile::open).transpose()?;
    let bar = progress_bar();
    let stop = interrupted()?;
    let start = Instant::now();
    let outcome = edgeweave_sim::run(scenario.clone(), |progress| {
        bar.set_position((progress.done * 1000.0) as u64);
        bar.set_message(format!(
            "{} page views, {:.0} a second, {} people present",
            progress.page_views,
            progress.page_views as f64 / start.elapsed().as_secs_f64(),
            progress.present
        ));
        if stop.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    });
    bar.finish_and_clear();
    let outcome = outcome.map_err(|error| Failure::usage(error.to_string()).with_way_out(SEE))?;
    let wall_s = start.elapsed().as_secs_f64();
    let baselines = baselines(options, &scenario, stop)?;
    let page_views_per_s = outcome.summary.page_views as f64 / wall_s;
    if options.json {
        let printed = Printed {
            outcome: &outcome,
            baselines: &baselines,
            wall_s,
            page_views_per_s,
            peak_rss_bytes: peak_rss_bytes(),
        };
        let line = serde_json::to_string(&printed).map_err(|error| Failure::other(error.to_string()))?;
        println!("{line}");
    } else {
        println!("{}", table(&outcome));
        if !baselines.is_empty() {
            println!("{}", compared(&baselines));
        }
        println!(
            "{wall_s:.1} s, {page_views_per_s:.0} page views a second, event hash {}",
            outcome.event_hash
        );
    }
    if let Some(report) = report {
        report.write(&scenario, &outcome, &baselines)?;
    }
    if outcome.laws.violations == 0 {
        return Ok(());
    }
    Err(violation::explain(&scenario, &outcome))
}

/// Page views over which the usual scenario's policies are compared.
const COMPARED: u64 = 4_000;

/// The same visits under simpler policies, as far as is asked for.
fn baselines(options: &Options, scenario: &Scenario, stop: &AtomicBool) -> Result<Vec<Baseline>, Failure> {
    let usual =
        options.scenario.is_none() && options.visitors.is_none() && options.until_page_views.is_none();
    let page_views = options.baselines.unwrap_or(if usual { COMPARED } else { 0 });
    if page_views == 0 {
        return Ok(Vec::new());
    }
    let bar = progress_bar();
    let rows = edgeweave_sim::baselines(scenario, page_views, |progress| {
        bar.set_position((progress.done * 1000.0) as u64);
        bar.set_message("simpler policies");
        if stop.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    });
    bar.finish_and_clear();
    rows.map_err(|error| Failure::usage(error.to_string()).with_way_out(SEE))
}

/// The way out of a scenario that means nothing.
const SEE: &str = "see docs/simulation.md#scenarios for the keys and what they take";

fn scenario(options: &Options) -> Result<Scenario, Failure> {
    let mut scenario = match &options.scenario {
        Some(file) => read(file)?,
        None => Scenario {
            until_offloaded_bytes: if options.visitors.is_some() { 0 } else { TERABYTE },
            visitors: DEFAULT_VISITORS,
            days: DEFAULT_DAYS,
            ..Scenario::default()
        },
    };
    scenario.networks = options.networks.unwrap_or(scenario.networks);
    scenario.countries = options.countries.unwrap_or(scenario.countries);
    scenario.visitors = options.visitors.unwrap_or(scenario.visitors);
    scenario.days = options.days.unwrap_or(scenario.days);
    scenario.until_page_views = options.until_page_views.unwrap_or(scenario.until_page_views);
    options.policy.iter().for_each(|way| way.apply(&mut scenario));
    scenario.faults = options.faults.clone().unwrap_or(scenario.faults);
    scenario.hostile_share = options.hostile_share.unwrap_or(scenario.hostile_share);
    scenario.seed = options.seed.unwrap_or(scenario.seed);
    scenario.until_offloaded_bytes = options.until_offloaded_bytes.unwrap_or(scenario.until_offloaded_bytes);
    Ok(scenario)
}

fn read(file: &Path) -> Result<Scenario, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read the scenario {name}: {error}")))?;
    let wrong = |error| Failure::usage(format!("{name}: {error}")).with_way_out(SEE);
    Scenario::parse(&text).map_err(wrong)
}

/// As many as a terabyte takes, and some more.
const DEFAULT_VISITORS: u32 = 250_000;
const DEFAULT_DAYS: f64 = 7.0;

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta} left");
    ProgressBar::new(1000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Becomes true when the simulation is interrupted; the second time ends the process as ever.
fn interrupted() -> Result<&'static AtomicBool, Failure> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let cannot = |error| Failure::other(format!("cannot listen for interrupts: {error}"));
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|error| cannot(error.to_string()))?;
    Ok(&STOP)
}

/// The most memory that this process has had, where the system tells.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn table(outcome: &Outcome) -> Table {
    let summary = &outcome.summary;
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["", "without the mesh", "with it"]);
    let ms = |ms: f64| format!("{ms:.0} ms");
    let mut loads = |name: &str, holdout: &Loads, mesh: &Loads| {
        table.add_row([format!("{name}, mean"), ms(holdout.mean_ms), change(mesh.mean_ms, holdout.mean_ms)]);
        table.add_row([format!("{name}, median"), ms(holdout.p50_ms), change(mesh.p50_ms, holdout.p50_ms)]);
        table.add_row([
            format!("{name}, 95 of 100"),
            ms(holdout.p95_ms),
            change(mesh.p95_ms, holdout.p95_ms),
        ]);
    };
    loads("page load", &summary.page_load.holdout, &summary.page_load.mesh);
    loads("first visit", &summary.first_visit.holdout, &summary.first_visit.mesh);
    let taking_part = &summary.taking_part;
    if taking_part.mesh.page_load.n < summary.page_load.mesh.n {
        loads("taking part", &taking_part.holdout.page_load, &taking_part.mesh.page_load);
    }
    let gigabytes = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
    table.add_row([
        "from the origin".into(),
        gigabytes(summary.holdout_origin_bytes),
        gigabytes(summary.bytes.origin),
    ]);
    table.add_row(["from the secondary cache".into(), String::new(), gigabytes(summary.bytes.cache)]);
    table.add_row(["from peers".into(), String::new(), gigabytes(summary.bytes.peers)]);
    table.add_row(["from supernodes".into(), String::new(), gigabytes(summary.bytes.supernode)]);
    let share = |share: f64| format!("{:.1} %", share * 100.0);
    table.add_row([
        "offload under control; the oracle's".into(),
        share(summary.oracle_offload),
        share(summary.offload),
    ]);
    table.add_row([
        "offload of all; the oracle's".into(),
        share(summary.oracle_offload_all),
        share(summary.offload_all),
    ]);
    table.add_row([
        "laws checked; violated".into(),
        outcome.laws.checks.to_string(),
        outcome.laws.violations.to_string(),
    ]);
    table
}

/// The mesh among simpler ways to run the site.
fn compared(rows: &[Baseline]) -> Table {
    let mut table = Table::new();
    let views = rows.first().map_or(0, |row| row.page_views);
    let heading = format!("the first {views} page views");
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([&heading, "offload", "of all", "page load, mean"]);
    let share = |share: f64| format!("{:.1} %", share * 100.0);
    for row in rows {
        let load = row.mean_ms.zip(row.change_mean);
        let load =
            load.map_or(String::new(), |(mean, change)| format!("{mean:.0} ms ({:+.1} %)", change * 100.0));
        table.add_row([row.name.into(), share(row.offload), share(row.offload_all), load]);
    }
    table
}

fn change(mesh: f64, holdout: f64) -> String {
    format!("{mesh:.0} ms ({:+.1} %)", (mesh / holdout.max(1e-9) - 1.0) * 100.0)
}
