//! What the simulator expects of the same scenario.

use anyhow::{Result, bail};
use edgeweave_sim::{Control, Scenario};
use serde::Serialize;

use crate::figures::{Arms, Loads};

/// What came of the simulation, beside what came of the lab.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Simulated {
    pub(crate) holdout: Loads,
    pub(crate) mesh: Loads,
    pub(crate) change_mean: f64,
    pub(crate) first_visit: Arms<Loads>,
    pub(crate) offload: f64,
    /// The simulator's means over the lab's.
    pub(crate) ratio: Arms<f64>,
}

/// Simulates as many visits as the lab's mesh has, as close together: in the simulator the mesh is all visitors', and the
/// holdout is the same visitors again.
pub(crate) fn simulate(scenario: &Scenario, lab: &Arms<Loads>) -> Result<Simulated> {
    let mesh_share = 1.0 - f64::from(scenario.policy.holdout_percent) / 100.0;
    let mut scenario = scenario.clone();
    scenario.policy.holdout_percent = 0;
    scenario.arrivals_s /= mesh_share;
    scenario.visits = ((scenario.visits as f64 * mesh_share) as u64).max(1);
    let outcome = edgeweave_sim::run(scenario, |_| Control::Continue)?;
    if outcome.laws.violations > 0 {
        bail!(
            "the simulator found {} violations of the laws: {:?}",
            outcome.laws.violations,
            outcome.laws.first
        );
    }
    let loads = |loads: &edgeweave_sim::Loads| Loads {
        n: loads.n,
        mean_ms: loads.mean_ms,
        p50_ms: loads.p50_ms,
        p95_ms: loads.p95_ms,
    };
    let both = |arms: &edgeweave_sim::Arms<edgeweave_sim::Loads>| Arms {
        holdout: loads(&arms.holdout),
        mesh: loads(&arms.mesh),
    };
    let all = both(&outcome.summary.page_load);
    let ratio = |simulated: Loads, real: Loads| {
        if real.mean_ms > 0.0 { simulated.mean_ms / real.mean_ms } else { 0.0 }
    };
    Ok(Simulated {
        holdout: all.holdout,
        mesh: all.mesh,
        change_mean: crate::figures::change(&all),
        first_visit: both(&outcome.summary.first_visit),
        offload: outcome.summary.offload,
        ratio: Arms { holdout: ratio(all.holdout, lab.holdout), mesh: ratio(all.mesh, lab.mesh) },
    })
}
