//! JSON text that was read once and is kept as text.

use std::borrow::Cow;

use memchr::memchr;
use serde_json::value::RawValue;

use super::{Kind, literal};

/// A value as it was written, and where in it the values of its array or object stand.
///
/// The grammar is `serde_json`'s, which checks the whole text first, without recursion, so that no depth of nesting can
/// exhaust the stack or hit its limit of 128. Then one pass over what is known to be JSON finds where each value begins and
/// ends. Opening one level at a time with `RawValue` instead scans an inner value again for every level above it, six
/// times for the text of a message.
#[derive(Clone)]
pub struct Raw<'a> {
    text: &'a str,
    inside: Inside<'a>,
}

/// A key of an object and its value.
pub(crate) type Entry<'a> = (Cow<'a, str>, Raw<'a>);

#[derive(Clone)]
enum Inside<'a> {
    /// Neither an array nor an object.
    Nothing,
    Items(Vec<Raw<'a>>),
    Entries(Vec<Entry<'a>>),
    /// Too deep to be looked into before somebody asks.
    Unopened,
}

/// How many levels are looked into at once: recursion ends here, and nothing that is kept is nested deeper.
const LEVELS: usize = 128;

impl<'a> Raw<'a> {
    /// Reads a text that has to be one JSON value.
    ///
    /// # Errors
    /// The position of what is no JSON, or a key with half a surrogate pair.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        let checked: &RawValue = serde_json::from_str(text)?;
        Self::open(checked.get())
    }

    /// The text, without white space around it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The value of `key`, if this is an object that has it; the last of repeated keys.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.inside {
            Inside::Entries(entries) => entries
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            Inside::Nothing | Inside::Items(_) | Inside::Unopened => None,
        }
    }

    /// The keys and values of an object, in their order, repeated keys and all; `None` for what is none.
    pub fn entries(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        match &self.inside {
            Inside::Entries(entries) => Some(entries),
            Inside::Nothing | Inside::Items(_) | Inside::Unopened => None,
        }
    }

    /// The items of an array; `None` for what is none.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.inside {
            Inside::Items(items) => Some(items),
            Inside::Nothing | Inside::Entries(_) | Inside::Unopened => None,
        }
    }

    /// What a string says; `None` for another value, and for half a surrogate pair, which no `String` can hold.
    pub fn string(&self) -> Option<String> {
        (self.kind() == Kind::String)
            .then(|| self.decoded().ok())
            .flatten()
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::at(self.text)
    }

    /// What a string says.
    pub(crate) fn decoded(&self) -> serde_json::Result<String> {
        decoded(self.text).map(Cow::into_owned)
    }

    /// The same value with its uppermost level open, however deep it came.
    pub(crate) fn opened(&self) -> serde_json::Result<Cow<'_, Self>> {
        match self.inside {
            Inside::Unopened => Self::open(self.text).map(Cow::Owned),
            Inside::Nothing | Inside::Items(_) | Inside::Entries(_) => Ok(Cow::Borrowed(self)),
        }
    }

    /// As [`Raw::entries`], given away; none for what is no object.
    pub(crate) fn into_entries(self) -> serde_json::Result<Vec<Entry<'a>>> {
        match self.inside {
            Inside::Entries(entries) => Ok(entries),
            Inside::Unopened => Self::open(self.text)?.into_entries(),
            Inside::Nothing | Inside::Items(_) => Ok(Vec::new()),
        }
    }

    /// As [`Raw::items`], given away; none for what is no array.
    pub(crate) fn into_items(self) -> serde_json::Result<Vec<Self>> {
        match self.inside {
            Inside::Items(items) => Ok(items),
            Inside::Unopened => Self::open(self.text)?.into_items(),
            Inside::Nothing | Inside::Entries(_) => Ok(Vec::new()),
        }
    }

    /// Finds the values in a text that is known to be JSON.
    pub(crate) fn open(text: &'a str) -> serde_json::Result<Self> {
        Reader { text, position: 0 }.value(LEVELS)
    }
}

/// Shows the type, never the content.
impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.kind().as_str())
    }
}

