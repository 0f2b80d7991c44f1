//! A file that is being written, and is gone again unless it is given a name.

use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::cannot_keep::CannotKeep;

/// What the names of unfinished files begin with, so that those of a node that was killed are known.
pub(super) const PREFIX: &str = ".part-";
/// How long the disk may take for one step: a fetch waits for it, and an origin for the fetch.
const STEP: Duration = Duration::from_secs(5);

/// An unfinished file.
pub(super) struct Part {
    file: File,
    path: TempPath,
    size: u64,
}

impl Part {
    /// An empty one in a folder.
    pub(super) async fn begin(folder: &Path) -> Result<Self, CannotKeep> {
        let within = folder.to_owned();
        let made =
            tokio::task::spawn_blocking(move || tempfile::Builder::new().prefix(PREFIX).tempfile_in(within));
        let made = async { made.await.map_err(io::Error::other)? };
        let (file, path) = in_time("write to", folder, made).await?.into_parts();
        Ok(Self { file: File::from_std(file), path, size: 0 })
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes the next bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), CannotKeep> {
        self.size += bytes.len() as u64;
        in_time("write to", &self.path, self.file.write_all(bytes)).await
    }

    /// The path of what was written, when the system has taken all of it.
    pub(super) async fn finish(mut self) -> Result<TempPath, CannotKeep> {
        in_time("write to", &self.path, self.file.flush()).await?;
        Ok(self.path)
    }
}

async fn in_time<T>(
    doing: &'static str,
    path: &Path,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, CannotKeep> {
    match tokio::time::timeout(STEP, step).await {
        Ok(done) => done.map_err(CannotKeep::io(doing, path)),
        Err(_) => Err(CannotKeep::Stalled { doing, path: path.to_owned(), after: STEP }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_finished_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut part = Part::begin(folder.path()).await.unwrap();
        part.write(b"content").await.unwrap();
        assert_eq!((part.size(), files()), (7, 1));
        drop(part);
        assert_eq!(files(), 0);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_full_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part::begin(folder.path()).await.unwrap();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut part = Part { file: File::from_std(full), ..part };
        // The system may say so only when it is asked whether it has everything.
        let written = part.write(b"content").await;
        let error = match written {
            Ok(()) => part.finish().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.reason(), "disk_full", "{error}");
    }
}
