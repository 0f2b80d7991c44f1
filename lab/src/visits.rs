//! Sending visitors: who is where at the moment, what they tell, and what the origin says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use edgeweave_sim::{GivenSite, Plan, VisitPlan};
use fastrand::Rng;

use crate::addresses::{private_address, public_address};
use crate::network::Home;
use crate::processes::Process;
use crate::router::Router;
use crate::told::{Browser, FromVisitors, Request, Tab, ToVisitors, ViewOrder, ViewTold};

/// How long to wait for something to happen before looking whether the run is to end.
const LOOK: Duration = Duration::from_millis(200);
/// How long a visit may take beyond what it is meant to before the run is given up: something hangs.
const PATIENCE: Duration = Duration::from_secs(180);
/// The share of links that are opened in another tab, while the one before stays.
const NEW_TAB_SHARE: f64 = 0.1;
/// Nobody looks at a page for longer, in milliseconds: the few who would do nothing else meanwhile.
const DWELL_MOST_MS: u64 = 30_000;
/// Bits of a byte.
const BITS: u64 = 8;

/// Where visitors live: a namespace, each.
pub(crate) struct Place {
    /// Chromium in that namespace.
    pub(crate) chromium: String,
    /// Node.js in that namespace.
    pub(crate) node: String,
}

/// A page view, with what the origin says of it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// An index into the plan's people.
    pub(crate) person: usize,
    /// How many pages the person had seen before.
    pub(crate) position: usize,
    pub(crate) browser: Browser,
    pub(crate) told: ViewTold,
    /// Bytes of everything but documents that the origin sent for it.
    pub(crate) from_origin: u64,
    /// Bytes of documents.
    pub(crate) documents: u64,
}

impl View {
    /// Which one it is: the visit, and the place in it.
    pub(crate) fn key(&self) -> (usize, usize) {
        (self.told.visit, self.told.index)
    }
}

/// What came of all visits.
#[derive(Default)]
pub(crate) struct Visited {
    /// In the order in which they ended.
    pub(crate) views: Vec<View>,
    /// Visits that went wrong, and why.
    pub(crate) failures: Vec<String>,
    /// Bytes that the node fetched.
    pub(crate) node_bytes: u64,
    /// URLs for which the origin had no answer but an error.
    pub(crate) failed: BTreeSet<String>,
}

/// The lowest status that says that a request has failed.
pub(crate) const FAILURE: u16 = 400;

/// What visits need.
pub(crate) struct Tour<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) site: &'a GivenSite,
    /// The origin's, without a path.
    pub(crate) url: &'a str,
    /// Of what the plan leaves open: which links are opened in another tab.
    pub(crate) dice: Rng,
    /// What each person looks at pages with.
    pub(crate) browsers: Vec<Browser>,
    pub(crate) places: &'a [Place],
    pub(crate) router: &'a Router,
    pub(crate) visitors: &'a mut Process,
    pub(crate) origin: &'a mut Process,
    pub(crate) node_address: Ipv4Addr,
    pub(crate) profiles: PathBuf,
    pub(crate) stop: &'a AtomicBool,
}

