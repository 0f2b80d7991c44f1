//! What is admitted now: `GET /mesh/admitted?site=NAME`. A worker that has no session may have missed a purge; it asks
//! here before it answers from what it holds.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::client_files::Named;
use super::say;
use crate::app::Shared;

/// Of more assets there is no list: its 36 kB would take longer to come than what a page needs.
const ASSETS_MOST: usize = 4096;

/// The names of what a site has admitted, one on each line.
pub(super) async fn list(State(app): State<Shared>, Query(named): Query<Named>) -> Response {
    let Some(site) = named.find(&app.sites) else {
        return say(StatusCode::NOT_FOUND, "there is no such site here").into_response();
    };
    let known = site.admitted.now(&app.mesh, &site.id).await;
    let Some(known) = known.filter(|known| known.len() <= ASSETS_MOST) else {
        return say(StatusCode::NOT_FOUND, "there is no list now, or it is too long").into_response();
    };
    // What is admitted is public, and anybody may ask for it.
    let headers = [
        (CONTENT_TYPE, "text/plain"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, known.names()).into_response()
}
