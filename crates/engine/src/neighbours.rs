//! Neighbours: introductions, channels, what each holds, how good it is, and when it is let go.

use std::time::Duration;

use edgeweave_protocol::frame::Frame;
use edgeweave_protocol::limits::PIECE_BYTES;
use edgeweave_protocol::message::{Meeting, ToNode};
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, AssetSet, Digest, PeerId, Reason, Signal, Timestamp};

use crate::Engine;
use crate::bits::Bits;
use crate::io::{Output, Payload};
use crate::origin::smooth;
use crate::sorted::{Map, Set};
use crate::upload::Uploading;

/// A channel that has not opened after this long will not. ICE gives a pair of candidates up within about as long
/// (RFC 8445, section 14.3).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A neighbour that owes pieces and sends nothing for this long is let go.
const SILENCE: Duration = Duration::from_secs(4);

/// One that has left the swarm is let go when nothing has passed for this long: its channel may end without a word, as
/// browsers do not wait for that when they leave a page. What it had sent is here within a round trip, and what stood in
/// queues within a little more.
const SILENCE_WHEN_GONE: Duration = Duration::from_millis(250);

/// A channel over which nothing has passed for this long is closed.
const IDLE: Duration = Duration::from_secs(120);

/// Pieces asked of a neighbour ahead of what has arrived, at the least and at the most. The most is about 4 MB:
/// 100 ms at 300 Mbit/s.
const PIPELINE_LEAST: u32 = 6;
const PIPELINE_MOST: u32 = 64;

/// What is assumed of a neighbour that has yet to send anything.
const ASSUMED_BYTES_PER_S: u64 = 500_000;
const ASSUMED_ROUND_TRIP_US: u64 = 60_000;

/// A neighbour's refusal of an asset is believed for so long.
pub(crate) const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// How many faulty peers are remembered, so that they are not met again.
const SHUNNED_MOST: usize = 256;

/// A peer that we have been introduced to.
#[derive(Debug)]
pub(crate) struct Neighbour {
    /// When the connection was begun, and whether its channel is open.
    since: Timestamp,
    pub(crate) open: bool,
    /// Whether the node has said that it left the swarm.
    gone: bool,
    /// What it holds something of, in the manifest of this epoch.
    epoch: u32,
    holds: AssetSet,
    /// Where it holds only some segments: which.
    partial: Map<Digest, Bits>,
    refused_until: Map<Digest, Timestamp>,
    pub(crate) transfers: Map<u32, Transfer>,
    next_transfer: u32,
    /// Pieces that are asked for and have not arrived.
    pub(crate) owed: u32,
    /// Pieces of cancelled transfers that may still be on their way.
    late: u32,
    last_heard: Timestamp,
    /// When anything last passed, either way.
    pub(crate) last_used: Timestamp,
    bytes_per_s: Option<u64>,
    round_trip_us: Option<u64>,
    /// Verified bytes received.
    bytes: u64,
    busy: Duration,
    pub(crate) uploading: Uploading,
}

/// Pieces asked for in one message.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) hash: Digest,
    pub(crate) first: u32,
    /// Bit `n` is piece `first + n`, until it arrives.
    pub(crate) awaited: u64,
    asked: Timestamp,
    started: bool,
}

impl Neighbour {
    fn new(now: Timestamp, epoch: u32, holds: AssetSet) -> Self {
        Self {
            since: now,
            open: false,
            gone: false,
            epoch,
            holds,
            partial: Map::new(),
            refused_until: Map::new(),
            transfers: Map::new(),
            next_transfer: 0,
            owed: 0,
            late: 0,
            last_heard: now,
            last_used: now,
            bytes_per_s: None,
            round_trip_us: None,
            bytes: 0,
            busy: Duration::ZERO,
            uploading: Uploading::default(),
        }
    }

    fn rate(&self) -> u64 {
        self.bytes_per_s.unwrap_or(ASSUMED_BYTES_PER_S).max(1)
    }

    fn round_trip(&self) -> u64 {
        self.round_trip_us.unwrap_or(ASSUMED_ROUND_TRIP_US)
    }

