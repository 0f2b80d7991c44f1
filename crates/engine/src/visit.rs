//! The page that is shown and the one before it: what the node is told, so that it learns what follows what.

use std::time::Duration;

use edgeweave_protocol::limits::{MAX_PAGE_ASSETS, MAX_URL_BYTES};
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::{AssetSet, Digest, Timestamp};

use crate::Engine;
use crate::outbox::without_query;
use crate::sorted::Set;

/// A page has come to rest when nothing has been fetched for so long.
const RESTS_AFTER: Duration = Duration::from_secs(2);

/// A page that never rests is told of after so long.
const TOLD_AFTER: Duration = Duration::from_secs(15);

/// Whoever is away for longer begins another visit.
const VISIT: Duration = Duration::from_secs(30 * 60);

/// A page's view.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// The page's URL; empty when there is none, or none that may be told.
    pub(crate) page: Box<str>,
    from: Option<Box<str>>,
    /// The admitted contents that the page has asked for.
    used: Set<Digest>,
    began: Timestamp,
    /// When the page last asked for something, was answered, or fetched by itself.
    stirred: Timestamp,
    /// Whether it waited for an answer when this was last looked at.
    waits: bool,
    /// Whether the node has yet to be told.
    untold: bool,
    /// How long the page took to load, in milliseconds.
    pub(crate) loaded_ms: Option<u32>,
}

impl Visit {
    /// What is left of the last page, which was shown until so long ago.
    pub(crate) fn after(now: Timestamp, page: Box<str>, away: Duration) -> Self {
        let page = if away <= VISIT { page } else { Box::default() };
        Self { page, stirred: now, ..Self::default() }
    }

    /// The page does something.
    pub(crate) fn stir(&mut self, now: Timestamp) {
        self.stirred = now;
    }

    /// The page asks for a content.
    pub(crate) fn used(&mut self, hash: Digest) {
        self.used.insert(hash);
    }

    /// Since when the page has asked for nothing; none while it waits for an answer.
    pub(crate) fn idle_since(&self) -> Option<Timestamp> {
        (!self.waits).then_some(self.stirred)
    }

    /// When the node is to be told of the page.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let latest = self.began + TOLD_AFTER;
        let rests = if self.waits { latest } else { latest.min(self.stirred + RESTS_AFTER) };
        self.untold.then_some(rests)
    }
}

impl Engine {
    pub(crate) fn page_shown(&mut self, now: Timestamp, url: &str) {
        let url = without_query(url);
        let untold = !url.is_empty() && url.len() <= MAX_URL_BYTES;
        let page = if untold { url.into() } else { Box::default() };
        let last = std::mem::take(&mut self.visit);
        let follows = !last.page.is_empty() && last.page != page && now.since(last.stirred) <= VISIT;
        let from = follows.then_some(last.page);
        self.visit =
            Visit { page, from, untold, began: now, stirred: now, waits: last.waits, ..Visit::default() };
        self.sightings.turn();
        self.begin_replication(now);
        self.persist_due.get_or_insert(now + crate::memory::PERSIST_AFTER);
    }

    /// Notes whether the page waits for something.
    pub(crate) fn watch_page(&mut self, now: Timestamp) {
        let waits = !self.requests.keys().is_empty();
        if std::mem::replace(&mut self.visit.waits, waits) || waits {
            self.visit.stirred = now;
        }
    }

    /// Whether the node knows what this peer holds, so that it can tell what it lacks.
    pub(crate) fn can_say_viewed(&self) -> bool {
        self.session.synced && self.holdings.node_knows
    }

    /// Tells the node of a page that has come to rest, once.
    pub(crate) fn settle_visit(&mut self, now: Timestamp) {
        if !self.can_say_viewed() || self.visit.due().is_none_or(|at| now < at) {
            return;
        }
        self.visit.untold = false;
        // Whatever stands for a content names it; what a site does not have may all be one page that says so.
        let used = self.visit.used.iter().filter_map(|hash| self.catalogue.ids_of(*hash).next());
        let assets: AssetSet = used.take(MAX_PAGE_ASSETS).collect();
        let (page, from) = (self.visit.page.clone(), self.visit.from.take());
        self.out.say(ToNode::Viewed { page, from, assets, loaded_ms: self.visit.loaded_ms });
    }
}
