//! Why a content cannot be kept, or what was kept cannot be had.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What went wrong with the folder or a file in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotKeep {
    /// The system says so.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Two nodes would remove each other's contents.
    #[error("another node keeps contents in {}; give each its own with `supernode.folder`", .0.display())]
    InUse(PathBuf),
    /// There could never be room.
    #[error("a content is larger than `supernode.disk_bytes` ({0})")]
    OverBudget(u64),
    /// The disk is too slow for a fetch to wait for it.
    #[error("the disk took longer than {} s to {doing} {}", after.as_secs(), path.display())]
    Stalled {
        /// What was attempted.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// For how long.
        after: Duration,
    },
    /// A file does not have the length that it was written with.
    #[error("{} was changed: it has {found} bytes, not {written}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What was written.
        written: u64,
    },
}

impl CannotKeep {
    /// The reason's name in metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "disk_full"
            }
            Self::Io { .. } => "disk_error",
            Self::InUse(_) => "folder_in_use",
            Self::OverBudget(_) => "over_budget",
            Self::Stalled { .. } => "stalled",
            Self::Changed { .. } => "changed",
        }
    }

    /// For errors of the system.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.into(), source }
    }
}
