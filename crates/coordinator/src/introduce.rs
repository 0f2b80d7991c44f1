//! Who meets whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edgeweave_protocol::limits::MAX_FIND_ASSETS;
use edgeweave_protocol::message::{Meeting, ToPeer};
use edgeweave_protocol::{AssetId, AssetSet, PeerId, Reason, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;

use crate::Coordinator;
use crate::io::{Introductions, SessionId, Whose};
use crate::session::{Bond, Session};
use crate::standing::{CERTAIN, HasOpened};

/// Holders of one asset that a peer is introduced to, where there are as many: it can ask several for pieces.
const HOLDERS_AN_ASSET: usize = 2;

/// Holders of one asset that are compared, and as many again of the peer's own network.
const COMPARED: usize = 8;

/// Candidates that are compared for one `find`, so that none takes long.
const COMPARED_A_FIND: usize = 1024;

/// What a peer could not find is remembered for so long, in case somebody comes to hold it.
const WANTED_FOR: Duration = Duration::from_secs(10);

/// Peers that are remembered as wanting one asset, and assets that are remembered as wanted.
const MAX_WANTING: usize = 64;
const MAX_WANTED: usize = 4096;

/// Peers that did not meet for want of room may meet again after this time.
const ROOM_AGAIN: Duration = Duration::from_secs(10);

/// Peers are not introduced again sooner, because their channel may still be opening.
const INTRODUCE_AGAIN: Duration = Duration::from_secs(10);

/// The size in bytes for which holders are compared.
const TYPICAL_BYTES: u64 = 1 << 20;

/// How far apart two peers are, as far as their places tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distance {
    Network,
    Country,
    World,
}

impl Distance {
    fn between(a: &Session, b: &Session) -> Self {
        if a.place.network.is_some() && a.place.network == b.place.network {
            Self::Network
        } else if a.place.country.is_some() && a.place.country == b.place.country {
            Self::Country
        } else {
            Self::World
        }
    }

    /// Milliseconds until a channel is open, and bytes a second over it, until something is measured: rough figures
    /// for home connections, of which only the order matters.
    fn guess(self) -> (u64, u64) {
        match self {
            Self::Network => (150, 4 << 20),
            Self::Country => (250, 2 << 20),
            Self::World => (500, 1 << 20),
        }
    }
}

/// What peers looked for in vain a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    by_asset: BTreeMap<AssetId, Vec<Want>>,
}

#[derive(Clone, Copy, Debug)]
struct Want {
    session: SessionId,
    peer: PeerId,
    until: Timestamp,
}

impl Wants {
    fn insert(&mut self, now: Timestamp, asset: AssetId, session: SessionId, peer: PeerId) {
        if self.by_asset.len() >= MAX_WANTED && !self.by_asset.contains_key(&asset) {
            self.by_asset.retain(|_, wants| wants.iter().any(|want| want.until > now));
            if self.by_asset.len() >= MAX_WANTED {
                return;
            }
        }
        let wants = self.by_asset.entry(asset).or_default();
        wants.retain(|want| want.until > now && want.peer != peer);
        if wants.len() < MAX_WANTING {
            wants.push(Want { session, peer, until: now + WANTED_FOR });
        }
    }

    fn take(&mut self, now: Timestamp, asset: AssetId) -> impl Iterator<Item = Want> + use<> {
        self.by_asset.remove(&asset).unwrap_or_default().into_iter().filter(move |want| want.until > now)
    }

    /// Nobody will come to hold an asset.
    pub(crate) fn drop_asset(&mut self, asset: AssetId) {
        self.by_asset.remove(&asset);
    }
}

impl Coordinator {
    /// A peer looks for holders.
    pub(crate) fn find(&mut self, now: Timestamp, id: SessionId, mut assets: Vec<AssetId>) {
        assets.truncate(MAX_FIND_ASSETS);
        let mut known = BTreeSet::new();
        assets.retain(|asset| known.insert(*asset));
        for asset in &assets {
            self.used(now, *asset);
        }
        let missing = self.introduce(now, id, &assets);
        if !missing.is_empty() {
            self.remember_wants(now, id, &missing);
            self.out.send(id, ToPeer::NoHolder { assets: missing });
        }
    }

