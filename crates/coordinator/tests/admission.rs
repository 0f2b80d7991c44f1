//! What visitors see becomes assets, when the origin lets it.

mod common;

use std::time::Duration;

use common::{Page, headers_of, hello, image, page, rules, setup, swarm, swarm_with, url};
use edgeweave_coordinator::io::Place;
use edgeweave_coordinator::{AdmissionRules, Input};
use edgeweave_protocol::limits::MAX_ADMITTED;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, Reason};

const OLD: &str = "Fri, 15 Jan 2010 07:00:00 GMT";

#[test]
fn a_url_is_admitted_when_enough_visitors_saw_it_and_two_fetches_agree() {
    let mut two = setup();
    two.admission = rules(2);
    let mut swarm = swarm_with(two).serving("/a.png", image());
    swarm.join(1);
    swarm.see(1, &["/a.png"]);
    // A reload is the same visitor.
    swarm.join(3);
    swarm.leave(3);
    swarm.open(3);
    swarm.say(3, hello(1, None));
    swarm.see(3, &["/a.png"]);
    assert_eq!(swarm.fetched(), []);
    swarm.join(2);
    swarm.see(2, &["/a.png"]);
    assert_eq!(swarm.fetched().len(), 2);
    assert_eq!(swarm.admitted("/a.png").unwrap().fresh_ms, 60_000);
    swarm.run(Duration::from_millis(100));
    swarm.assert_all_agree();
    assert_eq!(swarm.told[&1].assets.len(), 1);
}

#[test]
fn one_address_is_no_crowd() {
    let mut ten = setup();
    ten.admission = rules(10);
    let mut swarm = swarm_with(ten).serving("/a.png", image()).serving("/b.png", image());
    for session in 0..50 {
        swarm.join_at(session, Place { address: 7, ..Place::default() });
        swarm.see(session, &["/a.png"]);
    }
    assert_eq!(swarm.fetched(), []);
    for session in 50..60 {
        swarm.join_at(session, Place { address: u64::from(session), ..Place::default() });
        swarm.see(session, &["/b.png"]);
    }
    assert_eq!(swarm.fetched().len(), 2);
}

#[test]
fn what_is_not_public_is_never_admitted() {
    let kind = ("content-type", "image/png");
    let long = ("cache-control", "public, max-age=600");
    for (page, reason) in [
        (page(&[kind, ("cache-control", "Private, max-age=600")]), Reason::Private),
        (page(&[kind, long, ("cache-control", "No-Store")]), Reason::NoStore),
        (page(&[kind, long, ("set-cookie", "a=b")]), Reason::SetCookie),
        (page(&[kind, long, ("vary", "Accept-Encoding, Cookie")]), Reason::Varies),
        (page(&[kind, long, ("vary", "authorization")]), Reason::Varies),
        (page(&[kind, long, ("vary", "*")]), Reason::Varies),
        (Page { status: 404, ..image() }, Reason::Status),
        (Page { status: 206, ..image() }, Reason::Status),
        (Page { fickle: true, ..image() }, Reason::Differs),
        (Page { size: 1 << 40, ..image() }, Reason::TooLarge),
        (page(&[kind, ("cache-control", "no-cache")]), Reason::NotCacheable),
        (page(&[kind, ("pragma", "no-cache")]), Reason::NotCacheable),
        (page(&[kind, ("cache-control", "max-age=0")]), Reason::NotCacheable),
        (page(&[kind, ("cache-control", "max-age=4")]), Reason::NotCacheable),
        (page(&[kind, ("cache-control", "max-age=60"), ("age", "60")]), Reason::NotCacheable),
        (
            page(&[kind, ("cache-control", "max-age=60"), ("age", "99999999999999999999")]),
            Reason::NotCacheable,
        ),
        (page(&[kind, ("cache-control", "max-age=60"), ("date", OLD)]), Reason::NotCacheable),
        (page(&[kind, ("cache-control", "max-age"), ("last-modified", OLD)]), Reason::NotCacheable),
        (page(&[kind, ("cache-control", "max-age=soon"), ("last-modified", OLD)]), Reason::NotCacheable),
        (
            page(&[kind, ("cache-control", "max-age=60, x=\"\u{e9}\""), ("last-modified", OLD)]),
            Reason::NotCacheable,
        ),
        (page(&[kind, ("expires", "0")]), Reason::NotCacheable),
        (page(&[("content-type", "application/json")]), Reason::NotCacheable),
        (page(&[("content-type", "text/html"), long]), Reason::NotCacheable),
    ] {
        let mut swarm = swarm().serving("/a", page.clone());
        swarm.join(1);
        swarm.see(1, &["/a"]);
        assert_eq!(swarm.admitted("/a"), None, "{page:?}");
        assert_eq!(swarm.refusals(reason), 1, "{page:?}: {:?}", swarm.coordinator.counts());
    }
}

