//! The sessions of a swarm: who is connected, and what each has said of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweave_protocol::{AssetSet, PeerId, Timestamp};

use crate::io::{Place, SessionId};
use crate::limits::Bucket;

/// Session numbers end here: the body chooses them, and a table is kept by number.
pub(crate) const MAX_SESSIONS: u32 = 1 << 20;

/// Peers that a session remembers having been introduced to; the oldest is forgotten first.
pub(crate) const MAX_ACQUAINTANCES: usize = 64;

/// Two peers count as each other's company for so long after the last word of it: peers speak of what their
/// neighbours are good for from time to time, and need not say that they parted.
const COMPANY: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) messages: Bucket,
    pub(crate) signals: Bucket,
    pub(crate) sightings: Bucket,
    pub(crate) views: Bucket,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing has been said; the STUN servers are for the welcome.
    Opened { stun: Vec<Box<str>> },
    /// A peer of the swarm.
    Joined(Member),
}

/// A peer of the swarm.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    pub(crate) visitor: u32,
    pub(crate) connects: bool,
    pub(crate) shares: bool,
    pub(crate) holdings: AssetSet,
    pub(crate) acquaintances: Vec<Acquaintance>,
    /// What it delivered to others, in bytes a second; zero when nobody has said.
    pub(crate) rate: u32,
}

/// Another peer that this one was introduced to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acquaintance {
    pub(crate) session: SessionId,
    pub(crate) peer: PeerId,
    pub(crate) bond: Bond,
}

/// How it stands between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// They were introduced, or one last spoke of the other, at this time; they may have a channel.
    Together(Timestamp),
    /// The channel is closed, or one of them had no room: they may meet again from this time on.
    Apart(Timestamp),
    /// They are not introduced again.
    Never,
}

impl Member {
    /// Peers that it was introduced to, or heard from, a short while ago: about as many as it has channels.
    pub(crate) fn company(&self, now: Timestamp) -> usize {
        let recent =
            |known: &&Acquaintance| matches!(known.bond, Bond::Together(at) if now.since(at) < COMPANY);
        self.acquaintances.iter().filter(recent).count()
    }

    pub(crate) fn bond_with(&self, peer: PeerId) -> Option<Bond> {
        self.acquaintances.iter().find(|known| known.peer == peer).map(|known| known.bond)
    }

    pub(crate) fn bind(&mut self, session: SessionId, peer: PeerId, bond: Bond) {
        if let Some(known) = self.acquaintances.iter_mut().find(|known| known.peer == peer) {
            known.bond = bond;
            return;
        }
        if self.acquaintances.len() >= MAX_ACQUAINTANCES {
            self.acquaintances.remove(0);
        }
        self.acquaintances.reserve_exact(1);
        self.acquaintances.push(Acquaintance { session, peer, bond });
    }
}

impl Session {
    pub(crate) fn new(now: Timestamp, place: Place, stun: Vec<Box<str>>) -> Self {
        let full = Bucket::new(now);
        let stage = Stage::Opened { stun };
        Self { place, messages: full, signals: full, sightings: full, views: full, stage }
    }

    pub(crate) fn member(&self) -> Option<&Member> {
        match &self.stage {
            Stage::Joined(member) => Some(member),
            Stage::Opened { .. } => None,
        }
    }

    /// A number for the visitor where it is now: on another network it is another one, because what failed there
    /// may work here.
    pub(crate) fn identity(&self) -> u64 {
        let visitor = self.member().map_or(0, |member| member.visitor);
        // The multiplier is the golden ratio's: it spreads neighbouring addresses.
        self.place.address.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32) ^ u64::from(visitor)
    }
}

/// All sessions, by number and by identity.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    peers: BTreeMap<PeerId, SessionId>,
    /// The peers of each network, in the order of their numbers.
    networks: BTreeMap<u32, Vec<SessionId>>,
}

impl Sessions {
    /// Adds a session under a free number below [`MAX_SESSIONS`].
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        let place = id as usize;
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, || None);
        }
        self.slots[place] = Some(Box::new(session));
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = *self.slots.get_mut(id as usize)?.take()?;
        if let Some(member) = session.member() {
            self.peers.remove(&member.peer);
            if let Some(network) = session.place.network {
                self.leave_network(network, id);
            }
        }
        Some(session)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.slots.get(id as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id as usize)?.as_deref_mut()
    }

    pub(crate) fn member(&self, id: SessionId) -> Option<&Member> {
        self.get(id)?.member()
    }

    pub(crate) fn member_mut(&mut self, id: SessionId) -> Option<&mut Member> {
        match &mut self.get_mut(id)?.stage {
            Stage::Joined(member) => Some(member),
            Stage::Opened { .. } => None,
        }
    }

    /// Makes a session a peer; its identity must be new.
    pub(crate) fn join(&mut self, id: SessionId, member: Member) {
        if let Some(session) = self.slots.get_mut(id as usize).and_then(Option::as_mut) {
            self.peers.insert(member.peer, id);
            session.stage = Stage::Joined(member);
            if let Some(network) = session.place.network {
                let peers = self.networks.entry(network).or_default();
                if let Err(place) = peers.binary_search(&id) {
                    peers.insert(place, id);
                }
            }
        }
    }

    fn leave_network(&mut self, network: u32, id: SessionId) {
        let Some(peers) = self.networks.get_mut(&network) else { return };
        if let Ok(place) = peers.binary_search(&id) {
            peers.remove(place);
        }
        if peers.is_empty() {
            self.networks.remove(&network);
        }
    }

    /// The peers of a network, in the order of their numbers.
    pub(crate) fn in_network(&self, network: Option<u32>) -> &[SessionId] {
        network.and_then(|network| self.networks.get(&network)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn by_peer(&self, peer: PeerId) -> Option<SessionId> {
        self.peers.get(&peer).copied()
    }

    /// Peers in the swarm.
    pub(crate) fn crowd(&self) -> u32 {
        self.peers.len() as u32
    }

    /// Peers that hold something and share it.
    pub(crate) fn holders(&self) -> u32 {
        let members = self.slots.iter().flatten().filter_map(|session| session.member());
        members.filter(|member| member.shares && !member.holdings.is_empty()).count() as u32
    }

    /// The sessions of all peers, in the order of their numbers.
    pub(crate) fn joined(&self) -> impl Iterator<Item = SessionId> + '_ {
        let joined = |(id, slot): (usize, &Option<Box<Session>>)| {
            slot.as_ref().and_then(|session| session.member()).map(|_| id as SessionId)
        };
        self.slots.iter().enumerate().filter_map(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 256, "{}", size_of::<Session>());
    }
}
