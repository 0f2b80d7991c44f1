//! The supernode's contents: `GET /asset/{hash}`, or several in one answer: `GET /asset/{hash},{hash}…`. Before several
//! comes a byte for each, which is zero where the content is not given; the others follow in their order.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use edgeweave_protocol::Digest;
use edgeweave_protocol::limits::MAX_TOGETHER;
use futures_util::{Stream, StreamExt, TryStreamExt, future, stream};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};
use tokio_util::io::ReaderStream;

use super::{say, site};
use crate::app::{App, Shared};
use crate::counted::Counted;
use crate::supernode::NotGiven;

/// What stands before the hash.
const AT: &str = "/asset/";
/// Bytes that are read from the disk at once.
const READ_BYTES: usize = 64 * 1024;

/// Gives contents to whoever knows their hashes. In front of a site, paths that hold no hash are the site's.
pub(super) async fn get(State(app): State<Shared>, request: Request) -> Response {
    let hashes = request.uri().path().strip_prefix(AT).and_then(read);
    if app.supernode.is_none() || (hashes.is_none() && app.proxy.is_some()) {
        return site::answer(State(app), request).await;
    }
    let mut response = match hashes.as_deref() {
        Some([hash]) => one(&app, *hash).await,
        Some(hashes) => several(&app, hashes).await,
        None => {
            app.metrics.supernode.requested("malformed");
            let about = format!(
                "a hash is {} characters of URL-safe base64; at most {MAX_TOGETHER} stand here, with commas between them",
                Digest::TEXT_BYTES
            );
            say(StatusCode::BAD_REQUEST, about).into_response()
        }
    };
    // The bytes are public, and whoever asks verifies and keeps them.
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Clients see by which protocol it came, and so how many requests may be under way.
        (HeaderName::from_static("timing-allow-origin"), "*"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The hashes of a path; nothing where it does not consist of hashes, or of too many.
fn read(path: &str) -> Option<Vec<Digest>> {
    let hashes: Vec<Digest> = path.split(',').map(Digest::parse).collect::<Option<_>>()?;
    (hashes.len() <= MAX_TOGETHER).then_some(hashes)
}

async fn one(app: &App, hash: Digest) -> Response {
    let opened = match find(app, hash).await {
        Ok(_) => open(app, hash).await,
        Err(why) => Err(why),
    };
    app.metrics.supernode.requested(opened.as_ref().map_or_else(|why| why.as_str(), |_| "served"));
    match opened {
        Ok((file, size)) => given(app, size, content(file, size)),
        Err(why) => say(StatusCode::NOT_FOUND, why.to_string()).into_response(),
    }
}

/// The answer begins at once: each file is opened when its turn has come.
async fn several(app: &Shared, hashes: &[Digest]) -> Response {
    let mut held = Vec::new();
    let mut contents = Vec::new();
    // The coordinators are asked for all of them together.
    let found = future::join_all(hashes.iter().map(|hash| find(app, *hash))).await;
    for (&hash, found) in hashes.iter().zip(found) {
        held.push(u8::from(found.is_ok()));
        app.metrics.supernode.requested(found.map_or_else(NotGiven::as_str, |_| "served"));
        contents.extend(found.ok().map(|size| (hash, size)));
    }
    let size = held.len() as u64 + contents.iter().map(|(_, size)| size).sum::<u64>();
    let first = stream::once(async move { Ok(Bytes::from(held)) });
    let (served, app) = (Shared::clone(app), Shared::clone(app));
    let files = stream::iter(contents).then(move |(hash, promised)| {
        let app = Shared::clone(&app);
        async move {
            let (file, size) = open(&app, hash).await.map_err(io::Error::other)?;
            let is_same = size == promised;
            is_same.then(|| content(file, size)).ok_or_else(|| io::Error::other(NotGiven::Spoilt))
        }
    });
    given(&served, size, first.chain(files.try_flatten()))
}

async fn find(app: &App, hash: Digest) -> Result<u64, NotGiven> {
    app.supernode.as_ref().ok_or(NotGiven::NotHeld)?.find(&app.mesh, hash).await
}

async fn open(app: &App, hash: Digest) -> Result<(File, u64), NotGiven> {
    app.supernode.as_ref().ok_or(NotGiven::NotHeld)?.open(hash).await
}

fn given(app: &App, size: u64, body: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response {
    let headers = [(CONTENT_TYPE, "application/octet-stream".into()), (CONTENT_LENGTH, size.to_string())];
    let counted = Counted::new(Body::from_stream(body), app.metrics.supernode.served.clone());
    (headers, Body::new(counted)).into_response()
}

/// So many bytes of a file, as they are read. A file that ends before, ends the connection.
fn content(file: File, size: u64) -> ReaderStream<Take<File>> {
    ReaderStream::with_capacity(file.take(size), READ_BYTES)
}
