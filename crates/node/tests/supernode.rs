//! What the supernode gives, what it gives no more, and that its disk is nobody else's trouble.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use common::peer::Peer;
use common::{Served, node_with};
use edgeweave_node::config::{Draft, SupernodeDraft};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Bytes of a picture: several pieces, and more than the disk is read at once.
const PICTURE: usize = 200_000;
/// A hash of nothing.
const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A picture that differs from those of other names.
fn picture(name: &str) -> Vec<u8> {
    name.bytes().cycle().enumerate().map(|(index, byte)| byte ^ (index / 251) as u8).take(PICTURE).collect()
}

/// A site whose pictures may be kept by anybody, and whose `/private/…` by nobody.
fn pictures() -> Router {
    let cached = |request: Request| async move {
        ([("cache-control", "public, max-age=3600")], picture(request.uri().path()))
    };
    let private = || async { ([("cache-control", "private")], picture("private")) };
    Router::new().route("/private/a.png", get(private)).fallback(cached)
}

/// A node whose supernode keeps what one visitor has seen.
async fn node(origin: Router, configure: impl FnOnce(&mut SupernodeDraft)) -> Served {
    let eager = |draft: &mut Draft| {
        draft.admission.sightings = 1;
        draft.supernode.enabled = true;
        configure(&mut draft.supernode);
    };
    node_with(origin, eager).await
}

async fn node_at(folder: &Path) -> Served {
    node(pictures(), |supernode| supernode.folder = Some(folder.into())).await
}

/// Lets a visitor see a path, and waits until it is admitted; returns its hash.
async fn admit(site: &Served, path: &str) -> String {
    let mut peer = Peer::join(site, 1).await;
    let url = format!("{}{path}", site.base);
    peer.say(json!({ "seen": { "urls": [url] } })).await;
    loop {
        let manifest = peer.hear("manifest").await;
        let assets = manifest["add"].as_array().cloned().unwrap_or_default();
        if let Some(asset) = assets.into_iter().find(|asset| asset["url"] == url.as_str()) {
            return asset["hash"].as_str().unwrap().into();
        }
    }
}

/// Admits a path, and waits until the supernode has written it to its disk.
async fn admit_and_keep(site: &Served, path: &str, folder: &Path) -> String {
    let hash = admit(site, path).await;
    while !holds(folder, &hash) {
        tokio::task::yield_now().await;
    }
    hash
}

fn holds(folder: &Path, hash: &str) -> bool {
    folder.join(hash).exists()
}

async fn ask(site: &Served, hash: &str) -> Response {
    site.get(&format!("/asset/{hash}")).send().await.unwrap()
}

async fn status(site: &Served, hash: &str) -> StatusCode {
    ask(site, hash).await.status()
}

async fn purge(site: &Served, url: &str) {
    let request = site.visitor.delete(format!("{}/api/v1/sites/default/assets", site.base));
    assert_eq!(request.query(&[("url", url)]).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_admitted_content_is_given_as_the_origin_sent_it() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let hash = admit_and_keep(&site, "/a.png", folder.path()).await;

    let answer = ask(&site, &hash).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", &PICTURE.to_string()),
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    assert!(!answer.headers().contains_key("content-encoding"));
    assert_eq!(answer.bytes().await.unwrap(), picture("/a.png"));

    let head = site.visitor.head(format!("{}/asset/{hash}", site.base)).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-length"], PICTURE.to_string());

    assert_eq!(site.figure("edgeweave_supernode_bytes").await, PICTURE as f64);
    assert_eq!(site.figure("edgeweave_supernode_served_bytes_total").await, PICTURE as f64);
    assert_eq!(site.figure("edgeweave_supernode_requests_total{outcome=\"served\"}").await, 2.0);
}

#[tokio::test]
async fn several_contents_come_in_one_answer_and_what_is_not_given_is_marked() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let first = admit_and_keep(&site, "/a.png", folder.path()).await;
    let second = admit_and_keep(&site, "/b.png", folder.path()).await;

    let answer = ask(&site, &format!("{first},{UNKNOWN},{second}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-length"], (3 + 2 * PICTURE).to_string());
    let expected = [vec![1, 0, 1], picture("/a.png"), picture("/b.png")].concat();
    assert_eq!(answer.bytes().await.unwrap(), expected);

    let nothing = ask(&site, &format!("{UNKNOWN},{UNKNOWN}")).await;
    assert_eq!(nothing.bytes().await.unwrap(), vec![0, 0]);
    let many = [UNKNOWN; 17].join(",");
    // In front of a site that is a path of the site's.
    assert_eq!(ask(&site, &many).await.bytes().await.unwrap(), picture(&format!("/asset/{many}")));
}

