//! A site's policy, read and changed while the node runs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use edgeweave_protocol::limits::MAX_ASSET_BYTES;
use edgeweave_protocol::policy::Policy;
use http::StatusCode;

use super::{Named, Problem};
use crate::app::Shared;

/// The policy as it is now.
#[utoipa::path(get, path = "/api/v1/sites/{site}/policy", security((), ("token" = [])),
    params(("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn get(Named(site): Named) -> Json<Policy> {
    Json(site.policy())
}

/// Another policy, for connected peers at once, until the node is started again. Keys that are left out have their
/// defaults.
#[utoipa::path(put, path = "/api/v1/sites/{site}/policy", security((), ("token" = [])),
    params(("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn put(
    State(app): State<Shared>,
    Named(site): Named,
    body: Bytes,
) -> Result<Json<Policy>, Problem> {
    let mut policy: Policy = serde_json::from_slice(&body).map_err(|error| {
        let way_out = "GET the policy to see its keys and what they can be";
        Problem::new(StatusCode::BAD_REQUEST, format!("this is no policy: {error}"), way_out)
    })?;
    if policy.max_asset_bytes > MAX_ASSET_BYTES {
        let error = format!("max_asset_bytes is more than {MAX_ASSET_BYTES}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, error, "give a smaller one"));
    }
    // What the node says of itself stays as it is.
    policy.supernode = site.policy().supernode;
    site.set_policy(policy.clone());
    app.mesh.set_policy(&site.id, policy.clone());
    Ok(Json(policy))
}
