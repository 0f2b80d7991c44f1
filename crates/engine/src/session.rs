//! The session with the node: when to connect, what was said, and what is to be said next.

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::limits::MAX_FIND_ASSETS;
use edgeweave_protocol::manifest::ManifestDelta;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, PROTOCOL_VERSION, PeerId, Reason, Timestamp};

use crate::Engine;
use crate::io::Output;
use crate::sorted::Map;

/// The wait before the first attempt to reconnect; it doubles with every failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// The longest wait between attempts.
const RETRY_MOST: Duration = Duration::from_secs(60);

/// How long the socket may take to open, and then the node to welcome us.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Assets looked for within so long of each other share a message.
const FIND_TOGETHER: Duration = Duration::from_millis(5);

/// An asset is not looked for again sooner.
const FIND_AGAIN: Duration = Duration::from_secs(3);

/// How long after a session the manifest is believed: a purge is missed by no more than this.
const BELIEVED: Duration = Duration::from_secs(5);

/// Where the session stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not wanted.
    #[default]
    Off,
    /// Wanted, and tried again at this time.
    Waiting(Timestamp),
    /// The socket is being opened, or `hello` was sent; given up at this time.
    Greeting(Timestamp),
    /// The node has welcomed us.
    Joined,
}

/// The session's state.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) stage: Stage,
    /// Whether a manifest has arrived in this session: only then is an unknown URL known not to be admitted.
    pub(crate) synced: bool,
    /// For a while after a session the manifest is believed without one.
    believed_until: Timestamp,
    /// What has arrived of a change that takes several messages.
    manifest: Option<ManifestDelta>,
    pub(crate) peer: Option<PeerId>,
    pub(crate) stun: Vec<Box<str>>,
    pub(crate) crowd: u32,
    failures: u32,
    /// The node refuses this client for good.
    refused: Option<Reason>,
    /// What `hello` said of connecting and sharing.
    said: Option<(bool, bool)>,
    /// Assets to look for, and when.
    wanted: Vec<AssetId>,
    find_at: Option<Timestamp>,
    /// When each asset was last looked for, and whether the node knew nobody.
    found: Map<AssetId, Found>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    asked: Timestamp,
    nobody: bool,
}

impl Session {
    /// Whether purges reach this peer, or did a moment ago: only then is the manifest acted on.
    pub(crate) fn confirms(&self, now: Timestamp) -> bool {
        self.synced || now < self.believed_until
    }

    pub(crate) fn joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// Looks for holders of an asset, unless that was done a moment ago.
    pub(crate) fn find(&mut self, now: Timestamp, asset: AssetId) {
        if self.found.get(&asset).is_some_and(|found| now < found.asked + FIND_AGAIN) || !self.joined() {
            return;
        }
        self.found.insert(asset, Found { asked: now, nobody: false });
        self.wanted.push(asset);
        self.find_at = self.find_at.or(Some(now + FIND_TOGETHER));
    }

    /// Whether the node has just said that nobody holds the asset.
    pub(crate) fn nobody_holds(&self, asset: AssetId) -> bool {
        self.found.get(&asset).is_some_and(|found| found.nobody)
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Waiting(at) | Stage::Greeting(at) => Some(at),
            Stage::Joined => self.find_at,
            Stage::Off => None,
        }
    }
}

impl Engine {
    /// Brings the session to where it should be, and says what is due.
    pub(crate) fn settle_session(&mut self, now: Timestamp) {
        let wanted = self.takes_part() && !self.suspended && self.session.refused.is_none();
        match self.session.stage {
            Stage::Off if wanted => self.connect(now),
            Stage::Waiting(at) if wanted && now >= at => self.connect(now),
            Stage::Off => {}
            _ if !wanted => {
                self.out.push(Output::Disconnect);
                self.leave(now, self.off_reason());
                self.session.stage = Stage::Off;
            }
            Stage::Greeting(at) if now >= at => {
                self.out.push(Output::Disconnect);
                self.socket_closed(now);
            }
            Stage::Joined if self.session.said != Some(self.allowed()) => {
                // The node hears of it in a new `hello`.
                self.out.push(Output::Disconnect);
                self.leave(now, None);
                self.connect(now);
            }
            Stage::Joined if self.session.find_at.is_some_and(|at| now >= at) => self.send_find(),
            _ => {}
        }
    }

    fn connect(&mut self, now: Timestamp) {
        self.session.stage = Stage::Greeting(now + GREETING_TIMEOUT);
        self.out.push(Output::Connect);
    }

    /// Whether this client connects to peers, and whether it serves them.
    fn allowed(&self) -> (bool, bool) {
        let connects = self.alone_reason().is_none();
        (connects, connects && self.sharing_reason().is_none())
    }

