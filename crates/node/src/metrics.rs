//! What the node counts, for `/metrics`. Every name begins with `edgeweave_`.

use std::sync::atomic::Ordering;

use edgeweave_coordinator::io::Fetched;
use edgeweave_coordinator::{Activity, Counts};
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::report::{Event, Report};
use edgeweave_protocol::{Reason, SiteId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A label with a reason's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByReason {
    reason: &'static str,
}

impl From<Reason> for ByReason {
    fn from(reason: Reason) -> Self {
        Self { reason: reason.as_str() }
    }
}

impl ByReason {
    /// For reasons that concern this node alone.
    pub(crate) const fn named(reason: &'static str) -> Self {
        Self { reason }
    }
}

/// A label with a rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct BySource {
    source: &'static str,
}

/// Labels of a note.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByEvent {
    event: &'static str,
    reason: &'static str,
}

/// A label with a site.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct BySite {
    site: String,
}

/// Labels of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct BySiteAndReason {
    site: String,
    reason: &'static str,
}

/// A label with a status class, such as `2xx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByStatus {
    status: &'static str,
}

/// A label with how a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByOutcome {
    outcome: &'static str,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Sessions and messages.
    pub(crate) mesh: MeshMetrics,
    /// The coordinators.
    pub(crate) swarms: SwarmMetrics,
    /// The anonymous origin fetcher.
    pub(crate) fetch: FetchMetrics,
    /// The reverse proxy.
    pub(crate) proxy: ProxyMetrics,
    /// What clients report.
    pub(crate) reports: ReportMetrics,
    /// The supernode.
    pub(crate) supernode: SupernodeMetrics,
}

/// Counts of the mesh thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct MeshMetrics {
    /// Open sessions.
    pub(crate) sessions: Gauge,
    /// Messages from peers.
    pub(crate) received: Counter,
    /// Fetches that coordinators ordered.
    pub(crate) fetches: Counter,
    signals: Counter,
    introductions: Counter,
    others: Counter,
    closed: Family<ByReason, Counter>,
    unreadable: Family<ByReason, Counter>,
}

/// What the coordinators have counted; read from them when somebody asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct SwarmMetrics {
    crowd: Family<BySite, Gauge>,
    assets: Family<BySite, Gauge>,
    admissions: Family<BySite, Counter>,
    refusals: Family<BySiteAndReason, Counter>,
    holders: Family<BySite, Gauge>,
    met: Family<BySite, Counter>,
    failed: Family<BySiteAndReason, Counter>,
    faults: Family<BySiteAndReason, Counter>,
}

/// Counts of the origin fetcher.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchMetrics {
    /// Bytes of content.
    pub(crate) bytes: Counter,
    answered: Family<ByStatus, Counter>,
    failed: Family<ByReason, Counter>,
}

/// Counts of the reverse proxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyMetrics {
    /// Requests passed on.
    pub(crate) requests: Counter,
    /// Bytes of responses from the origin.
    pub(crate) bytes: Counter,
    /// Requests that the origin did not answer.
    pub(crate) unreachable: Counter,
    /// Documents that were given the snippet.
    pub(crate) injected: Counter,
    /// Documents that were not, and why.
    pub(crate) left_alone: Family<ByReason, Counter>,
}

/// Counts of what clients report.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportMetrics {
    received: Counter,
    refused: Family<ByReason, Counter>,
    notes: Family<ByEvent, Counter>,
    requests: Family<BySource, Counter>,
    bytes: Family<BySource, Counter>,
    uploaded: Counter,
    replicated: Counter,
    replicated_used: Counter,
}

/// Counts of the supernode.
#[derive(Clone, Debug, Default)]
pub(crate) struct SupernodeMetrics {
    /// Bytes of the contents that it holds.
    pub(crate) held: Gauge,
    /// Bytes that it gave to clients.
    pub(crate) served: Counter,
    requests: Family<ByOutcome, Counter>,
    not_kept: Family<ByReason, Counter>,
}

