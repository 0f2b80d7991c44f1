//! A page's requests: whether the mesh answers them, when the supernode or the origin is started beside it, and when they
//! are left to these. Every request is answered once: by [`Output::End`] or by [`Output::Fallback`], unless the body cancels it.

use std::ops::Range;
use std::time::Duration;

use edgeweave_protocol::limits::PIECE_BYTES;
use edgeweave_protocol::manifest::{Headers, OK};
use edgeweave_protocol::policy::Prefer;
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{Digest, PeerId, Reason, Timestamp};

use crate::Engine;
use crate::catalogue::Entry;
use crate::download::{Piece, Source};
use crate::io::{ByteRange, Output, RequestId};
use crate::sorted::Set;

/// Requests open at a time; further ones are left to the origin.
const MOST_REQUESTS: usize = 512;

/// Where speed is preferred, a hedge is started when the origin would have answered by now; not sooner than this, because
/// below it the two cannot be told apart.
const HEDGE_LEAST: Duration = Duration::from_millis(50);

/// The same, before the origin was ever measured.
const HEDGE_UNMEASURED: Duration = Duration::from_millis(200);

/// With the origin started too, the mesh is given up after this long.
const HEDGED_MOST: Duration = Duration::from_secs(30);

/// A response that has begun and gets no further for this long is carried on from the origin.
const STALL: Duration = Duration::from_millis(1_500);

/// Bytes delivered that the page has not read: past this, nothing more is asked for. A media element that has
/// buffered enough stops reading.
const UNREAD_MOST: u64 = 4 << 20;

/// A request of a page.
#[derive(Debug)]
pub(crate) struct Request {
    url: Box<str>,
    range: Option<ByteRange>,
    rescue: bool,
    began: Timestamp,
    /// Whether the next rung was started beside the mesh, or would have been if the policy hedged.
    hedged: bool,
    /// Absent until the asset and its digests are known.
    body: Option<Body>,
}

/// What is to be delivered, in bytes of the asset.
#[derive(Debug)]
struct Body {
    hash: Digest,
    first: u64,
    next: u64,
    end: u64,
    headed: bool,
    unread: u64,
    from_peers: u64,
    progressed: Timestamp,
}

impl Body {
    fn piece(&self) -> u32 {
        (self.next / u64::from(PIECE_BYTES)) as u32
    }

    /// The pieces that are yet to be delivered.
    fn span(&self) -> Range<u32> {
        self.piece()..(self.end.div_ceil(u64::from(PIECE_BYTES)) as u32).max(self.piece() + 1)
    }

    /// Whether the page has to read before it is given more.
    fn is_full(&self) -> bool {
        self.unread > UNREAD_MOST - u64::from(PIECE_BYTES)
    }
}

impl Engine {
    pub(crate) fn request(
        &mut self,
        now: Timestamp,
        id: RequestId,
        url: Box<str>,
        range: Option<ByteRange>,
        rescue: bool,
    ) {
        if self.requests.len() >= MOST_REQUESTS || self.requests.contains_key(&id) {
            return self.out.push(Output::Fallback { id, reason: Reason::Busy, delivered: 0 });
        }
        self.requests.insert(id, Request { url, range, rescue, began: now, hedged: false, body: None });
        // The page comes first, so what is fetched ahead gets out of its way before anybody is asked.
        self.settle_replication(now);
        self.begin(now, id);
    }

