//! Reading JSON with little code. In a browser every byte of the engine is downloaded, and `serde_json`'s reader,
//! once for each of our types, is half of it: it can read any JSON into any type, and explain what is wrong with it.
//! This one reads what this crate's messages and the engine's inputs are made of (no fractions, no untagged or
//! flattened types), and says only where it stopped. Tests hold it against `serde_json`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// The name under which `serde_json`'s `RawValue` asks for text as it stands.
const RAW: &str = "$serde_json::private::RawValue";

/// A text is not the JSON of the type that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Bytes before the place where reading stopped.
    pub at: usize,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable at byte {}", self.at)
    }
}

impl std::error::Error for Unreadable {}

/// Reads a value from the whole of a text.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Unreadable> {
    let mut reader = Reader { text, at: 0 };
    let value = T::deserialize(&mut reader);
    match value {
        Ok(value) if reader.peek().is_none() => Ok(value),
        _ => Err(Unreadable { at: reader.at }),
    }
}

/// What is wrong while reading: nothing is told of it but where.
#[derive(Debug)]
struct Wrong;

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong")
    }
}

impl std::error::Error for Wrong {}

// The defaults would write sentences, and with them bring in the code that formats every kind of value.
impl de::Error for Wrong {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn missing_field(_: &'static str) -> Self {
        Self
    }
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

type Read<T> = Result<T, Wrong>;

/// A text and how far it is read. The functions below are kept out of line: they are called from the code of every
/// type, and inlining them there is what makes readers large.
struct Reader<'de> {
    text: &'de str,
    at: usize,
}

impl<'de> Reader<'de> {
    /// The next byte that is not white space.
    #[inline(never)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Takes the next byte if it is `byte`.
    #[inline(never)]
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline(never)]
    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.take(byte) { Ok(()) } else { Err(Wrong) }
    }

    #[inline(never)]
    fn expect_word(&mut self, word: &str) -> Read<()> {
        self.peek();
        self.rest()?.strip_prefix(word).ok_or(Wrong)?;
        self.at += word.len();
        Ok(())
    }

    fn rest(&self) -> Read<&'de str> {
        self.text.get(self.at..).ok_or(Wrong)
    }

    #[inline(never)]
    fn number(&mut self) -> Read<u64> {
        self.peek();
        let rest = self.rest()?;
        let end = rest.find(|symbol: char| !symbol.is_ascii_digit()).unwrap_or(rest.len());
        let digits =
            rest.get(..end).filter(|digits| *digits == "0" || !digits.starts_with('0')).ok_or(Wrong)?;
        let number = digits.parse().map_err(|_| Wrong)?;
        self.at += end;
        // A fraction or an exponent would be read as something else otherwise.
        match self.text.as_bytes().get(self.at) {
            Some(b'.' | b'e' | b'E') => Err(Wrong),
            _ => Ok(number),
        }
    }

    /// A string; it is borrowed when nothing in it is escaped.
    #[inline(never)]
    fn string(&mut self) -> Read<Cow<'de, str>> {
        self.expect(b'"')?;
        let mut read = Cow::Borrowed("");
        loop {
            let rest = self.rest()?;
            let end = rest.find(|symbol: char| matches!(symbol, '"' | '\\') || symbol < ' ').ok_or(Wrong)?;
            let (plain, after) = rest.split_at_checked(end).ok_or(Wrong)?;
            read += plain;
            self.at += end + 1;
            match after.as_bytes().first() {
                Some(b'"') => return Ok(read),
                Some(b'\\') => read.to_mut().push(self.escaped()?),
                _ => return Err(Wrong),
            }
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Read<char> {
        let symbol = *self.text.as_bytes().get(self.at).ok_or(Wrong)?;
        self.at += 1;
        Ok(match symbol {
            b'"' | b'\\' | b'/' => char::from(symbol),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(Wrong),
        })
    }

    /// Four hexadecimal digits, or twice four for what UTF-16 writes as a pair.
    fn unicode(&mut self) -> Read<char> {
        let first = self.hexadecimal()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.expect_word("\\u")?;
            let second = self.hexadecimal()?.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(Wrong)?;
            0x1_0000 + ((first - 0xd800) << 10) + second
        } else {
            first
        };
        char::from_u32(code).ok_or(Wrong)
    }

    fn hexadecimal(&mut self) -> Read<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Wrong)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Wrong);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Wrong)
    }

    /// Passes over a value of any kind, however deep, and returns its text. It checks no more than it must to find the
    /// end: the text is not used, or handed on as it stands.
    #[inline(never)]
    fn skip(&mut self) -> Read<&'de str> {
        let first = self.peek();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Wrong)? {
                b'"' => drop(self.string()?),
                b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1).ok_or(Wrong)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                _ => self.scalar()?,
            }
            if depth == 0 {
                break;
            }
        }
        let text = self.text.get(start..self.at).ok_or(Wrong)?;
        if first.is_some() && !text.is_empty() { Ok(text) } else { Err(Wrong) }
    }

    /// Passes over a number or a word.
    fn scalar(&mut self) -> Read<()> {
        let rest = self.rest()?;
        let is_part = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '+' | '.');
        let end = rest.find(|symbol| !is_part(symbol)).unwrap_or(rest.len());
        self.at += end;
        if end > 0 { Ok(()) } else { Err(Wrong) }
    }
}

