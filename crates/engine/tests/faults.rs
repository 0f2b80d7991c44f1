//! Whatever goes wrong, a request is answered once, with the right bytes, by the mesh or by the origin.

mod common;

use std::time::Duration;

use common::{Manners, peer_of, world};
use edgeweave_engine::Input;
use edgeweave_engine::io::{Circumstances, FetchedResource};
use edgeweave_protocol::Reason;
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::policy::{Policy, Prefer};

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "https://site/a.png";
const B: &str = "https://site/b.png";

/// Two hosts, one of them with these manners, and what became of a guest's request and of the host.
fn beside_an_honest_one(manners: Manners) -> Option<Reason> {
    let mut world = world().with_asset(A, 2_000_000);
    let bad = world.arrive(&[A]);
    world.arrive(&[A]);
    world.run(SECOND);
    world.visitors[bad].manners = manners;
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(20 * SECOND);
    assert!(world.visitors[guest].answers[&1].body == world.content(A), "{manners:?}");
    assert_eq!(world.visitors[guest].answers[&1].ended, 1, "{manners:?}");
    assert_eq!(world.visitors[guest].kept_payloads(), 0, "{manners:?}");
    world.faults.first().map(|(_, reason)| *reason)
}

#[test]
fn a_bad_neighbour_is_let_go_and_its_pieces_come_from_another() {
    assert_eq!(beside_an_honest_one(Manners::Honest), None);
    assert_eq!(beside_an_honest_one(Manners::Lying), Some(Reason::WrongPiece));
    assert_eq!(beside_an_honest_one(Manners::Short), Some(Reason::ShortPiece));
    assert_eq!(beside_an_honest_one(Manners::Endless), Some(Reason::Unasked));
    assert_eq!(beside_an_honest_one(Manners::Silent), Some(Reason::Silent));
}

#[test]
fn with_nobody_honest_the_origin_answers() {
    for manners in [Manners::Lying, Manners::Short, Manners::Silent] {
        let mut world = world().with_asset(A, 500_000);
        let bad = world.arrive(&[A]);
        world.run(SECOND);
        world.visitors[bad].manners = manners;
        let guest = world.arrive(&[]);
        world.run(SECOND);
        world.request(guest, 1, A);
        world.run(40 * SECOND);
        let answer = &world.visitors[guest].answers[&1];
        assert!(answer.fallback.is_some() && answer.body.is_empty(), "{manners:?}: {answer:?}");
        assert_eq!(world.visitors[guest].kept_payloads(), 0, "{manners:?}");
    }
}

#[test]
fn a_neighbour_for_which_the_origin_was_faster_is_not_waited_for_again() {
    let mut world = world().with_asset(A, 500_000);
    let bad = world.arrive(&[A]);
    world.run(SECOND);
    world.visitors[bad].manners = Manners::Silent;
    let guest = world.arrive(&[]);
    world.run(SECOND);
    let resources = vec![FetchedResource {
        url: "https://site/b.png".into(),
        bytes: 100_000,
        first_byte_ms: 20,
        total_ms: 40,
        controlled: true,
        status: 200,
    }];
    world.tell(guest, Input::Fetched { resources });
    world.request(guest, 1, A);
    world.run(Duration::from_millis(3_500));
    assert!(world.visitors[guest].answers[&1].hedged);
    world.tell(guest, Input::Cancel { id: 1, reason: Some(Reason::OriginWon) });
    world.request(guest, 2, A);
    world.run(Duration::from_millis(1));
    assert_eq!(world.visitors[guest].answers[&2].fallback, Some((Reason::OriginFaster, 0)));
}

#[test]
fn a_neighbour_that_leaves_in_mid_transfer_leaves_the_rest_to_the_origin() {
    let mut world = world().with_asset(A, 12_000_000);
    let host = world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(Duration::from_millis(45));
    world.unlink(host, peer_of(guest));
    world.run(20 * SECOND);
    let answer = &world.visitors[guest].answers[&1];
    let (_, delivered) = answer.fallback.unwrap();
    assert!(delivered > 0 && delivered < 12_000_000);
    assert_eq!(answer.body, world.content(A)[..delivered as usize]);
}

#[test]
fn a_neighbour_that_left_without_a_word_is_not_waited_for_long() {
    let mut world = world().with_asset(A, 500_000);
    let host = world.arrive(&[A]);
    world.run(SECOND);
    world.visitors[host].manners = Manners::Silent;
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.rescue(guest, 1, A);
    world.run(Duration::from_millis(100));
    world.say(guest, ToPeer::Gone { peer: peer_of(host) });
    world.run(SECOND);
    assert_eq!(world.visitors[guest].stats.neighbours, 0);
    assert_eq!(world.faults, [], "leaving is no fault");
}

