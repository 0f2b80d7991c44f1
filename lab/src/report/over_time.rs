//! Where the mesh's visitors had their bytes from, as time went by.

use edgeweave_plot::plot::{ACROSS, Entry, Scale, UP, column, legend, plot, tooltip};
use edgeweave_plot::words::bytes;
use edgeweave_protocol::report::Sources;
use maud::{Markup, html};

use crate::summary::{Arm, ByView};
use crate::visits::View;

/// Columns of the plot.
const COLUMNS: usize = 40;
/// Seconds of a minute.
const MINUTE_S: f64 = 60.0;

const SOURCES: [Entry; 4] = [
    Entry::new("cache", "secondary cache"),
    Entry::new("peers", "peers"),
    Entry::new("supernode", "supernode"),
    Entry::new("origin", "origin"),
];

/// The plot.
pub(super) fn section(views: &[View], arms: &ByView<Arm>) -> Markup {
    let mesh: Vec<&View> = views.iter().filter(|view| arms.get(&view.key()) == Some(&Arm::Mesh)).collect();
    let began = mesh.iter().map(|view| view.told.began_ms).fold(f64::INFINITY, f64::min);
    let minutes = |view: &View| (view.told.began_ms - began) / 1e3 / MINUTE_S;
    let ended = mesh.iter().map(|view| minutes(view)).fold(0.0, f64::max);
    let width = (ended / COLUMNS as f64).max(f64::EPSILON);
    let mut columns = vec![Sources::default(); COLUMNS];
    for view in &mesh {
        let column = &mut columns[((minutes(view) / width) as usize).min(COLUMNS - 1)];
        *column = *column + Sources { origin: view.from_origin, ..view.told.bytes };
    }
    let parts = |sources: &Sources| [sources.cache, sources.peers, sources.supernode, sources.origin];
    let total = |sources: &Sources| parts(sources).iter().sum::<u64>() as f64;
    let x = Scale::linear(0.0, width * COLUMNS as f64, ACROSS);
    let y = Scale::linear(0.0, columns.iter().map(total).fold(0.0, f64::max), UP);
    let content = html! {
        @for (number, sources) in columns.iter().enumerate() {
            @let edges = (x.at(number as f64 * width) + 0.5, x.at((number + 1) as f64 * width) - 0.5);
            @for (part, entry) in SOURCES.iter().enumerate() {
                @let below: u64 = parts(sources)[..part].iter().sum();
                @let above = below + parts(sources)[part];
                (column(entry.colour, edges, (y.at(below as f64), y.at(above as f64))))
            }
            (tooltip(edges, &SOURCES.iter().zip(parts(sources)).map(|(entry, part)| format!("{}: {}", entry.says, bytes(part as f64))).collect::<Vec<_>>().join("\n")))
        }
    };
    html! {
        section {
            h2 { "Bytes by source" }
            p class="quiet" { "Everything but documents that pages of the mesh's visitors were made of, by minutes since the start; what the browser's own cache had is nobody's" }
            figure {
                (plot("Bytes by source", (x, &|minutes| format!("{minutes} min")), (y, &bytes), &content))
                (legend(&SOURCES))
            }
        }
    }
}
