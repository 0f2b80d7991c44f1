//! Connections that become something else than HTTP, such as the site's own WebSockets.

use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// Lets the origin's and the visitor's side talk to each other until one of them ends.
pub(super) fn open(answer: Response<Incoming>, visitor_side: OnUpgrade) -> Response<Body> {
    let (mut parts, _) = answer.into_parts();
    let origin_side = parts.extensions.remove::<OnUpgrade>();
    if let Some(origin_side) = origin_side {
        tokio::spawn(async move {
            // The visitor's side is there once the answer below has been sent.
            let (Ok(visitor), Ok(origin)) = tokio::join!(visitor_side, origin_side) else { return };
            let _ =
                tokio::io::copy_bidirectional(&mut TokioIo::new(visitor), &mut TokioIo::new(origin)).await;
        });
    }
    Response::from_parts(parts, Body::empty())
}
