//! The worker part of the client: what it answers by itself, what it asks the engine, and what it leaves to the browser.
//! It does what `client/src/worker` does.

use std::rc::Rc;
use std::time::Duration;

use edgeweave_engine::Input;
use edgeweave_engine::io::{FetchedResource, ShelfAsset};
use edgeweave_protocol::{Digest, Reason, Timestamp};

use crate::browser::RequestKey;
use crate::event::{Arm, EngineKey, Event};
use crate::faults::wall_clock;
use crate::simulation::Simulation;
use crate::slab::Key;
use crate::visitor::{Client, Visitor, Word};
use crate::world::person::BrowserKind;

/// A worker that has nothing to do is stopped after so long, as Chromium does.
const WORKER_IDLE: Duration = Duration::from_secs(30);

/// One that has just started hears from the tab that leads within so long, if there is one.
const INTRODUCED: Duration = Duration::from_millis(50);

/// What a desktop's worker takes to look at a request, and to answer from the secondary cache.
const WORKER_LOOKS: Duration = Duration::from_micros(300);
const SECONDARY_CACHE: Duration = Duration::from_millis(4);

/// A page that has loaded is idle after so long, and a desktop takes so long to start an engine.
const IDLE_AFTER_LOAD: Duration = Duration::from_millis(200);
const ENGINE_START: Duration = Duration::from_millis(60);

/// The client's files, which a visitor's first page loads when it is idle, in bytes on the wire (`cargo xtask size`).
const CLIENT_BYTES: u64 = 60_000;

/// For so long after the last session a purge may have been missed by no more than this.
pub(crate) const CONFIRMED: Duration = Duration::from_secs(5);

/// Resources that the page part tells an engine at most.
const FETCHED_MOST: usize = 500;

impl Visitor {
    /// Starts the worker if it is stopped, and keeps it running for as long as it is of use; returns when it runs.
    fn run_worker(&mut self, now: Timestamp) -> Timestamp {
        // Its start is waited for by all that is asked meanwhile.
        let stopped = now >= self.client.worker_until;
        let starts = if stopped { self.person.device.worker_start_us } else { 0 };
        let ready = (now + Duration::from_micros(starts)).max(self.client.worker_until - WORKER_IDLE);
        self.client.worker_until = ready + WORKER_IDLE;
        ready
    }
}

