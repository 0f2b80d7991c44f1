//! Assets stay what the origin has.

mod common;

use std::time::Duration;

use common::{Page, image, page, swarm, url};
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
    swarm.run(Duration::from_secs(1));
    stays_fresh(&mut swarm, a, 5 * MINUTE);
}

#[test]
fn short_lived_assets_are_kept_fresh() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=5"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
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
fn a_failing_origin_is_borne_for_a_day() {
    let mut swarm = swarm().serving("/a.png", with_etag("\"1\"", "max-age=60"));
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
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
