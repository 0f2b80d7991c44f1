//! One run of the lab, from the namespaces to the figures.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::addresses::{NODE, NODE_PORT, ORIGIN, private_address, public_address};
use crate::namespace::{self, Namespace};
use crate::network::{Home, Host, Network, Ways};
use crate::origin::WORDS;
use crate::plan::{self, PersonPlan, Plan};
use crate::processes::{Process, announcing};
use crate::requirements;
use crate::router::Router;
use crate::settings::Settings;
use crate::site::Site;
use crate::summary::Summary;
use crate::told::{CostTold, FromVisitors, Request, ToVisitors, Truths};
use crate::visits::{Place, Tour};
use crate::{node, visits::Visited};

/// How long the origin may take to start.
const START: Duration = Duration::from_secs(10);
/// How long looking at what the site is made of may take.
const CRAWL: Duration = Duration::from_secs(300);
/// How long measuring the client's cost may take.
const COST: Duration = Duration::from_secs(120);
/// Loads for the client's cost, half of them without it.
const COST_LOADS: usize = 6;
/// How long nothing may be said before it is looked whether the run is to end.
const LOOK: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Args)]
pub(crate) struct Options {
    /// The site: a folder.
    #[arg(long, value_name = "DIR_OR_URL")]
    site: String,
    /// Visits, of one page or several each.
    #[arg(long, default_value_t = 40, value_name = "N")]
    visits: usize,
    /// What is emulated: a TOML file [default: docs/lab.md says what].
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Of all that is drawn but who is in the holdout, which browsers draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Browsers at a time.
    #[arg(long, default_value_t = 5, value_name = "N")]
    browsers: usize,
    /// Pages of the site that are visited, at most.
    #[arg(long, default_value_t = 60, value_name = "N")]
    pages: usize,
    /// Of 100 visitors, so many are in the holdout; clients draw it.
    #[arg(long, default_value_t = 50, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=50))]
    holdout_percent: u32,
    /// What the origin says of how long its assets may be kept.
    #[arg(long, default_value = "public, max-age=3600", value_name = "VALUE")]
    cache_control: String,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Write every page view as JSON lines, too.
    #[arg(long, value_name = "FILE")]
    views: Option<PathBuf>,
    /// Write what the site is made of, for `site_file` of a scenario.
    #[arg(long, value_name = "FILE")]
    site_file: Option<PathBuf>,
    /// The built command `edgeweave`.
    #[arg(long, hide = true)]
    edgeweave: PathBuf,
    /// Node.js.
    #[arg(long, hide = true)]
    node: PathBuf,
    /// Chromium.
    #[arg(long, hide = true)]
    chromium: PathBuf,
    /// The checkout, for the driver of browsers.
    #[arg(long, hide = true)]
    checkout: PathBuf,
}

/// Does it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    requirements::check()?;
    let stop = stop_on_signals()?;
    let mut settings = settings(options)?;
    settings.policy.holdout_percent = options.holdout_percent;
    let site_folder = PathBuf::from(&options.site);
    if !site_folder.is_dir() {
        bail!("--site {} is no folder", options.site);
    }
    namespace::remove_stale();

    let lab = Lab::set_up(options, &settings, &site_folder)?;
    let outcome = lab.run(options, &settings, &site_folder, &stop)?;
    drop(lab);
    if options.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    }
    Ok(if outcome.mismatched == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn settings(options: &Options) -> Result<Settings> {
    let Some(path) = &options.scenario else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is no scenario", path.display()))
}

/// Set when whoever started this has seen enough. Children are in process groups of their own, so that they do not hear of
/// it: whoever owns one ends it.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
    Ok(stop)
}

/// The emulated network with everybody on it. Fields are dropped in their order: processes before the namespaces that they
/// are in, and those before the router.
struct Lab {
    visitors: std::cell::RefCell<Process>,
    origin: std::cell::RefCell<Process>,
    node: std::cell::RefCell<Process>,
    /// Chromium where the origin is: it finds the site without any way between.
    near_chromium: String,
    places: Vec<Place>,
    _namespaces: Vec<Namespace>,
    router: Router,
    folder: tempfile::TempDir,
}

