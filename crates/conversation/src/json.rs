//! A JSON value that keeps what `serde_json::Value` loses: the text of numbers, the order of keys, repeated keys.
//!
//! It is made of [`Raw`] text, which takes any depth of nesting.

mod literal;
mod number;
mod raw;
mod write;

use std::fmt;

use memchr::memchr;

pub(crate) use raw::Entry;
pub use raw::Raw;
pub(crate) use write::Draft;
use write::{Hashing, Style, write_array};

/// How deep a kept value may be nested: what lies deeper is kept as a string that holds its JSON text.
///
/// Counted from the value that is kept as a whole (a message part, `context`, `metadata`), so that an archived object
/// reads back as it was written. PostgreSQL and most JSON libraries stop somewhere above it.
pub const MAX_DEPTH: usize = 64;

/// A JSON value. `Display` writes it in one line, as it was read but for white space and the spelling of escapes.
#[derive(Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written: no digit is lost.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: keys in the order in which they came; the last of repeated keys is the one that counts.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is an object or array without content.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Object(entries) => entries.is_empty(),
            Self::Array(items) => items.is_empty(),
            _ => false,
        }
    }

    /// Whether a string in it holds U+0000, which PostgreSQL's `jsonb` cannot; keys are strings too.
    pub fn has_nul(&self) -> bool {
        let nul = |text: &str| memchr(0, text.as_bytes()).is_some();
        match self {
            Self::String(text) | Self::Number(text) => nul(text),
            Self::Array(items) => items.iter().any(Self::has_nul),
            Self::Object(entries) => entries
                .iter()
                .any(|(key, value)| nul(key) || value.has_nul()),
            Self::Null | Self::Bool(_) => false,
        }
    }

    /// The value as text that PostgreSQL's `jsonb` accepts.
    ///
    /// `jsonb` keeps numbers as `numeric`, which holds at most 16383 digits after the decimal point and 131072 before
    /// it; a number of more than 400 characters, or with an exponent beyond ±400, becomes a string here.
    pub fn database_text(&self) -> String {
        self.text(Style::Database)
    }

    /// Text that is the same for every spelling of the same value: keys sorted, numbers by value, long strings by their hash. Only
    /// for hashing.
    pub(crate) fn canonical(&self) -> String {
        self.text(Style::Canonical)
    }

    /// Writes [`Json::database_text`] of an array of these.
    pub(crate) fn write_database_array<'a>(
        items: impl IntoIterator<Item = &'a Self>,
        mut out: &mut dyn fmt::Write,
    ) -> fmt::Result {
        Self::write_array(items, Style::Database, &mut out)
    }

    /// SHA-256 of [`Json::canonical`] of an array of these.
    pub(crate) fn canonical_sha256<'a>(items: impl IntoIterator<Item = &'a Self>) -> [u8; 32] {
        Hashing::of(|out| Self::write_array(items, Style::Canonical, out))
    }

    /// SHA-256 of [`Json::canonical`] of an array of objects with these entries.
    pub(crate) fn canonical_sha256_of_objects<'a>(
        objects: impl IntoIterator<Item = &'a [(String, Self)]>,
    ) -> [u8; 32] {
        let object = |entries, out: &mut _| Self::write_object(entries, Style::Canonical, out);
        Hashing::of(|out| write_array(objects, out, object))
    }

    /// An object with these keys.
    pub(crate) fn object<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// An object without keys.
    pub(crate) fn empty_object() -> Self {
        Self::Object(Vec::new())
    }

    /// Keeps a value that may be nested `room` levels deep.
    pub(crate) fn keep(raw: &Raw<'_>, room: usize) -> serde_json::Result<Self> {
        let text = raw.text();
        Ok(match raw.kind() {
            Kind::Object | Kind::Array if room == 0 => Self::String(text.to_owned()),
            Kind::Object => Self::Object(
                raw.opened()?
                    .entries()
                    .unwrap_or_default()
                    .iter()
                    .map(|(key, value)| {
                        Ok((key.clone().into_owned(), Self::keep(value, room - 1)?))
                    })
                    .collect::<serde_json::Result<_>>()?,
            ),
            Kind::Array => Self::Array(
                raw.opened()?
                    .items()
                    .unwrap_or_default()
                    .iter()
                    .map(|item| Self::keep(item, room - 1))
                    .collect::<serde_json::Result<_>>()?,
            ),
            Kind::String => Self::String(raw.decoded()?),
            Kind::Number => Self::Number(text.to_owned()),
            Kind::Bool => Self::Bool(text == "true"),
            Kind::Null => Self::Null,
        })
    }

    fn text(&self, style: Style) -> String {
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write(style, &mut out);
        out
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(Style::AsRead, formatter)
    }
}

/// Shows the type, never the content.
impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => Kind::Null.as_str(),
            Self::Bool(_) => Kind::Bool.as_str(),
            Self::Number(_) => Kind::Number.as_str(),
            Self::String(_) => Kind::String.as_str(),
            Self::Array(_) => Kind::Array.as_str(),
            Self::Object(_) => Kind::Object.as_str(),
        })
    }
}

/// The type of a value, told from its first character.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The type of the value that a text without white space before it is.
    pub(crate) fn at(text: &str) -> Self {
        match text.bytes().next() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// For error messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Json {
        Json::keep(&Raw::read(text).expect("JSON"), MAX_DEPTH).expect("a value")
    }

    #[test]
    fn writes_what_it_read() {
        for text in [
            r#"{"b":1,"a":[true,false,null,"x"],"b":2}"#,
            r#"{"n":[0,-0,1.0,1e2,123456789012345678901234567890,0.1000,1E+400]}"#,
            r#""\"\\\n\r\t\u0001é😀""#,
            "[]",
            "{}",
            "[[],{}]",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse(" [ 1 , \"\\u00e9\\/\" ] ").to_string(), "[1,\"é/\"]");
    }

    #[test]
    fn the_last_of_repeated_keys_counts() {
        assert_eq!(
            parse(r#"{"a":1,"a":2}"#).get("a"),
            Some(&Json::Number("2".to_owned()))
        );
    }

    #[test]
    fn canonical_text_ignores_spelling_but_not_value() {
        assert_eq!(
            parse(r#"{"b":1.0,"a":[10]}"#).canonical(),
            parse(r#" {"a":[1e1], "b":1}"#).canonical()
        );
        assert_ne!(parse("[1,2]").canonical(), parse("[2,1]").canonical());
        assert_ne!(
            parse(r#"{"a":1}"#).canonical(),
            parse(r#"{"a":"1"}"#).canonical()
        );
    }

    #[test]
    fn numbers_that_postgresql_refuses_become_strings_for_it() {
        assert_eq!(
            parse("[1,-2.50,1e400,1e401,0e-20000]").database_text(),
            r#"[1,-2.50,1e400,"1e401","0e-20000"]"#
        );
    }

    #[test]
    fn any_depth_is_read_and_what_is_too_deep_becomes_text() {
        for depth in [MAX_DEPTH, MAX_DEPTH + 1, 1000, 100_000] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let written = parse(&text).to_string();
            assert_eq!(written == text, depth <= MAX_DEPTH);
            assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
            assert_eq!(
                parse(&written).to_string(),
                written,
                "reads back as it was written"
            );
            assert_eq!(written.replace('"', ""), text, "nothing is lost");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in json()) {
            let text = value.to_string();
            let ours = parse(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).expect("JSON"), serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
        }
    }
}
