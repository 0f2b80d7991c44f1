//! Who asks: the visitor behind a connection, also through proxies that the operator trusts.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HOST};
use ipnet::IpNet;

use crate::web_origin::host_of;

/// The socket at the other end of a connection; in the extensions of every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Who sent a request, and how they address this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The visitor's address.
    pub(crate) address: IpAddr,
    /// `http` or `https`, as the visitor's browser sees it.
    pub(crate) scheme: &'static str,
    /// `host[:port]`, as the visitor's browser sees it.
    pub(crate) authority: Box<str>,
}

impl Client {
    /// Reads it from a request: what `X-Forwarded-*` say counts only when a trusted proxy says it.
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, uri_host: Option<&str>, trusted: &[IpNet]) -> Self {
        let socket = peer.0.ip().to_canonical();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let own_host =
            headers.get(HOST).and_then(|value| value.to_str().ok()).or(uri_host).unwrap_or_default();
        if !is_in(trusted, socket) {
            return Self { address: socket, scheme: "http", authority: normal_authority(own_host) };
        }
        let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let authority = normal_authority(text("x-forwarded-host").unwrap_or(own_host));
        Self { address: forwarded_for(headers, trusted).unwrap_or(socket), scheme, authority }
    }

    /// The host without a port.
    pub(crate) fn host(&self) -> &str {
        host_of(&self.authority)
    }
}

/// Whether a request came from this machine and through no proxy.
pub(crate) fn is_local(peer: Peer, headers: &HeaderMap) -> bool {
    let proxied = headers.contains_key("x-forwarded-for") || headers.contains_key(FORWARDED);
    peer.0.ip().to_canonical().is_loopback() && !proxied
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The last address that no trusted proxy has: what stands before it may be invented.
fn forwarded_for(headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").into_iter();
    let all: Vec<&str> =
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let mut last = None;
    for text in all.into_iter().rev() {
        let address: IpAddr = text.trim().parse().ok()?;
        last = Some(address.to_canonical());
        if !is_in(trusted, address) {
            break;
        }
    }
    last
}

/// Lower case; whatever is no host is nothing.
fn normal_authority(text: &str) -> Box<str> {
    match text.parse::<http::uri::Authority>() {
        Ok(authority) if !text.contains('@') => authority.as_str().to_ascii_lowercase().into(),
        _ => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> Client {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Client::of(Peer(peer.parse().unwrap()), &headers, None, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn a_stranger_cannot_say_who_he_is() {
        let seen = client(
            "192.0.2.1:5",
            &[("host", "Node.example:80"), ("x-forwarded-for", "8.8.8.8"), ("x-forwarded-proto", "https")],
        );
        assert_eq!((seen.address, seen.scheme), ("192.0.2.1".parse().unwrap(), "http"));
        assert_eq!(&*seen.authority, "node.example:80");
    }

    #[test]
    fn a_trusted_proxy_says_who_asks() {
        let seen = client(
            "10.0.0.1:5",
            &[
                ("host", "inside"),
                ("x-forwarded-for", "1.1.1.1, 192.0.2.9, 10.0.0.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "www.example.com"),
            ],
        );
        assert_eq!(seen.address, "192.0.2.9".parse::<IpAddr>().unwrap());
        assert_eq!((seen.scheme, &*seen.authority), ("https", "www.example.com"));
    }
}
