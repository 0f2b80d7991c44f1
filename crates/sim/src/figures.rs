//! What is counted: bytes by source in both arms, page loads, and what an oracle would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edgeweave_protocol::report::{Report, Sources};
use edgeweave_protocol::{Reason, Timestamp};
use serde::Serialize;

use crate::browser::Load;
use crate::content::Token;
use crate::detail::{Hours, Reading};
use crate::event::Arm;
use crate::origin::{Origin, is_public, mesh_lifetime};
use crate::visitor::Visitor;
use crate::world::site::Site;

/// Counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) visitors: u64,
    pub(crate) page_views: u64,
    pub(crate) engines: u64,
    pub(crate) inputs: u64,
    pub(crate) channels: u64,
    pub(crate) hedges: u64,
    holdout: ArmFigures,
    mesh: ArmFigures,
    taking_part: Arms<ViewFigures>,
    /// With a given network: each page view that has ended.
    pub(crate) views: Vec<ViewTimes>,
    /// Of requests under a worker's control, in the mesh arm.
    cache: u64,
    peers: u64,
    supernode: u64,
    replicated: u64,
    replicated_used: u64,
    node_fetched: u64,
    oracle: Oracle,
    fallbacks: BTreeMap<Reason, u64>,
    dismissed: BTreeMap<Reason, u64>,
    networks: BTreeSet<usize>,
    countries: BTreeSet<usize>,
    /// Bytes that each visitor gave.
    uploads: Vec<u64>,
    hours: Hours,
    by_country: Vec<Arms<CountryArm>>,
    by_network: Vec<ByNetwork>,
    /// Bytes that visitors gave of each asset.
    uploads_by_asset: Vec<u64>,
}

/// What one arm has of a country.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CountryArm {
    pub(crate) loads: u64,
    pub(crate) loads_us: u64,
    pub(crate) origin: u64,
}

/// What a network's visitors did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByNetwork {
    pub(crate) page_views: u64,
    /// Bytes that they gave.
    pub(crate) uploaded: u64,
}

/// The counter at a place, all of them being zero at first.
fn counter<T: Clone + Default>(counters: &mut Vec<T>, place: usize) -> &mut T {
    if counters.len() <= place {
        counters.resize(place + 1, T::default());
    }
    &mut counters[place]
}

/// What one arm asked of the origin, and how long its pages took.
#[derive(Debug, Default)]
struct ArmFigures {
    /// All bytes from the origin, and those of requests under a worker's control.
    origin: u64,
    origin_controlled: u64,
    /// In microseconds.
    loads: Vec<u32>,
    first_loads: Vec<u32>,
}

/// What one arm has of whole page views.
#[derive(Debug, Default)]
struct ViewFigures {
    /// In microseconds.
    loads: Vec<u32>,
    unfinished: u64,
    origin: u64,
}

impl ViewFigures {
    fn views(&mut self) -> Views {
        Views {
            page_load: Loads::of(&mut self.loads),
            unfinished: self.unfinished,
            origin_bytes: self.origin,
        }
    }
}

/// The least that the origin must send: each version of an asset once in each of its freshness lifetimes, and whatever
/// is not for everybody each time.
#[derive(Debug, Default)]
struct Oracle {
    all: OracleArm,
    controlled: OracleArm,
}

#[derive(Debug, Default)]
struct OracleArm {
    bytes: u64,
    fresh_until: BTreeMap<(u32, u32), Timestamp>,
}

impl OracleArm {
    fn asked(&mut self, now: Timestamp, site: &Site, asset: Option<u32>, bytes: u64) {
        let public = asset.filter(|asset| is_public(site.assets[*asset as usize].caching));
        let Some(asset) = public else { return self.bytes += bytes };
        let version = Origin::content(now, site, asset, None).version;
        let until = self.fresh_until.entry((asset, version)).or_default();
        if *until <= now {
            // What it holds of that version it need only have confirmed.
            let is_new = *until == Timestamp::ZERO;
            *until = now + mesh_lifetime(site.assets[asset as usize].caching);
            if is_new {
                self.bytes += u64::from(site.assets[asset as usize].bytes);
            }
        }
    }
}