    /// How many more pieces may be asked of it now: twice what fills the path keeps it full.
    fn room(&self) -> u32 {
        let in_flight = 2 * self.rate() * self.round_trip() / 1_000_000;
        let depth = (in_flight / u64::from(PIECE_BYTES)).min(u64::from(PIPELINE_MOST)) as u32;
        (PIPELINE_LEAST + depth).min(PIPELINE_MOST).saturating_sub(self.owed)
    }

    /// One more piece is asked of it: who owed nothing is not silent yet.
    pub(crate) fn owe(&mut self, now: Timestamp) {
        if self.owed == 0 {
            self.last_heard = now;
        }
        self.owed += 1;
    }

    /// When `bytes` more than what it owes would be here.
    fn complete(&self, bytes: u64) -> Duration {
        let queued = u64::from(self.owed) * u64::from(PIECE_BYTES) + bytes;
        Duration::from_micros(self.round_trip() + queued.saturating_mul(1_000_000) / self.rate())
    }

    /// Learns from a piece that arrived.
    fn measure(&mut self, now: Timestamp, transfer: u32, len: u32) {
        let Some(transfer) = self.transfers.get_mut(&transfer) else { return };
        let waited = now.since(self.last_heard.max(transfer.asked));
        let waited_us = waited.as_micros() as u64;
        if std::mem::replace(&mut transfer.started, true) {
            // Pieces that arrive together say that the path is faster than the clock is fine.
            let rate = u64::from(len) * 1_000_000 / waited_us.max(50);
            self.bytes_per_s = Some(smooth(self.bytes_per_s, rate));
        } else {
            self.round_trip_us = Some(smooth(self.round_trip_us, waited_us));
        }
        self.busy += waited;
    }

    fn due(&self) -> Timestamp {
        if self.gone {
            self.last_used + SILENCE_WHEN_GONE
        } else if !self.open {
            self.since + CONNECT_TIMEOUT
        } else if self.owed > 0 {
            self.last_heard + SILENCE
        } else {
            self.last_used + IDLE
        }
    }
}

/// Everyone we are connected, or connecting, to.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    pub(crate) all: Map<PeerId, Neighbour>,
    shunned: Set<PeerId>,
}

impl Neighbours {
    pub(crate) fn open_count(&self) -> u32 {
        self.all.values().filter(|neighbour| neighbour.open).count() as u32
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.all.values().map(Neighbour::due).min()
    }
}

impl Engine {
    /// Whether a peer holds something of a content, as far as it has said.
    fn holds(&self, hash: Digest) -> impl Fn(&Neighbour) -> bool {
        let epoch = self.epoch();
        let ids: Vec<AssetId> = self.catalogue.ids_of(hash).collect();
        move |neighbour| neighbour.epoch == epoch && ids.iter().any(|id| neighbour.holds.contains(*id))
    }

    /// Open neighbours that can be asked for a content now.
    pub(crate) fn holders(&self, now: Timestamp, hash: Digest) -> Vec<PeerId> {
        let holds = self.holds(hash);
        let able = |neighbour: &Neighbour| {
            let refused = || neighbour.refused_until.get(&hash).is_some_and(|until| now < *until);
            neighbour.open && holds(neighbour) && !refused()
        };
        self.neighbours.all.iter().filter(|(_, neighbour)| able(neighbour)).map(|(peer, _)| *peer).collect()
    }

    /// Whether any of these neighbours holds something of a content.
    pub(crate) fn is_held_by_any(&self, peers: &[PeerId], hash: Digest) -> bool {
        peers.iter().filter_map(|peer| self.neighbours.all.get(peer)).any(self.holds(hash))
    }

    /// Whether a connection is being made to somebody who holds a content.
    pub(crate) fn holder_is_coming(&self, hash: Digest) -> bool {
        let holds = self.holds(hash);
        self.neighbours.all.values().any(|neighbour| !neighbour.open && holds(neighbour))
    }

