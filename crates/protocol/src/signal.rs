//! What two browsers say to each other through a node, which relays it unread.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// With JSON, a signal is kept as the raw value that it was in its message, and relaying it costs no parsing.
#[cfg(feature = "json")]
type Text = serde_json::value::RawValue;
#[cfg(not(feature = "json"))]
type Text = str;

/// A session description or candidate as JSON text, exactly as the other browser wrote it. Nodes relay it without
/// reading it, so that whatever browsers come to say in it works at once.
#[derive(Clone)]
pub struct Signal(Box<Text>);

impl Signal {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        #[cfg(feature = "json")]
        return self.0.get();
        #[cfg(not(feature = "json"))]
        return &self.0;
    }

    #[cfg(not(feature = "json"))]
    fn new<E>(text: String) -> Result<Self, E> {
        Ok(Self(text.into()))
    }

    #[cfg(feature = "json")]
    fn new<E: serde::de::Error>(text: String) -> Result<Self, E> {
        Text::from_string(text).map(Self).map_err(E::custom)
    }
}

#[cfg(feature = "json")]
impl std::str::FromStr for Signal {
    type Err = serde_json::Error;

    /// Takes any JSON text.
    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        Self::new(text.into())
    }
}

impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Signal {}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[cfg(feature = "json")]
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        serializer.serialize_newtype_struct("Signal", self.as_str())
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[cfg(feature = "json")]
        if deserializer.is_human_readable() {
            return Box::deserialize(deserializer).map(Self);
        }
        #[derive(Deserialize)]
        #[serde(rename = "Signal")]
        struct Binary(String);
        Binary::deserialize(deserializer).and_then(|Binary(text)| Self::new(text))
    }
}

#[cfg(feature = "ts")]
impl ts_rs::TS for Signal {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(_: &ts_rs::Config) -> String {
        "unknown".into()
    }

    fn inline(config: &ts_rs::Config) -> String {
        Self::name(config)
    }
}
