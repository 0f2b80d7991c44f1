//! The brain of a node: who is in a site's swarm, who holds what, who meets whom, and what is admitted to the site's
//! manifest.
//!
//! **Invariant:** it is pure. It opens no socket, reads no clock and rolls no dice of its own: time comes with every
//! input, and randomness from the seed in [`Setup`]. It never sees content, only digests, and never reads what peers
//! signal to each other. No order of inputs makes it panic or grow without bound.
//!
//! The loop that drives it:
//!
//! 1. make a [`Coordinator`] for each site;
//! 2. tell it what happens ([`Coordinator::handle_input`]): connections, messages, the origin's answers;
//! 3. do what it says until it says nothing more ([`Coordinator::poll_output`]);
//! 4. wait for the next event, or until [`Coordinator::poll_timeout`];
//! 5. go on with 2, with [`Input::Tick`] if it was the time that came.
//!
//! Each concern has its file: `session` and `peers` who is connected and what they say, `limits` how much they may
//! say, `directory` who holds what, `introduce` and `standing` who meets whom, `sightings`, `fetches`, `admission` and
//! `admit` what becomes an asset, `warm` what becomes one because the operator says so, `revalidate` how it stays one,
//! `manifest` what peers are told of it, `transitions` what their next pages will need, `governor` for whom the mesh is
//! off.

mod admission;
mod admit;
mod directory;
mod fetches;
mod governor;
mod introduce;
pub mod io;
mod limits;
mod manifest;
mod out;
mod peers;
mod revalidate;
mod session;
mod sightings;
mod standing;
mod transitions;
mod warm;

use edgeweave_protocol::manifest::Asset;
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::{AssetId, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::directory::Directory;
use self::fetches::Fetches;
pub use self::governor::Scope;
use self::introduce::Wants;
pub use self::io::{
    Activity, AdmissionRules, BrowserKind, Counts, Input, Introductions, Output, SessionId, Setup,
};
use self::manifest::Manifest;
use self::out::Out;
use self::session::Sessions;
use self::sightings::NotAdmitted;
use self::standing::Standing;
use self::transitions::Transitions;
use self::warm::Warming;

/// One swarm's coordinator.
#[derive(Debug)]
pub struct Coordinator {
    setup: Setup,
    /// Good enough that nobody can guess another peer's identity from its own: whoever knows one was introduced.
    rng: StdRng,
    out: Out,
    sessions: Sessions,
    /// Who shares what.
    directory: Directory,
    /// Who holds what for itself alone.
    keepers: Directory,
    wants: Wants,
    standing: Standing,
    /// What visitors have seen, and is not admitted.
    seen: NotAdmitted,
    /// What visitors have missed, and is not admitted as missing.
    missed: NotAdmitted,
    fetches: Fetches,
    warming: Warming,
    manifest: Manifest,
    transitions: Transitions,
    governor: governor::Governor,
    counts: Counts,
    activity: Activity,
    /// The latest time that was told.
    latest: Timestamp,
}

impl Coordinator {
    /// A coordinator without sessions and assets.
    pub fn new(now: Timestamp, setup: Setup) -> Self {
        let mut rng = StdRng::seed_from_u64(setup.seed);
        let manifest = Manifest::new(rng.random());
        Self {
            setup,
            rng,
            out: Out::default(),
            sessions: Sessions::default(),
            directory: Directory::default(),
            keepers: Directory::default(),
            wants: Wants::default(),
            standing: Standing::default(),
            seen: NotAdmitted::default(),
            missed: NotAdmitted::default(),
            fetches: Fetches::default(),
            warming: Warming::default(),
            manifest,
            transitions: Transitions::default(),
            governor: governor::Governor::default(),
            counts: Counts::default(),
            activity: Activity::default(),
            latest: now,
        }
    }

    /// Takes in what happened. When time runs backwards between calls, it is taken to stand still.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        let now = now.max(self.latest);
        self.latest = now;
        match input {
            Input::Tick => {}
            Input::Opened { session, place, stun } => self.opened(now, session, place, stun),
            Input::Message { session, message } => self.hear(now, session, message),
            Input::Unreadable { session, reason, about } => self.unreadable(now, session, reason, about),
            Input::Closed { session } => self.closed(session),
            Input::Fetched { url, outcome } => self.fetched(now, &url, outcome),
            Input::Purge { url: Some(url) } => self.purge(now, &url),
            Input::Purge { url: None } => self.purge_all(now),
            Input::Warm { url } => self.warm(url),
            Input::SetPolicy(policy) => self.set_policy(now, policy),
        }
        self.settle_governor(now);
        self.check_due(now);
        self.begin_fetches();
        self.tell_changes(now);
    }

    /// The next thing to do; to be asked for until there is none after each input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When [`Input::Tick`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        // Checks wait while nobody is there whom they would serve.
        let check = self.manifest.next_check().filter(|_| self.sessions.crowd() > 0);
        [self.manifest.tell_at(), check, self.governor.due()].into_iter().flatten().min()
    }

    /// What is admitted, by index and without the digests of pieces; the node's API shows it.
    pub fn assets(&self, now: Timestamp) -> Vec<Asset> {
        self.manifest.assets(now)
    }

    /// What has been counted; the node's API and metrics show it.
    pub fn counts(&self) -> Counts {
        Counts { crowd: self.sessions.crowd(), assets: self.manifest.len() as u32, ..self.counts.clone() }
    }

    /// What has passed between peers.
    pub fn activity(&self) -> Activity {
        Activity { holders: self.sessions.holders(), ..self.activity.clone() }
    }

    /// How many peers hold something of an asset and share it.
    pub fn holders(&self, asset: AssetId) -> u32 {
        self.directory.holders(asset).len() as u32
    }

    fn set_policy(&mut self, now: Timestamp, policy: Policy) {
        self.setup.policy = policy;
        self.remove_too_large(now);
        self.tell_policies(now);
    }

    fn tell_changes(&mut self, now: Timestamp) {
        for delta in self.manifest.take_untold(now) {
            self.out.broadcast(self.sessions.joined(), ToPeer::Manifest(delta));
        }
    }
}