    /// Of `holders`, who would have one more piece here first; none when all are busy or lack the segment.
    pub(crate) fn quickest(&self, holders: &[PeerId], hash: Digest, segment: u32) -> Option<PeerId> {
        let able = holders.iter().filter_map(|peer| Some((*peer, self.neighbours.all.get(peer)?)));
        able.filter(|(_, neighbour)| {
            neighbour.room() > 0 && neighbour.partial.get(&hash).is_none_or(|held| held.contains(segment))
        })
        .min_by_key(|(_, neighbour)| neighbour.complete(u64::from(PIECE_BYTES)))
        .map(|(peer, _)| peer)
    }

    /// How long `bytes` would take from `holders` together, each of which gives what it can.
    pub(crate) fn predict_mesh(&self, holders: &[PeerId], bytes: u64) -> Duration {
        let all = holders.iter().filter_map(|peer| self.neighbours.all.get(peer));
        let (round_trip, rate) = all.fold((0, 0), |(round_trip, rate): (u64, u64), neighbour| {
            (round_trip.max(neighbour.round_trip()), rate + neighbour.rate())
        });
        Duration::from_micros(round_trip + bytes.saturating_mul(1_000_000) / rate.max(1))
    }

    /// Asks a neighbour for pieces `first..first + count`, which it is already counted to owe.
    pub(crate) fn ask(&mut self, now: Timestamp, peer: PeerId, hash: Digest, first: u32, count: u32) {
        let epoch = self.epoch();
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        let Some(asset) = self.catalogue.ids_of(hash).find(|id| neighbour.holds.contains(*id)) else {
            return;
        };
        let transfer = neighbour.next_transfer;
        neighbour.next_transfer = transfer.wrapping_add(1);
        neighbour.last_used = now;
        let awaited = u64::MAX >> (64 - count.clamp(1, 64));
        neighbour.transfers.insert(transfer, Transfer { hash, first, awaited, asked: now, started: false });
        self.send_frame(peer, &Frame::Ask { transfer, epoch, asset, first, count });
    }

    pub(crate) fn send_frame(&mut self, peer: PeerId, frame: &Frame) {
        self.out.push(Output::SendFrame { peer, bytes: frame.encode() });
    }

    pub(crate) fn introduced(&mut self, now: Timestamp, peer: PeerId, offers: bool, holds: AssetSet) {
        let epoch = self.epoch();
        if let Some(neighbour) = self.neighbours.all.get_mut(&peer) {
            neighbour.holds.extend(holds.iter());
            return;
        }
        // A peer looks for so many neighbours, and lets as many again come to it.
        let full = self.neighbours.all.len() >= 2 * self.policy.neighbours as usize;
        let refusal = if self.neighbours.shunned.contains(&peer) {
            Some(Reason::BadFrame)
        } else if full {
            Some(Reason::Busy)
        } else {
            self.alone_reason()
        };
        if let Some(reason) = refusal {
            return self.out.say(ToNode::Met { peer, outcome: Meeting::Failed(reason) });
        }
        self.neighbours.all.insert(peer, Neighbour::new(now, epoch, holds));
        self.out.push(Output::OpenPeer {
            peer,
            offers,
            stun: self.session.stun.clone(),
            strip_local: self.policy.strip_local_candidates,
        });
    }

    pub(crate) fn signalled(&mut self, from: PeerId, signal: Signal) {
        if self.neighbours.all.contains_key(&from) {
            self.out.push(Output::SignalPeer { peer: from, signal });
        }
    }

    pub(crate) fn peer_opened(&mut self, now: Timestamp, peer: PeerId) {
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else {
            return self.out.push(Output::ClosePeer { peer });
        };
        neighbour.open = true;
        neighbour.last_used = now;
        let took = now.since(neighbour.since).as_millis() as u32;
        self.out.note_peer(now, Event::Met, None, peer, 0);
        self.out.say(ToNode::Met { peer, outcome: Meeting::Opened(took) });
        self.announce_to(peer);
        self.stats_due.get_or_insert(now);
        self.replication.look_again();
        self.drive_all(now);
    }

