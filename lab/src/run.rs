//! One run of the lab, from the namespaces to the figures.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use edgeweave_sim::{GivenNetwork, GivenSite, Nat, Plan, Scenario};
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use url::Url;

use crate::addresses::{NODE, NODE_PORT, ORIGIN, private_address, public_address};
use crate::content::Content;
use crate::figures::Arms;
use crate::namespace::{self, Namespace};
use crate::network::{Home, Host, Network, Ways};
use crate::origin::{PLAIN_WORDS, WORDS};
use crate::processes::{Process, announcing};
use crate::router::Router;
use crate::site::Site;
use crate::summary::{Summary, arms};
use crate::told::{Browser, CostTold, CostUrls, FromVisitors, Request, ToVisitors, Truths};
use crate::visits::{Place, Tour};
use crate::{node, visits::Visited};
use crate::{report, requirements, scenario, simulation};

/// How long the origin may take to start.
const START: Duration = Duration::from_secs(10);
/// How long looking at what the site is made of may take.
const CRAWL: Duration = Duration::from_secs(300);
/// How long measuring the client's cost may take.
const COST: Duration = Duration::from_secs(300);
/// The connection there, each way.
const COST_BITS_PER_SECOND: u64 = 32_000_000;
/// Profiles for measuring it, more than are used: some clients are drawn into the holdout, and are no measure.
const COST_PROFILES: usize = 40;
/// How long nothing may be said before it is looked whether the run is to end.
const LOOK: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Args)]
pub(crate) struct Options {
    /// The site: a folder, or the URL of a site on the Internet, which is copied first.
    #[arg(long, value_name = "DIR_OR_URL")]
    site: String,
    /// Visits, of one page or several each.
    #[arg(long, default_value_t = 40, value_name = "N")]
    visits: u64,
    /// What is emulated: a TOML file [default: docs/lab.md says what].
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Of all that is drawn but who is in the holdout, which browsers draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Browsers at a time [default: two for each processor, and one more].
    #[arg(long, value_name = "N", default_value_t = browsers(), hide_default_value = true)]
    browsers: usize,
    /// Pages of the site that are visited, at most.
    #[arg(long, default_value_t = 60, value_name = "N")]
    pages: usize,
    /// Of 100 visitors, so many are in the holdout; clients draw it.
    #[arg(long, default_value_t = 50, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=50))]
    holdout_percent: u32,
    /// Of 100 visitors, so many use Firefox.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    firefox_percent: u32,
    /// What the origin says of how long its assets may be kept.
    #[arg(long, default_value = "public, max-age=3600", value_name = "VALUE")]
    cache_control: String,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Write what came of it as a page of HTML.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Do not ask the simulator what it expects.
    #[arg(long)]
    no_sim: bool,
    /// Do not measure what the client costs on a page that it cannot help.
    #[arg(long)]
    no_cost: bool,
    /// Write every page view as JSON lines, too.
    #[arg(long, value_name = "FILE")]
    views: Option<PathBuf>,
    /// Write what the site is made of, as `[given_site]` of a scenario.
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
    /// Firefox.
    #[arg(long, hide = true)]
    firefox: Option<PathBuf>,
    /// The checkout, for the driver of browsers.
    #[arg(long, hide = true)]
    checkout: PathBuf,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Browsers that this machine can have at a time without being busy all the time: visitors read much more than they load.
fn browsers() -> usize {
    2 * processors() + 1
}

/// Does it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    requirements::check()?;
    let stop = stop_on_signals()?;
    let scenario = scenario_of(options)?;
    let is_url = options.site.starts_with("http://") || options.site.starts_with("https://");
    if options.firefox_percent > 0 && options.firefox.is_none() {
        bail!("--firefox-percent takes a Firefox: `cargo xtask lab` finds or installs one");
    }
    if !is_url && !Path::new(&options.site).is_dir() {
        bail!("--site {} is neither a folder nor a URL with http:// or https://", options.site);
    }
    namespace::remove_stale();

