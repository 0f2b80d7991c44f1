//! The run in figures, as `--json` prints it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::figures::{self, Arms, Loads, Sent};
use crate::told::{CostTold, Sources, Truths};
use crate::visits::{View, Visited};

/// The reason with which a client says that its visitor was drawn to be left alone.
const HOLDOUT: &str = "holdout";

/// Everything that is printed. docs/lab.md says how each figure comes about.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) holdout: Loads,
    pub(crate) mesh: Loads,
    pub(crate) change_mean: f64,
    pub(crate) ci95: [f64; 2],
    pub(crate) first_visit: Arms<Loads>,
    /// Of visitors, not of page views.
    pub(crate) visitors: Arms<usize>,
    pub(crate) offload: f64,
    pub(crate) bytes: Sources,
    /// What the holdout would have fetched in place of the mesh's visitors; what those did; what the node fetched.
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

/// Which arm each person is in, as their clients say: it stays the same from page to page, and a page that was left too early
/// to say belongs to the same.
pub(crate) fn arms(views: &[View]) -> BTreeMap<usize, Arm> {
    let mut arms = BTreeMap::new();
    for view in views {
        match view.told.off.as_deref() {
            Some(HOLDOUT) => {
                arms.insert(view.person, Arm::Holdout);
            }
            None if view.told.connected => {
                arms.entry(view.person).or_insert(Arm::Mesh);
            }
            _ => {}
        }
    }
    arms
}

impl Summary {
    pub(crate) fn of(visited: &Visited, truths: &Truths, cost: Option<&CostTold>) -> Self {
        let arms = arms(&visited.views);
        let in_arm = |arm: Arm| {
            let arms = &arms;
            visited.views.iter().filter(move |view| arms.get(&view.person) == Some(&arm))
        };
        let loads = |arm, first_only: bool| {
            Loads::of(
                in_arm(arm).filter(|view| !first_only || view.position == 0).map(|view| view.told.load_ms),
            )
        };
        let by_visitor = |arm| {
            let mut times: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            in_arm(arm).for_each(|view| times.entry(view.person).or_default().push(view.told.load_ms));
            times.into_values().collect::<Vec<_>>()
        };
        let sent = |arm| {
            let controlled = in_arm(arm).filter(|view| view.told.controlled);
            controlled.map(|view| Sent { position: view.position, bytes: view.from_origin }).collect()
        };
        let both = Arms { holdout: loads(Arm::Holdout, false), mesh: loads(Arm::Mesh, false) };
        let times = Arms { holdout: by_visitor(Arm::Holdout), mesh: by_visitor(Arm::Mesh) };

        let controlled = in_arm(Arm::Mesh).filter(|view| view.told.controlled);
        let mut bytes = controlled.fold(Sources::default(), |sum, view| sum.plus(view.told.bytes));
        bytes.origin = in_arm(Arm::Mesh).map(|view| view.from_origin + view.documents).sum();

        let compared: Vec<_> = in_arm(Arm::Mesh)
            .flat_map(|view| &view.told.bodies)
            .filter_map(|body| Some(truths.get(&body.url)? == &body.sha256))
            .collect();
        let usual: BTreeSet<String> =
            in_arm(Arm::Holdout).flat_map(|view| &view.told.errors).map(|error| alike(error)).collect();
        let errors: Vec<&String> = in_arm(Arm::Mesh)
            .flat_map(|view| &view.told.errors)
            .filter(|error| !usual.contains(&alike(error)))
            .collect();
        Self {
            holdout: both.holdout,
            mesh: both.mesh,
            change_mean: figures::change(&both),
            ci95: figures::interval(&times),
            first_visit: Arms { holdout: loads(Arm::Holdout, true), mesh: loads(Arm::Mesh, true) },
            visitors: Arms { holdout: times.holdout.len(), mesh: times.mesh.len() },
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
            unassigned: visited.views.iter().filter(|view| !arms.contains_key(&view.person)).count(),
            cost: cost.map(Cost::of),
        }
    }
}

/// An error's text without numbers, which differ from time to time.
fn alike(error: &str) -> String {
    error.chars().filter(|character| !character.is_ascii_digit()).collect()
}
