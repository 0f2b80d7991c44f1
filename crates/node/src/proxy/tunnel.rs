//! Connections that become something else than HTTP, such as the site's own WebSockets.

use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The open ones.
#[derive(Default)]
pub(super) struct Tunnels {
    open: TaskTracker,
    closing: CancellationToken,
}

impl Tunnels {
    /// Lets the origin's and the visitor's side talk to each other until one of them ends.
    pub(super) fn open(&self, answer: Response<Incoming>, visitor_side: OnUpgrade) -> Response<Body> {
        let (mut parts, _) = answer.into_parts();
        if let Some(origin_side) = parts.extensions.remove::<OnUpgrade>() {
            let closing = self.closing.clone();
            self.open.spawn(closing.run_until_cancelled_owned(talk(visitor_side, origin_side)));
        }
        Response::from_parts(parts, Body::empty())
    }

    /// Ends all of them.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.open.close();
        self.open.wait().await;
    }
}

async fn talk(visitor_side: OnUpgrade, origin_side: OnUpgrade) {
    // The visitor's side is there once the answer has been sent.
    let (Ok(visitor), Ok(origin)) = tokio::join!(visitor_side, origin_side) else { return };
    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(visitor), &mut TokioIo::new(origin)).await;
}