/// A request to the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// The asset; `None` for a document.
    pub(crate) asset: Option<u32>,
    /// The country that asks.
    pub(crate) country: usize,
    /// Whether the page was under a worker's control, and so the mesh could have answered.
    pub(crate) controlled: bool,
    /// Bytes of content that were asked for.
    pub(crate) bytes: u64,
}

impl Figures {
    fn arm(&mut self, arm: Arm) -> &mut ArmFigures {
        match arm {
            Arm::Holdout => &mut self.holdout,
            Arm::Mesh => &mut self.mesh,
        }
    }

    /// A browser has asked the origin.
    pub(crate) fn asked(&mut self, arm: Arm, now: Timestamp, site: &Site, asked: Asked) {
        let Asked { asset, country, controlled, bytes } = asked;
        let controlled = controlled && asset.is_some();
        let figures = self.arm(arm);
        figures.origin += bytes;
        if controlled {
            figures.origin_controlled += bytes;
        }
        counter(&mut self.by_country, country).arm(arm).origin += bytes;
        if arm == Arm::Holdout {
            self.oracle.all.asked(now, site, asset, bytes);
            if controlled {
                self.oracle.controlled.asked(now, site, asset, bytes);
            }
        }
    }

    /// A page has loaded.
    pub(crate) fn loaded(&mut self, arm: Arm, country: usize, took: Duration, first_ever: bool) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let figures = self.arm(arm);
        figures.loads.push(took);
        if first_ever {
            figures.first_loads.push(took);
        }
        let country = counter(&mut self.by_country, country).arm(arm);
        country.loads += 1;
        country.loads_us += u64::from(took);
    }

    /// A view has ended, of a visitor whom the policy does not leave alone.
    pub(crate) fn took_part(&mut self, arm: Arm, load: &Load) {
        let Some(loaded) = load.loaded else { return };
        let figures = self.taking_part.arm(arm);
        let took = loaded.since(load.began).as_micros();
        figures.loads.push(u32::try_from(took).unwrap_or(u32::MAX));
        figures.unfinished += u64::from(load.is_unfinished);
        figures.origin += load.origin_bytes;
    }

    /// Somebody looks at a page.
    pub(crate) fn viewed(&mut self, network: usize) {
        self.page_views += 1;
        counter(&mut self.by_network, network).page_views += 1;
    }

    pub(crate) fn served_from_cache(&mut self, bytes: u64) {
        self.cache += bytes;
    }

    pub(crate) fn served_by_supernode(&mut self, bytes: u64) {
        self.supernode += bytes;
    }

    pub(crate) fn served_by_peers(&mut self, bytes: u64) {
        self.peers += bytes;
    }

    pub(crate) fn fetched_by_node(&mut self, bytes: u64) {
        self.node_fetched += bytes;
    }

    pub(crate) fn fell_back(&mut self, reason: Reason) {
        *self.fallbacks.entry(reason).or_default() += 1;
    }

    pub(crate) fn dismissed(&mut self, reason: Reason) {
        *self.dismissed.entry(reason).or_default() += 1;
    }

    pub(crate) fn seen(&mut self, network: usize, country: usize) {
        self.networks.insert(network);
        self.countries.insert(country);
    }

    /// A visitor gives a piece, if it is one.
    pub(crate) fn uploaded(&mut self, visitor: &Visitor, payload: Option<(Token, u32)>) {
        // What the operator's own peer gives is no visitor's upload.
        let Some((token, bytes)) = payload.filter(|_| !visitor.is_native) else { return };
        let bytes = u64::from(bytes);
        *counter(&mut self.uploads, visitor.planned.visitor as usize) += bytes;
        *counter(&mut self.uploads_by_asset, token.content.asset as usize) += bytes;
        counter(&mut self.by_network, visitor.person.network).uploaded += bytes;
    }

    /// A client reports what it has not told before.
    pub(crate) fn reported(&mut self, report: &Report) {
        self.replicated += report.traffic.replicated;
        self.replicated_used += report.traffic.replicated_used;
    }

    /// Bytes that the mesh has kept off the origin, the node's own fetches taken off.
    pub(crate) fn offloaded(&self) -> u64 {
        self.holdout.origin.saturating_sub(self.mesh.origin + self.node_fetched)
    }

    /// The clock has come to `now`, and nothing of then has been counted.
    pub(crate) fn clock(&mut self, now: Timestamp) {
        while self.hours.end() <= now {
            self.hours.push(self.reading());
        }
    }

    /// How the counters stand.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            page_views: self.page_views,
            bytes: Sources {
                // What a page uses of what was fetched ahead comes from peers, if by way of the secondary cache.
                cache: self.cache.saturating_sub(self.replicated_used),
                peers: self.peers + self.replicated_used,
                supernode: self.supernode,
                origin: self.mesh.origin,
            },
            node_fetched: self.node_fetched,
            controlled: self.mesh.origin_controlled,
            holdout: self.holdout.origin,
            holdout_controlled: self.holdout.origin_controlled,
            oracle: self.oracle.all.bytes,
            oracle_controlled: self.oracle.controlled.bytes,
        }
    }

    pub(crate) fn hours(&self) -> &Hours {
        &self.hours
    }

    pub(crate) fn by_country(&self) -> &[Arms<CountryArm>] {
        &self.by_country
    }

    pub(crate) fn by_network(&self) -> &[ByNetwork] {
        &self.by_network
    }

    /// Bytes that visitors gave of each asset.
    pub(crate) fn uploads_by_asset(&self) -> &[u64] {
        &self.uploads_by_asset
    }

    /// Bytes that each visitor gave, in no order.
    pub(crate) fn uploads(&self) -> &[u64] {
        &self.uploads
    }

    /// How long pages took, in microseconds: all, and those of visitors who had never been there.
    pub(crate) fn loads(&self, arm: Arm) -> [&[u32]; 2] {
        let figures = match arm {
            Arm::Holdout => &self.holdout,
            Arm::Mesh => &self.mesh,
        };
        [&figures.loads, &figures.first_loads]
    }

    /// Everything that was counted, as it is shown.
    pub(crate) fn summary(&mut self) -> Summary {
        let now = self.reading();
        let (holdout, mesh) = (&mut self.holdout, &mut self.mesh);
        self.uploads.retain(|bytes| *bytes > 0);
        self.uploads.sort_unstable();
        Summary {
            networks: self.networks.len(),
            countries: self.countries.len(),
            visitors: self.visitors,
            page_views: self.page_views,
            bytes: now.bytes,
            holdout_origin_bytes: holdout.origin,
            node_fetched_bytes: self.node_fetched,
            replicated_bytes: self.replicated,
            replicated_unused_bytes: self.replicated.saturating_sub(self.replicated_used),
            offload: now.offload(),
            offload_all: now.offload_all(),
            oracle_offload: now.oracle_offload(),
            oracle_offload_all: now.oracle_offload_all(),
            page_load: Arms { holdout: Loads::of(&mut holdout.loads), mesh: Loads::of(&mut mesh.loads) },
            first_visit: Arms {
                holdout: Loads::of(&mut holdout.first_loads),
                mesh: Loads::of(&mut mesh.first_loads),
            },
            taking_part: Arms {
                holdout: self.taking_part.holdout.views(),
                mesh: self.taking_part.mesh.views(),
            },
            uploads: Uploads::of(&self.uploads),
            channels: self.channels,
            hedges: self.hedges,
            fallbacks: self.fallbacks.clone(),
            dismissed: self.dismissed.clone(),
        }
    }
}

