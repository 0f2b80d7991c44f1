//! What the simulator expects of the same page views.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use edgeweave_sim::{Control, Plan, Scenario};
use serde::Serialize;

use crate::figures::{Arms, Loads};
use crate::summary::{Arm, ByView};

/// What came of the simulation, beside what came of the lab.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Simulated {
    pub(crate) holdout: Loads,
    pub(crate) mesh: Loads,
    pub(crate) change_mean: f64,
    /// The simulator's means over the lab's.
    pub(crate) ratio: Arms<f64>,
}

/// Simulates the very visits of the lab, with the same people in the holdout, and compares each arm's page views with what
/// the simulator says of the same ones: which pages an arm happens to have does not matter then.
pub(crate) fn simulate(
    scenario: &Scenario,
    plan: &Plan,
    arms: &ByView<Arm>,
    lab: &Arms<Loads>,
) -> Result<Simulated> {
    let mut scenario = scenario.clone();
    scenario.policy.holdout_percent = 0;
    scenario.held_out = held_out(plan, arms);
    let outcome = edgeweave_sim::run(scenario, |_| Control::Continue)?;
    if outcome.laws.violations > 0 {
        bail!(
            "the simulator found {} violations of the laws: {:?}",
            outcome.laws.violations,
            outcome.laws.first
        );
    }
    let times = |of: Arm| {
        let in_arm = outcome.views.iter().filter(|view| arms.get(&(view.visit, view.place)) == Some(&of));
        Loads::of(in_arm.map(|view| match of {
            Arm::Holdout => view.load_ms.holdout,
            Arm::Mesh => view.load_ms.mesh,
        }))
    };
    let all = Arms { holdout: times(Arm::Holdout), mesh: times(Arm::Mesh) };
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

/// Who was in the holdout for most of their page views.
fn held_out(plan: &Plan, arms: &ByView<Arm>) -> BTreeSet<u32> {
    let mut balance: BTreeMap<u32, i32> = BTreeMap::new();
    for ((visit, _), arm) in arms {
        let person = plan.visits[*visit].visitor;
        *balance.entry(person).or_default() += if *arm == Arm::Holdout { 1 } else { -1 };
    }
    balance.into_iter().filter(|(_, balance)| *balance > 0).map(|(person, _)| person).collect()
}