    /// The node says that a peer left. An open channel may outlive that, but is not waited for as long, and asked for no
    /// more.
    pub(crate) fn peer_gone(&mut self, now: Timestamp, peer: PeerId) {
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        neighbour.gone = true;
        neighbour.holds = AssetSet::default();
        if !neighbour.open {
            self.out.push(Output::ClosePeer { peer });
            self.peer_closed(now, peer, Reason::NoSuchPeer);
        }
    }

    /// The channel is closed: what it owed is asked of others.
    pub(crate) fn peer_closed(&mut self, now: Timestamp, peer: PeerId, reason: Reason) {
        let Some(neighbour) = self.neighbours.all.remove(&peer) else { return };
        self.out.note_peer(now, Event::Parted, Some(reason), peer, neighbour.bytes);
        if neighbour.open {
            let fault = is_fault(reason).then_some(reason);
            let busy_ms = neighbour.busy.as_millis() as u32;
            self.out.say(ToNode::Parted { peer, bytes: neighbour.bytes, busy_ms, fault });
        } else {
            self.out.say(ToNode::Met { peer, outcome: Meeting::Failed(reason) });
        }
        self.stats_due.get_or_insert(now);
        for transfer in neighbour.transfers.into_values() {
            self.unask(peer, &transfer);
            self.drive(now, transfer.hash);
        }
        self.drive_all(now);
    }

    /// Lets a neighbour go of our own accord.
    pub(crate) fn close_peer(&mut self, now: Timestamp, peer: PeerId, reason: Reason) {
        if is_fault(reason) && self.neighbours.shunned.len() < SHUNNED_MOST {
            self.neighbours.shunned.insert(peer);
        }
        self.out.push(Output::ClosePeer { peer });
        self.peer_closed(now, peer, reason);
    }

    pub(crate) fn frame_arrived(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        header: &[u8],
        payload: Option<Payload>,
    ) {
        let release = |engine: &mut Self| {
            if let Some(payload) = payload {
                engine.out.push(Output::Release { handle: payload.handle });
            }
        };
        let Some(neighbour) = self.neighbours.all.get_mut(&peer).filter(|neighbour| neighbour.open) else {
            return release(self);
        };
        let last_used = std::mem::replace(&mut neighbour.last_used, now);
        match (Frame::decode(header), payload) {
            (Some(Frame::Piece { transfer, piece }), Some(payload)) => {
                self.piece_arrived(now, peer, transfer, piece, payload);
            }
            (Some(Frame::Have { epoch, assets }), None) => {
                neighbour.last_used = last_used;
                self.neighbour_has(now, peer, epoch, assets);
            }
            (Some(Frame::Lost { epoch, assets }), None) => {
                neighbour.last_used = last_used;
                if neighbour.epoch == epoch {
                    assets.iter().for_each(|asset| _ = neighbour.holds.remove(asset));
                }
            }
            (Some(Frame::Ask { transfer, epoch, asset, first, count }), None) => {
                self.asked(now, peer, transfer, epoch, asset, first, count);
            }
            (Some(Frame::Cancel { transfer }), None) => neighbour.uploading.cancel(transfer),
            (Some(Frame::Refuse { transfer, reason, segments }), None) => {
                self.refused(now, peer, transfer, reason, segments);
            }
            _ => {
                release(self);
                self.close_peer(now, peer, Reason::BadFrame);
            }
        }
    }

    fn neighbour_has(&mut self, now: Timestamp, peer: PeerId, epoch: u32, assets: AssetSet) {
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        if neighbour.partial.len() + neighbour.refused_until.len() > 0 {
            for entry in assets.iter().filter_map(|id| self.catalogue.get(id)) {
                neighbour.partial.remove(&entry.asset.hash);
                neighbour.refused_until.remove(&entry.asset.hash);
            }
        }
        self.replication.look_again_for(&assets);
        if neighbour.epoch == epoch && !neighbour.holds.is_empty() {
            neighbour.holds.extend(assets.iter());
        } else {
            neighbour.epoch = epoch;
            neighbour.holds = assets;
        }
        self.drive_all(now);
    }

