//! What browsers ask.

use std::io::{BufRead, Read};

/// The longest line of a request, in bytes.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// A request, as far as a static server looks at it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Decoded, without the query.
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) if_modified_since: Option<String>,
    /// Documents are to be sent as they are.
    pub(crate) plain: bool,
}

impl Request {
    /// The next request; none when the connection has ended.
    pub(crate) fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let Some(line) = read_line(reader)? else { return Ok(None) };
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
        let path = target.split(['?', '#']).next().unwrap_or("/");
        let mut request = Self { method: method.into(), path: decode(path), ..Self::default() };
        while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.trim().into()),
                "if-none-match" => request.if_none_match = Some(value.trim().into()),
                "if-modified-since" => request.if_modified_since = Some(value.trim().into()),
                crate::PLAIN => request.plain = true,
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
pub(crate) fn decode(path: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
