//! The site's origin, as a process in a namespace of its own.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use edgeweave_origin::{Found, Origin};
use lol_html::html_content::ContentType;
use lol_html::{RewriteStrSettings, element, rewrite_str};

use crate::content::Content;
use crate::told::Request;

/// The name of the site at the node.
pub(crate) const SITE: &str = "lab";
/// A page with nothing on it but words: the client cannot help it.
pub(crate) const WORDS: &str = "/edgeweave-lab-words.html";
/// The same without the client: no head is named there, into which the snippet would go.
pub(crate) const PLAIN_WORDS: &str = "/edgeweave-lab-plain-words.html";
/// Paragraphs on it.
const PARAGRAPHS: usize = 200;

/// What the process is told.
#[derive(Args)]
pub(crate) struct Options {
    /// The folder with the site.
    #[arg(long)]
    folder: PathBuf,
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The node's address, for the snippet.
    #[arg(long)]
    node: String,
    /// What assets' `Cache-Control` says.
    #[arg(long)]
    cache_control: String,
}

/// Serves until the process is ended.
pub(crate) fn run(options: Options) -> Result<()> {
    let Options { folder, listen, node, cache_control } = options;
    let snippet = format!(r#"<script async src="{node}/edgeweave.js" data-site="{SITE}"></script>"#);
    let worker = format!("importScripts(\"{node}/edgeweave-sw.js?site={SITE}\");\n");
    let content = Content::open(&folder)?;
    let has_icon = content.find("/favicon.ico").is_some();
    let out = Mutex::new(std::io::stdout());
    let origin = Origin {
        cache_control,
        documents: Some(Box::new(move |document| with_snippet(document, &snippet))),
        elsewhere: Some(Box::new(move |path| match path {
            "/edgeweave-sw.js" => Some(found(worker.as_bytes(), "text/javascript")),
            WORDS => Some(found(words(["<head>", "</head>"]).as_bytes(), "text/html; charset=utf-8")),
            PLAIN_WORDS => Some(found(words(["", ""]).as_bytes(), "text/html; charset=utf-8")),
            // Browsers ask for it on their own; a site without one is not at fault.
            "/favicon.ico" if !has_icon => Some(found(b"", "image/x-icon")),
            path => content.find(path),
        })),
        heard: Some(Box::new(move |answered| {
            let SocketAddr::V4(from) = answered.from else { return };
            let request = Request {
                at_ms: now_ms(),
                from: *from.ip(),
                path: answered.path.clone(),
                status: answered.status,
                kind: answered.kind.clone(),
                bytes: answered.bytes,
            };
            if let (Ok(line), Ok(mut out)) = (serde_json::to_string(&request), out.lock()) {
                // Whoever listened is gone, and ends this process.
                let _ = writeln!(out, "{line}");
            }
        })),
        ..Origin::new(folder)
    };
    let address = origin.serve(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let SocketAddr::V4(v4) = address else { anyhow::bail!("{address} is not IPv4") };
    println!("{}", serde_json::to_string(&ready(*v4.ip()))?);
    loop {
        std::thread::park();
    }
}

/// The first line: nobody has asked for anything yet.
fn ready(from: Ipv4Addr) -> Request {
    Request { at_ms: now_ms(), from, path: String::new(), status: 0, kind: String::new(), bytes: 0 }
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

fn found(body: &[u8], kind: &str) -> Found {
    let cache_control = Some("no-cache".into());
    Found { body: body.to_vec(), kind: kind.into(), modified: None, cache_control }
}

/// Documents that are no text stay as they are.
fn with_snippet(document: Vec<u8>, snippet: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&document) else { return document };
    let settings = RewriteStrSettings::new().append_element_content_handler(element!("head", |head| {
        head.append(snippet, ContentType::Html);
        Ok(())
    }));
    rewrite_str(text, settings).map_or(document.clone(), String::into_bytes)
}

/// A page of words, with these tags around its head, or none.
fn words([head, end]: [&str; 2]) -> String {
    let paragraph = "<p>There is nothing on this page that anybody could give to anybody else.</p>\n";
    let icon = r#"<link rel="icon" href="data:,">"#;
    format!(
        "<!doctype html><html lang=\"en\">{head}<title>Words</title>{icon}{end}<body>{}</body></html>",
        paragraph.repeat(PARAGRAPHS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snippet_goes_into_the_head_and_nothing_else_changes() {
        let page = |head: &str| {
            format!("<!doctype html><html><head><title>é</title>{head}</head><body>x</body></html>")
        };
        let plain = words(["", ""]).into_bytes();
        assert_eq!(with_snippet(plain.clone(), "<script></script>"), plain);
        let with = with_snippet(words(["<head>", "</head>"]).into_bytes(), "<script></script>");
        assert!(String::from_utf8(with).unwrap().contains("<script></script></head><body>"));
        let changed = with_snippet(page("").into_bytes(), "<script></script>");
        assert_eq!(String::from_utf8(changed).unwrap(), page("<script></script>"));
        assert_eq!(with_snippet(vec![0xff, 0xfe], "<script></script>"), [0xff, 0xfe]);
    }
}
