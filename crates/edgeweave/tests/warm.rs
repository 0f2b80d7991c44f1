//! `edgeweave warm`, as operators run it: against a node before a site.
#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

/// A site: a sitemap, two pages that share a picture, and what they are made of.
fn answer(path: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let (public, private) = ("public, max-age=3600", "private");
    Some(match path {
        "/sitemap.xml" => (
            "application/xml",
            private,
            "<urlset><url><loc>/</loc></url><url><loc>/b</loc></url><url><loc>https://other.example/</loc></url></urlset>",
        ),
        "/" => (
            "text/html; charset=utf-8",
            private,
            "<img src=a.png><img src=https://other.example/c.png><a href=/c>",
        ),
        "/b" => (
            "text/html",
            private,
            "<img src=a.png srcset='b.png?x=1&amp;y=2 2x'><script src=own.js></script>",
        ),
        "/a.png" | "/b.png?x=1&y=2" => ("image/png", public, "picture"),
        "/own.js" => ("text/javascript", private, "1"),
        _ => return None,
    })
}

fn converse(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut header = String::new();
    while reader.read_line(&mut header).ok()? > 2 {
        header.clear();
    }
    let (status, (kind, caching, body)) = match answer(line.split(' ').nth(1)?) {
        Some(answer) => ("200 OK", answer),
        None => ("404 Not Found", ("text/plain", "no-store", "")),
    };
    let length = body.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncache-control: {caching}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .ok()
}

fn serve_site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || converse(&stream));
        }
    });
    address
}

/// A running node. Dropped, it ends.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn edgeweave(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgeweave"));
    command.args(arguments).env_remove("EDGEWEAVE_API_TOKEN");
    command
}

fn start_node() -> (Node, String) {
    let origin = format!("http://{}", serve_site());
    let arguments =
        ["serve", "--origin", &origin, "--listen", "127.0.0.1:0", "--json", "--no-supernode", "--no-stun"];
    let mut node = edgeweave(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    (Node(node), format!("http://{}", addresses["listen"].as_str().unwrap()))
}

fn warm(node: &str, more: &[&str]) -> Output {
    edgeweave(&[&["warm", "--node", node], more].concat()).output().unwrap()
}

#[test]
fn a_sitemap_stands_for_what_its_pages_are_made_of() {
    let (_running, node) = start_node();
    let output = warm(&node, &["default", "/sitemap.xml", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let admitted = |path: &str| json!({ "url": format!("{node}{path}"), "outcome": "admitted" });
    let own = json!({ "url": format!("{node}/own.js"), "outcome": "refused", "reason": "private",
        "meaning": "`Cache-Control: private`." });
    let mut urls = said["urls"].as_array().unwrap().clone();
    urls.sort_by_key(|one| one["url"].to_string());
    assert_eq!(urls, [admitted("/a.png"), admitted("/b.png?x=1&y=2"), own]);
    assert_eq!((&said["admitted"], &said["refused"]), (&json!(2), &json!(1)));
}

#[test]
fn what_is_refused_is_said_with_its_reason() {
    let (_running, node) = start_node();
    let output =
        warm(&node, &[node.trim_start_matches("http://"), "/a.png", "/gone", "https://other.example/c.png"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    for line in [
        &format!("refused   {node}/gone"),
        "status: The status is not 200.",
        "refused   https://other.example/c.png",
        "other_origin: ",
        "1 admitted, 2 refused",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn who_does_not_answer_is_named() {
    let (_running, node) = start_node();
    let unknown = warm(&node, &["shop", "/a.png"]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && said.contains("there is no site `shop` here"), "{said}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = warm(&format!("http://{nobody}"), &["default", "/a.png"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("no node answers at") && said.contains("--node"),
        "{said}"
    );
}
