//! A folder of contents, each a file with its hash for a name: the layout of a node's supernode.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use edgeweave_protocol::Digest;
use edgeweave_protocol::naming::PieceHasher;
use tempfile::NamedTempFile;

use crate::Keep;
use crate::error::CannotStart;

/// The file that a process locks as long as the folder is its own.
const LOCK: &str = ".lock";

/// What the names of unfinished files begin with, so that those of a process that was killed are known.
const PART_PREFIX: &str = ".part-";

/// Bytes that are read at once to verify a file.
const READ_BYTES: usize = 256 * 1024;

/// A folder that is this process's own, or a node's.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The system unlocks it with the process; none where the folder is a node's.
    lock: Option<File>,
}

impl Folder {
    /// Makes and locks the folder if it is to be this process's own; says what is in it, the oldest first.
    pub(crate) fn open(keep: &Keep) -> Result<(Self, Vec<(Digest, u64)>), CannotStart> {
        match keep {
            Keep::Own(path) => {
                let failed = |doing| move |source| CannotStart::Folder { doing, path: path.clone(), source };
                fs::create_dir_all(path).map_err(failed("make the folder"))?;
                let lock = File::create(path.join(LOCK)).map_err(failed("write to"))?;
                match lock.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Err(CannotStart::InUse(path.clone())),
                    Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
                }
                let found = find(path).map_err(failed("read"))?;
                Ok((Self { path: path.clone(), lock: Some(lock) }, found))
            }
            Keep::OfNode(path) => Ok((Self { path: path.clone(), lock: None }, Vec::new())),
        }
    }

    /// Whether contents may be written and removed.
    pub(crate) fn is_own(&self) -> bool {
        self.lock.is_some()
    }

    /// Where a content is, if it is there.
    pub(crate) fn file(&self, hash: Digest) -> PathBuf {
        self.path.join(hash.to_string())
    }

    /// The length of a content's file, if it is there.
    pub(crate) fn len(&self, hash: Digest) -> Option<u64> {
        fs::metadata(self.file(hash)).ok().filter(fs::Metadata::is_file).map(|about| about.len())
    }

    /// Whether a file has the content that its name says.
    pub(crate) fn verify(&self, hash: Digest) -> io::Result<bool> {
        let mut file = File::open(self.file(hash))?;
        let mut hasher = PieceHasher::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finish().hash == hash),
                read => hasher.update(&buffer[..read]),
            }
        }
    }

    /// Part of a content; nothing when it is not there, or shorter.
    pub(crate) fn read(&self, hash: Digest, offset: u64, len: u32, header: &[u8]) -> Option<Vec<u8>> {
        let mut file = File::open(self.file(hash)).ok()?;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut bytes = Vec::with_capacity(header.len() + len as usize);
        bytes.extend_from_slice(header);
        file.take(len.into()).read_to_end(&mut bytes).ok()?;
        (bytes.len() == header.len() + len as usize).then_some(bytes)
    }

    /// An unfinished file, which is gone again unless it is [`put`](Self::put).
    pub(crate) fn begin(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(PART_PREFIX).tempfile_in(&self.path)
    }

    /// Gives a verified content its name.
    pub(crate) fn put(&self, part: NamedTempFile, hash: Digest) -> io::Result<()> {
        part.persist(self.file(hash))?;
        Ok(())
    }

    /// Removes a content; one that cannot be removed is found again at the next start.
    pub(crate) fn remove(&self, hash: Digest) {
        if self.is_own()
            && let Err(error) = fs::remove_file(self.file(hash))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, %hash, "a content cannot be removed");
        }
    }
}

fn find(path: &Path) -> io::Result<Vec<(Digest, u64)>> {
    let mut found: Vec<(SystemTime, Digest, u64)> = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if name.starts_with(PART_PREFIX) {
            // The process was killed while it wrote this; if it stays, it is found again.
            let _ = fs::remove_file(entry.path());
        }
        let (Some(hash), Ok(about)) = (Digest::parse(name), entry.metadata()) else { continue };
        if about.is_file() {
            found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), hash, about.len()));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, hash, size)| (hash, size)).collect())
}