#[test]
fn only_urls_of_the_sites_origins_are_fetched() {
    let mut swarm = swarm();
    swarm.join(1);
    for foreign in [
        "https://other.example/a.png",
        "https://site.example.evil.example/a.png",
        "https://site.example:8443/a.png",
        "https://site.example@evil.example/a.png",
        "http://site.example/a.png",
        "https://site.example/a.png#part",
        "https://site.example/a b.png",
        "https://site.example",
        "/a.png",
        "",
    ] {
        swarm.say(1, ToNode::Seen { urls: vec![foreign.into()], missing: false });
    }
    assert_eq!((swarm.fetched(), swarm.refusals(Reason::OtherOrigin)), (vec![], 10));
    swarm.see(1, &[&format!("/{}", "x".repeat(3000))]);
    assert_eq!((swarm.fetched(), swarm.refusals(Reason::TooLarge)), (vec![], 1));
}

#[test]
fn a_refusal_is_remembered_for_a_while() {
    let mut swarm = swarm();
    swarm.join(1);
    swarm.see(1, &["/a"]);
    swarm.see(1, &["/a"]);
    assert_eq!(swarm.fetched().len(), 1);
    swarm.run(Duration::from_secs(601));
    swarm.see(1, &["/a"]);
    assert_eq!(swarm.fetched().len(), 1);
    // Failures pass sooner.
    swarm.down = true;
    swarm.see(1, &["/b.png"]);
    swarm.down = false;
    swarm.set("/b.png", image());
    swarm.see(1, &["/b.png"]);
    assert_eq!(swarm.admitted("/b.png"), None);
    swarm.run(Duration::from_secs(31));
    swarm.admit(1, "/b.png");
    for status in [429, 503] {
        swarm.set("/c.png", Page { status, ..image() });
        swarm.see(1, &["/c.png"]);
        swarm.run(Duration::from_secs(31));
    }
    swarm.set("/c.png", image());
    swarm.admit(1, "/c.png");
}

#[test]
fn freshness_is_the_origins() {
    let css = ("content-type", "text/css; charset=utf-8");
    for (headers, fresh_s) in [
        (vec![css, ("cache-control", "max-age=600")], 600),
        (vec![css, ("cache-control", "max-age=600"), ("age", "100")], 500),
        (vec![css, ("cache-control", "max-age=60, s-maxage=300")], 300),
        (vec![css, ("cache-control", "proxy-revalidate, max-age=50")], 50),
        (
            vec![
                css,
                ("date", "Fri, 15 Jan 2027 08:00:01 GMT"),
                ("expires", "Fri, 15 Jan 2027 09:00:01 GMT"),
            ],
            3600,
        ),
        (
            vec![
                css,
                ("date", "Fri, 15 Jan 2027 08:00:01 GMT"),
                ("last-modified", "Fri, 15 Jan 2027 07:00:01 GMT"),
            ],
            360,
        ),
        (
            vec![
                css,
                ("date", "Fri, 15 Jan 2027 08:00:01 GMT"),
                ("last-modified", "Fri, 15 Jan 2010 07:00:00 GMT"),
            ],
            86400,
        ),
        (vec![css, ("cache-control", "public")], 60),
        // An answer is as old as its date, whatever caches say, and however the coordinator's clock began.
        (vec![css, ("cache-control", "max-age=600"), ("date", "Fri, 15 Jan 2027 07:58:01 GMT")], 480),
        (vec![css, ("cache-control", "max-age=600"), ("date", "Fri, 15 Jan 2027 09:00:00 GMT")], 600),
        // Guesses end after a day also where the origin says that nothing changes, but not for how long.
        (
            vec![css, ("cache-control", "immutable"), ("last-modified", "Fri, 15 Jan 2010 07:00:00 GMT")],
            86400,
        ),
        (vec![css, ("cache-control", "immutable, max-age=31536000")], 31_536_000),
        (vec![("content-type", "application/json"), ("cache-control", "max-age=30")], 30),
    ] {
        let mut swarm = swarm().serving("/a", page(&headers));
        swarm.join(1);
        swarm.admit(1, "/a");
        assert_eq!(swarm.admitted("/a").unwrap().fresh_ms, fresh_s * 1000, "{headers:?}");
    }
}

