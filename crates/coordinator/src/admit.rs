//! How a URL that visitors saw becomes an asset, and stops being one.

use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::limits::{MAX_ADMITTED, MAX_ASSET_BYTES, MAX_TO_PEER_BYTES, PIECE_BYTES};
use edgeweave_protocol::manifest::{Asset, Headers, is_missing};
use edgeweave_protocol::{AssetId, Digest, Reason, Timestamp};
use rand::Rng;

use crate::Coordinator;
use crate::admission::{self, Freshness, Presence};
use crate::fetches::Task;
use crate::io::{Content, Fetched, Output};
use crate::manifest::{Admission, Upkeep};
use crate::revalidate::VISITORS_DIFFER_FOR;
use crate::session::Member;
use crate::sightings::{NotAdmitted, Threshold, Witness};

/// The largest asset that can be admitted, in bytes: one message has to tell the digests of all its pieces.
const MOST_BYTES: u64 = {
    const ROOM_FOR_NAMES: usize = 64;
    let pieces = (MAX_TO_PEER_BYTES - ROOM_FOR_NAMES) / Digest::TEXT_BYTES;
    let bytes = pieces as u64 * PIECE_BYTES as u64;
    if bytes < MAX_ASSET_BYTES { bytes } else { MAX_ASSET_BYTES }
};

/// A URL that was not admitted is not fetched again for so long.
pub(crate) const REFUSED_FOR: Duration = Duration::from_secs(600);

/// The same when its origin could not be reached or failed: that passes.
pub(crate) const FAILED_FOR: Duration = Duration::from_secs(30);

/// The most that is admitted as missing at a time: all of it is asked for again every minute, and anybody can make up names.
const MOST_MISSING: usize = 256;

/// Where so many files are admitted, other names of the same folder are those of files, too.
const FILES_OF_A_FOLDER: usize = 3;

/// The status of an origin that will answer later.
const TOO_MANY_REQUESTS: u16 = 429;

/// Whether an origin has not said what it has, because it could not.
pub(crate) fn has_failed(outcome: &Result<Fetched, Reason>) -> bool {
    matches!(outcome, Err(Reason::OriginUnreachable) | Ok(Fetched { status: TOO_MANY_REQUESTS | 500.., .. }))
}

/// An answer with content that can be admitted.
pub(crate) struct Judged {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) content: Content,
    pub(crate) freshness: Freshness,
}

impl Coordinator {
    /// What is not admitted of what visitors see, or miss.
    pub(crate) fn not_admitted(&mut self, presence: Presence) -> &mut NotAdmitted {
        match presence {
            Presence::Here => &mut self.seen,
            Presence::Missing => &mut self.missed,
        }
    }

    /// A visitor has seen a URL, or has missed it. What some miss may be there for others: it takes both visitors who were told
    /// so, and the same word for somebody whom the origin does not know.
    pub(crate) fn sighted(&mut self, now: Timestamp, by: Witness, presence: Presence, url: &str) {
        if let Some(id) = self.manifest.by_url(url) {
            let admitted = self.manifest.get(id).map(|entry| Presence::of_asset(entry.asset()));
            if (admitted, presence) != (Some(Presence::Missing), Presence::Here) {
                return self.used(now, id);
            }
            // Whom the origin knows, it gives what it has.
            self.remove(now, id, Reason::VisitorsDiffer);
            self.missed.refused.insert(now, url, VISITORS_DIFFER_FOR);
        }
        if presence == Presence::Missing && !self.can_be_missing(now, url) {
            return;
        }
        let is_refused = self.not_admitted(presence).refused.contains(now, url);
        if !self.setup.policy.enabled || is_refused || self.fetches.contains(url) {
            return;
        }
        if let Err(reason) = admission::judge_url(url, &self.setup.origins) {
            // Pages load much from elsewhere: what can be told from the URL alone need not be remembered.
            return *self.counts.refusals.entry(reason).or_default() += 1;
        }
        let rules = &self.setup.admission;
        let time = match presence {
            Presence::Here => Duration::ZERO,
            Presence::Missing => Duration::from_secs(rules.missing_after_s.into()),
        };
        let threshold = Threshold { visitors: rules.sightings, time };
        if self.not_admitted(presence).sightings.add(now, url, by, threshold) {
            self.fetches.push(url, Task::Consider(presence));
        }
    }

