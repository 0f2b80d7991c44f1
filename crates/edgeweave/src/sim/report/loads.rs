//! How long pages took in both arms.

use std::ops::Range;

use edgeweave_sim::{Arms, Histogram, Loads, Outcome};
use maud::{Markup, html};

use super::headline::ratio;
use edgeweave_plot::plot::{ACROSS, Entry, Scale, UP, legend, line, path_of, plot, px, tooltip};
use edgeweave_plot::words::{coloured_change, count, percent, round_time, time};

/// How much of the values the axis leaves out at each end: single ones would make it much longer.
const LEFT_OUT: f64 = 0.001;

const ARMS: [Entry; 2] = [Entry::new("plain", "without the mesh"), Entry::new("mesh", "with it")];

/// All page views.
pub(super) fn all_page_views(outcome: &Outcome) -> Markup {
    let remark = "Share of page views by the time until all of the page is there; dashed are the median and what 95 of 100 stay within";
    section("Page load, all page views", remark, &outcome.detail.page_load, &outcome.summary.page_load)
}

/// Those of people who had never been there.
pub(super) fn first_visits(outcome: &Outcome) -> Markup {
    let remark = "The first page of people who have never been there";
    section("Page load, first visits", remark, &outcome.detail.first_visit, &outcome.summary.first_visit)
}

fn section(name: &str, remark: &str, histograms: &Arms<Histogram>, loads: &Arms<Loads>) -> Markup {
    html! {
        section {
            h2 { (name) }
            p class="quiet" { (remark) }
            figure {
                (distribution(name, [&histograms.holdout, &histograms.mesh], [&loads.holdout, &loads.mesh]))
                (legend(&ARMS))
            }
            (quantiles(loads))
        }
    }
}

/// Both arms' histograms over each other.
fn distribution(name: &str, histograms: [&Histogram; 2], loads: [&Loads; 2]) -> Markup {
    let [holdout, mesh] = histograms.map(most_of);
    let buckets = holdout.start.min(mesh.start)..holdout.end.max(mesh.end).max(1);
    let edge = |bucket: i32| histograms[0].edge(bucket);
    let x = Scale::log(edge(buckets.start), edge(buckets.end), ACROSS);
    let shares =
        histograms.iter().flat_map(|histogram| buckets.clone().map(|bucket| share(histogram, bucket)));
    let y = Scale::linear(0.0, shares.fold(0.0, f64::max), UP);
    let content = html! {
        @for (entry, histogram) in ARMS.iter().zip(histograms) {
            @let outline = outline(histogram, buckets.clone(), (x, y));
            path fill=(format!("var(--{})", entry.colour)) fill-opacity="0.18" d=(path_of(outline.iter().copied())) {}
            (line(entry.colour, false, outline.iter().copied()))
        }
        @for (row, (entry, loads)) in ARMS.iter().zip(loads).enumerate().filter(|(_, (_, loads))| loads.n > 0) {
            (mark(entry.colour, x.at(loads.p50_ms), "median", row))
            (mark(entry.colour, x.at(loads.p95_ms), "p95", row))
        }
        @for bucket in buckets.clone() {
            @let [holdout, mesh] = histograms.map(|histogram| percent(share(histogram, bucket)));
            @let range = format!("{} to {}", time(edge(bucket)), time(edge(bucket + 1)));
            (tooltip((x.at(edge(bucket)), x.at(edge(bucket + 1))),
                &format!("{range}\n{holdout} without the mesh\n{mesh} with it")))
        }
    };
    plot(name, (x, &round_time), (y, &|share| format!("{:.0} %", share * 100.0)), &content)
}

/// The buckets of a histogram but for the rare ones at its ends.
fn most_of(histogram: &Histogram) -> Range<i32> {
    let rare = histogram.total() as f64 * LEFT_OUT;
    let is_rare = |values: &mut u64, bucket: i32| {
        *values += histogram.count(bucket);
        (*values as f64 <= rare).then_some(())
    };
    let buckets = histogram.buckets();
    let low = buckets.clone().scan(0, is_rare).count() as i32;
    let high = buckets.clone().rev().scan(0, is_rare).count() as i32;
    buckets.start + low..buckets.end - high
}

fn share(histogram: &Histogram, bucket: i32) -> f64 {
    histogram.count(bucket) as f64 / histogram.total().max(1) as f64
}

/// A histogram as steps, from the axis to the axis.
fn outline(histogram: &Histogram, buckets: Range<i32>, (x, y): (Scale, Scale)) -> Vec<(f64, f64)> {
    let (left, right) = (x.at(histogram.edge(buckets.start)), x.at(histogram.edge(buckets.end)));
    let steps = buckets.flat_map(|bucket| {
        let height = y.at(share(histogram, bucket));
        [bucket, bucket + 1].map(|edge| (x.at(histogram.edge(edge)), height))
    });
    [(left, UP.0)].into_iter().chain(steps).chain([(right, UP.0)]).collect()
}

/// Between the rows of labels of marks.
const ROW: f64 = 11.0;

/// A value that so many of a hundred do not exceed.
fn mark(colour: &str, x: f64, label: &str, row: usize) -> Markup {
    let top = UP.1 - 2.0 * ROW + ROW * row as f64;
    html! {
        (line(colour, true, [(x, top), (x, UP.0)].into_iter()))
        text x=(px(x + 3.0)) y=(px(top + ROW - 2.0)) style=(format!("fill: var(--{colour})")) { (label) }
    }
}

fn quantiles(Arms { holdout, mesh }: &Arms<Loads>) -> Markup {
    let rows = [
        ("mean", holdout.mean_ms, mesh.mean_ms),
        ("median", holdout.p50_ms, mesh.p50_ms),
        ("95 of 100", holdout.p95_ms, mesh.p95_ms),
    ];
    html! {
        table {
            tr { th { (count(mesh.n as u64)) " pages" } th { "without the mesh" } th { "with it" } th { "change" } }
            @for (name, holdout, mesh) in rows {
                tr {
                    td { (name) }
                    td { (time(holdout)) }
                    td { (time(mesh)) }
                    td { (coloured_change(ratio(mesh, holdout))) }
                }
            }
        }
    }
}
