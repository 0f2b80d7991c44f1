//! An idle browser fetches from its neighbours what its next page will need, and the node hears what pages need.

mod common;

use std::time::Duration;

use common::{World, world};
use edgeweave_engine::io::{Circumstances, FetchedResource};
use edgeweave_engine::{Input, Output};
use edgeweave_protocol::frame::Frame;
use edgeweave_protocol::policy::{Policy, Prefer};
use edgeweave_protocol::{AssetId, Reason};

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "https://site/a.png";
const B: &str = "https://site/b.png";
const C: &str = "https://site/c.png";
const HOME: &str = "https://site/";
const NEXT: &str = "https://site/next";

/// A host that holds these assets, and a guest on a page that has come to rest.
fn idle_guest(assets: &[(&str, usize)], policy: &Policy) -> (World, usize) {
    let mut world = world();
    world.policy = Policy { prefer: Prefer::Offload, patience_ms: 3_000, ..policy.clone() };
    for (url, size) in assets {
        world = world.with_asset(url, *size);
    }
    let urls: Vec<&str> = assets.iter().map(|(url, _)| *url).collect();
    world.arrive(&urls);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    show(&mut world, guest, HOME);
    world.run(3 * SECOND);
    (world, guest)
}

fn show(world: &mut World, visitor: usize, url: &str) {
    world.tell(visitor, Input::Page { url: url.into() });
}

fn asks_for(output: &Output, wanted: AssetId) -> bool {
    let Output::SendFrame { bytes, .. } = output else { return false };
    matches!(Frame::decode(bytes), Some(Frame::Ask { asset, .. }) if asset == wanted)
}

fn fetched(url: &str) -> Input {
    let resource = FetchedResource {
        url: url.into(),
        bytes: 9,
        first_byte_ms: 1,
        total_ms: 2,
        controlled: true,
        status: 200,
    };
    Input::Fetched { resources: vec![resource] }
}

#[test]
fn what_the_next_page_needs_is_there_before_it_asks() {
    let (mut world, guest) = idle_guest(&[(A, 300_000), (B, 3_000_000)], &Policy::default());
    world.suggest(guest, &[A, B]);
    world.run(5 * SECOND);
    let stats = &world.visitors[guest].stats;
    assert_eq!((stats.held, stats.replicated, stats.bytes.peers), (2, 3_300_000, 0));
    assert_eq!(world.visitors[guest].kept_payloads(), 0);

    let next = world.next_page(guest);
    show(&mut world, next, NEXT);
    world.run(SECOND);
    world.request(next, 1, A);
    world.run(SECOND);
    world.request(next, 2, A);
    world.run(SECOND);
    assert!(world.visitors[next].answers[&1].body == world.content(A));
    let stats = &world.visitors[next].stats;
    assert_eq!((stats.bytes.cache, stats.bytes.peers), (600_000, 0), "from the store");
    assert_eq!(stats.replicated_used, 300_000, "what was fetched ahead counts once");
    let last = world.next_page(next);
    world.run(SECOND);
    world.tell(last, Input::CacheServed { url: A.into(), bytes: 300_000 });
    world.tell(last, Input::CacheServed { url: B.into(), bytes: 3_000_000 });
    world.run(SECOND);
    assert_eq!(world.visitors[last].stats.replicated_used, 3_000_000);
}

#[test]
fn what_was_fetched_ahead_is_given_to_others() {
    let (mut world, guest) = idle_guest(&[(A, 300_000)], &Policy::default());
    world.suggest(guest, &[A]);
    world.run(5 * SECOND);
    world.tell(0, Input::Suspend);
    let third = world.arrive(&[]);
    world.run(SECOND);
    world.request(third, 1, A);
    world.run(2 * SECOND);
    assert!(world.visitors[third].answers[&1].body == world.content(A));
    assert_eq!(world.visitors[guest].stats.uploaded, 300_000);
}

