//! Adoption: the browser's own copy of an admitted asset joins the mesh, if its bytes are the admitted ones. It costs
//! no network: only the browser's HTTP cache is read.

use std::collections::VecDeque;

use edgeweave_protocol::manifest::{OK, segment_count};
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::{AssetId, Digest, Reason, Timestamp};

use crate::Engine;
use crate::download::Source;
use crate::io::{Output, Payload};
use crate::sorted::{Map, Set};

/// Copies that are read at a time.
const ADOPTED_TOGETHER: usize = 2;

/// What is being adopted, and what has been tried.
#[derive(Debug, Default)]
pub(crate) struct Adoption {
    waiting: VecDeque<Digest>,
    active: Map<AssetId, Digest>,
    /// Tried on this page: the browser has no more of it than it had then.
    tried: Set<Digest>,
}

impl Adoption {
    pub(crate) fn is_active(&self, hash: Digest) -> bool {
        self.active.values().any(|active| *active == hash)
    }
}

impl Engine {
    /// Reads the browser's own copy of a content, if it is wanted and has not been tried.
    pub(crate) fn adopt(&mut self, now: Timestamp, hash: Digest) {
        let Some(entry) = self.catalogue.by_hash(hash) else { return };
        if entry.asset.status != OK {
            // Browsers keep no page that says that something is missing.
            return;
        }
        let size = entry.asset.size;
        let wanted = (0..segment_count(size)).any(self.store.wants(hash, size, self.policy.cache_bytes));
        if !wanted || !self.takes_part() || !self.adoption.tried.insert(hash) {
            return;
        }
        self.adoption.waiting.push_back(hash);
        self.adopt_next(now);
    }

    /// Adopts what this page has loaded and is admitted by now; the page uses it.
    pub(crate) fn adopt_loaded(&mut self, now: Timestamp) {
        let loaded = self.sightings.urls().filter_map(|url| self.catalogue.by_url(url));
        let hashes: Vec<Digest> = loaded.map(|entry| entry.asset.hash).collect();
        for hash in hashes {
            self.visit.used(hash);
            self.adopt(now, hash);
        }
    }

    pub(crate) fn adopt_next(&mut self, now: Timestamp) {
        while self.adoption.active.len() < ADOPTED_TOGETHER
            && let Some(hash) = self.adoption.waiting.pop_front()
        {
            let Some(entry) = self.catalogue.by_hash(hash) else { continue };
            let (asset, url, size) = (entry.asset.id, entry.asset.url.clone(), entry.asset.size);
            self.adoption.active.insert(asset, hash);
            if self.ensure_download(hash) {
                self.out.push(Output::Adopt { asset, url, size });
            } else {
                // The digests of a large asset are on their way; it is read when they are here.
                self.adoption.active.remove(&asset);
                self.adoption.tried.remove(&hash);
                self.want_digests(now, asset);
            }
        }
    }

    pub(crate) fn adopted(&mut self, asset: AssetId, piece: u32, payload: Payload) {
        match self.adoption.active.get(&asset).copied() {
            Some(hash) => self.check(hash, piece, payload, Source::Own),
            None => self.out.push(Output::Release { handle: payload.handle }),
        }
    }

    pub(crate) fn adopt_ended(&mut self, now: Timestamp, asset: AssetId) {
        if let Some(hash) = self.adoption.active.remove(&asset) {
            self.drive(now, hash);
            self.adopt_next(now);
        }
    }

    /// The visitor's own copy is not the admitted one: it stays where it is, and the node hears that there are two.
    pub(crate) fn differs(&mut self, now: Timestamp, hash: Digest) {
        let assets: Vec<AssetId> =
            self.adoption.active.extract_if(|_, active| *active == hash).map(|(id, _)| id).collect();
        if !assets.is_empty() {
            self.out.note(
                now,
                edgeweave_protocol::report::Event::Error,
                Some(Reason::Differs),
                "own copy",
                0,
            );
            self.out.say(ToNode::Differs { assets });
            self.adopt_next(now);
        }
    }
}
