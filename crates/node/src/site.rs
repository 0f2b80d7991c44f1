//! The sites that a node serves.

use std::sync::{Arc, PoisonError, RwLock};

use edgeweave_coordinator::AdmissionRules;
use edgeweave_protocol::SiteId;
use edgeweave_protocol::policy::Policy;

use crate::history::History;
use crate::report::Reports;
use crate::supernode::Admitted;
use crate::web_origin::WebOrigin;

/// A customer's site, as this node knows it.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its name.
    pub(crate) id: SiteId,
    /// Where visitors find it; the first is the main one.
    pub(crate) origins: Vec<WebOrigin>,
    /// The origin behind this node, where the node is the site's reverse proxy.
    pub(crate) upstream: Option<WebOrigin>,
    /// What is admitted, and when.
    pub(crate) admission: AdmissionRules,
    /// What its clients reported last.
    pub(crate) reports: Reports,
    /// What its mesh did lately.
    pub(crate) history: History,
    /// Which contents its manifest has.
    pub(crate) admitted: Admitted,
    policy: RwLock<Policy>,
}

impl Site {
    /// A site that nobody has visited yet.
    pub(crate) fn new(
        id: SiteId,
        origins: Vec<WebOrigin>,
        upstream: Option<WebOrigin>,
        policy: Policy,
        admission: AdmissionRules,
    ) -> Self {
        let (reports, history, admitted) = Default::default();
        Self { id, origins, upstream, admission, reports, history, admitted, policy: RwLock::new(policy) }
    }

    /// Whether a page of this origin belongs to the site.
    pub(crate) fn accepts(&self, origin: &WebOrigin) -> bool {
        self.origins.contains(origin)
    }

    /// The policy as it is now.
    pub(crate) fn policy(&self) -> Policy {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the policy; the mesh is told by the caller.
    pub(crate) fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The URL from which the node fetches what visitors see under `url`; `None` when it is no URL of this site.
    pub(crate) fn fetch_url(&self, url: &str) -> Option<String> {
        let rest = self.origins.iter().find_map(|origin| origin.strip(url))?;
        match &self.upstream {
            Some(upstream) => Some(format!("{upstream}{rest}")),
            None => Some(url.to_owned()),
        }
    }
}

/// All sites of a node.
#[derive(Debug)]
pub(crate) struct Sites(Vec<Arc<Site>>);

impl Sites {
    /// These sites.
    pub(crate) fn new(sites: Vec<Arc<Site>>) -> Self {
        Self(sites)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.0.iter()
    }

    /// By name, or by `host[:port]` of one of its origins.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Site>> {
        let by_host =
            || self.iter().find(|site| site.origins.iter().any(|origin| origin.authority() == name));
        self.iter().find(|site| site.id.as_str() == name).or_else(by_host)
    }

    /// By the origin of a page.
    pub(crate) fn of_origin(&self, origin: &WebOrigin) -> Option<&Arc<Site>> {
        self.iter().find(|site| site.accepts(origin))
    }

    /// The site that is meant when none is named: the proxied one, or the only one.
    pub(crate) fn unnamed(&self) -> Option<&Arc<Site>> {
        let only = || self.0.first().filter(|_| self.0.len() == 1);
        self.iter().find(|site| site.upstream.is_some()).or_else(only)
    }
}
