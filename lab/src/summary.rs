//! The run in figures, as `--json` prints it.

use std::collections::{BTreeMap, BTreeSet};

use edgeweave_protocol::report::Sources;
use serde::Serialize;

use crate::figures::{self, Arms, Change, Load, Loads, Sent};
use crate::simulation::Simulated;
use crate::told::{Browser, CostTold, Truths};
use crate::visits::{View, Visited};

/// The reason with which a client says that its visitor was drawn to be left alone.
const HOLDOUT: &str = "holdout";

/// Everything that is printed. docs/lab.md says how each figure comes about.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) holdout: Loads,
    pub(crate) mesh: Loads,
    /// With both arms at the same positions.
    #[serde(flatten)]
    pub(crate) change: Change,
    /// With both arms as chance has made them.
    pub(crate) unadjusted: Change,
    pub(crate) first_visit: Arms<Loads>,
    /// By browser, where there is not only Chromium.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) browsers: BTreeMap<Browser, Arms<Loads>>,
    /// Of visitors, not of page views.
    pub(crate) visitors: Arms<usize>,
    /// Visitors who were in one arm at first and in the other later, and are in both numbers.
    pub(crate) switched: usize,
    pub(crate) offload: f64,
    pub(crate) bytes: Sources,
    /// What the node fetched, which `offload` does not count.
    pub(crate) node_bytes: u64,
    pub(crate) bodies_compared: usize,
    pub(crate) mismatched: usize,
    pub(crate) errors: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) error_texts: Vec<String>,
    /// Visits that were not finished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failures: Vec<String>,
    /// Page views of visitors whose clients never said which arm they were in.
    pub(crate) unassigned: usize,
    pub(crate) cost: Option<Cost>,
    /// What the simulator says of the same scenario.
    pub(crate) sim: Option<Simulated>,
}

/// What the client adds to a page that it cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Time of the main thread, in milliseconds.
    pub(crate) main_thread_ms: f64,
    /// Of that, in scripts.
    pub(crate) script_ms: f64,
    /// Of its tasks, what is beyond 50 ms each.
    pub(crate) total_blocking_ms: f64,
    pub(crate) layout_shift: f64,
    /// Requests of the client's that hold up drawing.
    pub(crate) render_blocking_requests: u32,
}

impl Cost {
    fn of(told: &CostTold) -> Self {
        let median = |plain: bool, of: fn(&crate::told::CostLoad) -> f64| {
            let mut values: Vec<f64> = told.loads.iter().filter(|load| load.plain == plain).map(of).collect();
            values.sort_by(f64::total_cmp);
            figures::quantile(&values, 0.5)
        };
        let added = |of| median(false, of) - median(true, of);
        Self {
            main_thread_ms: added(|load| load.main_thread_ms),
            script_ms: added(|load| load.script_ms),
            total_blocking_ms: added(|load| load.blocked_ms),
            layout_shift: added(|load| load.layout_shift),
            render_blocking_requests: told.loads.iter().map(|load| load.render_blocking).max().unwrap_or(0),
        }
    }
}

/// The arm that a person is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Holdout,
    Mesh,
}

/// Page views by visit and place in it.
pub(crate) type ByView<T> = BTreeMap<(usize, usize), T>;

/// Which arm each page view is in, as its client says. A page that was left before the client could say is in the arm that the
/// client names on another page of the same visit.
pub(crate) fn arms(views: &[View]) -> ByView<Arm> {
    let said = |view: &View| match view.told.off.as_deref() {
        Some(HOLDOUT) => Some(Arm::Holdout),
        None if view.told.connected => Some(Arm::Mesh),
        _ => None,
    };
    let of_visit: BTreeMap<usize, Arm> =
        views.iter().filter_map(|view| Some((view.told.visit, said(view)?))).collect();
    let arm = |view: &View| said(view).or_else(|| of_visit.get(&view.told.visit).copied());
    views.iter().filter_map(|view| Some((view.key(), arm(view)?))).collect()
}

