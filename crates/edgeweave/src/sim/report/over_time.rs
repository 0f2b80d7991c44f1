//! Figures by hour of simulated time.

use edgeweave_sim::{Detail, Outcome, Reading};
use maud::{Markup, html};

use edgeweave_plot::plot::{ACROSS, Entry, Scale, UP, column, legend, line, plot, tooltip};
use edgeweave_plot::words::{bytes, count, percent};

/// At most so many columns beside each other: longer runs have several hours in one.
const COLUMNS: usize = 168;

/// Offload may be below zero, as the node fetches what nobody has asked for yet; more than this is not drawn.
const LEAST_OFFLOAD: f64 = -0.25;

/// Columns with no more than this part of the busiest one's traffic have no share that says anything.
const QUIET: u64 = 100;

/// What was counted in some hours.
struct Column {
    /// Hours since the start.
    from: f64,
    to: f64,
    counted: Reading,
}

fn columns(detail: &Detail) -> Vec<Column> {
    let hours = &detail.hours;
    let each = hours.len().div_ceil(COLUMNS).max(1);
    let mut before = Reading::default();
    let ends = hours.chunks(each).filter_map(<[Reading]>::last).enumerate();
    ends.map(|(number, reading)| {
        let counted = reading.since(&before);
        before = *reading;
        Column { from: (number * each) as f64, to: ((number + 1) * each) as f64, counted }
    })
    .collect()
}

/// How many hours are in a column, in words.
fn in_each(columns: &[Column]) -> String {
    match columns.first().map_or(1.0, |column| column.to - column.from) {
        1.0 => "in each hour".into(),
        hours => format!("in every {hours} hours"),
    }
}

/// Steps in hours that people count in; no more than so many are labelled.
const STEPS_H: [f64; 8] = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 7.0 * DAY_H, 30.0 * DAY_H];
const MOST_STEPS: f64 = 9.0;
const DAY_H: f64 = 24.0;

/// The axis of hours, and how to label it.
fn hours_axis(columns: &[Column]) -> (Scale, fn(f64) -> String) {
    let end = columns.last().map_or(1.0, |column| column.to);
    let step = STEPS_H.into_iter().find(|step| end / step <= MOST_STEPS).unwrap_or(end);
    let label = |hour: f64| match hour {
        hour if hour > 0.0 && hour % DAY_H == 0.0 => format!("{} d", hour / DAY_H),
        hour => format!("{hour} h"),
    };
    (Scale::linear(0.0, end, ACROSS).every(step), label)
}

/// The share of the holdout's bytes that the mesh kept off the origin, in each hour.
pub(super) fn offload(detail: &Detail) -> Markup {
    type Figure = fn(&Reading) -> f64;
    const FIGURES: [(Entry, Figure); 4] = [
        (Entry::new("peers", "under a worker's control"), Reading::offload),
        (Entry::new("plain", "all requests"), Reading::offload_all),
        (Entry::dashed("peers", "an oracle, under control"), Reading::oracle_offload),
        (Entry::dashed("plain", "an oracle, all requests"), Reading::oracle_offload_all),
    ];
    let columns = columns(detail);
    let most = columns.iter().map(|column| column.counted.holdout_controlled).max().unwrap_or(0);
    let is_busy = |column: &&Column| column.counted.holdout_controlled > most / QUIET;
    let busy: Vec<&Column> = columns.iter().filter(is_busy).collect();
    let all = busy.iter().flat_map(|column| FIGURES.iter().map(|(_, figure)| figure(&column.counted)));
    let (x, x_label) = hours_axis(&columns);
    let y = Scale::linear(all.fold(0.0, f64::min).max(LEAST_OFFLOAD), 1.0, UP);
    let content = html! {
        @for (entry, figure) in FIGURES {
            (line(entry.colour, entry.is_dashed,
                through(&busy).map(|(hour, column)| (x.at(hour), y.at(figure(&column.counted))))))
        }
        @for column in &columns {
            (tooltip((x.at(column.from), x.at(column.to)), &offload_text(column)))
        }
    };
    html! {
        section {
            h2 { "Offload" }
            p class="quiet" {
                "Of what the origin sends without the mesh, " (in_each(&columns)) "; the node's fetches taken off"
            }
            figure {
                (plot("Offload by hour", (x, &x_label), (y, &|share| format!("{:.0} %", share * 100.0)), &content))
                (legend(&FIGURES.map(|(entry, _)| entry)))
            }
        }
    }
}

