//! What the mesh is for: visitors serve each other what they have.

mod common;

use std::time::Duration;

use common::world;
use edgeweave_engine::Input;
use edgeweave_engine::io::{ByteRange, FetchedResource, HeldSegment};
use edgeweave_protocol::manifest::Asset;
use edgeweave_protocol::policy::Prefer;
use edgeweave_protocol::{AssetId, Reason};

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "https://site/a.png";
const B: &str = "https://site/b.png";

#[test]
fn a_visitor_gets_from_another_what_that_one_has_loaded() {
    let mut world = world().with_asset(A, 300_000).with_asset(B, 10);
    world.arrive(&[A, B]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.request(guest, 2, B);
    world.run(SECOND);
    let answers = &world.visitors[guest].answers;
    assert_eq!((answers[&1].body.as_slice(), answers[&1].ended), (world.content(A), 1));
    assert_eq!((answers[&2].body.as_slice(), answers[&2].status), (world.content(B), 200));
    assert_eq!(world.visitors[guest].stats.bytes.peers, 300_010);
    assert_eq!(world.visitors[guest].stats.held, 2, "what came is kept");
    assert_eq!(world.visitors[guest].kept_payloads(), 0, "and nothing is left in memory");
}

#[test]
fn a_small_asset_gets_its_turn_behind_a_large_one() {
    let mut world = world().with_asset(A, 3_000_000).with_asset(B, 300_000);
    world.arrive(&[A, B]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.rescue(guest, 1, A);
    world.rescue(guest, 2, B);
    world.run(5 * SECOND);
    let answers = &world.visitors[guest].answers;
    assert!(answers[&1].body == world.content(A));
    assert!(answers[&2].body == world.content(B), "{:?}", answers[&2].fallback);
}

#[test]
fn several_neighbours_serve_one_large_asset() {
    let mut world = world().with_asset(A, 5_000_000);
    let hosts = [world.arrive(&[A]), world.arrive(&[A]), world.arrive(&[A])];
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(10 * SECOND);
    assert!(world.visitors[guest].answers[&1].body == world.content(A));
    let uploads = hosts.map(|host| world.visitors[host].stats.uploaded);
    assert!(uploads.iter().all(|bytes| *bytes > 1_000_000), "{uploads:?}");
}

#[test]
fn a_page_that_stops_reading_is_given_the_rest_when_it_reads_on() {
    for range in [None, Some(ByteRange { first: 100, last: None })] {
        let mut world = world().with_asset(A, 9_000_000);
        world.arrive(&[A]);
        world.run(SECOND);
        let guest = world.arrive(&[]);
        world.run(SECOND);
        world.visitors[guest].reads = false;
        world.request_range(guest, 1, A, range);
        world.run(60 * SECOND);
        let answer = &world.visitors[guest].answers[&1];
        assert!(answer.fallback.is_none() && answer.ended == 0, "a film that pauses has not failed");
        assert!((4_000_000..=4 << 20).contains(&answer.body.len()), "{}", answer.body.len());
        world.read_on(guest, 1);
        world.run(10 * SECOND);
        let first = range.map_or(0, |range| range.first as usize);
        assert!(world.visitors[guest].answers[&1].body == world.content(A)[first..]);
    }
}

#[test]
fn ranges_are_served_from_neighbours_and_then_from_what_is_held() {
    let mut world = world().with_asset(A, 4_000_000);
    world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request_range(guest, 1, A, Some(ByteRange { first: 1_000_000, last: Some(2_999_999) }));
    world.run(2 * SECOND);
    assert!(world.visitors[guest].answers[&1].body == world.content(A)[1_000_000..3_000_000]);
    assert_eq!(world.visitors[guest].answers[&1].status, 206);
    let from_peers = world.visitors[guest].stats.bytes.peers;
    world.request_range(guest, 2, A, Some(ByteRange { first: 2_000_000, last: Some(2_100_000) }));
    world.run(2 * SECOND);
    assert!(world.visitors[guest].answers[&2].body == world.content(A)[2_000_000..=2_100_000]);
    assert_eq!(world.visitors[guest].stats.bytes.peers, from_peers, "that segment is held");
}

#[test]
fn what_is_not_admitted_is_left_to_the_origin_and_sighted() {
    let mut world = world().with_asset(A, 10);
    let visitor = world.arrive(&[]);
    world.run(SECOND);
    world.request(visitor, 1, "https://site/unknown");
    assert_eq!(world.visitors[visitor].answers[&1].fallback, Some((Reason::NotAdmitted, 0)));
    let resources = ["https://site/unknown", A].map(|url| FetchedResource {
        url: url.into(),
        bytes: 10,
        first_byte_ms: 5,
        total_ms: 6,
        controlled: true,
        status: 200,
    });
    world.tell(visitor, Input::Fetched { resources: resources.into() });
    world.run(SECOND);
    assert_eq!(world.seen, [Box::from("https://site/unknown")]);
}

#[test]
fn what_is_missing_is_told_as_that_and_other_errors_are_not() {
    let mut world = world().with_missing(A, 100);
    let visitor = world.arrive(&[]);
    world.run(SECOND);
    let resources = [("https://site/gone", 410), ("https://site/broken", 500), (A, 404)];
    let resources = resources.map(|(url, status)| FetchedResource {
        url: url.into(),
        bytes: 10,
        first_byte_ms: 5,
        total_ms: 6,
        controlled: true,
        status,
    });
    world.tell(visitor, Input::Fetched { resources: resources.clone().into() });
    world.run(SECOND);
    assert_eq!((&world.seen[..], &world.missed[..]), (&[][..], &["https://site/gone".into()][..]));
    assert_eq!(world.differing, []);

    // Somebody is given it: the node hears of it.
    world.tell(visitor, Input::Page { url: "https://site/".into() });
    let resource = FetchedResource { status: 200, ..resources[2].clone() };
    world.tell(visitor, Input::Fetched { resources: vec![resource] });
    world.run(SECOND);
    assert_eq!(world.seen, [Box::from(A)]);
}

/// Somebody holds the page that says that something is missing. (Visitors get it from the supernode, which is not here.)
fn held_and_missing() -> common::World {
    let mut world = world().with_asset(A, 100);
    world.arrive(&[A]);
    world.run(SECOND);
    world.assets[0].status = 404;
    world
}

#[test]
fn two_that_are_missing_are_purged_one_by_one_though_one_page_says_so() {
    let mut world = held_and_missing();
    let twin = Asset { id: AssetId(1), url: B.into(), ..world.assets[0].clone() };
    world.assets.push(twin);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(SECOND);
    let answer = &world.visitors[guest].answers[&1];
    assert_eq!((answer.status, answer.ended), (404, 1));
    let shelved = |world: &common::World| {
        let assets = &world.visitors[guest].shelf.assets;
        [A, B].map(|url| assets.get(url).map(|asset| asset.held))
    };
    world.run(10 * SECOND);
    assert_eq!(shelved(&world), [Some(true), Some(true)]);
    world.purge(AssetId(0));
    world.run(SECOND);
    assert_eq!(shelved(&world), [None, Some(true)], "sooner than other changes");
}

#[test]
fn the_mesh_answers_that_something_is_missing() {
    let mut world = held_and_missing();
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(SECOND);
    let answer = &world.visitors[guest].answers[&1];
    assert_eq!((answer.status, answer.body.len(), answer.ended), (404, 100, 1));
    world.request_range(guest, 2, A, Some(ByteRange { first: 0, last: None }));
    assert_eq!(world.visitors[guest].answers[&2].fallback, Some((Reason::BadRange, 0)));
}

#[test]
fn a_visitors_own_variant_stays_where_it_is() {
    let mut world = world().with_asset(A, 1_000);
    let host = world.come_back(None, &[], &[A]);
    world.visitors[host].browser_cache.insert(A.into(), vec![7; 1_000]);
    let resource = FetchedResource {
        url: A.into(),
        bytes: 0,
        first_byte_ms: 1,
        total_ms: 1,
        controlled: false,
        status: 200,
    };
    world.tell(host, Input::Fetched { resources: vec![resource] });
    world.run(SECOND);
    assert!(world.visitors[host].storage.is_empty());
    assert_eq!(world.differing, [AssetId(0)]);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(4 * SECOND);
    assert_eq!(world.visitors[guest].answers[&1].fallback, Some((Reason::NoHolder, 0)));
}

#[test]
fn a_purge_takes_it_from_everybody() {
    let mut world = world().with_asset(A, 1_000);
    let host = world.arrive(&[A]);
    world.run(6 * SECOND);
    assert_eq!(world.visitors[host].shelf.assets.iter().filter(|asset| asset.held).count(), 1);
    world.purge(AssetId(0));
    world.run(SECOND);
    assert!(world.visitors[host].storage.is_empty());
    assert!(world.visitors[host].shelf.assets.iter().all(|asset| !asset.held));
    world.request(host, 1, A);
    assert_eq!(world.visitors[host].answers[&1].fallback, Some((Reason::NotAdmitted, 0)));
}

#[test]
fn the_next_page_has_what_the_last_one_kept() {
    let mut world = world().with_asset(A, 100_000);
    let first = world.arrive(&[A]);
    world.run(10 * SECOND);
    world.tell(first, Input::Suspend);
    let state = world.visitors[first].state.clone();
    let storage = world.visitors[first].storage.clone();
    let held: Vec<HeldSegment> =
        storage.keys().map(|(hash, segment)| HeldSegment { hash: *hash, segment: *segment }).collect();
    world.kill_node();
    let second = world.come_back(state, &held, &[]);
    world.visitors[second].storage = storage;
    world.request(second, 1, A);
    world.run(10 * SECOND);
    let unconfirmed = world.visitors[second].answers[&1].fallback;
    assert_eq!(unconfirmed, Some((Reason::NoSession, 0)), "it may have been purged meanwhile");
    world.rescue(second, 2, A);
    world.run(SECOND);
    assert!(world.visitors[second].answers[&2].body == world.content(A), "but it is better than nothing");
}

#[test]
fn where_speed_counts_nothing_waits_for_a_mesh_that_is_not_there() {
    let mut world = world().preferring(Prefer::Speed).with_asset(A, 1_000);
    let visitor = world.arrive(&[]);
    world.request(visitor, 1, A);
    assert_eq!(world.visitors[visitor].answers[&1].fallback, Some((Reason::NoSession, 0)));
    world.run(SECOND);
    world.request(visitor, 2, A);
    assert_eq!(world.visitors[visitor].answers[&2].fallback, Some((Reason::NoHolder, 0)));
}
