//! Peers come, find each other, and leave.

mod common;

use std::time::Duration;

use common::{hello, image, setup, swarm, swarm_with};
use edgeweave_coordinator::io::{Place, Whose};
use edgeweave_coordinator::{Activity, Input};
use edgeweave_protocol::limits::MESSAGE_BURST;
use edgeweave_protocol::message::{Meeting, ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, PeerId, Reason, Signal};

#[test]
fn hello_is_answered_by_welcome_and_manifest() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.join(1);
    swarm.admit(1, "/a.png");
    swarm.run(Duration::from_secs(1));
    swarm.join(2);
    let heard = swarm.heard(2);
    assert!(matches!(&heard[0], ToPeer::Welcome { crowd: 2, stun, .. } if stun.len() == 1));
    assert!(
        matches!(&heard[1], ToPeer::Manifest(delta) if delta.reset && delta.add.len() == 1 && delta.version.epoch != 0)
    );
    assert_eq!(heard.len(), 2);
    swarm.assert_all_agree();
}

#[test]
fn those_who_break_the_protocol_are_told_why() {
    let other_version = |message| match message {
        ToNode::Hello { site, release, visitor, manifest, connects, shares, .. } => {
            ToNode::Hello { protocol: 99, site, release, visitor, manifest, connects, shares }
        }
        other => other,
    };
    let other_site = |message| match message {
        ToNode::Hello { protocol, release, visitor, manifest, connects, shares, .. } => {
            let site = "other".parse().unwrap();
            ToNode::Hello { protocol, site, release, visitor, manifest, connects, shares }
        }
        other => other,
    };
    for (first, reason) in [
        (ToNode::Find { assets: vec![] }, Reason::OutOfOrder),
        (other_version(hello(1, None)), Reason::ProtocolVersion),
        (other_site(hello(1, None)), Reason::UnknownSite),
    ] {
        let mut swarm = swarm();
        swarm.open(1);
        swarm.say(1, first);
        assert_eq!(swarm.closed.get(&1), Some(&reason));
    }
    let mut swarm = swarm();
    swarm.join(1);
    swarm.say(1, hello(1, None));
    assert_eq!(swarm.closed.get(&1), Some(&Reason::OutOfOrder));
    assert_eq!(swarm.coordinator.counts().crowd, 0);
}

#[test]
fn what_cannot_be_read_is_answered_until_it_is_too_much() {
    let mut swarm = swarm();
    swarm.join(1);
    swarm.forget_heard();
    let unreadable = |reason| Input::Unreadable { session: 1, reason, about: "".into() };
    swarm.tell(unreadable(Reason::Malformed));
    assert!(matches!(swarm.heard(1)[..], [ToPeer::Error { reason: Reason::Malformed, .. }]));
    (0..30).for_each(|_| swarm.tell(unreadable(Reason::Malformed)));
    assert_eq!(swarm.closed.get(&1), Some(&Reason::Flooding));
    swarm.join(1);
    swarm.tell(unreadable(Reason::TooLarge));
    assert_eq!(swarm.closed.get(&1), Some(&Reason::TooLarge));
}

#[test]
fn a_flooding_peer_leaves_and_others_stay() {
    let mut swarm = swarm();
    swarm.join(1);
    swarm.join(2);
    (0..=MESSAGE_BURST).for_each(|_| swarm.say(1, ToNode::Pieces { asset: AssetId(0) }));
    assert_eq!(swarm.closed.get(&1), Some(&Reason::Flooding));
    assert_eq!(swarm.coordinator.counts().crowd, 1);
    // One that keeps to the rate does not.
    for _ in 0..3 * MESSAGE_BURST {
        swarm.run(Duration::from_millis(20));
        swarm.say(2, ToNode::Pieces { asset: AssetId(0) });
    }
    assert!(!swarm.closed.contains_key(&2));
}

#[test]
fn nobody_can_drown_another_in_signals() {
    let mut swarm = swarm();
    let (victim, other) = (swarm.join(1), swarm.join(2));
    swarm.join(3);
    let signal = |bytes: usize| format!("\"{}\"", "x".repeat(bytes)).parse::<Signal>().unwrap();
    // Many candidates at once are allowed: a peer may meet many others.
    (0..400).for_each(|_| swarm.say(2, ToNode::Signal { to: victim, signal: signal(200) }));
    assert!(!swarm.closed.contains_key(&2));
    swarm.forget_heard();
    (0..2_000).for_each(|_| swarm.say(3, ToNode::Signal { to: victim, signal: signal(60_000) }));
    assert_eq!(swarm.closed.get(&3), Some(&Reason::Flooding));
    let heard = swarm.heard(1).len();
    assert!(heard * 60_000 < 8 << 20, "{heard} signals of 60 kB");
    swarm.say(1, ToNode::Signal { to: other, signal: signal(1) });
    assert_eq!(swarm.heard(2).len(), 1);
}