impl Lab {
    fn set_up(options: &Options, settings: &Settings, site: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("edgeweave-lab-").tempdir()?;
        let mut devices = Vec::new();
        let mut namespaces = Vec::new();
        let mut add = |short: &str, host, address| -> Result<usize> {
            let (namespace, device) = Namespace::create(short, address)?;
            devices.push((host, device));
            namespaces.push(namespace);
            Ok(namespaces.len() - 1)
        };
        let at_origin = add("o", Host::Origin, ORIGIN)?;
        let at_node = add("n", Host::Node, NODE)?;
        let homes: Vec<_> = (0..options.browsers)
            .map(|place| add(&place.to_string(), Host::Place(place), private_address(place)))
            .collect::<Result<_>>()?;
        let network = Network::new(ways(settings), ORIGIN, NODE, options.seed);
        let router = Router::start(network, devices)?;

        let (origin_url, node_url) = (origin_url(), node_url());
        let mut command = namespaces[at_origin].command(std::env::current_exe()?);
        command.args(["origin", "--folder"]).arg(site);
        command.args(["--listen", &format!("{ORIGIN}:80"), "--node", &node_url]);
        command.args(["--cache-control", &options.cache_control]);
        let mut origin = announcing("the origin", &mut command)?;
        let _: Request = origin.first(START)?;
        let listen = format!("{NODE}:{NODE_PORT}");
        let node = node::start(
            &options.edgeweave,
            &namespaces[at_node],
            folder.path(),
            &listen,
            &origin_url,
            &settings.policy,
        )?;

        let chromium = |namespace: &Namespace| -> Result<String> {
            Ok(namespace.wrapper(folder.path(), &options.chromium)?.display().to_string())
        };
        let near_chromium = chromium(&namespaces[at_origin])?;
        let places = homes.iter().map(|home| Ok(Place { chromium: chromium(&namespaces[*home])? }));
        let places = places.collect::<Result<_>>()?;
        let told = serde_json::json!({
            "origin": format!("{origin_url}/"),
            "secure": [origin_url, node_url],
            "plain": edgeweave_origin::PLAIN,
            "client": options.checkout.join("client/package.json"),
        });
        let mut command = Command::new(&options.node);
        command.arg(options.checkout.join("lab/visitors.mjs")).arg(told.to_string());
        let visitors = Process::start("the visitors' driver", &mut command)?;
        Ok(Self {
            visitors: visitors.into(),
            origin: origin.into(),
            node: node.into(),
            near_chromium,
            places,
            _namespaces: namespaces,
            router,
            folder,
        })
    }

    fn run(
        &self,
        options: &Options,
        settings: &Settings,
        folder: &Path,
        stop: &AtomicBool,
    ) -> Result<Summary> {
        let site = self.crawl(options, stop)?;
        if let Some(path) = &options.site_file {
            std::fs::write(path, serde_json::to_string_pretty(&site)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let plan = plan::plan(settings, &site, options.visits, options.seed);
        let views: usize = plan.visits.iter().map(|visit| visit.views.len()).sum();
        eprintln!(
            "✓ the site has {} pages and {} assets; {} people make {} visits with {views} page views",
            site.pages.len(),
            site.assets.len(),
            plan.people.len(),
            plan.visits.len()
        );
        let cost = self.cost(stop)?;
        let visited = self.tour(&site, &plan, stop)?;
        if let Some(path) = &options.views {
            write_views(path, &visited)?;
        }
        Ok(Summary::of(&visited, &truths(folder, &site), cost.as_ref()))
    }

    /// Has a browser look at what the site is made of.
    fn crawl(&self, options: &Options, stop: &AtomicBool) -> Result<Site> {
        let profile = self.folder.path().join("crawl");
        self.visitors.borrow_mut().tell(&ToVisitors::Crawl {
            profile: &profile.display().to_string(),
            chromium: &self.near_chromium,
            from: &format!("{}/", origin_url()),
            pages: options.pages,
        })?;
        let site = match self.wait_for("looking at the site", CRAWL, stop)? {
            FromVisitors::Crawled(site) => site,
            other => bail!("the site cannot be looked at: {other:?}"),
        };
        if site.pages.is_empty() {
            bail!("{} has no page at /: is there an index.html?", options.site);
        }
        Ok(site)
    }

    /// Measures what the client costs on a page that it cannot help; nothing when the run is to end.
    fn cost(&self, stop: &AtomicBool) -> Result<Option<CostTold>> {
        let Some(place) = self.places.first() else { return Ok(None) };
        let profiles = (0..COST_LOADS).map(|load| self.folder.path().join(format!("cost-{load}")));
        let everyday = PersonPlan {
            one_way_ms: 10.0,
            down_bytes_per_s: 4_000_000,
            up_bytes_per_s: 4_000_000,
            nat: crate::nat::NatKind::FullCone,
        };
        self.router.move_in(
            0,
            Home {
                private: private_address(0),
                // The last of all addresses: whoever comes first to it has many visitors.
                public: public_address(62_499),
                nat: everyday.nat,
                one_way: Duration::from_secs_f64(everyday.one_way_ms / 1e3),
                up_bits_per_second: everyday.up_bytes_per_s * 8,
                down_bits_per_second: everyday.down_bytes_per_s * 8,
            },
        );
        self.visitors.borrow_mut().tell(&ToVisitors::Cost {
            profiles: profiles.map(|profile| profile.display().to_string()).collect(),
            chromium: &place.chromium,
            url: &format!("{}{WORDS}", origin_url()),
        })?;
        match self.wait_for("measuring the client's cost", COST, stop)? {
            FromVisitors::Cost(cost) => Ok(Some(cost)),
            other => bail!("the client's cost cannot be measured: {other:?}"),
        }
    }

    fn wait_for(&self, what: &str, patience: Duration, stop: &AtomicBool) -> Result<FromVisitors> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if stop.load(Ordering::Relaxed) {
                bail!("stopped while {what}");
            }
            if let Some(told) = self.visitors.borrow_mut().next(LOOK)? {
                return Ok(told);
            }
        }
        bail!("{what} takes more than {} s", patience.as_secs())
    }

