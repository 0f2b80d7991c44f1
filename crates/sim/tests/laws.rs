//! The simulator finds a bug in each of the laws: each is planted once, and caught; without any, all laws hold.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

use edgeweave_protocol::policy::{Policy, Prefer};
use edgeweave_sim::{Control, Fault, Law, Outcome, Scenario, SiteModel, last_events, minimise, run};

/// A small world that is busy enough for every law: an hour and a half of a site with few pages.
fn small() -> Scenario {
    Scenario {
        seed: 11,
        networks: 12,
        countries: 3,
        visitors: 70,
        days: 0.03,
        site: SiteModel { pages: 12, return_days: 0.01, ..SiteModel::default() },
        policy: Policy { prefer: Prefer::Offload, patience_ms: 3_000, ..Policy::default() },
        ..Scenario::default()
    }
}

fn outcome(scenario: Scenario) -> Outcome {
    run(scenario, |_| Control::Continue).unwrap()
}

/// Plants a bug, and returns how often its law was violated.
fn caught(law: Law, scenario: Scenario) -> u64 {
    let outcome = outcome(Scenario { planted: Some(law), ..scenario });
    outcome.laws.by_law.get(&law).copied().unwrap_or(0)
}

#[test]
fn all_laws_hold_where_all_goes_well() {
    let outcome = outcome(small());
    assert_eq!(outcome.laws.violations, 0, "{:?}", outcome.laws.first);
    assert!(outcome.laws.checks > 10_000, "{}", outcome.laws.checks);
    assert!(outcome.summary.bytes.peers > 0, "peers have served");
}

#[test]
fn all_laws_hold_where_all_goes_wrong() {
    for prefer in [Prefer::Speed, Prefer::Offload] {
        let policy = Policy { prefer, ..small().policy };
        let outcome = outcome(Scenario { faults: Fault::ALL.into(), policy, ..small() });
        assert_eq!(outcome.laws.violations, 0, "{prefer:?}: {:?}", outcome.laws.first);
    }
}

#[test]
fn bytes_that_nobody_verifies_are_caught() {
    let faults = [Fault::HostilePeers].into();
    assert!(caught(Law::OnlyTheOriginsBytes, Scenario { faults, hostile_share: 0.6, ..small() }) > 0);
}

#[test]
fn private_bytes_that_are_shared_are_caught() {
    let site = SiteModel { private_share: 0.2, ..small().site };
    assert!(caught(Law::OnlyPublicBytes, Scenario { site, ..small() }) > 0);
}

#[test]
fn requests_that_are_never_answered_are_caught() {
    assert!(caught(Law::NeverWorse, small()) > 0);
}

#[test]
fn visitors_who_save_data_and_give_are_caught() {
    assert!(caught(Law::TheVisitorsBudget, small()) > 0);
}

#[test]
fn what_is_served_past_its_freshness_is_caught() {
    let faults = [Fault::ChangingOrigin].into();
    assert!(caught(Law::Fresh, Scenario { faults, days: 0.06, visitors: 120, ..small() }) > 0);
}

#[test]
fn memory_that_is_never_given_back_is_caught() {
    assert!(caught(Law::Bounded, small()) > 0);
}

#[test]
fn a_violation_is_found_again_in_a_smaller_world() {
    let planted = Scenario { planted: Some(Law::NeverWorse), faults: Fault::ALL.into(), ..small() };
    let smallest = minimise(planted.clone(), Law::NeverWorse).unwrap();
    assert!(smallest.visitors < planted.visitors && smallest.faults.is_empty(), "{smallest:?}");
    let (events, violation) = last_events(smallest, 10).unwrap();
    assert_eq!(events.len(), 10);
    assert_eq!(violation.map(|violation| violation.law), Some(Law::NeverWorse));
}

#[test]
fn a_scenario_is_read_as_it_was_written() {
    let scenario = Scenario { faults: Fault::ALL.into(), ..small() };
    assert_eq!(Scenario::parse(&scenario.to_toml().unwrap()).unwrap(), scenario);
}

#[test]
fn a_seed_decides_everything() {
    let hash = |seed| outcome(Scenario { seed, faults: Fault::ALL.into(), ..small() }).event_hash;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
