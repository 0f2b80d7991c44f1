//! A web origin: scheme, host and port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// A web origin (RFC 6454), as `scheme://host[:port]` in lower case without a default port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebOrigin {
    text: Box<str>,
    /// Where the host begins in `text`.
    host_at: usize,
}

/// Why a text is not a web origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrigin {
    /// It is not a URL.
    #[error("`{0}` is not an address such as https://www.example.com")]
    Unreadable(Box<str>),
    /// It has another scheme.
    #[error("`{0}` begins neither with http:// nor with https://")]
    Scheme(Box<str>),
    /// There is more than an origin.
    #[error("`{0}` has more than a scheme, a host and a port; leave out the rest")]
    More(Box<str>),
}

impl WebOrigin {
    /// The origin of a URL; `None` for schemes other than `http` and `https`.
    pub fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?;
        let scheme = Some(url.scheme()).filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { text: format!("{scheme}://{host}{port}").into(), host_at: scheme.len() + 3 })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.host_at - 3]
    }

    /// `host[:port]`.
    pub fn authority(&self) -> &str {
        &self.text[self.host_at..]
    }

    /// The host without a port; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        host_of(self.authority())
    }

    /// The host as an address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The port, also when it is the scheme's own.
    pub fn port(&self) -> u16 {
        let default = if self.scheme() == "https" { 443 } else { 80 };
        self.authority()[self.host().len()..].trim_start_matches(':').parse().unwrap_or(default)
    }

    /// The whole as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part of a URL after this origin (it begins with `/`, `?` or `#`, or is empty); `None` for URLs of others.
    pub fn strip<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(&*self.text).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

/// The host of `host[:port]`; IPv6 addresses stay in brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for WebOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let url = Url::parse(text).map_err(|_| NotAnOrigin::Unreadable(text.into()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NotAnOrigin::Scheme(text.into()));
        }
        let more = url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if more {
            return Err(NotAnOrigin::More(text.into()));
        }
        Self::of(&url).ok_or_else(|| NotAnOrigin::Unreadable(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_in_one_way() {
        for (text, written) in [
            ("HTTPS://Www.Example.com:443/", "https://www.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<WebOrigin>().unwrap().as_str(), written);
        }
        for text in
            ["www.example.com", "ftp://example.com", "http://example.com/shop", "http://u@example.com"]
        {
            assert!(text.parse::<WebOrigin>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_has_parts() {
        let origin: WebOrigin = "http://[::1]:81".parse().unwrap();
        assert_eq!((origin.scheme(), origin.authority(), origin.host()), ("http", "[::1]:81", "[::1]"));
        assert_eq!((origin.port(), origin.address()), (81, "::1".parse().ok()));
        assert_eq!(origin.strip("http://[::1]:81/a?b"), Some("/a?b"));
        assert_eq!(origin.strip("http://[::1]:8100/a"), None);
    }
}
