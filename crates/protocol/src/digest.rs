//! SHA-256 values and the way an asset is cut into pieces.

use std::cmp::Ordering;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::binary;

/// A SHA-256 value; in JSON 43 characters of unpadded URL-safe base64, which is also valid in a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
pub struct Digest(pub [u8; 32]);

impl Ord for Digest {
    /// The order of the bytes. Most pairs differ in the first eight, which are compared without a call.
    fn cmp(&self, other: &Self) -> Ordering {
        self.first_word().cmp(&other.first_word()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Digest {
    /// Length of the textual form in bytes.
    pub const TEXT_BYTES: usize = 43;

    fn first_word(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Reads the textual form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::TEXT_BYTES {
            return None;
        }
        let mut bytes = [0; 32];
        let mut bits: u32 = 0;
        let mut held = 0;
        let mut filled = 0;
        for symbol in text.bytes() {
            bits = (bits << 6) | value_of(symbol)?;
            held += 6;
            if held >= 8 {
                held -= 8;
                *bytes.get_mut(filled)? = (bits >> held) as u8;
                filled += 1;
                bits &= (1 << held) - 1;
            }
        }
        // The last symbol carries two bits of nothing; another value there would be a second spelling.
        (bits == 0).then_some(Self(bytes))
    }
}

const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn value_of(symbol: u8) -> Option<u32> {
    Some(u32::from(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT_BYTES];
        let mut chunks = text.chunks_mut(4);
        for triple in self.0.chunks(3) {
            let bits = triple.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte))
                << (8 * (3 - triple.len()));
            for (place, symbol) in chunks.next().into_iter().flatten().enumerate() {
                *symbol = SYMBOLS[(bits >> (18 - 6 * place)) as usize & 63];
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        binary::write(serializer, "Digest", &self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return binary::read(deserializer, "Digest", |bytes| bytes.try_into().ok().map(Self));
        }
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("43 characters of URL-safe base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                Digest::parse(text).ok_or_else(|| E::custom("not 43 characters of URL-safe base64"))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// The SHA-256 of each piece of an asset, in order; in JSON the textual digests one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
pub struct PieceDigests(pub Vec<Digest>);

impl Serialize for PieceDigests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Joined<'a>(&'a [Digest]);
        impl fmt::Display for Joined<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|digest| digest.fmt(f))
            }
        }
        if serializer.is_human_readable() {
            return serializer.collect_str(&Joined(&self.0));
        }
        let mut joined = Vec::with_capacity(32 * self.0.len());
        self.0.iter().for_each(|digest| joined.extend_from_slice(&digest.0));
        binary::write(serializer, "PieceDigests", &joined)
    }
}

impl<'de> Deserialize<'de> for PieceDigests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return binary::read(deserializer, "PieceDigests", |joined| {
                let (digests, rest) = joined.as_chunks();
                rest.is_empty().then(|| Self(digests.iter().copied().map(Digest).collect()))
            });
        }
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let digests = text
            .as_bytes()
            .chunks(Digest::TEXT_BYTES)
            .map(|symbols| std::str::from_utf8(symbols).ok().and_then(Digest::parse))
            .collect::<Option<Vec<_>>>();
        digests.map(Self).ok_or_else(|| D::Error::custom("not a sequence of textual digests"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_survives_its_text(bytes: [u8; 32]) {
            let digest = Digest(bytes);
            prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,50}") {
            if let Some(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }

    #[test]
    fn piece_digests_are_one_string() {
        let pieces = PieceDigests(vec![Digest([1; 32]), Digest([255; 32])]);
        let json = serde_json::to_string(&pieces).unwrap();
        assert_eq!(json.len(), 2 + 2 * Digest::TEXT_BYTES);
        assert_eq!(serde_json::from_str::<PieceDigests>(&json).unwrap(), pieces);
        assert!(serde_json::from_str::<PieceDigests>("\"short\"").is_err());
    }
}