    pub(crate) fn socket_opened(&mut self) {
        let (connects, shares) = self.allowed();
        self.session.said = Some((connects, shares));
        self.out.say(ToNode::Hello {
            protocol: PROTOCOL_VERSION,
            site: self.site.clone(),
            release: self.release.clone(),
            visitor: self.memory.visitor,
            manifest: self.manifest,
            connects,
            shares,
        });
    }

    pub(crate) fn socket_closed(&mut self, now: Timestamp) {
        if matches!(self.session.stage, Stage::Off | Stage::Waiting(_)) {
            return;
        }
        self.leave(now, Some(Reason::NoSession));
        let wait = RETRY_FIRST.saturating_mul(1 << self.session.failures.min(16)).min(RETRY_MOST);
        self.session.failures += 1;
        // Half to all of the wait, so that the visitors of a node that restarts do not come back all at once.
        let half_us = wait.as_micros() as u64 / 2;
        self.session.stage = Stage::Waiting(now + Duration::from_micros(half_us + self.rng.u64(..=half_us)));
    }

    /// The session is over; channels to neighbours do not need it and stay.
    fn leave(&mut self, now: Timestamp, reason: Option<Reason>) {
        if self.session.joined() {
            self.out.note(now, Event::Left, reason, "", 0);
        }
        if std::mem::take(&mut self.session.synced) {
            self.session.believed_until = now + BELIEVED;
        }
        self.session.manifest = None;
        self.session.peer = None;
        self.session.wanted.clear();
        self.session.found.clear();
        self.session.find_at = None;
        self.holdings.unannounce();
        self.shelf_due.get_or_insert(now);
        // The worker answers from what it holds only while there is a session.
        self.stats_due.get_or_insert(now);
    }

    fn send_find(&mut self) {
        let count = self.session.wanted.len().min(MAX_FIND_ASSETS);
        let assets: Vec<AssetId> = self.session.wanted.drain(..count).collect();
        if self.session.wanted.is_empty() {
            self.session.find_at = None;
        }
        if !assets.is_empty() {
            self.out.say(ToNode::Find { assets });
        }
    }

    /// A message from the node.
    pub(crate) fn heard(&mut self, now: Timestamp, message: ToPeer) {
        match message {
            ToPeer::Welcome { peer, stun, policy, crowd, .. } => {
                self.session.stage = Stage::Joined;
                self.session.failures = 0;
                self.session.peer = Some(peer);
                self.session.stun = stun;
                self.session.crowd = crowd;
                self.out.note_peer(now, Event::Joined, None, peer, 0);
                self.set_policy(now, policy);
            }
            ToPeer::Policy { policy } => self.set_policy(now, policy),
            ToPeer::Manifest(delta) => {
                let part = self.session.manifest.take().unwrap_or_default();
                let whole = joined(part, delta);
                if whole.more {
                    self.session.manifest = Some(whole);
                } else {
                    self.manifest_changed(now, whole);
                }
            }
            ToPeer::Pieces { asset, pieces } => {
                if let Some(hash) = Arc::make_mut(&mut self.catalogue).set_pieces(asset, pieces) {
                    self.digests_known(now, hash);
                }
            }
            ToPeer::Introduce { peer, offers, holds } => self.introduced(now, peer, offers, holds),
            ToPeer::Likely { assets } => self.likely(now, assets),
            ToPeer::NoHolder { assets } => self.nobody_holds(now, &assets),
            ToPeer::Signal { from, signal } => self.signalled(from, signal),
            ToPeer::Gone { peer } => self.peer_gone(now, peer),
            ToPeer::Error { reason, about } => {
                self.out.note(now, Event::Error, Some(reason), &about, 0);
                if matches!(reason, Reason::ProtocolVersion | Reason::UnknownSite) {
                    self.session.refused = Some(reason);
                }
            }
        }
    }

    fn nobody_holds(&mut self, now: Timestamp, assets: &[AssetId]) {
        for asset in assets {
            if let Some(found) = self.session.found.get_mut(asset) {
                found.nobody = true;
            }
            if let Some(hash) = self.catalogue.get(*asset).map(|entry| entry.asset.hash) {
                self.drive(now, hash);
            }
        }
    }
}

/// One change out of two parts of it, the earlier first.
fn joined(mut part: ManifestDelta, next: ManifestDelta) -> ManifestDelta {
    part.reset |= next.reset;
    part.add.extend(next.add);
    part.renew.extend(next.renew);
    part.remove.extend(next.remove);
    ManifestDelta { version: next.version, more: next.more, ..part }
}
