//! The demo's origin: a static server that answers as from far away. Every answer waits for a delay, and all answers
//! together share one rate. It is the plainest server that a browser accepts, because xtask has to compile quickly.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Bytes that are sent at a time: what the shared rate is shared out by.
const CHUNK_BYTES: usize = 16 * 1024;
/// The longest line of a request, in bytes.
const MAX_LINE_BYTES: u64 = 16 * 1024;
/// How long a connection may stay idle.
const IDLE: Duration = Duration::from_secs(60);
/// How long caches may keep an asset, in seconds.
const ASSET_MAX_AGE_S: u32 = 3600;

/// How far away the origin is.
#[derive(Clone, Copy)]
pub(crate) struct Distance {
    /// How long each answer waits.
    pub(crate) delay: Duration,
    /// Bits a second for all answers together.
    pub(crate) bits_per_second: f64,
}

/// Serves a folder from a port of the system's choice, until the process ends.
pub(crate) fn serve(folder: PathBuf, distance: Distance) -> Result<SocketAddr> {
    let listener =
        TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1 for the demo's origin")?;
    let address = listener.local_addr()?;
    let origin =
        Arc::new(Origin { folder, delay: distance.delay, link: Link::new(distance.bits_per_second) });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let origin = Arc::clone(&origin);
            // A visitor that goes away in the middle of an answer is nobody's business.
            thread::spawn(move || drop(origin.converse(&stream)));
        }
    });
    Ok(address)
}

struct Origin {
    folder: PathBuf,
    delay: Duration,
    link: Link,
}

impl Origin {
    /// Answers the requests of one connection.
    fn converse(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            thread::sleep(self.delay);
            let answer = Answer::to(&request, &self.folder);
            let mut stream = stream;
            stream.write_all(answer.head().as_bytes())?;
            if request.method == "GET" {
                for chunk in answer.body.chunks(CHUNK_BYTES) {
                    self.link.pass(chunk.len());
                    stream.write_all(chunk)?;
                }
            }
        }
        Ok(())
    }
}

/// The one link that all answers go over.
struct Link {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

impl Link {
    fn new(bits_per_second: f64) -> Self {
        Self { bytes_per_second: bits_per_second / 8.0, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes have gone over the link, behind those of everyone who came before.
    fn pass(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let through = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + takes;
            *free_at
        };
        thread::sleep(through.saturating_duration_since(Instant::now()));
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    range: Option<String>,
    if_none_match: Option<String>,
}

impl Request {
    /// The next request; none when the connection has ended.
    fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let Some(line) = read_line(reader)? else { return Ok(None) };
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
        let path = target.split(['?', '#']).next().unwrap_or("/");
        let mut request =
            Self { method: method.into(), path: decode(path), range: None, if_none_match: None };
        while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.trim().into()),
                "if-none-match" => request.if_none_match = Some(value.trim().into()),
                _ => {}
            }
        }
        Ok(Some(request))
    }
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
}

/// Undoes percent-encoding.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn to(request: &Request, folder: &Path) -> Self {
        if request.method != "GET" && request.method != "HEAD" {
            return Self::plain("405 Method Not Allowed");
        }
        let found = file_of(folder, &request.path).and_then(|path| Some((fs::read(&path).ok()?, path)));
        let Some((content, path)) = found else { return Self::plain("404 Not Found") };

        let kind = content_type(&path);
        let freshness = if kind.starts_with("text/html") {
            "no-cache".into()
        } else {
            format!("public, max-age={ASSET_MAX_AGE_S}")
        };
        let etag = etag(&content);
        let mut headers = vec![
            ("content-type", kind.to_owned()),
            ("cache-control", freshness),
            ("etag", etag.clone()),
            ("accept-ranges", "bytes".to_owned()),
        ];
        if request.if_none_match.as_deref() == Some(&etag) {
            return Self { status: "304 Not Modified", headers, body: Vec::new() };
        }
        let size = content.len();
        match request.range.as_deref().map(|range| parse_range(range, size)) {
            None | Some(Range::Ignored) => Self { status: "200 OK", headers, body: content },
            Some(Range::Part(first, end)) => {
                headers.push(("content-range", format!("bytes {first}-{}/{size}", end - 1)));
                Self { status: "206 Partial Content", headers, body: content[first..end].to_vec() }
            }
            Some(Range::Unsatisfiable) => {
                let mut answer = Self::plain("416 Range Not Satisfiable");
                answer.headers.push(("content-range", format!("bytes */{size}")));
                answer
            }
        }
    }

    fn plain(status: &'static str) -> Self {
        let headers =
            vec![("content-type", "text/plain".to_owned()), ("cache-control", "no-store".to_owned())];
        Self { status, headers, body: status.into() }
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

/// The file that a path names, if it is in the folder.
fn file_of(folder: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let file = folder.join(relative);
    if file.is_dir() { Some(file.join("index.html")) } else { Some(file) }
}

fn etag(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first byte to before the last.
    Part(usize, usize),
    /// Nothing of the content is in the range.
    Unsatisfiable,
    /// Several ranges, or not a range at all: the whole content is a right answer (RFC 9110, section 14.2).
    Ignored,
}

fn parse_range(text: &str, size: usize) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Ignored;
    };
    let (first, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return Range::Ignored,
    };
    if first < end { Range::Part(first, end) } else { Range::Unsatisfiable }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_browsers_write_them() {
        assert_eq!(parse_range("bytes=0-", 10), Range::Part(0, 10));
        assert_eq!(parse_range("bytes=2-5", 10), Range::Part(2, 6));
        assert_eq!(parse_range("bytes=-3", 10), Range::Part(7, 10));
        assert_eq!(parse_range("bytes=5-99", 10), Range::Part(5, 10));
        assert_eq!(parse_range("bytes=10-", 10), Range::Unsatisfiable);
        assert_eq!(parse_range("bytes=0-1,4-5", 10), Range::Ignored);
        assert_eq!(parse_range("lines=1-2", 10), Range::Ignored);
    }

    #[test]
    fn a_link_lets_no_more_through_than_its_rate() {
        let link = Link::new(8e6);
        let began = Instant::now();
        for _ in 0..4 {
            link.pass(5_000);
        }
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let folder = Path::new("/site");
        assert_eq!(file_of(folder, "/a/b.png"), Some("/site/a/b.png".into()));
        assert_eq!(file_of(folder, &decode("/%2e%2e/etc/passwd")), None);
        assert_eq!(file_of(folder, "//etc/passwd"), Some("/site/etc/passwd".into()));
    }

    #[test]
    fn a_request_is_read_to_its_end_and_no_further() {
        let mut text =
            "GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\nGET / HTTP/1.1\r\n\r\n".as_bytes();
        let first = Request::read(&mut text).unwrap().unwrap();
        assert_eq!((first.path.as_str(), first.range.as_deref()), ("/a b", Some("bytes=0-1")));
        assert_eq!(Request::read(&mut text).unwrap().unwrap().path, "/");
        assert_eq!(Request::read(&mut text).unwrap(), None);
    }
}
