//! The brain of a peer: which request the mesh answers and which the origin, whom to meet, whom to ask for which
//! piece, what to keep, what to give, and what to tell.
//!
//! **Invariant:** pure. It has no clock, no I/O and no async, and its only randomness is the seed it is made with. It
//! sees headers, lengths and digests; payload bytes stay with the body, behind [`io::Handle`]s. It depends on
//! `protocol` alone.
//!
//! A body drives it like this:
//!
//! 1. Make an [`Engine`] from a [`Setup`], and tell it the [`io::Circumstances`]: until then it takes no part.
//! 2. Hand in what happens with [`Engine::handle_input`], each time with the present time.
//! 3. Do everything that [`Engine::poll_output`] says, until it says nothing more.
//! 4. At [`Engine::poll_timeout`], hand in [`Input::Tick`].
//! 5. Go on at 2.
//!
//! Each concern has a file with its own state and its part of `impl Engine`; this one only routes. Start reading at
//! `request.rs` (a page's request) and `download.rs` (pieces on their way).

mod adoption;
mod bits;
mod catalogue;
mod clock;
mod download;
mod holdings;
pub mod io;
mod memory;
mod neighbours;
mod operated;
mod origin;
mod outbox;
mod recorder;
mod replicate;
mod request;
mod session;
mod shelf;
mod sightings;
mod sorted;
mod store;
mod supernode;
mod upload;
mod visit;
#[cfg(target_arch = "wasm32")]
mod web;

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::manifest::{ManifestDelta, ManifestVersion};
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::policy::{Policy, Prefetch};
use edgeweave_protocol::report::{Event, Note, Report, Traffic};
use edgeweave_protocol::{AssetId, Digest, Reason, SiteId, Timestamp};
use io::{Circumstances, Handle, RequestId, Stats};
pub use io::{Input, Output, Setup};
pub use memory::State;
pub use operated::Operated;
use sorted::Map;

/// The page's figures are told at most once in so long, but for news of the session.
const STATS_EVERY: Duration = Duration::from_millis(500);

/// Not-held assets for which neighbours are looked for ahead of any request, so that channels are open before they
/// are asked for.
const LOOK_AHEAD: usize = 64;

/// With so many neighbours, none are looked for ahead of requests.
const NEIGHBOURS_AHEAD: usize = 3;

/// Where so many peers are, the node has seen enough views to say what is needed next, and channels to those who hold
/// that are enough: in the simulated world, looking for anything else took a quarter of all messages and gave nothing.
const CROWD: u32 = 16;

/// A peer's brain.
#[derive(Debug)]
pub struct Engine {
    site: SiteId,
    release: Box<str>,
    clock: clock::Clock,
    rng: fastrand::Rng,
    policy: Policy,
    circumstances: Circumstances,
    suspended: bool,
    out: outbox::Outbox,

    session: session::Session,
    /// Where the manifest stands; none until a node has said so.
    manifest: Option<ManifestVersion>,
    catalogue: Arc<catalogue::Catalogue>,
    digests_asked: Map<AssetId, Timestamp>,
    requests: Map<RequestId, request::Request>,
    downloads: Map<Digest, download::Download>,
    checks: Map<Handle, download::Check>,
    neighbours: neighbours::Neighbours,
    budget: upload::Budget,
    serve_again: Option<Timestamp>,
    store: store::Store,
    holdings: holdings::Holdings,
    adoption: adoption::Adoption,
    sightings: sightings::Sightings,
    visit: visit::Visit,
    replication: replicate::Replication,
    origin: origin::Origin,
    supernode: origin::Origin,
    memory: memory::Memory,

    traffic: Traffic,
    /// What of the traffic has been reported.
    reported: Traffic,
    shelf_due: Option<Timestamp>,
    persist_due: Option<Timestamp>,
    stats_due: Option<Timestamp>,
    stats_told: Option<Timestamp>,
}

