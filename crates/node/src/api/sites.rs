//! Sites, and what their clients report.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use edgeweave_coordinator::Counts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Named, Problem};
use crate::app::{App, Shared};
use crate::report::ReceivedReport;
use crate::site::Site;

/// Reports that are shown when nobody says how many.
const REPORTS: usize = 50;

/// All sites of a node.
#[derive(Serialize, ToSchema)]
pub(super) struct SiteList {
    sites: Vec<SiteView>,
}

/// A site.
#[derive(Serialize, ToSchema)]
pub(super) struct SiteView {
    /// Its name.
    id: String,
    /// Where visitors find it.
    origins: Vec<String>,
    /// The origin behind this node, where the node is its reverse proxy.
    upstream: Option<String>,
    /// Peers in its swarm.
    crowd: u32,
    /// Assets that are admitted.
    assets: u32,
    /// Admissions since the node started.
    admissions: u64,
    /// How often something was not admitted, or removed, by reason.
    refusals: BTreeMap<&'static str, u64>,
}

/// Some of many.
#[derive(Deserialize, IntoParams)]
pub(super) struct Newest {
    /// The most that are shown.
    limit: Option<usize>,
}

/// What a site's clients reported.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportList {
    /// Newest first.
    #[schema(value_type = Vec<Object>)]
    reports: Vec<ReceivedReport>,
}

/// All sites.
#[utoipa::path(get, path = "/api/v1/sites", security((), ("token" = [])),
    responses((status = 200, body = SiteList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(app): State<Shared>) -> Result<Json<SiteList>, Problem> {
    let mut sites = Vec::new();
    for site in app.sites.iter() {
        sites.push(view(&app, site).await?);
    }
    Ok(Json(SiteList { sites }))
}

/// One site.
#[utoipa::path(get, path = "/api/v1/sites/{site}", security((), ("token" = [])),
    params(("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = SiteView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn one(State(app): State<Shared>, Named(site): Named) -> Result<Json<SiteView>, Problem> {
    view(&app, &site).await.map(Json)
}

/// What a site's clients reported last.
#[utoipa::path(get, path = "/api/v1/sites/{site}/reports", security((), ("token" = [])),
    params(Newest, ("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = ReportList), (status = 400), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn reports(Named(site): Named, Query(newest): Query<Newest>) -> Json<ReportList> {
    Json(ReportList { reports: site.reports.newest(newest.limit.unwrap_or(REPORTS)) })
}

async fn view(app: &App, site: &Site) -> Result<SiteView, Problem> {
    let counts = app.mesh.look(&site.id, |coordinator, _| coordinator.counts()).await;
    let Counts { crowd, assets, admissions, refusals } = counts.ok_or_else(Problem::going_down)?;
    Ok(SiteView {
        id: site.id.to_string(),
        origins: site.origins.iter().map(ToString::to_string).collect(),
        upstream: site.upstream.as_ref().map(ToString::to_string),
        crowd,
        assets,
        admissions,
        refusals: refusals.into_iter().map(|(reason, count)| (reason.as_str(), count)).collect(),
    })
}
