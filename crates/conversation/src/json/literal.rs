//! String literals.

use std::fmt::Write as _;

/// Writes a string literal. Runs of characters that stand for themselves are copied whole: an event is written four times
/// (two hashes, the object, the database), and nearly all of it is such runs.
pub(super) fn write(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at(plain_length(rest.as_bytes()));
        out.push_str(plain);
        let mut characters = after.chars();
        match characters.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
        }
        rest = characters.as_str();
    }
    out.push('"');
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
    use super::*;

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
                write(&format!("{plain}{character}{plain}"), &mut out);
                assert_eq!(out, format!("\"{plain}{written}{plain}\""));
            }
        }
    }
}
