//! Contents on their way: which pieces are wanted, who is asked for them, and what happens to those that arrive.

use std::sync::Arc;

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::{MAX_ASK_PIECES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::{piece_count, piece_len, segment_count};
use edgeweave_protocol::message::ToNode;
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, Digest, PeerId, Reason, Timestamp};

use crate::Engine;
use crate::io::{Handle, Output, Payload};
use crate::neighbours::{Accepted, Transfer};
use crate::sorted::Map;

/// Where a piece came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A neighbour.
    Peer(PeerId),
    /// The browser's own HTTP cache.
    Own,
    /// The secondary cache.
    Stored,
}

/// One piece of a content on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    /// Asked of a neighbour.
    Asked(PeerId),
    /// Being read from the secondary cache.
    Loading,
    /// Here, and being verified.
    Checking,
    /// Verified.
    Ready(Payload, Source),
}

/// A content of which some pieces are wanted by requests, or which is being adopted or replicated.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) size: u64,
    digests: Arc<PieceDigests>,
    pub(crate) pieces: Map<u32, Piece>,
}

/// A payload whose digest is being computed.
#[derive(Debug)]
pub(crate) struct Check {
    hash: Digest,
    piece: u32,
    len: u32,
    source: Source,
}

impl Engine {
    /// Begins a download where there is none; false when the piece digests are not known.
    pub(crate) fn ensure_download(&mut self, hash: Digest) -> bool {
        if self.downloads.contains_key(&hash) {
            return true;
        }
        let entry = self.catalogue.by_hash(hash);
        let Some((size, digests)) =
            entry.and_then(|entry| Some((entry.asset.size, entry.asset.pieces.clone()?)))
        else {
            return false;
        };
        self.downloads.insert(hash, Download { size, digests, pieces: Map::new() });
        true
    }

    /// Asks the node for the piece digests of a large asset, once.
    pub(crate) fn want_digests(&mut self, now: Timestamp, asset: AssetId) {
        let recently = self.digests_asked.get(&asset).is_some_and(|at| now < *at + DIGESTS_AGAIN);
        if self.session.synced && !recently {
            self.digests_asked.insert(asset, now);
            self.out.say(ToNode::Pieces { asset });
        }
    }

    pub(crate) fn digests_known(&mut self, now: Timestamp, hash: Digest) {
        self.digests_asked.retain(|_, at| now < *at + DIGESTS_AGAIN);
        self.begin_waiting(now);
        self.replication.look_again();
        if self.catalogue.by_hash(hash).is_some_and(|entry| self.sightings.contains(&entry.asset.url)) {
            self.adopt(now, hash);
        }
    }

    pub(crate) fn drive_all(&mut self, now: Timestamp) {
        let hashes: Vec<Digest> = self.downloads.keys().to_vec();
        hashes.into_iter().for_each(|hash| self.drive(now, hash));
    }

    /// Moves everything about a content as far as it goes: delivers, reads, asks, stores, and clears away.
    pub(crate) fn drive(&mut self, now: Timestamp, hash: Digest) {
        self.deliver(now, hash);
        self.fetch_wanted(now, hash);
        self.judge_requests(now, hash);
        self.store_segments(hash);
        self.clear(now, hash);
    }

    /// A neighbour has room again: whatever waited for that is asked for.
    pub(crate) fn fetch_waiting(&mut self, now: Timestamp) {
        let hashes: Vec<Digest> = self.downloads.keys().to_vec();
        hashes.into_iter().for_each(|hash| self.fetch_wanted(now, hash));
    }

