//! Assets stay what the origin has.

mod common;

use std::time::Duration;

use common::{Page, hello, image, page, swarm, url};
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::{AssetId, Reason};

const MINUTE: Duration = Duration::from_secs(60);

fn with_etag(etag: &str, control: &str) -> Page {
    page(&[("content-type", "image/png"), ("etag", etag), ("cache-control", control)])
}

/// Lets time pass in short steps; the asset must be fresh for peers all the while.
fn stays_fresh(swarm: &mut common::Swarm, id: AssetId, duration: Duration) {
    let step = Duration::from_millis(500);
    let end = swarm.now + duration;
    while swarm.now < end {
        swarm.run(step);
        let (_, fresh_until) = &swarm.told[&1].assets[&id];
        assert!(*fresh_until > swarm.now, "stale at {:?}", swarm.now);
    }
}

#[test]
fn freshness_is_renewed_before_it_ends_by_conditional_requests() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    swarm.fetched();
    stays_fresh(&mut swarm, a, 10 * MINUTE);
    let fetched = swarm.fetched();
    assert!(
        (10..=14).contains(&fetched.len()) && fetched.iter().all(|(_, conditional)| *conditional),
        "{fetched:?}"
    );
}

#[test]
fn the_same_content_without_validators_is_a_renewal_too() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    stays_fresh(&mut swarm, a, 5 * MINUTE);
}

#[test]
fn short_lived_assets_are_kept_fresh() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=5"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    stays_fresh(&mut swarm, a, MINUTE);
}

#[test]
fn another_content_is_another_asset() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.join(1);
    let old = swarm.admit(1, "/a.png");
    swarm.set("/a.png", Page { flavour: 2, ..with_etag("\"2\"", "max-age=60") });
    swarm.run(MINUTE);
    let new = swarm.admitted("/a.png").unwrap();
    assert_ne!(new.id, old);
    assert_eq!(swarm.refusals(Reason::Changed), 1);
    assert_eq!(swarm.told[&1].assets.keys().copied().collect::<Vec<_>>(), [new.id]);
}

#[test]
fn what_becomes_private_or_vanishes_is_removed() {
    for (page, reason) in [
        (with_etag("\"1\"", "private"), Reason::Private),
        (with_etag("\"1\"", "no-store"), Reason::NoStore),
        (Page { status: 404, ..image() }, Reason::Status),
    ] {
        let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
        swarm.join(1);
        swarm.admit(1, "/a.png");
        swarm.set("/a.png", page);
        swarm.run(MINUTE);
        assert!(swarm.told[&1].assets.is_empty());
        assert_eq!(swarm.refusals(reason), 1);
    }
}

#[test]
fn what_was_missing_and_appears_is_admitted_soon() {
    let missing = || Page { status: 404, ..page(&[("content-type", "text/html")]) };
    let mut swarm = swarm().serving("/a.png", missing());
    swarm.join(1);
    swarm.miss(1, &["/a.png"]);
    let a = swarm.admitted("/a.png").unwrap().id;
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    stays_fresh(&mut swarm, a, 5 * MINUTE);
    swarm.set("/a.png", image());
    swarm.run(MINUTE);
    let there = swarm.admitted("/a.png").unwrap();
    assert_eq!((there.status, swarm.told[&1].assets.len()), (200, 1));
    // And when it vanishes again, visitors have to miss it before it counts as missing.
    swarm.hold(1, &[there.id]);
    swarm.set("/a.png", missing());
    swarm.run(MINUTE);
    assert_eq!(swarm.admitted("/a.png"), None);
    swarm.miss(1, &["/a.png"]);
    assert_eq!(swarm.admitted("/a.png").unwrap().status, 404);
}

#[test]
fn a_file_older_than_the_page_that_says_that_it_is_missing_is_found() {
    let said = [("content-type", "text/html"), ("etag", "\"1\"")];
    let mut swarm = swarm().serving("/a.png", Page { status: 404, ..page(&said) });
    swarm.join(1);
    swarm.miss(1, &["/a.png"]);
    let a = swarm.admitted("/a.png").unwrap().id;
    swarm.hold(1, &[a]);
    swarm.fetched();
    // To the validators of that page, the file would be unchanged.
    swarm.set("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.run(MINUTE);
    assert!(swarm.fetched().iter().all(|(_, conditional)| !conditional));
    assert_eq!(swarm.admitted("/a.png").unwrap().status, 200);
}

#[test]
fn a_failing_origin_does_not_keep_a_file_from_being_there() {
    let mut swarm = swarm().serving("/a.png", Page { status: 404, ..page(&[]) });
    swarm.join(1);
    swarm.miss(1, &["/a.png"]);
    let a = swarm.admitted("/a.png").unwrap().id;
    swarm.hold(1, &[a]);
    let admitted = swarm.now;
    swarm.down = true;
    swarm.run(10 * MINUTE);
    assert!(swarm.told[&1].assets[&a].1 <= admitted + MINUTE);
}
#[test]
fn a_failing_origin_is_borne_for_a_day() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    swarm.down = true;
    swarm.fetched();
    stays_fresh(&mut swarm, a, 60 * MINUTE);
    assert!(swarm.fetched().len() < 90);
    swarm.down = false;
    stays_fresh(&mut swarm, a, 10 * MINUTE);
    swarm.set("/a.png", Page { status: 503, ..image() });
    stays_fresh(&mut swarm, a, 23 * 60 * MINUTE);
    swarm.run(3 * 60 * MINUTE);
    assert!(swarm.told[&1].assets.is_empty());
}

