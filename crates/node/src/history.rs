//! What a site's mesh did lately, for the dashboard: totals, and samples of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edgeweave_protocol::Reason;
use edgeweave_protocol::report::{Event, Report, Traffic};
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;

use crate::mesh::Mesh;
use crate::report::now_ms;
use crate::site::Site;

/// How often a sample is taken.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Samples that are kept: an hour's.
const KEPT: usize = 720;

/// What a site's clients have reported since the node started, added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests and bytes by source.
    pub(crate) traffic: Traffic,
    /// How often what happened for which reason.
    pub(crate) notes: BTreeMap<(Event, Option<Reason>), u64>,
    /// Reports by country, as ISO 3166 codes.
    pub(crate) countries: BTreeMap<[u8; 2], u64>,
}

/// A site's numbers at a moment. What is counted is counted since the node started.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Peers in the swarm.
    pub(crate) crowd: u32,
    /// Peers that hold something and share it.
    pub(crate) holders: u32,
    /// Admitted assets.
    pub(crate) assets: u32,
    /// Pairs of peers that were told to meet.
    pub(crate) introductions: u64,
    /// Requests and bytes by source, as clients report.
    #[schema(value_type = Object)]
    pub(crate) traffic: Traffic,
}

/// A site's samples and totals.
#[derive(Debug, Default)]
pub(crate) struct History {
    tally: Mutex<Tally>,
    samples: Mutex<VecDeque<Sample>>,
}

impl History {
    /// Counts what a client reports.
    pub(crate) fn count(&self, report: &Report, country: Option<[u8; 2]>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.traffic.add(&report.traffic);
        for note in &report.notes {
            *tally.notes.entry((note.event, note.reason)).or_default() += 1;
        }
        if let Some(country) = country {
            *tally.countries.entry(country).or_default() += 1;
        }
    }

    /// The totals.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a sample, and lets go of the oldest where there is no room.
    pub(crate) fn keep(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The samples after a time in milliseconds since 1970, the oldest first.
    pub(crate) fn samples_after(&self, at_ms: u64) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| sample.at_ms > at_ms).copied().collect()
    }
}

/// Takes samples of all sites; never ends.
pub(crate) async fn sample(sites: Vec<Arc<Site>>, mesh: Mesh) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for site in &sites {
            let look = mesh.look(&site.id, |coordinator, _| (coordinator.counts(), coordinator.activity()));
            let Some((counts, activity)) = look.await else { return };
            site.history.keep(Sample {
                at_ms: now_ms(),
                crowd: counts.crowd,
                holders: activity.holders,
                assets: counts.assets,
                introductions: activity.introductions,
                traffic: site.history.tally().traffic,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(bytes: u64) -> Report {
        let text = format!(
            r#"{{"site":"s","release":"r","notes":[{{"at_ms":1,"event":"fallback","reason":"no_holder"}}],
                "traffic":{{"bytes":{{"peers":{bytes}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn reports_add_up() {
        let history = History::default();
        history.count(&report(3), Some(*b"DE"));
        history.count(&report(4), None);
        let tally = history.tally();
        assert_eq!((tally.traffic.bytes.peers, tally.countries[b"DE"]), (7, 1));
        assert_eq!(tally.notes[&(Event::Fallback, Some(Reason::NoHolder))], 2);
    }

    #[test]
    fn a_clients_numbers_cannot_overflow() {
        let history = History::default();
        (0..2).for_each(|_| history.count(&report(u64::MAX), None));
        assert_eq!(history.tally().traffic.bytes.peers, u64::MAX);
    }

    #[test]
    fn an_hour_is_kept() {
        let history = History::default();
        for at_ms in 1..=1_000 {
            let traffic = Traffic::default();
            history.keep(Sample { at_ms, crowd: 0, holders: 0, assets: 0, introductions: 0, traffic });
        }
        let samples = history.samples_after(0);
        assert_eq!((samples.len(), samples[0].at_ms), (KEPT, 281));
        assert_eq!(history.samples_after(999).len(), 1);
    }
}