    /// Whether what some visitors miss may be admitted as missing: nobody has seen it lately, and there is a supernode to give what
    /// no visitor's browser keeps.
    fn can_be_missing(&self, now: Timestamp, url: &str) -> bool {
        self.setup.policy.supernode && !self.seen.sightings.contains(now, url)
    }

    /// Whether a URL is that of a file, by its name or by its company: behind others there may be programs, which answer
    /// visitors whom they know differently.
    fn is_file(&self, url: &str) -> bool {
        admission::is_static_name(url) || self.manifest.files_beside(url) >= FILES_OF_A_FOLDER
    }

    fn max_bytes(&self) -> u64 {
        self.setup.policy.max_asset_bytes.min(MOST_BYTES)
    }

    /// The policy may have come to allow less.
    pub(crate) fn remove_too_large(&mut self, now: Timestamp) {
        let max_bytes = self.max_bytes();
        let is_too_large =
            |id: &AssetId| self.manifest.get(*id).is_some_and(|entry| entry.asset().size > max_bytes);
        let too_large: Vec<AssetId> = self.manifest.ids().filter(is_too_large).collect();
        too_large.into_iter().for_each(|id| _ = self.remove(now, id, Reason::TooLarge));
    }

    pub(crate) fn begin_fetches(&mut self) {
        let max_bytes = self.max_bytes();
        while let Some((url, task)) = self.fetches.begin() {
            let validators = match task {
                Task::Check(_, validators) => validators,
                Task::Consider(_) | Task::Confirm(..) => Vec::new(),
            };
            self.out.push(Output::Fetch { url, validators, max_bytes });
        }
    }

    /// The origin has answered, or not.
    pub(crate) fn fetched(&mut self, now: Timestamp, url: &str, outcome: Result<Fetched, Reason>) {
        let task = self.fetches.end(url);
        let wait = if has_failed(&outcome) { FAILED_FOR } else { REFUSED_FOR };
        match task {
            Some(Task::Consider(presence)) => match self.judge(now, url, presence, outcome) {
                Ok(judged) => self.fetches.push(url, Task::Confirm(presence, judged.content.hash)),
                Err(reason) => {
                    if reason == Reason::Status && !self.warming.contains(url) {
                        // Visitors are told one thing, and the node another.
                        self.missed.refused.insert(now, url, VISITORS_DIFFER_FOR);
                    }
                    self.refuse(now, url, presence, reason, wait);
                }
            },
            Some(Task::Confirm(presence, hash)) => match self.judge(now, url, presence, outcome) {
                Ok(judged) if judged.content.hash == hash => self.confirmed(now, url, judged),
                Ok(_) => self.refuse(now, url, presence, Reason::Differs, REFUSED_FOR),
                Err(reason) => self.refuse(now, url, presence, reason, wait),
            },
            Some(Task::Check(id, validators)) => self.checked(now, id, &validators, outcome),
            None => {}
        }
        if !self.fetches.contains(url) {
            self.go_on_warming(url);
        }
    }

    /// Whether an answer with content can be admitted as what visitors saw.
    pub(crate) fn judge(
        &self,
        now: Timestamp,
        url: &str,
        presence: Presence,
        outcome: Result<Fetched, Reason>,
    ) -> Result<Judged, Reason> {
        let Fetched { status, headers, content } = outcome?;
        if Presence::of(status) != Some(presence) {
            return Err(Reason::Status);
        }
        let (unix_ms, rules) = (self.unix_ms(now), &self.setup.admission);
        // Of what is here, its type says so.
        let is_file = presence == Presence::Missing && self.is_file(url);
        let freshness = admission::judge(presence, is_file, &headers, unix_ms, rules)?;
        let content = content.ok_or(Reason::OriginUnreachable)?;
        if content.size > self.max_bytes() {
            return Err(Reason::TooLarge);
        }
        Ok(Judged { status, headers, content, freshness })
    }

