//! A law was violated: which, in what smallest world, and what happened last.

use std::path::PathBuf;

use edgeweave_sim::{Outcome, Scenario, last_events, minimise};

use super::SEE;
use crate::failure::Failure;

/// Events that are shown before a violation.
const LAST_EVENTS: usize = 20;

/// A run of more events than this is not repeated to make its scenario smaller: that would take tens of its time.
const REPEATED_MOST: u64 = 20_000_000;

/// Says what was found, shows the last events before it, and writes the smallest scenario that has it.
pub(super) fn explain(scenario: &Scenario, outcome: &Outcome) -> Failure {
    let laws = &outcome.laws;
    let Some(first) = laws.first.first() else { return Failure::other("a law was violated") };
    let what = format!(
        "{} violations of the laws with seed {}; the first: {:?}: {}",
        laws.violations, outcome.seed, first.law, first.what
    );
    if outcome.events > REPEATED_MOST {
        return Failure::other(what).with_way_out("try the same seed with fewer --visitors and --days");
    }
    let small = minimise(scenario.clone(), first.law).unwrap_or_else(|_| scenario.clone());
    if let Ok((events, Some(violation))) = last_events(small.clone(), LAST_EVENTS) {
        eprintln!("the last events before it, in the smallest scenario that was found:");
        events.iter().for_each(|event| eprintln!("{event}"));
        eprintln!("{:?}: {}", violation.law, violation.what);
    }
    match write(&small) {
        Ok(file) => Failure::other(what)
            .with_way_out(format!("edgeweave sim --replay {} shows it step by step", file.display())),
        Err(error) => {
            Failure::other(what).with_way_out(format!("its scenario could not be written: {error}"))
        }
    }
}

fn write(scenario: &Scenario) -> Result<PathBuf, String> {
    let file = PathBuf::from(format!("edgeweave-violation-{}.toml", scenario.seed));
    let text = scenario.to_toml().map_err(|error| error.to_string())?;
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    Ok(file)
}

/// Shows a scenario step by step.
pub(super) fn replay(scenario: Scenario) -> Result<(), Failure> {
    let found = edgeweave_sim::replay(scenario, |event| println!("{event}"));
    match found.map_err(|error| Failure::usage(error.to_string()).with_way_out(SEE))? {
        None => Ok(()),
        Some(violation) => Err(Failure::other(format!("{:?}: {}", violation.law, violation.what))),
    }
}
