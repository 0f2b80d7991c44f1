//! What the operator can ask and order, and who may.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use axum::Router;
use common::{node_before, node_with};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn sites_are_listed_and_found_by_name_or_address() {
    let site = node_before(Router::new()).await;
    let list: Value = site.get("/api/v1/sites").send().await.unwrap().json().await.unwrap();
    assert_eq!(list["sites"][0]["id"], "default");
    assert_eq!(list["sites"][0]["upstream"], format!("http://{}", site.origin));
    let address = &site.base["http://".len()..];
    for name in ["default", address] {
        let one = site.get(&format!("/api/v1/sites/{name}")).send().await.unwrap();
        let one: Value = one.json().await.unwrap();
        assert_eq!(one["origins"][0], site.base);
    }
    let none = site.get("/api/v1/sites/shop/assets").send().await.unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    let problem: Value = none.json().await.unwrap();
    assert_eq!(
        problem,
        json!({ "error": "there is no site `shop` here", "way_out": "this node has default" })
    );
}

#[tokio::test]
async fn a_purge_of_what_is_not_there_says_so() {
    let site = node_before(Router::new()).await;
    let purge = |url: &str| {
        let request =
            site.visitor.delete(format!("{}/api/v1/sites/default/assets", site.base)).query(&[("url", url)]);
        request.send()
    };
    let unknown = purge("/a.png").await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.text().await.unwrap().contains("/a.png is not admitted"));
    let foreign = purge("https://example.com/a.png").await.unwrap();
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND);
    assert!(foreign.text().await.unwrap().contains("no URL of the site"));
    assert_eq!(purge("*").await.unwrap().status(), StatusCode::OK);
    let unsaid =
        site.visitor.delete(format!("{}/api/v1/sites/default/assets", site.base)).send().await.unwrap();
    assert_eq!(unsaid.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_policy_is_changed_while_the_node_runs() {
    let site = node_before(Router::new()).await;
    let url = format!("{}/api/v1/sites/default/policy", site.base);
    let mut policy: Value = site.visitor.get(&url).send().await.unwrap().json().await.unwrap();
    policy["min_crowd"] = 7.into();
    let put = site.visitor.put(&url).body(policy.to_string()).send().await.unwrap();
    assert_eq!(put.json::<Value>().await.unwrap(), policy);
    assert_eq!(site.visitor.get(&url).send().await.unwrap().json::<Value>().await.unwrap(), policy);
    for wrong in ["{", r#"{"prefer":"fast"}"#, r#"{"max_asset_bytes":99999999999}"#] {
        let answer = site.visitor.put(&url).body(wrong).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_answered() {
    let site = node_before(Router::new()).await;
    let ask = || site.get("/api/v1/sites");
    assert_eq!(ask().send().await.unwrap().status(), StatusCode::OK);
    for (name, value) in
        [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1"), ("host", "attacker.example")]
    {
        let answer = ask().header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
        assert!(answer.text().await.unwrap().contains("--api-token"));
    }
}

#[tokio::test]
async fn with_a_token_whoever_knows_it_is_answered() {
    let site = node_with(Router::new(), |draft| draft.api_token = Some("0123456789abcdef".into())).await;
    let ask = || site.get("/api/v1/sites").header("x-forwarded-for", "192.0.2.1");
    let right = ask().bearer_auth("0123456789abcdef").send().await.unwrap();
    assert_eq!(right.status(), StatusCode::OK);
    for answer in [ask().send().await.unwrap(), ask().bearer_auth("guess").send().await.unwrap()] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn the_api_describes_itself() {
    let site = node_before(Router::new()).await;
    let description: Value = site.get("/api/v1/openapi.json").send().await.unwrap().json().await.unwrap();
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/api/v1/sites",
            "/api/v1/sites/{site}",
            "/api/v1/sites/{site}/activity",
            "/api/v1/sites/{site}/assets",
            "/api/v1/sites/{site}/policy",
            "/api/v1/sites/{site}/reports",
            "/api/v1/sites/{site}/warm",
        ]
    );
}

#[tokio::test]
async fn activity_adds_up_what_clients_report() {
    let site = node_before(Router::new()).await;
    let report = json!({ "site": "default", "release": "r", "notes": [
        { "at_ms": 1, "event": "fallback", "reason": "no_holder" },
        { "at_ms": 2, "event": "fallback", "reason": "no_holder" },
        { "at_ms": 3, "event": "error", "reason": "client_error" },
    ], "traffic": { "bytes": { "peers": 7, "origin": 3 } } });
    for _ in 0..2 {
        let sent = site.visitor.post(format!("{}/report", site.base)).body(report.to_string()).send();
        assert_eq!(sent.await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let activity = site.get("/api/v1/sites/default/activity").send().await.unwrap();
    let activity: Value = activity.json().await.unwrap();
    assert_eq!(activity["traffic"]["bytes"]["peers"], 14);
    assert_eq!(activity["notes"][0], json!({ "event": "fallback", "reason": "no_holder", "count": 4 }));
    assert_eq!((&activity["crowd"], &activity["failed"]), (&json!(0), &json!({})));
}

#[tokio::test]
async fn the_dashboard_leaves_the_root_to_the_site() {
    let page = axum::routing::get(|| async { "the site's" });
    let site = node_before(Router::new().route("/", page)).await;
    assert_eq!(site.get("/").send().await.unwrap().text().await.unwrap(), "the site's");
    // A node that was built without its browser parts says how to get them.
    let dashboard = site.get("/edgeweave/").send().await.unwrap();
    assert!(matches!(dashboard.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
    let nothing = site.get("/edgeweave/no-such-file").send().await.unwrap();
    assert_ne!(nothing.status(), StatusCode::OK);
}
