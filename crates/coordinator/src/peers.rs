//! What peers say, and what they are answered.

use edgeweave_protocol::limits::{MAX_SEEN_URLS, MESSAGE_BURST};
use edgeweave_protocol::manifest::ManifestVersion;
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::{AssetId, AssetSet, PROTOCOL_VERSION, PeerId, Reason, SiteId, Timestamp};
use rand::Rng;

use crate::Coordinator;
use crate::admission::Presence;
use crate::introduce::Delivered;
use crate::io::{Output, Place, SessionId};
use crate::limits::{CHANGES_A_MESSAGE, MESSAGES, SIGHTINGS, SIGNALS, UNREADABLE_COST, signal_cost};
use crate::session::{MAX_SESSIONS, Member, Session, Stage};
use crate::sightings::Witness;

/// What a peer says of itself.
struct Hello {
    protocol: u32,
    site: SiteId,
    visitor: u32,
    manifest: Option<ManifestVersion>,
    connects: bool,
    shares: bool,
}

impl Coordinator {
    pub(crate) fn opened(&mut self, now: Timestamp, id: SessionId, place: Place, stun: Vec<Box<str>>) {
        // A number that is used again without a word belongs to a new connection.
        self.closed(id);
        if id >= MAX_SESSIONS {
            return self.out.push(Output::Close { session: id, reason: Reason::Full });
        }
        self.sessions.insert(id, Session::new(now, place, stun));
    }

    pub(crate) fn closed(&mut self, id: SessionId) {
        self.out.forget(id);
        self.leave(id);
    }

    fn leave(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(id) else { return };
        if let Some(member) = session.member() {
            let directory = if member.shares { &mut self.directory } else { &mut self.keepers };
            member.holdings.iter().for_each(|asset| directory.remove(asset, id));
        }
        self.say_gone(&session);
    }

    /// Says why, and ends the session.
    fn dismiss(&mut self, id: SessionId, reason: Reason, about: &str) {
        self.leave(id);
        self.out.send(id, ToPeer::Error { reason, about: about.into() });
        self.out.push(Output::Close { session: id, reason });
    }

    pub(crate) fn unreadable(&mut self, now: Timestamp, id: SessionId, reason: Reason, about: Box<str>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if reason == Reason::TooLarge {
            return self.dismiss(id, reason, &about);
        }
        if !session.messages.take(now, MESSAGES, UNREADABLE_COST) {
            return self.dismiss(id, Reason::Flooding, "too many messages that cannot be read");
        }
        self.out.send(id, ToPeer::Error { reason, about });
    }

