//! A folder of contents, each a file with its hash for a name, within a budget of bytes. The content that was asked for
//! longest ago leaves first; of those from before a restart, the one that was written first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use edgeweave_protocol::Digest;
use lru::LruCache;
use prometheus_client::metrics::gauge::Gauge;
use tokio::fs::File;
use tokio::sync::Mutex;

use super::cannot_keep::CannotKeep;
use super::part::{self, Part};
use crate::config::SupernodeConfig;
use crate::site::Site;

/// The file that a node locks as long as the folder is its own.
const LOCK: &str = ".lock";

/// A folder that is this node's alone. Files in it that are not contents are left alone.
pub(super) struct Folder {
    path: PathBuf,
    budget: u64,
    /// Locked while files are named, opened or removed, so that it always says what is there.
    held: Mutex<Held>,
    bytes: Gauge,
    /// The system unlocks it with the process.
    _lock: fs::File,
}

/// What is in the folder.
struct Held {
    contents: LruCache<Digest, Content>,
    bytes: u64,
}

/// A content in the folder.
struct Content {
    size: u64,
    /// Sites that have admitted it since this node started.
    sites: Vec<Arc<Site>>,
}

impl Held {
    fn insert(&mut self, hash: Digest, content: Content) {
        self.remove(hash);
        self.bytes += content.size;
        self.contents.put(hash, content);
    }

    fn remove(&mut self, hash: Digest) -> Option<Content> {
        let content = self.contents.pop(&hash)?;
        self.bytes -= content.size;
        Some(content)
    }

    fn least_recent(&self) -> Option<Digest> {
        self.contents.peek_lru().map(|(hash, _)| *hash)
    }
}

impl Folder {
    /// Makes the folder if there is none, and finds what is in it. What is over the budget leaves.
    pub(super) async fn open(config: SupernodeConfig, bytes: Gauge) -> Result<Self, CannotKeep> {
        let SupernodeConfig { folder: path, disk_bytes: budget, .. } = config;
        let found = path.clone();
        let found = tokio::task::spawn_blocking(move || find(&found)).await;
        let (lock, held) = found.map_err(io::Error::other).map_err(CannotKeep::io("read", &path))??;
        let folder = Self { path, budget, held: Mutex::new(held), bytes, _lock: lock };
        folder.make_room(&mut *folder.held.lock().await, 0).await?;
        Ok(folder)
    }

    /// Begins a content that does not have its name yet.
    pub(super) async fn begin(&self) -> Result<Part, CannotKeep> {
        Part::begin(&self.path).await
    }

    /// Whether a content of so many bytes can be kept at all.
    pub(super) fn has_room_for(&self, bytes: u64) -> Result<(), CannotKeep> {
        if bytes > self.budget { Err(CannotKeep::OverBudget(self.budget)) } else { Ok(()) }
    }

    /// Gives a content its name. It takes the place of what has that name already, which may be spoilt.
    pub(super) async fn put(&self, part: Part, hash: Digest, site: &Arc<Site>) -> Result<(), CannotKeep> {
        let size = part.size();
        let written = part.finish().await?;
        let mut held = self.held.lock().await;
        let mut sites = held.remove(hash).map(|content| content.sites).unwrap_or_default();
        if !sites.iter().any(|known| known.id == site.id) {
            sites.push(site.clone());
        }
        self.make_room(&mut held, size).await?;
        let to = self.file(hash);
        let named = to.clone();
        let named =
            tokio::task::spawn_blocking(move || written.persist(named).map_err(io::Error::from)).await;
        named.map_err(io::Error::other).flatten().map_err(CannotKeep::io("write", to))?;
        held.insert(hash, Content { size, sites });
        self.show(&held);
        Ok(())
    }

    /// The sites that have admitted a content, if it is held.
    pub(super) async fn sites(&self, hash: Digest) -> Option<Vec<Arc<Site>>> {
        self.held.lock().await.contents.peek(&hash).map(|content| content.sites.clone())
    }

    /// The bytes of a content, if it is held.
    pub(super) async fn size(&self, hash: Digest) -> Option<u64> {
        self.held.lock().await.contents.peek(&hash).map(|content| content.size)
    }

    /// A content and its length, if it is held; from now on it is the one that was asked for last.
    pub(super) async fn get(&self, hash: Digest) -> Result<Option<(File, u64)>, CannotKeep> {
        let mut held = self.held.lock().await;
        let Some(size) = held.contents.get(&hash).map(|content| content.size) else { return Ok(None) };
        match open(self.file(hash), size).await {
            Ok(file) => Ok(Some((file, size))),
            Err(error) => {
                self.remove_from(&mut held, hash).await?;
                Err(error)
            }
        }
    }

    /// Removes a content.
    pub(super) async fn remove(&self, hash: Digest) -> Result<(), CannotKeep> {
        self.remove_from(&mut *self.held.lock().await, hash).await
    }

    async fn make_room(&self, held: &mut Held, bytes: u64) -> Result<(), CannotKeep> {
        self.has_room_for(bytes)?;
        while held.bytes + bytes > self.budget {
            let Some(hash) = held.least_recent() else { break };
            self.remove_from(held, hash).await?;
        }
        self.show(held);
        Ok(())
    }

    async fn remove_from(&self, held: &mut Held, hash: Digest) -> Result<(), CannotKeep> {
        held.remove(hash);
        self.show(held);
        let path = self.file(hash);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CannotKeep::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn show(&self, held: &Held) {
        self.bytes.set(i64::try_from(held.bytes).unwrap_or(i64::MAX));
    }

    fn file(&self, hash: Digest) -> PathBuf {
        self.path.join(hash.to_string())
    }
}

/// Opens a file that has so many bytes. Whether they are the right ones is for clients to find out, who must anyway.
async fn open(path: PathBuf, written: u64) -> Result<File, CannotKeep> {
    let at = path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let file = fs::File::open(at)?;
        let found = file.metadata()?.len();
        Ok((file, found))
    });
    let opened = opened.await.map_err(io::Error::other).flatten();
    let (file, found) = opened.map_err(CannotKeep::io("read", &path))?;
    if found == written {
        Ok(File::from_std(file))
    } else {
        Err(CannotKeep::Changed { path, found, written })
    }
}

/// Locks the folder and looks at its files.
fn find(path: &Path) -> Result<(fs::File, Held), CannotKeep> {
    fs::create_dir_all(path).map_err(CannotKeep::io("make the folder", path))?;
    let lock = fs::File::create(path.join(LOCK)).map_err(CannotKeep::io("write to", path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(CannotKeep::InUse(path.into())),
        Err(fs::TryLockError::Error(error)) => return Err(CannotKeep::io("lock", path)(error)),
    }
    let mut found: Vec<(SystemTime, Digest, u64)> = Vec::new();
    for entry in fs::read_dir(path).map_err(CannotKeep::io("read", path))? {
        let entry = entry.map_err(CannotKeep::io("read", path))?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if name.starts_with(part::PREFIX) {
            // The node was killed while it wrote this; if it stays, it is found again.
            let _ = fs::remove_file(entry.path());
        }
        let (Some(hash), Ok(about)) = (Digest::parse(name), entry.metadata()) else { continue };
        if about.is_file() {
            found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), hash, about.len()));
        }
    }
    found.sort_unstable();
    let mut held = Held { contents: LruCache::unbounded(), bytes: 0 };
    found.into_iter().for_each(|(_, hash, size)| held.insert(hash, Content { size, sites: Vec::new() }));
    Ok((lock, held))
}
