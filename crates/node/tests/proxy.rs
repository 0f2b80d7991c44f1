//! A site behind the node looks and works as it does without it.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::{any, get};
use common::{node_before, node_with, serve};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_websockets::{ClientBuilder, Message};

/// Answers with what was asked, so that a test can see it.
async fn mirror(request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut seen = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        seen += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    seen += &format!("\n{}", String::from_utf8(body.into()).unwrap());
    Response::builder()
        .header("x-own", "1")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(seen.into())
        .unwrap()
}

fn mirror_site() -> Router {
    Router::new().fallback(any(mirror))
}

#[tokio::test]
async fn methods_paths_headers_and_bodies_pass_as_they_are() {
    let site = node_before(mirror_site()).await;
    let url = format!("{}/a%2Fb//c;d/../e?q=%20&empty", site.base);
    // The visitor's own client would tidy the path up.
    let mut raw = tokio::net::TcpStream::connect(site.node.addresses().listen).await.unwrap();
    let request = format!(
        "PATCH {} HTTP/1.1\r\nhost: {}\r\ncookie: c=3\r\nx-mine: yes\r\nkeep-alive: 5\r\nconnection: close, x-hop\r\nx-hop: 1\r\ncontent-length: 4\r\n\r\nbody",
        &url[site.base.len()..],
        &site.base["http://".len()..],
    );
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();

    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    for line in ["x-own: 1", "set-cookie: a=1", "set-cookie: b=2"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(seen.starts_with("PATCH /a%2Fb//c;d/../e?q=%20&empty\n"), "{seen}");
    let origin = site.origin;
    let public = &site.base["http://".len()..];
    for line in [
        format!("host: {origin}"),
        "cookie: c=3".into(),
        "x-mine: yes".into(),
        "x-forwarded-for: 127.0.0.1".into(),
        format!("x-forwarded-host: {public}"),
        "x-forwarded-proto: http".into(),
        "\nbody".into(),
    ] {
        assert!(seen.contains(&line), "{line} in {seen}");
    }
    assert!(!seen.contains("x-hop") && !seen.contains("keep-alive"), "{seen}");
}

#[tokio::test]
async fn ranges_conditions_and_heads_are_the_origins_own() {
    async fn file(method: Method, headers: HeaderMap) -> Response<Body> {
        let answer = Response::builder().header("etag", "\"v1\"").header("accept-ranges", "bytes");
        if headers.get("if-none-match").is_some_and(|etag| etag == "\"v1\"") {
            return answer.status(StatusCode::NOT_MODIFIED).body(Body::empty()).unwrap();
        }
        match headers.get("range") {
            Some(_) => answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", "bytes 2-4/10")
                .body("234".into())
                .unwrap(),
            None if method == Method::HEAD => {
                answer.header("content-length", "10").body(Body::empty()).unwrap()
            }
            None => answer.body("0123456789".into()).unwrap(),
        }
    }
    let site = node_before(Router::new().route("/file", any(file))).await;

    let part = site.get("/file").header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(
        (part.status(), &part.headers()["content-range"]),
        (StatusCode::PARTIAL_CONTENT, &"bytes 2-4/10".parse().unwrap())
    );
    assert_eq!(part.text().await.unwrap(), "234");
    let same = site.get("/file").header("if-none-match", "\"v1\"").send().await.unwrap();
    assert_eq!(
        (same.status(), &same.headers()["etag"]),
        (StatusCode::NOT_MODIFIED, &"\"v1\"".parse().unwrap())
    );
    let head = site.visitor.head(format!("{}/file", site.base)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "10");
    let whole = site.get("/file").send().await.unwrap();
    assert_eq!((whole.content_length(), whole.text().await.unwrap().as_str()), (Some(10), "0123456789"));
}

#[tokio::test]
async fn what_points_at_the_origin_points_at_the_site() {
    async fn away(request: Request) -> Response<Body> {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let bare = host.split(':').next().unwrap();
        Response::builder()
            .status(StatusCode::FOUND)
            .header("location", format!("http://{host}/there?x=1"))
            .header("content-location", "http://elsewhere.example/")
            .header("set-cookie", "s=1; Domain=origin.example; Path=/")
            .header("set-cookie", format!("t=1; Domain={bare}; Path=/"))
            .header("x-origin", request.headers().get("origin").cloned().unwrap_or("none".parse().unwrap()))
            .header("x-referer", request.headers().get("referer").cloned().unwrap_or("none".parse().unwrap()))
            .body(Body::empty())
            .unwrap()
    }
    let site = node_before(Router::new().fallback(away)).await;
    let sent =
        site.get("/").header("origin", &site.base).header("referer", format!("{}/form", site.base)).send();
    let answer = sent.await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!(header("location"), format!("{}/there?x=1", site.base));
    assert_eq!(header("content-location"), "http://elsewhere.example/");
    assert_eq!(header("x-origin"), format!("http://{}", site.origin));
    assert_eq!(header("x-referer"), format!("http://{}/form", site.origin));
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    // 127.0.0.1 is the origin's host and the visitor's alike, so that cookie is right as it is.
    assert_eq!(cookies, ["s=1; Domain=origin.example; Path=/", "t=1; Domain=127.0.0.1; Path=/"]);
}

#[tokio::test]
async fn bodies_are_not_held_back() {
    let (parts, received) = mpsc::unbounded_channel::<Bytes>();
    let received = std::sync::Arc::new(std::sync::Mutex::new(Some(received)));
    let stream = move || {
        let received = received.lock().unwrap().take().unwrap();
        let parts = futures_util::stream::unfold(received, |mut received| async {
            let part = received.recv().await?;
            Some((Ok::<_, Infallible>(part), received))
        });
        async { Response::new(Body::from_stream(parts)) }
    };
    let site = node_before(Router::new().route("/events", get(stream))).await;
    let mut answer = site.get("/events").send().await.unwrap();
    for text in ["first", "second"] {
        parts.send(text.into()).unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), text);
    }
    drop(parts);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn an_upload_is_not_held_back_either() {
    let (seen, mut first) = mpsc::unbounded_channel::<Bytes>();
    let take = move |request: Request| {
        let mut body = request.into_body().into_data_stream();
        let seen = seen.clone();
        async move {
            while let Some(Ok(part)) = body.next().await {
                seen.send(part).unwrap();
            }
            "done"
        }
    };
    let site = node_before(Router::new().fallback(take)).await;
    let (parts, received) = mpsc::unbounded_channel::<Bytes>();
    let body = futures_util::stream::unfold(received, |mut received| async {
        let part = received.recv().await?;
        Some((Ok::<_, Infallible>(part), received))
    });
    let sent = site.visitor.post(format!("{}/", site.base)).body(reqwest::Body::wrap_stream(body)).send();
    let sent = tokio::spawn(sent);
    parts.send("first".into()).unwrap();
    assert_eq!(first.recv().await.unwrap(), "first");
    drop(parts);
    assert_eq!(sent.await.unwrap().unwrap().text().await.unwrap(), "done");
}