#[test]
fn a_neighbour_that_left_without_a_word_is_asked_for_nothing() {
    let mut world = world().with_asset(A, 500_000);
    let gone = world.arrive(&[A]);
    world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.visitors[gone].manners = Manners::Silent;
    world.say(guest, ToPeer::Gone { peer: peer_of(gone) });
    world.run(SECOND);
    world.rescue(guest, 1, A);
    world.run(Duration::from_millis(100));
    assert!(
        world.visitors[guest].answers[&1].body == world.content(A),
        "who is here gives all of it at once"
    );
}

#[test]
fn a_node_that_dies_does_not_stop_neighbours() {
    let mut world = world().with_asset(A, 1_000_000);
    world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.kill_node();
    world.request(guest, 1, A);
    world.run(5 * SECOND);
    assert!(world.visitors[guest].answers[&1].body == world.content(A));
    world.node_up = true;
    world.run(120 * SECOND);
    assert!(world.visitors[guest].stats.connected, "the session comes back by itself");
}

#[test]
fn without_consent_nothing_starts() {
    let mut world = world().with_asset(A, 1_000);
    world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    let refused = Circumstances { off: Some(Reason::NoConsent), ..Circumstances::default() };
    world.tell(guest, Input::Circumstances(refused));
    world.request(guest, 1, A);
    assert_eq!(world.visitors[guest].answers[&1].fallback, Some((Reason::NoConsent, 0)));
    world.run(SECOND);
    assert_eq!((world.visitors[guest].stats.neighbours, world.visitors[guest].stats.connected), (0, false));
}

#[test]
fn who_may_not_share_is_not_asked_to() {
    let mut world = world().with_asset(A, 100_000);
    let host = world.arrive(&[A]);
    world.run(SECOND);
    let saving = Circumstances { selfish: Some(Reason::SaveData), ..Circumstances::default() };
    world.tell(host, Input::Circumstances(saving));
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(10 * SECOND);
    assert!(world.visitors[guest].answers[&1].fallback.is_some());
    assert_eq!(world.visitors[host].stats.uploaded, 0);
}

#[test]
fn the_months_upload_cap_is_kept() {
    let mut world = world().with_asset(A, 1_000_000);
    world.policy.upload_bytes_per_month = 300_000;
    let host = world.arrive(&[A]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(20 * SECOND);
    let uploaded = world.visitors[host].stats.uploaded;
    assert!((200_000..=300_000).contains(&uploaded), "{uploaded}");
    assert!(world.visitors[guest].answers[&1].fallback.is_some());
}

#[test]
fn a_secondary_cache_that_lost_something_is_no_harm() {
    let mut world = world().with_asset(A, 200_000);
    let host = world.arrive(&[A]);
    world.run(SECOND);
    world.visitors[host].storage.clear();
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(20 * SECOND);
    assert_eq!(world.visitors[guest].answers[&1].fallback, Some((Reason::NoHolder, 0)));
    assert_eq!(world.visitors[host].stats.held, 0, "the host has noticed");
}

#[test]
fn without_hedging_a_slow_mesh_is_waited_for_until_it_stalls() {
    for hedge in [true, false] {
        let mut world = world().with_asset(A, 500_000);
        world.policy = Policy { hedge, ..Policy::default() };
        let bad = world.arrive(&[A]);
        world.run(SECOND);
        world.visitors[bad].manners = Manners::Silent;
        let guest = world.arrive(&[]);
        world.run(SECOND);
        world.request(guest, 1, A);
        world.run(Duration::from_millis(500));
        let answer = &world.visitors[guest].answers[&1];
        assert_eq!((answer.hedged, answer.fallback), (hedge, None));
        world.run(2 * SECOND);
        let given_up = (!hedge).then_some((Reason::Stalled, 0));
        assert_eq!(world.visitors[guest].answers[&1].fallback, given_up);
    }
}

#[test]
fn neighbours_that_had_nothing_to_do_are_not_silent_when_both_are_asked_several_times_at_once() {
    let mut world = world().preferring(Prefer::Offload).with_asset(A, 100_000).with_asset(B, 700_000);
    world.arrive(&[A, B]);
    world.arrive(&[A, B]);
    world.run(SECOND);
    let guest = world.arrive(&[]);
    world.run(SECOND);
    world.request(guest, 1, A);
    world.run(30 * SECOND);
    assert_eq!(world.visitors[guest].stats.neighbours, 2);
    world.request(guest, 2, B);
    world.run(5 * SECOND);
    assert!(world.visitors[guest].answers[&2].body == world.content(B));
    assert_eq!(world.visitors[guest].stats.neighbours, 2);
    assert!(world.faults.is_empty(), "{:?}", world.faults);
}
