//! What of the admitted contents is here, what is still to be had, and how pieces of it are read. What leaves first is
//! the engine's word; what is fetched is decided by room alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, Instant};

use edgeweave_engine::io::Shelf;
use edgeweave_protocol::limits::{PIECE_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::{Digest, PeerId};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::Config;
use crate::error::CannotStart;
use crate::fetch::{CannotFetch, Fetcher, Wanted};
use crate::folder::Folder;
use crate::metrics::{From, SiteMetrics};

/// Contents that are fetched or verified at a time.
const TOGETHER: usize = 4;

/// The wait before a content that could not be had is asked for again; it doubles with every failure.
const AGAIN_FIRST: Duration = Duration::from_millis(500);

/// The longest such wait.
const AGAIN_MOST: Duration = Duration::from_secs(300);

/// How long a content that is no longer admitted stays on the disk, unserved: a node that was started again admits the
/// same once more.
const LINGERS: Duration = Duration::from_secs(600);

/// A piece that is to be sent.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) peer: PeerId,
    pub(crate) transfer: u32,
    pub(crate) header: Vec<u8>,
    pub(crate) hash: Digest,
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// What the folder has to say.
#[derive(Debug)]
pub(crate) enum FromContents {
    /// A piece behind its header; nothing when it is no longer there.
    Piece(Read, Option<Vec<u8>>),
    /// What came of getting a content.
    Got(Wanted, Result<From, CannotFetch>),
}

/// Where a content stands.
#[derive(Debug)]
enum State {
    /// It is to be had at this time, after so many failures.
    Wanted(Instant, u32),
    /// It is on its way, after so many failures.
    Coming(u32),
    /// It is here, and the engine knows.
    Held,
    /// It has left to make room, or never had any.
    Passed,
}

/// The contents of one site.
pub(crate) struct Contents {
    folder: Arc<Folder>,
    fetcher: Arc<Fetcher>,
    disk_bytes: u64,
    /// What is admitted.
    admitted: BTreeMap<Digest, (Wanted, State)>,
    /// On the disk without being served: the length, until when, and whether it was verified.
    lingering: BTreeMap<Digest, Lingering>,
    /// What was first heard of when there was room for all: it may take the place of what is used least.
    seen_first: bool,
    reads: blocking::Sender<Read>,
    found: mpsc::UnboundedSender<FromContents>,
    /// They end with this.
    tasks: JoinSet<()>,
    permits: Arc<Semaphore>,
    metrics: SiteMetrics,
    warned: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct Lingering {
    size: u64,
    until: Instant,
    is_verified: bool,
}

impl Contents {
    pub(crate) fn open(
        config: &Config,
        metrics: SiteMetrics,
        now: Instant,
    ) -> Result<(Self, mpsc::UnboundedReceiver<FromContents>), CannotStart> {
        let (folder, found) = Folder::open(&config.contents)?;
        let folder = Arc::new(folder);
        let lingers = |(hash, size)| (hash, Lingering { size, until: now + LINGERS, is_verified: false });
        let (said, heard) = mpsc::unbounded_channel();
        let contents = Self {
            fetcher: Arc::new(Fetcher::new(config.node.clone())?),
            disk_bytes: config.disk_bytes,
            admitted: BTreeMap::new(),
            lingering: found.into_iter().map(lingers).collect(),
            seen_first: false,
            reads: reader(folder.clone(), said.clone())?,
            folder,
            found: said,
            tasks: JoinSet::new(),
            permits: Arc::new(Semaphore::new(TOGETHER)),
            metrics,
            warned: BTreeSet::new(),
        };
        Ok((contents, heard))
    }

    /// What is admitted has changed.
    pub(crate) fn admitted(&mut self, now: Instant, shelf: &Shelf) {
        let known = std::mem::take(&mut self.admitted);
        let mut before: BTreeMap<_, _> = known.into_iter().collect();
        for asset in shelf.assets.iter() {
            let (hash, size) = (asset.hash, asset.size);
            let state = before.remove(&hash).map_or(State::Wanted(now, 0), |(_, state)| state);
            // What did not fit when everything was new stays away; what is new since may push out what is used least.
            let passed = matches!(state, State::Wanted(_, 0))
                && (size > self.disk_bytes || (!self.seen_first && self.taken() + size > self.disk_bytes));
            let state = if passed && !self.lingering.contains_key(&hash) { State::Passed } else { state };
            self.admitted.insert(hash, (Wanted { hash, size, url: asset.url }, state));
        }
        self.seen_first |= !self.admitted.is_empty();
        self.tick(now);
    }

    /// Bytes of what is held or on its way.
    fn taken(&self) -> u64 {
        let counts = |state: &State| matches!(state, State::Held | State::Coming(_) | State::Wanted(..));
        self.admitted.values().filter(|(_, state)| counts(state)).map(|(wanted, _)| wanted.size).sum()
    }

    /// When [`tick`](Self::tick) is wanted.
    pub(crate) fn due(&self) -> Option<Instant> {
        let wanted = self.admitted.values().filter_map(|(_, state)| match state {
            State::Wanted(at, _) => Some(*at),
            _ => None,
        });
        wanted.chain(self.lingering.values().map(|lingering| lingering.until)).min()
    }

    /// Begins to get what is due, and removes what has lingered.
    pub(crate) fn tick(&mut self, now: Instant) {
        let over: Vec<Digest> =
            self.lingering.iter().filter(|(_, file)| now >= file.until).map(|(hash, _)| *hash).collect();
        over.into_iter().for_each(|hash| self.remove(hash));
        let due: Vec<Digest> = self
            .admitted
            .iter()
            .filter(|(_, (_, state))| matches!(state, State::Wanted(at, _) if now >= *at))
            .map(|(hash, _)| *hash)
            .collect();
        due.into_iter().for_each(|hash| self.get(hash));
    }

    fn get(&mut self, hash: Digest) {
        let there = self.lingering.remove(&hash);
        let Some((wanted, state)) = self.admitted.get_mut(&hash) else { return };
        let State::Wanted(_, failures) = *state else { return };
        *state = State::Coming(failures);
        let wanted = wanted.clone();
        if there.is_none() {
            self.make_room(wanted.size);
        }
        let (folder, fetcher, permits, found) =
            (self.folder.clone(), self.fetcher.clone(), self.permits.clone(), self.found.clone());
        self.tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let got = get(folder, &fetcher, &wanted, there).await;
            let _ = found.send(FromContents::Got(wanted, got));
        });
        // Those that have ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Removes what only lingers, until so many bytes have room.
    fn make_room(&mut self, bytes: u64) {
        let mut lingering: u64 = self.lingering.values().map(|file| file.size).sum();
        while lingering > 0 && self.taken() + lingering + bytes > self.disk_bytes {
            let Some((hash, size)) = self
                .lingering
                .iter()
                .min_by_key(|(_, file)| file.until)
                .map(|(hash, file)| (*hash, file.size))
            else {
                return;
            };
            self.remove(hash);
            lingering = lingering.saturating_sub(size);
        }
    }

    fn remove(&mut self, hash: Digest) {
        self.lingering.remove(&hash);
        self.folder.remove(hash);
    }

    /// What came of getting a content: whether it is held now.
    pub(crate) fn got(&mut self, now: Instant, wanted: &Wanted, got: Result<From, CannotFetch>) -> bool {
        let Some((_, state)) = self.admitted.get_mut(&wanted.hash) else {
            // It was purged meanwhile.
            self.folder.remove(wanted.hash);
            return false;
        };
        let failures = if let State::Coming(failures) = state { *failures } else { 0 };
        match got {
            Ok(from) => {
                *state = State::Held;
                self.metrics.fetched(from);
                true
            }
            Err(error) => {
                let failures = failures + 1;
                let wait = AGAIN_FIRST.saturating_mul(1 << failures.min(16)).min(AGAIN_MOST);
                *state = State::Wanted(now + wait, failures);
                self.metrics.not_fetched(error.reason());
                // The node writes what it admits about now, or has no room for it.
                if !matches!(error, CannotFetch::NotHeld) && self.warned.insert(error.reason()) {
                    tracing::warn!(
                        "a content cannot be had: {error}; it is tried again, and further failures are only counted \
                         (edgeweave_peer_not_fetched_total)"
                    );
                }
                false
            }
        }
    }

    /// The engine strikes a content off: to make room, or because it is admitted no more.
    pub(crate) fn dropped(&mut self, now: Instant, hash: Digest) {
        let left = self.admitted.get_mut(&hash).filter(|(_, state)| matches!(state, State::Held));
        if let Some((_, state)) = left {
            *state = State::Passed;
        }
        let lingering: u64 = self.lingering.values().map(|file| file.size).sum();
        match self.folder.len(hash).filter(|_| self.folder.is_own()) {
            Some(size) if self.taken() + lingering + size <= self.disk_bytes => {
                let file = Lingering { size, until: now + LINGERS, is_verified: true };
                self.lingering.insert(hash, file);
            }
            _ => self.folder.remove(hash),
        }
    }

    /// Something of a content could not be read: it is to be had anew.
    pub(crate) fn lost(&mut self, now: Instant, hash: Digest) {
        if let Some((_, state)) = self.admitted.get_mut(&hash) {
            *state = State::Wanted(now + AGAIN_FIRST, 0);
        }
    }

    /// Reads a piece; it comes as [`FromContents::Piece`], in the order in which pieces were asked for.
    pub(crate) fn read(&self, read: Read) {
        // The reader ends with this.
        let _ = self.reads.send(read);
    }
}

/// Takes what is on the disk, or else fetches.
async fn get(
    folder: Arc<Folder>,
    fetcher: &Fetcher,
    wanted: &Wanted,
    there: Option<Lingering>,
) -> Result<From, CannotFetch> {
    let (hash, size) = (wanted.hash, wanted.size);
    if !folder.is_own() {
        return folder
            .len(hash)
            .filter(|found| *found == size)
            .map(|_| From::Folder)
            .ok_or(CannotFetch::NotHeld);
    }
    if let Some(file) = there.filter(|file| file.size == size) {
        let verified = folder.clone();
        let is_right = file.is_verified
            || tokio::task::spawn_blocking(move || verified.verify(hash).unwrap_or(false))
                .await
                .unwrap_or(false);
        if is_right {
            return Ok(From::Folder);
        }
    }
    fetcher.fetch(&folder, wanted).await
}

/// Starts the thread that reads: a disk that is slow holds up pieces and nothing else.
fn reader(
    folder: Arc<Folder>,
    found: mpsc::UnboundedSender<FromContents>,
) -> Result<blocking::Sender<Read>, CannotStart> {
    let (reads, asked) = blocking::channel::<Read>();
    let work = move || {
        for read in asked {
            let segment_bytes = u64::from(SEGMENT_PIECES) * u64::from(PIECE_BYTES);
            let offset = u64::from(read.segment) * segment_bytes + u64::from(read.offset);
            let bytes = folder.read(read.hash, offset, read.len, &read.header);
            if found.send(FromContents::Piece(read, bytes)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("contents".into())
        .spawn(work)
        .map_err(|error| CannotStart::System { doing: "start a thread", about: error.to_string() })?;
    Ok(reads)
}