    /// Reads wanted pieces that are held, and asks neighbours for the others, the earliest first.
    fn fetch_wanted(&mut self, now: Timestamp, hash: Digest) {
        let wanted = self.wanted_pieces(hash);
        if wanted.is_empty() {
            return;
        }
        let holders = self.holders(now, hash);
        let ahead = self.replication.asks_for(hash);
        let mut runs: Vec<(PeerId, u32, u32)> = Vec::new();
        for piece in wanted {
            let Some(download) = self.downloads.get_mut(&hash) else { return };
            let segment = piece / SEGMENT_PIECES;
            if self.store.has(hash, segment) {
                download.pieces.insert(piece, Piece::Loading);
                let offset = (piece % SEGMENT_PIECES) * edgeweave_protocol::limits::PIECE_BYTES;
                let len = piece_len(download.size, piece);
                self.out.push(Output::Load { hash, piece, segment, offset, len });
                continue;
            }
            // What nobody waits for is asked of the same neighbour while that has room, so that few messages ask for much.
            let same = runs.last().filter(|_| ahead).map(|(peer, ..)| *peer);
            let same = same.and_then(|peer| self.quickest(&[peer], hash, segment));
            let Some(peer) = same.or_else(|| self.quickest(&holders, hash, segment)) else { continue };
            match runs.last_mut() {
                Some((last, first, count))
                    if *last == peer && *first + *count == piece && *count < MAX_ASK_PIECES =>
                {
                    *count += 1;
                }
                _ => runs.push((peer, piece, 1)),
            }
            if let Some(neighbour) = self.neighbours.all.get_mut(&peer) {
                neighbour.owe(now);
            }
            if let Some(download) = self.downloads.get_mut(&hash) {
                download.pieces.insert(piece, Piece::Asked(peer));
            }
        }
        for (peer, first, count) in runs {
            self.ask(now, peer, hash, first, count);
        }
        if holders.is_empty()
            && let Some(asset) = self.catalogue.by_hash(hash).map(|entry| entry.asset.id)
        {
            self.session.find(now, asset);
        }
    }

    /// A neighbour sent a piece.
    pub(crate) fn piece_arrived(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        transfer: u32,
        piece: u32,
        payload: Payload,
    ) {
        match self.accept_piece(now, peer, transfer, piece, payload.len) {
            Accepted::Asked(hash) => {
                let expected = self.downloads.get(&hash).map(|download| piece_len(download.size, piece));
                if expected.is_none_or(|expected| expected == payload.len) {
                    self.check(hash, piece, payload, Source::Peer(peer));
                    self.fetch_waiting(now);
                } else {
                    self.out.push(Output::Release { handle: payload.handle });
                    self.miss(hash, piece);
                    self.close_peer(now, peer, Reason::ShortPiece);
                }
            }
            Accepted::Late => self.out.push(Output::Release { handle: payload.handle }),
            Accepted::Unasked => {
                self.out.push(Output::Release { handle: payload.handle });
                self.close_peer(now, peer, Reason::Unasked);
            }
        }
    }

    /// Verifies a payload, unless the piece is already here or nobody wants it any more.
    pub(crate) fn check(&mut self, hash: Digest, piece: u32, payload: Payload, source: Source) {
        let download = self.downloads.get_mut(&hash);
        let wanted = download.filter(|download| {
            let here = matches!(download.pieces.get(&piece), Some(Piece::Checking | Piece::Ready(..)));
            piece < piece_count(download.size) && !here
        });
        let Some(download) = wanted else {
            return self.out.push(Output::Release { handle: payload.handle });
        };
        download.pieces.insert(piece, Piece::Checking);
        self.checks.insert(payload.handle, Check { hash, piece, len: payload.len, source });
        self.out.push(Output::Hash { handle: payload.handle });
    }

    /// The digest of a payload is known: it becomes part of the content, or its sender is to blame.
    pub(crate) fn hashed(&mut self, now: Timestamp, handle: Handle, digest: Digest) {
        let Some(Check { hash, piece, len, source }) = self.checks.remove(&handle) else { return };
        let Some(download) = self.downloads.get_mut(&hash) else {
            return self.out.push(Output::Release { handle });
        };
        if download.digests.0.get(piece as usize) == Some(&digest) {
            download.pieces.insert(piece, Piece::Ready(Payload { handle, len }, source));
            if let Source::Peer(peer) = source {
                self.credit(peer, len);
                self.count_replicated(now, hash, len);
            }
        } else {
            self.out.push(Output::Release { handle });
            self.miss(hash, piece);
            match source {
                Source::Peer(peer) => self.close_peer(now, peer, Reason::WrongPiece),
                Source::Own => self.differs(now, hash),
                Source::Stored => self.spoiled(now, hash, piece),
            }
        }
        self.drive(now, hash);
    }

    /// A piece from the secondary cache, or the news that it is no longer there.
    pub(crate) fn loaded(&mut self, now: Timestamp, hash: Digest, piece: u32, payload: Option<Payload>) {
        let download = self.downloads.get_mut(&hash);
        let loading =
            download.is_some_and(|download| matches!(download.pieces.get(&piece), Some(Piece::Loading)));
        match payload {
            Some(payload) if loading => {
                self.miss(hash, piece);
                self.check(hash, piece, payload, Source::Stored);
            }
            Some(payload) => self.out.push(Output::Release { handle: payload.handle }),
            None => {
                if loading {
                    self.miss(hash, piece);
                }
                self.spoiled(now, hash, piece);
                self.drive(now, hash);
            }
        }
    }