/// Both arms' figures.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Arms<T> {
    /// Without the mesh.
    pub holdout: T,
    /// With it.
    pub mesh: T,
}

impl<T> Arms<T> {
    fn arm(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Holdout => &mut self.holdout,
            Arm::Mesh => &mut self.mesh,
        }
    }
}

/// How long pages took to load.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Loads {
    /// Page views.
    pub n: usize,
    /// The mean, in milliseconds.
    pub mean_ms: f64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// What 95 of 100 do not exceed, in milliseconds.
    pub p95_ms: f64,
}

impl Loads {
    fn of(loads: &mut [u32]) -> Self {
        loads.sort_unstable();
        let ms = |us: u32| f64::from(us) / 1000.0;
        let sum: u64 = loads.iter().map(|us| u64::from(*us)).sum();
        Self {
            n: loads.len(),
            mean_ms: sum as f64 / 1000.0 / loads.len().max(1) as f64,
            p50_ms: quantile(loads, 50).map_or(0.0, ms),
            p95_ms: quantile(loads, 95).map_or(0.0, ms),
        }
    }
}

/// How long one page view took.
#[derive(Clone, Copy, Debug)]
pub struct ViewTimes {
    /// The visit, as a place in [`Plan::visits`](crate::Plan::visits).
    pub visit: usize,
    /// The view, as a place in the visit's.
    pub place: usize,
    /// In milliseconds, in each arm; of somebody who is left alone the mesh's is that of a client that is off.
    pub load_ms: Arms<f64>,
}

