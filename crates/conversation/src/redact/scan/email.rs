//! Addresses of e-mail.

use super::before;

/// The address with its `@` at `at`, not reaching before `floor`.
///
/// The name is letters, digits and `._%+'-`; the host has a point and ends in letters. Letters are those of alphabets: in
/// scripts without spaces an address would else reach from one full stop to the next.
pub(super) fn at(text: &[u8], at: usize, floor: usize) -> Option<(usize, usize)> {
    let start = name(text, at, floor)?;
    let end = host(text, at + 1)?;
    Some((start, end))
}

fn name(text: &[u8], at: usize, floor: usize) -> Option<usize> {
    let mut start = at;
    while start > floor {
        let byte = before(text, start)?;
        start -= match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'%' | b'+' | b'\'' | b'-' => 1,
            0x80..=0xbf => match letter_before(text, start, floor) {
                Some(length) => length,
                None => break,
            },
            _ => break,
        };
    }
    let name = text.get(start..at)?;
    // Points and quotes before an address are the sentence's.
    let leading = name
        .iter()
        .take_while(|byte| matches!(byte, b'.' | b'\''))
        .count();
    (leading < name.len()).then_some(start + leading)
}

/// The length of a letter beyond ASCII that ends at `end`.
fn letter_before(text: &[u8], end: usize, floor: usize) -> Option<usize> {
    (2..=3).find(|length| {
        end.checked_sub(*length)
            .filter(|start| *start >= floor)
            .is_some_and(|start| letter(text, start) == Some(*length))
    })
}

/// The length of the letter beyond ASCII that begins at `at`: of an alphabet up to U+1FFF.
fn letter(text: &[u8], at: usize) -> Option<usize> {
    let length = match text.get(at)? {
        0xc3..=0xdf => 2,
        0xe0 | 0xe1 => 3,
        _ => return None,
    };
    let rest = text.get(at + 1..at + length)?;
    rest.iter()
        .all(|byte| (0x80..=0xbf).contains(byte))
        .then_some(length)
}

fn host(text: &[u8], begin: usize) -> Option<usize> {
    let mut end = None;
    let (mut at, mut label) = (begin, begin);
    // Up to where the label is nothing but letters.
    let mut letters = begin;
    loop {
        let length = match text.get(at) {
            Some(b'a'..=b'z' | b'A'..=b'Z') => 1,
            Some(b'0'..=b'9' | b'-') => 0,
            Some(b'.') => {
                if at == label {
                    break;
                }
                end = ending(text, begin, label, letters, at).or(end);
                at += 1;
                (label, letters) = (at, at);
                continue;
            }
            Some(0x80..) => match letter(text, at) {
                Some(length) => length,
                None => break,
            },
            _ => break,
        };
        if letters == at {
            letters += length;
        }
        at += length.max(1);
    }
    ending(text, begin, label, letters, at).or(end)
}

/// Where a host ends that ends in this label, if it may.
fn ending(text: &[u8], begin: usize, label: usize, letters: usize, at: usize) -> Option<usize> {
    if label == begin {
        return None;
    }
    let is_punycode = text
        .get(label..at)
        .is_some_and(|label| label.len() > 4 && label.to_ascii_lowercase().starts_with(b"xn--"));
    if is_punycode {
        return Some(at);
    }
    let goes_on = text.get(letters).is_some_and(u8::is_ascii_digit);
    (letters >= label + 2 && !goes_on).then_some(letters)
}
