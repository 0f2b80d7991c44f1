//! Where most of something is: visitors who give, assets that are given, networks that come.

use edgeweave_sim::{Detail, Outcome};
use maud::{Markup, html};

use edgeweave_plot::plot::{ACROSS, Scale, UP, column, plot, tooltip};
use edgeweave_plot::words::{bytes, count, percent};

/// What visitors gave.
pub(super) fn uploads(outcome: &Outcome) -> Markup {
    let histogram = &outcome.detail.uploads;
    let (uploads, visitors) = (&outcome.summary.uploads, outcome.summary.visitors);
    let buckets = histogram.buckets();
    let x = Scale::log(histogram.edge(buckets.start), histogram.edge(buckets.end.max(1)), ACROSS);
    let most = buckets.clone().map(|bucket| histogram.count(bucket)).max().unwrap_or(0);
    let y = Scale::linear(0.0, most as f64, UP);
    let content = html! {
        @for bucket in buckets {
            @let [from, to] = [bucket, bucket + 1].map(|bucket| histogram.edge(bucket));
            @let ends = (x.at(from), x.at(to));
            @let here = histogram.count(bucket);
            (column("peers", (ends.0 + COLUMN_GAP, ends.1), (UP.0, y.at(here as f64))))
            (tooltip(ends, &format!("{} to {}: {} visitors", bytes(from), bytes(to), count(here))))
        }
    };
    let rows = [
        ("mean", uploads.mean_bytes),
        ("95 of 100 give at most", uploads.p95_bytes),
        ("largest", uploads.largest_bytes),
    ];
    html! {
        section {
            h2 { "Uploads" }
            p class="quiet" {
                (count(uploads.visitors as u64)) " of " (count(visitors)) " visitors gave something ("
                (percent(uploads.visitors as f64 / visitors.max(1) as f64)) "): how many, by how much in all"
            }
            figure { (plot("Visitors by what they gave", (x, &bytes), (y, &|n| count(n as u64)), &content)) }
            table {
                @for (name, given) in rows { tr { td { (name) } td { (bytes(given as f64)) } } }
            }
        }
    }
}

/// Between columns.
const COLUMN_GAP: f64 = 1.0;

/// The assets that visitors gave most bytes of.
pub(super) fn assets(detail: &Detail) -> Markup {
    html! {
        section {
            h2 { "Assets that visitors gave most of" }
            table {
                tr { th { "URL" } th { "kind" } th { "size" } th { "on pages" } th { "given" } }
                @for asset in &detail.assets {
                    tr {
                        td { (asset.url) }
                        td { (asset.kind) }
                        td { (bytes(asset.bytes as f64)) }
                        td { (count(asset.pages as u64)) }
                        td { (bytes(asset.uploaded as f64)) }
                    }
                }
            }
        }
    }
}

/// The networks with most page views.
pub(super) fn networks(detail: &Detail) -> Markup {
    html! {
        section {
            h2 { "Networks with most page views" }
            table {
                tr { th { "name" } th { "number" } th { "country" } th { "page views" } th { "given" } }
                @for network in &detail.networks {
                    tr {
                        td { (network.name) }
                        td { "AS" (network.asn) }
                        td { (network.country) }
                        td { (count(network.page_views)) }
                        td { (bytes(network.uploaded as f64)) }
                    }
                }
            }
        }
    }
}
