//! String literals.

use std::fmt::{self, Write};

use memchr::memchr;

use crate::sanitize::{ESCAPE, code_unit};

/// What a literal says, from what stands between its quotes and is known to be sound; `None` for half a surrogate pair.
///
/// `serde_json` would look for what is not sound once more, and copy twice.
pub(super) fn read(inside: &str) -> Option<String> {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(found) = memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at(found);
        out.push_str(plain);
        let (character, length) = match escape.as_bytes().get(1)? {
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'u' => code_point(escape)?,
            itself => (char::from(*itself), 2),
        };
        out.push(character);
        rest = escape.get(length..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The character that one escape stands for, or two in the manner of UTF-16, and their length.
fn code_point(escape: &str) -> Option<(char, usize)> {
    let first = code_unit(escape, 0)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, ESCAPE));
    }
    let pair = [first, code_unit(escape, ESCAPE)?];
    let character = char::decode_utf16(pair).next()?.ok()?;
    Some((character, 2 * ESCAPE))
}

/// Writes a string literal. Runs of characters that stand for themselves are copied whole: a text is written into the object, a
/// short one into a hash too, one of several parts once more for the database, and nearly all of it is such runs.
pub(super) fn write(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_str("\"")?;
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at(plain_length(rest.as_bytes()));
        out.write_str(plain)?;
        let mut characters = after.chars();
        match characters.next() {
            None => break,
            Some('"') => out.write_str("\\\"")?,
            Some('\\') => out.write_str("\\\\")?,
            Some('\n') => out.write_str("\\n")?,
            Some('\r') => out.write_str("\\r")?,
            Some('\t') => out.write_str("\\t")?,
            Some(control) => write!(out, "\\u{:04x}", u32::from(control))?,
        }
        rest = characters.as_str();
    }
    out.write_str("\"")
}

/// How many bytes at the start stand for themselves in a string literal. What follows them is ASCII or the end, and so a
/// border of characters.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let escaped = words.iter().position(|word| escapes(*word) != 0);
    let plain = escaped.unwrap_or(words.len()) * size_of::<u64>();
    if let Some(word) = escaped.and_then(|position| words.get(position)) {
        // The first byte is the lowest one.
        return plain + escapes(*word).trailing_zeros() as usize / 8;
    }
    let escaped = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    plain + rest.iter().position(escaped).unwrap_or(rest.len())
}

/// The high bits of the bytes that have to be escaped, eight bytes at a time: `(x - n) & !x` has that bit set where a byte
/// is below `n`. A borrow may set it wrongly too, but only above a byte where it is right, so that the lowest one counts.
fn escapes(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_read(literal: &str) {
        let inside = literal
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let expected = serde_json::from_str::<String>(literal).ok();
        assert_eq!(read(inside.expect("a literal")), expected, "{literal}");
    }

    #[test]
    fn every_escape_is_read() {
        check_read(r#""""#);
        check_read(r#""\"\\\/\b\f\n\r\t é\u00e9\u00E9\u20ac\ud83d\ude00""#);
        check_read(r#""\ud83d""#);
        check_read(r#""\ude00\ud83d""#);
        check_read(r#""\ud83d\u0041""#);
        check_read(r#""\ud83d\n""#);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(text in any::<String>()) {
            check_read(&serde_json::to_string(&text).expect("JSON"));
            let mut ours = String::new();
            write(&text, &mut ours).expect("a text");
            check_read(&ours);
        }
    }

    #[test]
    fn a_character_is_escaped_wherever_it_stands() {
        let characters = [
            ('"', "\\\""),
            ('\\', "\\\\"),
            ('\n', "\\n"),
            ('\0', "\\u0000"),
            ('\u{1f}', "\\u001f"),
            (' ', " "),
            ('\u{7f}', "\u{7f}"),
            ('é', "é"),
        ];
        for length in 0..20 {
            for (character, written) in characters {
                let plain = "é".repeat(length / 2) + &"x".repeat(length % 2);
                let mut out = String::new();
                write(&format!("{plain}{character}{plain}"), &mut out).expect("a text");
                assert_eq!(out, format!("\"{plain}{written}{plain}\""));
            }
        }
    }
}
