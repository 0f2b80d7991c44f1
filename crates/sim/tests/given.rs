//! A scenario that gives its network and its site: its plan is who comes, the simulator follows it, and the mesh is worth it.

#![allow(clippy::unwrap_used)] // A test says what is wrong by failing.

use std::collections::BTreeSet;

use edgeweave_protocol::policy::{Policy, Prefetch};
use edgeweave_sim::{Arms, Control, Fault, Nat, Outcome, Scenario, ScenarioError, Summary, plan, run};

/// A shop of four pages, half of whose visitors come again within minutes.
const SHOP: &str = r#"
seed = 5
visitors = 80
visits = 60
arrivals_s = 3.0

[site]
pages_per_visit = 3.0
dwell_s = 8.0
return_share = 0.5
return_days = 0.001

[network]
nat = { open = 0.5, restricted = 0.3, symmetric = 0.2 }

[[given_site.pages]]
url = "/"
html_bytes = 12000
think_ms = 30
assets = [0, 1, 2, 3, 4]
links = [1, 2, 3]

[[given_site.pages]]
url = "/hats?page=1"
html_bytes = 9000
assets = [0, 1, 2, 5, 6]
links = [2, 0]

[[given_site.pages]]
url = "/coats"
html_bytes = 9000
assets = [0, 1, 2, 7, 3]
links = [3, 0]

[[given_site.pages]]
url = "/checkout"
html_bytes = 5000
assets = [0, 1, 8]

[[given_site.assets]]
url = "/site.css"
kind = "style"
bytes = 30000
caching = "immutable"
render_blocking = true

[[given_site.assets]]
url = "/site.js"
kind = "script"
bytes = 150000
caching = { max_age = { seconds = 3600 } }

[[given_site.assets]]
url = "/serif.woff2"
kind = "font"
bytes = 40000
caching = "immutable"

[[given_site.assets]]
url = "/hero.avif"
kind = "picture"
bytes = 800000
caching = "immutable"

[[given_site.assets]]
url = "/logo.avif"
kind = "picture"
bytes = 12000
caching = "unsaid"

[[given_site.assets]]
url = "/hat-1.avif"
kind = "picture"
bytes = 500000
caching = "immutable"

[[given_site.assets]]
url = "/hat-2.avif"
kind = "picture"
bytes = 700000
caching = { max_age = { seconds = 86400 } }

[[given_site.assets]]
url = "/coat.avif"
kind = "picture"
bytes = 900000
caching = "immutable"

[[given_site.assets]]
url = "/basket.js"
kind = "script"
bytes = 9000
caching = "no_store"
"#;

fn shop() -> Scenario {
    Scenario::parse(SHOP).unwrap()
}

fn outcome(scenario: Scenario) -> Outcome {
    run(scenario, |_| Control::Continue).unwrap()
}

#[test]
fn a_given_scenario_is_read_as_it_was_written() {
    assert_eq!(Scenario::parse(&shop().to_toml().unwrap()).unwrap(), shop());
}

#[test]
fn what_means_nothing_is_named() {
    let key = |from: &str, to: &str| match Scenario::parse(&SHOP.replace(from, to)) {
        Err(ScenarioError::Meaningless { key, .. }) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key("symmetric = 0.2", "symmetric = 0.3"), "network.nat");
    assert_eq!(key("links = [1, 2, 3]", "links = [4]"), "given_site.pages.links");
    assert_eq!(key("arrivals_s = 3.0", "arrivals_s = 0"), "arrivals_s");
    let in_place = "caching = \"no_store\"\ninstead_of = 0";
    assert_eq!(key("caching = \"no_store\"", in_place), "given_site.assets.instead_of");
    assert_eq!(key("return_days = 0.001", "return_days = 0"), "site.return_days");
}

#[test]
fn what_is_missing_is_waited_for_without_the_mesh_only() {
    let missing = r#"
[[given_site.assets]]
url = "/sans.woff2"
kind = "font"
bytes = 300
caching = "missing"

[[given_site.assets]]
url = "/sans.woff"
kind = "font"
bytes = 300
caching = "missing"
instead_of = 9
"#;
    let pages = SHOP.replace("assets = [0, 1,", "assets = [0, 1, 9, 10,") + missing;
    let with = outcome(Scenario::parse(&pages).unwrap());
    let without = outcome(shop());
    assert_eq!((with.laws.violations, without.laws.violations), (0, 0), "{:?}", with.laws.first);
    // Pages after the first of a visit, which is when a client is there.
    let mean = |outcome: &Outcome| {
        let later: Vec<&Arms<f64>> =
            outcome.views.iter().filter(|view| view.place > 0).map(|view| &view.load_ms).collect();
        let mean =
            |of: fn(&Arms<f64>) -> f64| later.iter().map(|times| of(times)).sum::<f64>() / later.len() as f64;
        (mean(|times| times.holdout), mean(|times| times.mesh))
    };
    let ((holdout, mesh), (holdout_without, mesh_without)) = (mean(&with), mean(&without));
    let (lost, lost_in_mesh) = (holdout - holdout_without, mesh - mesh_without);
    assert!(lost > 60.0, "one format after the other, each over a round trip to the origin: {lost}");
    assert!(lost_in_mesh < lost / 2.0, "{lost_in_mesh} of {lost}");
}

