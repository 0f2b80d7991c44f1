//! The client's files.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::say;
use crate::app::{App, Shared};
use crate::client::{Client, Peer};
use crate::release;
use crate::script::Beginning;
use crate::site::{Site, Sites};
use crate::web_origin::WebOrigin;

/// The snippet names the release, so a release reaches everybody after so long.
const SNIPPET_CACHE: &str = "public, max-age=300";
/// Browsers ask for a worker's script at each navigation; they must hear of a new one.
const WORKER_CACHE: &str = "no-cache";
/// A release's files have its name in their address.
const RELEASE_CACHE: &str = "public, max-age=31536000, immutable";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// `?site=NAME`
#[derive(Deserialize)]
pub(super) struct Named {
    site: Option<Box<str>>,
}

impl Named {
    /// The site that is meant.
    pub(super) fn find<'a>(&self, sites: &'a Sites) -> Option<&'a Arc<Site>> {
        match &self.site {
            Some(name) => sites.find(name),
            None => sites.unnamed(),
        }
    }
}

/// `GET /edgeweave.js`
pub(super) async fn page_script(
    State(app): State<Shared>,
    Query(named): Query<Named>,
    request: axum::extract::Request,
) -> Response {
    script(&app, "edgeweave.js", SNIPPET_CACHE, &named, &request)
}

/// `GET /edgeweave-sw.js`
pub(super) async fn worker_script(
    State(app): State<Shared>,
    Query(named): Query<Named>,
    request: axum::extract::Request,
) -> Response {
    let mut response = script(&app, "edgeweave-sw.js", WORKER_CACHE, &named, &request);
    response.headers_mut().insert(WORKER_ALLOWED, HeaderValue::from_static("/"));
    response
}

/// `GET /client/{release}/{file}`
pub(super) async fn file(
    State(app): State<Shared>,
    Path((release, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if release::FILES.is_empty() {
        return say(StatusCode::SERVICE_UNAVAILABLE, release::NOT_BUILT_IN).into_response();
    }
    if release != release::RELEASE {
        let about = format!("this node has release {}, not {release}", release::RELEASE);
        return say(StatusCode::NOT_FOUND, about).into_response();
    }
    let Some(file) = release::file(&name) else {
        return say(StatusCode::NOT_FOUND, format!("this release has no file {name}")).into_response();
    };
    let mut response = coded(&headers, Bytes::from_static(file.content), Bytes::from_static(file.brotli));
    describe(&app, &headers, response.headers_mut(), file.media_type(), RELEASE_CACHE);
    response
}

fn script(
    app: &App,
    name: &'static str,
    cache: &'static str,
    named: &Named,
    request: &axum::extract::Request,
) -> Response {
    let headers = request.headers();
    let client: Client =
        app.client_of(request.extensions().get::<Peer>().copied(), headers, request.uri().host());
    let beginning = Beginning {
        site: named.find(&app.sites).map(|site| site.id.clone()),
        release: release::RELEASE,
        base: app.base_url(&client),
    };
    let Some(script) = app.scripts.get(name, beginning) else {
        return say(StatusCode::SERVICE_UNAVAILABLE, release::NOT_BUILT_IN).into_response();
    };
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names_etag(known, &script.etag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => coded(headers, script.plain.clone(), script.brotli.clone()),
    };
    if let Ok(etag) = HeaderValue::from_str(&script.etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    describe(app, headers, response.headers_mut(), "text/javascript; charset=utf-8", cache);
    response
}

fn names_etag(known: &HeaderValue, etag: &str) -> bool {
    let Ok(known) = known.to_str() else { return false };
    known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

pub(super) fn coded(headers: &HeaderMap, plain: Bytes, brotli: Bytes) -> Response {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_brotli = accepted.split(',').any(|coding| coding.trim() == "br");
    if takes_brotli { ([(CONTENT_ENCODING, "br")], brotli).into_response() } else { plain.into_response() }
}

/// Client files may be used by pages of the sites, whatever embedder policy these have.
fn describe(
    app: &App,
    asked: &HeaderMap,
    headers: &mut HeaderMap,
    media_type: &'static str,
    cache: &'static str,
) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding, origin"));
    allow_origin(app, asked, headers);
}

/// Lets pages of the sites read an answer, and no others.
pub(super) fn allow_origin(app: &App, asked: &HeaderMap, headers: &mut HeaderMap) {
    let Some(value) = asked.get(ORIGIN) else { return };
    let origin = value.to_str().ok().and_then(|origin| origin.parse::<WebOrigin>().ok());
    if origin.is_some_and(|origin| app.sites.of_origin(&origin).is_some()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value.clone());
    }
}