/// What nginx says of what it does not have.
fn not_found() -> Page {
    Page { status: 404, ..page(&[("content-type", "text/html")]) }
}

#[test]
fn what_visitors_miss_is_admitted_as_missing() {
    let mut two = setup();
    two.admission = rules(2);
    let mut swarm = swarm_with(two).serving("/a.css?v=1", not_found());
    swarm.join(1);
    swarm.join(2);
    swarm.miss(1, &["/a.css?v=1"]);
    assert_eq!(swarm.fetched(), []);
    swarm.miss(2, &["/a.css?v=1"]);
    assert_eq!(swarm.fetched().len(), 2);
    let asset = swarm.admitted("/a.css?v=1").unwrap();
    assert_eq!((asset.status, asset.fresh_ms), (404, 60_000));
    // It is purged like any asset.
    swarm.tell(Input::Purge { url: Some(url("/a.css?v=1")) });
    assert_eq!(swarm.admitted("/a.css?v=1"), None);
}

#[test]
fn only_what_nobody_would_be_given_is_admitted_as_missing() {
    let long = ("cache-control", "public, max-age=600");
    for (path, page, fresh_ms) in [
        // The origin says for how long.
        ("/a", Page { status: 410, ..page(&[("cache-control", "max-age=300")]) }, Some(300_000)),
        // Not for longer than it takes until somebody wonders.
        (
            "/a",
            Page { status: 410, ..page(&[("cache-control", "max-age=31536000, immutable")]) },
            Some(600_000),
        ),
        ("/a.woff2", Page { status: 404, ..page(&[]) }, Some(60_000)),
        // A program may know its visitors by what the node does not send.
        ("/a", not_found(), None),
        ("/a.png/", not_found(), None),
        ("/a.css", Page { status: 404, ..page(&[("vary", "cookie")]) }, None),
        ("/a.css", Page { status: 404, ..page(&[("cache-control", "no-store")]) }, None),
        ("/a.css", Page { status: 404, ..page(&[("set-cookie", "a=b")]) }, None),
        ("/a.css", Page { fickle: true, ..not_found() }, None),
        ("/a.css", Page { status: 403, ..page(&[long]) }, None),
        ("/a.css", image(), None),
    ] {
        let mut swarm = swarm().serving(path, page.clone());
        swarm.join(1);
        swarm.miss(1, &[path]);
        assert_eq!(swarm.admitted(path).map(|asset| asset.fresh_ms), fresh_ms, "{path}: {page:?}");
    }
    let mut none = setup();
    none.admission.missing_freshness_s = 0;
    let mut swarm = swarm_with(none).serving("/a.css", Page { status: 404, ..page(&[long]) });
    swarm.join(1);
    swarm.miss(1, &["/a.css"]);
    assert_eq!((swarm.admitted("/a.css"), swarm.refusals(Reason::Status)), (None, 1));
}

