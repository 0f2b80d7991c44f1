//! What the operator's machines ask for.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;

use super::say;
use crate::app::{App, Shared};

/// How long the origin's last sign of life is believed.
const BELIEVED: Duration = Duration::from_secs(2);

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    for site in app.sites.iter() {
        let look = app.mesh.look(&site.id, |coordinator, _| (coordinator.counts(), coordinator.activity()));
        if let Some((counts, activity)) = look.await {
            app.metrics.swarms.set(&site.id, &counts, &activity);
        }
    }
    let mut text = String::new();
    match encode(&mut text, &app.registry) {
        Ok(()) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthy() -> Response {
    say(StatusCode::OK, "healthy").into_response()
}

/// `GET /readyz`: visitors can be sent here.
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    match readiness(&app).await {
        Ok(()) => say(StatusCode::OK, "ready").into_response(),
        Err(why) => say(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

async fn readiness(app: &App) -> Result<(), String> {
    let Some(proxy) = &app.proxy else { return Ok(()) };
    let mut last = app.readiness.lock().await;
    if let Some((asked, said)) = &*last
        && asked.elapsed() < BELIEVED
    {
        return said.clone();
    }
    let said = proxy.reaches_origin().await;
    let said = said.map_err(|cause| format!("the origin {} does not answer: {cause}", proxy.upstream()));
    *last = Some((Instant::now(), said.clone()));
    said
}