    let folder = tempfile::Builder::new().prefix("edgeweave-lab-").tempdir()?;
    let site = if is_url { copy_site(options, folder.path(), &stop)? } else { PathBuf::from(&options.site) };
    let mut lab = Lab::set_up(options, &scenario, &site, folder)?;
    let outcome = lab.run(options, &scenario, &Content::open(&site)?, &stop)?;
    drop(lab);
    if options.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    }
    Ok(if outcome.mismatched == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The scenario that the options come to; the site is still to be looked at.
fn scenario_of(options: &Options) -> Result<Scenario> {
    let mut scenario = match &options.scenario {
        Some(path) => scenario::read(path)?,
        None => scenario::default(),
    };
    scenario.seed = options.seed;
    scenario.visits = options.visits;
    scenario.visitors = options.visits.try_into().context("--visits is too large")?;
    scenario.policy.holdout_percent = options.holdout_percent;
    // A file without a network is about the world's.
    scenario.network.get_or_insert_with(GivenNetwork::default);
    Ok(scenario)
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
    visitors: Process,
    origin: Process,
    _node: Process,
    /// Chromium where the origin is: it finds the site without any way between.
    near_chromium: String,
    places: Vec<Place>,
    namespaces: Vec<Namespace>,
    /// Which of them the node is in.
    at_node: usize,
    router: Router,
    folder: TempDir,
}

impl Lab {
    fn set_up(options: &Options, scenario: &Scenario, site: &Path, folder: TempDir) -> Result<Self> {
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
        let network = Network::new(ways(scenario)?, ORIGIN, NODE, options.seed);
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
            scenario,
        )?;

        let wrapper = |namespace: usize, program: &Path| -> Result<String> {
            Ok(namespaces[namespace].wrapper(folder.path(), program)?.display().to_string())
        };
        let near_chromium = wrapper(at_origin, &options.chromium)?;
        let places = homes.iter().map(|home| {
            Ok(Place { chromium: wrapper(*home, &options.chromium)?, node: wrapper(*home, &options.node)? })
        });
        let places = places.collect::<Result<_>>()?;
        let visitors = driver(options, &origin_url, &node_url)?;
        Ok(Self { visitors, origin, _node: node, near_chromium, places, namespaces, at_node, router, folder })
    }

    fn run(
        &mut self,
        options: &Options,
        scenario: &Scenario,
        content: &Content,
        stop: &AtomicBool,
    ) -> Result<Summary> {
        let site = self.crawl(options, stop)?;
        let mut scenario = scenario.clone();
        let given =
            scenario.given_site.get_or_insert_with(|| site.given(scenario.site.links_per_page)).clone();
        if let Some(path) = &options.site_file {
            std::fs::write(path, toml::to_string(&given)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let plan = edgeweave_sim::plan(&scenario)?;
        let views: usize = plan.visits.iter().map(|visit| visit.views.len()).sum();
        eprintln!(
            "✓ the site has {} pages and {} assets; {} people make {} visits with {views} page views",
            given.pages.len(),
            given.assets.len(),
            plan.people.len(),
            plan.visits.len()
        );
        if scenario.warmed {
            let urls: Vec<&str> = given.assets.iter().map(|asset| asset.url.as_str()).collect();
            let refused = node::warm(&options.edgeweave, &self.namespaces[self.at_node], &node_url(), &urls)?;
            eprintln!("✓ the node has admitted {} of the assets", urls.len() - refused);
        }
        let cost = if options.no_cost { None } else { self.cost(stop)? };
        let visited = self.tour(&given, &plan, options, stop)?;
        if let Some(path) = &options.views {
            write_views(path, &visited)?;
        }
        let mut summary = Summary::of(&visited, &truths(content, &given), cost.as_ref());
        if !options.no_sim && !stop.load(Ordering::Relaxed) {
            let lab = Arms { holdout: summary.holdout, mesh: summary.mesh };
            summary.sim = Some(simulation::simulate(&scenario, &plan, &arms(&visited.views), &lab)?);
        }
        if let Some(path) = &options.report {
            report::write(path, &options.site, &summary, &visited)?;
        }
        Ok(summary)
    }

    /// Has a browser look at what the site is made of.
    fn crawl(&mut self, options: &Options, stop: &AtomicBool) -> Result<Site> {
        let profile = self.folder.path().join("crawl");
        self.visitors.tell(&ToVisitors::Crawl {
            profile: &profile.display().to_string(),
            chromium: &self.near_chromium,
            from: &format!("{}/", origin_url()),
            pages: options.pages,
            // Of those who visit at a time, most read.
            at_once: options.browsers.min(processors() + 1),
        })?;
        let site = match self.wait_for("looking at the site", CRAWL, stop)? {
            FromVisitors::Crawled(site) => site,
            other => bail!("the site cannot be looked at: {}", other.trouble()),
        };
        if site.pages.is_empty() {
            bail!("{} has no page at /: is there an index.html?", options.site);
        }
        Ok(site)
    }

    /// Measures what the client costs on a page that it cannot help; nothing when the run is to end.
    fn cost(&mut self, stop: &AtomicBool) -> Result<Option<CostTold>> {
        let Some(place) = self.places.first() else { return Ok(None) };
        let profiles = (0..COST_PROFILES).map(|load| self.folder.path().join(format!("cost-{load}")));
        self.router.move_in(
            0,
            Home {
                private: private_address(0),
                // The last of all addresses: whoever comes first to it has many visitors.
                public: public_address(62_499),
                nat: Nat::FullCone,
                one_way: Duration::from_millis(10),
                up_bits_per_second: COST_BITS_PER_SECOND,
                down_bits_per_second: COST_BITS_PER_SECOND,
            },
        );
        self.visitors.tell(&ToVisitors::Cost {
            profiles: profiles.map(|profile| profile.display().to_string()).collect(),
            chromium: &place.chromium,
            urls: CostUrls {
                client: format!("{}{WORDS}", origin_url()),
                plain: format!("{}{PLAIN_WORDS}", origin_url()),
            },
        })?;
        match self.wait_for("measuring the client's cost", COST, stop)? {
            FromVisitors::Cost(cost) => Ok(Some(cost)),
            other => bail!("the client's cost cannot be measured: {}", other.trouble()),
        }
    }

    fn wait_for(&mut self, what: &str, patience: Duration, stop: &AtomicBool) -> Result<FromVisitors> {
        wait_for(&mut self.visitors, what, patience, stop)
    }

    fn tour(
        &mut self,
        site: &GivenSite,
        plan: &Plan,
        options: &Options,
        stop: &AtomicBool,
    ) -> Result<Visited> {
        let bar = ProgressBar::new(plan.visits.len() as u64);
        bar.set_style(ProgressStyle::with_template(
            "{bar:40} {pos} of {len} visits ({elapsed}, {eta} to go)",
        )?);
        let tour = Tour {
            plan,
            site,
            url: &origin_url(),
            dice: Rng::with_seed(options.seed),
            browsers: browsers_of(plan.people.len(), options),
            places: &self.places,
            router: &self.router,
            visitors: &mut self.visitors,
            origin: &mut self.origin,
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
        })?;
        bar.finish_and_clear();
        Ok(visited)
    }
}

/// What each of so many people looks at pages with: not drawn together with anything else, so that everything else stays as
/// it is for another share.
fn browsers_of(people: usize, options: &Options) -> Vec<Browser> {
    let mut dice = Rng::with_seed(options.seed);
    let mut draw =
        || if dice.u32(0..100) < options.firefox_percent { Browser::Firefox } else { Browser::Chromium };
    (0..people).map(|_| draw()).collect()
}

/// What the visitors' driver says next.
fn wait_for(
    visitors: &mut Process,
    what: &str,
    patience: Duration,
    stop: &AtomicBool,
) -> Result<FromVisitors> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if stop.load(Ordering::Relaxed) {
            bail!("stopped while {what}");
        }
        if let Some(told) = visitors.next(LOOK)? {
            return Ok(told);
        }
    }
    bail!("{what} takes more than {} s", patience.as_secs())
}