impl Metrics {
    /// Names everything.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let all = registry.sub_registry_with_prefix("edgeweave");
        let Self { mesh, swarms, fetch, proxy, reports, supernode } = self;
        all.register("sessions", "Open sessions of peers", mesh.sessions.clone());
        all.register("messages_received", "Messages from peers", mesh.received.clone());
        all.register("signals_relayed", "Signals passed from peer to peer", mesh.signals.clone());
        all.register("introductions", "Introductions sent to peers", mesh.introductions.clone());
        all.register("messages_sent_other", "Other messages to peers", mesh.others.clone());
        all.register("sessions_closed", "Sessions that the node ended, by reason", mesh.closed.clone());
        all.register("messages_unreadable", "Messages that were not understood", mesh.unreadable.clone());
        all.register("fetches", "Fetches that the coordinators ordered", mesh.fetches.clone());
        all.register("crowd", "Peers in a site's swarm", swarms.crowd.clone());
        all.register("assets", "Assets that are admitted", swarms.assets.clone());
        all.register("admissions", "Admissions, new versions included", swarms.admissions.clone());
        all.register("refusals", "URLs not admitted, or removed, by reason", swarms.refusals.clone());
        all.register("holders", "Peers that hold something and share it", swarms.holders.clone());
        all.register("channels_opened", "How often a peer said a channel opened", swarms.met.clone());
        all.register("channels_failed", "Channels that did not open, by reason", swarms.failed.clone());
        all.register("faults", "Neighbours let go for a fault, by reason", swarms.faults.clone());
        all.register("fetches_answered", "Anonymous fetches by the origin's answer", fetch.answered.clone());
        all.register("fetches_failed", "Anonymous fetches without an answer", fetch.failed.clone());
        all.register("fetched_bytes", "Bytes of content from anonymous fetches", fetch.bytes.clone());
        all.register("proxy_requests", "Requests passed on to the origin", proxy.requests.clone());
        all.register("proxy_bytes", "Bytes of the origin's responses", proxy.bytes.clone());
        all.register("proxy_unreachable", "Requests the origin did not answer", proxy.unreachable.clone());
        all.register("proxy_injected", "Documents given the snippet", proxy.injected.clone());
        all.register("proxy_left_alone", "Documents not given the snippet", proxy.left_alone.clone());
        all.register("reports", "Reports of clients", reports.received.clone());
        all.register("reports_refused", "Reports that were refused, by reason", reports.refused.clone());
        all.register("notes", "Notes in reports, by event and reason", reports.notes.clone());
        all.register("requests", "Requests of pages, by what answered them", reports.requests.clone());
        all.register("bytes", "Bytes that pages received, by source", reports.bytes.clone());
        all.register("uploaded_bytes", "Bytes that visitors gave to each other", reports.uploaded.clone());
        let (ahead, used) = (reports.replicated.clone(), reports.replicated_used.clone());
        all.register("replicated_bytes", "Bytes that visitors fetched ahead from each other", ahead);
        all.register("replicated_used_bytes", "Bytes fetched ahead that pages then used", used);
        all.register("supernode_bytes", "Bytes of contents on the supernode's disk", supernode.held.clone());
        all.register("supernode_served_bytes", "Bytes the supernode gave", supernode.served.clone());
        all.register(
            "supernode_requests",
            "Requests to the supernode by outcome",
            supernode.requests.clone(),
        );
        all.register(
            "supernode_not_kept",
            "Failures to keep contents, by reason",
            supernode.not_kept.clone(),
        );
    }
}

impl MeshMetrics {
    /// Counts a message to a peer.
    pub(crate) fn sent(&self, message: &ToPeer) {
        match message {
            ToPeer::Signal { .. } => self.signals.inc(),
            ToPeer::Introduce { .. } => self.introductions.inc(),
            _ => self.others.inc(),
        };
    }