#[test]
fn a_name_among_files_is_that_of_a_file() {
    let mut swarm = swarm();
    swarm.join(1);
    let files = ["/_static/a.css", "/_static/b.js", "/_static/c.png", "/d.css", "/e.css", "/f.css"];
    for path in files {
        swarm.set(path, image());
        swarm.admit(1, path);
    }
    for (path, is_file) in [
        ("/_static/none", true),
        ("/_static/none?of=these", false),
        ("/_static/more/none", false),
        ("/_stat", false),
        // Programs are often there.
        ("/none", false),
    ] {
        swarm.set(path, not_found());
        swarm.miss(1, &[path]);
        assert_eq!(swarm.admitted(path).is_some(), is_file, "{path}");
    }
    // Two are not enough.
    swarm.tell(Input::Purge { url: Some(url("/_static/a.css")) });
    swarm.set("/_static/nothing", not_found());
    swarm.miss(1, &["/_static/nothing"]);
    assert_eq!(swarm.admitted("/_static/nothing"), None);
}

#[test]
fn what_somebody_is_given_is_not_missing() {
    // Whom the origin knows by a cookie it gives what it has, and nothing of the answers says so.
    let mut two = setup();
    two.admission = rules(2);
    let mut swarm = swarm_with(two).serving("/a.png", not_found());
    (1..=4).for_each(|session| _ = swarm.join(session));
    swarm.see(1, &["/a.png"]);
    [2, 3].into_iter().for_each(|session| swarm.miss(session, &["/a.png"]));
    assert_eq!((swarm.admitted("/a.png"), swarm.fetched()), (None, vec![]));
    // Two are given it, and the node is not.
    swarm.see(4, &["/a.png"]);
    assert_eq!((swarm.fetched().len(), swarm.refusals(Reason::Status)), (1, 1));
    swarm.run(Duration::from_secs(3_600));
    [1, 2, 3].into_iter().for_each(|session| swarm.miss(session, &["/a.png"]));
    assert_eq!(swarm.admitted("/a.png"), None);

    // Somebody is given what is admitted as missing already.
    swarm.set("/b.png", not_found());
    [2, 3].into_iter().for_each(|session| swarm.miss(session, &["/b.png"]));
    assert_eq!(swarm.admitted("/b.png").unwrap().status, 404);
    swarm.see(1, &["/b.png"]);
    assert_eq!(swarm.admitted("/b.png"), None);
    swarm.run(Duration::from_secs(3_600));
    [2, 3].into_iter().for_each(|session| swarm.miss(session, &["/b.png"]));
    assert_eq!(swarm.admitted("/b.png"), None);
}

#[test]
fn a_file_that_is_being_published_is_not_missing() {
    let mut slow = setup();
    slow.admission = AdmissionRules { missing_after_s: 30, ..rules(1) };
    let mut swarm = swarm_with(slow).serving("/a.js", not_found());
    swarm.join(1);
    for _ in 0..29 {
        swarm.miss(1, &["/a.js"]);
        swarm.run(Duration::from_secs(1));
    }
    assert_eq!(swarm.fetched(), []);
    swarm.run(Duration::from_secs(1));
    swarm.miss(1, &["/a.js"]);
    assert_eq!(swarm.admitted("/a.js").unwrap().status, 404);
}

#[test]
fn what_is_missing_takes_no_place_of_what_is_there() {
    let mut swarm = swarm().serving("/a.png", image());
    swarm.join(1);
    let there = swarm.admit(1, "/a.png");
    for name in 0..300 {
        let path = format!("/{name}.css");
        swarm.set(&path, not_found());
        swarm.miss(1, &[&path]);
        swarm.run(Duration::from_millis(200));
    }
    assert_eq!(swarm.coordinator.counts().assets, 257);
    assert_eq!(swarm.admitted("/a.png").unwrap().id, there);
    assert_eq!((swarm.admitted("/0.css"), swarm.admitted("/299.css").unwrap().status), (None, 404));
}

#[test]
fn without_a_supernode_nobody_has_what_is_missing_first() {
    let mut none = setup();
    none.policy.supernode = false;
    let mut swarm = swarm_with(none).serving("/a.css", not_found());
    swarm.join(1);
    swarm.miss(1, &["/a.css"]);
    assert_eq!((swarm.admitted("/a.css"), swarm.fetched()), (None, vec![]));
}

