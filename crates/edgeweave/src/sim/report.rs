//! `--report`: what came of a run as one page of HTML, with everything in it, to look at and to keep.
//!
//! Each module draws one subject. Nothing is loaded from anywhere and there is no
//! script: what a point of a plot stands for is its tooltip.

mod baselines;
mod headline;
mod hot_spots;
mod loads;
mod map;
mod over_time;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use edgeweave_plot::STYLE;
use edgeweave_sim::{Baseline, Outcome, Scenario};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::failure::Failure;

/// A file that a report can be written to.
pub(super) struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Opens it, so that whoever cannot have a report hears so before the run. What it holds stays until the run has ended.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.into(), file })
    }

    pub(super) fn write(
        mut self,
        scenario: &Scenario,
        outcome: &Outcome,
        rows: &[Baseline],
    ) -> Result<(), Failure> {
        let page = page(scenario, outcome, rows).into_string();
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(page.as_bytes()));
        written.map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(format!("cannot write the report to {}: {error}", path.display()))
        .with_way_out("--report takes the name of a file in a folder that exists and can be written to")
}

/// The whole page; it is well-formed XML, too.
fn page(scenario: &Scenario, outcome: &Outcome, rows: &[Baseline]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                // Without a slash it would be no XML.
                (PreEscaped(r#"<meta charset="utf-8"/><meta name="viewport" content="width=device-width"/>"#))
                title { "Edgeweave, seed " (outcome.seed) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (headline::header(scenario, outcome))
                main {
                    (headline::tiles(outcome))
                    (over_time::offload(&outcome.detail))
                    (over_time::sources(outcome))
                    (loads::all_page_views(outcome))
                    (loads::first_visits(outcome))
                    (map::countries(&outcome.detail))
                    (hot_spots::uploads(outcome))
                    (baselines::baselines(rows))
                    (hot_spots::assets(&outcome.detail))
                    (hot_spots::networks(&outcome.detail))
                }
                (headline::footer(outcome))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use edgeweave_sim::Control;
    use roxmltree::{Document, ParsingOptions};

    use super::*;

    fn scenario() -> Scenario {
        Scenario { networks: 5, countries: 2, visitors: 12, days: 0.2, ..Scenario::default() }
    }

    fn parse(text: &str) -> Document<'_> {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        Document::parse_with_options(text, options).unwrap()
    }

    fn assert_all_places_are_numbers(document: &Document<'_>) {
        for attribute in document.descendants().flat_map(|node| node.attributes()) {
            let value = attribute.value();
            assert!(!value.contains("NaN") && !value.contains("inf"), "{}: {value}", attribute.name());
        }
    }

    #[test]
    fn a_report_is_well_formed_has_every_section_and_escapes_text() {
        let scenario = scenario();
        let mut outcome = edgeweave_sim::run(scenario.clone(), |_| Control::Continue).unwrap();
        outcome.detail.networks[0].name = "<script>alert('A & B')</script>";
        let text = page(&scenario, &outcome, &[]).into_string();
        let document = parse(&text);
        let elements = |name| document.descendants().filter(move |node| node.has_tag_name(name));
        let headings: Vec<&str> = elements("h2").filter_map(|heading| heading.text()).collect();
        let expected = [
            "Offload",
            "Bytes by source",
            "Page load, all page views",
            "Page load, first visits",
            "Countries",
            "Uploads",
            "Baselines",
            "Assets that visitors gave most of",
            "Networks with most page views",
        ];
        assert_eq!(headings, expected);
        assert!(elements("script").next().is_none());
        assert!(elements("td").any(|cell| cell.text().is_some_and(|text| text.contains("<script>"))));
        assert_all_places_are_numbers(&document);
    }

    #[test]
    fn a_run_that_nothing_came_of_has_a_report() {
        let scenario = Scenario { visitors: 1, days: 1e-9, ..scenario() };
        let outcome = edgeweave_sim::run(scenario.clone(), |_| Control::Stop).unwrap();
        let text = page(&scenario, &outcome, &[]).into_string();
        assert_all_places_are_numbers(&parse(&text));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error_before_the_run() {
        assert!(ReportFile::open(Path::new("/nowhere/report.html")).is_err());
    }
}