#[tokio::test]
async fn a_worker_hears_what_is_admitted_until_it_is_purged() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let names = async |query: &str| {
        let answer = site.get(&format!("/mesh/admitted{query}")).send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        answer.text().await.unwrap()
    };
    assert_eq!(names("").await, "");
    let [first, second] = [admit(&site, "/a.png").await, admit(&site, "/b.png").await];
    let name = |path: &str, hash: &str| {
        let digest = Sha256::digest(format!("{}{path}\n{hash}", site.base));
        edgeweave_protocol::Digest(digest.into()).to_string()[..8].to_owned()
    };
    let both = [name("/a.png", &first), name("/b.png", &second)];
    assert_eq!(
        names("?site=default").await.lines().collect::<BTreeSet<_>>(),
        both.each_ref().map(|name| &**name).into()
    );
    purge(&site, &format!("{}/a.png", site.base)).await;
    assert_eq!(names("").await, both[1]);
    let unknown = site.get("/mesh/admitted?site=another").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_admitted_is_neither_kept_nor_given() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let mut peer = Peer::join(&site, 2).await;
    peer.say(json!({ "seen": { "urls": [format!("{}/private/a.png", site.base)] } })).await;
    // What is sighted later is admitted later.
    let hash = admit_and_keep(&site, "/a.png", folder.path()).await;
    assert_eq!(status(&site, &hash).await, StatusCode::OK);
    while site.figure("edgeweave_refusals_total{site=\"default\",reason=\"private\"}").await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, PICTURE as f64);
    let answer = ask(&site, UNKNOWN).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_purged_content_is_gone() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let [a, b] = ["/a.png", "/b.png"];
    let (hash_a, hash_b) =
        (admit_and_keep(&site, a, folder.path()).await, admit_and_keep(&site, b, folder.path()).await);
    purge(&site, a).await;
    assert_eq!(status(&site, &hash_a).await, StatusCode::NOT_FOUND);
    assert!(!holds(folder.path(), &hash_a));
    assert_eq!(status(&site, &hash_b).await, StatusCode::OK);
    purge(&site, "*").await;
    assert_eq!(status(&site, &hash_b).await, StatusCode::NOT_FOUND);
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, 0.0);
}

#[tokio::test]
async fn a_content_of_two_urls_outlives_the_purge_of_one() {
    let folder = TempDir::new().unwrap();
    let same = || async { ([("cache-control", "public, max-age=3600")], picture("same")) };
    let site =
        node(Router::new().fallback(same), |supernode| supernode.folder = Some(folder.path().into())).await;
    let hash = admit_and_keep(&site, "/a.png", folder.path()).await;
    assert_eq!(admit(&site, "/b.png").await, hash);
    purge(&site, "/a.png").await;
    assert_eq!(status(&site, &hash).await, StatusCode::OK);
    purge(&site, "/b.png").await;
    assert_eq!(status(&site, &hash).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_content_that_was_asked_for_longest_ago_leaves_first() {
    let folder = TempDir::new().unwrap();
    let two = |supernode: &mut SupernodeDraft| {
        supernode.folder = Some(folder.path().into());
        supernode.disk_bytes = 2 * PICTURE as u64;
    };
    let site = node(pictures(), two).await;
    let first = admit_and_keep(&site, "/1.png", folder.path()).await;
    let second = admit_and_keep(&site, "/2.png", folder.path()).await;
    assert_eq!(status(&site, &first).await, StatusCode::OK);
    let third = admit_and_keep(&site, "/3.png", folder.path()).await;
    assert_eq!(status(&site, &first).await, StatusCode::OK);
    assert_eq!(status(&site, &second).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&site, &third).await, StatusCode::OK);
    assert!(!holds(folder.path(), &second));
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, 2.0 * PICTURE as f64);
}

#[tokio::test]
async fn what_is_there_outlives_a_restart_and_is_given_when_it_is_admitted_again() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let hash = admit_and_keep(&site, "/a.png", folder.path()).await;
    site.node.shut_down().await;
    // A node that was killed leaves its unfinished files; others are not the node's.
    std::fs::write(folder.path().join(".part-1"), "unfinished").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "somebody's").unwrap();

    let site = node_at(folder.path()).await;
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, PICTURE as f64);
    assert!(!folder.path().join(".part-1").exists() && folder.path().join("notes.txt").exists());
    // Nothing is admitted yet.
    assert_eq!(status(&site, &hash).await, StatusCode::NOT_FOUND);
    assert_eq!(admit(&site, "/a.png").await, hash);
    while status(&site, &hash).await != StatusCode::OK {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, PICTURE as f64);
}

