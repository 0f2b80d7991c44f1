//! Sites whose pages have the snippet: what their visitors get from the node, and what others do not.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::net::SocketAddr;

use common::{Served, visitor};
use edgeweave_node::Node;
use edgeweave_node::config::Draft;
use reqwest::StatusCode;
use tokio_websockets::ClientBuilder;

async fn two_shops() -> Served {
    let file = r#"
listen = "127.0.0.1:0"
supernode.enabled = false
[[sites]]
id = "shop"
origins = ["https://shop.example", "https://img.shop.example"]
[[sites]]
id = "blog"
origins = ["https://blog.example"]
"#;
    let node = Node::start(Draft::read(file).unwrap().finish().unwrap()).await.unwrap();
    let base = format!("http://{}", node.addresses().listen);
    Served { node, base, origin: SocketAddr::from(([0, 0, 0, 0], 0)), visitor: visitor() }
}

async fn joins_from(node: &Served, origin: &str) -> bool {
    let url = node.base.replace("http://", "ws://") + "/mesh";
    let builder = ClientBuilder::new().uri(&url).unwrap();
    let builder = builder.add_header(http::header::ORIGIN, origin.parse().unwrap()).unwrap();
    builder.connect().await.is_ok()
}

#[tokio::test]
async fn only_pages_of_the_sites_may_join() {
    let node = two_shops().await;
    for origin in ["https://shop.example", "https://img.shop.example", "https://blog.example"] {
        assert!(joins_from(&node, origin).await, "{origin}");
    }
    for origin in ["https://evil.example", "http://shop.example", "null", node.base.as_str()] {
        assert!(!joins_from(&node, origin).await, "{origin}");
    }
}

#[tokio::test]
async fn only_pages_of_a_site_may_report_for_it() {
    let node = two_shops().await;
    let report = r#"{"site":"shop","release":"r","notes":[]}"#;
    for (origin, status, allowed) in [
        ("https://shop.example", StatusCode::NO_CONTENT, true),
        ("https://blog.example", StatusCode::FORBIDDEN, true),
        ("https://evil.example", StatusCode::FORBIDDEN, false),
    ] {
        let request =
            node.visitor.post(format!("{}/report", node.base)).header("origin", origin).body(report);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{origin}");
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}

#[tokio::test]
async fn the_node_itself_has_no_site() {
    let node = two_shops().await;
    assert_eq!(node.get("/").send().await.unwrap().headers()["location"], "/edgeweave/");
    let answer = node.get("/index.html").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(answer.text().await.unwrap().contains("this is an Edgeweave node"));
    let not_upgraded = node.get("/mesh").send().await.unwrap();
    assert_eq!(not_upgraded.status(), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn client_files_can_be_used_by_any_page_and_are_never_stale() {
    let node = two_shops().await;
    let Ok(release) = edgeweave_node::CLIENT else {
        let answer = node.get("/edgeweave.js").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.text().await.unwrap().contains("cargo xtask build"));
        return;
    };
    let script = node.get("/edgeweave.js?site=shop").send().await.unwrap();
    let header = |name: &str| script.headers()[name].to_str().unwrap();
    assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
    let etag = header("etag").to_owned();
    let first = script.text().await.unwrap();
    let expected =
        format!(r#"globalThis.__edgeweave={{"site":"shop","release":"{release}","base":"{}"}};"#, node.base);
    assert_eq!(first.lines().next(), Some(expected.as_str()));
    let again = node.get("/edgeweave.js?site=shop").header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let worker = node.get("/edgeweave-sw.js").send().await.unwrap();
    assert_eq!(worker.headers()["service-worker-allowed"], "/");
    assert_eq!(worker.headers()["cache-control"], "no-cache");

    let page =
        node.get(&format!("/client/{release}/page.js")).header("origin", "https://shop.example").send();
    let page = page.await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["access-control-allow-origin"], "https://shop.example");
    assert!(page.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(node.get("/client/0000/page.js").send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
