//! From values to JSON text, wherever that goes: into a string, into a hash, into the message of a driver.

use std::borrow::Cow;
use std::fmt::{self, Write};

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{Json, literal, number};
use crate::instant;

/// A value that is only to be written, so that what it says is borrowed from where it is kept: nearly all of an object is
/// text, of which a copy would be made for nothing but to be copied again.
pub(crate) enum Draft<'a> {
    Number(String),
    String(Cow<'a, str>),
    /// Becomes text only if it is written.
    Instant(OffsetDateTime),
    Value(&'a Json),
    Array(Vec<Self>),
    /// In this order.
    Object(Vec<(&'a str, Self)>),
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// But for white space and the spelling of escapes.
    AsRead,
    /// For PostgreSQL's `jsonb`.
    Database,
    /// The same for every spelling of one value.
    Canonical,
}

impl Draft<'_> {
    /// Whether it is an object or array without content.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Object(entries) => entries.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Value(value) => value.is_empty(),
            Self::Number(_) | Self::String(_) | Self::Instant(_) => false,
        }
    }

    /// The text, as an archived object has it.
    pub(crate) fn into_text(self) -> String {
        let length = self.length();
        // Some of it has to be escaped, and moving a large text costs more than a little room.
        let mut text = String::with_capacity(length + length / 8);
        // Writing to a `String` cannot fail.
        let _ = self.write(Style::AsRead, &mut text);
        text
    }

    /// SHA-256 of the canonical text.
    pub(crate) fn canonical_sha256(&self) -> [u8; 32] {
        Hashing::of(|out| self.write(Style::Canonical, out))
    }

    /// How long the text is, but for what has to be escaped.
    fn length(&self) -> usize {
        match self {
            Self::Number(number) => number.len(),
            Self::String(text) => text.len() + QUOTES,
            Self::Instant(_) => QUOTES + "2026-11-23T10:00:00Z".len(),
            Self::Value(value) => length(value),
            Self::Array(items) => items.iter().map(|item| item.length() + BETWEEN).sum(),
            Self::Object(entries) => {
                let entries = entries.iter();
                let entry = |(key, value): &(&str, Self)| key.len() + ENTRY + value.length();
                entries.map(entry).sum()
            }
        }
    }

    fn write(&self, style: Style, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Number(number) => write_number(number, style, out),
            Self::String(text) => write_string(text, style, out),
            Self::Instant(instant) => literal::write(&instant::rfc3339(*instant), out),
            Self::Value(value) => value.write(style, out),
            Self::Array(items) => {
                write_array(items, out, |item: &Self, out| item.write(style, out))
            }
            Self::Object(entries) => write_object(
                entries,
                style,
                out,
                |(key, _)| *key,
                |(_, value), out| value.write(style, out),
            ),
        }
    }
}

impl<'a> From<&'a str> for Draft<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

/// What stands round a string, after an item, and round a key and its value.
const QUOTES: usize = 2;
const BETWEEN: usize = 1;
const ENTRY: usize = QUOTES + 2 * BETWEEN;

fn length(value: &Json) -> usize {
    match value {
        Json::Null | Json::Bool(_) => "false".len(),
        Json::Number(number) => number.len(),
        Json::String(text) => text.len() + QUOTES,
        Json::Array(items) => items.iter().map(|item| length(item) + BETWEEN).sum(),
        Json::Object(entries) => {
            let entries = entries.iter();
            let entry = |(key, value): &(String, Json)| key.len() + ENTRY + length(value);
            entries.map(entry).sum()
        }
    }
}

impl Json {
    pub(super) fn write(&self, style: Style, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(true) => out.write_str("true"),
            Self::Bool(false) => out.write_str("false"),
            Self::Number(number) => write_number(number, style, out),
            Self::String(text) => write_string(text, style, out),
            Self::Array(items) => Self::write_array(items, style, out),
            Self::Object(entries) => Self::write_object(entries, style, out),
        }
    }

    pub(super) fn write_array<'a>(
        items: impl IntoIterator<Item = &'a Self>,
        style: Style,
        out: &mut impl Write,
    ) -> fmt::Result {
        write_array(items, out, |item, out| item.write(style, out))
    }

    pub(super) fn write_object(
        entries: &[(String, Self)],
        style: Style,
        out: &mut impl Write,
    ) -> fmt::Result {
        write_object(
            entries,
            style,
            out,
            |(key, _)| key,
            |(_, value), out| value.write(style, out),
        )
    }
}

/// A string of this many bytes stands in canonical text as its SHA-256: hashing it where it lies takes half the time of writing
/// its literal first. What is shorter takes as long either way.
const LONG: usize = 1024;

fn write_string(text: &str, style: Style, out: &mut impl Write) -> fmt::Result {
    if style == Style::Canonical && text.len() >= LONG {
        // No JSON begins so, and no text can pass for the hash of another.
        out.write_str("#")?;
        return out.write_str(&hex::encode(Sha256::digest(text)));
    }
    literal::write(text, out)
}

