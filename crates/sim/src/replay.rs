//! What to do about a violation: the smallest scenario that still has it, and that scenario step by step.

use crate::faults::Fault;
use crate::laws::{Law, Violation};
use crate::scenario::{Scenario, ScenarioError};
use crate::simulation::Simulation;

/// Runs that are made to find a smaller scenario, at most.
const ATTEMPTS: usize = 40;

/// An event is shown in so many characters at most.
const SHOWN: usize = 240;

/// Runs a scenario step by step until a law is violated, and tells each event; returns the violation, if there is one.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn replay(scenario: Scenario, mut tell: impl FnMut(String)) -> Result<Option<Violation>, ScenarioError> {
    told_from(scenario, 0, &mut tell)
}

/// The last events before a scenario's first violation, and it.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn last_events(
    scenario: Scenario,
    count: usize,
) -> Result<(Vec<String>, Option<Violation>), ScenarioError> {
    let Some(violation) = first_violation(scenario.clone())? else { return Ok((Vec::new(), None)) };
    let mut last = Vec::with_capacity(count);
    let found =
        told_from(scenario, violation.event.saturating_sub(count as u64), &mut |text| last.push(text))?;
    Ok((last, found))
}

/// Replays, and tells only events from a number on: telling costs more than simulating.
fn told_from(
    scenario: Scenario,
    from: u64,
    tell: &mut dyn FnMut(String),
) -> Result<Option<Violation>, ScenarioError> {
    let mut simulation = Simulation::new(scenario)?;
    loop {
        let tells = simulation.queue.taken() >= from;
        let going = simulation.step_telling(|at, event| {
            if tells {
                let shown: String = format!("{event:?}").chars().take(SHOWN).collect();
                tell(format!("{:>12.6} s  {shown}", at.as_micros() as f64 / 1e6));
            }
        });
        if simulation.laws.are_broken() || !going {
            return Ok(simulation.laws.verdict().first.into_iter().next());
        }
    }
}

/// Looks for a smaller scenario that violates the same law: without faults, with fewer people, less time, fewer places.
///
/// # Errors
/// When the scenario cannot be simulated.
pub fn minimise(mut scenario: Scenario, law: Law) -> Result<Scenario, ScenarioError> {
    let mut attempts = 0;
    for change in reductions() {
        loop {
            let mut candidate = scenario.clone();
            change(&mut candidate);
            attempts += 1;
            if candidate == scenario || candidate.check().is_err() || attempts > ATTEMPTS {
                break;
            }
            if first_violation(candidate.clone())?.is_none_or(|violation| violation.law != law) {
                break;
            }
            scenario = candidate;
        }
    }
    Ok(scenario)
}

fn first_violation(scenario: Scenario) -> Result<Option<Violation>, ScenarioError> {
    told_from(scenario, u64::MAX, &mut |_| ())
}

/// A change that makes a scenario smaller.
type Reduction = Box<dyn Fn(&mut Scenario)>;

/// What makes a scenario smaller, what helps its reader most first.
fn reductions() -> Vec<Reduction> {
    let mut all: Vec<Reduction> = vec![Box::new(|scenario| scenario.faults.clear())];
    let without =
        |fault: Fault| -> Reduction { Box::new(move |scenario| _ = scenario.faults.remove(&fault)) };
    all.extend(Fault::ALL.map(without));
    all.push(Box::new(|scenario| scenario.visitors /= 2));
    all.push(Box::new(|scenario| scenario.days /= 2.0));
    all.push(Box::new(|scenario| scenario.networks = (scenario.networks / 2).max(scenario.countries)));
    all.push(Box::new(|scenario| scenario.countries = scenario.countries.div_ceil(2)));
    all
}
