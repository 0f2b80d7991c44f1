//! New seeds and small worlds, one after the other, with everything going wrong, until the time is over or a law is
//! violated.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::build::{self, Profile};
use crate::workspace::Workspace;

/// How long to look.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes to go on for.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The first seed; by default the time, so that every run looks at other worlds.
    #[arg(long)]
    seed: Option<u64>,
}

/// Looks for violations.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let binary = build::command(workspace, Profile::Release)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let first = options.seed.unwrap_or(now);
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut worlds = 0;
    while Instant::now() < end {
        let seed = first + worlds;
        bar.set_message(format!("world {seed}: {worlds} without a violation"));
        bar.tick();
        let output = Command::new(&binary).args(world(seed)).output().context("cannot run the simulator")?;
        if !output.status.success() {
            bar.finish_and_clear();
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            bail!("world {seed}: `edgeweave {}` found a violation", world(seed).join(" "));
        }
        worlds += 1;
    }
    bar.finish_and_clear();
    println!("{worlds} worlds from seed {first} on, and no violation");
    Ok(())
}

/// A small world: its size, its hostile share and what pages prefer follow from the seed.
fn world(seed: u64) -> Vec<String> {
    let policy = if seed.is_multiple_of(2) { "offload" } else { "speed" };
    let words = format!(
        "sim --json --seed {seed} --countries {} --networks {} --visitors {} --days {} --faults all --hostile-share {} --policy {policy}",
        1 + seed % 7,
        10 + seed % 31,
        40 + seed % 113,
        0.02 + (seed % 5) as f64 * 0.01,
        (seed % 4) as f64 / 10.0,
    );
    words.split(' ').map(String::from).collect()
}
