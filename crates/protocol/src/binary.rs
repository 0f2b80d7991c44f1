//! Names that are text in JSON and plain bytes in binary formats, where nobody reads them.

use std::fmt;

use serde::{Deserializer, Serialize, Serializer};

/// Writes `bytes` as one run, as the newtype `name`.
pub(crate) fn write<S: Serializer>(
    serializer: S,
    name: &'static str,
    bytes: &[u8],
) -> Result<S::Ok, S::Error> {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    serializer.serialize_newtype_struct(name, &Bytes(bytes))
}

/// Reads what [`write`] wrote; `value` says what the bytes mean, if anything.
pub(crate) fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    name: &'static str,
    value: fn(&[u8]) -> Option<T>,
) -> Result<T, D::Error> {
    struct Visitor<T>(fn(&[u8]) -> Option<T>);
    impl<'de, T> serde::de::Visitor<'de> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            deserializer.deserialize_bytes(self)
        }

        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
            (self.0)(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
        }
    }
    deserializer.deserialize_newtype_struct(name, Visitor(value))
}
