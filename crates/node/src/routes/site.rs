//! Everything that is no path of the node's own.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::say;
use crate::app::Shared;

/// Host names that are warned of; after so many the operator knows.
const WARNED: usize = 16;
static WARNED_OF: Mutex<BTreeSet<Box<str>>> = Mutex::new(BTreeSet::new());

/// The proxied site's answer.
pub(super) async fn answer(State(app): State<Shared>, request: Request) -> Response {
    let Some(proxy) = &app.proxy else { return nothing_here().await };
    let client = app.client(&request);
    if !proxy.knows(&client.authority) {
        warn_of(&client.authority);
    }
    proxy.forward(&client, request).await
}

/// There is no such path.
pub(super) async fn nothing_here() -> Response {
    let about = "this is an Edgeweave node; there is nothing at this path";
    say(StatusCode::NOT_FOUND, about).into_response()
}

/// Visitors see the site, but its URLs are not among those that the mesh carries.
fn warn_of(authority: &str) {
    let mut warned = WARNED_OF.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.len() < WARNED && warned.insert(authority.into()) {
        tracing::warn!(
            "a visitor came to `{authority}`, which is no known address of the site, so the mesh does not help there; \
             add --public-origin https://{authority} (or http://)"
        );
    }
}
