//! What the operator has admitted before visitors come.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use axum::Router;
use axum::routing::get;
use common::{Served, node_with};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

async fn warm(site: &Served, body: String) -> Response {
    let url = format!("{}/api/v1/sites/default/warm", site.base);
    site.visitor.post(url).body(body).send().await.unwrap()
}

#[tokio::test]
async fn what_became_of_each_is_answered_and_the_supernode_has_it() {
    let public = || async { ([("cache-control", "public, max-age=3600")], "public") };
    let private = || async { ([("cache-control", "private")], "private") };
    let folder = TempDir::new().unwrap();
    let site = node_with(
        Router::new().route("/a.png", get(public)).route("/b.png", get(public)).route("/own", get(private)),
        |draft| {
            draft.supernode.enabled = true;
            draft.supernode.folder = Some(folder.path().into());
        },
    )
    .await;
    let b = format!("{}/b.png", site.base);
    let urls = json!({ "urls": ["/a.png", b, "/own", "/gone", "https://other.example/a.png"] });
    let answer: Value = warm(&site, urls.to_string()).await.json().await.unwrap();
    let brief: Vec<[&str; 3]> = answer["urls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["url", "outcome", "reason"].map(|key| one[key].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        brief,
        [
            ["/a.png", "admitted", ""],
            [&b, "admitted", ""],
            ["/own", "refused", "private"],
            ["/gone", "refused", "status"],
            ["https://other.example/a.png", "refused", "other_origin"],
        ]
    );
    assert_eq!(answer["urls"][3]["meaning"], "The status is not 200.");

    let assets = site.get("/api/v1/sites/default/assets").send().await.unwrap();
    let assets: Value = assets.json().await.unwrap();
    assert_eq!(assets["total"], 2);
    let hash = assets["assets"][0]["hash"].as_str().unwrap();
    while !folder.path().join(hash).exists() {
        tokio::task::yield_now().await;
    }
    let content = site.get(&format!("/asset/{hash}")).send().await.unwrap();
    assert_eq!(content.text().await.unwrap(), "public");
}

#[tokio::test]
async fn what_names_no_urls_or_too_many_says_so() {
    let site = node_with(Router::new(), |_| {}).await;
    let many = json!({ "urls": vec!["/a.png"; 101] });
    for (body, says) in [("[]".into(), "this names no URLs"), (many.to_string(), "these are 101 URLs")] {
        let answer = warm(&site, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["error"].as_str().unwrap().starts_with(says), "{problem}");
    }
}