    fn whose(&self, id: SessionId) -> Whose {
        self.sessions.get(id).map_or_else(Whose::default, |session| session.place.whose)
    }

    fn remember_wants(&mut self, now: Timestamp, id: SessionId, assets: &[AssetId]) {
        let Some(peer) = self.sessions.member(id).filter(|member| member.connects).map(|member| member.peer)
        else {
            return;
        };
        if self.whose(id) == Whose::Operator {
            return;
        }
        for asset in assets.iter().filter(|asset| self.manifest.get(**asset).is_some()) {
            self.wants.insert(now, *asset, id, peer);
        }
    }

    /// Assets have got a new holder: those who looked for them are introduced.
    pub(crate) fn serve_wants(&mut self, now: Timestamp, assets: &[AssetId]) {
        let mut wanted: BTreeMap<SessionId, Vec<AssetId>> = BTreeMap::new();
        for asset in assets {
            for want in self.wants.take(now, *asset) {
                if self.sessions.by_peer(want.peer) == Some(want.session) {
                    wanted.entry(want.session).or_default().push(*asset);
                }
            }
        }
        for (session, assets) in wanted {
            let missing = self.introduce(now, session, &assets);
            self.remember_wants(now, session, &missing);
        }
    }

    /// Introduces a peer to holders of these assets, the most wanted first; returns those for which there is nobody.
    fn introduce(&mut self, now: Timestamp, id: SessionId, assets: &[AssetId]) -> Vec<AssetId> {
        let Some(asker) = self.sessions.member(id) else { return Vec::new() };
        let policy = &self.setup.policy;
        let is_visitor = self.whose(id) == Whose::Visitor;
        let is_crowd = self.sessions.crowd() >= policy.min_crowd.max(2);
        if !policy.enabled || !is_crowd || !asker.connects || !is_visitor {
            return assets.to_vec();
        }
        let neighbours = policy.neighbours as usize;
        let cap = neighbours.min((2 * neighbours).saturating_sub(asker.company(now)));
        let mut cover = self.covered(now, id, assets);
        let mut chosen: Vec<SessionId> = Vec::new();
        let mut compared = 0;
        for copies in 1..=HOLDERS_AN_ASSET {
            for (at, asset) in assets.iter().enumerate() {
                if chosen.len() >= cap || compared >= COMPARED_A_FIND {
                    break;
                }
                if cover[at] >= copies {
                    continue;
                }
                let candidates = self.candidates(id, *asset);
                compared += candidates.len();
                if let Some(holder) = self.best_holder(now, id, *asset, &candidates, &chosen) {
                    self.count_cover(holder, assets, &mut cover);
                    chosen.push(holder);
                }
            }
        }
        for holder in chosen {
            self.bring_together(now, id, holder, assets);
        }
        let missing = assets.iter().zip(cover).filter(|(_, copies)| *copies == 0);
        missing.map(|(asset, _)| *asset).collect()
    }

    /// For each asset the holders that the peer has just been introduced to.
    fn covered(&self, now: Timestamp, id: SessionId, assets: &[AssetId]) -> Vec<usize> {
        let mut cover = vec![0; assets.len()];
        for known in self.sessions.member(id).iter().flat_map(|member| &member.acquaintances) {
            let is_recent = matches!(known.bond, Bond::Together(at) if now.since(at) < INTRODUCE_AGAIN);
            if is_recent && self.sessions.by_peer(known.peer) == Some(known.session) {
                self.count_cover(known.session, assets, &mut cover);
            }
        }
        cover
    }

    fn count_cover(&self, holder: SessionId, assets: &[AssetId], cover: &mut [usize]) {
        let Some(holder) = self.sessions.member(holder) else { return };
        for (asset, copies) in assets.iter().zip(cover) {
            *copies += usize::from(holder.holdings.contains(*asset));
        }
    }

