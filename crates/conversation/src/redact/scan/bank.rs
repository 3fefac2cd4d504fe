//! Numbers of payment cards and bank accounts, by their check digits.

use super::{before, digits, goes_on_from, is_after_token, is_digit, is_word, some_digits};

/// How the digits of a card are written in groups: as on the card, or as one number.
const GROUPS: [&[usize]; 6] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
];

/// What all of them begin with.
const FIRST_GROUP: usize = 4;

const CARD_LENGTHS: std::ops::RangeInclusive<usize> = 14..=19;

/// The card whose number begins at `at`, where a run of digits begins.
pub(super) fn card(text: &[u8], at: usize) -> Option<(usize, usize)> {
    // Most numbers are neither, and are done with before anything else is looked at.
    let length = some_digits(text, at, CARD_LENGTHS.end() + 1);
    if length != FIRST_GROUP && !CARD_LENGTHS.contains(&length) {
        return None;
    }
    // The digits behind a decimal point are a fraction.
    let is_fraction = before(text, at) == Some(b'.')
        && at
            .checked_sub(1)
            .is_some_and(|point| is_digit(before(text, point)) || is_after_token(text, point));
    if goes_on_from(text, at) || is_fraction {
        return None;
    }
    if CARD_LENGTHS.contains(&length) {
        let end = at + length;
        return (is_card(text.get(at..end)?) && !is_word(text.get(end).copied()))
            .then_some((at, end));
    }
    GROUPS.iter().find_map(|groups| {
        let end = grouped(text, at, groups)?;
        let number = text.get(at..end)?;
        let number: Vec<u8> = number.iter().copied().filter(u8::is_ascii_digit).collect();
        (is_card(&number) && !is_word(text.get(end).copied())).then_some((at, end))
    })
}

/// Where groups of digits end that are as long as these, with one space or hyphen between two.
fn grouped(text: &[u8], at: usize, groups: &[usize]) -> Option<usize> {
    let mut end = at;
    for (number, length) in groups.iter().enumerate() {
        if number > 0 {
            if !matches!(text.get(end), Some(b' ' | b'-')) {
                return None;
            }
            end += 1;
        }
        if some_digits(text, end, length + 1) != *length {
            return None;
        }
        end += length;
    }
    Some(end)
}

fn is_card(number: &[u8]) -> bool {
    is_issued(number) && luhn(number)
}

/// Whether an issuer's numbers begin so and have this length.
fn is_issued(number: &[u8]) -> bool {
    let begin = number.get(..6).unwrap_or_default();
    let prefix = begin
        .iter()
        .fold(0_u32, |prefix, digit| prefix * 10 + u32::from(digit - b'0'));
    let length = number.len();
    match prefix {
        340_000..350_000 | 370_000..380_000 => length == 15,
        300_000..306_000 | 309_000..310_000 => length == 14,
        360_000..370_000 | 380_000..400_000 => length >= 14,
        220_000..220_500 | 352_800..359_000 | 500_000..510_000 | 560_000..700_000 => length >= 16,
        222_100..272_100 | 510_000..560_000 => length == 16,
        400_000..500_000 => matches!(length, 16 | 19),
        _ => false,
    }
}

fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') << (place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The account whose two check digits begin at `at`, where a run of digits begins.
pub(super) fn iban(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(2)?;
    let country = text.get(start..at)?;
    // Before nearly all numbers stands something else.
    if !country.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    if goes_on_from(text, start) || digits(text.get(..at + 2)?, at) < 2 {
        return None;
    }
    let (_, length) = LENGTHS
        .iter()
        .find(|(code, _)| code.eq_ignore_ascii_case(country))?;
    let mut number = Vec::with_capacity(*length);
    let mut end = start;
    while number.len() < *length {
        let between = number.len() % 4 == 0 && !number.is_empty();
        end += usize::from(between && matches!(text.get(end), Some(b' ' | b'-')));
        let character = *text.get(end)?;
        if !character.is_ascii_alphanumeric() {
            return None;
        }
        number.push(character);
        end += 1;
    }
    (is_valid(&number) && !is_word(text.get(end).copied())).then_some((start, end))
}

/// ISO 7064, mod 97-10.
fn is_valid(number: &[u8]) -> bool {
    let (head, tail) = number.split_at(number.len().min(4));
    let rest = tail.iter().chain(head).fold(0, |rest, character| {
        let value = char::from(*character).to_digit(36).unwrap_or_default();
        (rest * if value < 10 { 10 } else { 100 } + value) % 97
    });
    rest == 1
}

/// Countries of the registry of ISO 13616, and how long their numbers are.
#[rustfmt::skip]
const LENGTHS: [(&[u8], usize); 89] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22), (b"BH", 22),
    (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27),
    (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18), (b"FR", 27),
    (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27), (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28),
    (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28),
    (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22),
    (b"MK", 19), (b"MN", 20), (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23),
    (b"PK", 24), (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25), (b"SV", 28),
    (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20), (b"YE", 30),
];