impl Summary {
    pub(crate) fn of(visited: &Visited, truths: &Truths, cost: Option<&CostTold>) -> Self {
        let arms = arms(&visited.views);
        let in_arm = |arm: Arm| {
            let arms = &arms;
            visited.views.iter().filter(move |view| arms.get(&view.key()) == Some(&arm))
        };
        let loads = |of: &dyn Fn(&View) -> bool| {
            let loads = |arm| Loads::of(in_arm(arm).filter(|view| of(view)).map(|view| view.told.load_ms));
            Arms { holdout: loads(Arm::Holdout), mesh: loads(Arm::Mesh) }
        };
        let with = |browser| (browser, loads(&|view| view.browser == browser));
        let has_firefox = visited.views.iter().any(|view| view.browser == Browser::Firefox);
        let of_browsers = visited.views.iter().filter(|_| has_firefox).map(|view| view.browser);
        let of_browsers: BTreeSet<Browser> = of_browsers.collect();
        let by_visitor = |arm| {
            let mut histories: BTreeMap<usize, Vec<Load>> = BTreeMap::new();
            for view in in_arm(arm) {
                let load = Load { position: view.position, ms: view.told.load_ms };
                histories.entry(view.person).or_default().push(load);
            }
            histories.into_values().collect::<Vec<_>>()
        };
        let people = |arm| in_arm(arm).map(|view| view.person).collect::<BTreeSet<_>>();
        let in_both = people(Arm::Holdout).intersection(&people(Arm::Mesh)).count();
        let sent = |arm| {
            let controlled = in_arm(arm).filter(|view| view.told.controlled);
            controlled.map(|view| Sent { position: view.position, bytes: view.from_origin }).collect()
        };
        let both = loads(&|_| true);
        let visitors = Arms { holdout: by_visitor(Arm::Holdout), mesh: by_visitor(Arm::Mesh) };

        let controlled = in_arm(Arm::Mesh).filter(|view| view.told.controlled);
        let mut bytes = controlled.fold(Sources::default(), |sum, view| sum + view.told.bytes);
        bytes.origin = in_arm(Arm::Mesh).map(|view| view.from_origin + view.documents).sum();

        let compared: Vec<_> = in_arm(Arm::Mesh)
            .flat_map(|view| &view.told.bodies)
            .filter_map(|body| Some(truths.get(&body.url)? == &body.sha256))
            .collect();
        let errors_of = |arm| {
            in_arm(arm)
                .flat_map(|view| view.told.errors.iter().map(|error| (error, alike(error, &view.told.url))))
        };
        let usual: BTreeSet<String> = errors_of(Arm::Holdout).map(|(_, alike)| alike).collect();
        // What the site itself lacks is no error of the mesh, whichever page happened to ask for it.
        let is_the_sites = |error: &str| visited.failed.iter().any(|url| error.contains(url));
        let unusual =
            errors_of(Arm::Mesh).filter(|(error, alike)| !usual.contains(alike) && !is_the_sites(error));
        let errors: Vec<&String> = unusual.map(|(error, _)| error).collect();
        Self {
            holdout: both.holdout,
            mesh: both.mesh,
            change: Change::of(&visitors, figures::by_position),
            unadjusted: Change::of(&visitors, figures::of_all),
            first_visit: loads(&|view| view.position == 0),
            browsers: of_browsers.into_iter().map(with).collect(),
            visitors: Arms { holdout: visitors.holdout.len(), mesh: visitors.mesh.len() },
            switched: in_both,
            offload: figures::offload(&Arms { holdout: sent(Arm::Holdout), mesh: sent(Arm::Mesh) }),
            bytes,
            node_bytes: visited.node_bytes,
            bodies_compared: compared.len(),
            mismatched: compared.iter().filter(|same| !**same).count(),
            errors: errors.len(),
            error_texts: errors
                .iter()
                .map(|error| (*error).clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            failures: visited.failures.clone(),
            unassigned: visited.views.iter().filter(|view| !arms.contains_key(&view.key())).count(),
            cost: cost.map(Cost::of),
            sim: None,
        }
    }
}

/// An error's text without what differs from time to time: numbers, and which page it was on, and where there.
fn alike(error: &str, page: &str) -> String {
    let mut parts = error.split(page);
    let before = parts.next().unwrap_or_default();
    let after = parts.map(|part| match part.strip_prefix('#') {
        Some(place) => {
            place.trim_start_matches(|character: char| !character.is_whitespace() && character != ')')
        }
        None => part,
    });
    let words: String = std::iter::once(before).chain(after).collect();
    words.chars().filter(|character| !character.is_ascii_digit()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::told::{Body, Resource, ViewTold};

    fn view(person: usize, position: usize, off: Option<&str>, load_ms: f64) -> View {
        let url = format!("http://o/{}", ["hats", "coats", "shoes", "gloves"][person]);
        let resource = Resource {
            url: "http://o/a.png".into(),
            kind: "img".into(),
            start_ms: 10.0,
            first_byte_ms: 20.0,
            end_ms: 30.0,
            bytes: 1000,
            transferred: 1300,
        };
        let told = ViewTold {
            visit: person,
            index: position,
            url: url.clone(),
            began_ms: 1e12 + load_ms,
            load_ms,
            first_byte_ms: 5.0,
            controlled: position > 0,
            off: off.map(String::from),
            connected: off.is_none(),
            neighbours: 1,
            uploaded: 0,
            replicated: 0,
            bytes: Sources { cache: 10, peers: 20, supernode: 30, origin: 40 },
            requests: Sources::default(),
            resources: vec![resource],
            errors: vec![format!("lost {position} ({url})")],
            bodies: vec![Body { url: "http://o/a.png".into(), sha256: "right".into() }],
        };
        View { person, position, browser: Browser::Chromium, told, from_origin: 500, documents: 50 }
    }

    /// Two visitors in the holdout and two with the mesh, with two page views each.
    pub(crate) fn visited() -> Visited {
        let people =
            [(0, Some(HOLDOUT), 400.0), (1, None, 200.0), (2, Some(HOLDOUT), 600.0), (3, None, 300.0)];
        let views = people.into_iter().flat_map(|(person, off, load_ms)| {
            [view(person, 0, off, load_ms), view(person, 1, off, load_ms / 2.0)]
        });
        Visited { views: views.collect(), ..Visited::default() }
    }

    #[test]
    fn arms_are_compared() {
        let truths = [("http://o/a.png".to_owned(), "right".to_owned())].into();
        let summary = Summary::of(&visited(), &truths, None);
        assert_eq!((summary.holdout.n, summary.mesh.n), (4, 4));
        assert_eq!((summary.holdout.mean_ms, summary.mesh.mean_ms), (375.0, 187.5));
        assert_eq!((summary.change.change_mean, summary.unadjusted.change_mean), (-0.5, -0.5));
        assert_eq!(summary.first_visit.mesh.mean_ms, 250.0);
        assert_eq!(summary.bytes, Sources { cache: 20, peers: 40, supernode: 60, origin: 2200 });
        assert_eq!((summary.bodies_compared, summary.mismatched), (4, 0));
        assert_eq!(summary.errors, 0, "the holdout has them, too");
    }

    #[test]
    fn who_changes_arms_counts_in_both() {
        let mut visited = visited();
        visited.views[1].told.off = None;
        visited.views[1].told.connected = true;
        let summary = Summary::of(&visited, &Truths::new(), None);
        assert_eq!((summary.holdout.n, summary.mesh.n, summary.switched), (3, 5, 1));
        assert_eq!(summary.visitors, Arms { holdout: 2, mesh: 3 });
    }

    #[test]
    fn what_only_the_mesh_has_is_an_error() {
        let mut visited = visited();
        visited.views[2].told.errors.push("broken".into());
        let elsewhere = format!("lost 7 ({}#there)", visited.views[2].told.url);
        visited.views[2].told.errors.push(elsewhere);
        visited.views[2].told.errors.push("not found (http://o/missing.js)".into());
        visited.failed.insert("http://o/missing.js".into());
        visited.views[3].told.bodies[0].sha256 = "wrong".into();
        let truths = [("http://o/a.png".to_owned(), "right".to_owned())].into();
        let summary = Summary::of(&visited, &truths, None);
        assert_eq!((summary.errors, summary.mismatched), (1, 1));
        assert_eq!(summary.error_texts, ["broken"]);
    }

    #[test]
    fn who_left_before_the_client_was_there_is_in_the_arm_that_another_page_says() {
        let mut visited = visited();
        visited.views[2].told.connected = false;
        visited.views[6].told.connected = false;
        visited.views[7].told.connected = false;
        let summary = Summary::of(&visited, &Truths::new(), None);
        assert_eq!((summary.mesh.n, summary.unassigned), (2, 2));
    }
}