    fn tour(&self, site: &Site, plan: &Plan, stop: &AtomicBool) -> Result<Visited> {
        let bar = ProgressBar::new(plan.visits.len() as u64);
        bar.set_style(ProgressStyle::with_template(
            "{bar:40} {pos} of {len} visits ({elapsed}, {eta} to go)",
        )?);
        let tour = Tour {
            plan,
            site,
            places: &self.places,
            router: &self.router,
            visitors: &mut self.visitors.borrow_mut(),
            origin: &mut self.origin.borrow_mut(),
            node_address: NODE,
            profiles: self.folder.path().join("profiles"),
            stop,
        };
        let began = Instant::now();
        let visited = tour.run(|done| {
            bar.set_position(done as u64);
            if bar.is_hidden() && done % 10 == 0 {
                eprintln!(
                    "  {done} of {} visits ({:.0} s)",
                    plan.visits.len(),
                    began.elapsed().as_secs_f64()
                );
            }
            let _ = &self.node;
        })?;
        bar.finish_and_clear();
        Ok(visited)
    }
}

fn ways(settings: &Settings) -> Ways {
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let network = &settings.network;
    Ways {
        origin_round_trip: ms(network.origin_ms),
        node_round_trip: ms(network.node_ms),
        jitter: ms(network.jitter_ms),
        loss: network.loss,
        origin_bits_per_second: (network.origin_mbit_s * 1e6) as u64,
    }
}

fn origin_url() -> String {
    format!("http://{ORIGIN}")
}

fn node_url() -> String {
    format!("http://{NODE}:{NODE_PORT}")
}

/// What the origin's files say that pages should get.
fn truths(folder: &Path, site: &Site) -> Truths {
    let base = format!("{}/", origin_url());
    let truth = |url: &str| {
        let path = url.strip_prefix(&base)?.split(['?', '#']).next()?;
        let found = edgeweave_origin::content(folder, path)?;
        Some((url.to_owned(), hex(&Sha256::digest(&found.body))))
    };
    site.assets.iter().filter_map(|asset| truth(&asset.url)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_views(path: &Path, visited: &Visited) -> Result<()> {
    let mut text = String::new();
    for view in &visited.views {
        let told = &view.told;
        let line = serde_json::json!({
            "person": view.person, "position": view.position, "visit": told.visit, "index": told.index, "url": told.url,
            "began_ms": told.began_ms, "load_ms": told.load_ms, "first_byte_ms": told.first_byte_ms, "off": told.off,
            "controlled": told.controlled, "connected": told.connected, "neighbours": told.neighbours,
            "uploaded": told.uploaded, "replicated": told.replicated, "bytes": told.bytes, "requests": told.requests,
            "from_origin": view.from_origin, "documents": view.documents, "errors": told.errors,
            "resources": told.resources.iter().map(|r| serde_json::json!([r.url, r.kind, r.start_ms, r.first_byte_ms, r.end_ms, r.bytes, r.transferred])).collect::<Vec<_>>(),
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
