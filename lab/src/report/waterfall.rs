//! One page in both arms, request by request.

use std::collections::BTreeMap;

use edgeweave_plot::plot::px;
use edgeweave_plot::words::{bytes, time};
use maud::{Markup, html};

use crate::summary::{Arm, ByView};
use crate::told::Resource;
use crate::visits::View;

/// The width of a waterfall in its own units, which are a pixel in a wide window.
const WIDTH: f64 = 1160.0;
/// Of one request.
const ROW: f64 = 14.0;
/// Room for names.
const LEFT: f64 = 200.0;
/// The most letters of a name.
const NAME: usize = 30;
/// Requests that are shown.
const ROWS: usize = 30;

/// The page of which both arms have most to show, or nothing.
pub(super) fn section(views: &[View], arms: &ByView<Arm>) -> Markup {
    let pair = pair(views, arms);
    html! {
        section class="wide" {
            h2 { "One page, request by request" }
            @if let Some((holdout, mesh)) = pair {
                p class="quiet" {
                    (mesh.told.url) ", looked at by people who had been on the site before; the middle load of each arm. Pale: until the first byte"
                }
                @let longest = holdout.told.load_ms.max(mesh.told.load_ms);
                @for (name, colour, view) in [("Holdout", "plain", holdout), ("Mesh", "mesh", mesh)] {
                    h3 { (name) ": " (time(view.told.load_ms)) }
                    (waterfall(view, colour, longest))
                }
            } @else {
                p class="quiet" { "No page was seen in both arms by somebody who had been on the site before." }
            }
        }
    }
}

/// Of the page with most bytes that both arms loaded under a worker's control, the middle load of each arm.
fn pair<'a>(views: &'a [View], arms: &ByView<Arm>) -> Option<(&'a View, &'a View)> {
    let mut pages: BTreeMap<&str, [Vec<&View>; 2]> = BTreeMap::new();
    for view in views.iter().filter(|view| view.told.controlled) {
        let arm = match arms.get(&view.key()) {
            Some(Arm::Holdout) => 0,
            Some(Arm::Mesh) => 1,
            None => continue,
        };
        pages.entry(&view.told.url).or_default()[arm].push(view);
    }
    let weight = |view: &View| view.told.resources.iter().map(|resource| resource.bytes).sum::<u64>();
    let (.., middle) = pages
        .into_iter()
        .filter(|(_, arms)| arms.iter().all(|views| !views.is_empty()))
        .map(|(url, arms)| {
            let middle = arms.map(|mut views| {
                views.sort_by(|a, b| a.told.load_ms.total_cmp(&b.told.load_ms));
                views[views.len() / 2]
            });
            (middle.iter().map(|view| weight(view)).min(), url, middle)
        })
        .max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)))?;
    Some((middle[0], middle[1]))
}

fn waterfall(view: &View, colour: &str, longest_ms: f64) -> Markup {
    let resources: Vec<&Resource> =
        view.told.resources.iter().filter(|one| one.start_ms <= view.told.load_ms).take(ROWS).collect();
    let height = ROW * (resources.len() + 1) as f64;
    let at = |ms: f64| LEFT + (ms / longest_ms.max(1.0)).clamp(0.0, 1.0) * (WIDTH - LEFT - 8.0);
    let bar = |from: f64, to: f64, row: usize, opacity: &str| {
        html! {
            rect x=(px(at(from))) width=(px((at(to) - at(from)).max(1.0))) y=(px(ROW * row as f64 + 3.0)) height=(px(ROW - 5.0))
                fill=(format!("var(--{colour})")) fill-opacity=(opacity) {}
        }
    };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="requests over time" {
            text x="0" y=(px(ROW - 4.0)) { "the document" }
            (bar(0.0, view.told.first_byte_ms, 0, "0.35"))
            @for (row, resource) in (1..).zip(&resources) {
                @let first_byte = if resource.first_byte_ms > 0.0 { resource.first_byte_ms } else { resource.start_ms };
                text x="0" y=(px(ROW * (row + 1) as f64 - 4.0)) { (name(&resource.url)) }
                g {
                    title { (resource.url) "\n" (bytes(resource.bytes as f64)) ", " (time(resource.end_ms - resource.start_ms)) }
                    (bar(resource.start_ms, first_byte, row, "0.35"))
                    (bar(first_byte, resource.end_ms, row, "1"))
                }
            }
            path class="axis" d=(format!("M{} 0V{height}", px(at(view.told.load_ms)))) {}
        }
    }
}

/// The last part of a path, or as much of it as there is room for.
fn name(url: &str) -> String {
    let name = url
        .split(['?', '#'])
        .next()
        .and_then(|path| path.rsplit('/').find(|part| !part.is_empty()))
        .unwrap_or(url);
    let length = name.chars().count();
    if length <= NAME {
        name.into()
    } else {
        format!("…{}", name.chars().skip(length - NAME + 1).collect::<String>())
    }
}
