//! Starting, ending, and what stands in the way.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use common::{node_before, node_with};
use edgeweave_node::config::{Draft, Stun, SupernodeDraft};
use edgeweave_node::{Node, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn draft() -> Draft {
    Draft {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        origin: Some("http://127.0.0.1:9".parse().unwrap()),
        supernode: SupernodeDraft { enabled: false, ..SupernodeDraft::default() },
        ..Draft::default()
    }
}

async fn failure(draft: Draft) -> StartError {
    match Node::start(draft.finish().unwrap()).await {
        Ok(_) => panic!("the node has started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = failure(Draft { listen: address, stun: Stun::Off, ..draft() }).await.to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {address} (--listen): Address already in use")),
        "{error}"
    );
    let error = failure(Draft { admin_listen: Some(address), ..draft() }).await.to_string();
    assert!(error.contains("--admin-listen"), "{error}");

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = failure(Draft { stun: Stun::At(address), ..draft() }).await.to_string();
    assert!(error.starts_with(&format!("cannot answer STUN requests on UDP {address}")), "{error}");
}

#[tokio::test]
async fn a_table_that_is_none_is_named() {
    let error = failure(Draft { geo_asn: Some(PathBuf::from("/nowhere.mmdb")), ..draft() }).await.to_string();
    assert!(error.starts_with("cannot read the table /nowhere.mmdb"), "{error}");
}

#[tokio::test]
async fn stun_answers_beside_http() {
    let site = node_before(Router::new()).await;
    let addresses = site.node.addresses();
    let stun = addresses.stun.unwrap();
    assert_eq!(stun.ip(), addresses.listen.ip());
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // A binding request (RFC 8489, section 5) with an empty transaction.
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.resize(20, 7);
    socket.send_to(&request, stun).await.unwrap();
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).await.unwrap();
    assert_eq!(answer[..2], [1, 1]);
    // The mapped address: its port is the socket's, with the first half of the cookie in it.
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!((length, port), (32, socket.local_addr().unwrap().port()));
}

#[tokio::test]
async fn stun_can_be_left_out() {
    let site = node_with(Router::new(), |draft| draft.stun = Stun::Off).await;
    assert_eq!(site.node.addresses().stun, None);
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(Some(wait)));
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    let origin = Router::new().fallback(move || {
        let wait = wait.lock().unwrap().take();
        asked.send(()).unwrap();
        async move {
            if let Some(wait) = wait {
                wait.await.unwrap();
            }
            "finished"
        }
    });
    let site = node_before(origin).await;
    let listen = site.node.addresses().listen;
    let mut visitor = TcpStream::connect(listen).await.unwrap();
    visitor.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    was_asked.recv().await.unwrap();

    let ended = tokio::spawn(site.node.shut_down());
    while TcpStream::connect(listen).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("finished"), "{answer}");
    ended.await.unwrap();
}