/// Whole page views in one arm.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Views {
    /// How long they took.
    pub page_load: Loads,
    /// How many of them were left before they had loaded; they count with the time until then.
    pub unfinished: u64,
    /// What they asked of the origin, documents included, in bytes.
    pub origin_bytes: u64,
}

/// What visitors gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Uploads {
    /// Visitors who gave something.
    pub visitors: usize,
    /// Their mean, in bytes.
    pub mean_bytes: u64,
    /// What 95 of 100 of them do not exceed, in bytes.
    pub p95_bytes: u64,
    /// The most, in bytes.
    pub largest_bytes: u64,
}

impl Uploads {
    /// Of sorted figures.
    fn of(uploads: &[u64]) -> Self {
        Self {
            visitors: uploads.len(),
            mean_bytes: uploads.iter().sum::<u64>() / uploads.len().max(1) as u64,
            p95_bytes: quantile(uploads, 95).unwrap_or(0),
            largest_bytes: uploads.last().copied().unwrap_or(0),
        }
    }
}

/// The nearest rank of sorted figures.
fn quantile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Everything that was counted.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Networks that visitors came from.
    pub networks: usize,
    /// Countries that they came from.
    pub countries: usize,
    /// People.
    pub visitors: u64,
    /// Pages that they looked at, each once without the mesh and once with it.
    pub page_views: u64,
    /// Bytes by source in the mesh arm. What was fetched ahead counts as from peers, when a page first uses it.
    pub bytes: Sources,
    /// Bytes from the origin in the other arm.
    pub holdout_origin_bytes: u64,
    /// Bytes that the node itself fetched; they count as the mesh's.
    pub node_fetched_bytes: u64,
    /// Bytes that browsers fetched ahead from peers for their next pages.
    pub replicated_bytes: u64,
    /// Those that no page has used.
    pub replicated_unused_bytes: u64,
    /// The share of the holdout's origin bytes that the mesh arm did not fetch, of requests under a worker's control.
    pub offload: f64,
    /// The same of all requests.
    pub offload_all: f64,
    /// What an oracle would have reached.
    pub oracle_offload: f64,
    /// The same of all requests.
    pub oracle_offload_all: f64,
    /// Page loads.
    pub page_load: Arms<Loads>,
    /// Those of visitors who had never been there.
    pub first_visit: Arms<Loads>,
    /// All views, first ones included, of visitors whom the site's `holdout_percent` does not leave alone. Where it leaves
    /// nobody alone, that is everybody.
    pub taking_part: Arms<Views>,
    /// What visitors gave.
    pub uploads: Uploads,
    /// Channels that opened.
    pub channels: u64,
    /// Requests for which the supernode or the origin was started beside the mesh.
    pub hedges: u64,
    /// Why requests went to the origin after all.
    pub fallbacks: BTreeMap<Reason, u64>,
    /// Why the node ended sessions.
    pub dismissed: BTreeMap<Reason, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        assert_eq!(quantile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(quantile(&[1, 2, 3, 4], 95), Some(4));
        assert_eq!(quantile::<u8>(&[], 95), None);
    }
}
