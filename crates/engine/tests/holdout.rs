//! Visitors whom the policy holds out: the mesh leaves them alone, and they leave it alone.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

mod common;

use std::time::Duration;

use common::{World, world};
use edgeweave_engine::{Input, Output};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Prefetch;
use edgeweave_protocol::{AssetSet, PeerId, Reason};

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "https://site/a.png";

#[test]
fn who_is_held_out_is_left_alone_and_says_how_long_pages_took() {
    let mut world = world().with_asset(A, 100_000);
    world.policy.holdout_percent = 100;
    let visitor = world.arrive(&[A]);
    world.run(4 * SECOND);
    assert_eq!(world.visitors[visitor].shelf.assets.iter().count(), 0, "the worker leaves everything alone");
    assert_eq!(world.visitors[visitor].stats.off, Some(Reason::Holdout));
}

#[test]
fn pages_are_fetched_ahead_as_the_policy_says_and_never_for_who_is_held_out() {
    for (holdout_percent, expected) in [(0, Prefetch::Moderate), (100, Prefetch::Off)] {
        let mut world = world();
        world.policy.prefetch = Prefetch::Moderate;
        world.policy.holdout_percent = holdout_percent;
        let visitor = world.arrive(&[]);
        world.run(SECOND);
        assert_eq!(world.visitors[visitor].stats.prefetch, expected);
        // Before the site's policy is known, nobody knows who is held out.
        let first = world.visitors[visitor].record.outputs.iter().find_map(|output| match output {
            Output::Stats(stats) => Some(stats.prefetch),
            _ => None,
        });
        assert_eq!(first, Some(Prefetch::Off));
    }
}

#[test]
fn who_is_held_out_meets_nobody() {
    let mut world = world().with_asset(A, 100_000);
    world.policy.holdout_percent = 100;
    let visitor = world.arrive(&[A]);
    world.run(SECOND);
    let said = hellos(&world, visitor);
    assert_eq!(
        said.last().map(|(_, connects)| *connects),
        Some(false),
        "the node need not introduce anybody"
    );
    let introduction = ToPeer::Introduce { peer: PeerId(77), offers: false, holds: AssetSet::default() };
    world.tell(visitor, Input::Heard(introduction));
    world.run(SECOND);
    let opened = world.visitors[visitor].record.outputs.iter();
    assert_eq!(opened.filter(|output| matches!(output, Output::OpenPeer { .. })).count(), 0);
}

#[test]
fn who_comes_again_is_the_same_visitor_however_short_the_first_visit_was() {
    let mut world = world();
    let first = world.arrive(&[]);
    world.run(SECOND);
    let state = world.visitors[first].state.clone();
    let again = world.come_back(state, &[], &[]);
    world.run(SECOND);
    assert_eq!(hellos(&world, first)[0].0, hellos(&world, again)[0].0);
}

/// The numbers with which a visitor greeted the node, and whether others may connect.
fn hellos(world: &World, visitor: usize) -> Vec<(u32, bool)> {
    let said = world.visitors[visitor].record.outputs.iter().filter_map(|output| match output {
        Output::Say(ToNode::Hello { visitor, connects, .. }) => Some((*visitor, *connects)),
        _ => None,
    });
    said.collect()
}