macro_rules! deserialize_numbers {
    ($($name:ident),+) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            visitor.visit_u64(self.number()?)
        })+
    };
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Wrong;

    deserialize_numbers!(deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64);

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(Wrong)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let is_true = self.peek() == Some(b't');
        self.expect_word(if is_true { "true" } else { "false" })?;
        visitor.visit_bool(is_true)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_str(&text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_str(&self.string()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.expect_word("null")?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.peek() == Some(b'n') {
            self.expect_word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Read<V::Value> {
        if name == RAW {
            return visitor.visit_map(Raw(Some(self.skip()?)));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.expect(b'[')?;
        visitor.visit_seq(Members::of(self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.expect(b'[')?;
        // A tuple asks for as many members as it has, and not for the end.
        let mut members = Members::of(self);
        let value = visitor.visit_seq(&mut members)?;
        members.reader.expect(b']')?;
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.expect(b'{')?;
        visitor.visit_map(Members::of(self))
    }

    // Structs as lists are JSON that nobody writes, and leaving them out halves what each struct takes.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        if self.take(b'{') {
            let value = visitor.visit_enum(WithContent(self))?;
            self.expect(b'}')?;
            return Ok(value);
        }
        visitor.visit_enum(WithoutContent(self))
    }

    serde::forward_to_deserialize_any! { i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit_struct }
}

/// The members of a list or an object.
struct Members<'a, 'de> {
    reader: &'a mut Reader<'de>,
    begun: bool,
}

impl<'a, 'de> Members<'a, 'de> {
    fn of(reader: &'a mut Reader<'de>) -> Self {
        Self { reader, begun: false }
    }

    /// Whether there is another, before `end`; takes what stands between them, or the end.
    #[inline(never)]
    fn has_next(&mut self, end: u8) -> Read<bool> {
        if self.reader.take(end) {
            return Ok(false);
        }
        if self.begun {
            self.reader.expect(b',')?;
        }
        self.begun = true;
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.has_next(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.has_next(b'}')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// `{"variant":content}`
struct WithContent<'a, 'de>(&'a mut Reader<'de>);

impl<'de> EnumAccess<'de> for WithContent<'_, 'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self)> {
        let variant = seed.deserialize(&mut *self.0)?;
        self.0.expect(b':')?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for WithContent<'_, 'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Read<()> {
        self.0.expect_word("null")
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Read<V::Value> {
        de::Deserializer::deserialize_tuple(self.0, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Read<V::Value> {
        de::Deserializer::deserialize_map(self.0, visitor)
    }
}

/// `"variant"`
struct WithoutContent<'a, 'de>(&'a mut Reader<'de>);

impl<'de> EnumAccess<'de> for WithoutContent<'_, 'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self)> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de> VariantAccess<'de> for WithoutContent<'_, 'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Read<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Read<T::Value> {
        Err(Wrong)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Read<V::Value> {
        Err(Wrong)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Read<V::Value> {
        Err(Wrong)
    }
}

/// Text as it stands, in the way in which `RawValue` asks for it: an object with one member.
struct Raw<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.0.is_none() {
            return Ok(None);
        }
        seed.deserialize(de::value::StrDeserializer::new(RAW)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(de::value::BorrowedStrDeserializer::new(self.0.take().ok_or(Wrong)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::value::RawValue;

    use super::*;
    use crate::message::{ToNode, ToPeer};
    use crate::report::Report;
    use crate::{AssetSet, Reason};

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Unit,
        Newtype(Option<u32>),
        Struct {
            name: Box<str>,
            #[serde(default)]
            flag: bool,
            pairs: Vec<(Box<str>, u64)>,
        },
    }

    /// What a reader makes of a text, as JSON again.
    fn both<'de, T: Deserialize<'de> + Serialize>(text: &'de str) -> (Option<String>, Option<String>) {
        let written = |value: T| serde_json::to_string(&value).unwrap();
        (read::<T>(text).ok().map(written), serde_json::from_str::<T>(text).ok().map(written))
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let name = any::<String>().prop_map(String::into_boxed_str);
        let pairs = prop::collection::vec(("\\PC{0,6}".prop_map(String::into_boxed_str), any::<u64>()), 0..4);
        prop_oneof![
            Just(Shape::Unit),
            any::<Option<u32>>().prop_map(Shape::Newtype),
            (name, any::<bool>(), pairs).prop_map(|(name, flag, pairs)| Shape::Struct { name, flag, pairs }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(shapes in prop::collection::vec(shape(), 0..5)) {
            let text = serde_json::to_string(&shapes).unwrap();
            let (ours, theirs) = both::<Vec<Shape>>(&text);
            prop_assert_eq!(ours.as_deref(), Some(text.as_str()));
            prop_assert_eq!(theirs.as_deref(), Some(text.as_str()));
            let pretty = serde_json::to_string_pretty(&shapes).unwrap();
            prop_assert_eq!(both::<Vec<Shape>>(&pretty).0, Some(text));
        }

        #[test]
        fn a_damaged_text_is_read_as_serde_json_reads_it(shapes in prop::collection::vec(shape(), 1..3), cut: prop::sample::Index, put in "[\\[\\]{}:,\"\\\\0-9a-zé .-]{0,2}") {
            let text = serde_json::to_string(&shapes).unwrap();
            let place = text.char_indices().map(|(place, _)| place).nth(cut.index(text.chars().count())).unwrap();
            let damaged = format!("{}{put}{}", &text[..place], text[place..].chars().skip(1).collect::<String>());
            let (ours, theirs) = both::<Vec<Shape>>(&damaged);
            // What is ignored is passed over more generously; nothing that we refuse is accepted by serde_json.
            if theirs.is_some() {
                prop_assert_eq!(ours, theirs, "{}", damaged);
            }
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}") {
            let _ = read::<ToPeer<'_>>(&text);
            let _ = read::<ToNode>(&text);
            let _ = read::<Report>(&text);
            let _ = Reader { text: &text, at: 0 }.skip();
        }
    }

    #[test]
    fn signals_stay_as_they_stand() {
        let text = r#"{"signal":{"from":"00000000000000ff","later":{"a":[1,{"b":"]"}]},"signal":{"sdp":"v=0\r\n",  "odd" : [1,-2.5e3]}}}"#;
        let ToPeer::Signal { signal, .. } = read(text).unwrap() else { panic!("not a signal") };
        assert_eq!(signal.get(), r#"{"sdp":"v=0\r\n",  "odd" : [1,-2.5e3]}"#);
        assert_eq!(read::<Box<RawValue>>(" [ 1 ] ").unwrap().get(), "[ 1 ]");
    }

    #[test]
    fn unknown_reasons_and_fields_are_passed_over() {
        assert_eq!(read::<Reason>("\"from_the_future\"").unwrap(), Reason::Unknown);
        assert!(read::<ToNode>(r#"{"find":{"assets":[1,2],"more":[{"x":null},true,"\\\""]}}"#).is_ok());
        assert_eq!(read::<AssetSet>("[1,2,5,1]").unwrap().len(), 3);
    }

    #[test]
    fn the_place_is_told_where_reading_stopped() {
        for (text, at) in [("", 0), ("{", 0), ("[", 1), ("[1,x]", 3), ("[1] 2", 4), ("[1.5]", 2), ("[01]", 1)]
        {
            assert_eq!(read::<Vec<u32>>(text).unwrap_err().at, at, "{text}");
        }
        assert!(read::<Box<str>>("\"\\ud800\"").is_err());
        assert_eq!(&*read::<Box<str>>(r#""a\u00e9\ud83d\ude00\n""#).unwrap(), "aé😀\n");
    }
}
