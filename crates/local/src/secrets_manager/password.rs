//! `GetRandomPassword`.
//!
//! What differs from AWS: a password holds a mark, so that it can be recognised wherever it should not be, if it may be
//! long enough to be random all the same and the mark's characters are not excluded.

use std::fs::File;
use std::io::{self, Read};

use secrecy::SecretString;
use serde::Deserialize;

use crate::aws_json::ApiError;
use crate::canary;

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
/// In the order of the API reference.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Characters that are random in a password with the mark: of letters and digits alone they are 95 bits.
const RANDOM: usize = 16;

/// The request, all of whose fields have AWS's defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the API has these switches")]
pub(super) struct PasswordRequest {
    password_length: Option<i64>,
    exclude_characters: Option<String>,
    exclude_numbers: bool,
    exclude_punctuation: bool,
    exclude_uppercase: bool,
    exclude_lowercase: bool,
    include_space: bool,
    require_each_included_type: Option<bool>,
}

/// Makes a password as the request says; `pick` gives a random number below its argument.
pub(super) fn generate(
    request: &PasswordRequest,
    pick: &mut impl FnMut(usize) -> io::Result<usize>,
) -> Result<SecretString, ApiError> {
    let length = match request.password_length.unwrap_or(32) {
        length @ 1..=4096 => usize::try_from(length).unwrap_or_default(),
        other => {
            return Err(ApiError::invalid_parameter(format!(
                "PasswordLength must be between 1 and 4096, but it is {other}."
            )));
        }
    };
    let excluded = request.exclude_characters.as_deref().unwrap_or_default();
    let kinds: Vec<Vec<char>> = [
        (LOWERCASE, !request.exclude_lowercase),
        (UPPERCASE, !request.exclude_uppercase),
        (NUMBERS, !request.exclude_numbers),
        (PUNCTUATION, !request.exclude_punctuation),
        (" ", request.include_space),
    ]
    .into_iter()
    .filter(|(_, included)| *included)
    .map(|(characters, _)| {
        characters
            .chars()
            .filter(|c| !excluded.contains(*c))
            .collect::<Vec<_>>()
    })
    .filter(|characters| !characters.is_empty())
    .collect();
    let all: Vec<char> = kinds.iter().flatten().copied().collect();
    if all.is_empty() {
        return Err(ApiError::invalid_parameter(
            "No characters are left to make a password of.",
        ));
    }
    let required = if request.require_each_included_type.unwrap_or(true) {
        kinds.as_slice()
    } else {
        &[]
    };
    if length < required.len() {
        return Err(ApiError::invalid_parameter(
            "Password length is too short based on the required types.",
        ));
    }
    let password = if length >= canary::PASSWORD.len() + RANDOM && has_all(&all, canary::PASSWORD) {
        draw(&all, required, length - canary::PASSWORD.len(), pick)
            .and_then(|random| hide(canary::PASSWORD, &random, pick))
    } else {
        draw(&all, required, length, pick)
    };
    password
        .map(|characters| SecretString::from(characters.into_iter().collect::<String>()))
        .map_err(|source| {
            ApiError::new("InternalServiceError", format!("no random bytes: {source}"))
        })
}

fn has_all(characters: &[char], mark: &str) -> bool {
    mark.chars()
        .all(|character| characters.contains(&character))
}

/// Puts the mark somewhere into the random characters.
fn hide(
    mark: &str,
    random: &[char],
    pick: &mut impl FnMut(usize) -> io::Result<usize>,
) -> io::Result<Vec<char>> {
    let (before, behind) = random.split_at(pick(random.len() + 1)?);
    Ok(before
        .iter()
        .copied()
        .chain(mark.chars())
        .chain(behind.iter().copied())
        .collect())
}

fn draw(
    all: &[char],
    required: &[Vec<char>],
    length: usize,
    pick: &mut impl FnMut(usize) -> io::Result<usize>,
) -> io::Result<Vec<char>> {
    let mut characters: Vec<char> = Vec::with_capacity(length);
    while characters.len() < length {
        let from = required.get(characters.len()).map_or(all, Vec::as_slice);
        let index = pick(from.len())?;
        characters.extend(from.get(index));
    }
    // The required ones stand first: shuffle (Fisher and Yates).
    for last in (1..characters.len()).rev() {
        characters.swap(pick(last + 1)?, last);
    }
    Ok(characters)
}