impl Engine {
    /// An engine that takes no part until it is told its [`Circumstances`].
    pub fn new(now: Timestamp, setup: Setup) -> Self {
        let mut engine = Self {
            site: setup.site,
            release: setup.release,
            clock: clock::Clock::new(setup.unix_ms),
            rng: fastrand::Rng::with_seed(setup.seed),
            policy: Policy::default(),
            circumstances: Circumstances { off: Some(Reason::Disabled), ..Circumstances::default() },
            suspended: false,
            out: outbox::Outbox::default(),
            session: session::Session::default(),
            manifest: None,
            catalogue: Arc::default(),
            digests_asked: Map::new(),
            requests: Map::new(),
            downloads: Map::new(),
            checks: Map::new(),
            neighbours: neighbours::Neighbours::default(),
            budget: upload::Budget::default(),
            serve_again: None,
            store: store::Store::default(),
            holdings: holdings::Holdings::default(),
            adoption: adoption::Adoption::default(),
            sightings: sightings::Sightings::default(),
            visit: visit::Visit::default(),
            replication: replicate::Replication::default(),
            origin: origin::Origin::default(),
            supernode: origin::Origin::default(),
            memory: memory::Memory::default(),
            traffic: Traffic::default(),
            reported: Traffic::default(),
            shelf_due: None,
            persist_due: None,
            stats_due: None,
            stats_told: None,
        };
        for segment in &setup.held {
            engine.store.stored(segment.hash, segment.segment, None, 0);
        }
        engine.recall(now, setup.state);
        engine.out.note(now, Event::Started, None, "", 0);
        engine
    }

