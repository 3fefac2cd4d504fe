//! The repair that lets one broken character not cost a whole event.
//!
//! A cut emoji leaves half a surrogate pair, which Rust's parsers refuse; U+0000 is refused by PostgreSQL. Both are
//! replaced before anything is parsed, in the JSON text itself, and counted.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};
use serde_json::value::RawValue;

/// Text that can be parsed and stored: UTF-8 without U+0000 and without unpaired surrogate escapes.
///
/// Made only by [`clean`] and [`clean_json`].
#[derive(Clone)]
pub struct Clean<'a> {
    text: Cow<'a, str>,
    /// Whether it is known to be JSON.
    is_json: bool,
    sanitized: Sanitized,
    /// What of `sanitized` was repaired before, in what the text was taken out of.
    outer: Sanitized,
    /// Where in the text something was replaced.
    repairs: Vec<Repair>,
}

#[derive(Clone, Copy)]
struct Repair {
    position: usize,
    what: Broken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nul,
    Surrogate,
    Utf8,
}

impl<'a> Clean<'a> {
    fn new(text: Cow<'a, str>, repairs: Vec<Repair>) -> Self {
        Self {
            text,
            is_json: false,
            sanitized: Sanitized::of(repairs.iter()),
            outer: Sanitized::default(),
            repairs,
        }
    }

    /// The text, borrowed from the input if nothing had to be repaired.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether somebody has read it as JSON already.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// What had to be repaired.
    pub fn sanitized(&self) -> Sanitized {
        self.sanitized
    }

    /// What had to be repaired within `part`, which is a part of [`Clean::text`], and before: what is broken in one of
    /// several events is not broken in the others.
    pub fn repaired_in(&self, part: &str) -> Sanitized {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let within = start..start.saturating_add(part.len());
        let repairs = self.repairs.iter();
        Sanitized::of(repairs.filter(|repair| within.contains(&repair.position))).and(self.outer)
    }

    /// The same text, taken out of another one in which this had to be repaired already.
    #[must_use]
    pub fn out_of(mut self, outer: Sanitized) -> Self {
        self.sanitized = self.sanitized.and(outer);
        self.outer = self.outer.and(outer);
        self
    }
}

/// Shows the size, never the text.
impl std::fmt::Debug for Clean<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Clean")
            .field("bytes", &self.text.len())
            .field("sanitized", &self.sanitized)
            .finish_non_exhaustive()
    }
}

/// What was repaired, in number of replaced characters. Each was replaced by U+FFFD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sanitized {
    /// U+0000, escaped or raw: PostgreSQL stores none.
    pub nul: u32,
    /// Halves of a surrogate pair, as a cut emoji leaves them.
    pub surrogate: u32,
    /// Byte sequences that are not UTF-8.
    pub utf8: u32,
}

impl Sanitized {
    /// Whether nothing had to be repaired.
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }

    fn of<'a>(repairs: impl Iterator<Item = &'a Repair>) -> Self {
        let mut sanitized = Self::default();
        for repair in repairs {
            let count = match repair.what {
                Broken::Nul => &mut sanitized.nul,
                Broken::Surrogate => &mut sanitized.surrogate,
                Broken::Utf8 => &mut sanitized.utf8,
            };
            *count = count.saturating_add(1);
        }
        sanitized
    }

    /// How many characters were replaced.
    pub fn total(self) -> u32 {
        self.nul
            .saturating_add(self.surrogate)
            .saturating_add(self.utf8)
    }

    /// The counts of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            nul: self.nul.saturating_add(other.nul),
            surrogate: self.surrogate.saturating_add(other.surrogate),
            utf8: self.utf8.saturating_add(other.utf8),
        }
    }
}

/// Repairs what neither a JSON parser nor PostgreSQL would take. Borrows, if nothing is broken.
///
/// A byte order mark at the start is dropped, since JSON has none. Cleaning twice changes nothing more.
pub fn clean(input: &[u8]) -> Clean<'_> {
    let mut repairs = Vec::new();
    let text = if let Ok(text) = std::str::from_utf8(input) {
        escapes(without_mark(text), &mut repairs)
    } else {
        // Much slower, and so only for what is broken.
        let (text, broken) = replaced(input);
        let text = escapes(&text, &mut repairs).into_owned();
        repairs.extend(broken);
        Cow::Owned(text)
    };
    Clean::new(text, repairs)
}

/// As [`clean`], of what was read as JSON already, and so is read no second time to see whether it is.
pub fn clean_json(input: &RawValue) -> Clean<'_> {
    let mut repairs = Vec::new();
    // In JSON nothing but escapes can be broken, and an escape takes the place of an escape.
    let text = escapes(input.get(), &mut repairs);
    Clean {
        is_json: true,
        ..Clean::new(text, repairs)
    }
}

