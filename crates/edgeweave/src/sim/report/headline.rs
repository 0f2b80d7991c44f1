//! What was simulated, and the figures that matter most.

use edgeweave_sim::{Outcome, Scenario};
use maud::{Markup, html};

use edgeweave_plot::words::{change, coloured_change, count, percent, time};

/// What was simulated.
pub(super) fn header(scenario: &Scenario, outcome: &Outcome) -> Markup {
    let summary = &outcome.summary;
    let days =
        if scenario.days == 1.0 { "one day".into() } else { format!("{} days at most", scenario.days) };
    html! {
        header {
            h1 { "Edgeweave, simulated" }
            p {
                (count(summary.visitors)) " people from " (count(summary.networks as u64)) " networks in "
                (count(summary.countries as u64)) " countries looked at " (count(summary.page_views))
                " pages, each once without the mesh and once with it."
            }
            p class="quiet" {
                "Seed " (outcome.seed) ", " (days) ", origin in " (scenario.origin_country) ", "
                @if scenario.supernodes.is_empty() { "no supernodes." }
                @else { "supernodes in " (scenario.supernodes.join(", ")) "." }
            }
        }
    }
}

/// The main figures.
pub(super) fn tiles(outcome: &Outcome) -> Markup {
    let summary = &outcome.summary;
    let (loads, first) = (&summary.page_load, &summary.first_visit);
    let mean_change = ratio(loads.mesh.mean_ms, loads.holdout.mean_ms);
    let first_change = ratio(first.mesh.p95_ms, first.holdout.p95_ms);
    let oracle = |share: f64| html! { "an oracle: " (percent(share)) };
    let arms =
        |holdout: f64, mesh: f64| html! { (time(holdout)) " without the mesh, " (time(mesh)) " with it" };
    html! {
        div class="tiles" {
            (tile("Offload under control", &html! { (percent(summary.offload)) }, &oracle(summary.oracle_offload)))
            (tile("Offload of all requests", &html! { (percent(summary.offload_all)) },
                &oracle(summary.oracle_offload_all)))
            (tile("Mean page load", &coloured_change(mean_change), &arms(loads.holdout.mean_ms, loads.mesh.mean_ms)))
            (tile("First visits, p95", &html! { (time(first.mesh.p95_ms)) },
                &html! { (time(first.holdout.p95_ms)) " without the mesh, " (change(first_change)) }))
            (laws(outcome))
        }
    }
}

fn laws(outcome: &Outcome) -> Markup {
    let laws = &outcome.laws;
    let verdict = html! {
        @if laws.violations == 0 { span class="good" { "held" } }
        @else { span class="bad" { (count(laws.violations)) " violations" } }
    };
    let first = laws.first.first().map(|violation| format!("; the first: {}", violation.what));
    tile("Laws", &verdict, &html! { (count(laws.checks)) " checks" (first.unwrap_or_default()) })
}

fn tile(name: &str, figure: &Markup, remark: &Markup) -> Markup {
    html! {
        section class="tile" {
            span class="quiet" { (name) }
            b { (figure) }
            span class="quiet" { (remark) }
        }
    }
}

/// How much a figure differs from another, as a share of that.
pub(super) fn ratio(figure: f64, of: f64) -> f64 {
    if of > 0.0 { figure / of - 1.0 } else { 0.0 }
}

/// How to have the same again.
pub(super) fn footer(outcome: &Outcome) -> Markup {
    html! {
        footer {
            (count(outcome.events)) " events, whose hash is " (outcome.event_hash)
            ": the same scenario and seed give the same on every machine. What a point of a plot stands for is shown \
             where the pointer rests."
        }
    }
}