    pub(crate) fn unix_ms(&self, now: Timestamp) -> u64 {
        self.setup.unix_ms.saturating_add(now.as_micros() / 1000)
    }

    fn confirmed(&mut self, now: Timestamp, url: &str, judged: Judged) {
        let Judged { status, headers, content, freshness } = judged;
        // It cannot be there, as only one fetch of a URL is under way; if it were, both would have to go.
        if let Some(id) = self.manifest.by_url(url) {
            self.remove(now, id, Reason::Changed);
        }
        self.make_room(now, is_missing(status));
        let fresh_until = now + freshness.left;
        let asset = Asset {
            id: AssetId(0),
            url: url.into(),
            hash: content.hash,
            size: content.size,
            fresh_ms: 0,
            status,
            headers: admission::carried(&headers).into(),
            pieces: None,
        };
        let upkeep = Upkeep { grace: freshness.grace, promised_until: fresh_until, failures: 0 };
        let id = self.manifest.admit(now, Admission { asset, pieces: content.pieces, fresh_until, upkeep });
        self.plan_check(now, id);
        self.counts.admissions += 1;
    }

    fn make_room(&mut self, now: Timestamp, for_missing: bool) {
        if for_missing && self.manifest.count_missing() >= MOST_MISSING {
            let least_used = self.manifest.least_used(|entry| is_missing(entry.asset().status));
            least_used.into_iter().for_each(|id| _ = self.remove(now, id, Reason::Evicted));
        }
        while self.manifest.len() >= MAX_ADMITTED {
            let Some(id) = self.manifest.least_used(|_| true) else { break };
            self.remove(now, id, Reason::Evicted);
        }
        if self.manifest.is_exhausted() {
            let all: Vec<AssetId> = self.manifest.ids().collect();
            all.into_iter().for_each(|id| _ = self.remove(now, id, Reason::Evicted));
            let epoch = self.rng.random();
            self.manifest.begin_epoch(now, epoch);
            self.transitions.forget_assets();
        }
    }

    /// An asset may be neither used nor served any more; returns its URL.
    pub(crate) fn remove(&mut self, now: Timestamp, id: AssetId, reason: Reason) -> Option<Arc<str>> {
        let entry = self.manifest.remove(now, id)?;
        let sharing = self.directory.drop_asset(id);
        for holder in sharing.into_iter().chain(self.keepers.drop_asset(id)) {
            if let Some(Member { holdings, .. }) = self.sessions.member_mut(holder) {
                holdings.remove(id);
            }
        }
        self.wants.drop_asset(id);
        *self.counts.refusals.entry(reason).or_default() += 1;
        Some(entry.asset().url.clone())
    }

    /// A URL is not admitted, and is not considered again for a while.
    fn refuse(&mut self, now: Timestamp, url: &str, presence: Presence, reason: Reason, wait: Duration) {
        self.not_admitted(presence).refused.insert(now, url, wait);
        if presence == Presence::Here {
            self.warmed(url, Err(reason));
        }
        *self.counts.refusals.entry(reason).or_default() += 1;
    }

    /// The operator purges a URL. Visitors who see it again bring it back, with what the origin has then.
    pub(crate) fn purge(&mut self, now: Timestamp, url: &str) {
        self.fetches.give_up(url);
        for presence in [Presence::Here, Presence::Missing] {
            let NotAdmitted { sightings, refused } = self.not_admitted(presence);
            sightings.remove(url);
            refused.remove(url);
        }
        self.warmed(url, Err(Reason::Purged));
        if let Some(id) = self.manifest.by_url(url) {
            self.remove(now, id, Reason::Purged);
        }
    }

    /// The operator purges everything.
    pub(crate) fn purge_all(&mut self, now: Timestamp) {
        self.fetches.give_up_all();
        (self.seen, self.missed) = Default::default();
        self.give_up_warming();
        let all: Vec<AssetId> = self.manifest.ids().collect();
        all.into_iter().for_each(|id| _ = self.remove(now, id, Reason::Purged));
    }
}