/// The length of `\uXXXX`.
pub(crate) const ESCAPE: usize = 6;

const REPLACEMENT: &str = "\u{fffd}";

fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// What is not UTF-8, replaced, and where that will be once [`escapes`] has been there.
fn replaced(input: &[u8]) -> (String, Vec<Repair>) {
    let (mut text, mut repairs, mut longer) = (String::new(), Vec::new(), 0);
    for chunk in input.utf8_chunks() {
        let valid = if text.is_empty() {
            without_mark(chunk.valid())
        } else {
            chunk.valid()
        };
        text.push_str(valid);
        longer += memchr_iter(0, valid.as_bytes()).count() * (REPLACEMENT.len() - 1);
        if !chunk.invalid().is_empty() {
            repairs.push(Repair {
                position: text.len() + longer,
                what: Broken::Utf8,
            });
            text.push_str(REPLACEMENT);
        }
    }
    (text, repairs)
}

fn escapes<'a>(text: &'a str, repairs: &mut Vec<Repair>) -> Cow<'a, str> {
    let mut repaired = String::new();
    let mut kept = 0;
    let mut position = 0;
    while let Some(found) = text
        .as_bytes()
        .get(position..)
        .and_then(|rest| memchr2(b'\\', 0, rest))
    {
        position += found;
        let (what, length, replacement) = match Sequence::at(text, position) {
            Sequence::Sound { length } => {
                position += length;
                continue;
            }
            Sequence::RawNul => (Broken::Nul, 1, REPLACEMENT),
            Sequence::Nul => (Broken::Nul, ESCAPE, "\\ufffd"),
            Sequence::Surrogate => (Broken::Surrogate, ESCAPE, "\\ufffd"),
        };
        repaired.push_str(text.get(kept..position).unwrap_or_default());
        repairs.push(Repair {
            position: repaired.len(),
            what,
        });
        repaired.push_str(replacement);
        position += length;
        kept = position;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(repaired)
}

/// What begins at a backslash or NUL.
enum Sequence {
    Sound { length: usize },
    RawNul,
    Nul,
    Surrogate,
}

impl Sequence {
    fn at(text: &str, position: usize) -> Self {
        let bytes = text.as_bytes();
        match (bytes.get(position), bytes.get(position + 1)) {
            (Some(0), _) => Self::RawNul,
            (_, Some(b'u')) => match code_unit(text, position) {
                Some(0) => Self::Nul,
                Some(0xd800..=0xdbff) => match code_unit(text, position + ESCAPE) {
                    Some(0xdc00..=0xdfff) => Self::Sound { length: 2 * ESCAPE },
                    _ => Self::Surrogate,
                },
                Some(0xdc00..=0xdfff) => Self::Surrogate,
                Some(_) => Self::Sound { length: ESCAPE },
                // Not an escape at all: the parser will say so.
                None => Self::Sound { length: 2 },
            },
            // The second of two backslashes escapes nothing.
            (_, Some(b'\\')) => Self::Sound { length: 2 },
            _ => Self::Sound { length: 1 },
        }
    }
}

