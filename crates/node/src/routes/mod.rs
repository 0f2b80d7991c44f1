//! What is answered where.

mod admitted;
mod asset;
mod client_files;
mod dashboard;
mod join;
mod operator;
mod reports;
mod site;

use axum::Router;
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::app::Shared;

pub(crate) use self::dashboard::AT as DASHBOARD;

/// Paths for visitors. Everything else there is the proxied site's.
pub(crate) fn for_visitors(app: &Shared) -> Router {
    visitors().fallback(site::answer).with_state(app.clone())
}

/// Paths for the operator.
pub(crate) fn for_operator(app: &Shared) -> Router {
    operators(app).route("/", get(dashboard::lead_there)).fallback(site::nothing_here).with_state(app.clone())
}

/// Both, where they share an address.
pub(crate) fn for_everybody(app: &Shared) -> Router {
    let paths = visitors().merge(operators(app));
    // In front of a site, `/` is the site's.
    let paths = if app.proxy.is_some() { paths } else { paths.route("/", get(dashboard::lead_there)) };
    paths.fallback(site::answer).with_state(app.clone())
}

fn visitors() -> Router<Shared> {
    Router::new()
        .route("/edgeweave.js", get(client_files::page_script))
        .route("/edgeweave-sw.js", get(client_files::worker_script))
        .route("/client/{release}/{file}", get(client_files::file))
        // Other methods, and paths that hold no hash, are the site's.
        .route("/asset/{hash}", get(asset::get).fallback(site::answer))
        .route("/mesh", get(join::join))
        .route("/mesh/admitted", get(admitted::list))
        .route("/report", post(reports::take).options(reports::preflight))
}

fn operators(app: &Shared) -> Router<Shared> {
    Router::new()
        .route("/metrics", get(operator::metrics))
        .route("/healthz", get(operator::healthy))
        .route("/readyz", get(operator::ready))
        .route(dashboard::AT, get(dashboard::page))
        .route("/edgeweave/{file}", get(dashboard::file))
        .merge(crate::api::routes(app))
}

/// A short answer in words.
type Said = (StatusCode, [(http::HeaderName, HeaderValue); 2], String);

fn say(status: StatusCode, text: impl Into<String>) -> Said {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text.into() + "\n")
}