#[test]
fn the_plan_of_a_seed_is_one_and_within_what_is_given() {
    let plan = plan(&shop()).unwrap();
    assert_eq!(plan, edgeweave_sim::plan(&shop()).unwrap());
    assert_ne!(plan, edgeweave_sim::plan(&Scenario { seed: 6, ..shop() }).unwrap());
    assert_eq!(plan.visits.len(), 60);
    assert!(plan.visits.is_sorted_by_key(|visit| visit.starts_us));
    for person in &plan.people {
        assert!((3_750..=15_000).contains(&person.one_way_us), "{person:?}");
        assert!((2_500_000..=6_250_000).contains(&person.down_bytes_per_s), "{person:?}");
        assert!((2_500_000..=6_250_000).contains(&person.up_bytes_per_s), "{person:?}");
        assert!(matches!(person.nat, Nat::Open | Nat::Restricted | Nat::Symmetric));
    }
    for (turn, visit) in plan.visits.iter().enumerate() {
        assert_eq!(visit.starts_us / 3_000_000, turn as u64, "one in each turn");
    }
    let came: BTreeSet<u32> = plan.visits.iter().map(|visit| visit.visitor).collect();
    assert!((30..55).contains(&came.len()), "some come again: {}", came.len());
    assert!(came.iter().all(|visitor| (*visitor as usize) < plan.people.len()));
    for visitor in came {
        let mut gone_us = 0;
        for visit in plan.visits.iter().filter(|visit| visit.visitor == visitor) {
            assert!(visit.starts_us >= gone_us, "nobody comes before having gone");
            gone_us = visit.starts_us + visit.views.iter().map(|view| view.dwell_us).sum::<u64>();
            assert!(visit.views.iter().all(|view| view.page < 4 && view.dwell_us >= 3_000_000));
        }
    }
}

#[test]
fn the_simulator_follows_the_plan() {
    let plan = plan(&shop()).unwrap();
    let summary = outcome(shop()).summary;
    let views: usize = plan.visits.iter().map(|visit| visit.views.len()).sum();
    let came: BTreeSet<u32> = plan.visits.iter().map(|visit| visit.visitor).collect();
    assert_eq!((summary.page_views, summary.visitors), (views as u64, came.len() as u64));
}

#[test]
fn the_world_s_plan_can_be_had_as_well() {
    let scenario = Scenario { visitors: 50, visits: 20, days: 0.1, ..Scenario::default() };
    let plan = plan(&scenario).unwrap();
    assert_eq!(plan.visits.len(), 20);
    assert!(plan.visits.iter().all(|visit| visit.starts_us < 8_640_000_000));
}

#[test]
fn pages_are_faster_with_the_mesh_and_no_law_is_broken() {
    let outcome = outcome(shop());
    assert_eq!(outcome.laws.violations, 0, "{:?}", outcome.laws.first);
    let (load, views) = (outcome.summary.page_load, outcome.summary.taking_part);
    assert!(load.mesh.mean_ms < load.holdout.mean_ms, "{load:?}");
    assert!(outcome.summary.bytes.peers > 0 && outcome.summary.bytes.supernode > 0);
    assert_eq!(views.mesh.page_load.n as u64, outcome.summary.page_views, "nobody is left alone");
    assert!((views.mesh.page_load.mean_ms - load.mesh.mean_ms).abs() < 1e-9);
    assert!(views.mesh.origin_bytes < views.holdout.origin_bytes);
    // The first page of a visitor needs TCP, the document, what it names and the font: four round trips at least.
    assert!(outcome.summary.first_visit.holdout.p50_ms > 480.0, "{:?}", outcome.summary.first_visit);
}

#[test]
fn documents_that_are_fetched_ahead_make_the_next_pages_faster_and_are_fetched_once() {
    // A page whose address has a query is not fetched ahead.
    let shop = Scenario::parse(&SHOP.replace("/hats?page=1", "/hats")).unwrap();
    let of = |prefetch| {
        let policy = Policy { prefetch, ..shop.policy.clone() };
        outcome(Scenario { policy, ..shop.clone() }).summary
    };
    let [off, conservative, moderate] = [Prefetch::Off, Prefetch::Conservative, Prefetch::Moderate].map(of);
    let mesh = |summary: &Summary| summary.page_load.mesh.mean_ms;
    // Everybody has Chromium and a pointer; two of three pages are no visitor's first.
    assert!(
        (35.0..85.0).contains(&(mesh(&off) - mesh(&conservative))),
        "{} {}",
        mesh(&off),
        mesh(&conservative)
    );
    assert!((60.0..170.0).contains(&(mesh(&off) - mesh(&moderate))), "{} {}", mesh(&off), mesh(&moderate));
    for ahead in [&conservative, &moderate] {
        assert!(ahead.page_load.holdout.mean_ms == off.page_load.holdout.mean_ms);
        let (all, before) =
            (ahead.taking_part.mesh.origin_bytes as f64, off.taking_part.mesh.origin_bytes as f64);
        assert!((all / before - 1.0).abs() < 0.02, "{all} {before}");
    }
}