#[test]
fn what_passes_between_peers_is_counted() {
    let mut swarm = swarm().serving("/a.png", image());
    let (holder, seeker) = (swarm.join(1), swarm.join(2));
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.find(2, &[a]);
    let signal = "1".parse().unwrap();
    swarm.say(2, ToNode::Signal { to: holder, signal });
    swarm.say(2, ToNode::Met { peer: holder, outcome: Meeting::Opened(80) });
    swarm.say(1, ToNode::Met { peer: seeker, outcome: Meeting::Failed(Reason::ConnectFailed) });
    swarm.say(2, ToNode::Parted { peer: holder, bytes: 0, busy_ms: 1, fault: Some(Reason::Silent) });
    let Activity { holders, signals, introductions, met, failed, faults } = swarm.coordinator.activity();
    assert_eq!((holders, signals, introductions, met), (1, 1, 1, 1));
    assert_eq!((failed.get(&Reason::ConnectFailed), faults.get(&Reason::Silent)), (Some(&1), Some(&1)));
    assert_eq!(swarm.coordinator.holders(a), 1);
}

#[test]
fn a_seeker_and_a_holder_are_introduced_and_signals_pass() {
    let mut swarm = swarm().serving("/a.png", image()).serving("/b.png", image());
    let (holder, seeker) = (swarm.join(1), swarm.join(2));
    let (a, b) = (swarm.admit(1, "/a.png"), swarm.admit(1, "/b.png"));
    swarm.hold(1, &[a]);
    swarm.forget_heard();
    swarm.find(2, &[a, b]);
    assert_eq!(swarm.introductions(1), [(seeker, false, vec![])]);
    let heard = swarm.heard(2);
    assert!(
        matches!(&heard[0], ToPeer::Introduce { peer, offers: true, holds } if *peer == holder && holds.contains(a))
    );
    assert!(matches!(&heard[1], ToPeer::NoHolder { assets } if *assets == [b]));

    let signal = r#"{ "sdp":"x"}"#.parse::<Signal>().unwrap();
    swarm.say(2, ToNode::Signal { to: holder, signal: signal.clone() });
    assert!(
        matches!(&swarm.heard(1)[..], [ToPeer::Signal { from, signal }] if *from == seeker && signal.as_str() == r#"{ "sdp":"x"}"#)
    );
    swarm.say(2, ToNode::Signal { to: PeerId(5), signal });
    assert!(matches!(&swarm.heard(2)[..], [ToPeer::Gone { peer: PeerId(5) }]));

    swarm.leave(1);
    assert!(matches!(&swarm.heard(2)[..], [ToPeer::Gone { peer }] if *peer == holder));
    swarm.find(2, &[a]);
    assert!(matches!(&swarm.heard(2)[..], [ToPeer::NoHolder { .. }]));
}

#[test]
fn who_looked_in_vain_is_introduced_when_somebody_comes_to_hold_it() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.join(1);
    let seeker = swarm.join(2);
    let a = swarm.admit(1, "/a.png");
    swarm.find(2, &[a]);
    swarm.forget_heard();
    swarm.hold(1, &[a]);
    assert_eq!(swarm.introductions(1), [(seeker, false, vec![])]);
    // But not when that was long ago.
    swarm.join(3);
    swarm.find(3, &[a]);
    swarm.forget_heard();
    swarm.run(Duration::from_secs(11));
    swarm.hold(2, &[a]);
    assert_eq!(swarm.introductions(3), []);
}

#[test]
fn nobody_is_introduced_in_a_small_crowd_or_without_consent() {
    let mut small = setup();
    small.policy.min_crowd = 3;
    let mut swarm = swarm_with(small).serving("/a.png", image());
    swarm.join(1);
    swarm.join(2);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.find(2, &[a]);
    assert_eq!(swarm.introductions(2), []);
    swarm.open(3);
    let ToNode::Hello { protocol, site, release, visitor, manifest, .. } = hello(3, None) else { panic!() };
    swarm
        .say(3, ToNode::Hello { protocol, site, release, visitor, manifest, connects: false, shares: false });
    swarm.hold(3, &[a]);
    swarm.find(3, &[a]);
    assert_eq!(swarm.introductions(3), []);
    swarm.find(2, &[a]);
    assert_eq!(swarm.introductions(2), [(swarm.peer(1), true, vec![a])]);
}

#[test]
fn a_find_leads_to_few_introductions_and_their_load_is_spread() {
    let mut swarm = swarm().serving("/a.png", image());
    (0..60).for_each(|session| _ = swarm.join(session));
    let a = swarm.admit(0, "/a.png");
    (0..20).for_each(|session| swarm.hold(session, &[a]));
    swarm.forget_heard();
    for session in 20..60 {
        swarm.find(session, &[a]);
        assert!((1..=Policy::default().neighbours as usize).contains(&swarm.introductions(session).len()));
    }
    let most = (0..20).map(|session| swarm.introductions(session).len()).max().unwrap();
    assert!(most <= 16, "{most} of 120 introductions at one of 20 holders");
}