/// The middle of each column; the first begins at its beginning, and the last ends at its end, so that a single one is a
/// line, too.
fn through<'a>(columns: &'a [&Column]) -> impl Iterator<Item = (f64, &'a Column)> {
    let first = columns.first().map(|column| (column.from, *column));
    let last = columns.last().map(|column| (column.to, *column));
    let middles = columns.iter().map(|column| ((column.from + column.to) / 2.0, *column));
    first.into_iter().chain(middles).chain(last)
}

fn offload_text(column: &Column) -> String {
    let Column { from, to, counted } = column;
    format!(
        "hours {from} to {to}\n{} under control, {} of all\nan oracle: {} and {}\n{} page views",
        percent(counted.offload()),
        percent(counted.offload_all()),
        percent(counted.oracle_offload()),
        percent(counted.oracle_offload_all()),
        count(counted.page_views)
    )
}

/// Where the bytes came from in the mesh arm, stacked.
pub(super) fn sources(outcome: &Outcome) -> Markup {
    const SOURCES: [Entry; 4] = [
        Entry::new("cache", "secondary cache"),
        Entry::new("peers", "peers"),
        Entry::new("supernode", "supernode"),
        Entry::new("origin", "origin"),
    ];
    let columns = columns(&outcome.detail);
    let (x, x_label) = hours_axis(&columns);
    let most =
        columns.iter().map(|column| column.counted.bytes).map(|bytes| parts(bytes).iter().sum::<u64>());
    let y = Scale::linear(0.0, most.max().unwrap_or(0) as f64, UP);
    let content = html! {
        @for column in &columns {
            @let ends = (x.at(column.from), x.at(column.to));
            @for (entry, (bottom, top)) in SOURCES.iter().zip(stacked(&parts(column.counted.bytes))) {
                (self::column(entry.colour, (ends.0 + COLUMN_GAP, ends.1), (y.at(bottom), y.at(top))))
            }
            (tooltip(ends, &sources_text(column, &SOURCES)))
        }
    };
    let summary = &outcome.summary;
    html! {
        section {
            h2 { "Bytes by source" }
            p class="quiet" {
                "With the mesh, " (in_each(&columns)) ". Peers also gave "
                (bytes(summary.replicated_bytes as f64)) " ahead of what was asked for, which the secondary cache answers \
                 with; " (bytes(summary.replicated_unused_bytes as f64)) " of it no page has used"
            }
            figure {
                (plot("Bytes by source and hour", (x, &x_label), (y, &bytes), &content))
                (legend(&SOURCES))
            }
        }
    }
}

/// Between columns.
const COLUMN_GAP: f64 = 0.6;

/// In the order in which they are stacked.
fn parts(bytes: edgeweave_protocol::report::Sources) -> [u64; 4] {
    [bytes.cache, bytes.peers, bytes.supernode, bytes.origin]
}

/// Where each part begins and ends when they are put upon each other.
fn stacked(parts: &[u64; 4]) -> impl Iterator<Item = (f64, f64)> {
    parts.iter().scan(0, |below, part| {
        let bottom = *below;
        *below += part;
        Some((bottom as f64, *below as f64))
    })
}

fn sources_text(column: &Column, sources: &[Entry; 4]) -> String {
    let parts = parts(column.counted.bytes);
    let lines =
        sources.iter().zip(parts).map(|(entry, part)| format!("\n{}: {}", entry.says, bytes(part as f64)));
    format!("hours {} to {}", column.from, column.to) + &lines.collect::<String>()
}