    /// Tries again to begin every request that waits for the manifest or for digests.
    pub(crate) fn begin_waiting(&mut self, now: Timestamp) {
        let waiting = self.requests.iter().filter(|(_, request)| request.body.is_none());
        let ids: Vec<RequestId> = waiting.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.begin(now, id));
    }

    fn begin(&mut self, now: Timestamp, id: RequestId) {
        let Some(request) = self.requests.get(&id) else { return };
        if let Some(reason) = self.off_reason() {
            return self.fall_back(now, id, reason);
        }
        let (range, rescue) = (request.range, request.rescue);
        let patient = rescue || self.policy.prefer == Prefer::Offload;
        let Some(entry) = self.catalogue.by_url(&request.url) else {
            return match (self.session.synced, patient) {
                (true, _) => self.fall_back(now, id, Reason::NotAdmitted),
                (false, false) => self.fall_back(now, id, Reason::NoSession),
                (false, true) => {}
            };
        };
        if !rescue && !self.session.confirms(now) {
            // It may have been purged since this browser last heard.
            if !patient {
                self.fall_back(now, id, Reason::NoSession);
            }
            return;
        }
        if self.clock.unix_ms(now) >= entry.fresh_until_ms() {
            // A renewal may be on its way, and is worth waiting for when there is nothing else.
            let renewable = rescue || (patient && !self.session.synced);
            if !renewable {
                self.fall_back(now, id, Reason::Stale);
            }
            return;
        }
        let (asset, hash, size) = (entry.asset.id, entry.asset.hash, entry.asset.size);
        self.visit.used(hash);
        // What is missing has no parts.
        let has_parts = range.is_none() || entry.asset.status == OK;
        let range = bytes_of(range, size).filter(|_| has_parts);
        let Some(Range { start: first, end }) = range else {
            return self.fall_back(now, id, Reason::BadRange);
        };
        if !self.ensure_download(hash) {
            return self.want_digests(now, asset);
        }
        let body =
            Body { hash, first, next: first, end, headed: false, unread: 0, from_peers: 0, progressed: now };
        let slower = !rescue && self.mesh_is_slower(now, &body);
        if slower {
            self.fall_back(now, id, Reason::OriginFaster);
            return self.drive(now, hash);
        }
        if let Some(request) = self.requests.get_mut(&id) {
            request.body = Some(body);
        }
        self.drive(now, hash);
    }

    /// Whether neighbours that could answer would be later than the policy allows.
    fn mesh_is_slower(&self, now: Timestamp, body: &Body) -> bool {
        let holders = self.holders(now, body.hash);
        let held = self.store.segments(body.hash).is_some();
        let bytes = body.end - body.next;
        let Some(origin) = self.without_peers(bytes).filter(|_| !held && !holders.is_empty()) else {
            return false;
        };
        // They come to this request after all that they were asked for before it.
        self.predict_mesh(&holders, self.awaited_from(&holders) + bytes) > origin + self.patience()
    }

    /// What requests wait for that these neighbours hold, as far ahead as pages read, in bytes.
    fn awaited_from(&self, holders: &[PeerId]) -> u64 {
        let bodies = self.requests.values().filter_map(|request| request.body.as_ref());
        let awaited = bodies.filter(|body| {
            self.store.segments(body.hash).is_none() && self.is_held_by_any(holders, body.hash)
        });
        awaited.map(|body| (body.end - body.next).min(UNREAD_MOST.saturating_sub(body.unread))).sum()
    }

    /// By how much the mesh may be later than the origin.
    fn patience(&self) -> Duration {
        match self.policy.prefer {
            Prefer::Speed => Duration::ZERO,
            Prefer::Offload => Duration::from_millis(u64::from(self.policy.patience_ms)),
        }
    }

    /// When something is decided about a request that gets no further.
    fn request_due(&self, request: &Request) -> Option<Timestamp> {
        let rescue = Duration::from_millis(u64::from(self.policy.rescue_patience_ms));
        let hedge = match self.policy.prefer {
            _ if request.rescue => rescue,
            Prefer::Speed => self.origin.first_byte().unwrap_or(HEDGE_UNMEASURED).max(HEDGE_LEAST),
            Prefer::Offload => self.origin.first_byte().unwrap_or_default() + self.patience(),
        };
        match &request.body {
            Some(body) if body.headed => {
                let stall = if request.rescue { rescue } else { STALL + self.patience() };
                if body.is_full() { None } else { Some(body.progressed + stall) }
            }
            _ if request.hedged && self.policy.hedge => Some(request.began + hedge + HEDGED_MOST),
            _ if request.hedged => Some(request.began + hedge + STALL),
            _ => Some(request.began + hedge),
        }
    }

    pub(crate) fn requests_due(&self) -> Option<Timestamp> {
        self.requests.values().filter_map(|request| self.request_due(request)).min()
    }

    /// Decides about every request whose time has come.
    pub(crate) fn settle_requests(&mut self, now: Timestamp) {
        let due =
            self.requests.iter().filter(|(_, request)| self.request_due(request).is_some_and(|at| now >= at));
        let due: Vec<RequestId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(request) = self.requests.get(&id) else { continue };
            let hash = request.body.as_ref().map(|body| body.hash);
            let headed = request.body.as_ref().is_some_and(|body| body.headed);
            let trying = request.body.as_ref().is_some_and(|body| self.is_on_its_way(now, body));
            if trying && !headed && !request.hedged && !request.rescue {
                if self.policy.hedge {
                    self.out.note(now, Event::Hedge, None, &request.url, 0);
                    self.out.push(Output::Hedge { id });
                }
                if let Some(request) = self.requests.get_mut(&id) {
                    request.hedged = true;
                }
                continue;
            }
            let reason = match (trying || headed, self.session.joined()) {
                (true, _) => Reason::Stalled,
                (false, true) => Reason::NoHolder,
                (false, false) => Reason::NoSession,
            };
            self.fall_back(now, id, reason);
            if let Some(hash) = hash {
                self.drive(now, hash);
            }
        }
    }

    /// Whether somebody is about to give the next piece.
    fn is_on_its_way(&self, now: Timestamp, body: &Body) -> bool {
        let download = self.downloads.get(&body.hash);
        download.is_some_and(|download| download.pieces.contains_key(&body.piece()))
            || !self.holders(now, body.hash).is_empty()
    }

    /// Gives up requests of a content for which there is no prospect.
    pub(crate) fn judge_requests(&mut self, now: Timestamp, hash: Digest) {
        for id in self.requests_of(hash) {
            let Some(request) = self.requests.get(&id) else { continue };
            let Some(body) = &request.body else { continue };
            if request.rescue || self.is_on_its_way(now, body) {
                continue;
            }
            let nobody = self.catalogue.ids_of(hash).any(|asset| self.session.nobody_holds(asset));
            let waits =
                self.policy.prefer == Prefer::Offload && !nobody && self.circumstances.alone.is_none();
            if !waits && !self.holder_is_coming_in_time(hash) {
                let reason = self.circumstances.alone.unwrap_or(Reason::NoHolder);
                self.fall_back(now, id, reason);
            }
        }
    }

    fn holder_is_coming_in_time(&self, hash: Digest) -> bool {
        self.policy.prefer == Prefer::Offload && self.holder_is_coming(hash)
    }

    fn requests_of(&self, hash: Digest) -> Vec<RequestId> {
        let of = |request: &Request| request.body.as_ref().is_some_and(|body| body.hash == hash);
        self.requests.iter().filter(|(_, request)| of(request)).map(|(id, _)| *id).collect()
    }

    /// The pieces that requests of a content have yet to deliver.
    pub(crate) fn spans_needed(&self, hash: Digest) -> Vec<Range<u32>> {
        let bodies = self.requests.values().filter_map(|request| request.body.as_ref());
        bodies.filter(|body| body.hash == hash).map(Body::span).collect()
    }

    /// The pieces to be had next for requests of a content, as far ahead as the page reads, or for replication.
    pub(crate) fn wanted_pieces(&self, hash: Digest) -> Vec<u32> {
        let Some(download) = self.downloads.get(&hash) else { return Vec::new() };
        let bodies = self.requests.values().filter_map(|request| request.body.as_ref());
        let mut wanted = Set::default();
        for body in bodies.filter(|body| body.hash == hash) {
            let window = UNREAD_MOST.saturating_sub(body.unread) / u64::from(PIECE_BYTES);
            let lacking = |piece: &u32| !download.pieces.contains_key(piece);
            body.span().take(window as usize).filter(lacking).for_each(|piece| _ = wanted.insert(piece));
        }
        self.replicated_next(hash, download).for_each(|piece| _ = wanted.insert(piece));
        wanted.into_vec()
    }

    /// Delivers what is verified, in order.
    pub(crate) fn deliver(&mut self, now: Timestamp, hash: Digest) {
        for id in self.requests_of(hash) {
            self.deliver_to(now, id, hash);
        }
    }

    fn deliver_to(&mut self, now: Timestamp, id: RequestId, hash: Digest) {
        while let Some(request) = self.requests.get_mut(&id)
            && let Some(body) = &mut request.body
            && !body.is_full()
            && let Some(Piece::Ready(payload, source)) =
                self.downloads.get(&hash).and_then(|download| download.pieces.get(&body.piece()))
        {
            // The URL may stand for something else by now, while the content is admitted under another.
            let entry = self.catalogue.by_url(&request.url).filter(|entry| entry.asset.hash == hash);
            if !body.headed && entry.is_none() {
                return self.fall_back(now, id, Reason::Purged);
            }
            let start = u64::from(body.piece()) * u64::from(PIECE_BYTES);
            let skip = (body.next - start) as u32;
            let take = (body.end - body.next).min(u64::from(payload.len - skip.min(payload.len))) as u32;
            let head = !std::mem::replace(&mut body.headed, true);
            let (handle, first) = (payload.handle, body.first);
            body.next += u64::from(take);
            body.unread += u64::from(take);
            body.progressed = now;
            match source {
                Source::Peer(_) => {
                    body.from_peers += u64::from(take);
                    self.traffic.bytes.peers += u64::from(take);
                }
                Source::Own | Source::Stored => self.traffic.bytes.cache += u64::from(take),
            }
            let (end, complete) = (body.end, body.next == body.end);
            if head {
                self.begin_response(id, first, end);
            }
            if take > 0 {
                self.out.push(Output::Deliver { id, handle, skip, take });
            }
            if complete {
                return self.end(now, id);
            }
        }
    }

    fn begin_response(&mut self, id: RequestId, first: u64, end: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        let Some(Entry { asset }) = self.catalogue.by_url(&request.url) else { return };
        let mut headers: Headers = asset.headers.to_vec();
        headers.push(("content-length".into(), spelled(&[("", end - first)])));
        let status = if request.range.is_some() {
            let range = spelled(&[("bytes ", first), ("-", end.saturating_sub(1)), ("/", asset.size)]);
            headers.push(("content-range".into(), range));
            206
        } else {
            asset.status
        };
        let pieces = asset.pieces.clone().unwrap_or_default();
        self.out.push(Output::Head { id, status, headers, first, end, size: asset.size, pieces });
    }

    fn end(&mut self, now: Timestamp, id: RequestId) {
        let Some(Request { url, body: Some(body), .. }) = self.requests.remove(&id) else { return };
        if body.from_peers > 0 {
            self.traffic.requests.peers += 1;
        } else {
            self.traffic.requests.cache += 1;
        }
        self.page_used(now, body.hash, body.end - body.first - body.from_peers);
        self.out.note(now, Event::Served, None, &url, body.from_peers);
        self.out.push(Output::End { id });
        self.store.touch(body.hash, self.clock.unix_ms(now));
        self.stats_due.get_or_insert(now);
    }

    /// Leaves (the rest of) a request to the origin.
    pub(crate) fn fall_back(&mut self, now: Timestamp, id: RequestId, reason: Reason) {
        let Some(request) = self.requests.remove(&id) else { return };
        let delivered = request.body.as_ref().map_or(0, |body| body.next - body.first);
        self.out.note(now, Event::Fallback, Some(reason), &request.url, delivered);
        self.out.push(Output::Fallback { id, reason, delivered });
        self.stats_due.get_or_insert(now);
    }

    /// The body is done with a request.
    pub(crate) fn cancel(&mut self, now: Timestamp, id: RequestId, reason: Option<Reason>) {
        let Some(request) = self.requests.remove(&id) else { return };
        if reason.is_some() {
            let delivered = request.body.as_ref().map_or(0, |body| body.next - body.first);
            self.out.note(now, Event::Fallback, reason, &request.url, delivered);
        }
        if let Some(body) = request.body {
            self.drive(now, body.hash);
        }
    }

    /// The page has read some of what was delivered.
    pub(crate) fn consumed(&mut self, now: Timestamp, id: RequestId, bytes: u32) {
        let Some(body) = self.requests.get_mut(&id).and_then(|request| request.body.as_mut()) else { return };
        if body.is_full() {
            // It was the page that waited, not the mesh.
            body.progressed = now;
        }
        body.unread = body.unread.saturating_sub(u64::from(bytes));
        let hash = body.hash;
        self.drive(now, hash);
    }

    /// Leaves every request to the origin.
    pub(crate) fn fall_back_all(&mut self, now: Timestamp, reason: Reason) {
        let ids: Vec<RequestId> = self.requests.keys().to_vec();
        ids.into_iter().for_each(|id| self.fall_back(now, id, reason));
        self.replication.look_again();
        self.drive_all(now);
    }

    /// A content is no longer admitted: what has not begun is left to the origin. A response that has begun is
    /// carried on from what is already here, so that the page gets one version whole; what is missing, the worker
    /// fetches and verifies.
    pub(crate) fn abandon(&mut self, now: Timestamp, hash: Digest, reason: Reason) {
        for id in self.requests_of(hash) {
            self.fall_back(now, id, reason);
        }
        self.drive(now, hash);
    }
}

