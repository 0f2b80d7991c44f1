//! Who may use the API.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use sha2::{Digest, Sha256};

use super::Problem;
use crate::app::{App, Shared};
use crate::client::{Peer, is_local};

/// Lets through who knows the token; where there is none, who is on this machine.
pub(super) async fn check(State(app): State<Shared>, request: Request, next: Next) -> Response {
    match admit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let asks_for_token = problem.status == StatusCode::UNAUTHORIZED;
            let mut response = problem.into_response();
            if asks_for_token {
                let scheme = http::HeaderValue::from_static("Bearer realm=\"edgeweave\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

/// Whether whoever asks is the operator.
pub(crate) fn is_operator(app: &App, request: &Request) -> bool {
    admit(app, request).is_ok()
}

fn admit(app: &App, request: &Request) -> Result<(), Problem> {
    match &app.api_token {
        Some(token) => check_token(token, request),
        None => check_machine(app, request),
    }
}

fn check_token(token: &str, request: &Request) -> Result<(), Problem> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // Of equal length, whatever is given: the time it takes says nothing of the token.
    if Sha256::digest(given) == Sha256::digest(token) {
        return Ok(());
    }
    let way_out = "send it as `Authorization: Bearer TOKEN`";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "the API of this node wants its token", way_out))
}

fn check_machine(app: &App, request: &Request) -> Result<(), Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let from_here = peer.is_some_and(|peer| is_local(peer, request.headers()));
    // A page somewhere can make a browser on this machine ask, under a name that leads here.
    let host = app.client(request).host().to_owned();
    let by_own_name = host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if from_here && by_own_name {
        return Ok(());
    }
    let error = "without a token, the API answers only this machine, at a loopback address";
    let way_out = "give the node one with --api-token (or `api_token` in its file); see docs/node.md#api";
    Err(Problem::new(StatusCode::FORBIDDEN, error, way_out))
}
