//! Sessions: who joins, what is admitted and purged, and what becomes of those who do not keep to the protocol.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use common::peer::{Peer, hello};
use common::{Served, node_before, node_with};
use futures_util::SinkExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_websockets::Message;

/// Within this time a purge reaches connected peers.
const PURGE: Duration = Duration::from_secs(2);

fn pictures() -> Router {
    let cached =
        |name: &'static str| get(move || async move { ([("cache-control", "public, max-age=3600")], name) });
    let private = get(|| async { ([("cache-control", "private")], "yours") });
    let cookie =
        get(|| async { ([("cache-control", "public, max-age=3600"), ("set-cookie", "a=b")], "yours") });
    Router::new()
        .route("/a.png", cached("a"))
        .route("/b.png", cached("b"))
        .route("/private.png", private)
        .route("/cookie.png", cookie)
}

/// A node that admits what one visitor has seen.
async fn eager() -> Served {
    node_with(pictures(), |draft| draft.admission.sightings = 1).await
}

async fn see(peer: &mut Peer, site: &Served, path: &str) {
    peer.say(json!({ "seen": { "urls": [format!("{}{path}", site.base)] } })).await;
}

/// Waits until a peer hears of an asset.
async fn admitted(peer: &mut Peer, site: &Served, path: &str) -> Value {
    let url = format!("{}{path}", site.base);
    loop {
        let manifest = peer.hear("manifest").await;
        let assets = manifest["add"].as_array().cloned().unwrap_or_default();
        if let Some(asset) = assets.into_iter().find(|asset| asset["url"] == url.as_str()) {
            return asset;
        }
    }
}

#[tokio::test]
async fn a_peer_is_told_how_it_sees_itself_from_outside() {
    let site = node_before(pictures()).await;
    let mut peer = Peer::connect(&site).await;
    peer.say(hello("default", 1)).await;
    let welcome = peer.hear("welcome").await;
    let stun = site.node.addresses().stun.unwrap();
    assert_eq!(welcome["stun"], json!([format!("stun:127.0.0.1:{}", stun.port())]));
    assert_eq!(site.figure("edgeweave_sessions").await, 1.0);
}

#[tokio::test]
async fn what_visitors_see_is_admitted_when_the_origin_lets_it() {
    let site = eager().await;
    let mut first = Peer::join(&site, 1).await;
    let mut second = Peer::join(&site, 2).await;
    for path in ["/private.png", "/cookie.png", "/missing.png", "/a.png"] {
        see(&mut first, &site, path).await;
    }
    for peer in [&mut first, &mut second] {
        let asset = admitted(peer, &site, "/a.png").await;
        assert_eq!(asset["size"], 1);
    }
    let list = site.get("/api/v1/sites/default/assets").send().await.unwrap().json::<Value>().await.unwrap();
    let urls: Vec<_> = list["assets"].as_array().unwrap().iter().map(|asset| asset["url"].clone()).collect();
    assert_eq!(urls, [format!("{}/a.png", site.base)]);
}

#[tokio::test]
async fn a_purge_reaches_connected_peers() {
    let site = eager().await;
    let mut peer = Peer::join(&site, 1).await;
    see(&mut peer, &site, "/a.png").await;
    let asset = admitted(&mut peer, &site, "/a.png").await;
    let url = format!("{}/api/v1/sites/default/assets?url=/a.png", site.base);
    let began = Instant::now();
    let purged = site.visitor.delete(&url).send().await.unwrap();
    assert_eq!(purged.status(), StatusCode::OK);
    assert_eq!(purged.json::<Value>().await.unwrap()["purged"], json!([format!("{}/a.png", site.base)]));
    let delta = peer.hear("manifest").await;
    assert_eq!(delta["remove"], json!([asset["id"]]));
    assert!(began.elapsed() < PURGE);
    assert_eq!(site.visitor.delete(&url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_policy_reaches_connected_peers() {
    let site = node_before(pictures()).await;
    let mut peer = Peer::join(&site, 1).await;
    let url = format!("{}/api/v1/sites/default/policy", site.base);
    site.visitor.put(url).body(r#"{"enabled":false}"#).send().await.unwrap();
    assert_eq!(peer.hear("policy").await["policy"]["enabled"], false);
}

#[tokio::test]
async fn peers_that_leave_are_forgotten() {
    let site = node_before(pictures()).await;
    let peer = Peer::join(&site, 1).await;
    drop(peer);
    while site.figure("edgeweave_sessions").await > 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_first_message_is_hello_of_a_known_site() {
    let site = node_before(pictures()).await;
    for (first, reason) in [
        (json!({ "find": { "assets": [1] } }), "out_of_order"),
        (hello("elsewhere", 1), "unknown_site"),
        (json!({ "from_the_future": {} }), "malformed"),
    ] {
        let mut peer = Peer::connect(&site).await;
        peer.say(first).await;
        assert_eq!(peer.hear("error").await["reason"], reason);
        assert_eq!(peer.ending().await, (4000, reason.into()));
    }
}

#[tokio::test]
async fn those_who_break_the_protocol_leave_and_others_stay() {
    let site = eager().await;
    let mut other = Peer::join(&site, 1).await;

    let mut babbler = Peer::join(&site, 2).await;
    babbler.say(json!({ "from_the_future": {} })).await;
    assert_eq!(babbler.hear("error").await["reason"], "malformed");

    let mut oversized = Peer::join(&site, 3).await;
    oversized.socket.send(Message::text("x".repeat(64 * 1024 + 1))).await.unwrap();
    assert_eq!(oversized.hear("error").await["reason"], "too_large");
    oversized.ending().await;

    let mut binary = Peer::join(&site, 4).await;
    binary.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(binary.hear("error").await["reason"], "malformed");

    let mut flood = Peer::join(&site, 5).await;
    let found = Message::text(json!({ "find": { "assets": [] } }).to_string());
    for _ in 0..1000 {
        if flood.socket.feed(found.clone()).await.is_err() {
            break;
        }
    }
    let _ = flood.socket.flush().await;
    assert_eq!(flood.ending().await, (4000, "flooding".into()));

    see(&mut other, &site, "/a.png").await;
    admitted(&mut other, &site, "/a.png").await;
}

#[tokio::test]
async fn a_full_node_says_so() {
    let site = node_with(pictures(), |draft| draft.max_sessions = 1).await;
    let _first = Peer::join(&site, 1).await;
    let mut second = Peer::connect(&site).await;
    assert_eq!(second.hear("error").await["reason"], "full");
    assert_eq!(second.ending().await, (4000, "full".into()));
}

#[tokio::test]
async fn peers_are_told_when_the_node_goes_down() {
    let site = node_before(pictures()).await;
    let mut peer = Peer::join(&site, 1).await;
    let down = tokio::spawn(site.node.shut_down());
    assert_eq!(peer.hear("error").await["reason"], "shutting_down");
    assert_eq!(peer.ending().await, (4000, "shutting_down".into()));
    down.await.unwrap();
}
