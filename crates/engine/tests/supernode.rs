//! The supernode's rung: when the worker is to ask it, and what comes of what it gave.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

mod common;

use std::time::Duration;

use common::world;
use edgeweave_engine::Input;
use edgeweave_engine::io::FetchedResource;

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "https://site/a.png";
const B: &str = "https://site/c.png";

/// The page fetched something of 100 kB from the origin, which took so long.
fn fetched(total_ms: u32) -> Input {
    let resource = FetchedResource {
        url: "https://site/b.png".into(),
        bytes: 100_000,
        first_byte_ms: total_ms / 2,
        total_ms,
        controlled: true,
        status: 200,
    };
    Input::Fetched { resources: vec![resource] }
}

#[test]
fn what_the_supernode_gave_is_counted_and_joins_the_mesh() {
    let mut world = world().with_asset(A, 100_000);
    world.policy.supernode = true;
    let visitor = world.arrive(&[]);
    world.run(SECOND);
    let asset = world.visitors[visitor].shelf.assets.iter().next().unwrap();
    assert!(!asset.held && world.visitors[visitor].shelf.supernode_ms > 0);
    let hash = asset.hash;
    let served = Input::SupernodeServed { hash, bytes: asset.size, first_byte_ms: Some(20), total_ms: 40 };
    world.tell(visitor, served);
    world.tell(visitor, Input::Stored { hash, segment: 0 });
    // The worker is told when more has had time to come.
    world.run(6 * SECOND);
    let visitor = &world.visitors[visitor];
    assert_eq!((visitor.stats.bytes.supernode, visitor.stats.requests.supernode), (100_000, 1));
    assert!(visitor.shelf.assets.iter().next().unwrap().held);
}

#[test]
fn a_supernode_that_is_slower_than_the_origin_is_left_alone() {
    let mut world = world().with_asset(A, 100_000).with_asset(B, 100_000);
    world.policy.supernode = true;
    let visitor = world.arrive(&[]);
    world.run(SECOND);
    let hashes: Vec<_> = world.visitors[visitor].shelf.assets.iter().map(|asset| asset.hash).collect();
    let served =
        |hash, first_byte_ms| Input::SupernodeServed { hash, bytes: 100_000, first_byte_ms, total_ms: 300 };
    world.tell(visitor, fetched(100));
    // One of many answers of a large page, which waited for the others.
    world.tell(visitor, served(hashes[0], None));
    world.tell(visitor, Input::Stored { hash: hashes[0], segment: 0 });
    // The worker is told when more has had time to come.
    world.run(6 * SECOND);
    assert!(world.visitors[visitor].shelf.supernode_ms > 0);
    world.tell(visitor, served(hashes[1], Some(100)));
    world.tell(visitor, Input::Stored { hash: hashes[1], segment: 0 });
    world.run(6 * SECOND);
    assert_eq!(world.visitors[visitor].shelf.supernode_ms, 0);
}

#[test]
fn where_the_node_has_none_nobody_asks_it() {
    let mut world = world().with_asset(A, 100_000);
    world.policy.supernode = false;
    let visitor = world.arrive(&[]);
    world.run(SECOND);
    assert_eq!(world.visitors[visitor].shelf.supernode_ms, 0);
}