fn write_number(number: &str, style: Style, out: &mut impl Write) -> fmt::Result {
    match style {
        Style::AsRead => out.write_str(number),
        Style::Database if number::fits_numeric(number) => out.write_str(number),
        Style::Database => literal::write(number, out),
        Style::Canonical => out.write_str(&number::canonical(number)),
    }
}

pub(super) fn write_array<T, W: Write>(
    items: impl IntoIterator<Item = T>,
    out: &mut W,
    write: impl Fn(T, &mut W) -> fmt::Result,
) -> fmt::Result {
    out.write_str("[")?;
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.write_str(",")?;
        }
        write(item, out)?;
    }
    out.write_str("]")
}

fn write_object<T, W: Write>(
    entries: &[T],
    style: Style,
    out: &mut W,
    key: impl Fn(&T) -> &str,
    value: impl Fn(&T, &mut W) -> fmt::Result,
) -> fmt::Result {
    out.write_str("{")?;
    let write = |(position, entry): (usize, &T)| {
        if position > 0 {
            out.write_str(",")?;
        }
        literal::write(key(entry), out)?;
        out.write_str(":")?;
        value(entry, out)
    };
    if style == Style::Canonical {
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by(|left, right| key(left).cmp(key(right)));
        sorted.into_iter().enumerate().try_for_each(write)?;
    } else {
        entries.iter().enumerate().try_for_each(write)?;
    }
    out.write_str("}")
}

/// Makes SHA-256 of text that is written piece by piece. The pieces are collected, since the hash takes whole blocks of them
/// faster than many small ones, and nothing needs all of them at once.
pub(super) struct Hashing {
    hash: Sha256,
    waiting: [u8; Self::ROOM],
    length: usize,
}

impl Hashing {
    const ROOM: usize = 1024;

    /// The hash of what `write` writes.
    pub(super) fn of(write: impl FnOnce(&mut Self) -> fmt::Result) -> [u8; 32] {
        let mut hashing = Self {
            hash: Sha256::new(),
            waiting: [0; Self::ROOM],
            length: 0,
        };
        // It takes everything.
        let _ = write(&mut hashing);
        hashing.pass_on();
        hashing.hash.finalize().into()
    }

    fn pass_on(&mut self) {
        let (waiting, _) = self.waiting.split_at(self.length);
        self.hash.update(waiting);
        self.length = 0;
    }
}

impl Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > Self::ROOM - self.length {
            self.pass_on();
        }
        match self.waiting.get_mut(self.length..self.length + text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                self.length += text.len();
            }
            None => self.hash.update(text),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(texts: Vec<String>) -> Json {
        let texts = texts.into_iter().map(Json::String);
        Json::object([("b", Json::Array(texts.collect())), ("a", Json::Null)])
    }

    proptest! {
        /// Pieces end before, at and behind what the hash collects.
        #[test]
        fn the_hash_of_what_is_written_is_that_of_the_text(
            texts in proptest::collection::vec("[é\n\"x]{0,40}|x{900,1100}|[x\"]{2000,2100}", 0..6),
        ) {
            let value = value(texts);
            let expected: [u8; 32] = Sha256::digest(value.canonical()).into();
            prop_assert_eq!(Draft::Value(&value).canonical_sha256(), expected);
            let expected: [u8; 32] = Sha256::digest(format!("[{}]", value.canonical())).into();
            prop_assert_eq!(Json::canonical_sha256([&value]), expected);
        }
    }

    #[test]
    fn a_long_text_is_hashed_by_its_own_hash() {
        let hash = |text: &str| Json::canonical_sha256([&Json::String(text.to_owned())]);
        let long = "x".repeat(LONG);
        let sha256 = hex::encode(Sha256::digest(&long));
        let expected: [u8; 32] = Sha256::digest(format!("[#{sha256}]")).into();
        assert_eq!(hash(&long), expected);
        assert_ne!(hash(&format!("#{sha256}")), expected);
        let short = "x".repeat(LONG - 1);
        let expected: [u8; 32] = Sha256::digest(format!(r#"["{short}"]"#)).into();
        assert_eq!(hash(&short), expected);
    }

    #[test]
    fn a_draft_is_written_as_the_value_that_it_would_be() {
        let kept = value(vec!["é\n".to_owned()]);
        let draft = Draft::Object(vec![
            ("z", Draft::Value(&kept)),
            ("n", Draft::Number("1.50".to_owned())),
            ("t", Draft::from("\"")),
            (
                "l",
                Draft::Array(vec![Draft::from("1"), Draft::Object(Vec::new())]),
            ),
        ]);
        let expected: [u8; 32] =
            Sha256::digest(r#"{"l":["1",{}],"n":15e-1,"t":"\"","z":{"a":null,"b":["é\n"]}}"#)
                .into();
        assert_eq!(draft.canonical_sha256(), expected);
        let length = draft.length();
        let text = draft.into_text();
        assert_eq!(
            text,
            r#"{"z":{"b":["é\n"],"a":null},"n":1.50,"t":"\"","l":["1",{}]}"#
        );
        assert!((text.len() - 10..=text.len()).contains(&length), "{length}");
    }
}