    /// Takes in what happened. Time must not go back between calls; where it does, nothing is due until it has caught
    /// up.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        match input {
            Input::Tick => {}
            Input::Circumstances(circumstances) => self.circumstances_changed(now, circumstances),
            Input::Suspend => self.suspend(now),
            Input::Resume => self.suspended = false,
            Input::Forget => self.forget(now),
            Input::SocketOpened => self.socket_opened(),
            Input::Heard(message) => self.heard(now, message),
            Input::SocketClosed => self.socket_closed(now),
            Input::Page { url } => self.page_shown(now, &url),
            Input::PageLoaded { ms } => self.visit.loaded_ms = Some(ms),
            Input::Request { id, url, range, rescue } => self.request(now, id, url, range, rescue),
            Input::Cancel { id, reason } => self.cancel(now, id, reason),
            Input::Consumed { id, bytes } => self.consumed(now, id, bytes),
            Input::Fetched { resources } => self.fetched(now, resources),
            Input::CacheServed { url, bytes } => self.cache_served(now, &url, bytes),
            Input::SupernodeServed { hash, bytes, first_byte_ms, total_ms } => {
                self.supernode_served(now, hash, bytes, (first_byte_ms, total_ms));
            }
            Input::PeerSignal { peer, signal } => self.out.say(ToNode::Signal { to: peer, signal }),
            Input::PeerOpened { peer } => self.peer_opened(now, peer),
            Input::PeerClosed { peer, reason } => self.peer_closed(now, peer, reason),
            Input::Frame { peer, header, payload } => self.frame_arrived(now, peer, &header, payload),
            Input::Hashed { handle, digest } => self.hashed(now, handle, digest),
            Input::PieceSent { peer, .. } => self.piece_sent(now, peer),
            Input::PieceLost { peer, transfer, hash, segment } => {
                self.piece_lost(now, peer, transfer, hash, segment);
            }
            Input::Adopted { asset, piece, payload } => self.adopted(asset, piece, payload),
            Input::AdoptEnded { asset } => self.adopt_ended(now, asset),
            Input::Loaded { hash, piece, payload } => self.loaded(now, hash, piece, payload),
            Input::Stored { hash, segment } => self.stored(now, hash, segment),
            Input::StoreFailed { hash, segment, reason } => {
                self.store.failed(hash, segment);
                self.out.note(now, Event::Error, Some(reason), "", 0);
            }
            Input::Note { event, reason, about, bytes } => self.out.note(now, event, reason, &about, bytes),
        }
        self.settle(now);
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When [`Input::Tick`] is wanted, if no other input comes before.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [
            self.session.due(),
            self.requests_due(),
            self.neighbours.due(),
            self.serve_again,
            self.holdings.due(),
            self.sightings.due().filter(|_| self.session.synced),
            self.visit.due().filter(|_| self.can_say_viewed()),
            self.replication.due(),
            self.shelf_due,
            self.persist_due,
            self.stats_due.map(|at| self.stats_told.map_or(at, |told| at.max(told + STATS_EVERY))),
            self.out.recorder.due().filter(|_| self.takes_part()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The flight recorder: recent notes, oldest first.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.out.recorder.notes()
    }

    /// Does whatever is due. It is level-triggered: each concern looks at its own state, whatever has just happened.
    fn settle(&mut self, now: Timestamp) {
        self.turn_the_page(now);
        self.settle_session(now);
        self.settle_requests(now);
        self.settle_neighbours(now);
        self.settle_uploads(now);
        self.settle_holdings(now);
        self.settle_sightings(now);
        self.watch_page(now);
        self.settle_visit(now);
        self.settle_replication(now);
        if self.shelf_due.is_some_and(|at| now >= at) {
            self.shelve(now);
        }
        if self.persist_due.is_some_and(|at| now >= at) {
            self.persist(now);
        }
        let told = self.stats_told.map_or(Timestamp::ZERO, |told| told + STATS_EVERY);
        if self.stats_due.is_some_and(|at| now >= at.max(told)) {
            self.tell_stats(now);
        }
        if self.out.recorder.due().is_some_and(|at| now >= at) && self.takes_part() {
            self.report(now);
        }
    }

    /// Which manifest indices belong to.
    fn epoch(&self) -> u32 {
        self.manifest.map_or(0, |version| version.epoch)
    }

    /// Why this client takes no part, if it does not.
    fn off_reason(&self) -> Option<Reason> {
        let switched_off = (!self.policy.enabled).then_some(Reason::SwitchedOff);
        let holdout = self.policy.holds_out(self.memory.visitor).then_some(Reason::Holdout);
        self.circumstances.off.or(switched_off).or(holdout)
    }

    /// Why this client has no neighbours, if it may have none.
    fn alone_reason(&self) -> Option<Reason> {
        self.off_reason().or(self.circumstances.alone)
    }

    /// Whether this client takes part. A site that is switched off keeps its session, to hear when it is on again.
    fn takes_part(&self) -> bool {
        self.circumstances.off.is_none()
    }

    fn circumstances_changed(&mut self, now: Timestamp, circumstances: Circumstances) {
        self.circumstances = circumstances;
        self.stats_due.get_or_insert(now);
        if let Some(reason) = circumstances.off {
            self.out.note(now, Event::Off, Some(reason), "", 0);
        }
        self.let_go(now);
    }

    fn set_policy(&mut self, now: Timestamp, policy: Policy) {
        self.policy = policy;
        if self.session.synced {
            // In a new session the worker is told when the manifest has come, too.
            self.shelf_due.get_or_insert(now);
        }
        self.stats_due.get_or_insert(now);
        self.let_go(now);
        while let Some(oldest) = self.store.surplus(self.policy.cache_bytes) {
            self.evict(now, oldest, Reason::Evicted);
        }
    }

    /// Lets go of requests and neighbours where they are no longer allowed.
    fn let_go(&mut self, now: Timestamp) {
        if let Some(reason) = self.off_reason() {
            self.fall_back_all(now, reason);
        }
        if let Some(reason) = self.alone_reason() {
            let peers: Vec<_> = self.neighbours.all.keys().to_vec();
            peers.into_iter().for_each(|peer| self.close_peer(now, peer, reason));
        }
    }

    /// The page is going away or is frozen: nothing may keep it from the back/forward cache.
    fn suspend(&mut self, now: Timestamp) {
        self.suspended = true;
        self.fall_back_all(now, Reason::EngineGone);
        let peers: Vec<_> = self.neighbours.all.keys().to_vec();
        peers.into_iter().for_each(|peer| self.close_peer(now, peer, Reason::ChannelClosed));
        if self.shelf_due.is_some() {
            self.shelve(now);
        }
        self.persist(now);
        self.report(now);
    }

    /// The visitor wants nothing to be kept.
    fn forget(&mut self, now: Timestamp) {
        let hashes = self.store.hashes().to_vec();
        hashes.into_iter().for_each(|hash| self.evict(now, hash, Reason::Purged));
    }

    fn manifest_changed(&mut self, now: Timestamp, delta: ManifestDelta) {
        let was_synced = std::mem::replace(&mut self.session.synced, true);
        let anew = delta.reset || !was_synced;
        if delta.reset {
            self.replication.forget();
        }
        let knew_nothing = self.catalogue.len() == 0;
        if anew || !delta.add.is_empty() {
            self.holdings.indices_changed(now);
        }
        self.manifest = Some(delta.version);
        let removes = !delta.remove.is_empty();
        let gone = Arc::make_mut(&mut self.catalogue).apply(self.clock.unix_ms(now), delta);
        // The worker must not answer with what has just been purged, and one that knows nothing learns it at once.
        let urgent = knew_nothing || !was_synced || removes || !gone.is_empty();
        for hash in gone {
            self.abandon(now, hash, Reason::Purged);
            self.evict(now, hash, Reason::Purged);
        }
        if anew {
            for hash in self.store.hashes().to_vec() {
                if self.catalogue.by_hash(hash).is_none() {
                    self.evict(now, hash, Reason::Purged);
                }
            }
        }
        self.store.set_sizes(&self.catalogue);
        self.stats_due.get_or_insert(now);
        if !was_synced {
            // Purges have arrived: what is kept may be used from now on.
            self.stats_told = None;
        }
        if urgent {
            self.shelve(now);
        } else {
            self.shelf_due.get_or_insert(now + shelf::SHELVE_AFTER);
        }
        self.begin_waiting(now);
        self.adopt_loaded(now);
        self.replication.look_again();
        self.seek_likely(now);
        self.look_ahead(now);
    }

    /// Looks for neighbours before they are needed, while there are few, and nobody can say what will be needed.
    fn look_ahead(&mut self, now: Timestamp) {
        if self.circumstances.alone.is_some()
            || self.session.crowd >= CROWD && self.may_replicate()
            || self.neighbours.all.len() >= NEIGHBOURS_AHEAD
        {
            return;
        }
        let lacking =
            self.catalogue.entries().filter(|entry| self.store.segments(entry.asset.hash).is_none());
        let assets: Vec<AssetId> = lacking.map(|entry| entry.asset.id).take(LOOK_AHEAD).collect();
        assets.into_iter().for_each(|asset| self.session.find(now, asset));
    }

    fn cache_served(&mut self, now: Timestamp, url: &str, bytes: u64) {
        self.traffic.requests.cache += 1;
        self.traffic.bytes.cache += bytes;
        self.stats_due.get_or_insert(now);
        self.out.note(now, Event::Cached, None, url, bytes);
        if let Some(hash) = self.catalogue.by_url(url).map(|entry| entry.asset.hash) {
            self.store.touch(hash, self.clock.unix_ms(now));
            self.page_used(now, hash, bytes);
        }
    }

    fn tell_stats(&mut self, now: Timestamp) {
        self.stats_due = None;
        self.stats_told = Some(now);
        let off = self.off_reason();
        let may_prefetch = self.session.synced && off.or(self.circumstances.selfish).is_none();
        let stats = Stats {
            requests: self.traffic.requests,
            bytes: self.traffic.bytes,
            uploaded: self.traffic.uploaded,
            replicated: self.traffic.replicated,
            replicated_used: self.traffic.replicated_used,
            neighbours: self.neighbours.open_count(),
            crowd: self.session.crowd,
            connected: self.session.synced,
            admitted: self.catalogue.len() as u32,
            held: self.store.whole,
            stored: self.store.bytes(),
            uploaded_this_month: self.memory.uploaded,
            prefetch: if may_prefetch { self.policy.prefetch } else { Prefetch::Off },
            off,
        };
        self.out.push(Output::Stats(stats));
    }

    fn report(&mut self, now: Timestamp) {
        let notes = self.out.recorder.take_unreported(now);
        let traffic = self.traffic.since(&self.reported);
        self.reported = self.traffic;
        self.out.push(Output::Report(Report {
            site: self.site.clone(),
            release: self.release.clone(),
            notes,
            traffic,
        }));
    }
}
