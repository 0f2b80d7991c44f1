//! What the mesh's policies are worth: the same visits without one of them at a time, and with none.

use edgeweave_coordinator::Introductions;
use edgeweave_protocol::policy::Prefetch;
use serde::Serialize;

use crate::scenario::{Scenario, ScenarioError};
use crate::{Control, Progress, Summary, run};

/// What the mesh can do without, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Neighbours are any that hold what is wanted.
    Ranking,
    /// The origin is not started beside a slow mesh.
    Hedging,
    /// Nothing is fetched ahead.
    Replication,
    /// No document is fetched before its page.
    Prefetch,
    /// There are no supernodes.
    Supernodes,
}

impl Without {
    /// Leaves it out of a scenario.
    pub fn apply(self, scenario: &mut Scenario) {
        match self {
            Self::Ranking => scenario.introductions = Introductions::Random,
            Self::Hedging => scenario.policy.hedge = false,
            Self::Replication => scenario.policy.replicate_bytes_per_page = 0,
            Self::Prefetch => scenario.policy.prefetch = Prefetch::Off,
            Self::Supernodes => scenario.supernodes.clear(),
        }
    }
}

/// What one way to run the site came to.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// Its name.
    pub name: &'static str,
    /// Page views that it was simulated for.
    pub page_views: u64,
    /// The share of the holdout's origin bytes that were not fetched, under a worker's control and of all.
    pub offload: f64,
    /// The same of all requests.
    pub offload_all: f64,
    /// The mean page load, in milliseconds; none for an oracle, which loads no pages.
    pub mean_ms: Option<f64>,
    /// Its change against the plain HTTP cache, as a share.
    pub change_mean: Option<f64>,
    /// Bytes that were fetched ahead and not used.
    pub replicated_unused_bytes: u64,
}

impl Baseline {
    fn mesh(name: &'static str, summary: &Summary) -> Self {
        let (mesh, holdout) = (summary.page_load.mesh.mean_ms, summary.page_load.holdout.mean_ms);
        Self {
            name,
            page_views: summary.page_views,
            offload: summary.offload,
            offload_all: summary.offload_all,
            mean_ms: Some(mesh),
            change_mean: Some(mesh / holdout.max(1e-9) - 1.0),
            replicated_unused_bytes: summary.replicated_unused_bytes,
        }
    }
}

/// Runs a scenario's first `page_views` with the policies as they are, and without one of them at a time; beside them
/// what a plain HTTP cache and an oracle come to.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn baselines(
    scenario: &Scenario,
    page_views: u64,
    mut look: impl FnMut(Progress) -> Control,
) -> Result<Vec<Baseline>, ScenarioError> {
    let short = Scenario { until_page_views: page_views, until_offloaded_bytes: 0, ..scenario.clone() };
    let without = |what: Without| {
        let mut other = short.clone();
        what.apply(&mut other);
        other
    };
    let ways = [
        ("the mesh", short.clone()),
        ("random neighbours", without(Without::Ranking)),
        ("no hedging", without(Without::Hedging)),
        ("no replication", without(Without::Replication)),
        ("no prefetch", without(Without::Prefetch)),
        ("no supernodes", without(Without::Supernodes)),
    ];
    let mut rows = Vec::new();
    for (name, scenario) in ways {
        let summary = run(scenario, &mut look)?.summary;
        if rows.is_empty() {
            rows.push(Baseline {
                name: "plain HTTP cache",
                offload: 0.0,
                offload_all: 0.0,
                mean_ms: Some(summary.page_load.holdout.mean_ms),
                change_mean: Some(0.0),
                replicated_unused_bytes: 0,
                page_views: summary.page_views,
            });
            rows.push(Baseline {
                name: "oracle",
                offload: summary.oracle_offload,
                offload_all: summary.oracle_offload_all,
                mean_ms: None,
                change_mean: None,
                replicated_unused_bytes: 0,
                page_views: summary.page_views,
            });
        }
        rows.push(Baseline::mesh(name, &summary));
    }
    Ok(rows)
}
