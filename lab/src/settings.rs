//! What is emulated, as a scenario says it.

use serde::{Deserialize, Serialize};

/// A scenario's part that the lab looks at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) network: NetworkSettings,
    pub(crate) habits: Habits,
    pub(crate) policy: edgeweave_protocol::policy::Policy,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkSettings {
    /// Round trip to the origin.
    pub(crate) origin_ms: f64,
    /// Round trip between visitors and the node.
    pub(crate) node_ms: f64,
    /// Round trips between two visitors.
    pub(crate) visitors_ms: [f64; 2],
    pub(crate) down_mbit_s: [f64; 2],
    pub(crate) up_mbit_s: [f64; 2],
    /// The most that the origin sends to one visitor.
    pub(crate) origin_mbit_s: f64,
    pub(crate) jitter_ms: f64,
    /// The share of packets that are lost.
    pub(crate) loss: f64,
    pub(crate) nat: Mixture,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            origin_ms: 120.0,
            node_ms: 30.0,
            visitors_ms: [15.0, 60.0],
            down_mbit_s: [20.0, 50.0],
            up_mbit_s: [20.0, 50.0],
            origin_mbit_s: 20.0,
            jitter_ms: 2.0,
            loss: 0.0,
            nat: Mixture::default(),
        }
    }
}

/// Shares of address translators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mixture {
    pub(crate) open: f64,
    pub(crate) full_cone: f64,
    pub(crate) restricted: f64,
    pub(crate) symmetric: f64,
}

impl Default for Mixture {
    fn default() -> Self {
        Self { open: 0.0, full_cone: 1.0, restricted: 0.0, symmetric: 0.0 }
    }
}

/// What people do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Habits {
    /// The share of visits that begin at the front page.
    pub(crate) front_page_share: f64,
    /// The exponent of the popularity of pages by rank, which is the order in which they are found.
    pub(crate) popularity_exponent: f64,
    /// Links of a page that are ever followed.
    pub(crate) links_per_page: usize,
    /// The exponent of how often they are followed, by rank.
    pub(crate) link_exponent: f64,
    /// The share of visits that end with their first page.
    pub(crate) bounce_share: f64,
    /// The mean number of pages in a visit.
    pub(crate) pages_per_visit: f64,
    /// Pages of a visit, at most.
    pub(crate) pages_most: usize,
    /// Seconds that a page is looked at: from, to.
    pub(crate) dwell_s: [f64; 2],
    /// The share of visits by somebody who has been here.
    pub(crate) return_share: f64,
    /// The share of links that are opened in another tab.
    pub(crate) new_tab_share: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            front_page_share: 0.33,
            popularity_exponent: 0.8,
            links_per_page: 16,
            link_exponent: 1.1,
            bounce_share: 0.3,
            pages_per_visit: 4.0,
            pages_most: 12,
            dwell_s: [3.0, 8.0],
            return_share: 0.4,
            new_tab_share: 0.1,
        }
    }
}

impl Habits {
    /// How many pages follow the first in the mean, of visits that do not end with it.
    pub(crate) fn pages_per_visit_beyond_the_first(&self) -> f64 {
        (self.pages_per_visit - 1.0) / (1.0 - self.bounce_share).max(f64::EPSILON)
    }
}
