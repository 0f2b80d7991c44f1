//! The fetcher against a real origin.

use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response as Answer, StatusCode};
use axum::routing::get;

use super::*;
use crate::site::Site;

async fn serve(site: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, site).await });
    address
}

fn fetcher(reach: Reach) -> Fetcher {
    Fetcher::new(reach, None, FetchMetrics::default()).unwrap()
}

/// Fetches a path of a site that visitors know as `http://site.test` and whose origin is elsewhere.
async fn fetch(origin: &str, path: &str, reach: Reach, max_bytes: u64) -> Result<Fetched, Reason> {
    let public = vec!["http://site.test".parse().unwrap()];
    let upstream = Some(origin.parse().unwrap());
    let site = Site::new("s".parse().unwrap(), public, upstream, Default::default(), Default::default());
    let order = FetchOrder { site: Arc::new(site), url: path.into(), validators: Vec::new(), max_bytes };
    fetcher(reach).fetch(&order, &mut Keeping::new(None)).await
}

async fn fetch_here(site: Router, path: &str) -> Result<Fetched, Reason> {
    let origin = format!("http://{}", serve(site).await);
    fetch(&origin, &format!("http://site.test{path}"), Reach::Private, 1 << 20).await
}

#[tokio::test]
async fn content_is_hashed_as_visitors_get_it() {
    let gzip = || async {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, &[b'x'; 100_000]).unwrap();
        Answer::builder()
            .header("content-encoding", "gzip")
            .header("etag", "\"1\"")
            .body(Body::from(encoder.finish().unwrap()))
            .unwrap()
    };
    let fetched = fetch_here(Router::new().route("/a.css", get(gzip)), "/a.css").await.unwrap();
    let mut hasher = PieceHasher::default();
    hasher.update(&[b'x'; 100_000]);
    let Named { size, hash, pieces } = hasher.finish();
    assert_eq!((fetched.status, fetched.content), (200, Some(Content { size, hash, pieces })));
    let names: Vec<&str> = fetched.headers.iter().map(|(name, _)| &**name).collect();
    assert!(names.contains(&"etag") && !names.contains(&"content-encoding"), "{names:?}");
}

#[tokio::test]
async fn the_origin_sees_nobody_it_knows() {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let site = Router::new().fallback(|request: Request| async move {
        let headers = request.headers();
        let names = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        SEEN.lock().unwrap().extend(names);
        Answer::builder().header("set-cookie", "who=you").body(Body::empty()).unwrap()
    });
    let origin = format!("http://{}", serve(site).await);
    for _ in 0..2 {
        let fetched = fetch(&origin, "http://site.test/", Reach::Private, 10).await.unwrap();
        assert!(fetched.headers.iter().any(|(name, _)| &**name == "set-cookie"));
    }
    let seen = SEEN.lock().unwrap();
    assert!(
        seen.iter().all(|header| !header.starts_with("cookie") && !header.starts_with("authorization")),
        "{seen:?}"
    );
    assert!(seen.contains(&format!("host: {}", &origin["http://".len()..])), "{seen:?}");
    assert!(seen.iter().any(|header| header.starts_with("user-agent: edgeweave/")), "{seen:?}");
}

#[tokio::test]
async fn validators_are_sent_and_an_unchanged_asset_has_no_content() {
    let site = Router::new().fallback(|request: Request| async move {
        assert_eq!(request.headers()["if-none-match"], "\"1\"");
        axum::http::StatusCode::NOT_MODIFIED
    });
    let origin = format!("http://{}", serve(site).await).parse().unwrap();
    let site = Site::new(
        "s".parse().unwrap(),
        vec!["http://site.test".parse().unwrap()],
        Some(origin),
        Default::default(),
        Default::default(),
    );
    let validators = vec![("if-none-match".into(), "\"1\"".into())];
    let order =
        FetchOrder { site: Arc::new(site), url: "http://site.test/a".into(), validators, max_bytes: 1 };
    let fetched = fetcher(Reach::Private).fetch(&order, &mut Keeping::new(None)).await.unwrap();
    assert_eq!((fetched.status, fetched.content), (304, None));
}

#[tokio::test]
async fn an_asset_over_the_limit_is_given_up() {
    let said = Router::new().route("/said", get(|| async { "x".repeat((1 << 20) + 1) }));
    assert_eq!(fetch_here(said, "/said").await, Err(Reason::TooLarge));
    let endless = || async {
        let parts = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 4096]));
        Answer::new(Body::from_stream(parts))
    };
    assert_eq!(
        fetch_here(Router::new().route("/endless", get(endless)), "/endless").await,
        Err(Reason::TooLarge)
    );
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let there = || async { axum::response::Redirect::temporary("http://169.254.169.254/latest/meta-data") };
    assert_eq!(fetch_here(Router::new().route("/r", get(there)), "/r").await, Err(Reason::Redirect));
}

#[tokio::test]
async fn the_page_that_says_that_something_is_missing_is_read_and_that_of_other_errors_is_not() {
    let app = Router::new()
        .route("/forbidden", get(|| async { (StatusCode::FORBIDDEN, "no") }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing") });
    let missing = fetch_here(app.clone(), "/missing").await.unwrap();
    assert_eq!((missing.status, missing.content.map(|content| content.size)), (404, Some(7)));
    let forbidden = fetch_here(app, "/forbidden").await.unwrap();
    assert_eq!((forbidden.status, forbidden.content), (403, None));
}

#[tokio::test]
async fn private_addresses_are_refused_as_numbers_and_as_names() {
    let origin = serve(Router::new().fallback(|| async { "secret" })).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let origin = format!("http://{host}:{}", origin.port());
        let refused = fetch(&origin, "http://site.test/", Reach::Public, 10).await;
        assert_eq!(refused, Err(Reason::PrivateAddress), "{host}");
    }
}

#[tokio::test]
async fn urls_of_others_are_refused() {
    let origin = serve(Router::new().fallback(|| async { "mine" })).await;
    for url in [
        format!("http://{origin}/"),
        "http://site.test.evil.example/".into(),
        "http://site.test@evil.example/".into(),
        "http://site.test:81/".into(),
        "https://site.test/".into(),
        "file:///etc/passwd".into(),
    ] {
        let refused = fetch(&format!("http://{origin}"), &url, Reach::Private, 10).await;
        assert_eq!(refused, Err(Reason::OtherOrigin), "{url}");
    }
}

#[tokio::test]
async fn an_origin_that_is_away_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let failed = fetch(&origin, "http://site.test/", Reach::Private, 10).await;
    assert_eq!(failed, Err(Reason::OriginUnreachable));
}