/// A random number below `bound`, every one equally likely, from the kernel.
pub(super) fn from_kernel() -> impl FnMut(usize) -> io::Result<usize> {
    let mut source = File::open("/dev/urandom");
    move |bound| {
        let bound = u32::try_from(bound.max(1)).unwrap_or(u32::MAX);
        // Numbers at or above the last multiple of the bound would favour the small remainders.
        let limit = u32::MAX - u32::MAX % bound;
        loop {
            let mut bytes = [0; 4];
            match &mut source {
                Ok(file) => file.read_exact(&mut bytes)?,
                Err(refused) => return Err(refused.kind().into()),
            }
            let number = u32::from_le_bytes(bytes);
            if number < limit {
                return Ok((number % bound) as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn password(request: Value) -> String {
        let request: PasswordRequest = serde_json::from_value(request).expect("a request");
        generate(&request, &mut from_kernel())
            .expect("a password")
            .expose_secret()
            .to_owned()
    }

    #[track_caller]
    fn refusal(request: Value) -> String {
        let request: PasswordRequest = serde_json::from_value(request).expect("a request");
        generate(&request, &mut from_kernel())
            .expect_err("a refusal")
            .code
    }

    #[test]
    fn the_default_has_32_characters_of_each_kind_but_space() {
        for _ in 0..200 {
            let made = password(json!({}));
            assert_eq!(made.len(), 32);
            for kind in [LOWERCASE, UPPERCASE, NUMBERS, PUNCTUATION] {
                assert!(
                    made.chars().any(|c| kind.contains(c)),
                    "{made} lacks one of {kind}"
                );
            }
            assert!(!made.contains(' '));
        }
    }

    #[test]
    fn every_switch_takes_its_kind_away() {
        for _ in 0..50 {
            let made = password(
                json!({"ExcludePunctuation": true, "ExcludeUppercase": true, "PasswordLength": 64}),
            );
            assert_eq!(made.len(), 64);
            assert!(
                made.chars()
                    .all(|c| LOWERCASE.contains(c) || NUMBERS.contains(c)),
                "{made}"
            );
            let made = password(json!({"ExcludeNumbers": true, "ExcludeLowercase": true}));
            assert!(
                made.chars()
                    .all(|c| UPPERCASE.contains(c) || PUNCTUATION.contains(c)),
                "{made}"
            );
            let made = password(json!({"ExcludeCharacters": ":/@\"'\\", "PasswordLength": 400}));
            assert!(!made.contains([':', '/', '@', '"', '\'', '\\']), "{made}");
            assert!(
                password(json!({"IncludeSpace": true})).contains(' '),
                "space is a required kind"
            );
        }
    }

    #[test]
    fn a_required_kind_that_is_excluded_whole_is_not_required() {
        assert!(
            !password(json!({"ExcludeCharacters": NUMBERS, "PasswordLength": 3}))
                .contains(|c| NUMBERS.contains(c))
        );
        assert_eq!(
            password(json!({"RequireEachIncludedType": false, "PasswordLength": 1})).len(),
            1
        );
    }

    #[test]
    fn the_mark_is_in_every_password_that_may_have_it() {
        for _ in 0..50 {
            for (request, marked) in [
                (json!({}), true),
                (json!({"PasswordLength": 24}), true),
                (json!({"PasswordLength": 23}), false),
                (json!({"ExcludeCharacters": "/@\"'\\"}), true),
                (json!({"ExcludeCharacters": "z"}), false),
                (json!({"ExcludeLowercase": true}), false),
                (
                    json!({"ExcludeNumbers": true, "ExcludePunctuation": true, "ExcludeUppercase": true, "PasswordLength": 4096}),
                    true,
                ),
            ] {
                let length = request["PasswordLength"].as_u64().unwrap_or(32);
                let made = password(request.clone());
                assert_eq!(made.contains(canary::PASSWORD), marked, "{request}: {made}");
                assert_eq!(made.len() as u64, length, "{request}");
            }
        }
    }

    /// Apart from the mark two passwords have nothing in common, and the mark has no place of its own.
    #[test]
    fn what_is_not_the_mark_is_random() {
        let made: Vec<String> = (0..200).map(|_| password(json!({}))).collect();
        let places: std::collections::BTreeSet<_> = made
            .iter()
            .map(|password| password.find(canary::PASSWORD))
            .collect();
        assert!(places.len() > 10, "{places:?}");
        let rest: std::collections::BTreeSet<_> = made
            .iter()
            .map(|password| password.replace(canary::PASSWORD, ""))
            .collect();
        assert_eq!(rest.len(), made.len());
        assert!(rest.iter().all(|rest| rest.len() == 24));
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for request in [
            json!({"PasswordLength": 3}),
            json!({"PasswordLength": 0}),
            json!({"PasswordLength": 4097}),
            json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": true, "ExcludePunctuation": true}),
        ] {
            assert_eq!(refusal(request), "InvalidParameterException");
        }
    }
}
