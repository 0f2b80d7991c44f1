//! What the page loaded by the browser's own means: measurements of the origin, sightings for the node, and copies
//! that can be adopted.

use std::collections::VecDeque;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::limits::{MAX_SEEN_URLS, MAX_URL_BYTES};
use edgeweave_protocol::manifest::{Asset, OK, is_missing};
use edgeweave_protocol::message::ToNode;

use crate::Engine;
use crate::io::FetchedResource;

/// Sightings wait so long for company.
const SEEN_TOGETHER: Duration = Duration::from_millis(200);

/// URLs remembered of one page; a page that loads more has its first ones forgotten.
const MOST_URLS: usize = 1_000;

/// The URLs that this page has loaded.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    loaded: VecDeque<Box<str>>,
    /// Those that the node has not been told of, and those of them that are missing.
    untold: [Vec<Box<str>>; 2],
    due: Option<Timestamp>,
}

impl Sightings {
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether this page has loaded a URL, so that the browser's HTTP cache may have it.
    pub(crate) fn contains(&self, url: &str) -> bool {
        self.urls().any(|loaded| loaded == url)
    }

    /// What this page has loaded, in the order in which it did.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.loaded.iter().map(|url| &**url)
    }

    /// Another page begins.
    pub(crate) fn turn(&mut self) {
        self.loaded.clear();
    }

    fn insert(&mut self, url: &str) -> bool {
        if self.contains(url) {
            return false;
        }
        self.loaded.push_back(url.into());
        if self.loaded.len() > MOST_URLS {
            self.loaded.pop_front();
        }
        true
    }
}

impl Engine {
    pub(crate) fn fetched(&mut self, now: Timestamp, resources: Vec<FetchedResource>) {
        self.visit.stir(now);
        for resource in resources {
            let FetchedResource { url, bytes, first_byte_ms, total_ms, controlled, status } = resource;
            let missing = is_missing(status);
            if status >= 400 && !missing {
                // Another error says nothing of what is there.
                continue;
            }
            if controlled {
                self.traffic.requests.origin += 1;
                self.traffic.bytes.origin += bytes;
                self.stats_due.get_or_insert(now);
            }
            if bytes > 0 {
                self.origin.measure(first_byte_ms, total_ms, bytes);
            }
            let new = url.len() <= MAX_URL_BYTES && self.sightings.insert(&url);
            match self.catalogue.by_url(&url).map(|entry| &entry.asset) {
                Some(asset) if (asset.status != OK) == missing => {
                    let hash = asset.hash;
                    self.page_used(now, hash, 0);
                    self.adopt(now, hash);
                }
                _ if new => {
                    self.sightings.untold[usize::from(missing)].push(url);
                    self.sightings.due.get_or_insert(now + SEEN_TOGETHER);
                }
                _ => {}
            }
        }
    }

    /// Tells the node of what the manifest does not have, once it is known what the manifest has.
    pub(crate) fn settle_sightings(&mut self, now: Timestamp) {
        if !self.session.synced || self.sightings.due.is_none_or(|at| now < at) {
            return;
        }
        self.sightings.due = None;
        let catalogue = &self.catalogue;
        for (missing, untold) in [false, true].into_iter().zip(&mut self.sightings.untold) {
            // What others are told differently, the node has to know.
            let is_news = |asset: &Asset| (asset.status != OK) != missing;
            untold.retain(|url| catalogue.by_url(url).is_none_or(|entry| is_news(&entry.asset)));
            while !untold.is_empty() {
                let count = untold.len().min(MAX_SEEN_URLS);
                let urls = untold.drain(..count).collect();
                self.out.say(ToNode::Seen { urls, missing });
            }
        }
    }
}
