//! What reports have in common: plots in SVG, numbers as people read them, and a style for light and dark.
//!
//! **Invariant:** it knows nothing of what it draws. Reports are whole pages without scripts, of which nothing is loaded from
//! anywhere.

pub mod plot;
pub mod words;

/// The style of a report.
pub const STYLE: &str = include_str!("style.css");