#[test]
fn a_failing_origin_is_not_borne_where_it_demands_revalidation() {
    for control in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60"] {
        let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", control));
        swarm.join(1);
        let a = swarm.admit(1, "/a.png");
        swarm.hold(1, &[a]);
        let admitted = swarm.now;
        swarm.down = true;
        swarm.run(10 * MINUTE);
        assert!(swarm.told[&1].assets[&a].1 <= admitted + MINUTE, "{control}");
        swarm.down = false;
        swarm.run(2 * MINUTE);
        assert!(swarm.told[&1].assets[&a].1 > swarm.now, "{control}");
    }
}

#[test]
fn nothing_is_checked_while_nobody_is_there() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.leave(1);
    swarm.fetched();
    swarm.run(60 * MINUTE);
    assert_eq!(swarm.fetched(), []);
    swarm.join(1);
    swarm.run(Duration::from_secs(1));
    assert!(swarm.told[&1].assets[&a].1 > swarm.now);
}

#[test]
fn what_nobody_holds_or_asks_for_rests_until_it_is_used_again() {
    let mut swarm = swarm();
    swarm.join(1);
    let paths: Vec<String> = (0..50).map(|n| format!("/{n}.png")).collect();
    let ids: Vec<AssetId> = paths
        .iter()
        .map(|path| {
            swarm.set(path, with_etag("\"1\"", "max-age=60"));
            swarm.admit(1, path)
        })
        .collect();
    swarm.hold(1, &ids[..1]);
    // Each is checked once more, because somebody has just seen it.
    swarm.run(5 * MINUTE);
    swarm.fetched();
    swarm.run(10 * MINUTE);
    let fetched = swarm.fetched();
    assert!(
        fetched.len() >= 10 && fetched.iter().all(|(fetched, _)| **fetched == *url("/0.png")),
        "{fetched:?}"
    );

    let is_fresh = |swarm: &common::Swarm, id| swarm.told[&1].assets[&id].1 > swarm.now;
    assert!(is_fresh(&swarm, ids[0]) && !is_fresh(&swarm, ids[1]));
    swarm.find(1, &ids[1..2]);
    swarm.see(1, &["/2.png"]);
    swarm.hold(1, &ids[3..4]);
    let fetched: Vec<String> = swarm.fetched().into_iter().map(|(url, _)| url).collect();
    assert_eq!(fetched, ["/1.png", "/2.png", "/3.png"].map(|path| url(path).into_string()));
    swarm.run(Duration::from_secs(1));
    assert!(ids[1..4].iter().all(|id| is_fresh(&swarm, *id)));
}

#[test]
fn who_does_not_share_has_its_own_copies_kept_fresh() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.open(1);
    let ToNode::Hello { protocol, site, release, visitor, manifest, connects, .. } = hello(1, None) else {
        return;
    };
    swarm.say(1, ToNode::Hello { protocol, site, release, visitor, manifest, connects, shares: false });
    let a = swarm.admit(1, "/a.png");
    swarm.hold(1, &[a]);
    swarm.run(Duration::from_secs(1));
    stays_fresh(&mut swarm, a, 10 * MINUTE);
    assert_eq!(swarm.coordinator.holders(a), 0);
}

#[test]
fn it_takes_more_doubters_where_many_hold_an_asset() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=600"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    for session in 1..=50 {
        swarm.join(session);
        swarm.hold(session, &[a]);
    }
    (1..=4).for_each(|session| swarm.say(session, ToNode::Differs { assets: vec![a] }));
    assert!(swarm.admitted("/a.png").is_some());
    swarm.say(5, ToNode::Differs { assets: vec![a] });
    assert_eq!(swarm.admitted("/a.png"), None);
}

#[test]
fn what_visitors_receive_otherwise_is_looked_at_again_and_then_removed() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=600"));
    (1..=3).for_each(|session| _ = swarm.join(session));
    let a = swarm.admit(1, "/a.png");
    swarm.fetched();
    swarm.say(1, ToNode::Differs { assets: vec![a] });
    assert_eq!(swarm.fetched(), [(url("/a.png").into(), false)]);
    swarm.say(1, ToNode::Differs { assets: vec![a] });
    swarm.say(2, ToNode::Differs { assets: vec![a] });
    assert!(swarm.admitted("/a.png").is_some());
    swarm.say(3, ToNode::Differs { assets: vec![a] });
    assert_eq!((swarm.admitted("/a.png"), swarm.refusals(Reason::VisitorsDiffer)), (None, 1));
    swarm.fetched();
    swarm.run(60 * MINUTE);
    swarm.see(1, &["/a.png"]);
    assert_eq!(swarm.fetched(), []);
}