#[test]
fn an_empty_file_is_not_the_same_as_none() {
    let mut swarm = swarm().serving("/a.css", Page { size: 0, ..not_found() });
    swarm.held = Some(Vec::new());
    swarm.join(1);
    swarm.miss(1, &["/a.css"]);
    swarm.answer(&url("/a.css"), &vec![]);
    swarm.set("/a.css", Page { size: 0, ..image() });
    swarm.answer(&url("/a.css"), &vec![]);
    assert_eq!(swarm.admitted("/a.css"), None);
}

#[test]
fn headers_that_belong_to_one_connection_or_moment_stay_behind() {
    let filler = "x".repeat(3900);
    let headers = [
        ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("content-encoding", "br"),
        ("content-length", "5"),
        ("content-disposition", "inline; filename=\u{fffd}.png"),
        ("x-filler", &*filler),
        ("x-small", "kept while there is room"),
        ("etag", "\"1\""),
        ("content-type", "image/png"),
        ("access-control-allow-origin", "*"),
        ("strict-transport-security", "max-age=1"),
    ];
    let mut swarm = swarm().serving("/a", page(&headers));
    swarm.join(1);
    swarm.admit(1, "/a");
    let kept = [
        ("x-filler", &*filler),
        ("x-small", "kept while there is room"),
        ("etag", "\"1\""),
        ("content-type", "image/png"),
        ("access-control-allow-origin", "*"),
    ];
    assert_eq!(*swarm.admitted("/a").unwrap().headers, headers_of(&kept));
}

#[test]
fn a_purge_is_told_at_once_and_voids_what_was_begun() {
    let mut swarm = swarm().serving("/a.png", image()).serving("/b.png", image());
    swarm.join(1);
    swarm.admit(1, "/a.png");
    swarm.run(Duration::from_secs(1));
    swarm.tell(Input::Purge { url: Some(url("/a.png")) });
    assert!(swarm.told[&1].assets.is_empty());
    // Its return has another index.
    let again = swarm.admit(1, "/a.png");
    assert_eq!(again, AssetId(1));

    swarm.held = Some(Vec::new());
    swarm.see(1, &["/b.png"]);
    swarm.tell(Input::Purge { url: Some(url("/b.png")) });
    swarm.held = None;
    swarm.answer(&url("/b.png"), &vec![]);
    assert_eq!(swarm.admitted("/b.png"), None);
    swarm.admit(1, "/b.png");
    swarm.tell(Input::Purge { url: None });
    swarm.run(Duration::from_secs(1));
    swarm.assert_all_agree();
    assert_eq!(swarm.coordinator.counts().assets, 0);
}

#[test]
fn after_a_purge_sightings_begin_from_nothing() {
    let mut two = setup();
    two.admission = rules(2);
    for purge in [Some(url("/a.png")), None] {
        let mut swarm = swarm_with(two.clone()).serving("/a.png", image());
        (1..=3).for_each(|session| _ = swarm.join(session));
        swarm.see(1, &["/a.png"]);
        swarm.tell(Input::Purge { url: purge });
        swarm.see(2, &["/a.png"]);
        assert_eq!(swarm.fetched(), []);
        swarm.see(3, &["/a.png"]);
        assert!(swarm.admitted("/a.png").is_some());
    }
}

#[test]
fn at_most_eight_fetches_are_under_way() {
    let mut swarm = swarm();
    swarm.held = Some(Vec::new());
    swarm.join(1);
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}.png")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.iter().for_each(|path| swarm.set(path, image()));
    swarm.see(1, &paths);
    assert_eq!(swarm.held.as_ref().unwrap().len(), 8);
    swarm.see(1, &paths);
    assert_eq!(swarm.held.as_ref().unwrap().len(), 8);
    while let Some(next) = swarm.held.as_mut().unwrap().pop() {
        swarm.answer(&next, &vec![]);
        assert!(swarm.held.as_ref().unwrap().len() <= 8);
    }
    assert_eq!(swarm.coordinator.counts().assets, 20);
    // Admitted together, told together.
    swarm.forget_heard();
    swarm.run(Duration::from_millis(100));
    assert!(matches!(&swarm.heard(1)[..], [ToPeer::Manifest(delta)] if delta.add.len() == 20));
}

