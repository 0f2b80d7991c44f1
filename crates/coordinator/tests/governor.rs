//! Do no harm: where pages are slower with the mesh than without, those who are there hear that it is off.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

mod common;

use std::time::Duration;

use common::{Swarm, setup, swarm_with, url};
use edgeweave_coordinator::{Scope, Setup};
use edgeweave_protocol::AssetSet;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;

/// Visitors come one after the other, and say how long their pages took: with the mesh, and in the holdout.
fn visits(swarm: &mut Swarm, policy: &Policy, mesh_ms: u32, holdout_ms: u32) {
    for visitor in 1..=400 {
        swarm.join(visitor);
        let ms = if policy.holds_out(visitor) { holdout_ms } else { mesh_ms };
        let viewed = ToNode::Viewed {
            page: url("/"),
            from: None,
            assets: AssetSet::new(),
            loaded_ms: Some(ms + visitor * 37 % 200),
        };
        swarm.say(visitor, viewed);
        swarm.leave(visitor);
    }
}

/// Half of the visitors are left alone.
fn halved() -> Policy {
    Policy { holdout_percent: 50, ..Policy::default() }
}

fn governed_swarm() -> Swarm {
    swarm_with(Setup { policy: halved(), ..setup() })
}

/// Whether the policies that a peer heard, in order, had the mesh on.
fn policies(swarm: &mut Swarm, session: u32) -> Vec<bool> {
    let enabled = |message| match message {
        ToPeer::Welcome { policy, .. } | ToPeer::Policy { policy } => Some(policy.enabled),
        _ => None,
    };
    swarm.heard(session).into_iter().filter_map(enabled).collect()
}

#[test]
fn a_mesh_that_slows_pages_is_turned_off_for_an_hour() {
    let mut swarm = governed_swarm();
    swarm.join(0);
    visits(&mut swarm, &halved(), 1_400, 1_000);
    assert_eq!(policies(&mut swarm, 0), [true, false]);
    assert!(swarm.coordinator.governed().contains(&Scope::Site));
    swarm.run(Duration::from_secs(3601));
    assert_eq!(policies(&mut swarm, 0), [true]);
    assert!(swarm.coordinator.governed().is_empty());
}

#[test]
fn a_mesh_that_helps_stays_on() {
    let mut swarm = governed_swarm();
    swarm.join(0);
    visits(&mut swarm, &halved(), 700, 1_000);
    assert_eq!(policies(&mut swarm, 0), [true]);
}

#[test]
fn without_a_holdout_nothing_is_concluded() {
    let mut swarm = swarm_with(setup());
    swarm.join(0);
    visits(&mut swarm, &Policy::default(), 5_000, 5_000);
    assert_eq!(policies(&mut swarm, 0), [true]);
}
