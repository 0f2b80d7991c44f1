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
    /// The simulator's means over the lab's.
    pub(crate) ratio: Arms<f64>,
}

/// Simulates the very visits of the lab. The policy leaves the same share of visitors alone, though not the same ones: in the
/// simulator each is in both arms, and those count whom it does not leave alone.
pub(crate) fn simulate(scenario: &Scenario, lab: &Arms<Loads>) -> Result<Simulated> {
    let outcome = edgeweave_sim::run(scenario.clone(), |_| Control::Continue)?;
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
    let views = &outcome.summary.taking_part;
    let all = Arms { holdout: loads(&views.holdout.page_load), mesh: loads(&views.mesh.page_load) };
    let ratio = |simulated: Loads, real: Loads| {
        if real.mean_ms > 0.0 { simulated.mean_ms / real.mean_ms } else { 0.0 }
    };
    Ok(Simulated {
        holdout: all.holdout,
        mesh: all.mesh,
        change_mean: crate::figures::change(&all),
        ratio: Arms { holdout: ratio(all.holdout, lab.holdout), mesh: ratio(all.mesh, lab.mesh) },
    })
}