    /// Counts a session that the node ended.
    pub(crate) fn closed(&self, reason: Reason) {
        self.closed.get_or_create(&reason.into()).inc();
    }

    /// Counts a message that was not understood.
    pub(crate) fn unreadable(&self, reason: Reason) {
        self.unreadable.get_or_create(&reason.into()).inc();
    }
}

impl SwarmMetrics {
    /// Takes over what a site's coordinator has counted.
    pub(crate) fn set(&self, site: &SiteId, counts: &Counts, activity: &Activity) {
        let by_site = BySite { site: site.to_string() };
        self.crowd.get_or_create(&by_site).set(counts.crowd.into());
        self.assets.get_or_create(&by_site).set(counts.assets.into());
        self.admissions.get_or_create(&by_site).inner().store(counts.admissions, Ordering::Relaxed);
        self.holders.get_or_create(&by_site).set(activity.holders.into());
        self.met.get_or_create(&by_site).inner().store(activity.met, Ordering::Relaxed);
        for (family, by_reason) in [
            (&self.refusals, &counts.refusals),
            (&self.failed, &activity.failed),
            (&self.faults, &activity.faults),
        ] {
            for (reason, count) in by_reason {
                let labels = BySiteAndReason { site: site.to_string(), reason: reason.as_str() };
                family.get_or_create(&labels).inner().store(*count, Ordering::Relaxed);
            }
        }
    }
}

impl FetchMetrics {
    /// Counts a fetch.
    pub(crate) fn count(&self, outcome: &Result<Fetched, Reason>) {
        match outcome {
            Ok(fetched) => self.answered.get_or_create(&status_class(fetched.status)).inc(),
            Err(reason) => self.failed.get_or_create(&(*reason).into()).inc(),
        };
    }
}

impl SupernodeMetrics {
    /// Counts a request.
    pub(crate) fn requested(&self, outcome: &'static str) {
        self.requests.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a content that could not be kept.
    pub(crate) fn not_kept(&self, reason: &'static str) {
        self.not_kept.get_or_create(&ByReason::named(reason)).inc();
    }
}

impl ReportMetrics {
    /// Counts a report and all in it.
    pub(crate) fn count(&self, report: &Report) {
        self.received.inc();
        for note in &report.notes {
            let reason = note.reason.map_or("", Reason::as_str);
            self.notes.get_or_create(&ByEvent { event: event_name(note.event), reason }).inc();
        }
        let of = &report.traffic;
        for (source, requests, bytes) in [
            ("cache", of.requests.cache, of.bytes.cache),
            ("peers", of.requests.peers, of.bytes.peers),
            ("supernode", of.requests.supernode, of.bytes.supernode),
            ("origin", of.requests.origin, of.bytes.origin),
        ] {
            self.requests.get_or_create(&BySource { source }).inc_by(requests);
            self.bytes.get_or_create(&BySource { source }).inc_by(bytes);
        }
        self.uploaded.inc_by(of.uploaded);
        self.replicated.inc_by(of.replicated);
        self.replicated_used.inc_by(of.replicated_used);
    }

    /// Counts a report that was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        self.refused.get_or_create(&reason.into()).inc();
    }
}

fn status_class(status: u16) -> ByStatus {
    let status = match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    ByStatus { status }
}

/// The name on the wire.
const fn event_name(event: Event) -> &'static str {
    match event {
        Event::Started => "started",
        Event::Off => "off",
        Event::Joined => "joined",
        Event::Left => "left",
        Event::Met => "met",
        Event::Parted => "parted",
        Event::Served => "served",
        Event::Fallback => "fallback",
        Event::Hedge => "hedge",
        Event::Cached => "cached",
        Event::Stored => "stored",
        Event::Evicted => "evicted",
        Event::Replicated => "replicated",
        Event::Error => "error",
    }
}
