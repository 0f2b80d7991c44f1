//! What a report draws: how figures came about hour by hour, how they are distributed, and whose they are.

use std::ops::Range;
use std::time::Duration;

use edgeweave_protocol::Timestamp;
use edgeweave_protocol::report::Sources;

use crate::event::Arm;
use crate::figures::Arms;
use crate::simulation::Simulation;
use crate::world::site::{AssetKind, Site};

/// As many of a ranking are shown.
const RANKED: usize = 10;

/// Buckets of histograms from a value to the tenfold of it.
const LOAD_BUCKETS: i32 = 16;
const UPLOAD_BUCKETS: i32 = 6;

/// What a report draws.
#[derive(Clone, Debug)]
pub struct Detail {
    /// How the counters stood at the end of each hour of simulated time, and at the end. Hours at the end in which nobody
    /// came are left out.
    pub hours: Vec<Reading>,
    /// How long pages took, in milliseconds.
    pub page_load: Arms<Histogram>,
    /// Those of visitors who had never been there.
    pub first_visit: Arms<Histogram>,
    /// Bytes that each visitor gave who gave any.
    pub uploads: Histogram,
    /// Countries that somebody came from, by page views.
    pub countries: Vec<CountryDetail>,
    /// The networks with most page views.
    pub networks: Vec<NetworkDetail>,
    /// The assets that visitors gave most bytes of.
    pub assets: Vec<AssetDetail>,
}

/// How the counters stand at one moment: sums since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Page views.
    pub page_views: u64,
    /// Bytes by source in the mesh arm.
    pub bytes: Sources,
    /// Bytes that the node itself fetched; they count as the mesh's.
    pub node_fetched: u64,
    /// Bytes from the origin in the mesh arm, of requests under a worker's control.
    pub controlled: u64,
    /// Bytes from the origin in the other arm.
    pub holdout: u64,
    /// Those of requests under a worker's control.
    pub holdout_controlled: u64,
    /// Bytes that an oracle would have asked the origin for.
    pub oracle: u64,
    /// Those for requests under a worker's control.
    pub oracle_controlled: u64,
}

impl Reading {
    /// The share of the holdout's origin bytes that the mesh arm did not fetch, of requests under a worker's control.
    pub fn offload(&self) -> f64 {
        share(self.holdout_controlled, self.controlled + self.node_fetched)
    }

    /// The same of all requests.
    pub fn offload_all(&self) -> f64 {
        share(self.holdout, self.bytes.origin + self.node_fetched)
    }

    /// What an oracle would have reached, of requests under a worker's control.
    pub fn oracle_offload(&self) -> f64 {
        share(self.holdout_controlled, self.oracle_controlled)
    }

    /// The same of all requests.
    pub fn oracle_offload_all(&self) -> f64 {
        share(self.holdout, self.oracle)
    }

    /// What was counted between an earlier moment and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            page_views: self.page_views - earlier.page_views,
            bytes: Sources {
                cache: self.bytes.cache - earlier.bytes.cache,
                peers: self.bytes.peers - earlier.bytes.peers,
                supernode: self.bytes.supernode - earlier.bytes.supernode,
                origin: self.bytes.origin - earlier.bytes.origin,
            },
            node_fetched: self.node_fetched - earlier.node_fetched,
            controlled: self.controlled - earlier.controlled,
            holdout: self.holdout - earlier.holdout,
            holdout_controlled: self.holdout_controlled - earlier.holdout_controlled,
            oracle: self.oracle - earlier.oracle,
            oracle_controlled: self.oracle_controlled - earlier.oracle_controlled,
        }
    }
}

fn share(holdout: u64, mesh: u64) -> f64 {
    1.0 - mesh as f64 / holdout.max(1) as f64
}

/// Readings at the ends of hours, as they come.
#[derive(Debug, Default)]
pub(crate) struct Hours(Vec<Reading>);

impl Hours {
    const HOUR: Duration = Duration::from_secs(3_600);

    /// When the hour ends that is being counted.
    pub(crate) fn end(&self) -> Timestamp {
        Timestamp::ZERO + Self::HOUR * (self.0.len() as u32 + 1)
    }

    pub(crate) fn push(&mut self, reading: Reading) {
        self.0.push(reading);
    }

    /// All of them, and the present one, without the idle hours at the end.
    fn until(&self, now: Reading) -> Vec<Reading> {
        let busy = self.0.iter().take_while(|reading| reading.page_views < now.page_views).count();
        self.0.iter().take(busy).copied().chain([now]).collect()
    }
}

