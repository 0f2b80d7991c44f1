//! Shows what is wrong with a configuration: file, line and key of every mistake.

use std::path::Path;

use edgeweave_node::config::{Mistake, Mistakes};
use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity};

use crate::failure::Failure;

/// Mistakes that no file is to blame for.
pub(super) fn in_flags(mistakes: &Mistakes) -> Failure {
    let failure = Failure::usage(mistakes.to_string());
    match mistakes.0.iter().find_map(|mistake| mistake.way_out.clone()) {
        Some(way_out) => failure.with_way_out(way_out),
        None => failure,
    }
}

/// Mistakes in a file, each with the lines around it.
pub(super) fn in_file(path: &Path, file: &str, mistakes: Mistakes) -> Failure {
    let count = mistakes.0.len();
    for mistake in mistakes.0 {
        let source = NamedSource::new(path.display().to_string(), file.to_owned()).with_language("TOML");
        eprintln!("{:?}", Report::new(diagnostic(mistake)).with_source_code(source));
    }
    let mistakes = if count == 1 { "is one mistake".into() } else { format!("are {count} mistakes") };
    Failure::usage(format!("there {mistakes} in {}", path.display()))
        .with_way_out("`edgeweave serve --print-config` prints all keys with their defaults; see docs/node.md#configuration")
}

fn diagnostic(mistake: Mistake) -> MietteDiagnostic {
    let diagnostic = MietteDiagnostic::new(mistake.to_string()).with_severity(Severity::Error);
    let diagnostic = match mistake.at {
        Some(at) => diagnostic.with_label(LabeledSpan::new_with_span(None, at)),
        None => diagnostic,
    };
    match mistake.way_out {
        Some(way_out) => diagnostic.with_help(way_out),
        None => diagnostic,
    }
}