impl Tour<'_> {
    /// Sends everybody, and hears what they tell. `look` is told after each visit how many there have been.
    pub(crate) fn run(mut self, mut look: impl FnMut(usize)) -> Result<Visited> {
        let mut waiting: Vec<usize> = (0..self.plan.visits.len()).rev().collect();
        let mut free: BTreeSet<usize> = (0..self.places.len()).collect();
        // Visits under way: where, and until when at the latest.
        let mut present: BTreeMap<usize, (usize, Instant)> = BTreeMap::new();
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        let mut visited = Visited::default();
        let mut requests = Vec::new();
        let mut done = 0;
        while !(waiting.is_empty() && present.is_empty()) {
            if self.stop.load(Ordering::Relaxed) {
                eprintln!("  stopped after {done} visits");
                break;
            }
            while let Some(place) = free.first().copied() {
                let here: BTreeSet<u32> =
                    present.keys().map(|visit| self.plan.visits[*visit].visitor).collect();
                // Nobody is here twice; whoever comes after somebody who is to leave first comes first.
                let next =
                    waiting.iter().rposition(|visit| !here.contains(&self.plan.visits[*visit].visitor));
                let Some(next) = next else { break };
                let visit = waiting.remove(next);
                free.remove(&place);
                let meant = self.begin(visit, place)?;
                present.insert(visit, (place, Instant::now() + meant + PATIENCE));
            }
            while let Some(request) = self.origin.next::<Request>(Duration::ZERO)? {
                requests.push(request);
            }
            match self.visitors.next::<FromVisitors>(LOOK)? {
                Some(FromVisitors::View(told)) => {
                    let person = self.plan.visits[told.visit].visitor as usize;
                    let position = seen.entry(person).or_default();
                    let view = View {
                        person,
                        position: *position,
                        browser: self.browsers[person],
                        told: *told,
                        from_origin: 0,
                        documents: 0,
                    };
                    *position += 1;
                    visited.views.push(view);
                }
                Some(FromVisitors::Failed { visit, index, error }) => {
                    let line = error.lines().next().unwrap_or_default();
                    visited.failures.push(format!("visit {visit}, page {}: {line}", index + 1));
                }
                Some(FromVisitors::Left { visit }) => {
                    if let Some((place, _)) = present.remove(&visit) {
                        free.insert(place);
                    }
                    done += 1;
                    look(done);
                }
                Some(other) => bail!("a visit was answered by what nobody asked: {}", other.trouble()),
                None => {}
            }
            if let Some((visit, _)) = present.iter().find(|(_, (_, latest))| Instant::now() > *latest) {
                bail!(
                    "visit {visit} does not end: is the machine too slow for so many browsers at a time? --browsers takes fewer"
                );
            }
        }
        while let Some(request) = self.origin.next::<Request>(LOOK)? {
            requests.push(request);
        }
        visited.node_bytes = requests
            .iter()
            .filter(|request| request.from == self.node_address)
            .map(|request| request.bytes)
            .sum();
        let failed = requests.iter().filter(|request| request.status >= FAILURE);
        visited.failed = failed.map(|request| format!("{}{}", self.url, request.path)).collect();
        attribute(&mut visited.views, &requests);
        Ok(visited)
    }

    /// A visitor comes; returns how long the visit is meant to take at most, but for loading.
    fn begin(&mut self, visit: usize, place: usize) -> Result<Duration> {
        let VisitPlan { visitor, views, .. } = &self.plan.visits[visit];
        let number = *visitor as usize;
        let person = &self.plan.people[number];
        self.router.move_in(
            place,
            Home {
                private: private_address(place),
                public: public_address(number),
                nat: person.nat,
                one_way: Duration::from_micros(person.one_way_us),
                up_bits_per_second: person.up_bytes_per_s * BITS,
                down_bits_per_second: person.down_bytes_per_s * BITS,
            },
        );
        let profile = self.profiles.join(visitor.to_string());
        let orders: Vec<_> = views
            .iter()
            .enumerate()
            .map(|(index, view)| ViewOrder {
                url: format!("{}{}", self.url, self.site.pages[view.page].url),
                dwell_ms: (view.dwell_us / 1000).min(DWELL_MOST_MS),
                tab: if index > 0 && self.dice.f64() < NEW_TAB_SHARE { Tab::New } else { Tab::Same },
            })
            .collect();
        let meant = orders.iter().map(|order| Duration::from_millis(order.dwell_ms)).sum();
        self.visitors.tell(&ToVisitors::Visit {
            id: visit,
            profile: &profile.display().to_string(),
            browser: self.browsers[number],
            chromium: &self.places[place].chromium,
            node: &self.places[place].node,
            views: orders,
        })?;
        Ok(meant)
    }
}

/// Finds the view that each request of the origin's was for: the last one that its visitor had begun.
fn attribute(views: &mut [View], requests: &[Request]) {
    let mut of_person: BTreeMap<Ipv4Addr, Vec<usize>> = BTreeMap::new();
    for (index, view) in views.iter().enumerate() {
        of_person.entry(public_address(view.person)).or_default().push(index);
    }
    for indices in of_person.values_mut() {
        indices.sort_by(|a, b| views[*a].told.began_ms.total_cmp(&views[*b].told.began_ms));
    }
    for request in requests {
        let Some(indices) = of_person.get(&request.from) else { continue };
        let begun = indices.partition_point(|index| views[*index].told.began_ms <= request.at_ms);
        let Some(index) = begun.checked_sub(1).map(|last| indices[last]) else { continue };
        let view = &mut views[index];
        if request.kind.starts_with("text/html") {
            view.documents += request.bytes;
        } else {
            view.from_origin += request.bytes;
        }
    }
}
