//! What is simulated, as a file or as flags say it.

use std::collections::BTreeSet;

use edgeweave_coordinator::{AdmissionRules, Introductions};
use edgeweave_protocol::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::faults::Fault;
use crate::laws::Law;
use crate::world::given::{GivenNetwork, Http};
use crate::world::given_site::GivenSite;
use crate::world::site::SiteModel;

/// A scenario. Every key has a default; `docs/simulation.md` says where the defaults come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// Networks (autonomous systems) that visitors come from.
    pub networks: usize,
    /// Countries that the networks are in.
    pub countries: usize,
    /// People who come to the site.
    pub visitors: u32,
    /// Days over which they come.
    pub days: f64,
    /// Visits in all, those of people who come again counted; zero lets there be as many as there are in the days.
    pub visits: u64,
    /// With a given network: the mean time from the start of one visit to the start of the next, in seconds.
    pub arrivals_s: f64,
    /// The simulation ends when so many bytes have been kept off the origin; zero lets it go to the end of its days.
    pub until_offloaded_bytes: u64,
    /// The simulation ends after so many page views; zero lets it go on.
    pub until_page_views: u64,
    /// Where the origin and the node are, as an ISO 3166 code; where most visitors are, if it is none of the countries
    /// that they come from.
    pub origin_country: String,
    /// Where supernodes stand, as ISO 3166 codes; names lead each visitor to the nearest. Countries that no visitors come
    /// from are passed over, and without any there is none.
    pub supernodes: Vec<String>,
    /// Whether the operator's own peer, a part of the node, gives what is admitted over data channels, too.
    pub native_peer: bool,
    /// Whether the operator has everything admitted before anybody comes.
    pub warmed: bool,
    /// The most that the origin sends to one visitor, in bytes a second.
    pub origin_bytes_per_s: u64,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// The share of visitors whose browsers are hostile peers, where there are such.
    pub hostile_share: f64,
    /// A bug that the tests of the laws plant: what it breaks is the law's.
    #[serde(skip)]
    pub planted: Option<Law>,
    /// The site.
    pub site: SiteModel,
    /// The network, if it is not the world's: it takes the place of countries, networks, devices and the hours of the day.
    pub network: Option<GivenNetwork>,
    /// The site's pages and assets, if they are not drawn as `site` says.
    pub given_site: Option<GivenSite>,
    /// The site's policy.
    pub policy: Policy,
    /// People, by number, who are left alone, besides those whom the policy draws (`policy.holdout_percent`).
    pub held_out: BTreeSet<u32>,
    /// What the node admits.
    pub admission: AdmissionRules,
    /// How the node chooses whom a peer is introduced to.
    pub introductions: Introductions,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            networks: 500,
            countries: 50,
            visitors: 200_000,
            days: 7.0,
            visits: 0,
            arrivals_s: 2.0,
            until_offloaded_bytes: 0,
            until_page_views: 0,
            origin_country: "US".into(),
            supernodes: ["US", "DE", "IN", "JP", "BR", "SG"].map(String::from).into(),
            native_peer: false,
            warmed: false,
            origin_bytes_per_s: 2_500_000,
            faults: BTreeSet::new(),
            hostile_share: 0.3,
            planted: None,
            site: SiteModel::default(),
            network: None,
            given_site: None,
            policy: Policy::default(),
            held_out: BTreeSet::new(),
            admission: AdmissionRules::default(),
            introductions: Introductions::default(),
        }
    }
}

/// A scenario that cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file that is not a scenario.
    #[error("{0}")]
    Unreadable(#[from] toml::de::Error),
    /// A key with a value that means nothing.
    #[error("{key}: {problem}")]
    Meaningless {
        /// The key.
        key: &'static str,
        /// What is wrong with its value, and what would be right.
        problem: String,
    },
}

impl Scenario {
    /// Reads a scenario and looks at all of it.
    ///
    /// # Errors
    /// When it is not TOML of the documented keys, or a value means nothing.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The scenario as a file says it.
    ///
    /// # Errors
    /// When a number is larger than TOML's.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Whether every value means something.
    ///
    /// # Errors
    /// Names the first key whose value does not.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |key, problem: &str| Err(ScenarioError::Meaningless { key, problem: problem.into() });
        if self.visitors == 0 {
            return wrong("visitors", "at least 1 is needed");
        }
        if !(self.days > 0.0 && self.days <= 366.0) {
            return wrong("days", "more than 0 and at most 366 are possible");
        }
        if self.origin_bytes_per_s == 0 {
            return wrong("origin_bytes_per_s", "the origin must send something");
        }
        if !(0.0..=1.0).contains(&self.hostile_share) {
            return wrong("hostile_share", "a share is from 0 to 1");
        }
        if !(0.001..=86_400.0).contains(&self.arrivals_s) {
            return wrong("arrivals_s", "from 0.001 to 86400 is possible");
        }
        if let Some((key, problem)) = self.network.as_ref().and_then(|network| network.check().err()) {
            return wrong(key, problem);
        }
        if let Some((key, problem)) = self.given_site.as_ref().and_then(|site| site.check().err()) {
            return wrong(key, &problem);
        }
        self.site.check().or_else(|(key, problem)| wrong(key, problem))
    }

    /// How browsers speak to servers.
    pub(crate) fn http(&self) -> Http {
        self.network.as_ref().map_or(Http::H2, |network| network.http)
    }
}
