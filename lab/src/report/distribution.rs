//! How long pages took in both arms: the share of page views that are there after a time.

use edgeweave_plot::plot::{ACROSS, Scale, UP, legend, line, plot};
use edgeweave_plot::words::{coloured_change, round_time, time};
use maud::{Markup, html};

use super::ARMS;
use crate::figures::{Loads, quantile};
use crate::summary::{Arm, ByView};
use crate::visits::View;

/// What the axis of times shows: so many of a hundred, so that single slow pages do not make it long.
const SHOWN: f64 = 0.98;

/// One plot of views of some kind.
pub(super) fn section(
    name: &str,
    remark: &str,
    views: &[View],
    arms: &ByView<Arm>,
    is_meant: impl Fn(&View) -> bool,
) -> Markup {
    let times = [Arm::Holdout, Arm::Mesh].map(|arm| {
        let mut times: Vec<f64> = views
            .iter()
            .filter(|view| arms.get(&view.key()) == Some(&arm) && is_meant(view))
            .map(|view| view.told.load_ms.max(1.0))
            .collect();
        times.sort_by(f64::total_cmp);
        times
    });
    let loads = [0, 1].map(|arm: usize| Loads::of(times[arm].iter().copied()));
    html! {
        section {
            h2 { (name) }
            p class="quiet" { (remark) "; the share of page views that are there by then" }
            figure { (shares(name, &times)) (legend(&ARMS)) }
            (table(&loads))
        }
    }
}

fn shares(name: &str, times: &[Vec<f64>; 2]) -> Markup {
    let least = times.iter().filter_map(|times| times.first()).copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().map(|times| quantile(times, SHOWN)).fold(0.0, f64::max);
    // Nobody has seen anything: any axis will do.
    let (least, most) = if least.is_finite() { (least, most.max(least + 1.0)) } else { (1.0, 10.0) };
    let x = Scale::log(least, most, ACROSS);
    let y = Scale::linear(0.0, 1.0, UP);
    let steps = |times: &[f64]| {
        let count = times.len() as f64;
        let place = |(rank, time): (usize, &f64)| {
            [rank, rank + 1].map(|rank| (x.at(*time), y.at(rank as f64 / count)))
        };
        times.iter().enumerate().flat_map(place).collect::<Vec<_>>()
    };
    let content = html! {
        @for (entry, times) in ARMS.iter().zip(times) {
            (line(entry.colour, false, steps(times).into_iter()))
        }
    };
    plot(name, (x, &round_time), (y, &|share| format!("{:.0} %", share * 100.0)), &content)
}

fn table([holdout, mesh]: &[Loads; 2]) -> Markup {
    let rows = [
        ("mean", holdout.mean_ms, mesh.mean_ms),
        ("median", holdout.p50_ms, mesh.p50_ms),
        ("95 of 100", holdout.p95_ms, mesh.p95_ms),
    ];
    let changed = |mesh: f64, holdout: f64| if holdout > 0.0 { mesh / holdout - 1.0 } else { 0.0 };
    html! {
        table {
            tr { th { "" } th { "holdout" } th { "mesh" } th { "change" } }
            @for (name, holdout, mesh) in rows {
                tr { td { (name) } td { (time(holdout)) } td { (time(mesh)) } td { (coloured_change(changed(mesh, holdout))) } }
            }
            tr { td { "page views" } td { (holdout.n) } td { (mesh.n) } td {} }
        }
    }
}