/// Goes once over JSON. On anything else it would end early and nothing more: every loop moves on or stops.
struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, levels: usize) -> serde_json::Result<Raw<'a>> {
        self.skip_space();
        let start = self.position;
        let inside = match (self.peek(), levels.checked_sub(1)) {
            (Some(b'{'), Some(levels)) => Inside::Entries(self.entries(levels)?),
            (Some(b'['), Some(levels)) => Inside::Items(self.items(levels)?),
            (Some(b'{' | b'['), None) => {
                self.skip_nested();
                Inside::Unopened
            }
            (Some(b'"'), _) => {
                self.skip_string();
                Inside::Nothing
            }
            _ => {
                self.skip_word();
                Inside::Nothing
            }
        };
        Ok(Raw {
            text: self.since(start),
            inside,
        })
    }

    fn entries(&mut self, levels: usize) -> serde_json::Result<Vec<Entry<'a>>> {
        let mut entries = Vec::new();
        self.position += 1;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'"') => {
                    let start = self.position;
                    self.skip_string();
                    let key = decoded(self.since(start))?;
                    self.skip_space();
                    // The colon.
                    self.position += 1;
                    entries.push((key, self.value(levels)?));
                }
                _ => break,
            }
        }
        self.position += 1;
        Ok(entries)
    }

    fn items(&mut self, levels: usize) -> serde_json::Result<Vec<Raw<'a>>> {
        let mut items = Vec::new();
        self.position += 1;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') | None => break,
                Some(_) => items.push(self.value(levels)?),
            }
        }
        self.position += 1;
        Ok(items)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    /// To behind the quote that ends it: the first one before which an even number of backslashes stands.
    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.position += 1;
        let start = self.position;
        while let Some(found) = bytes
            .get(self.position..)
            .and_then(|rest| memchr(b'"', rest))
        {
            let quote = self.position + found;
            self.position = quote + 1;
            let before = bytes.get(start..quote).unwrap_or_default();
            let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
            if backslashes.count() % 2 == 0 {
                return;
            }
        }
        self.position = bytes.len();
    }

    /// To the end of a number, `true`, `false` or `null`; at least one byte, so that no loop stands still.
    fn skip_word(&mut self) {
        let rest = self
            .text
            .as_bytes()
            .get(self.position..)
            .unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        self.position += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
    }

    /// To the end of an array or object, whatever is in it.
    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.position += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }
}

/// What a string literal says, borrowed where nothing in it is escaped.
fn decoded(literal: &str) -> serde_json::Result<Cow<'_, str>> {
    let said = literal
        .get(1..literal.len().saturating_sub(1))
        .and_then(|inside| match memchr(b'\\', inside.as_bytes()) {
            None => Some(Cow::Borrowed(inside)),
            Some(_) => literal::read(inside).map(Cow::Owned),
        });
    match said {
        Some(said) => Ok(said),
        // It knows the words for what is wrong.
        None => serde_json::from_str(literal).map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Raw<'_> {
        Raw::read(text).expect("JSON")
    }

    /// Every value of the tree, by its text.
    fn texts(raw: &Raw<'_>, out: &mut Vec<String>) {
        out.push(raw.text().to_owned());
        for item in raw.items().unwrap_or_default() {
            texts(item, out);
        }
        for (key, value) in raw.entries().unwrap_or_default() {
            out.push(key.clone().into_owned());
            texts(value, out);
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        texts(&read(text), &mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn every_value_stands_where_it_was_written() {
        check(" 1 ", &["1"]);
        check(
            "[ 1 ,\t-2.5e+3\n, null ]",
            &["[ 1 ,\t-2.5e+3\n, null ]", "1", "-2.5e+3", "null"],
        );
        check(
            r#"{"a" : {"b":[true]} }"#,
            &[
                r#"{"a" : {"b":[true]} }"#,
                "a",
                r#"{"b":[true]}"#,
                "b",
                "[true]",
                "true",
            ],
        );
        check(
            r#"["\"","\\",",]}"]"#,
            &[r#"["\"","\\",",]}"]"#, r#""\"""#, r#""\\""#, r#"",]}""#],
        );
        check(
            r#"{"\u0061":1,"a":2}"#,
            &[r#"{"\u0061":1,"a":2}"#, "a", "1", "a", "2"],
        );
        check("[[],{}]", &["[[],{}]", "[]", "{}"]);
    }

    #[test]
    fn the_last_of_repeated_keys_counts() {
        let raw = read(r#"{"a":1,"b":2,"a":3}"#);
        assert_eq!(raw.get("a").map(Raw::text), Some("3"));
        assert_eq!(raw.get("c").map(Raw::text), None);
    }

    #[test]
    fn what_is_no_json_is_told_by_its_position() {
        for (text, line, column) in [
            ("", 1, 0),
            ("{\n\"a\" 1}", 2, 5),
            ("[1,]", 1, 4),
            ("1 2", 1, 3),
            ("\"\t\"", 1, 1),
        ] {
            let error = Raw::read(text).unwrap_err();
            assert_eq!((error.line(), error.column()), (line, column), "{text}");
        }
        assert!(Raw::read(r#"{"\ud800":1}"#).is_err());
    }

    #[test]
    fn no_depth_is_too_deep() {
        for depth in [1, LEVELS, LEVELS + 1, 100_000] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let mut raw = read(&text);
            let mut levels = 1;
            while let Some(inner) = raw.into_items().expect("items").pop() {
                raw = inner;
                levels += 1;
                if levels > 1000 {
                    break;
                }
            }
            assert_eq!(levels, depth.min(1001));
        }
        let deep = format!(
            "{}{{\"]\":\"}}\\\"\"}}{}",
            "[".repeat(LEVELS),
            "]".repeat(LEVELS)
        );
        let mut raw = read(&deep);
        for _ in 0..LEVELS {
            raw = raw.into_items().expect("items").remove(0);
        }
        assert_eq!(raw.text(), r#"{"]":"}\""}"#);
        assert_eq!(
            raw.into_entries().expect("entries").remove(0).1.text(),
            r#""}\"""#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_json_reads_it(text in r#"[\[\]{}",:\\ tn0-9aé]{0,24}"#) {
            prop_assert_eq!(Raw::read(&text).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }

        #[test]
        fn a_reader_of_anything_ends(text in any::<String>()) {
            let _ = Raw::open(&text);
        }
    }
}
