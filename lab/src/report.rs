//! `--report`: a run as one page of HTML, with everything in it.

mod distribution;
mod over_time;
mod waterfall;

use std::path::Path;

use anyhow::{Context, Result};
use edgeweave_plot::STYLE;
use edgeweave_plot::plot::Entry;
use edgeweave_plot::words::{bytes, change, coloured_change, count, percent, time};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figures::{Arms, Loads};
use crate::simulation::Simulated;
use crate::summary::{Cost, Summary, arms};
use crate::visits::Visited;

/// The colours of the arms.
const ARMS: [Entry; 2] = [Entry::new("plain", "holdout"), Entry::new("mesh", "mesh")];
/// What the client may add to the main thread's work on a page that it cannot help, in milliseconds.
const COST_MOST_MS: f64 = 20.0;

/// Writes it.
pub(crate) fn write(path: &Path, site: &str, summary: &Summary, visited: &Visited) -> Result<()> {
    std::fs::write(path, page(site, summary, visited).into_string())
        .with_context(|| format!("cannot write the report to {}", path.display()))
}

/// The whole page; it is well-formed XML, too.
fn page(site: &str, summary: &Summary, visited: &Visited) -> Markup {
    let arms = arms(&visited.views);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                // Without a slash it would be no XML.
                (PreEscaped(r#"<meta charset="utf-8"/><meta name="viewport" content="width=device-width"/>"#))
                title { "Edgeweave lab" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Edgeweave in the lab" }
                    p class="quiet" {
                        "Real visitors of " (site) " on an emulated wide-area network: "
                        (count((summary.holdout.n + summary.mesh.n) as u64)) " page views of "
                        (summary.visitors.holdout) " visitors in the holdout and "
                        (summary.visitors.mesh) " with the mesh"
                    }
                }
                main {
                    (tiles(summary))
                    (distribution::section("Page load, all page views", "From the start of the navigation to the end of its load event",
                        &visited.views, &arms, |_| true))
                    (distribution::section("Page load, first visits", "The first page of people who had never been there",
                        &visited.views, &arms, |view| view.position == 0))
                    (over_time::section(&visited.views, &arms))
                    div style="display: grid; gap: 1rem; align-content: start" {
                        (simulator(summary.sim.as_ref(), &Arms { holdout: summary.holdout, mesh: summary.mesh }))
                        (costs(summary.cost.as_ref()))
                    }
                    (waterfall::section(&visited.views, &arms))
                    (troubles(summary))
                }
                footer { p { "docs/lab.md says how each figure comes about." } }
            }
        }
    }
}

fn tiles(summary: &Summary) -> Markup {
    let (adjusted, unadjusted) = (summary.change, summary.unadjusted);
    let between = |[low, high]: [f64; 2]| html! { (change(low)) " to " (change(high)) };
    let first = &summary.first_visit;
    let means = |arms: &Arms<Loads>| {
        html! { (time(arms.holdout.mean_ms)) " in the holdout, " (time(arms.mesh.mean_ms)) " with the mesh" }
    };
    let both = Arms { holdout: summary.holdout, mesh: summary.mesh };
    html! {
        div class="tiles" {
            (tile("Mean page load", &coloured_change(adjusted.change_mean),
                &html! {
                    (between(adjusted.ci95)) " in 95 of 100, at the same positions in visitors' histories; "
                    (means(&both)) ", which is " (change(unadjusted.change_mean)) " (" (between(unadjusted.ci95)) ")"
                }))
            (tile("First visits, mean", &coloured_change(crate::figures::change(first)), &means(first)))
            (tile("Offload under control", &html! { (percent(summary.offload)) },
                &html! { "of the holdout's bytes did not come from the origin; the node fetched " (bytes(summary.node_bytes as f64)) }))
            (tile("Bodies that differ", &html! { (summary.mismatched) },
                &html! { "of " (count(summary.bodies_compared as u64)) " that were compared; " (summary.errors) " errors that the holdout has not" }))
        }
    }
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

fn simulator(simulated: Option<&Simulated>, lab: &Arms<Loads>) -> Markup {
    html! {
        section {
            h2 { "The simulator's word for it" }
            @if let Some(simulated) = simulated {
                p class="quiet" { "Means of the same page views, simulated" }
                table {
                    tr { th { "" } th { "lab" } th { "simulator" } th { "differs by" } }
                    @for (name, lab, simulated, ratio) in [
                        ("holdout", lab.holdout, simulated.holdout, simulated.ratio.holdout),
                        ("mesh", lab.mesh, simulated.mesh, simulated.ratio.mesh),
                    ] {
                        tr {
                            td { (name) }
                            td { (time(lab.mean_ms)) }
                            td { (time(simulated.mean_ms)) }
                            td { (change(ratio - 1.0)) }
                        }
                    }
                }
            } @else {
                p class="quiet" { "It was not asked." }
            }
        }
    }
}

fn costs(cost: Option<&Cost>) -> Markup {
    html! {
        section {
            h2 { "What the client costs" }
            @if let Some(cost) = cost {
                p class="quiet" { "On a first visit to a page of words, which it cannot help: medians with it less medians without" }
                table {
                    tr { td { "main thread" } td { span class=(if cost.main_thread_ms < COST_MOST_MS { "good" } else { "bad" }) { (format!("{:.1} ms", cost.main_thread_ms)) } } }
                    tr { td { "of that, scripts" } td { (format!("{:.1} ms", cost.script_ms)) } }
                    tr { td { "total blocking time" } td { (format!("{:.1} ms", cost.total_blocking_ms)) } }
                    tr { td { "cumulative layout shift" } td { (format!("{:.3}", cost.layout_shift)) } }
                    tr { td { "requests that hold up drawing" } td { (cost.render_blocking_requests) } }
                }
            } @else {
                p class="quiet" { "It was not measured." }
            }
        }
    }
}

fn troubles(summary: &Summary) -> Markup {
    let lines: Vec<&String> = summary.error_texts.iter().chain(&summary.failures).collect();
    html! {
        @if !lines.is_empty() {
            section class="wide" {
                h2 { "What went wrong" }
                @for line in lines { p class="quiet" { (line) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, ParsingOptions};

    use super::*;
    use crate::summary::tests::visited;

    fn parse(text: &str) -> Document<'_> {
        Document::parse_with_options(text, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
            .unwrap()
    }

    fn assert_all_places_are_numbers(document: &Document<'_>) {
        for attribute in document.descendants().flat_map(|node| node.attributes()) {
            let value = attribute.value();
            assert!(!value.contains("NaN") && !value.contains("inf"), "{}: {value}", attribute.name());
        }
    }

    #[test]
    fn a_report_is_well_formed_and_escapes_text() {
        let visited = visited();
        let mut summary = Summary::of(&visited, &std::collections::BTreeMap::new(), None);
        summary.error_texts.push("<script>".into());
        let text = page("<b>here</b>", &summary, &visited).into_string();
        let document = parse(&text);
        assert!(document.descendants().all(|node| !node.has_tag_name("script")));
        let headings = document.descendants().filter(|node| node.has_tag_name("h2")).count();
        assert_eq!(headings, 7);
        assert_all_places_are_numbers(&document);
    }

    #[test]
    fn a_run_that_nothing_came_of_has_a_report() {
        let visited = Visited::default();
        let summary = Summary::of(&visited, &std::collections::BTreeMap::new(), None);
        assert_all_places_are_numbers(&parse(&page("here", &summary, &visited).into_string()));
    }
}
