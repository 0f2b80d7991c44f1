//! What native peers count, by site. Every name begins with `edgeweave_peer_`.

use edgeweave_protocol::{Reason, SiteId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// From where a content came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// It was there when this process started, or had left a moment ago.
    Folder,
    /// The node.
    Node,
    /// The origin.
    Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySite {
    site: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    site: String,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    site: String,
    reason: &'static str,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    connected: Family<BySite, Gauge>,
    neighbours: Family<BySite, Gauge>,
    contents: Family<BySite, Gauge>,
    bytes: Family<BySite, Gauge>,
    sent: Family<BySite, Counter>,
    opened: Family<BySite, Counter>,
    closed: Family<ByReason, Counter>,
    fetched: Family<BySource, Counter>,
    not_fetched: Family<ByReason, Counter>,
}

impl Metrics {
    /// Makes them part of what is shown.
    pub fn register(&self, registry: &mut Registry) {
        let peer = registry.sub_registry_with_prefix("edgeweave_peer");
        peer.register("connected", "Whether there is a session with the node", self.connected.clone());
        peer.register("neighbours", "Open channels to visitors", self.neighbours.clone());
        peer.register("contents", "Contents that are held whole", self.contents.clone());
        peer.register("bytes", "Bytes of contents that are held", self.bytes.clone());
        peer.register("sent_bytes", "Bytes of contents that were given to visitors", self.sent.clone());
        peer.register("opened", "Channels that have opened", self.opened.clone());
        peer.register("closed", "Connections that ended, by reason", self.closed.clone());
        peer.register("fetched", "Contents that came to be held, by source", self.fetched.clone());
        peer.register("not_fetched", "Contents that could not be had, by reason", self.not_fetched.clone());
    }

    /// What is counted for a site.
    pub(crate) fn of(&self, site: &SiteId) -> SiteMetrics {
        let by_site = BySite { site: site.to_string() };
        SiteMetrics {
            connected: self.connected.get_or_create(&by_site).clone(),
            neighbours: self.neighbours.get_or_create(&by_site).clone(),
            contents: self.contents.get_or_create(&by_site).clone(),
            bytes: self.bytes.get_or_create(&by_site).clone(),
            sent: self.sent.get_or_create(&by_site).clone(),
            opened: self.opened.get_or_create(&by_site).clone(),
            site: by_site.site,
            all: self.clone(),
        }
    }
}

/// What one native peer counts.
#[derive(Clone, Debug)]
pub(crate) struct SiteMetrics {
    pub(crate) connected: Gauge,
    pub(crate) neighbours: Gauge,
    pub(crate) contents: Gauge,
    pub(crate) bytes: Gauge,
    pub(crate) sent: Counter,
    pub(crate) opened: Counter,
    site: String,
    all: Metrics,
}

impl SiteMetrics {
    pub(crate) fn closed(&self, reason: Reason) {
        let labels = ByReason { site: self.site.clone(), reason: reason.as_str() };
        self.all.closed.get_or_create(&labels).inc();
    }

    pub(crate) fn fetched(&self, from: From) {
        let source = match from {
            From::Folder => "folder",
            From::Node => "node",
            From::Origin => "origin",
        };
        self.all.fetched.get_or_create(&BySource { site: self.site.clone(), source }).inc();
    }

    pub(crate) fn not_fetched(&self, reason: &'static str) {
        self.all.not_fetched.get_or_create(&ByReason { site: self.site.clone(), reason }).inc();
    }
}
