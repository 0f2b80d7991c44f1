//! Names of sites, peers and assets.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::binary;

/// The name of a customer's web site: 1 to 64 of `a-z`, `0-9`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
pub struct SiteId(Box<str>);

impl SiteId {
    /// The longest name allowed, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A site name that is not 1 to 64 of `a-z`, `0-9`, `-` and `.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSiteId;

impl fmt::Display for InvalidSiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a site's name is 1 to {} of a-z, 0-9, '-' and '.'", SiteId::MAX_BYTES)
    }
}

impl std::error::Error for InvalidSiteId {}

impl FromStr for SiteId {
    type Err = InvalidSiteId;

    fn from_str(text: &str) -> Result<Self, InvalidSiteId> {
        let valid = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
        if valid { Ok(Self(text.into())) } else { Err(InvalidSiteId) }
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SiteId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "SiteId")]
        struct Unchecked(Box<str>);
        let Unchecked(text) = Unchecked::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A peer's identity for one session, drawn by the coordinator. In JSON it is 16 hexadecimal digits, because a
/// JavaScript number cannot hold 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
pub struct PeerId(pub u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {self}")
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        binary::write(serializer, "PeerId", &self.0.to_be_bytes())
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return binary::read(deserializer, "PeerId", |bytes| {
                bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
            });
        }
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = PeerId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 hexadecimal digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PeerId, E> {
                let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
                number.map(PeerId).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// An asset's index in its site's manifest. An index is never used twice within one manifest epoch, so it names
/// one version of one URL's bytes for as long as the epoch lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(transparent)]
pub struct AssetId(pub u32);
