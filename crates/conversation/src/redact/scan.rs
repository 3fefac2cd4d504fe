//! Finds what may not be kept, in one pass.
//!
//! A table tells for each byte whether something may begin, stand or end there: the `@` of an address, a digit after none,
//! the `J` of a token. Only there a matcher looks around, and it never looks further than what it would take, or than a
//! fixed number of bytes, so that the whole is linear whatever the text is.

mod bank;
mod email;
mod key;
mod phone;

use super::kind::Kind;

/// What was found, as places in the text that was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

/// Kinds to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn with(self, kind: Kind) -> Self {
        Self(self.0 | (1 << kind as u8))
    }

    fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Everything of these kinds in `text`, in no order; places may overlap.
pub(super) fn scan(text: &[u8], kinds: Kinds) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = 0;
    // Behind the last `@`: an address does not reach beyond another one's.
    let mut after_address = 0;
    while let Some(trigger) = text.get(at..).and_then(next) {
        at += trigger;
        let take = |kind: Kind, place: Option<(usize, usize)>, found: &mut Vec<Span>| {
            if let Some((start, end)) = place {
                found.push(Span { start, end, kind });
            }
        };
        let mut then = at + 1;
        match text.get(at) {
            Some(b'@') => {
                if kinds.has(Kind::Email) {
                    take(Kind::Email, email::at(text, at, after_address), &mut found);
                }
                after_address = then;
            }
            Some(b'0'..=b'9') => {
                then = at + digits(text, at);
                if kinds.has(Kind::Card) {
                    take(Kind::Card, bank::card(text, at), &mut found);
                }
                if kinds.has(Kind::Iban) {
                    take(Kind::Iban, bank::iban(text, at), &mut found);
                }
                if kinds.has(Kind::Phone) {
                    take(Kind::Phone, phone::at_digit(text, at), &mut found);
                }
            }
            Some(b'+') if kinds.has(Kind::Phone) => {
                take(Kind::Phone, phone::at_plus(text, at), &mut found);
            }
            Some(b'(') if kinds.has(Kind::Phone) => {
                take(Kind::Phone, phone::at_parenthesis(text, at), &mut found);
            }
            Some(b'A') if kinds.has(Kind::AwsAccessKey) => {
                take(Kind::AwsAccessKey, key::aws(text, at), &mut found);
            }
            Some(b'J') if kinds.has(Kind::Jwt) => {
                take(Kind::Jwt, key::token(text, at), &mut found);
            }
            Some(b'-') if kinds.has(Kind::PrivateKey) => {
                let place = key::private(text, at);
                then = place.map_or(then, |(_, end)| end);
                take(Kind::PrivateKey, place, &mut found);
            }
            _ => {}
        }
        at = then;
    }
    found
}

#[expect(
    clippy::indexing_slicing,
    reason = "a constant, which would not compile"
)]
const fn triggers() -> [bool; 256] {
    let mut table = [false; 256];
    let bytes = b"0123456789@+(AJ-";
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

const TRIGGERS: [bool; 256] = triggers();

fn next(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| {
        TRIGGERS
            .get(usize::from(*byte))
            .copied()
            .unwrap_or_default()
    })
}

/// How many digits stand at `at`.
fn digits(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// As [`digits`], but not looking further than `limit`.
fn some_digits(text: &[u8], at: usize, limit: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let some = rest.iter().take(limit);
    some.take_while(|byte| byte.is_ascii_digit()).count()
}

/// The byte before `at`.
fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

/// Whether a word or number goes on with this byte.
fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a word goes on at `at`. What stands in the place of an earlier find is the end of one, as the find was: else a second
/// search would find what the first has left.
fn goes_on_from(text: &[u8], at: usize) -> bool {
    is_word(before(text, at)) || is_after_token(text, at)
}

fn is_after_token(text: &[u8], at: usize) -> bool {
    let Some((b']', inside)) = text.get(..at).and_then(<[u8]>::split_last) else {
        return false;
    };
    let inside = inside.iter().rev().take(TOKEN_MAX_BYTES);
    inside.copied().find(|byte| !is_in_token(*byte)) == Some(b'[')
}

fn is_token(text: &[u8], at: usize) -> bool {
    let Some((b'[', inside)) = text.get(at..).and_then(<[u8]>::split_first) else {
        return false;
    };
    let inside = inside.iter().take(TOKEN_MAX_BYTES);
    inside.copied().find(|byte| !is_in_token(*byte)) == Some(b']')
}

/// Name, colon and hash in what stands for a find.
const TOKEN_MAX_BYTES: usize = 64;

fn is_in_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || matches!(byte, b'_' | b':')
}

fn is_digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}
