//! What else a site could have done, and what that would have brought.

use edgeweave_sim::Baseline;
use maud::{Markup, html};

use edgeweave_plot::words::{coloured_change, percent, time};

/// The mesh among other ways to run the site.
pub(super) fn baselines(rows: &[Baseline]) -> Markup {
    html! {
        section {
            h2 { "Baselines" }
            @if let Some(first) = rows.first() {
                p class="quiet" {
                    "The first " (first.page_views) " page views, which are the same in every row; an oracle has the origin send each version of an \
                     asset once."
                }
                (table(rows))
            } @else {
                p class="quiet" { "Nothing was compared: --baselines N compares over N page views." }
            }
        }
    }
}

fn table(rows: &[Baseline]) -> Markup {
    html! {
        table {
            tr {
                th {} th { "offload under control" } th { "of all" } th { "mean page load" } th { "change" }
            }
            @for row in rows {
                tr {
                    td { (row.name) }
                    td { (percent(row.offload)) }
                    td { (percent(row.offload_all)) }
                    @if let Some((mean, change)) = row.mean_ms.zip(row.change_mean) {
                        td { (time(mean)) }
                        td { (coloured_change(change)) }
                    } @else {
                        td { "–" } td { "–" }
                    }
                }
            }
        }
    }
}