    fn refused(&mut self, now: Timestamp, peer: PeerId, transfer: u32, reason: Reason, segments: Vec<u8>) {
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        let Some(transfer) = neighbour.transfers.remove(&transfer) else { return };
        neighbour.owed -= transfer.awaited.count_ones();
        let held = Bits::from_bytes(segments);
        if reason == Reason::NotHeld && held.count() > 0 {
            neighbour.partial.insert(transfer.hash, held);
        } else {
            neighbour.refused_until.insert(transfer.hash, now + REFUSAL_LASTS);
        }
        self.unask(peer, &transfer);
        self.drive(now, transfer.hash);
        self.fetch_waiting(now);
    }

    /// Checks that a piece was asked for; returns the content that it belongs to.
    pub(crate) fn accept_piece(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        transfer: u32,
        piece: u32,
        len: u32,
    ) -> Accepted {
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return Accepted::Late };
        neighbour.measure(now, transfer, len);
        neighbour.last_heard = now;
        let Some(open) = neighbour.transfers.get_mut(&transfer) else {
            if neighbour.late == 0 {
                return Accepted::Unasked;
            }
            neighbour.late -= 1;
            return Accepted::Late;
        };
        let bit = piece.checked_sub(open.first).and_then(|place| 1u64.checked_shl(place)).unwrap_or(0);
        if open.awaited & bit == 0 {
            return Accepted::Unasked;
        }
        open.awaited &= !bit;
        neighbour.owed -= 1;
        let hash = open.hash;
        if open.awaited == 0 {
            neighbour.transfers.remove(&transfer);
        }
        Accepted::Asked(hash)
    }

    pub(crate) fn credit(&mut self, peer: PeerId, bytes: u32) {
        if let Some(neighbour) = self.neighbours.all.get_mut(&peer) {
            neighbour.bytes += u64::from(bytes);
        }
    }

    /// Cancels every transfer of a content that nobody waits for any more.
    pub(crate) fn cancel_transfers(&mut self, now: Timestamp, hash: Digest) {
        for (peer, neighbour) in self.neighbours.all.iter_mut() {
            let stale = neighbour.transfers.extract_if(|_, transfer| transfer.hash == hash);
            for (transfer, open) in stale {
                let pieces = open.awaited.count_ones();
                neighbour.owed -= pieces;
                neighbour.late += pieces;
                if !open.started {
                    // Who has sent nothing for so long is expected to take at least as long the next time.
                    let waited_us = now.since(open.asked).as_micros() as u64;
                    let expected_us = neighbour.round_trip_us.unwrap_or(ASSUMED_ROUND_TRIP_US);
                    neighbour.round_trip_us = Some(expected_us.max(waited_us));
                }
                let bytes = Frame::Cancel { transfer }.encode();
                self.out.push(Output::SendFrame { peer: *peer, bytes });
            }
        }
    }

    /// Lets go of neighbours that do not open, are silent, or have nothing to do.
    pub(crate) fn settle_neighbours(&mut self, now: Timestamp) {
        if self.neighbours.due().is_none_or(|due| now < due) {
            return;
        }
        let due: Vec<PeerId> = self
            .neighbours
            .all
            .iter()
            .filter(|(_, neighbour)| now >= neighbour.due())
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            let Some(neighbour) = self.neighbours.all.get(&peer) else { continue };
            let reason = match (neighbour.open, neighbour.owed, neighbour.gone) {
                (false, ..) => Reason::ConnectTimeout,
                (true, 0, _) => Reason::Idle,
                (true, _, true) => Reason::ChannelClosed,
                (true, _, false) => Reason::Silent,
            };
            self.close_peer(now, peer, reason);
        }
    }
}

/// Whether a piece that arrived was asked for.
pub(crate) enum Accepted {
    /// It was.
    Asked(Digest),
    /// It was, but is no longer wanted.
    Late,
    /// It was not.
    Unasked,
}

/// Whether the neighbour is to blame.
fn is_fault(reason: Reason) -> bool {
    use Reason::{BadFrame, ShortPiece, Silent, Unasked, WrongPiece};
    matches!(reason, BadFrame | ShortPiece | Silent | Unasked | WrongPiece)
}