#[test]
fn the_operators_own_peer_gives_the_first_visitors_what_they_would_have_to_fetch() {
    // Hardly anybody is there at the same time as others.
    let scenario = Scenario { supernodes: Vec::new(), arrivals_s: 60.0, ..shop() };
    let alone = outcome(scenario.clone()).summary;
    let outcome = outcome(Scenario { native_peer: true, warmed: true, ..scenario });
    assert_eq!(outcome.laws.violations, 0, "{:?}", outcome.laws.first);
    let helped = outcome.summary;
    assert_eq!(helped.page_views, alone.page_views, "it looks at no pages");
    assert!(helped.bytes.peers > 2 * alone.bytes.peers, "{:?} {:?}", helped.bytes, alone.bytes);
    assert!(helped.page_load.mesh.mean_ms < alone.page_load.mesh.mean_ms);
    assert!(helped.uploads.largest_bytes <= alone.uploads.largest_bytes, "what it gives is nobody's upload");
}

#[test]
fn a_page_has_loaded_when_the_browser_has_made_a_page_of_it() {
    let busy = SHOP.replace("html_bytes", "processing_ms = 400\nhtml_bytes");
    let busy = outcome(Scenario::parse(&busy).unwrap()).summary.page_load;
    let idle = outcome(shop()).summary.page_load;
    for (busy, idle) in [(busy.holdout, idle.holdout), (busy.mesh, idle.mesh)] {
        // What is processed while the next answer is awaited takes no time of its own.
        assert!(busy.p50_ms > idle.p50_ms + 50.0 && busy.mean_ms < idle.mean_ms + 400.0, "{busy:?} {idle:?}");
    }
}

#[test]
fn visitors_who_are_left_alone_give_nothing_and_are_not_counted_as_taking_part() {
    let mut scenario = shop();
    let all = outcome(scenario.clone()).summary;
    scenario.policy.holdout_percent = 50;
    let half = outcome(scenario).summary;
    let (takes_part, views) = (half.taking_part.mesh.page_load.n as u64, half.page_views);
    assert_eq!(views, all.page_views);
    assert!((views / 4..views * 3 / 4).contains(&takes_part), "{takes_part} of {views}");
    assert!(half.uploads.visitors < all.uploads.visitors);
    let Arms { mesh, holdout } = half.taking_part;
    assert!(mesh.page_load.mean_ms < holdout.page_load.mean_ms, "{mesh:?} {holdout:?}");
}

#[test]
fn who_is_held_out_by_name_has_the_page_loads_of_the_holdout() {
    let mut scenario = shop();
    scenario.held_out = (0..20).collect();
    let visits = plan(&scenario).unwrap().visits;
    let outcome = outcome(scenario.clone());
    assert_eq!(outcome.views.len(), visits.iter().map(|visit| visit.views.len()).sum::<usize>());
    let mean = |held_out: bool| {
        let views = outcome.views.iter();
        let theirs = views.filter(|view| scenario.held_out.contains(&visits[view.visit].visitor) == held_out);
        let times: Vec<_> = theirs.map(|view| view.load_ms).collect();
        let sum = |of: fn(&Arms<f64>) -> f64| times.iter().map(of).sum::<f64>() / times.len() as f64;
        (sum(|load| load.holdout), sum(|load| load.mesh))
    };
    let (holdout, mesh) = mean(true);
    assert!((mesh / holdout - 1.0).abs() < 0.02, "{mesh} {holdout}");
    let (holdout, mesh) = mean(false);
    assert!(mesh < 0.95 * holdout, "{mesh} {holdout}");
}

#[test]
fn all_laws_hold_where_all_goes_wrong() {
    let mut scenario = Scenario { faults: Fault::ALL.into(), ..shop() };
    if let Some(network) = &mut scenario.network {
        (network.loss, network.jitter_ms) = (0.02, 10.0);
    }
    let outcome = outcome(scenario);
    assert_eq!(outcome.laws.violations, 0, "{:?}", outcome.laws.first);
}

#[test]
fn the_same_network_can_speak_http_2() {
    let mut scenario = shop();
    if let Some(network) = &mut scenario.network {
        network.http = edgeweave_sim::Http::H2;
    }
    let (h1, h2) = (outcome(shop()).summary, outcome(scenario).summary);
    // A name and TLS are two round trips of 120 ms more before a first document.
    let later = h2.first_visit.holdout.p50_ms - h1.first_visit.holdout.p50_ms;
    assert!(later > 0.0, "{later}");
}

#[test]
fn the_documented_scenario_is_one() {
    let documentation = include_str!("../../../docs/simulation.md");
    let (_, from) = documentation.split_once("```toml\n").unwrap();
    let scenario = Scenario::parse(from.split_once("```").unwrap().0).unwrap();
    assert_eq!(scenario.given_site.map(|site| (site.pages.len(), site.assets.len())), Some((2, 2)));
    assert!(scenario.network.is_some());
}