#[test]
fn who_comes_back_is_told_what_it_missed() {
    let mut swarm = swarm();
    swarm.join(1);
    ["/a.png", "/b.png", "/c.png"].iter().for_each(|path| swarm.set(path, image()));
    let (a, b) = (swarm.admit(1, "/a.png"), swarm.admit(1, "/b.png"));
    swarm.run(Duration::from_secs(1));
    let known = swarm.told[&1].version;
    swarm.tell(Input::Purge { url: Some(url("/a.png")) });
    let c = swarm.admit(1, "/c.png");
    swarm.run(Duration::from_secs(1));
    swarm.open(2);
    let missed = |message: &ToPeer| match message {
        ToPeer::Manifest(delta) => Some((
            delta.reset,
            delta.add.iter().map(|asset| asset.id).collect::<Vec<_>>(),
            delta.remove.clone(),
        )),
        _ => None,
    };
    swarm.told.entry(2).or_default().assets = swarm.told[&1].assets.clone();
    swarm.told.get_mut(&2).unwrap().assets.remove(&c);
    swarm.say(2, hello(2, known));
    assert_eq!(swarm.heard(2).iter().find_map(missed), Some((false, vec![c], vec![a])));
    // A version of the future or of another epoch is nothing.
    for other in [(known.unwrap().epoch, 999), (known.unwrap().epoch ^ 1, 1)] {
        swarm.open(3);
        swarm.say(
            3,
            hello(3, Some(edgeweave_protocol::manifest::ManifestVersion { epoch: other.0, number: other.1 })),
        );
        assert_eq!(swarm.heard(3).iter().find_map(missed), Some((true, vec![b, c], vec![])));
    }
}

#[test]
fn a_large_manifest_comes_in_parts() {
    let mut swarm = swarm();
    for batch in 0..30 {
        swarm.join(1);
        let paths: Vec<String> = (0..100).map(|n| format!("/{batch}/{n}/{}.png", "x".repeat(300))).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        paths.iter().for_each(|path| swarm.set(path, image()));
        swarm.see(1, &paths);
    }
    assert_eq!(swarm.coordinator.counts().assets, 3000);
    swarm.run(Duration::from_millis(100));
    swarm.join(2);
    let parts: Vec<bool> = swarm
        .heard(2)
        .iter()
        .filter_map(|message| if let ToPeer::Manifest(delta) = message { Some(delta.more) } else { None })
        .collect();
    assert!(
        parts.len() > 3 && parts.iter().rev().skip(1).all(|more| *more) && parts.last() == Some(&false),
        "{parts:?}"
    );
    swarm.assert_all_agree();
}

#[test]
fn a_policy_that_allows_less_removes_what_is_larger() {
    let mut swarm = swarm().serving("/a.png", image()).serving("/b.png", Page { size: 5000, ..image() });
    swarm.join(1);
    let a = swarm.admit(1, "/a.png");
    swarm.admit(1, "/b.png");
    swarm.tell(Input::SetPolicy(Policy { max_asset_bytes: 2000, ..Policy::default() }));
    swarm.run(Duration::from_secs(1));
    assert_eq!(swarm.told[&1].assets.keys().copied().collect::<Vec<_>>(), [a]);
}

#[test]
fn a_full_manifest_lets_go_of_what_was_used_longest_ago() {
    let mut swarm = swarm();
    let admit = |swarm: &mut common::Swarm, numbers: std::ops::Range<usize>| {
        let paths: Vec<String> = numbers.map(|n| format!("/{n}.png")).collect();
        paths.iter().for_each(|path| swarm.set(path, image()));
        for batch in paths.chunks(100) {
            swarm.join(1);
            swarm.see(1, &batch.iter().map(String::as_str).collect::<Vec<_>>());
        }
    };
    admit(&mut swarm, 0..MAX_ADMITTED);
    swarm.now = swarm.now + Duration::from_secs(1);
    swarm.find(1, &[AssetId(0)]);
    admit(&mut swarm, MAX_ADMITTED..MAX_ADMITTED + 1);
    assert_eq!(swarm.coordinator.counts().assets as usize, MAX_ADMITTED);
    assert_eq!(swarm.refusals(Reason::Evicted), 1);
    assert!(swarm.admitted("/0.png").is_some() && swarm.admitted("/1.png").is_none());
}
