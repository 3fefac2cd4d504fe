//! Keys and tokens, by the words that they begin with.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;

use super::{before, goes_on_from, is_word};

/// The id of an access key with its first letter at `at`: of a user, or of a session.
pub(super) fn aws(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const LENGTH: usize = 20;
    let end = at + LENGTH;
    let id = text.get(at..end)?;
    let is_id = (id.starts_with(b"AKIA") || id.starts_with(b"ASIA"))
        && id
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_part = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (is_id && !is_part(before(text, at)) && !is_part(text.get(end).copied())).then_some((at, end))
}

/// How long the header of a token may be: it is decoded.
const HEADER_MAX_BYTES: usize = 8 * 1024;

/// The token with `eyJ` at its begin, whose `J` is at `at`: of three parts, or of five if it is encrypted.
pub(super) fn token(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(2)?;
    if !text.get(start..)?.starts_with(b"eyJ") || goes_on_from(text, start) {
        return None;
    }
    let mut ends = Vec::with_capacity(5);
    let mut end = start;
    while ends.len() < 5 {
        let rest = text.get(end..)?;
        end += rest
            .iter()
            .take_while(|byte| is_base64url(Some(**byte)))
            .count();
        ends.push(end);
        if text.get(end) != Some(&b'.') {
            break;
        }
        end += 1;
    }
    let header = text.get(start..*ends.first()?)?;
    let end = match ends.as_slice() {
        // The point behind a token is the sentence's.
        [.., last] if ends.len() == 5 => *last,
        [_, _, third, ..] => *third,
        _ => return None,
    };
    is_header(header).then_some((start, end))
}

fn is_base64url(byte: Option<u8>) -> bool {
    is_word(byte) || byte == Some(b'-')
}

fn is_header(segment: &[u8]) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    segment.len() <= HEADER_MAX_BYTES
        && LENIENT.decode(segment).is_ok_and(|header| {
            header.starts_with(b"{\"") && memmem::find(&header, b"\"alg\"").is_some()
        })
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
/// How long the name of a key's kind may be.
const LABEL_MAX_BYTES: usize = 64;
/// How far the end of a key may be from its begin.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// A word of a key's body that prose does not have.
const WORD_MIN_BYTES: usize = 24;

/// The private key whose first dash is at `at`; one that was cut ends where its text does.
pub(super) fn private(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let label = text.get(at..)?.strip_prefix(BEGIN)?;
    let label = label.get(..label.len().min(LABEL_MAX_BYTES))?;
    let label = label.get(..memmem::find(label, DASHES)?)?;
    memmem::find(label, b"PRIVATE KEY")?;
    let body = at + BEGIN.len() + label.len() + DASHES.len();
    let rest = text.get(body..)?;
    let near = rest.get(..rest.len().min(BODY_MAX_BYTES))?;
    let end = memmem::find(near, DASHES).and_then(|dashes| {
        let line = near.get(dashes..)?.strip_prefix(b"-----END ")?;
        let line = line.get(..line.len().min(LABEL_MAX_BYTES))?;
        let label = memmem::find(line, DASHES)?;
        Some(body + dashes + b"-----END ".len() + label + DASHES.len())
    });
    Some((at, end.unwrap_or_else(|| body + cut_body(rest))))
}

/// How much of a text after the first line of a key is the key's: words of Base64, and one more that may be short.
fn cut_body(rest: &[u8]) -> usize {
    let is_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut end = 0;
    loop {
        let after = rest.get(end..).unwrap_or_default();
        let is_space = |byte: &&u8| byte.is_ascii_whitespace();
        let space = after.iter().take_while(is_space).count();
        let word = after.get(space..).unwrap_or_default();
        let length = word.iter().take_while(is_base64).count();
        if length >= WORD_MIN_BYTES {
            end += space + length;
            continue;
        }
        let is_last = length > 0 && end > 0;
        return if is_last { end + space + length } else { end };
    }
}