/// The UTF-16 code unit that an escape at `position` stands for.
pub(crate) fn code_unit(text: &str, position: usize) -> Option<u16> {
    let digits = text.get(position..)?.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` also takes a sign.
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: &str, nul: u32, surrogate: u32, utf8: u32) {
        let clean = clean(input);
        assert_eq!(clean.text(), expected);
        assert_eq!(
            clean.sanitized(),
            Sanitized {
                nul,
                surrogate,
                utf8
            }
        );
        assert_eq!(
            matches!(clean.text, Cow::Borrowed(_)),
            clean.sanitized.is_clean(),
            "copies only to repair"
        );
    }

    #[test]
    fn sound_text_is_left_alone() {
        check(b"", "", 0, 0, 0);
        check(
            br#"{"a":"\ud83d\ude00 \uD83D\uDE00 \u00e9 \n\\"}"#,
            r#"{"a":"\ud83d\ude00 \uD83D\uDE00 \u00e9 \n\\"}"#,
            0,
            0,
            0,
        );
        check(
            br#""\\ud83d \\u0000 \\\\ud83d""#,
            r#""\\ud83d \\u0000 \\\\ud83d""#,
            0,
            0,
            0,
        );
        check("\"😀 ü\"".as_bytes(), "\"😀 ü\"", 0, 0, 0);
        check(br#""\u+000 \u00 \ud83""#, r#""\u+000 \u00 \ud83""#, 0, 0, 0);
        check("\u{feff}{}".as_bytes(), "{}", 0, 0, 0);
    }

    #[test]
    fn broken_characters_are_replaced_and_counted() {
        check(br#""\ud83d""#, r#""\ufffd""#, 0, 1, 0);
        check(br#""\ude00 x""#, r#""\ufffd x""#, 0, 1, 0);
        check(br#""\ude00\ud83d""#, r#""\ufffd\ufffd""#, 0, 2, 0);
        check(
            br#""\ud83d\ud83d\ude00""#,
            r#""\ufffd\ud83d\ude00""#,
            0,
            1,
            0,
        );
        check(br#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#, 0, 1, 0);
        check(br#""\\\ud83d""#, r#""\\\ufffd""#, 0, 1, 0);
        check(
            br#"{"a\u0000":"\u0000"}"#,
            r#"{"a\ufffd":"\ufffd"}"#,
            2,
            0,
            0,
        );
        check(b"\"a\0b\"", "\"a\u{fffd}b\"", 1, 0, 0);
        check(b"\"\\\0\"", "\"\\\u{fffd}\"", 1, 0, 0);
        check(b"\"a\xffb\xf0\x9f\x98\"", "\"a\u{fffd}b\u{fffd}\"", 0, 0, 2);
        check("\"\\é\\ud83d\"".as_bytes(), "\"\\é\\ufffd\"", 0, 1, 0);
    }

    /// Pieces of the inside of a JSON string, sound but for surrogates and NULs.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
            (0xd800_u16..=0xdfff).prop_map(|unit| format!("\\u{unit:04X}")),
            Just("\\u0000".to_owned()),
            Just("\\ud83d\\ude00".to_owned()),
            Just("\\\\".to_owned()),
            Just("\\\"".to_owned()),
            Just("u0000".to_owned()),
            Just("é😀".to_owned()),
            "[a-z0-9 ]{0,4}",
        ]
    }

    #[test]
    fn what_is_broken_in_one_event_is_not_broken_in_the_others() {
        let inputs: [&[u8]; 3] = [
            br#"[{"a":"\u0000\ud83d"},{"a":"\ufffd"},{"a":"\ud83d\ude00\ud83d"}]"#,
            b"[{\"a\":\"\0\0\\ud83d\"},{\"a\":\"\xef\xbf\xbd\"},{\"a\":\"\xff\"}]",
            b"\xef\xbb\xbf[{\"a\":\"\xff\0\"},{\"a\":\"\\ufffd\"},{\"\xc3\":\"\"}]",
        ];
        let expected = [
            [(1, 1, 0), (0, 0, 0), (0, 1, 0)],
            [(2, 1, 0), (0, 0, 0), (0, 0, 1)],
            [(1, 0, 1), (0, 0, 0), (0, 0, 1)],
        ];
        for (input, expected) in inputs.into_iter().zip(expected) {
            let clean = clean(input);
            let raw = crate::json::Raw::read(clean.text()).expect("JSON");
            let found = raw.items().expect("an array").iter().map(|item| {
                let repaired = clean.repaired_in(item.text());
                (repaired.nul, repaired.surrogate, repaired.utf8)
            });
            assert_eq!(found.collect::<Vec<_>>(), expected);
            assert_eq!(clean.repaired_in(raw.text()), clean.sanitized());
        }
    }

    fn says_nul(value: &Value) -> bool {
        value["k"].as_str().expect("a string").contains('\0')
    }

    proptest! {
        #[test]
        fn what_was_broken_only_by_escapes_parses_afterwards(pieces in proptest::collection::vec(piece(), 0..12)) {
            let input = format!("{{\"k\":\"{}\"}}", pieces.concat());
            let cleaned = clean(input.as_bytes());
            let value: Value = serde_json::from_str(cleaned.text()).expect("JSON");
            prop_assert!(!says_nul(&value));
            if serde_json::from_str(&input).is_ok_and(|value| !says_nul(&value)) {
                prop_assert_eq!(cleaned.text(), input.as_str());
            }
            if let Ok(read) = RawValue::from_string(input.clone()) {
                let cleaned_again = clean_json(&read);
                prop_assert_eq!(cleaned_again.text(), cleaned.text());
                prop_assert_eq!(cleaned_again.sanitized(), cleaned.sanitized());
            }
        }

        #[test]
        fn cleaning_twice_changes_nothing_more(input: Vec<u8>) {
            let once = clean(&input);
            let twice = clean(once.text().as_bytes());
            prop_assert_eq!(once.text(), twice.text());
            prop_assert!(twice.sanitized().is_clean());
        }
    }
}
