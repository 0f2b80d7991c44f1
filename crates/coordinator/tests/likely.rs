//! What follows what is learned from views, and told to who can use it.

mod common;

use common::{Swarm, image, setup, swarm, swarm_with, url};
use edgeweave_coordinator::{Input, Introductions};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, PeerId};

const HOST: u32 = 1;

fn view(swarm: &mut Swarm, session: u32, from: Option<&str>, page: &str, assets: &[AssetId]) {
    let (page, from) = (url(page), from.map(url));
    swarm.say(
        session,
        ToNode::Viewed { page, from, assets: assets.iter().copied().collect(), loaded_ms: None },
    );
}

/// What a peer is told when it views a page.
fn likely(swarm: &mut Swarm, session: u32, page: &str) -> Vec<AssetId> {
    swarm.forget_heard();
    view(swarm, session, None, page, &[]);
    let mut likely = Vec::new();
    for message in swarm.heard(session) {
        if let ToPeer::Likely { assets } = message {
            assert!(likely.is_empty(), "told twice");
            likely = assets;
        }
    }
    likely
}

/// A swarm in which everybody went from `/` on to `/next`, which uses `/a.png`, and, every second time, `/b.png`.
fn trodden() -> (Swarm, AssetId, AssetId) {
    trodden_by(10..16)
}

fn trodden_by(visitors: std::ops::Range<u32>) -> (Swarm, AssetId, AssetId) {
    let mut swarm = swarm().serving("/a.png", image()).serving("/b.png", image());
    swarm.join(HOST);
    let (a, b) = (swarm.admit(HOST, "/a.png"), swarm.admit(HOST, "/b.png"));
    swarm.hold(HOST, &[a, b]);
    for visitor in visitors {
        swarm.join(visitor);
        view(&mut swarm, visitor, None, "/", &[]);
        let assets = if visitor % 2 == 0 { vec![a] } else { vec![a, b] };
        view(&mut swarm, visitor, Some("/"), "/next", &assets);
    }
    (swarm, a, b)
}

#[test]
fn who_views_a_page_is_told_what_the_next_one_uses() {
    let (mut swarm, a, b) = trodden();
    swarm.join(2);
    assert_eq!(likely(&mut swarm, 2, "/"), [a, b], "the most likely first");
    assert_eq!(likely(&mut swarm, 2, "/next"), [], "nobody goes on from there");
    assert_eq!(likely(&mut swarm, 2, "/elsewhere"), [a, b], "everybody goes there, sooner or later");
}

#[test]
fn what_two_visitors_did_is_told_to_nobody() {
    let (mut swarm, ..) = trodden_by(10..12);
    swarm.join(2);
    assert_eq!(likely(&mut swarm, 2, "/"), []);
}

#[test]
fn only_what_can_be_had_and_is_lacking_is_told() {
    let (mut swarm, a, b) = trodden();
    swarm.join(2);
    swarm.hold(2, &[a]);
    assert_eq!(likely(&mut swarm, 2, "/"), [b], "it has the other");
    swarm.join(3);
    swarm.tell(Input::Purge { url: Some(url("/a.png")) });
    assert_eq!(likely(&mut swarm, 3, "/"), [b], "the other is not admitted any more");
    swarm.leave(HOST);
    assert_eq!(likely(&mut swarm, 3, "/"), [], "nobody holds it any more");
}

#[test]
fn nothing_is_told_where_the_policy_or_the_visitor_wants_none() {
    let (mut swarm, ..) = trodden();
    swarm.tell(Input::SetPolicy(Policy { replicate_bytes_per_page: 0, ..Policy::default() }));
    swarm.join(2);
    assert_eq!(likely(&mut swarm, 2, "/"), []);
    swarm.tell(Input::SetPolicy(Policy { replicate_bytes_per_page: 999, ..Policy::default() }));
    assert_eq!(likely(&mut swarm, 2, "/"), [], "each is larger than what may be fetched");
    swarm.tell(Input::SetPolicy(Policy::default()));
    assert_eq!(likely(&mut swarm, 2, "/").len(), 2);
}

#[test]
fn pages_of_other_sites_and_with_queries_are_not_learned() {
    let (mut swarm, a, _) = trodden();
    for (visitor, page) in (20..24).flat_map(|visitor| [(visitor, "/search?q=a"), (visitor, "/#part")]) {
        if page == "/search?q=a" {
            swarm.join(visitor);
        }
        view(&mut swarm, visitor, Some(page), "/next", &[a]);
        let (page, from) = ("https://elsewhere.example/".into(), Some(url("/next")));
        swarm.say(visitor, ToNode::Viewed { page, from, assets: [a].into_iter().collect(), loaded_ms: None });
    }
    swarm.join(2);
    for page in ["/search?q=a", "/#part", "/next"] {
        assert_eq!(likely(&mut swarm, 2, page), [], "{page}");
    }
}

#[test]
fn a_session_that_makes_up_views_is_not_believed_for_long() {
    let (mut swarm, a, b) = trodden();
    swarm.join(2);
    for number in 0..150 {
        view(&mut swarm, 2, Some("/"), &format!("/made-up/{number}"), &[]);
    }
    swarm.join(3);
    assert_eq!(likely(&mut swarm, 3, "/"), [a, b]);
    assert!(swarm.closed.is_empty());
}

#[test]
fn at_random_near_and_far_holders_are_met_alike() {
    let place = |network| edgeweave_coordinator::io::Place {
        network: Some(network),
        address: u64::from(network),
        ..Default::default()
    };
    let met_near = |introductions| {
        let setup = edgeweave_coordinator::Setup { introductions, ..setup() };
        let mut swarm = swarm_with(setup).serving("/a.png", image());
        (0..40).for_each(|session| _ = swarm.join_at(session, place(session)));
        let a = swarm.admit(0, "/a.png");
        (0..40).for_each(|session| swarm.hold(session, &[a]));
        let near: PeerId = swarm.peer(7);
        (100..150)
            .filter(|session| {
                swarm.join_at(*session, place(7));
                swarm.find(*session, &[a]);
                let met = swarm.introductions(*session);
                assert_eq!(met.len(), 2);
                swarm.leave(*session);
                met.iter().any(|(peer, ..)| *peer == near)
            })
            .count()
    };
    let (ranked, random) = (met_near(Introductions::Ranked), met_near(Introductions::Random));
    assert!((0..10).contains(&random), "{random} of 50");
    assert!(ranked > 2 * random, "{ranked} against {random} of 50");
}