impl Simulation {
    /// A page under a worker's control is asked for. The worker has no part in that; where the browser knows so beforehand,
    /// it starts the worker meanwhile.
    pub(crate) fn start_beside_navigation(&mut self, key: Key) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let routes = matches!(visitor.person.device.browser, BrowserKind::Chrome | BrowserKind::Edge);
        if !routes || now < visitor.client.worker_until {
            return;
        }
        let ready = visitor.run_worker(now);
        self.queue.plan(ready + INTRODUCED, Event::WorkerIsAlone { visitor: key });
    }

    /// The worker asks the node what is admitted before anything is asked for, if it holds anything and purges may have been
    /// missed.
    pub(crate) fn ask_ahead(&mut self, key: Key) {
        let now = self.now();
        let Some(visitor) = self.visitors.get(key) else { return };
        let Client { page_part, confirmed_until, kept, .. } = &visitor.client;
        if page_part.is_none() && now >= *confirmed_until && !kept.stored.is_empty() {
            self.ask_for_word(key);
        }
    }

    /// A page under a worker's control asks for something, and the worker comes to it at `turn` if it runs.
    pub(crate) fn ask_worker(&mut self, key: Key, request: RequestKey, turn: Timestamp) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let ready = visitor.run_worker(now);
        let at = ready.max(turn) + WORKER_LOOKS.mul_f64(visitor.person.device.slowness);
        self.queue.plan(at, Event::Dispatch { visitor: key, request });
    }

    /// The worker looks at a request.
    pub(crate) fn dispatch(&mut self, key: Key, request: RequestKey) {
        let (now, unix_ms) = (self.now(), self.unix_ms());
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let unix_ms = wall_clock(unix_ms, &visitor.client);
        let Some(asked) = visitor.mesh.load.asked(request) else { return };
        let (Some(asset), false) = (asked.asset, asked.answered || asked.origin_asked || asked.engine_asked)
        else {
            return;
        };
        let shelf = Rc::clone(&visitor.client.kept.shelf);
        let slowness = visitor.person.device.slowness;
        let size = u64::from(self.site.assets[asset as usize].bytes);
        let connected = visitor.client.page_part.as_ref().is_some_and(|part| part.connected);
        let confirmed = connected || now < visitor.client.confirmed_until;
        let shelved = shelf.assets.get(self.origin.url(asset));
        let held = shelved.as_ref().is_some_and(|shelved| {
            let fresh = shelved.held && unix_ms < shelved.fresh_until_ms;
            fresh && visitor.client.kept.holds(shelved.hash, size)
        });
        let has_engine = visitor.client.page_part.is_some();
        if held && !confirmed && self.waits_for_word(key, request) {
            return;
        }
        match shelved {
            None => self.ask_browser(key, Arm::Mesh, request),
            Some(ShelfAsset { hash, .. }) if held && (confirmed || self.is_still_admitted(key, hash)) => {
                self.laws.served(now, &self.site, asset, hash);
                self.figures.served_from_cache(size);
                let at = now + SECONDARY_CACHE.mul_f64(slowness);
                self.queue.plan(at, Event::AnsweredLocally { visitor: key, arm: Arm::Mesh, request });
                let url = self.origin.url(asset).into();
                self.tell_or_keep(key, Input::CacheServed { url, bytes: size });
            }
            Some(_) if has_engine => self.ask_engine(key, request, asset),
            Some(_) if shelf.patience_ms > 0 => {
                let Some(visitor) = self.visitors.get_mut(key) else { return };
                // It waits for an engine, but not for long.
                if visitor.client.waiting.contains(&request) {
                    visitor.client.waiting.retain(|waiting| *waiting != request);
                    return self.ask_without_peers(key, request);
                }
                visitor.client.waiting.push(request);
                let patience = Duration::from_millis(shelf.patience_ms.into());
                self.queue.plan(now + patience, Event::Dispatch { visitor: key, request });
                self.want_engine(key, Duration::ZERO);
            }
            Some(_) => self.ask_without_peers(key, request),
        }
    }

    /// What is held may have been purged since the last session: the worker asks the node what is admitted now, once for
    /// all requests of a page. Whether this one waits for that.
    fn waits_for_word(&mut self, key: Key, request: RequestKey) -> bool {
        let now = self.now();
        let Some(known_at) = self.ask_for_word(key).filter(|known_at| now < *known_at) else {
            return false;
        };
        self.queue.plan(known_at, Event::Dispatch { visitor: key, request });
        true
    }

    /// Asks the node what is admitted, if it has not just been asked; returns when that is known, or waited for no longer.
    fn ask_for_word(&mut self, key: Key) -> Option<Timestamp> {
        let now = self.now();
        let round_trip = self.round_trip_to_supernode(key)?;
        let cold = self.cold_round_trips();
        let visitor = self.visitors.get_mut(key)?;
        if let Some(word) = visitor.client.word.filter(|word| now < word.known_at + CONFIRMED) {
            return Some(word.known_at);
        }
        let patience = Duration::from_millis(visitor.client.kept.shelf.supernode_ms.into());
        if patience.is_zero() {
            return None;
        }
        let takes = round_trip * if visitor.mesh.supernode.is_open(now) { 1 } else { cold };
        visitor.mesh.supernode.open(now, round_trip);
        let known_at = now + takes.min(patience);
        visitor.client.word = Some(Word { known_at, comes: takes <= patience });
        Some(known_at)
    }

    /// Whether the node has just said that a content is admitted.
    fn is_still_admitted(&self, key: Key, hash: Digest) -> bool {
        let Some(visitor) = self.visitors.get(key) else { return false };
        let comes = visitor.client.word.is_some_and(|word| {
            word.comes && word.known_at <= self.now() && self.now() < word.known_at + CONFIRMED
        });
        comes && self.supernode_is_sure_of(visitor.person.network, hash)
    }

    pub(crate) fn ask_engine(&mut self, key: Key, request: RequestKey, asset: u32) {
        let id = request.id();
        let load = self.visitors.get_mut(key).map(|visitor| &mut visitor.mesh.load);
        if let Some(asked) = load.and_then(|load| load.requests.get_mut(usize::from(request.place))) {
            asked.engine_asked = true;
        }
        self.laws.asked(self.queue.now(), key, id);
        let url = self.origin.url(asset).into();
        self.tell(key, Input::Request { id, url, range: None, rescue: false });
    }

    /// The supernode or the origin has answered: an engine that was asked, too, is done with the request.
    pub(crate) fn next_rung_answers(&mut self, key: Key, request: RequestKey) {
        if self.laws.withdrawn(key, request.id()) {
            self.tell(key, Input::Cancel { id: request.id(), reason: Some(Reason::OriginWon) });
        }
        self.answered(key, Arm::Mesh, request);
    }

    /// The page has loaded: when it is idle, the page part starts, and on a first visit the worker is installed.
    pub(crate) fn page_loaded(&mut self, key: Key) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        if !visitor.person.device.service_worker {
            return;
        }
        self.tell_load(key);
        let to_node = self.round_trip_to_supernode(key);
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let mut wait = IDLE_AFTER_LOAD;
        if !std::mem::replace(&mut visitor.client.kept.installed, true) {
            wait += visitor.mesh.down.carry(now, CLIENT_BYTES).since(now);
            // They come over the connection that assets will come over, as the supernode is a part of the node.
            if let Some(round_trip) = to_node {
                visitor.mesh.supernode.open(now, round_trip);
            }
        }
        self.want_engine(key, wait);
    }

    /// Tells the engine how long the page took, if both are there.
    pub(crate) fn tell_load(&mut self, key: Key) {
        let Some(load) = self.visitors.get(key).map(|visitor| &visitor.mesh.load) else { return };
        if let Some(loaded) = load.loaded {
            let ms = loaded.since(load.began).as_millis() as u32;
            self.tell(key, Input::PageLoaded { ms });
        }
    }

    fn want_engine(&mut self, key: Key, after: Duration) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        if visitor.client.page_part.is_some() || std::mem::replace(&mut visitor.client.starting, true) {
            return;
        }
        let at = now + after + ENGINE_START.mul_f64(visitor.person.device.slowness);
        let load = visitor.mesh.load.number;
        self.queue.plan(at, Event::EngineStarts(EngineKey { visitor: key, load }));
    }

    /// The browser fetched something by its own means.
    pub(crate) fn fetched(&mut self, key: Key, resource: FetchedResource) {
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        if visitor.client.page_part.is_some() {
            self.tell(key, Input::Fetched { resources: vec![resource] });
        } else if visitor.client.fetched.len() < FETCHED_MOST {
            visitor.client.fetched.push(resource);
        }
    }

    /// Tells the engine, or the next one when there is none.
    pub(crate) fn tell_or_keep(&mut self, key: Key, input: Input) {
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        if visitor.client.page_part.is_some() {
            self.tell(key, input);
        } else if visitor.client.untold.len() < FETCHED_MOST {
            visitor.client.untold.push(input);
        }
    }
}

/// Until when an answer from the secondary cache is confirmed after a session.
pub(crate) fn confirmed_until(now: Timestamp) -> Timestamp {
    now + CONFIRMED
}
