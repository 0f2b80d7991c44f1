//! The dashboard's files. They carry no numbers: those come from the API, which knows whom it may tell.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::client_files::coded;
use super::say;
use crate::release::{self, DASHBOARD};

/// Where the dashboard is; a proxied site has everything else.
pub(crate) const AT: &str = "/edgeweave/";

/// It loads its own files and asks its own node, and nobody may put it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /edgeweave/`
pub(super) async fn page(headers: HeaderMap) -> Response {
    answer("index.html", &headers)
}

/// `GET /edgeweave/{file}`
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&name, &headers)
}

/// `GET /`, where no site has it.
pub(super) async fn lead_there() -> Redirect {
    Redirect::temporary(AT)
}

fn answer(name: &str, headers: &HeaderMap) -> Response {
    if DASHBOARD.is_empty() {
        let about = "the dashboard is not built into this binary; run `cargo xtask build`";
        return say(StatusCode::SERVICE_UNAVAILABLE, about).into_response();
    }
    let Some(file) = release::named(DASHBOARD, name) else {
        return say(StatusCode::NOT_FOUND, format!("the dashboard has no file {name}")).into_response();
    };
    let mut response = coded(headers, Bytes::from_static(file.content), Bytes::from_static(file.brotli));
    let about = response.headers_mut();
    about.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(file.media_type()));
    // A node that was updated has another dashboard at the same address.
    about.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    about.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    about.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    about.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