/// Starts what drives browsers.
fn driver(options: &Options, origin_url: &str, node_url: &str) -> Result<Process> {
    let told = serde_json::json!({
        "origin": format!("{origin_url}/"),
        "secure": [origin_url, node_url],
        "plain": edgeweave_origin::PLAIN,
        "rest_ms": edgeweave_sim::REST.as_millis(),
        "press_ms": edgeweave_sim::PRESS.as_millis(),
        "client": options.checkout.join("client/package.json"),
        "firefox": &options.firefox,
    });
    let mut command = Command::new(&options.node);
    command.arg(options.checkout.join("lab/visitors.mjs")).arg(told.to_string());
    Process::start("the visitors' driver", &mut command)
}

/// Copies a site on the Internet into a folder; returns which.
fn copy_site(options: &Options, folder: &Path, stop: &AtomicBool) -> Result<PathBuf> {
    let base = Url::parse(&options.site).with_context(|| format!("--site {} is no URL", options.site))?;
    let copy = folder.join("site");
    std::fs::create_dir(&copy)?;
    let mut visitors = driver(options, &base.origin().ascii_serialization(), &node_url())?;
    visitors.tell(&ToVisitors::Copy {
        profile: &folder.join("copy").display().to_string(),
        chromium: &options.chromium.display().to_string(),
        from: base.as_str(),
        pages: options.pages,
        folder: &copy.display().to_string(),
    })?;
    match wait_for(&mut visitors, "copying the site", CRAWL, stop)? {
        FromVisitors::Copied(copied) => Content::write_index(&copy, &copied)?,
        other => bail!("{} cannot be copied: {}", options.site, other.trouble()),
    }
    Ok(copy)
}

fn ways(scenario: &Scenario) -> Result<Ways> {
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let network = scenario.network.as_ref().context("the scenario has no network")?;
    Ok(Ways {
        origin_round_trip: ms(network.origin_ms),
        node_round_trip: ms(network.node_ms),
        jitter: ms(network.jitter_ms),
        loss: network.loss,
        origin_bits_per_second: scenario.origin_bytes_per_s * 8,
    })
}

fn origin_url() -> String {
    format!("http://{ORIGIN}")
}

fn node_url() -> String {
    format!("http://{NODE}:{NODE_PORT}")
}

/// What the origin's files say that pages should get.
fn truths(content: &Content, site: &GivenSite) -> Truths {
    let truth = |url: &str| {
        let path = url.split(['?', '#']).next()?;
        let found = content.find(&edgeweave_origin::decoded(path))?;
        Some((format!("{}{url}", origin_url()), hex(&Sha256::digest(&found.body))))
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
            "person": view.person, "position": view.position, "browser": view.browser, "visit": told.visit, "index": told.index, "url": told.url,
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
