//! What the operator wants admitted before visitors come.
#![allow(clippy::unwrap_used, clippy::expect_used)] // What cannot be is a failure.

mod common;

use common::{Page, Swarm, image, page, setup, swarm, swarm_with, url};
use edgeweave_coordinator::Input;
use edgeweave_protocol::Reason;
use edgeweave_protocol::policy::Policy;

fn warm(swarm: &mut Swarm, path: &str) {
    swarm.tell(Input::Warm { url: url(path) });
}

/// What became of each, in order.
fn told(swarm: &mut Swarm) -> Vec<Result<(), Reason>> {
    swarm.warmed.drain(..).map(|(_, outcome)| outcome).collect()
}

#[test]
fn it_is_admitted_like_everything_else_though_nobody_has_seen_it() {
    let mut swarm = swarm().serving("/a.png", image());
    warm(&mut swarm, "/a.png");
    assert_eq!(swarm.fetches.len(), 2, "two fetches have to agree");
    assert_eq!(swarm.warmed, [(url("/a.png").into(), Ok(()))]);
    swarm.join(1);
    assert!(swarm.admitted("/a.png").is_some());

    warm(&mut swarm, "/a.png");
    assert_eq!((swarm.fetches.len(), swarm.warmed.len()), (2, 2), "what is admitted is not fetched");
}

#[test]
fn why_it_is_not_admitted_is_told() {
    let fickle = Page { fickle: true, ..image() };
    let mut swarm = swarm().serving("/own", page(&[("cache-control", "private")])).serving("/fickle", fickle);
    for path in ["/own", "/fickle", "/gone"] {
        warm(&mut swarm, path);
    }
    swarm.tell(Input::Warm { url: "https://other.example/a.png".into() });
    assert_eq!(
        told(&mut swarm),
        [Reason::Private, Reason::Differs, Reason::Status, Reason::OtherOrigin].map(Err)
    );

    let off = swarm_with({
        let policy = Policy { enabled: false, ..Policy::default() };
        edgeweave_coordinator::Setup { policy, ..setup() }
    });
    let mut off = off.serving("/a.png", image());
    warm(&mut off, "/a.png");
    assert_eq!(told(&mut off), [Err(Reason::SwitchedOff)]);
    assert_eq!(off.fetches, []);
}

#[test]
fn an_earlier_refusal_is_forgotten() {
    let mut swarm = swarm();
    warm(&mut swarm, "/a.png");
    let mut swarm = swarm.serving("/a.png", image());
    warm(&mut swarm, "/a.png");
    assert_eq!(told(&mut swarm), [Err(Reason::Status), Ok(())]);
}

#[test]
fn a_purge_ends_it_and_what_was_begun_before_does_not_count() {
    let mut swarm = swarm().serving("/a.png", image()).serving("/b.png", image());
    for purge in [Some(url("/a.png")), None] {
        swarm.held = Some(Vec::new());
        warm(&mut swarm, "/a.png");
        swarm.tell(Input::Purge { url: purge });
        assert_eq!(told(&mut swarm), [Err(Reason::Purged)]);
        warm(&mut swarm, "/a.png");
        assert_eq!(told(&mut swarm), [], "one fetch of a URL is under way at a time");
        let fetches = swarm.fetches.len();
        swarm.held = None;
        swarm.answer(&url("/a.png"), &vec![]);
        assert_eq!(told(&mut swarm), [Ok(())]);
        assert_eq!(swarm.fetches.len() - fetches, 2, "the fetch from before the purge is none of them");
        swarm.tell(Input::Purge { url: None });
    }
}

#[test]
fn no_more_wait_than_fetches_may() {
    let mut swarm = swarm();
    swarm.held = Some(Vec::new());
    let mut asked = 0;
    while swarm.warmed.is_empty() {
        warm(&mut swarm, &format!("/{asked}.png"));
        asked += 1;
    }
    assert_eq!(told(&mut swarm), [Err(Reason::Busy)]);
    assert!((1_000..10_000).contains(&asked), "{asked}");
}

#[test]
fn who_asks_twice_and_is_refused_the_second_time_is_told_once() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.held = Some(Vec::new());
    warm(&mut swarm, "/a.png");
    swarm.tell(Input::SetPolicy(Policy { enabled: false, ..Policy::default() }));
    warm(&mut swarm, "/a.png");
    assert_eq!(told(&mut swarm), [Err(Reason::SwitchedOff)]);
    swarm.answer(&url("/a.png"), &Vec::new());
    assert_eq!(told(&mut swarm), []);
}

#[test]
fn what_was_missing_is_looked_for_again() {
    let mut swarm = swarm().serving("/a.png", Page { status: 404, ..image() });
    swarm.join(1);
    swarm.miss(1, &["/a.png"]);
    assert_eq!(swarm.admitted("/a.png").unwrap().status, 404);
    warm(&mut swarm, "/a.png");
    assert_eq!((told(&mut swarm), swarm.admitted("/a.png")), (vec![Err(Reason::Status)], None));
    // That it was warmed in vain takes nobody the word that it is missing.
    swarm.miss(1, &["/a.png"]);
    assert_eq!(swarm.admitted("/a.png").unwrap().status, 404);
    swarm.set("/a.png", image());
    warm(&mut swarm, "/a.png");
    assert_eq!((told(&mut swarm), swarm.admitted("/a.png").unwrap().status), (vec![Ok(())], 200));
}

#[test]
fn what_was_asked_for_as_missing_says_nothing_of_what_is_warmed() {
    let missing = || Page { status: 404, ..image() };
    // The file comes before the first answer, between the two, or after both.
    for answers in 0..3 {
        let mut swarm = swarm().serving("/a.png", missing());
        swarm.join(1);
        swarm.held = Some(Vec::new());
        swarm.miss(1, &["/a.png"]);
        warm(&mut swarm, "/a.png");
        for answer in 0.. {
            if answer == answers {
                swarm.set("/a.png", image());
            }
            let Some(url) = swarm.held.as_mut().unwrap().pop() else { break };
            swarm.answer(&url, &Vec::new());
        }
        assert_eq!(told(&mut swarm), [Ok(())], "after {answers}");
        assert_eq!(swarm.admitted("/a.png").unwrap().status, 200);
    }
}