#[test]
fn near_holders_come_first() {
    let mut swarm = swarm().serving("/a.png", image());
    let place = |network, country| Place {
        network: Some(network),
        country: Some(country),
        address: u64::from(network),
        ..Place::default()
    };
    (0..40).for_each(|session| _ = swarm.join_at(session, place(100 + session, *b"US")));
    let a = swarm.admit(0, "/a.png");
    let neighbour = swarm.join_at(50, place(7, *b"DE"));
    let compatriot = swarm.join_at(51, place(8, *b"DE"));
    (0..40).chain([50, 51]).for_each(|session| swarm.hold(session, &[a]));
    swarm.join_at(60, place(7, *b"DE"));
    swarm.find(60, &[a]);
    let met: Vec<PeerId> = swarm.introductions(60).into_iter().map(|introduction| introduction.0).collect();
    assert!(met.contains(&neighbour), "{compatriot} {met:?}");
}

#[test]
fn peers_that_cannot_reach_each_other_are_not_introduced_again() {
    let mut swarm = swarm().serving("/a.png", image());
    let holder = swarm.join(1);
    swarm.join(2);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.find(2, &[a]);
    swarm.say(2, ToNode::Met { peer: holder, outcome: Meeting::Failed(Reason::ConnectTimeout) });
    swarm.forget_heard();
    swarm.run(Duration::from_secs(600));
    swarm.find(2, &[a]);
    assert_eq!(swarm.introductions(2), []);
    // Nor after a reload of the page.
    swarm.leave(2);
    swarm.join(2);
    swarm.find(2, &[a]);
    assert_eq!(swarm.introductions(2), []);
    // One without room may be tried again.
    swarm.join(3);
    swarm.find(3, &[a]);
    swarm.say(3, ToNode::Met { peer: holder, outcome: Meeting::Failed(Reason::Busy) });
    swarm.forget_heard();
    swarm.find(3, &[a]);
    assert_eq!(swarm.introductions(3), []);
    swarm.run(Duration::from_secs(11));
    swarm.find(3, &[a]);
    assert_eq!(swarm.introductions(3).len(), 1);
}

#[test]
fn a_peer_at_fault_for_two_others_is_introduced_to_nobody() {
    let mut swarm = swarm().serving("/a.png", image());
    let liar = swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    for session in [2, 3, 4] {
        swarm.join(session);
        swarm.forget_heard();
        swarm.find(session, &[a]);
        assert_eq!(swarm.introductions(session).len(), usize::from(session < 4));
        swarm.say(
            session,
            ToNode::Parted { peer: liar, bytes: 0, busy_ms: 10, fault: Some(Reason::WrongPiece) },
        );
    }
}

#[test]
fn strangers_cannot_spoil_a_standing() {
    let mut swarm = swarm().serving("/a.png", image());
    let holder = swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    for session in [2, 3, 4] {
        swarm.join(session);
        swarm.say(
            session,
            ToNode::Parted { peer: holder, bytes: 0, busy_ms: 1, fault: Some(Reason::WrongPiece) },
        );
    }
    swarm.forget_heard();
    swarm.find(4, &[a]);
    assert_eq!(swarm.introductions(4).len(), 1);
}

#[test]
fn policies_reach_everybody_and_switch_the_mesh_off() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.join(1);
    swarm.join(2);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.forget_heard();
    swarm.tell(Input::SetPolicy(Policy { enabled: false, ..Policy::default() }));
    assert!(
        swarm.heard(1).iter().chain(&swarm.heard(2)).all(|message| matches!(message, ToPeer::Policy { .. }))
    );
    swarm.find(2, &[a]);
    assert!(matches!(swarm.heard(2)[..], [ToPeer::NoHolder { .. }]));
}

#[test]
fn digests_of_a_large_asset_are_told_when_asked_for() {
    let mut swarm = swarm().serving(
        "/film.mp4",
        common::Page { size: 64 << 20, ..common::page(&[("content-type", "video/mp4")]) },
    );
    swarm.join(1);
    let film = swarm.admit(1, "/film.mp4");
    swarm.run(Duration::from_secs(1));
    assert!(swarm.told[&1].assets[&film].0.pieces.is_none());
    swarm.forget_heard();
    swarm.say(1, ToNode::Pieces { asset: film });
    assert!(matches!(&swarm.heard(1)[..], [ToPeer::Pieces { pieces, .. }] if pieces.0.len() == 1093));
}

#[test]
fn the_operators_peer_meets_all_who_come_and_is_brought_to_nobody() {
    let mut swarm = swarm().serving("/a.png", image());
    let operated = swarm.join_at(1, Place { whose: Whose::Operator, address: 1, ..Place::default() });
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    // More than any visitor is introduced to.
    for session in 2..42 {
        swarm.join(session);
        swarm.find(session, &[a]);
        assert_eq!(swarm.introductions(session), [(operated, true, vec![a])]);
    }
    let mut swarm = common::swarm().serving("/a.png", image());
    swarm.join(2);
    let a = swarm.admit(2, "/a.png");
    swarm.hold(2, &[a]);
    swarm.join_at(1, Place { whose: Whose::Operator, address: 1, ..Place::default() });
    swarm.forget_heard();
    swarm.find(1, &[a]);
    assert!(matches!(&swarm.heard(1)[..], [ToPeer::NoHolder { assets }] if *assets == [a]));
}
