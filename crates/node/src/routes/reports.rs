//! `POST /report`: what clients have to say when their WebSocket is what broke.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use edgeweave_protocol::Reason;
use edgeweave_protocol::limits::MAX_REPORT_BYTES;
use edgeweave_protocol::report::Report;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::client_files::allow_origin;
use super::say;
use crate::app::Shared;
use crate::report::{ReceivedReport, now_ms};
use crate::web_origin::WebOrigin;

/// How long a report's body may take.
const BODY: Duration = Duration::from_secs(10);

/// Takes a report.
pub(super) async fn take(State(app): State<Shared>, request: Request) -> Response {
    let place = app.places.of(app.client(&request).address);
    let (parts, body) = request.into_parts();
    let taken = if app.senders.may_report(place.address) {
        read(&app, &parts.headers, body).await
    } else {
        let about = "this address has reported enough for now";
        Err((StatusCode::TOO_MANY_REQUESTS, Reason::Flooding, about.into()))
    };
    let mut response = match taken {
        Ok((report, bytes)) => {
            app.metrics.reports.count(&report);
            if let Some(site) = app.sites.find(report.site.as_str()) {
                site.history.count(&report, place.country);
                site.reports.keep(ReceivedReport {
                    received_ms: now_ms(),
                    network: place.network,
                    country: place.country.and_then(|code| String::from_utf8(code.into()).ok()),
                    report,
                    bytes,
                });
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err((status, reason, about)) => {
            app.metrics.reports.refused(reason);
            say(status, about).into_response()
        }
    };
    allow_origin(&app, &parts.headers, response.headers_mut());
    response
}

/// Answers a browser that asks before it sends another type than text.
pub(super) async fn preflight(State(app): State<Shared>, headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    allow_origin(&app, &headers, answer);
    response
}

async fn read(
    app: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Report, usize), (StatusCode, Reason, String)> {
    let body = tokio::time::timeout(BODY, axum::body::to_bytes(body, MAX_REPORT_BYTES)).await;
    let bytes = match body {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let about = format!("a report has at most {MAX_REPORT_BYTES} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, Reason::TooLarge, about));
        }
        Err(_) => {
            let about = format!("the report did not arrive within {} s", BODY.as_secs());
            return Err((StatusCode::REQUEST_TIMEOUT, Reason::Stalled, about));
        }
    };
    let report: Report = serde_json::from_slice(&bytes).map_err(|error| {
        (StatusCode::BAD_REQUEST, Reason::Malformed, format!("this is no report: {error}"))
    })?;
    let Some(site) = app.sites.iter().find(|site| site.id == report.site) else {
        let about = format!("there is no site `{}` here", report.site);
        return Err((StatusCode::NOT_FOUND, Reason::UnknownSite, about));
    };
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_foreign = |origin: &str| !origin.parse::<WebOrigin>().is_ok_and(|origin| site.accepts(&origin));
    // A proxied site may be visited under a name that nobody has told the node.
    if site.upstream.is_none() && origin.is_some_and(is_foreign) {
        let about = format!("pages of this origin do not belong to the site `{}`", site.id);
        return Err((StatusCode::FORBIDDEN, Reason::OtherOrigin, about));
    }
    Ok((report, bytes.len()))
}
