//! The mesh at work: a node before a site whose origin is far away, and visitors who look at it.

mod node;
mod pictures;
mod site;
mod table;
mod visitors;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use edgeweave_origin::Origin;

use crate::build::{self, Profile};
use crate::demo::node::Node;
use crate::demo::visitors::{Told, Visitors};
use crate::setup;
use crate::workspace::Workspace;

/// Visitors that `--once` has when their number is not given: the third is the first that finds everything in the mesh.
const VISITORS_ONCE: u32 = 3;
/// Pages that each visitor looks at, or fewer where the site has fewer.
const PAGES: u32 = 4;
/// How often the live table is drawn.
const TABLE_PERIOD: Duration = Duration::from_secs(1);

/// How to show it.
#[derive(Args)]
pub(crate) struct Options {
    /// Headless Chromium visitors to send [default: none, or 3 with --once].
    #[arg(long, value_name = "N")]
    visitors: Option<u32>,
    /// The site: a folder, or the URL of an origin. A bundled one when not given.
    #[arg(long, value_name = "DIR_OR_URL")]
    site: Option<String>,
    /// End when the visitors have seen everything.
    #[arg(long)]
    once: bool,
    /// With --once: print one JSON object on standard output.
    #[arg(long, requires = "once")]
    json: bool,
    /// Milliseconds by which the origin is late with each answer (not for a --site that is a URL).
    #[arg(long, default_value_t = 120)]
    origin_delay_ms: u64,
    /// Megabits a second that the origin has for everybody (not for a --site that is a URL).
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    origin_rate_mbit: f64,
    /// The node's address [default: 127.0.0.1:8080, or a free port with --once].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// What requests prefer when both the mesh and the origin could answer: `speed` or `offload`.
    #[arg(long, default_value = "offload", value_parser = ["speed", "offload"])]
    prefer: String,
    /// With `--prefer offload`: milliseconds by which the mesh may be later than the origin.
    #[arg(long, default_value_t = 5000)]
    patience_ms: u32,
    /// Let the node be no supernode. It gives what no neighbour gives, from a folder that is gone with the demo.
    #[arg(long)]
    no_supernode: bool,
    /// Build the node with optimisations; it takes longer to start, and shows the same.
    #[arg(long)]
    release: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0).ok_or("not above 0".into())
}

/// Shows it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let stop = stop_on_ctrl_c()?;
    let count = options.visitors.unwrap_or(if options.once { VISITORS_ONCE } else { 0 });
    let chromium = if count > 0 { Some(setup::chromium()?) } else { None };
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    let binary = build::command(workspace, profile)?;

    let origin = origin_of(workspace, options)?;
    let node = Node::start(&binary, &origin, options)?;
    eprintln!("✓ the site is at {}", node.url());

    let mut visitors = match chromium {
        Some(chromium) => Some(Visitors::send(workspace, &chromium, &node.url(), &origin, count, PAGES)?),
        None => None,
    };
    if options.once {
        let Some(visitors) = &mut visitors else {
            bail!("--once needs visitors: give --visitors at least 1")
        };
        return once(visitors, options, &stop);
    }
    watch(&node, visitors.as_mut(), &stop)?;
    Ok(ExitCode::SUCCESS)
}

/// Set when the person at the terminal has seen enough. Children are in process groups of their own, so that Ctrl-C
/// does not reach them: whoever owns one ends it.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
    Ok(stop)
}

/// The origin's URL; unless it is somebody else's, the origin is started here.
fn origin_of(workspace: &Workspace, options: &Options) -> Result<String> {
    let folder = match &options.site {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            eprintln!("  the origin is {url}, as far away as it is");
            return Ok(url.clone());
        }
        Some(folder) => {
            let folder = PathBuf::from(folder);
            if !folder.is_dir() {
                bail!("--site {} is neither a folder nor a URL with http:// or https://", folder.display());
            }
            folder
        }
        None => site::write(workspace)?,
    };
    let delay = Duration::from_millis(options.origin_delay_ms);
    let rate = options.origin_rate_mbit * 1e6;
    let address = Origin { delay, bits_per_second: Some(rate), ..Origin::new(folder) }
        .serve((Ipv4Addr::LOCALHOST, 0).into())
        .context("cannot listen on 127.0.0.1 for the demo's origin")?;
    eprintln!(
        "✓ the origin answers {} ms late, at {} Mbit/s in all",
        options.origin_delay_ms, options.origin_rate_mbit
    );
    Ok(format!("http://{address}"))
}

/// Waits for the visitors, and says what came of it.
fn once(visitors: &mut Visitors, options: &Options, stop: &AtomicBool) -> Result<ExitCode> {
    let mut visits = Vec::new();
    loop {
        if stop.load(Ordering::Relaxed) {
            bail!("stopped");
        }
        match visitors.next(TABLE_PERIOD)? {
            Some(Told::Progress { visitor, doing }) => eprintln!("  visitor {visitor} {doing}"),
            Some(Told::Visit(visit)) => {
                eprintln!("  {}", table::visit_line(&visit));
                visits.push(visit);
            }
            Some(Told::Done) => break,
            None => {}
        }
    }
    let offload = visitors::offload(&visits);
    if options.json {
        println!("{}", serde_json::json!({ "visits": visits, "offload": offload }));
    } else {
        println!(
            "{:.1} % of the bytes under a worker's control did not come from the origin",
            offload * 100.0
        );
    }
    let flawless = visits.iter().all(|visit| visit.mismatched == 0);
    Ok(if flawless { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows what is going on until Ctrl-C.
fn watch(node: &Node, mut visitors: Option<&mut Visitors>, stop: &AtomicBool) -> Result<()> {
    eprintln!("  open {} in two browsers or more; Ctrl-C ends it", node.url());
    let mut table = table::Table::new();
    while !stop.load(Ordering::Relaxed) {
        node.check()?;
        match visitors.as_mut().map(|visitors| visitors.next(TABLE_PERIOD)).transpose()?.flatten() {
            Some(Told::Progress { visitor, doing }) => table.note(format!("visitor {visitor} {doing}")),
            Some(Told::Visit(visit)) => table.note(table::visit_line(&visit)),
            Some(Told::Done) => {
                table.note("all visitors have seen everything; they stay, and serve".into());
                visitors = None;
            }
            None => std::thread::sleep(if visitors.is_some() { Duration::ZERO } else { TABLE_PERIOD }),
        }
        table.draw(&node.figures());
    }
    Ok(())
}