/// How many values there are of each magnitude: buckets are equally wide on a logarithmic scale, and numbered from the one
/// that begins at 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Buckets from a value to the tenfold of it.
    per_decade: i32,
    /// The number of the first bucket that has something.
    first: i32,
    counts: Vec<u64>,
}

impl Histogram {
    /// Values below 1 count as 1.
    fn of(values: impl Iterator<Item = f64> + Clone, per_decade: i32) -> Self {
        let bucket = |value: f64| (libm::log10(value.max(1.0)) * f64::from(per_decade)) as i32;
        let numbers = values.map(bucket);
        let Some((first, last)) = numbers.clone().min().zip(numbers.clone().max()) else {
            return Self { per_decade, ..Self::default() };
        };
        let mut counts = vec![0; (last - first) as usize + 1];
        numbers.for_each(|number| counts[(number - first) as usize] += 1);
        Self { per_decade, first, counts }
    }

    /// The numbers of all buckets from the first that has something to the last.
    pub fn buckets(&self) -> Range<i32> {
        self.first..self.first + self.counts.len() as i32
    }

    /// How many values are in a bucket.
    pub fn count(&self, bucket: i32) -> u64 {
        usize::try_from(bucket - self.first)
            .ok()
            .and_then(|place| self.counts.get(place))
            .copied()
            .unwrap_or(0)
    }

    /// How many values there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Where a bucket begins, in the unit of the values; it ends where the next one begins.
    pub fn edge(&self, bucket: i32) -> f64 {
        libm::pow(10.0, f64::from(bucket) / f64::from(self.per_decade.max(1)))
    }
}

/// What came of the visitors of a country.
#[derive(Clone, Debug)]
pub struct CountryDetail {
    /// Of ISO 3166.
    pub code: String,
    /// In English.
    pub name: &'static str,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Page views that ended.
    pub page_views: u64,
    /// How long pages took in the mean, in milliseconds.
    pub mean_ms: Arms<f64>,
    /// Bytes from the origin.
    pub origin: Arms<u64>,
}

impl CountryDetail {
    /// The mean page load of the mesh arm against the other: -0.1 is a tenth less.
    pub fn change(&self) -> f64 {
        self.mean_ms.mesh / self.mean_ms.holdout.max(f64::MIN_POSITIVE) - 1.0
    }

    /// The share of the holdout's origin bytes that the country's visitors did not ask the origin for. What the node fetched is
    /// nobody's, and left out.
    pub fn offload(&self) -> f64 {
        share(self.origin.holdout, self.origin.mesh)
    }
}

/// What the visitors of a network did.
#[derive(Clone, Debug)]
pub struct NetworkDetail {
    /// The number of the autonomous system.
    pub asn: u32,
    /// As registries have it.
    pub name: &'static str,
    /// The country's code of ISO 3166.
    pub country: String,
    /// Page views.
    pub page_views: u64,
    /// Bytes that they gave.
    pub uploaded: u64,
}

/// What visitors gave of an asset.
#[derive(Clone, Debug)]
pub struct AssetDetail {
    /// Its URL.
    pub url: String,
    /// What it is, in a word.
    pub kind: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// Pages that have it.
    pub pages: usize,
    /// Bytes that visitors gave of it.
    pub uploaded: u64,
}

impl Detail {
    pub(crate) fn of(simulation: &Simulation) -> Self {
        let figures = &simulation.figures;
        let loads = |arm: Arm| figures.loads(arm).map(load_histogram);
        let ([holdout, first_holdout], [mesh, first_mesh]) = (loads(Arm::Holdout), loads(Arm::Mesh));
        let uploads = figures.uploads().iter().filter(|bytes| **bytes > 0).map(|bytes| *bytes as f64);
        Self {
            hours: figures.hours().until(figures.reading()),
            page_load: Arms { holdout, mesh },
            first_visit: Arms { holdout: first_holdout, mesh: first_mesh },
            uploads: Histogram::of(uploads, UPLOAD_BUCKETS),
            countries: countries(simulation),
            networks: networks(simulation),
            assets: assets(simulation),
        }
    }
}

fn load_histogram(loads_us: &[u32]) -> Histogram {
    Histogram::of(loads_us.iter().map(|us| f64::from(*us) / 1e3), LOAD_BUCKETS)
}

fn code(code: [u8; 2]) -> String {
    code.map(char::from).iter().collect()
}

