//! How an asset stays what the origin has.

use std::time::Duration;

use edgeweave_protocol::limits::MAX_FIND_ASSETS;
use edgeweave_protocol::manifest::{Headers, OK, is_missing};
use edgeweave_protocol::{AssetId, Reason, Timestamp};

use crate::Coordinator;
use crate::admission::{self, Freshness, Presence};
use crate::admit::{FAILED_FOR, REFUSED_FOR, has_failed};
use crate::fetches::Task;
use crate::io::Fetched;
use crate::manifest::Upkeep;

/// An asset is checked this part of its freshness before that ends, within [`LEAST_LEAD`] and [`MOST_LEAD`].
const LEAD_PART: u32 = 5;
/// See [`LEAD_PART`].
const LEAST_LEAD: Duration = Duration::from_secs(3);
/// See [`LEAD_PART`].
const MOST_LEAD: Duration = Duration::from_secs(30);

/// An asset is not checked more often.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time to the next check: time enough to come again with the manifest of a site that is never left.
const MOST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The wait after the first failed check; it doubles with every failure, to [`MOST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(2);
/// See [`FIRST_BACKOFF`].
const MOST_BACKOFF: Duration = Duration::from_secs(60);

/// How far past the next check an asset is kept fresh while its origin fails: in short steps, so that it is soon out
/// of use when the origin answers otherwise.
const GRACE_MARGIN: Duration = Duration::from_secs(10);

/// Distinct visitors whose own copies must differ before an asset is removed.
const DOUBTERS: usize = 3;

/// Where many hold an asset, it takes a doubter for so many of them: some visitors' browsers change what they load.
const HOLDERS_A_DOUBTER: usize = 10;

/// A URL that visitors receive other bytes for than we do is not considered again for so long.
pub(crate) const VISITORS_DIFFER_FOR: Duration = Duration::from_secs(24 * 3600);

impl Coordinator {
    /// Plans the next check of an asset that has just got its freshness.
    pub(crate) fn plan_check(&mut self, now: Timestamp, id: AssetId) {
        let Some(entry) = self.manifest.get(id) else { return };
        let left = entry.fresh_until.since(now);
        let lead = (left / LEAD_PART).clamp(LEAST_LEAD, MOST_LEAD);
        let wait = left.saturating_sub(lead).clamp(LEAST_INTERVAL, MOST_INTERVAL);
        self.manifest.check_at(id, Some(now + wait));
    }

    /// A peer has to do with an asset. One that was left to go stale is worth a check again.
    pub(crate) fn used(&mut self, now: Timestamp, id: AssetId) {
        let Some(entry) = self.manifest.get_mut(id) else { return };
        entry.used_at = now;
        if entry.rests() && !self.fetches.contains(&entry.asset().url) {
            let wait = entry.fresh_until.since(now).saturating_sub(LEAST_LEAD);
            self.manifest.check_at(id, Some(now + wait));
        }
    }

    /// Begins the checks that are due, of assets that somebody holds or has asked for since the last: of a large site
    /// the rest goes stale, and is checked when it is used again. So does everything while nobody is there.
    pub(crate) fn check_due(&mut self, now: Timestamp) {
        if self.sessions.crowd() == 0 {
            return;
        }
        while let Some(id) = self.manifest.take_due_check(now) {
            let Some(entry) = self.manifest.get(id) else { continue };
            let is_held = self.directory.has(id) || self.keepers.has(id);
            if !is_held && entry.used_at < entry.checked_at {
                continue;
            }
            let asset = entry.asset();
            let url = asset.url.clone();
            // Those of a page that says that something is missing are not those of the file that may be there now.
            let validators =
                if is_missing(asset.status) { Headers::new() } else { admission::validators(&asset.headers) };
            self.fetches.push(&url, Task::Check(id, validators));
        }
    }

    /// The origin has answered to a check, or not.
    pub(crate) fn checked(
        &mut self,
        now: Timestamp,
        id: AssetId,
        validators: &Headers,
        outcome: Result<Fetched, Reason>,
    ) {
        let Some(entry) = self.manifest.get_mut(id) else { return };
        entry.checked_at = now;
        if has_failed(&outcome) {
            return self.bear(now, id);
        }
        match outcome {
            Ok(Fetched { status: 304, headers, .. }) if !validators.is_empty() => {
                let headers = admission::updated(&entry.asset().headers, &headers);
                let (unix_ms, rules) = (self.unix_ms(now), &self.setup.admission);
                match admission::judge(Presence::Here, false, &headers, unix_ms, rules) {
                    Ok(freshness) => self.renew(now, id, &headers, freshness),
                    Err(reason) => self.remove_and_refuse(now, id, reason),
                }
            }
            outcome => {
                let asset = entry.asset();
                let (url, hash, was) = (asset.url.clone(), asset.hash, Presence::of_asset(asset));
                // What was missing can be there. What is missing now, visitors have yet to miss.
                let is_here = matches!(outcome, Ok(Fetched { status: OK, .. }));
                let is = if is_here { Presence::Here } else { was };
                match self.judge(now, &url, is, outcome) {
                    Ok(judged) if is == was && judged.content.hash == hash => {
                        self.renew(now, id, &judged.headers, judged.freshness);
                    }
                    Ok(judged) => {
                        self.remove(now, id, Reason::Changed);
                        self.fetches.push(&url, Task::Confirm(is, judged.content.hash));
                    }
                    Err(reason) => self.remove_and_refuse(now, id, reason),
                }
            }
        }
    }

    fn renew(&mut self, now: Timestamp, id: AssetId, headers: &Headers, freshness: Freshness) {
        self.manifest.set_headers(id, admission::carried(headers));
        let fresh_until = now + freshness.left;
        let upkeep = Upkeep { grace: freshness.grace, promised_until: fresh_until, failures: 0 };
        self.manifest.renew(now, id, fresh_until, upkeep);
        self.plan_check(now, id);
    }

    fn remove_and_refuse(&mut self, now: Timestamp, id: AssetId, reason: Reason) {
        let Some(presence) = self.manifest.get(id).map(|entry| Presence::of_asset(entry.asset())) else {
            return;
        };
        if let Some(url) = self.remove(now, id, reason) {
            let wait = if reason == Reason::OriginUnreachable { FAILED_FOR } else { REFUSED_FOR };
            self.not_admitted(presence).refused.insert(now, &url, wait);
        }
    }

    /// The origin fails: the asset stays in use as long as the rules allow, and in the manifest for as long again as
    /// they could, so that it is at hand when the origin is back.
    fn bear(&mut self, now: Timestamp, id: AssetId) {
        let Some(entry) = self.manifest.get(id) else { return };
        let (upkeep, fresh_until) = (entry.upkeep, entry.fresh_until);
        let given_up =
            upkeep.promised_until + Duration::from_secs(self.setup.admission.stale_if_error_s.into());
        if now > given_up.max(upkeep.promised_until + upkeep.grace) {
            return self.remove_and_refuse(now, id, Reason::OriginUnreachable);
        }
        let backoff = FIRST_BACKOFF.saturating_mul(1 << upkeep.failures.min(16)).min(MOST_BACKOFF);
        let step = (now + backoff + GRACE_MARGIN).min(upkeep.promised_until + upkeep.grace);
        let upkeep = Upkeep { failures: upkeep.failures.saturating_add(1), ..upkeep };
        if step > fresh_until {
            self.manifest.renew(now, id, step, upkeep);
        } else if let Some(entry) = self.manifest.get_mut(id) {
            entry.upkeep = upkeep;
        }
        self.manifest.check_at(id, Some(now + backoff));
    }

    /// A visitor's own copies of these assets differ from the admitted ones.
    pub(crate) fn doubt(&mut self, now: Timestamp, visitor: u32, assets: &[AssetId]) {
        for id in assets.iter().take(MAX_FIND_ASSETS) {
            let Some(entry) = self.manifest.get_mut(*id) else { continue };
            if entry.doubters.contains(&visitor) {
                continue;
            }
            entry.doubters.push(visitor);
            let url = entry.asset().url.clone();
            let holders = self.directory.holders(*id).len();
            if entry.doubters.len() >= DOUBTERS.max(holders / HOLDERS_A_DOUBTER) {
                let presence = Presence::of_asset(entry.asset());
                self.remove(now, *id, Reason::VisitorsDiffer);
                self.fetches.give_up(&url);
                self.not_admitted(presence).refused.insert(now, &url, VISITORS_DIFFER_FOR);
            } else if entry.doubters.len() == 1 && !self.fetches.contains(&url) {
                // Without validators: it is the bytes that are in doubt.
                self.manifest.check_at(*id, None);
                self.fetches.push(&url, Task::Check(*id, Headers::new()));
            }
        }
    }
}
