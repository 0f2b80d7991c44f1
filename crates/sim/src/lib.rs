//! The brains of Edgeweave under a virtual clock and a model of the Internet: the shipping [`edgeweave_engine`] and
//! [`edgeweave_coordinator`], visited by people from real networks and countries, with the laws of the design checked at
//! every step.
//!
//! **Invariant:** a seed decides everything. There is no clock, no thread, no hash map whose order matters, and no
//! floating-point function that differs from machine to machine: two runs of one scenario have one event hash. The
//! simulator is a body like any other; it decides nothing that an engine or a coordinator would decide.
//!
//! 1. Describe what is to happen ([`Scenario`]).
//! 2. [`run`] it. Each event is taken from `queue`, dealt with by the file that is named for it, and plans further ones:
//!    `plan` people come, `pointing` they follow links, `page` pages load, `worker` and `page_part` the client does what the browser's shell does,
//!    `node` the node does what its body does, `origin` answers.
//! 3. Both arms of the experiment see the same visits: `browser` without the mesh, and with it.
//! 4. `laws` checks, `figures` counts.
//! 5. Read the [`Outcome`].

mod baselines;
mod browser;
mod content;
mod detail;
mod dice;
mod event;
mod faults;
mod figures;
mod http1;
mod laws;
mod link;
mod native_peer;
mod node;
mod origin;
mod page;
mod page_part;
mod plan;
mod pointing;
mod queue;
mod replay;
mod scenario;
mod simulation;
mod slab;
mod supernode;
mod visitor;
mod worker;
mod world;

use serde::Serialize;

pub use baselines::{Baseline, Without, baselines};
pub use detail::{AssetDetail, CountryDetail, Detail, Histogram, NetworkDetail, Reading};
pub use faults::Fault;
pub use figures::{Arms, Loads, Summary, Uploads, ViewTimes, Views};
pub use laws::{Law, Verdict, Violation};
pub use plan::{PersonPlan, Plan, ViewPlan, VisitPlan, plan};
pub use pointing::{PRESS, REST};
pub use replay::{last_events, minimise, replay};
pub use scenario::{Scenario, ScenarioError};
pub use world::Nat;
pub use world::given::{GivenNetwork, Http, NatShares};
pub use world::given_site::{GivenAsset, GivenPage, GivenSite};
pub use world::site::{AssetKind, Caching, SiteModel};

use simulation::Simulation;

/// Events between two looks at the progress.
const LOOK_EVERY: u64 = 1 << 16;

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Of the whole, from 0 to 1.
    pub done: f64,
    /// Page views so far.
    pub page_views: u64,
    /// Visitors on the site.
    pub present: usize,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It does.
    Continue,
    /// It ends here, with the figures so far.
    Stop,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario's seed.
    pub seed: u64,
    /// The hash of all events, in their order: the same for every run of the scenario.
    pub event_hash: String,
    /// Everything that was counted.
    #[serde(flatten)]
    pub summary: Summary,
    /// What a report draws, which is too long to print.
    #[serde(skip)]
    pub detail: Detail,
    /// With a given network: each page view.
    #[serde(skip)]
    pub views: Vec<ViewTimes>,
    /// The laws.
    pub laws: Verdict,
    /// Events.
    pub events: u64,
    /// What the engines were told.
    pub engine_inputs: u64,
}

/// Runs a scenario, and looks up from time to time.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn run(scenario: Scenario, mut look: impl FnMut(Progress) -> Control) -> Result<Outcome, ScenarioError> {
    let seed = scenario.seed;
    let (enough, until_page_views) = (scenario.until_offloaded_bytes, scenario.until_page_views);
    let mut simulation = Simulation::new(scenario)?;
    while simulation.step() {
        if simulation.queue.taken() % LOOK_EVERY != 0 {
            continue;
        }
        let offloaded = simulation.figures.offloaded();
        if enough > 0 && offloaded >= enough {
            break;
        }
        let (views, most) = (simulation.figures.page_views, until_page_views);
        if most > 0 && views >= most {
            break;
        }
        let done = if most > 0 {
            views as f64 / most as f64
        } else if enough > 0 {
            offloaded as f64 / enough as f64
        } else {
            0.0
        }
        .max(simulation.progress());
        let (page_views, present) = (simulation.figures.page_views, simulation.visitors.len());
        if look(Progress { done, page_views, present }) == Control::Stop {
            break;
        }
    }
    Ok(Outcome {
        seed,
        views: std::mem::take(&mut simulation.figures.views),
        event_hash: format!("{:016x}", simulation.queue.hash()),
        detail: Detail::of(&simulation),
        summary: simulation.figures.summary(),
        laws: simulation.laws.verdict(),
        events: simulation.queue.taken(),
        engine_inputs: simulation.figures.inputs,
    })
}
