//! How the command fails: it names the thing and the way out.

use std::process::ExitCode;

/// Why the command ends without having done what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    way_out: Option<String>,
    code: Code,
}

/// Exit codes, as shells and service managers understand them.
#[derive(Clone, Copy, Debug)]
enum Code {
    /// What was asked cannot be done.
    Other = 1,
    /// What was asked makes no sense: flags or configuration.
    Usage = 2,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn other(what: impl Into<String>) -> Self {
        Self { what: what.into(), way_out: None, code: Code::Other }
    }

    /// A flag or the configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { what: what.into(), way_out: None, code: Code::Usage }
    }

    /// What to do about it.
    pub(crate) fn with_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }

    /// Says it.
    pub(crate) fn show(self) -> ExitCode {
        eprintln!("edgeweave: {}", self.what);
        if let Some(way_out) = self.way_out {
            eprintln!("  {way_out}");
        }
        ExitCode::from(self.code as u8)
    }
}