#[test]
fn a_request_comes_first() {
    let (mut world, guest) = idle_guest(&[(A, 4_000_000), (B, 4_000_000)], &Policy::default());
    world.suggest(guest, &[A]);
    world.run(Duration::from_millis(60));
    let begun = world.visitors[guest].record.outputs.len();
    world.request(guest, 1, B);
    while world.visitors[guest].answers[&1].ended == 0 {
        assert_eq!(world.visitors[guest].answers[&1].fallback, None);
        world.run(Duration::from_millis(10));
    }
    let meanwhile = &world.visitors[guest].record.outputs[begun..];
    let asked = |asset| meanwhile.iter().filter(|output| asks_for(output, AssetId(asset))).count();
    assert_eq!(asked(0), 0);
    assert!(asked(1) > 0);
    assert!(world.visitors[guest].answers[&1].body == world.content(B));
    world.run(5 * SECOND);
    let stats = &world.visitors[guest].stats;
    assert_eq!(stats.held, 2, "the rest is fetched when the page is idle again");
    assert!((4_000_000..4_600_000).contains(&stats.replicated), "{}", stats.replicated);
    assert_eq!(world.visitors[guest].kept_payloads(), 0);
}

#[test]
fn a_page_that_is_loading_is_left_in_peace() {
    let (mut world, guest) = idle_guest(&[(A, 1_000)], &Policy::default());
    world.suggest(guest, &[A]);
    for _ in 0..10 {
        world.tell(guest, fetched("https://site/other"));
        world.run(Duration::from_millis(200));
    }
    assert_eq!(world.visitors[guest].stats.replicated, 0);
    world.run(SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 1_000);
}

#[test]
fn the_budget_of_a_page_is_kept() {
    let policy = Policy { replicate_bytes_per_page: 500_000, ..Policy::default() };
    let (mut world, guest) = idle_guest(&[(A, 400_000), (B, 300_000), (C, 90_000)], &policy);
    world.suggest(guest, &[A, B, C]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 490_000, "what still fits is fetched");
    world.suggest(guest, &[B]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 490_000);
    let next = world.next_page(guest);
    show(&mut world, next, NEXT);
    world.run(3 * SECOND);
    world.suggest(next, &[B]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[next].stats.replicated, 300_000, "the next page has its own");
}

#[test]
fn what_nobody_has_used_takes_no_more_than_two_thirds_of_the_cache() {
    let policy = Policy { cache_bytes: 1_200_000, ..Policy::default() };
    let (mut world, guest) = idle_guest(&[(A, 280_000), (B, 280_000), (C, 280_000)], &policy);
    world.suggest(guest, &[A, B, C]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 560_000);
    let next = world.next_page(guest);
    show(&mut world, next, NEXT);
    world.run(3 * SECOND);
    world.suggest(next, &[C]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[next].stats.replicated, 0, "the last page's is still unused");
    world.tell(next, Input::CacheServed { url: A.into(), bytes: 280_000 });
    world.suggest(next, &[C]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[next].stats.replicated, 280_000);
}

#[test]
fn nobody_who_saves_data_fetches_ahead() {
    for (selfish, alone) in
        [(Some(Reason::SaveData), None), (Some(Reason::Metered), None), (None, Some(Reason::NoWebRtc))]
    {
        let (mut world, guest) = idle_guest(&[(A, 1_000)], &Policy::default());
        world.tell(guest, Input::Circumstances(Circumstances { off: None, alone, selfish }));
        world.run(3 * SECOND);
        world.suggest(guest, &[A]);
        world.run(5 * SECOND);
        assert_eq!((world.visitors[guest].stats.replicated, world.visitors[guest].stats.held), (0, 0));
    }
    let (mut world, guest) =
        idle_guest(&[(A, 1_000)], &Policy { replicate_bytes_per_page: 0, ..Policy::default() });
    world.suggest(guest, &[A]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 0);
}

