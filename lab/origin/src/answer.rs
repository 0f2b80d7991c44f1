//! What the origin answers.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::content_type::content_type;
use crate::request::Request;
use crate::{Found, Origin};

/// The statuses that a static server needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    PartialContent,
    NotModified,
    NotFound,
    MethodNotAllowed,
    RangeNotSatisfiable,
}

impl Status {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::PartialContent => 206,
            Self::NotModified => 304,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RangeNotSatisfiable => 416,
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::PartialContent => "Partial Content",
            Self::NotModified => "Not Modified",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RangeNotSatisfiable => "Range Not Satisfiable",
        }
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: Status,
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer to a request.
    pub(crate) fn to(request: &Request, origin: &Origin) -> Self {
        if request.method != "GET" && request.method != "HEAD" {
            return Self::plain(Status::MethodNotAllowed);
        }
        let elsewhere = origin.elsewhere.as_ref().and_then(|elsewhere| elsewhere(&request.path));
        match elsewhere.or_else(|| read(&origin.folder, &request.path)) {
            Some(found) => Self::with(found, request, origin),
            None => Self::missing(request),
        }
    }

    fn with(found: Found, request: &Request, origin: &Origin) -> Self {
        let is_document = found.kind.starts_with("text/html");
        let usual = if is_document { "no-cache".into() } else { origin.cache_control.clone() };
        let content = match &origin.documents {
            Some(change) if is_document && !request.plain => change(found.body),
            _ => found.body,
        };
        let etag = etag(&content);
        let mut headers = vec![
            ("content-type", found.kind),
            ("cache-control", found.cache_control.unwrap_or(usual)),
            ("etag", etag.clone()),
            ("accept-ranges", "bytes".to_owned()),
            ("date", httpdate::fmt_http_date(SystemTime::now())),
        ];
        let modified = found.modified.map(httpdate::fmt_http_date);
        headers.extend(modified.clone().map(|modified| ("last-modified", modified)));
        // A validator that is an exact match goes before a date (RFC 9110, section 13.2.2).
        let is_known = match &request.if_none_match {
            Some(tag) => *tag == etag,
            None => request.if_modified_since.is_some() && request.if_modified_since == modified,
        };
        if is_known {
            return Self { status: Status::NotModified, headers, body: Vec::new() };
        }
        let size = content.len();
        match request.range.as_deref().map(|range| parse_range(range, size)) {
            None | Some(Range::Ignored) => Self { status: Status::Ok, headers, body: content },
            Some(Range::Part(first, end)) => {
                headers.push(("content-range", format!("bytes {first}-{}/{size}", end - 1)));
                Self { status: Status::PartialContent, headers, body: content[first..end].to_vec() }
            }
            Some(Range::Unsatisfiable) => {
                let mut answer = Self::plain(Status::RangeNotSatisfiable);
                answer.headers.push(("content-range", format!("bytes */{size}")));
                answer
            }
        }
    }

    fn missing(request: &Request) -> Self {
        let mut answer = Self::plain(Status::NotFound);
        if request.plain {
            // What a page takes when the browser has everything is measured without waiting for this.
            answer.headers.push(("cache-control", "max-age=3600".to_owned()));
        }
        answer
    }

    fn plain(status: Status) -> Self {
        // Nothing is said of keeping it, as by nginx and Apache, which have `Cache-Control` for what they have.
        let headers = vec![("content-type", "text/plain".to_owned())];
        Self { status, headers, body: status.phrase().into() }
    }

    /// The media type.
    pub(crate) fn kind(&self) -> &str {
        self.headers.iter().find(|(name, _)| *name == "content-type").map_or("", |(_, value)| value)
    }

    /// Status line and headers, with the line that ends them.
    pub(crate) fn head(&self) -> String {
        let (code, phrase) = (self.status.code(), self.status.phrase());
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\n");
        // The length in a 304 would be that of the content (RFC 9110, section 8.6), which is not at hand.
        if self.status != Status::NotModified {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

/// The file that a path names.
pub(crate) fn read(folder: &Path, path: &str) -> Option<Found> {
    let file = file_of(folder, path)?;
    let body = fs::read(&file).ok()?;
    let modified = fs::metadata(&file).and_then(|metadata| metadata.modified()).ok();
    Some(Found { body, kind: content_type(&file).into(), modified, cache_control: None })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::request::decode;

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
    fn nothing_outside_the_folder_is_served() {
        let folder = Path::new("/site");
        assert_eq!(file_of(folder, "/a/b.png"), Some("/site/a/b.png".into()));
        assert_eq!(file_of(folder, &decode("/%2e%2e/etc/passwd")), None);
        assert_eq!(file_of(folder, "//etc/passwd"), Some("/site/etc/passwd".into()));
    }

    fn origin() -> Origin {
        let document = |path: &str| {
            (path == "/").then(|| Found {
                body: b"<p>".to_vec(),
                kind: "text/html".into(),
                modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
                cache_control: None,
            })
        };
        Origin {
            documents: Some(Box::new(|body| [body, b"added".to_vec()].concat())),
            elsewhere: Some(Box::new(document)),
            ..Origin::new("/nowhere".into())
        }
    }

    fn get(request: Request) -> Answer {
        Answer::to(&Request { method: "GET".into(), path: "/".into(), ..request }, &origin())
    }

    #[test]
    fn documents_are_changed_unless_they_are_asked_for_as_they_are() {
        assert_eq!(get(Request::default()).body, b"<p>added");
        assert_eq!(get(Request { plain: true, ..Request::default() }).body, b"<p>");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let date = Some("Thu, 01 Jan 1970 00:00:01 GMT".to_owned());
        let known = get(Request { if_modified_since: date.clone(), ..Request::default() });
        assert_eq!(known.status, Status::NotModified);
        let other = get(Request {
            if_none_match: Some("\"x\"".into()),
            if_modified_since: date,
            ..Request::default()
        });
        assert_eq!(other.status, Status::Ok);
    }
}