    /// Some peers that hold the asset, and some of the peer's own network that may.
    fn candidates(&mut self, id: SessionId, asset: AssetId) -> Vec<SessionId> {
        let network = self.sessions.get(id).and_then(|asker| asker.place.network);
        let network = network.filter(|_| self.setup.introductions == Introductions::Ranked);
        let mut candidates = some_of(&mut self.rng, self.sessions.in_network(network));
        candidates.extend(some_of(&mut self.rng, self.directory.holders(asset)));
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The holder from which the asset is predicted to come soonest, or any that can be introduced.
    fn best_holder(
        &mut self,
        now: Timestamp,
        id: SessionId,
        asset: AssetId,
        candidates: &[SessionId],
        chosen: &[SessionId],
    ) -> Option<SessionId> {
        let mut best: Option<(u64, SessionId)> = None;
        for candidate in candidates.iter().copied().filter(|candidate| !chosen.contains(candidate)) {
            if let Some(cost) = self.cost(now, id, candidate, asset) {
                let cost = match self.setup.introductions {
                    // Up to an eighth more or less: equals take turns.
                    Introductions::Ranked => cost + self.rng.random_range(0..=cost / 8),
                    Introductions::Random => self.rng.random(),
                };
                if best.is_none_or(|(lowest, _)| cost < lowest) && self.may_meet(now, id, candidate) {
                    best = Some((cost, candidate));
                }
            }
        }
        best.map(|(_, holder)| holder)
    }

    /// The predicted time in milliseconds for a holder to deliver, longer where it is uncertain or the holder busy;
    /// `None` when the two cannot be introduced now.
    fn cost(&self, now: Timestamp, asker_id: SessionId, holder_id: SessionId, asset: AssetId) -> Option<u64> {
        let (asker, holder) = (self.sessions.get(asker_id)?, self.sessions.get(holder_id)?);
        let (asking, holding) = (asker.member()?, holder.member()?);
        if asker_id == holder_id || !holding.connects || !holding.shares || !holding.holdings.contains(asset)
        {
            return None;
        }
        let has_met = match asking.bond_with(holding.peer) {
            None => false,
            Some(Bond::Together(at)) if now.since(at) >= INTRODUCE_AGAIN => true,
            Some(Bond::Apart(until)) if now >= until => false,
            Some(_) => return None,
        };
        let company = holding.company(now);
        let is_visitor = holder.place.whose == Whose::Visitor;
        let is_full = is_visitor && company >= 2 * self.setup.policy.neighbours as usize && !has_met;
        if is_full {
            return None;
        }
        let (setup_ms, guessed) = Distance::between(asker, holder).guess();
        let rate = if holding.rate == 0 { guessed } else { u64::from(holding.rate) };
        let time = setup_ms + TYPICAL_BYTES * 1000 / rate.max(1);
        let chance = self.standing.chance(asker.place.network, holder.place.network).max(1);
        // A holder with company shares its uplink; one that was met before may still be a neighbour: nothing is won.
        let burden = 4 + company as u64 + if has_met { 4 } else { 0 };
        Some((time * CERTAIN / chance).saturating_mul(burden) / 4)
    }

    /// Whether nothing that was said of two visitors speaks against it. It looks far back, so it is asked last.
    fn may_meet(&self, now: Timestamp, asker: SessionId, holder: SessionId) -> bool {
        self.identities(asker, holder).is_some_and(|(asker, holder)| {
            !self.standing.are_apart(asker, holder) && !self.standing.is_quarantined(now, holder)
        })
    }

    fn bring_together(&mut self, now: Timestamp, asker: SessionId, holder: SessionId, assets: &[AssetId]) {
        let Some((asking, holding)) = self.sessions.member(asker).zip(self.sessions.member(holder)) else {
            return;
        };
        let holds: AssetSet =
            assets.iter().copied().filter(|asset| holding.holdings.contains(*asset)).collect();
        let (asking, holding) = (asking.peer, holding.peer);
        self.activity.introductions += 1;
        self.bind(asker, holder, Bond::Together(now));
        self.out.send(holder, ToPeer::Introduce { peer: asking, offers: false, holds: AssetSet::new() });
        self.out.send(asker, ToPeer::Introduce { peer: holding, offers: true, holds });
    }

    /// Notes on both sides how it stands between two peers.
    fn bind(&mut self, a: SessionId, b: SessionId, bond: Bond) {
        for (one, other) in [(a, b), (b, a)] {
            let Some(peer) = self.sessions.member(other).map(|member| member.peer) else { return };
            if let Some(member) = self.sessions.member_mut(one) {
                member.bind(other, peer, bond);
            }
        }
    }

    /// The session of a peer that this one was introduced to.
    fn acquaintance(&self, id: SessionId, peer: PeerId) -> Option<SessionId> {
        let known = self.sessions.member(id)?.acquaintances.iter().find(|known| known.peer == peer)?;
        self.sessions.by_peer(peer).filter(|session| *session == known.session)
    }

    fn identities(&self, a: SessionId, b: SessionId) -> Option<(u64, u64)> {
        Some((self.sessions.get(a)?.identity(), self.sessions.get(b)?.identity()))
    }

    /// A peer says how an introduction went. What is said of strangers does not count.
    pub(crate) fn met(&mut self, now: Timestamp, id: SessionId, peer: PeerId, outcome: Meeting) {
        let Some(other) = self.acquaintance(id, peer) else { return };
        let network = |session| self.sessions.get(session).and_then(|session| session.place.network);
        let (here, there) = (network(id), network(other));
        match outcome {
            Meeting::Opened(_) => self.activity.met += 1,
            Meeting::Failed(reason) => *self.activity.failed.entry(reason).or_default() += 1,
        }
        match outcome {
            Meeting::Opened(_) => {
                self.standing.met(here, there, HasOpened::Yes);
                self.bind(id, other, Bond::Together(now));
            }
            Meeting::Failed(Reason::ConnectFailed | Reason::ConnectTimeout) => {
                self.standing.met(here, there, HasOpened::No);
                self.separate(id, other);
            }
            Meeting::Failed(Reason::BadFrame) => self.separate(id, other),
            Meeting::Failed(_) => self.bind(id, other, Bond::Apart(now + ROOM_AGAIN)),
        }
    }

    fn separate(&mut self, a: SessionId, b: SessionId) {
        if let Some((one, other)) = self.identities(a, b) {
            self.standing.keep_apart(one, other);
        }
        self.bind(a, b, Bond::Never);
    }

    /// A peer says what a neighbour was good for.
    pub(crate) fn parted(
        &mut self,
        now: Timestamp,
        id: SessionId,
        peer: PeerId,
        delivered: Delivered,
        fault: Option<Reason>,
    ) {
        let Some(other) = self.acquaintance(id, peer) else { return };
        if let (Some(rate), Some(member)) = (delivered.rate(), self.sessions.member_mut(other)) {
            // Half of what was known and half of what is new.
            member.rate = if member.rate == 0 { rate } else { member.rate / 2 + rate / 2 };
        }
        match fault {
            None => self.bind(id, other, Bond::Together(now)),
            Some(fault) => {
                *self.activity.faults.entry(fault).or_default() += 1;
                if let Some((accuser, accused)) = self.identities(id, other) {
                    self.standing.accuse(now, accuser, accused, fault);
                }
                self.separate(id, other);
            }
        }
    }

    /// A peer has left the swarm: those who may be about to meet it need not wait.
    pub(crate) fn say_gone(&mut self, session: &Session) {
        let Some(member) = session.member() else { return };
        for known in &member.acquaintances {
            let Some(other) =
                self.sessions.member_mut(known.session).filter(|other| other.peer == known.peer)
            else {
                continue;
            };
            other.acquaintances.retain(|known| known.peer != member.peer);
            if matches!(known.bond, Bond::Together(_)) {
                self.out.send(known.session, ToPeer::Gone { peer: member.peer });
            }
        }
    }
}

/// Bytes that a neighbour delivered, and the time in which they were awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) bytes: u64,
    pub(crate) busy_ms: u32,
}

impl Delivered {
    /// Bytes a second; `None` when too little was delivered to tell.
    fn rate(self) -> Option<u32> {
        const ENOUGH_BYTES: u64 = 64 * 1024;
        let rate = self.bytes.saturating_mul(1000) / u64::from(self.busy_ms.max(1));
        (self.bytes >= ENOUGH_BYTES).then(|| u32::try_from(rate).unwrap_or(u32::MAX).max(1))
    }
}

/// Up to [`COMPARED`] members of a list, from a random place on.
fn some_of(rng: &mut StdRng, all: &[SessionId]) -> Vec<SessionId> {
    let start = if all.len() <= COMPARED { 0 } else { rng.random_range(0..all.len()) };
    let (before, after) = all.split_at(start);
    after.iter().chain(before).copied().take(COMPARED).collect()
}