#[test]
fn what_nobody_gives_does_not_keep_others_waiting() {
    let (mut world, guest) = idle_guest(&[(A, 3_000_000), (B, 1_000)], &Policy::default());
    world.visitors[0].storage.clear();
    world.suggest(guest, &[A]);
    world.run(5 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 0);
    assert_eq!(world.visitors[guest].kept_payloads(), 0);
    let other = world.arrive(&[B]);
    world.run(SECOND);
    world.suggest(guest, &[A, B]);
    world.run(10 * SECOND);
    assert_eq!(world.visitors[guest].stats.replicated, 1_000);
    assert_eq!(world.visitors[other].stats.uploaded, 1_000);
}

#[test]
fn the_node_hears_once_what_a_page_used() {
    let (mut world, guest) = idle_guest(&[(A, 1_000), (B, 1_000), (C, 1_000)], &Policy::default());
    assert_eq!(world.viewed, [(guest, HOME.into(), None, vec![])]);
    let next = world.next_page(guest);
    show(&mut world, next, "https://site/next?q=secret");
    world.request(next, 1, A);
    world.tell(next, Input::CacheServed { url: B.into(), bytes: 1_000 });
    world.run(SECOND);
    world.tell(next, fetched(C));
    world.run(Duration::from_millis(1_900));
    assert_eq!(world.viewed.len(), 1, "it has just fetched something");
    world.run(SECOND);
    let all = vec![AssetId(0), AssetId(1), AssetId(2)];
    assert_eq!(world.viewed[1..], [(next, NEXT.into(), Some(HOME.into()), all)]);
    world.tell(next, fetched(C));
    world.kill_node();
    world.node_up = true;
    world.run(60 * SECOND);
    assert_eq!(world.viewed.len(), 2);
}

#[test]
fn a_reload_and_a_visit_after_a_break_come_from_nowhere() {
    let (mut world, guest) = idle_guest(&[], &Policy::default());
    let again = world.next_page(guest);
    show(&mut world, again, HOME);
    world.run(3 * SECOND);
    world.tell(again, Input::Suspend);
    let state = world.visitors[again].state.clone();
    world.run(31 * 60 * SECOND);
    let later = world.come_back(state, &[], &[]);
    show(&mut world, later, NEXT);
    world.run(3 * SECOND);
    let told: Vec<_> = world.viewed.iter().map(|(_, page, from, _)| (&**page, from.is_some())).collect();
    assert_eq!(told, [(HOME, false), (HOME, false), (NEXT, false)]);
}

#[test]
fn a_page_that_never_rests_is_told_of_all_the_same() {
    let mut world = world();
    let visitor = world.arrive(&[]);
    show(&mut world, visitor, HOME);
    for _ in 0..16 {
        world.run(SECOND);
        world.tell(visitor, fetched("https://site/poll"));
    }
    assert_eq!(world.viewed.len(), 1);
}

#[test]
fn a_second_page_of_one_engine_is_a_page_of_its_own() {
    let (mut world, guest) = idle_guest(&[(A, 1_000), (B, 1_000)], &Policy::default());
    world.tell(guest, fetched(A));
    show(&mut world, guest, NEXT);
    world.tell(guest, fetched(B));
    world.run(3 * SECOND);
    assert_eq!(world.viewed[1..], [(guest, NEXT.into(), Some(HOME.into()), vec![AssetId(1)])]);
}

#[test]
fn neighbours_are_looked_for_ahead_where_nobody_else_says_what_is_needed() {
    let fetches = Policy { prefer: Prefer::Offload, patience_ms: 3_000, ..Policy::default() };
    let fetches_nothing = Policy { replicate_bytes_per_page: 0, ..fetches.clone() };
    for (policy, others, neighbours) in [(&fetches, 0, 1), (&fetches, 100, 0), (&fetches_nothing, 100, 1)] {
        let mut world = world().with_asset(A, 100_000);
        world.policy = policy.clone();
        world.others = others;
        world.arrive(&[A]);
        world.run(SECOND);
        let guest = world.arrive(&[]);
        world.run(2 * SECOND);
        assert_eq!(world.visitors[guest].stats.neighbours, neighbours, "{others} others");
    }
}
