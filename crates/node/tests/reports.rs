//! What clients report arrives, is counted and shown; what is no report is refused.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use axum::Router;
use common::{Served, node_before};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

fn report() -> Value {
    json!({
        "site": "default",
        "release": "r1",
        "notes": [{ "at_ms": 5, "event": "fallback", "reason": "no_holder", "about": "/a.png" }],
        "traffic": { "requests": { "peers": 2 }, "bytes": { "peers": 300, "origin": 20 }, "uploaded": 7, "replicated": 9,
            "replicated_used": 8 },
    })
}

async fn send(site: &Served, body: String) -> Response {
    // As a browser sends it that is asked not to ask first.
    let request = site.visitor.post(format!("{}/report", site.base)).header("content-type", "text/plain");
    request.header("origin", &site.base).body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_report_is_counted_and_shown() {
    let site = node_before(Router::new()).await;
    let answer = send(&site, report().to_string()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.headers()["access-control-allow-origin"], site.base.as_str());
    for (name, value) in [
        (r#"edgeweave_notes_total{event="fallback",reason="no_holder"}"#, 1.0),
        (r#"edgeweave_bytes_total{source="peers"}"#, 300.0),
        (r#"edgeweave_bytes_total{source="origin"}"#, 20.0),
        (r#"edgeweave_requests_total{source="peers"}"#, 2.0),
        ("edgeweave_uploaded_bytes_total", 7.0),
        ("edgeweave_replicated_bytes_total", 9.0),
        ("edgeweave_replicated_used_bytes_total", 8.0),
    ] {
        assert_eq!(site.figure(name).await, value, "{name}");
    }
    let kept: Value = site.get("/api/v1/sites/default/reports").send().await.unwrap().json().await.unwrap();
    let (kept, sent) = (&kept["reports"][0]["report"]["notes"][0], &report()["notes"][0]);
    for name in ["at_ms", "event", "reason", "about"] {
        assert_eq!(kept[name], sent[name]);
    }
}

#[tokio::test]
async fn what_is_no_report_is_refused_by_name() {
    let site = node_before(Router::new()).await;
    let mut elsewhere = report();
    elsewhere["site"] = "elsewhere".into();
    for (body, status) in [
        ("{".into(), StatusCode::BAD_REQUEST),
        (elsewhere.to_string(), StatusCode::NOT_FOUND),
        (" ".repeat(61 * 1024), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(send(&site, body).await.status(), status);
    }
    for reason in ["malformed", "unknown_site", "too_large"] {
        assert_eq!(
            site.figure(&format!("edgeweave_reports_refused_total{{reason=\"{reason}\"}}")).await,
            1.0,
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_reports_is_refused() {
    let site = node_before(Router::new()).await;
    let mut refused = false;
    for _ in 0..200 {
        refused =
            refused || send(&site, report().to_string()).await.status() == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(refused);
    assert!(site.figure(r#"edgeweave_reports_refused_total{reason="flooding"}"#).await > 0.0);
}
