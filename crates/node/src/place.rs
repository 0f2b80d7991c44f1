//! Where an address is: its network (autonomous system) and country, from MaxMind tables where the operator has them.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use edgeweave_coordinator::BrowserKind;
use edgeweave_coordinator::io::Place;
use maxminddb::Reader;
use serde::Deserialize;

/// The node's tables; without them every prefix counts as a network of its own, and countries are unknown.
#[derive(Debug, Default)]
pub(crate) struct Places {
    networks: Option<Reader<Vec<u8>>>,
    countries: Option<Reader<Vec<u8>>>,
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the table {}: {source}", path.display())]
pub struct UnreadableTable {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: maxminddb::MaxMindDbError,
}

#[derive(Deserialize)]
struct NetworkRow {
    autonomous_system_number: Option<u32>,
}

/// MaxMind's own tables have `country.iso_code`, the free ones of ip-location-db `country_code`.
#[derive(Deserialize)]
struct CountryRow<'a> {
    #[serde(borrow)]
    country: Option<IsoCode<'a>>,
    country_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct IsoCode<'a> {
    iso_code: Option<&'a str>,
}

impl Places {
    /// Reads the tables.
    pub(crate) fn read(networks: Option<&Path>, countries: Option<&Path>) -> Result<Self, UnreadableTable> {
        let read = |path: &Path| {
            Reader::open_readfile(path).map_err(|source| UnreadableTable { path: path.to_owned(), source })
        };
        Ok(Self { networks: networks.map(read).transpose()?, countries: countries.map(read).transpose()? })
    }

    /// Where an address is.
    pub(crate) fn of(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let network = match &self.networks {
            Some(table) => network_in(table, address),
            None => Some(prefix_number(address)),
        };
        let country = self.countries.as_ref().and_then(|table| country_in(table, address));
        Place { network, country, address: address_number(address), ..Place::default() }
    }
}

/// The kind of browser that a `user-agent` names. Browsers name those that they want to be taken for, so the order
/// matters.
pub(crate) fn browser_kind(user_agent: &str) -> BrowserKind {
    let says = |name: &str| user_agent.contains(name);
    if says("Firefox/") {
        BrowserKind::Firefox
    } else if says("Chrome/") || says("Chromium/") {
        BrowserKind::Chromium
    } else if says("Safari/") {
        BrowserKind::Safari
    } else {
        BrowserKind::Other
    }
}

fn network_in(table: &Reader<Vec<u8>>, address: IpAddr) -> Option<u32> {
    table.lookup(address).ok()?.decode::<NetworkRow>().ok()??.autonomous_system_number
}

fn country_in(table: &Reader<Vec<u8>>, address: IpAddr) -> Option<[u8; 2]> {
    let row = table.lookup(address).ok()?.decode::<CountryRow<'_>>().ok()??;
    let code = row.country.and_then(|country| country.iso_code).or(row.country_code)?;
    code.as_bytes().try_into().ok()
}

/// A number for the /16 (IPv4) or /32 (IPv6): the sizes in which networks commonly get addresses.
fn prefix_number(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() >> 16,
        IpAddr::V6(v6) => (v6.to_bits() >> 96) as u32,
    }
}

/// A number for the address; of IPv6 for the /64, because one visitor has all of it.
fn address_number(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

/// Whether an address can be reached from everywhere: not private, loopback, link-local, reserved or the like
/// (RFC 6890 and the registries it created), also not wrapped in an IPv6 address of a transition mechanism.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let reserved = a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19));
            !(reserved
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast())
        }
        IpAddr::V6(v6) => match wrapped_v4(v6) {
            Some(v4) => is_public(v4),
            // Everything that is public unicast is in 2000::/3; documentation and benchmarks are in it, too.
            None => {
                let [a, b, ..] = v6.segments();
                let special = a == 0x2001 && (b < 0x200 || b == 0xdb8) || a == 0x3fff && b < 0x1000;
                a & 0xe000 == 0x2000 && !special
            }
        },
    }
}

/// The IPv4 address in an IPv4-mapped, NAT64 (64:ff9b::/96) or 6to4 (2002::/16) address.
fn wrapped_v4(address: Ipv6Addr) -> Option<IpAddr> {
    let bits = address.to_bits();
    let v4 = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => bits as u32,
        [0x2002, ..] => (bits >> 80) as u32,
        _ => return None,
    };
    Some(IpAddr::V4(v4.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for address in ["8.8.8.8", "193.0.6.139", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn browsers_are_told_from_what_they_say() {
        let said = [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                BrowserKind::Chromium,
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", BrowserKind::Firefox),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                BrowserKind::Safari,
            ),
            ("curl/8.0", BrowserKind::Other),
        ];
        for (user_agent, kind) in said {
            assert_eq!(browser_kind(user_agent), kind, "{user_agent}");
        }
    }

    #[test]
    fn without_tables_a_prefix_is_a_network() {
        let places = Places::default();
        let [a, b, c] =
            ["192.0.2.1", "192.0.99.1", "192.1.2.1"].map(|address| places.of(address.parse().unwrap()));
        assert_eq!((a.network, a.country), (b.network, None));
        assert_ne!(a.network, c.network);
        assert_ne!(a.address, b.address);
    }
}
