//! What the demo shows while it runs.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};

use crate::demo::node::Figures;
use crate::demo::visitors::Visit;

/// Remarks that are shown under the table.
const NOTES: usize = 12;
/// The length of a bar that stands for everything, in characters.
const BAR_CHARS: f64 = 40.0;

/// A visit in a line.
pub(crate) fn visit_line(visit: &Visit) -> String {
    let bytes = visit.bytes;
    let mut line = format!(
        "visitor {} {:<14} {:>5} ms   cache {}   peers {}   origin {}",
        visit.visitor,
        visit.page,
        visit.load_ms,
        size(bytes.cache),
        size(bytes.peers),
        size(bytes.origin),
    );
    if bytes.supernode > 0 {
        line.push_str(&format!("   supernode {}", size(bytes.supernode)));
    }
    if !visit.controlled {
        line.push_str("   (first page: the worker is only being installed)");
    }
    for (reason, count) in &visit.fallbacks {
        line.push_str(&format!("   {count} {reason}"));
    }
    if visit.mismatched > 0 {
        line.push_str(&format!("   {} bodies DIFFER", visit.mismatched));
    }
    if visit.errors > 0 {
        line.push_str(&format!("   {} errors", visit.errors));
    }
    line
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// The table of the node's figures, drawn over itself on a terminal.
pub(crate) struct Table {
    notes: VecDeque<String>,
    drawn_lines: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { notes: VecDeque::new(), drawn_lines: 0 }
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, note: String) {
        if !std::io::stdout().is_terminal() {
            println!("{note}");
        }
        self.notes.push_back(note);
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }

    /// Draws it, on a terminal.
    pub(crate) fn draw(&mut self, figures: &Figures) {
        let mut out = std::io::stdout().lock();
        if !out.is_terminal() {
            return;
        }
        let mut lines = rows(figures);
        lines.push(String::new());
        lines.extend(self.notes.iter().cloned());
        // Up over what was drawn last, and clear to the end of the screen.
        if self.drawn_lines > 0 {
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn_lines);
        }
        let _ = writeln!(out, "{}", lines.join("\n"));
        let _ = out.flush();
        self.drawn_lines = lines.len();
    }
}

/// The table's rows.
fn rows(figures: &Figures) -> Vec<String> {
    let figure = |name: &str| figures.get(name).copied().unwrap_or_default();
    let bytes = |source: &str| figure(&format!("edgeweave_bytes_total{{source=\"{source}\"}}"));
    let sources = ["cache", "peers", "supernode", "origin"].map(|source| (source, bytes(source)));
    let total: f64 = sources.iter().map(|(_, bytes)| bytes).sum();

    let mut rows = vec![
        format!("visitors       {:>10}", figure("edgeweave_sessions")),
        // Both ends of a channel tell of it.
        format!("neighbours met {:>10}", (met(figures) / 2.0).ceil()),
    ];
    rows.extend(sources.iter().map(|(source, bytes)| {
        let share = if total > 0.0 { bytes / total } else { 0.0 };
        format!("{source:<14} {:>10} {:>5.1} %  {}", size(*bytes as u64), share * 100.0, bar(share))
    }));
    rows
}

/// How often visitors told that a channel opened, for whatever reason.
fn met(figures: &Figures) -> f64 {
    let is_meeting =
        |name: &str| name.starts_with("edgeweave_notes_total{") && name.contains("event=\"met\"");
    figures.iter().filter(|(name, _)| is_meeting(name)).map(|(_, count)| count).sum()
}

/// A share as a bar.
fn bar(share: f64) -> String {
    "█".repeat((share * BAR_CHARS).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_nodes_figures() {
        let figures = [
            ("edgeweave_sessions", 3.0),
            ("edgeweave_bytes_total{source=\"peers\"}", 900_000.0),
            ("edgeweave_bytes_total{source=\"origin\"}", 100_000.0),
            ("edgeweave_notes_total{event=\"met\",reason=\"\"}", 4.0),
        ];
        let rows = rows(&figures.map(|(name, value)| (name.to_owned(), value)).into());
        assert_eq!(rows[0], "visitors                3");
        assert_eq!(rows[1], "neighbours met          2");
        assert!(rows[3].starts_with("peers              900 kB  90.0 %  ███"), "{}", rows[3]);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 999, 12_345, 2_345_678].map(size), ["0 B", "999 B", "12 kB", "2.3 MB"]);
    }
}
