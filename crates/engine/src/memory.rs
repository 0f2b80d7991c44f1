//! What outlives a page: it is handed to the body as opaque bytes, and read back by the next page's engine.

use std::time::Duration;

use edgeweave_protocol::manifest::{Asset, ManifestVersion};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::io::Output;
use crate::origin::Origin;
use crate::visit::Visit;

/// A manifest of more assets than this is not kept: reading it would cost more than asking for it again.
const MAX_KEPT_ASSETS: usize = 2_000;

/// Counts changes of what is kept, or of how: it is the first byte.
const VERSION: u8 = 4;

/// Changes are kept after so long at the latest: a page that ends without a word loses no more. One that is left keeps
/// everything.
pub(crate) const PERSIST_AFTER: Duration = Duration::from_secs(60);

/// Counters that belong to the visitor rather than to a page.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// A random number that is drawn anew every day.
    pub(crate) visitor: u32,
    visitor_day: u32,
    month: u32,
    /// Bytes uploaded in this month.
    pub(crate) uploaded: u64,
    /// The assets as they are kept, and after how many changes of the catalogue: they seldom change.
    assets: (u32, Vec<u8>),
}

/// What is kept. The assets follow.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// [`VERSION`]; what another version wrote cannot be read.
    version: u8,
    visitor: u32,
    visitor_day: u32,
    month: u32,
    uploaded: u64,
    origin: Origin,
    supernode: Origin,
    /// What the site's owner had decided: whether a request waits for the session is decided before there is one.
    policy: Policy,
    manifest: Option<ManifestVersion>,
    /// How long each of the assets is fresh, in milliseconds from `kept_ms` on.
    fresh_ms: Vec<u64>,
    kept_ms: u64,
    /// When each held content was last used, in milliseconds since 1970, and whether it was replicated and no page has
    /// used it.
    used: Vec<(Digest, u64, bool)>,
    /// The page that was shown.
    page: Box<str>,
}

impl Engine {
    /// Takes up what the last page kept. What cannot be read is as good as nothing.
    pub(crate) fn recall(&mut self, now: Timestamp, state: Option<&[u8]>) {
        let readable = state.filter(|bytes| bytes.first() == Some(&VERSION));
        let kept = readable.and_then(|bytes| postcard::take_from_bytes::<Kept>(bytes).ok());
        let read =
            kept.and_then(|(kept, rest)| Some((kept, rest, postcard::from_bytes::<Vec<Asset>>(rest).ok()?)));
        let Some((kept, rest, assets)) = read else { return self.turn_the_page(now) };
        let away_ms = self.clock.unix_ms(now).saturating_sub(kept.kept_ms);
        for (mut asset, fresh_ms) in assets.into_iter().zip(kept.fresh_ms) {
            asset.fresh_ms = fresh_ms.saturating_sub(away_ms);
            self.store.set_size(asset.hash, asset.size);
            self.catalogue.insert(now, asset);
        }
        self.catalogue.version = kept.manifest;
        for (hash, used_ms, unused) in kept.used {
            self.store.touch(hash, used_ms);
            if unused {
                let size = self.catalogue.by_hash(hash).map_or(0, |entry| entry.asset.size);
                self.store.unused.insert(hash, size);
            }
        }
        self.origin = kept.origin;
        self.supernode = kept.supernode;
        self.policy = kept.policy;
        self.memory = Memory {
            visitor: kept.visitor,
            visitor_day: kept.visitor_day,
            month: kept.month,
            uploaded: kept.uploaded,
            assets: (self.catalogue.changes, rest.to_vec()),
        };
        self.visit = Visit::after(now, kept.page, Duration::from_millis(away_ms));
        self.turn_the_page(now);
    }

    /// A new day has a new visitor number, and a new month a new upload cap.
    pub(crate) fn turn_the_page(&mut self, now: Timestamp) {
        let (day, month) = (self.clock.day(now), self.clock.month(now));
        if self.memory.visitor_day != day {
            self.memory.visitor_day = day;
            self.memory.visitor = self.rng.u32(..);
            // One that was found slow is tried again.
            self.supernode = Origin::default();
        }
        if self.memory.month != month {
            self.memory.month = month;
            self.memory.uploaded = 0;
        }
    }

    pub(crate) fn persist(&mut self, now: Timestamp) {
        self.persist_due = None;
        let fits = self.catalogue.len() <= MAX_KEPT_ASSETS;
        let entries = || self.catalogue.entries().filter(|_| fits);
        let changes = self.catalogue.changes;
        if self.memory.assets.0 != changes {
            let assets: Vec<&Asset> = entries().map(|entry| &entry.asset).collect();
            self.memory.assets = (changes, postcard::to_allocvec(&assets).unwrap_or_default());
        }
        let kept = Kept {
            version: VERSION,
            visitor: self.memory.visitor,
            visitor_day: self.memory.visitor_day,
            month: self.memory.month,
            uploaded: self.memory.uploaded,
            origin: self.origin,
            supernode: self.supernode,
            policy: self.policy.clone(),
            manifest: self.catalogue.version.filter(|_| fits),
            fresh_ms: entries().map(|entry| entry.fresh_until.since(now).as_millis() as u64).collect(),
            kept_ms: self.clock.unix_ms(now),
            used: self.store.uses().collect(),
            page: self.visit.page.clone(),
        };
        if let Ok(mut state) = postcard::to_allocvec(&kept) {
            state.extend_from_slice(&self.memory.assets.1);
            self.out.push(Output::Persist { state });
        }
    }
}