    /// A segment of the secondary cache is gone, or not what it was.
    fn spoiled(&mut self, now: Timestamp, hash: Digest, piece: u32) {
        let segment = piece / SEGMENT_PIECES;
        self.out.note(now, Event::Error, Some(Reason::StorageFailed), "", 0);
        self.store.lost(hash, segment);
        self.out.push(Output::Drop { hash, segments: vec![segment] });
    }

    fn miss(&mut self, hash: Digest, piece: u32) {
        if let Some(download) = self.downloads.get_mut(&hash) {
            download.pieces.remove(&piece);
        }
    }

    /// What a neighbour owed is owed no more.
    pub(crate) fn unask(&mut self, peer: PeerId, transfer: &Transfer) {
        let Some(download) = self.downloads.get_mut(&transfer.hash) else { return };
        for place in (0..64).filter(|place| transfer.awaited & (1 << place) != 0) {
            let piece = transfer.first.saturating_add(place);
            if matches!(download.pieces.get(&piece), Some(Piece::Asked(asked)) if *asked == peer) {
                download.pieces.remove(&piece);
            }
        }
    }

    /// Stores every segment that is complete.
    fn store_segments(&mut self, hash: Digest) {
        let Some(download) = self.downloads.get(&hash) else { return };
        for segment in 0..segment_count(download.size) {
            let storable = download.is_complete(segment)
                && self.catalogue.ids_of(hash).next().is_some()
                && self.store.wants(hash, download.size, self.policy.cache_bytes)(segment);
            if storable {
                let handles = download.pieces_of(segment).filter_map(|piece| download.ready(piece)).collect();
                self.store.storing(hash, segment);
                self.out.push(Output::Store { hash, segment, handles });
            }
        }
    }

    /// Lets go of what no request and no segment needs any more, and of downloads that are over.
    fn clear(&mut self, now: Timestamp, hash: Digest) {
        let ahead = self.adoption.is_active(hash) || self.replication.is_active(hash);
        let spans = self.spans_needed(hash);
        let asking = !spans.is_empty() || self.replication.asks_for(hash);
        let Some(download) = self.downloads.get_mut(&hash) else { return };
        let checking = download.pieces.values().any(|piece| matches!(piece, Piece::Checking));
        let over = spans.is_empty() && !ahead && !checking;
        let size = download.size;
        let wants = self.store.wants(hash, size, self.policy.cache_bytes);
        let needed = move |piece: u32| {
            spans.iter().any(|span| span.contains(&piece)) || (!over && wants(piece / SEGMENT_PIECES))
        };
        let out = &mut self.out;
        download.pieces.retain(move |piece, state| match state {
            Piece::Ready(payload, _) if !needed(*piece) => {
                out.push(Output::Release { handle: payload.handle });
                false
            }
            Piece::Asked(_) => asking,
            Piece::Loading => !over,
            _ => true,
        });
        if !asking {
            self.cancel_transfers(now, hash);
        }
        if over {
            self.downloads.remove(&hash);
            self.adopt_next(now);
            self.fetch_waiting(now);
        }
    }
}

/// The digests of an asset are not asked for again sooner.
const DIGESTS_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

impl Download {
    /// How many pieces are on their way or being verified.
    pub(crate) fn moving(&self) -> usize {
        self.pieces.values().filter(|piece| !matches!(piece, Piece::Ready(..))).count()
    }

    fn pieces_of(&self, segment: u32) -> std::ops::Range<u32> {
        let first = segment * SEGMENT_PIECES;
        first..piece_count(self.size).min(first + SEGMENT_PIECES)
    }

    /// Whether all of a segment is here and verified.
    fn is_complete(&self, segment: u32) -> bool {
        self.pieces_of(segment).all(|piece| self.ready(piece).is_some())
    }

    fn ready(&self, piece: u32) -> Option<Handle> {
        match self.pieces.get(&piece) {
            Some(Piece::Ready(payload, _)) => Some(payload.handle),
            _ => None,
        }
    }
}
