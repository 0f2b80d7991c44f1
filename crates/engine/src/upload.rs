//! Serving neighbours, within the visitor's budget.

use std::collections::VecDeque;

use edgeweave_protocol::frame::Frame;
use edgeweave_protocol::limits::{MAX_OPEN_ASKS, PIECE_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::{piece_count, piece_len};
use edgeweave_protocol::{AssetId, Digest, PeerId, Reason, Timestamp};

use crate::Engine;
use crate::io::Output;

/// Pieces that a channel is given before it has taken the earlier ones: about a megabyte, which is where measured
/// throughput levels off.
const SENDING_MOST: u32 = 16;

/// A neighbour's asks, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Uploading {
    jobs: VecDeque<Job>,
    /// Pieces that the channel has been given and not yet taken.
    sending: u32,
}

#[derive(Debug)]
struct Job {
    transfer: u32,
    hash: Digest,
    size: u64,
    next: u32,
    end: u32,
}

impl Uploading {
    pub(crate) fn cancel(&mut self, transfer: u32) {
        self.jobs.retain(|job| job.transfer != transfer);
    }
}

/// How much may be uploaded: a token bucket that holds one second's worth, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    tokens: u64,
    refilled: Timestamp,
}

impl Budget {
    fn refill(&mut self, now: Timestamp, bytes_per_second: u64) {
        let earned =
            now.since(self.refilled).as_micros().min(1_000_000) as u64 * bytes_per_second / 1_000_000;
        if earned > 0 {
            let most = bytes_per_second.max(u64::from(PIECE_BYTES));
            self.tokens = (self.tokens + earned).min(most);
            self.refilled = now;
        }
    }
}

impl Engine {
    /// Why this client serves nobody, if it does not.
    pub(crate) fn sharing_reason(&self) -> Option<Reason> {
        let capped = self.memory.uploaded >= self.policy.upload_bytes_per_month;
        self.off_reason().or(self.circumstances.selfish).or(capped.then_some(Reason::UploadCap))
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of an ask")]
    pub(crate) fn asked(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        transfer: u32,
        epoch: u32,
        asset: AssetId,
        first: u32,
        count: u32,
    ) {
        let now_ms = self.clock.unix_ms(now);
        let entry = self
            .catalogue
            .get(asset)
            .filter(|entry| epoch == self.epoch() && now_ms < entry.fresh_until_ms());
        let held = entry.and_then(|entry| Some((entry, self.store.segments(entry.asset.hash)?)));
        let refusal = match (self.sharing_reason(), held) {
            (Some(Reason::UploadCap), _) => Some((Reason::UploadCap, Vec::new())),
            (Some(_), _) => Some((Reason::Disabled, Vec::new())),
            (None, None) => Some((Reason::NotHeld, Vec::new())),
            (None, Some((entry, segments))) => {
                let last = first.saturating_add(count) - 1;
                let inside = last < piece_count(entry.asset.size);
                let all = (first / SEGMENT_PIECES..=last / SEGMENT_PIECES)
                    .all(|segment| segments.contains(segment));
                (!inside || !all).then(|| (Reason::NotHeld, segments.as_bytes().to_vec()))
            }
        };
        let job = entry.map(|entry| (entry.asset.hash, entry.asset.size));
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        let busy = neighbour.uploading.jobs.len() >= MAX_OPEN_ASKS;
        match (refusal.or(busy.then_some((Reason::Busy, Vec::new()))), job) {
            (None, Some((hash, size))) => {
                neighbour.uploading.jobs.push_back(Job {
                    transfer,
                    hash,
                    size,
                    next: first,
                    end: first + count,
                });
                self.store.touch(hash, now_ms);
                self.serve(now, peer);
            }
            (refusal, _) => {
                let (reason, segments) = refusal.unwrap_or((Reason::NotHeld, Vec::new()));
                self.send_frame(peer, &Frame::Refuse { transfer, reason, segments });
            }
        }
    }

    /// Gives a channel as many pieces as it and the budget have room for.
    pub(crate) fn serve(&mut self, now: Timestamp, peer: PeerId) {
        self.budget.refill(now, self.policy.upload_bytes_per_second);
        let Some(neighbour) = self.neighbours.all.get_mut(&peer) else { return };
        let uploading = &mut neighbour.uploading;
        while uploading.sending < SENDING_MOST
            && let Some(job) = uploading.jobs.front_mut()
        {
            let piece = job.next;
            let len = piece_len(job.size, piece);
            if self.memory.uploaded + u64::from(len) > self.policy.upload_bytes_per_month {
                // What was agreed to before the cap was near is not given past it.
                let (transfer, reason) = (job.transfer, Reason::UploadCap);
                let refusal = Frame::Refuse { transfer, reason, segments: Vec::new() };
                self.out.push(Output::SendFrame { peer, bytes: refusal.encode() });
                uploading.jobs.pop_front();
                continue;
            }
            if self.budget.tokens < u64::from(len) {
                self.serve_again = Some(now + WAIT_FOR_TOKENS);
                return;
            }
            self.budget.tokens -= u64::from(len);
            self.memory.uploaded += u64::from(len);
            self.traffic.uploaded += u64::from(len);
            neighbour.last_used = now;
            uploading.sending += 1;
            self.out.push(Output::SendPiece {
                peer,
                transfer: job.transfer,
                header: Frame::Piece { transfer: job.transfer, piece }.encode(),
                hash: job.hash,
                segment: piece / SEGMENT_PIECES,
                offset: (piece % SEGMENT_PIECES) * PIECE_BYTES,
                len,
            });
            job.next += 1;
            if job.next == job.end {
                uploading.jobs.pop_front();
            }
        }
        self.stats_due.get_or_insert(now);
    }

    pub(crate) fn piece_sent(&mut self, now: Timestamp, peer: PeerId) {
        if let Some(neighbour) = self.neighbours.all.get_mut(&peer) {
            neighbour.uploading.sending = neighbour.uploading.sending.saturating_sub(1);
            self.serve(now, peer);
        }
    }

    /// What was to be sent is no longer in the storage: the neighbour is told, and so is everybody.
    pub(crate) fn piece_lost(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        transfer: u32,
        hash: Digest,
        segment: u32,
    ) {
        self.store.lost(hash, segment);
        if let Some(neighbour) = self.neighbours.all.get_mut(&peer) {
            neighbour.uploading.cancel(transfer);
            let segments = self.store.segments(hash).map(|held| held.as_bytes().to_vec()).unwrap_or_default();
            self.send_frame(peer, &Frame::Refuse { transfer, reason: Reason::NotHeld, segments });
            self.piece_sent(now, peer);
        }
    }

    pub(crate) fn settle_uploads(&mut self, now: Timestamp) {
        if self.serve_again.is_some_and(|at| now >= at) {
            self.serve_again = None;
            let peers: Vec<PeerId> = self.neighbours.all.keys().to_vec();
            peers.into_iter().for_each(|peer| self.serve(now, peer));
        }
    }
}

/// How long to wait when the budget is used up.
const WAIT_FOR_TOKENS: std::time::Duration = std::time::Duration::from_millis(50);