    pub(crate) fn hear(&mut self, now: Timestamp, id: SessionId, message: ToNode) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let allowed = match &message {
            ToNode::Signal { signal, .. } => session.signals.take(now, SIGNALS, signal_cost(signal)),
            _ => session.messages.take(now, MESSAGES, 1),
        };
        if !allowed {
            let about =
                format!("more than {MESSAGE_BURST} messages at once, or {} a second", MESSAGES.per_second);
            return self.dismiss(id, Reason::Flooding, &about);
        }
        match (&session.stage, message) {
            (
                Stage::Opened { .. },
                ToNode::Hello { protocol, site, visitor, manifest, connects, shares, .. },
            ) => {
                self.greet(now, id, &Hello { protocol, site, visitor, manifest, connects, shares });
            }
            (Stage::Opened { .. }, _) => {
                self.dismiss(id, Reason::OutOfOrder, "the first message must be hello");
            }
            (Stage::Joined(_), ToNode::Hello { .. }) => {
                self.dismiss(id, Reason::OutOfOrder, "hello was said before");
            }
            (Stage::Joined(member), ToNode::Signal { to, signal }) => {
                let from = member.peer;
                match self.sessions.by_peer(to) {
                    Some(other) => {
                        self.activity.signals += 1;
                        self.out.send(other, ToPeer::Signal { from, signal });
                    }
                    None => self.out.send(id, ToPeer::Gone { peer: to }),
                }
            }
            (Stage::Joined(_), ToNode::Holdings { add, remove }) => self.holdings(now, id, &add, &remove),
            (Stage::Joined(_), ToNode::Find { assets }) => self.find(now, id, assets),
            (Stage::Joined(_), ToNode::Met { peer, outcome }) => self.met(now, id, peer, outcome),
            (Stage::Joined(_), ToNode::Parted { peer, bytes, busy_ms, fault }) => {
                self.parted(now, id, peer, Delivered { bytes, busy_ms }, fault);
            }
            (Stage::Joined(_), ToNode::Seen { urls, missing }) => {
                let presence = if missing { Presence::Missing } else { Presence::Here };
                self.saw(now, id, presence, urls);
            }
            (Stage::Joined(member), ToNode::Differs { assets }) => {
                let visitor = member.visitor;
                self.doubt(now, visitor, &assets);
            }
            (Stage::Joined(_), ToNode::Pieces { asset }) => self.tell_pieces(id, asset),
            (Stage::Joined(_), ToNode::Viewed { page, from, assets, loaded_ms }) => {
                if self.may_tell_a_view(now, id) {
                    if let Some(ms) = loaded_ms {
                        self.page_loaded(now, id, ms);
                    }
                    self.viewed(now, id, &page, from.as_deref(), &assets);
                }
            }
        }
    }

    fn greet(&mut self, now: Timestamp, id: SessionId, hello: &Hello) {
        if hello.protocol != PROTOCOL_VERSION {
            let about = format!("this node speaks version {PROTOCOL_VERSION}");
            return self.dismiss(id, Reason::ProtocolVersion, &about);
        }
        if hello.site != self.setup.site {
            return self.dismiss(id, Reason::UnknownSite, hello.site.as_str());
        }
        let Some(Session { stage: Stage::Opened { stun }, .. }) = self.sessions.get_mut(id) else { return };
        let stun = std::mem::take(stun);
        let peer = self.new_peer();
        let member = Member {
            peer,
            visitor: hello.visitor,
            connects: hello.connects,
            shares: hello.shares,
            holdings: AssetSet::new(),
            acquaintances: Vec::new(),
            rate: 0,
        };
        self.sessions.join(id, member);
        let place = self.sessions.get(id).map_or_else(Default::default, |session| session.place);
        let (policy, crowd) = (self.policy_for(now, &place), self.sessions.crowd());
        self.out.send(id, ToPeer::Welcome { protocol: PROTOCOL_VERSION, peer, stun, policy, crowd });
        for delta in self.manifest.since(now, hello.manifest) {
            self.out.send(id, ToPeer::Manifest(delta));
        }
    }

    fn new_peer(&mut self) -> PeerId {
        loop {
            let peer = PeerId(self.rng.random());
            if self.sessions.by_peer(peer).is_none() {
                return peer;
            }
        }
    }

    fn holdings(&mut self, now: Timestamp, id: SessionId, add: &AssetSet, remove: &AssetSet) {
        let mut came = self.admitted_of(add);
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Stage::Joined(member) = &session.stage else { return };
        let left = |asset: &AssetId| remove.contains(*asset);
        let gone: Vec<AssetId> =
            if remove.is_empty() { Vec::new() } else { member.holdings.iter().filter(left).collect() };
        came.retain(|asset| !member.holdings.contains(*asset) || remove.contains(*asset));
        let changes = u32::try_from(gone.len() + came.len()).unwrap_or(u32::MAX);
        if !session.messages.take(now, MESSAGES, changes / CHANGES_A_MESSAGE) {
            return self.dismiss(id, Reason::Flooding, "holdings change too often");
        }
        let Some(member) = self.sessions.member_mut(id) else { return };
        let shares = member.shares;
        let directory = if shares { &mut self.directory } else { &mut self.keepers };
        for asset in gone {
            member.holdings.remove(asset);
            directory.remove(asset, id);
        }
        for asset in &came {
            member.holdings.insert(*asset);
            directory.insert(*asset, id);
        }
        came.iter().for_each(|asset| self.used(now, *asset));
        if shares {
            self.serve_wants(now, &came);
        }
    }

    /// The members of a set that are admitted. Runs are short to say and can be a million long: what is not admitted is
    /// not even looked at.
    pub(crate) fn admitted_of(&self, assets: &AssetSet) -> Vec<AssetId> {
        if assets.len() <= self.manifest.len() {
            assets.iter().filter(|asset| self.manifest.get(*asset).is_some()).collect()
        } else {
            self.manifest.ids().filter(|asset| assets.contains(*asset)).collect()
        }
    }

    fn saw(&mut self, now: Timestamp, id: SessionId, presence: Presence, urls: Vec<Box<str>>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let visitor = session.member().map_or(0, |member| member.visitor);
        let by = Witness { visitor, address: session.place.address };
        let mut urls: Vec<Box<str>> = urls.into_iter().take(MAX_SEEN_URLS).collect();
        urls.retain(|_| session.sightings.take(now, SIGHTINGS, 1));
        for url in urls {
            self.sighted(now, by, presence, &url);
        }
    }

    fn tell_pieces(&mut self, id: SessionId, asset: AssetId) {
        // An asset that is no longer admitted was, or will be, removed by a change of the manifest.
        if let Some(entry) = self.manifest.get(asset) {
            let pieces = entry.pieces.clone();
            self.out.send(id, ToPeer::Pieces { asset, pieces });
        }
    }
}