fn countries(simulation: &Simulation) -> Vec<CountryDetail> {
    let mean = |us: u64, loads: u64| us as f64 / 1e3 / loads.max(1) as f64;
    let counted = simulation.world.countries.iter().zip(simulation.figures.by_country());
    let mut countries: Vec<CountryDetail> = counted
        .filter(|(_, Arms { mesh, .. })| mesh.loads > 0)
        .map(|(country, Arms { holdout, mesh })| CountryDetail {
            code: code(country.code),
            name: country.name,
            latitude: country.latitude,
            longitude: country.longitude,
            page_views: mesh.loads,
            mean_ms: Arms {
                holdout: mean(holdout.loads_us, holdout.loads),
                mesh: mean(mesh.loads_us, mesh.loads),
            },
            origin: Arms { holdout: holdout.origin, mesh: mesh.origin },
        })
        .collect();
    countries.sort_by_key(|country| std::cmp::Reverse(country.page_views));
    countries
}

fn networks(simulation: &Simulation) -> Vec<NetworkDetail> {
    let world = &simulation.world;
    let counted = world.networks.iter().zip(simulation.figures.by_network());
    let counted = counted.filter(|(_, counted)| counted.page_views > 0);
    let networks = counted.map(|(network, counted)| NetworkDetail {
        asn: network.asn,
        name: network.name,
        country: code(world.countries[network.country].code),
        page_views: counted.page_views,
        uploaded: counted.uploaded,
    });
    ranked(networks.collect(), |network| network.page_views)
}

fn assets(simulation: &Simulation) -> Vec<AssetDetail> {
    let Site { assets, pages, .. } = &simulation.site;
    let counted =
        simulation.figures.uploads_by_asset().iter().enumerate().filter(|(_, uploaded)| **uploaded > 0);
    let details = counted.map(|(asset, uploaded)| AssetDetail {
        url: url(simulation, asset),
        kind: word_for(assets[asset].kind),
        bytes: assets[asset].bytes.into(),
        pages: pages.iter().filter(|page| page.assets.contains(&(asset as u32))).count(),
        uploaded: *uploaded,
    });
    ranked(details.collect(), |asset| asset.uploaded)
}

/// As the scenario gives it, or as the simulator calls it.
fn url(simulation: &Simulation, asset: usize) -> String {
    let given = simulation.scenario.given_site.as_ref().and_then(|site| site.assets.get(asset));
    given.map_or_else(|| simulation.origin.url(asset as u32).to_owned(), |given| given.url.clone())
}

/// Those with most, most first.
fn ranked<T>(mut all: Vec<T>, by: impl Fn(&T) -> u64) -> Vec<T> {
    all.sort_by_key(|one| std::cmp::Reverse(by(one)));
    all.truncate(RANKED);
    all
}

fn word_for(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Style => "style",
        AssetKind::Script => "script",
        AssetKind::Font => "font",
        AssetKind::Picture => "picture",
        AssetKind::Media => "film",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Control, Scenario};

    #[test]
    fn histograms_have_every_value_between_the_edges_of_its_bucket() {
        let histogram = Histogram::of([0.5, 1.0, 9.0, 150.0, 150.0].into_iter(), 1);
        assert_eq!(histogram.buckets().map(|bucket| histogram.count(bucket)).collect::<Vec<_>>(), [3, 0, 2]);
        assert_eq!((histogram.edge(0), histogram.edge(2), histogram.edge(3)), (1.0, 100.0, 1_000.0));
        assert_eq!((histogram.count(-1), histogram.count(3), histogram.total()), (0, 0, 5));
        assert_eq!(Histogram::of(std::iter::empty(), 1).buckets(), 0..0);
    }

    #[test]
    fn hours_add_up_to_the_sums() {
        let scenario = Scenario { networks: 5, countries: 2, visitors: 12, days: 0.2, ..Scenario::default() };
        let outcome = crate::run(scenario, |_| Control::Continue).unwrap();
        let (detail, summary) = (&outcome.detail, &outcome.summary);
        let last = detail.hours.last().unwrap();
        assert_eq!((last.page_views, last.bytes), (summary.page_views, summary.bytes));
        assert!(detail.hours.is_sorted_by_key(|reading| (reading.page_views, reading.holdout)));
        assert!(detail.hours.len() > 1);
        let count = |histogram: &Histogram| histogram.total() as usize;
        assert_eq!(count(&detail.page_load.mesh), summary.page_load.mesh.n);
        assert_eq!(count(&detail.first_visit.holdout), summary.first_visit.holdout.n);
        assert_eq!(count(&detail.uploads), summary.uploads.visitors);
        let origin: u64 = detail.countries.iter().map(|country| country.origin.mesh).sum();
        assert_eq!(origin, summary.bytes.origin);
    }
}