/// The bytes of an asset that a range asks for; none when it asks for nothing that is there (RFC 9110, section
/// 14.1.2).
fn bytes_of(range: Option<ByteRange>, size: u64) -> Option<Range<u64>> {
    let Some(ByteRange { first, last }) = range else { return Some(0..size) };
    let end = last.map_or(size, |last| last.saturating_add(1).min(size));
    (first < end).then_some(first..end)
}

/// Words and numbers, as text. It is `format!` without its weight.
fn spelled(parts: &[(&str, u64)]) -> Box<str> {
    fn push_decimal(text: &mut String, number: u64) {
        if number > 9 {
            push_decimal(text, number / 10);
        }
        text.push(char::from(b'0' + (number % 10) as u8));
    }
    let mut text = String::new();
    for (word, number) in parts {
        text.push_str(word);
        push_decimal(&mut text, *number);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use edgeweave_protocol::manifest::piece_len;

    use super::*;

    #[test]
    fn ranges_are_what_the_asset_has_of_them() {
        let range = |first, last| bytes_of(Some(ByteRange { first, last }), 100);
        assert_eq!(bytes_of(None, 0), Some(0..0));
        assert_eq!(range(0, None), Some(0..100));
        assert_eq!(range(10, Some(10)), Some(10..11));
        assert_eq!(range(90, Some(u64::MAX)), Some(90..100));
        assert_eq!(range(100, None), None);
        assert_eq!(range(9, Some(3)), None);
    }

    #[test]
    fn numbers_are_spelled_in_decimal_digits() {
        assert_eq!(
            &*spelled(&[("bytes ", 0), ("-", 10), ("/", u64::MAX)]),
            "bytes 0-10/18446744073709551615"
        );
    }

    #[test]
    fn every_piece_of_a_body_is_in_its_span() {
        let body = |next: u64, end: u64| Body {
            hash: Digest([0; 32]),
            first: 0,
            next,
            end,
            headed: false,
            unread: 0,
            from_peers: 0,
            progressed: Timestamp::ZERO,
        };
        let piece = u64::from(PIECE_BYTES);
        assert_eq!(body(0, 0).span(), 0..1);
        assert_eq!(body(piece, piece * 2 + 1).span(), 1..3);
        assert_eq!(piece_len(piece * 2 + 1, 2), 1);
    }
}