#[tokio::test]
async fn a_smaller_budget_holds_from_the_start() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    for path in ["/a.png", "/b.png", "/c.png"] {
        admit_and_keep(&site, path, folder.path()).await;
    }
    site.node.shut_down().await;
    let one = |supernode: &mut SupernodeDraft| {
        supernode.folder = Some(folder.path().into());
        supernode.disk_bytes = PICTURE as u64;
    };
    let site = node(pictures(), one).await;
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, PICTURE as f64);
}

#[tokio::test]
async fn a_content_that_was_cut_short_is_not_given() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    let hash = admit_and_keep(&site, "/a.png", folder.path()).await;
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(&hash)).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(status(&site, &hash).await, StatusCode::NOT_FOUND);
    assert_eq!(site.figure("edgeweave_supernode_requests_total{outcome=\"spoilt\"}").await, 1.0);
    // The next time it is not even there.
    assert_eq!(status(&site, &hash).await, StatusCode::NOT_FOUND);
    assert_eq!(site.figure("edgeweave_supernode_requests_total{outcome=\"not_held\"}").await, 1.0);
    assert_eq!(site.figure("edgeweave_supernode_bytes").await, 0.0);
}

/// Admission goes on, and the supernode has nothing.
async fn fails_alone(site: &Served, reason: &str) {
    let hash = admit(site, "/a.png").await;
    assert_eq!(status(site, &hash).await, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/a.png").send().await.unwrap().bytes().await.unwrap(), picture("/a.png"));
    let name = format!("edgeweave_supernode_not_kept_total{{reason=\"{reason}\"}}");
    assert!(site.figure(&name).await >= 1.0, "{reason}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_changes_nothing_else() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let site = node_at(&file.join("in-a-file")).await;
    fails_alone(&site, "no_folder").await;
}

#[tokio::test]
async fn a_folder_that_goes_away_changes_nothing_else() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    folder.close().unwrap();
    fails_alone(&site, "disk_error").await;
}

#[tokio::test]
async fn contents_over_the_budget_change_nothing_else() {
    let folder = TempDir::new().unwrap();
    let small = |supernode: &mut SupernodeDraft| {
        supernode.folder = Some(folder.path().into());
        supernode.disk_bytes = PICTURE as u64 - 1;
    };
    let site = node(pictures(), small).await;
    fails_alone(&site, "over_budget").await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_node() {
    let folder = TempDir::new().unwrap();
    let _first = node_at(folder.path()).await;
    let second = node_at(folder.path()).await;
    fails_alone(&second, "folder_in_use").await;
}

#[tokio::test]
async fn paths_without_a_hash_are_the_proxied_sites() {
    let folder = TempDir::new().unwrap();
    let site = node_at(folder.path()).await;
    for path in ["/asset/logo.png", "/asset/", "/asset/a/b", &format!("/asset/{UNKNOWN}.css")] {
        let answer = site.get(path).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), picture(path), "{path}");
    }
    let posted = site.visitor.post(format!("{}/asset/{UNKNOWN}", site.base)).send().await.unwrap();
    assert_eq!(posted.bytes().await.unwrap(), picture(&format!("/asset/{UNKNOWN}")));
}

#[tokio::test]
async fn without_a_proxied_site_they_are_mistakes() {
    let folder = TempDir::new().unwrap();
    let beside = |draft: &mut Draft| {
        draft.origin = None;
        draft.supernode = SupernodeDraft { folder: Some(folder.path().into()), ..SupernodeDraft::default() };
        let file = "[[sites]]\nid = \"a\"\norigins = [\"https://a.example\"]";
        draft.sites = Draft::read(file).unwrap().sites;
    };
    let site = node_with(pictures(), beside).await;
    for wrong in ["logo.png", &UNKNOWN[1..], &UNKNOWN.replace('A', "/"), "%41"] {
        assert!(status(&site, wrong).await.is_client_error(), "{wrong}");
    }
    assert_eq!(status(&site, "short").await, StatusCode::BAD_REQUEST);
    assert_eq!(status(&site, UNKNOWN).await, StatusCode::NOT_FOUND);
    // The last digit would have to be another.
    assert_eq!(status(&site, &UNKNOWN.replace("AA", "AB")).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn clients_are_told_whether_there_is_one() {
    let folder = TempDir::new().unwrap();
    let with = node_at(folder.path()).await;
    let unlucky = node_at(folder.path()).await;
    let without = node(pictures(), |supernode| supernode.enabled = false).await;
    for (site, there) in [(with, true), (unlucky, false), (without, false)] {
        let url = format!("{}/api/v1/sites/default/policy", site.base);
        let policy: Value = site.visitor.get(&url).send().await.unwrap().json().await.unwrap();
        assert_eq!(policy["supernode"], there);
        // It is no choice of the site's.
        let other = json!({ "supernode": !there }).to_string();
        let policy: Value = site.visitor.put(&url).body(other).send().await.unwrap().json().await.unwrap();
        assert_eq!(policy["supernode"], there);
    }
}
