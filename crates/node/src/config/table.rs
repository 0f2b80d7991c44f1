//! Reads a TOML table key by key, and remembers all that is wrong with it.

use std::cell::RefCell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Mistake;

/// Unknown keys are taken for misspelt known ones from this similarity (Jaro-Winkler) on.
const SIMILAR: f64 = 0.8;

/// A table that is being read.
pub(super) struct Table<'t, 'd> {
    /// What stands before the keys of this table in a mistake.
    path: String,
    at: Range<usize>,
    entries: &'t DeTable<'d>,
    asked: Vec<&'static str>,
    mistakes: &'t RefCell<Vec<Mistake>>,
}

/// What a value cannot be, and why.
pub(super) type Read<T> = Result<T, String>;

impl<'t, 'd> Table<'t, 'd> {
    /// The outermost table.
    pub(super) fn root(table: &'t Spanned<DeTable<'d>>, mistakes: &'t RefCell<Vec<Mistake>>) -> Self {
        let entries = table.get_ref();
        Self { path: String::new(), at: table.span(), entries, asked: Vec::new(), mistakes }
    }

    /// Reads a value into `target`, if it is there and right.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        read: impl FnOnce(&DeValue<'_>) -> Read<T>,
    ) {
        if let Some((value, _)) = self.get(key, read) {
            *target = value;
        }
    }

    /// Reads a value that has no default.
    pub(super) fn set_some<T>(
        &mut self,
        key: &'static str,
        target: &mut Option<T>,
        read: impl FnOnce(&DeValue<'_>) -> Read<T>,
    ) {
        self.set(key, target, |value| read(value).map(Some));
    }

    /// Reads a value, and says where it stands.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Read<T>,
    ) -> Option<(T, Range<usize>)> {
        let value = self.value(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some((read, value.span())),
            Err(what) => {
                self.remember(Mistake::new(self.name(key), what).at(value.span()));
                None
            }
        }
    }

    /// Reads a value that must be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Read<T>,
    ) -> Option<(T, Range<usize>)> {
        if !self.entries.contains_key(key) {
            self.asked.push(key);
            self.remember(Mistake::new(self.name(key), "this is missing").at(self.at.clone()));
            return None;
        }
        self.get(key, read)
    }

    /// Reads a table in this one.
    pub(super) fn table(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'t, 'd>)) {
        let Some(value) = self.value(key) else { return };
        let path = self.name(key);
        self.enter(path, value, read);
    }

    /// Reads every table of an array of tables in this one.
    pub(super) fn tables(&mut self, key: &'static str, mut read: impl FnMut(&mut Table<'t, 'd>)) {
        let Some(value) = self.value(key) else { return };
        let Some(array) = value.get_ref().as_array() else {
            let what = format!("this is {}, not an array of tables", kind(value.get_ref()));
            return self.remember(
                Mistake::new(self.name(key), what).at(value.span()).way_out(format!("write [[{key}]]")),
            );
        };
        for (index, value) in array.iter().enumerate() {
            self.enter(format!("{}[{index}]", self.name(key)), value, &mut read);
        }
    }

    /// Remembers a mistake of this table.
    pub(super) fn remember(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// A key with those of the tables around it.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// Whatever was not asked for is unknown.
    pub(super) fn end(self) {
        for (key, value) in self.entries {
            let name = key.get_ref();
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            // The span of a table is that of its header; of a key, that of the key.
            let at = if value.get_ref().is_table() { value.span() } else { key.span() };
            let mistake = Mistake::new(self.name(name), "there is no such key").at(at);
            self.remember(match self.similar(name) {
                Some(known) => mistake.way_out(format!("did you mean `{known}`?")),
                None => mistake.way_out("`edgeweave serve --print-config` shows all keys"),
            });
        }
    }

    fn enter(&self, path: String, value: &'t Spanned<DeValue<'d>>, read: impl FnOnce(&mut Table<'t, 'd>)) {
        let Some(entries) = value.get_ref().as_table() else {
            let what = format!("this is {}, not a table", kind(value.get_ref()));
            return self.remember(Mistake::new(path, what).at(value.span()));
        };
        let mut table = Table { path, at: value.span(), entries, asked: Vec::new(), mistakes: self.mistakes };
        read(&mut table);
        table.end();
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'d>>> {
        self.asked.push(key);
        self.entries.get(key)
    }

    fn similar(&self, name: &str) -> Option<&'static str> {
        let similarity = |known: &&'static str| strsim::jaro_winkler(name, known);
        let best = self.asked.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
        (similarity(&best) >= SIMILAR).then_some(best)
    }
}

/// A text that is to be something.
pub(super) fn parsed<T: FromStr<Err: Display>>(value: &DeValue<'_>) -> Read<T> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// A text.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Read<&'v str> {
    value.as_str().ok_or_else(|| format!("this is {}, not a text in quotes", kind(value)))
}

/// An address and a port.
pub(super) fn socket(value: &DeValue<'_>) -> Read<SocketAddr> {
    let text = text(value)?;
    text.parse().map_err(|_| format!("`{text}` is not an address and a port such as 127.0.0.1:8080"))
}

/// A list of such.
pub(super) fn list<T>(read: impl Fn(&DeValue<'_>) -> Read<T>) -> impl FnOnce(&DeValue<'_>) -> Read<Vec<T>> {
    move |value| {
        let array =
            value.as_array().ok_or_else(|| format!("this is {}, not a list in brackets", kind(value)))?;
        array.iter().map(|value| read(value.get_ref())).collect()
    }
}

/// Yes or no.
pub(super) fn yes_or_no(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| format!("this is {}, neither true nor false", kind(value)))
}

/// A whole number within bounds.
pub(super) fn number<T: TryFrom<u64>>(least: u64, most: u64) -> impl FnOnce(&DeValue<'_>) -> Read<T> {
    move |value| {
        let Some(number) = value.as_integer() else {
            return Err(format!("this is {}, not a whole number", kind(value)));
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("not from {least} to {most}"))
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
