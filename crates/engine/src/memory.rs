//! What outlives a page: it is handed to the body as opaque bytes, and read back by the next page's engine.

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::manifest::ManifestVersion;
use edgeweave_protocol::policy::Policy;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Engine;
use crate::catalogue::Catalogue;
use crate::io::Output;
use crate::origin::Origin;
use crate::store::Use;
use crate::visit::Visit;

/// A manifest of more assets than this is not kept: reading it would cost more than asking for it again.
const MAX_KEPT_ASSETS: usize = 2_000;

/// Counts changes of what is kept, or of how: it is the first byte.
const VERSION: u8 = 6;

/// Changes are kept after so long at the latest: a page that ends without a word, or whose worker does not
/// hear its last, loses no more.
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
}

/// What an engine knows, for the next one. A body that stays in memory hands it on as it is; in browsers it is written
/// as opaque bytes.
#[derive(Clone, Debug)]
pub struct State(Option<Box<Kept>>);

#[derive(Clone, Debug, Serialize, Deserialize)]
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
    catalogue: Arc<Catalogue>,
    kept_ms: u64,
    /// In the order of the contents.
    used: Vec<Use>,
    /// The page that was shown.
    page: Box<str>,
}

impl State {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_ref().and_then(|kept| postcard::to_allocvec(kept).ok()).unwrap_or_default()
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for State {}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_bytes().serialize(serializer)
    }
}

/// What cannot be read is as good as nothing.
impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let readable = bytes.first() == Some(&VERSION);
        Ok(Self(readable.then(|| postcard::from_bytes(&bytes).ok()).flatten()))
    }
}

impl Engine {
    /// Takes up what the last page kept.
    pub(crate) fn recall(&mut self, now: Timestamp, state: Option<State>) {
        let Some(kept) = state.and_then(|state| state.0) else { return self.turn_the_page(now) };
        let now_ms = self.clock.unix_ms(now);
        // By a clock that was set back nothing can be told to be fresh: the manifest is asked for again.
        if now_ms >= kept.kept_ms {
            (self.manifest, self.catalogue) = (kept.manifest, kept.catalogue);
        }
        self.store.recall(kept.used);
        self.origin = kept.origin;
        self.supernode = kept.supernode;
        self.policy = kept.policy;
        self.memory = Memory {
            visitor: kept.visitor,
            visitor_day: kept.visitor_day,
            month: kept.month,
            uploaded: kept.uploaded,
        };
        let away_ms = now_ms.saturating_sub(kept.kept_ms);
        self.visit = Visit::after(now, kept.page, Duration::from_millis(away_ms));
        self.turn_the_page(now);
    }

    /// A new day has a new visitor number, and a new month a new upload cap.
    pub(crate) fn turn_the_page(&mut self, now: Timestamp) {
        let day = self.clock.day(now);
        if self.memory.visitor_day == day {
            return;
        }
        self.memory.visitor_day = day;
        self.memory.visitor = self.rng.u32(..);
        // Who comes again today stays in the same arm, however short this visit is.
        self.persist_due = Some(now);
        // One that was found slow is tried again.
        self.supernode = Origin::default();
        let month = self.clock.month(now);
        if self.memory.month != month {
            self.memory.month = month;
            self.memory.uploaded = 0;
        }
    }

    pub(crate) fn persist(&mut self, now: Timestamp) {
        self.persist_due = None;
        let fits = self.catalogue.len() <= MAX_KEPT_ASSETS;
        let kept = Kept {
            version: VERSION,
            visitor: self.memory.visitor,
            visitor_day: self.memory.visitor_day,
            month: self.memory.month,
            uploaded: self.memory.uploaded,
            origin: self.origin,
            supernode: self.supernode,
            policy: self.policy.clone(),
            manifest: self.manifest.filter(|_| fits),
            catalogue: if fits { Arc::clone(&self.catalogue) } else { Arc::default() },
            kept_ms: self.clock.unix_ms(now),
            used: self.store.uses().collect(),
            page: self.visit.page.clone(),
        };
        self.out.push(Output::Persist { state: State(Some(Box::new(kept))) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Input, Setup};

    fn engine(seed: u64, state: Option<State>) -> Engine {
        let site = "site".parse().unwrap();
        let setup = Setup { site, release: "r".into(), seed, unix_ms: 1 << 40, state, held: Vec::new() };
        Engine::new(Timestamp::ZERO, setup)
    }

    fn left(mut engine: Engine) -> State {
        engine.handle_input(Timestamp::from_millis(1), Input::Suspend);
        let kept = std::iter::from_fn(|| engine.poll_output()).find_map(|output| match output {
            Output::Persist { state } => Some(state),
            _ => None,
        });
        kept.unwrap()
    }

    #[test]
    fn a_page_that_is_left_before_the_manifest_came_has_the_same_visitor_as_the_next() {
        let first = engine(1, None);
        let visitor = first.memory.visitor;
        let state = left(first);
        let written = postcard::to_allocvec(&state).unwrap();
        assert_eq!(engine(2, Some(state)).memory.visitor, visitor);
        let read: State = postcard::from_bytes(&written).unwrap();
        assert_eq!(engine(3, Some(read)).memory.visitor, visitor);
    }

    #[test]
    fn what_cannot_be_read_is_as_good_as_nothing() {
        for bytes in [vec![], vec![VERSION], vec![VERSION - 1, 1, 2, 3]] {
            let state: State = postcard::from_bytes(&postcard::to_allocvec(&bytes).unwrap()).unwrap();
            assert!(state.to_bytes().is_empty());
            engine(1, Some(state));
        }
    }
}
