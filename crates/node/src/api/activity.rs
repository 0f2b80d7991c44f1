//! What a site's mesh does, and did in the last hour: the dashboard's numbers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use edgeweave_coordinator::{Activity, Counts};
use edgeweave_protocol::report::{Event, Traffic};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Named, Problem};
use crate::app::Shared;
use crate::history::{EVERY, Sample};

/// What a site's mesh does. What is counted is counted since the node started.
#[derive(Serialize, ToSchema)]
pub(super) struct ActivityView {
    /// Peers in the swarm.
    crowd: u32,
    /// Peers that hold something and share it.
    holders: u32,
    /// Admitted assets.
    assets: u32,
    /// Admissions.
    admissions: u64,
    /// How often something was not admitted, or removed, by reason.
    refusals: BTreeMap<&'static str, u64>,
    /// Signals passed from peer to peer.
    signals: u64,
    /// Pairs of peers that were told to meet.
    introductions: u64,
    /// How often a peer said that a channel had opened.
    met: u64,
    /// How often a peer said that a channel did not open, by reason.
    failed: BTreeMap<&'static str, u64>,
    /// How often a peer let a neighbour go for a fault, by reason.
    faults: BTreeMap<&'static str, u64>,
    /// Requests and bytes by source, as clients report.
    #[schema(value_type = Object)]
    traffic: Traffic,
    /// What clients note, the most frequent first.
    notes: Vec<NoteCount>,
    /// Reports of clients by country.
    countries: BTreeMap<String, u64>,
    /// Milliseconds between samples.
    every_ms: u64,
    /// The last hour, the oldest first.
    samples: Vec<Sample>,
}

/// Which samples are wanted.
#[derive(Deserialize, IntoParams)]
pub(super) struct Since {
    /// Only those after so many milliseconds since 1970.
    since: Option<u64>,
}

/// How often something happened in clients.
#[derive(Serialize, ToSchema)]
pub(super) struct NoteCount {
    /// What.
    #[schema(value_type = String)]
    event: Event,
    /// Why.
    reason: Option<&'static str>,
    /// How often.
    count: u64,
}

/// What a site's mesh does, and did in the last hour.
#[utoipa::path(get, path = "/api/v1/sites/{site}/activity", security((), ("token" = [])),
    params(Since, ("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = ActivityView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<Shared>,
    Named(site): Named,
    Query(Since { since }): Query<Since>,
) -> Result<Json<ActivityView>, Problem> {
    let looked =
        app.mesh.look(&site.id, |coordinator, _| (coordinator.counts(), coordinator.activity())).await;
    let (counts, activity) = looked.ok_or_else(Problem::going_down)?;
    let Counts { crowd, assets, admissions, refusals } = counts;
    let Activity { holders, signals, introductions, met, failed, faults } = activity;
    let tally = site.history.tally();
    let by_name = |counts: BTreeMap<edgeweave_protocol::Reason, u64>| {
        counts.into_iter().map(|(reason, count)| (reason.as_str(), count)).collect()
    };
    let notes = tally.notes.into_iter().map(|((event, reason), count)| NoteCount {
        event,
        reason: reason.map(edgeweave_protocol::Reason::as_str),
        count,
    });
    let mut notes: Vec<NoteCount> = notes.collect();
    notes.sort_by_key(|note| std::cmp::Reverse(note.count));
    let countries = tally.countries.into_iter();
    Ok(Json(ActivityView {
        crowd,
        holders,
        assets,
        admissions,
        refusals: by_name(refusals),
        signals,
        introductions,
        met,
        failed: by_name(failed),
        faults: by_name(faults),
        traffic: tally.traffic,
        notes,
        countries: countries.map(|(code, count)| (String::from_utf8_lossy(&code).into(), count)).collect(),
        every_ms: EVERY.as_millis() as u64,
        samples: site.history.samples_after(since.unwrap_or_default()),
    }))
}
