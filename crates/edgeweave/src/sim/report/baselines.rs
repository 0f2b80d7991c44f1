//! What else a site could have done, and what that would have brought.

use edgeweave_sim::Outcome;
use maud::{Markup, html};

use super::headline::ratio;
use super::words::{coloured_change, percent, time};

/// One way to run the site, under the same visits.
struct Baseline {
    name: &'static str,
    /// Of requests under a worker's control, and of all.
    offload: [f64; 2],
    /// In milliseconds, where pages were loaded that way.
    mean_page_load: Option<f64>,
}

/// The mesh among other ways.
pub(super) fn baselines(outcome: &Outcome) -> Markup {
    let summary = &outcome.summary;
    let loads = &summary.page_load;
    let rows = [
        Baseline { name: "plain HTTP cache", offload: [0.0; 2], mean_page_load: Some(loads.holdout.mean_ms) },
        Baseline {
            name: "the mesh",
            offload: [summary.offload, summary.offload_all],
            mean_page_load: Some(loads.mesh.mean_ms),
        },
        Baseline {
            name: "an oracle",
            offload: [summary.oracle_offload, summary.oracle_offload_all],
            mean_page_load: None,
        },
    ];
    html! {
        section {
            h2 { "Baselines" }
            p class="quiet" { "The same visits otherwise; an oracle has the origin send each version of an asset once" }
            (table(&rows, loads.holdout.mean_ms))
        }
    }
}

/// Changes are against a mean page load of `plain` milliseconds.
fn table(rows: &[Baseline], plain: f64) -> Markup {
    html! {
        table {
            tr {
                th {} th { "offload under control" } th { "of all" } th { "mean page load" } th { "change" }
            }
            @for row in rows {
                tr {
                    td { (row.name) }
                    @for offload in row.offload { td { (percent(offload)) } }
                    @if let Some(mean) = row.mean_page_load {
                        td { (time(mean)) }
                        td { (coloured_change(ratio(mean, plain))) }
                    } @else {
                        td { "–" } td { "–" }
                    }
                }
            }
        }
    }
}
