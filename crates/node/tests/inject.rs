//! Documents that visitors go to are given the snippet; nothing else is touched.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::convert::Infallible;
use std::io::{Read, Write};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use common::{Served, node_before};
use tokio::sync::mpsc;

const SNIPPET: &str = r#"<script async src="/edgeweave.js"></script>"#;
const PAGE: &str = "<!doctype html><html><head><title>Caf\u{e9}</title></head><body>hello</body></html>";

/// A site whose answer at any path is the page, with the headers that its query says.
fn site() -> Router {
    Router::new().fallback(get(|request: axum::extract::Request| async move {
        let mut answer =
            Response::builder().header("content-type", "text/html; charset=utf-8").header("etag", "\"v1\"");
        let headers = answer.headers_mut().unwrap();
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        {
            headers.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let is_gzip = headers.get("content-encoding").is_some_and(|coding| coding == "gzip");
        let body = if is_gzip { gzip(PAGE) } else { PAGE.into() };
        answer.body(Body::from(body)).unwrap()
    }))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn with_snippet() -> String {
    PAGE.replace("<head>", &format!("<head>{SNIPPET}"))
}

async fn page(site: &Served, query: &str) -> (HeaderMap, Bytes) {
    let answer = site.navigate(&format!("/?{query}")).send().await.unwrap();
    (answer.headers().clone(), answer.bytes().await.unwrap())
}

#[tokio::test]
async fn a_document_that_a_visitor_goes_to_has_the_snippet() {
    let site = node_before(site()).await;
    let (headers, body) = page(&site, "").await;
    assert_eq!(body, with_snippet());
    assert_eq!(headers["etag"], "W/\"v1\"");
    assert!(!headers.contains_key("content-length") && !headers.contains_key("content-encoding"));
    assert_eq!(headers["vary"], "accept-encoding, sec-fetch-dest");
    // A browser that says nothing of destinations says that it wants HTML.
    let plain =
        site.visitor.get(format!("{}/", site.base)).header("accept", "text/html").send().await.unwrap();
    assert_eq!(plain.text().await.unwrap(), with_snippet());
    let framed =
        site.visitor.get(format!("{}/", site.base)).header("sec-fetch-dest", "iframe").send().await.unwrap();
    assert_eq!(framed.text().await.unwrap(), with_snippet());
    assert_eq!(site.figure("edgeweave_proxy_injected_total").await, 3.0);
}

#[tokio::test]
async fn what_a_script_fetches_is_untouched() {
    let site = node_before(site()).await;
    let answer = site.get("/").header("accept", "text/html").send().await.unwrap();
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    assert_eq!(answer.content_length(), Some(PAGE.len() as u64));
    assert_eq!(answer.text().await.unwrap(), PAGE);
    let ranged = site.navigate("/").header("range", "bytes=0-").send().await.unwrap();
    assert_eq!(ranged.text().await.unwrap(), PAGE);
}

#[tokio::test]
async fn documents_that_must_not_change_do_not() {
    let site = node_before(site()).await;
    for query in [
        "content-disposition=attachment",
        "content-security-policy=script-src 'nonce-a' 'strict-dynamic'",
        "content-type=text/html; charset=utf-16",
        "content-type=text/plain",
        "content-type=application/xhtml%2Bxml",
        "cache-control=no-transform",
    ] {
        let (headers, body) = page(&site, query).await;
        assert_eq!(body, PAGE, "{query}");
        assert_eq!(headers["etag"], "\"v1\"", "{query}");
    }
    for reason in ["attachment", "content_security_policy", "charset", "no_transform"] {
        let name = format!("edgeweave_proxy_left_alone_total{{reason=\"{reason}\"}}");
        assert_eq!(site.figure(&name).await, 1.0, "{reason}");
    }
}

#[tokio::test]
async fn documents_are_compressed_as_visitors_like_it() {
    let site = node_before(site()).await;
    let brotli = site.navigate("/").header("accept-encoding", "gzip, deflate, br").send().await.unwrap();
    assert_eq!(brotli.headers()["content-encoding"], "br");
    let mut text = String::new();
    brotli::Decompressor::new(&*brotli.bytes().await.unwrap(), 4096).read_to_string(&mut text).unwrap();
    assert_eq!(text, with_snippet());

    let gzip = site.navigate("/").header("accept-encoding", "gzip, br;q=0").send().await.unwrap();
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert_eq!(ungzip(&gzip.bytes().await.unwrap()), with_snippet());
}

#[tokio::test]
async fn an_origin_that_compresses_unasked_is_understood() {
    let site = node_before(site()).await;
    let (headers, body) = page(&site, "content-encoding=gzip").await;
    assert_eq!(body, with_snippet());
    assert!(!headers.contains_key("content-encoding"));
    // Codings that the node does not know pass as they are.
    let (headers, body) = page(&site, "content-encoding=zstd").await;
    assert_eq!((&headers["content-encoding"], &body[..]), (&"zstd".parse().unwrap(), PAGE.as_bytes()));
}

fn ungzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_document_that_comes_bit_by_bit_is_shown_bit_by_bit() {
    let (parts, received) = mpsc::unbounded_channel::<Bytes>();
    let received = std::sync::Arc::new(std::sync::Mutex::new(Some(received)));
    let stream = move || {
        let received = received.lock().unwrap().take().unwrap();
        let parts = futures_util::stream::unfold(received, |mut received| async {
            let part = received.recv().await?;
            Some((Ok::<_, Infallible>(part), received))
        });
        async {
            Response::builder().header("content-type", "text/html").body(Body::from_stream(parts)).unwrap()
        }
    };
    let site = node_before(Router::new().route("/", get(stream))).await;
    let mut answer = site.navigate("/").header("accept-encoding", "gzip").send().await.unwrap();
    let mut shown = flate2::write::GzDecoder::new(Vec::new());
    for (part, expected) in
        [("<html><head>", format!("<html><head>{SNIPPET}")), ("<p>one</p>", "<p>one</p>".into())]
    {
        parts.send(part.into()).unwrap();
        while shown.get_ref().is_empty() {
            shown.write_all(&answer.chunk().await.unwrap().unwrap()).unwrap();
            shown.flush().unwrap();
        }
        assert_eq!(String::from_utf8(std::mem::take(shown.get_mut())).unwrap(), expected);
    }
}
