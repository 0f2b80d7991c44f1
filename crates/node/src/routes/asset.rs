//! The supernode's contents: `GET /asset/{hash}`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use edgeweave_protocol::Digest;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{say, site};
use crate::app::{App, Shared};
use crate::counted::Counted;

/// What stands before the hash.
const AT: &str = "/asset/";
/// Bytes that are read from the disk at once.
const READ_BYTES: usize = 64 * 1024;

/// Gives a content to whoever knows its hash. In front of a site, paths that hold no hash are the site's.
pub(super) async fn get(State(app): State<Shared>, request: Request) -> Response {
    let hash = request.uri().path().strip_prefix(AT).and_then(Digest::parse);
    if app.supernode.is_none() || (hash.is_none() && app.proxy.is_some()) {
        return site::answer(State(app), request).await;
    }
    let mut response = answer(&app, hash).await;
    // The bytes are public, and whoever asks verifies and keeps them.
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer(app: &App, hash: Option<Digest>) -> Response {
    let metrics = &app.metrics.supernode;
    let (Some(supernode), Some(hash)) = (&app.supernode, hash) else {
        metrics.requested("malformed");
        let about = format!("a hash is {} characters of URL-safe base64", Digest::TEXT_BYTES);
        return say(StatusCode::BAD_REQUEST, about).into_response();
    };
    match supernode.get(&app.mesh, hash).await {
        Ok((file, size)) => {
            metrics.requested("served");
            let headers =
                [(CONTENT_TYPE, "application/octet-stream".into()), (CONTENT_LENGTH, size.to_string())];
            (headers, Body::new(Counted::new(content(file, size), metrics.served.clone()))).into_response()
        }
        Err(why) => {
            metrics.requested(why.as_str());
            say(StatusCode::NOT_FOUND, why.to_string()).into_response()
        }
    }
}

/// So many bytes of a file, as they are read. A file that ends before, ends the connection.
fn content(file: File, size: u64) -> Body {
    Body::from_stream(ReaderStream::with_capacity(file.take(size), READ_BYTES))
}