#[tokio::test]
async fn the_sites_own_websockets_pass() {
    // An origin that switches to a protocol of its own: it answers in upper case.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (_, mut socket) = tokio_websockets::ServerBuilder::new().accept(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if let Some(text) = message.as_text() {
                socket.send(Message::text(text.to_uppercase())).await.unwrap();
            }
        }
    });
    let site =
        node_with(mirror_site(), |draft| draft.origin = Some(format!("http://{origin}").parse().unwrap()))
            .await;
    let url = site.base.replace("http://", "ws://") + "/chat";
    let (mut socket, answer) = ClientBuilder::new().uri(&url).unwrap().connect().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().as_text(), Some("HELLO"));
}

#[tokio::test]
async fn an_origin_that_is_away_is_named_and_one_that_comes_back_is_used() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = free.local_addr().unwrap();
    drop(free);
    let site =
        node_with(mirror_site(), |draft| draft.origin = Some(format!("http://{origin}").parse().unwrap()))
            .await;
    let away = site.get("/").send().await.unwrap();
    assert_eq!(away.status(), StatusCode::BAD_GATEWAY);
    let text = away.text().await.unwrap();
    assert!(text.contains(&format!("origin http://{origin} does not answer")), "{text}");
    let ready = site.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text().await.unwrap().contains(&origin.to_string()));
    assert_eq!(site.get("/healthz").send().await.unwrap().status(), StatusCode::OK);

    let listener = tokio::net::TcpListener::bind(origin).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, mirror_site()).await });
    assert_eq!(site.get("/").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_operators_address_leaves_the_paths_to_the_site() {
    let site =
        node_with(mirror_site(), |draft| draft.admin_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0))))
            .await;
    for path in ["/metrics", "/healthz", "/readyz", "/api/v1/sites"] {
        let seen = site.get(path).send().await.unwrap().text().await.unwrap();
        assert!(seen.starts_with(&format!("GET {path}\n")), "{seen}");
        let own =
            site.visitor.get(format!("http://{}{path}", site.node.addresses().admin)).send().await.unwrap();
        assert_eq!(own.status(), StatusCode::OK, "{path}");
    }
    let admin = |path: &str| site.visitor.get(format!("http://{}{path}", site.node.addresses().admin)).send();
    assert_eq!(admin("/nothing").await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(admin("/").await.unwrap().headers()["location"], "/edgeweave/");
}

#[tokio::test]
async fn two_sites_on_one_machine_do_not_mix() {
    let other = serve(Router::new().fallback(|| async { "other" })).await;
    let site = node_before(mirror_site()).await;
    // Asking the node for another authority is asking the site, never another server.
    let mut raw = tokio::net::TcpStream::connect(site.node.addresses().listen).await.unwrap();
    let request = format!("GET http://{other}/x HTTP/1.1\r\nhost: {other}\r\nconnection: close\r\n\r\n");
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("GET /x\n"), "{answer}");
}
