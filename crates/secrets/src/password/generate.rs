//! Passwords from the operating system's random source, and how hard any password is to guess.

use std::fs::File;
use std::io::{self, Read};

use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

use super::PasswordRules;

/// A password that could be guessed in fewer than two to the power of this many tries is refused.
pub const MINIMUM_BITS: u32 = 80;

/// Why the settings give no password.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// There are too few passwords of this kind: change the settings.
    #[error(
        "`PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS` and the other settings for passwords give {bits} bits, which are {length} characters out of {alphabet}, accepted: at least {MINIMUM_BITS} bits{}",
        enough(*needed)
    )]
    Weak {
        /// Characters of a password.
        length: i64,
        /// Characters to choose from.
        alphabet: usize,
        /// Binary logarithm of the number of passwords, rounded down.
        bits: u32,
        /// The shortest length that is enough, if one is.
        needed: Option<i64>,
    },
    /// The password would be longer than `GetRandomPassword` makes any: change the setting.
    #[error("`PASSWORD_LENGTH` is {0}, accepted: up to {MAXIMUM_LENGTH}")]
    TooLong(i64),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    RandomSource(#[source] io::Error),
}

/// As in the API reference of `GetRandomPassword`.
const MAXIMUM_LENGTH: i64 = 4096;
const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

impl PasswordError {
    /// A stable name for logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Weak { .. } => "PASSWORD_TOO_WEAK",
            Self::TooLong(_) => "PASSWORD_TOO_LONG",
            Self::RandomSource(_) => "RANDOM_SOURCE",
        }
    }
}

impl PasswordRules {
    /// Refuses rules whose passwords have less than [`MINIMUM_BITS`], wherever the passwords come from.
    pub fn check_strength(&self) -> Result<(), PasswordError> {
        let kinds = self.kinds();
        let bits = self.bits(&kinds, self.length);
        if bits >= f64::from(MINIMUM_BITS) {
            return Ok(());
        }
        let enough = |length: &i64| self.bits(&kinds, *length) >= f64::from(MINIMUM_BITS);
        Err(PasswordError::Weak {
            length: self.length,
            alphabet: kinds.iter().map(Vec::len).sum(),
            bits: whole(bits),
            needed: (1..=MAXIMUM_LENGTH).find(enough),
        })
    }

    /// Makes a password of the operating system's random bytes; of those that the rules allow, each is as likely as any other.
    pub fn generate(&self) -> Result<SecretString, PasswordError> {
        self.check_strength()?;
        let mut source = RandomBytes::open().map_err(PasswordError::RandomSource)?;
        self.draw(&mut || source.next())
    }

    fn draw(
        &self,
        random: &mut impl FnMut() -> io::Result<u8>,
    ) -> Result<SecretString, PasswordError> {
        let length = match usize::try_from(self.length) {
            Ok(length) if self.length <= MAXIMUM_LENGTH => length,
            _ => return Err(PasswordError::TooLong(self.length)),
        };
        let kinds = self.kinds();
        let alphabet: Vec<u8> = kinds.iter().flatten().copied().collect();
        // The characters are ASCII, so that it never grows and leaves no copy behind.
        let mut password = Zeroizing::new(String::with_capacity(length));
        loop {
            password.clear();
            while password.len() < length {
                let character = pick(&alphabet, random).map_err(PasswordError::RandomSource)?;
                password.push(char::from(character));
            }
            // Putting the missing kind somewhere would make some passwords likelier than others.
            let has = |kind: &Vec<u8>| password.bytes().any(|byte| kind.contains(&byte));
            if !self.require_each_included_type || kinds.iter().all(has) {
                return Ok(SecretString::from(password.as_str()));
            }
        }
    }

    /// The characters of each type that are left; a type without any is not asked for, as the service does it.
    fn kinds(&self) -> Vec<Vec<u8>> {
        let kinds = [
            (LOWERCASE, self.exclude_lowercase),
            (UPPERCASE, self.exclude_uppercase),
            (NUMBERS, self.exclude_numbers),
            (PUNCTUATION, self.exclude_punctuation),
        ];
        let included = kinds.into_iter().filter(|(_, excluded)| !excluded);
        let left = included.map(|(characters, _)| {
            let characters = characters.bytes();
            let allowed = |byte: &u8| !self.exclude_characters.contains(char::from(*byte));
            characters.filter(allowed).collect::<Vec<u8>>()
        });
        left.filter(|characters| !characters.is_empty()).collect()
    }

    /// Binary logarithm of the number of passwords of this length; zero where there is none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an alphabet has less than a hundred characters, a length is at most 4096"
    )]
    fn bits(&self, kinds: &[Vec<u8>], length: i64) -> f64 {
        let alphabet: usize = kinds.iter().map(Vec::len).sum();
        if alphabet < 2 || length < 1 {
            return 0.0;
        }
        let (alphabet, length) = (alphabet as f64, length as f64);
        let required = if self.require_each_included_type {
            kinds
        } else {
            &[]
        };
        // Which share of all texts has each required type: inclusion and exclusion over the types that are missing.
        let mut share = 0.0;
        for missing in 0..1_u32 << required.len() {
            let types = (0_u32..).zip(required);
            let without = types.filter(|(number, _)| missing & (1 << number) != 0);
            let characters: usize = without.map(|(_, kind)| kind.len()).sum();
            let texts = (1.0 - characters as f64 / alphabet).powf(length);
            share += if missing.count_ones() % 2 == 0 {
                texts
            } else {
                -texts
            };
        }
        (length * alphabet.log2() + share.max(0.0).log2()).max(0.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and below 2^15"
)]
fn whole(bits: f64) -> u32 {
    bits as u32
}

fn enough(needed: Option<i64>) -> String {
    needed.map_or_else(String::new, |length| {
        format!(", which are {length} such characters")
    })
}

/// One of the characters, every one equally likely; there are at most 256.
fn pick(alphabet: &[u8], random: &mut impl FnMut() -> io::Result<u8>) -> io::Result<u8> {
    loop {
        let byte = usize::from(random()?);
        // Bytes above the last multiple would favour the first characters.
        if byte < 256 - 256 % alphabet.len().max(1)
            && let Some(character) = alphabet.get(byte % alphabet.len())
        {
            return Ok(*character);
        }
    }
}

/// The kernel's random source, some bytes at a time.
struct RandomBytes {
    source: File,
    buffer: Zeroizing<[u8; 64]>,
    used: usize,
}

impl RandomBytes {
    fn open() -> io::Result<Self> {
        let buffer = Zeroizing::new([0; 64]);
        Ok(Self {
            source: File::open("/dev/urandom")?,
            used: buffer.len(),
            buffer,
        })
    }

    fn next(&mut self) -> io::Result<u8> {
        if self.used == self.buffer.len() {
            self.source.read_exact(&mut self.buffer[..])?;
            self.used = 0;
        }
        let byte = self.buffer.get(self.used).copied();
        self.used += 1;
        byte.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn rules(length: i64, exclude_characters: &str) -> PasswordRules {
        PasswordRules {
            length,
            exclude_characters: exclude_characters.to_owned(),
            ..PasswordRules::default()
        }
    }

    #[track_caller]
    fn check_refused(rules: &PasswordRules, message: &str) {
        let refused = rules.generate().unwrap_err();
        assert_eq!(refused.to_string(), message);
        assert_eq!(
            refused.to_string(),
            rules.check_strength().unwrap_err().to_string()
        );
    }

    #[test]
    fn weak_passwords_are_refused_with_what_would_be_enough() {
        check_refused(
            &rules(12, ""),
            "`PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS` and the other settings for passwords give 78 bits, which are 12 characters out of 94, accepted: at least 80 bits, which are 13 such characters",
        );
        let digits = PasswordRules {
            exclude_lowercase: true,
            exclude_uppercase: true,
            exclude_punctuation: true,
            ..rules(24, "")
        };
        check_refused(
            &digits,
            "`PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS` and the other settings for passwords give 79 bits, which are 24 characters out of 10, accepted: at least 80 bits, which are 25 such characters",
        );
        let none = PasswordRules {
            exclude_numbers: true,
            ..digits
        };
        check_refused(
            &none,
            "`PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS` and the other settings for passwords give 0 bits, which are 24 characters out of 0, accepted: at least 80 bits",
        );
        assert!(rules(-1, "").check_strength().is_err());
        assert!(PasswordRules::default().check_strength().is_ok());
    }

    #[test]
    fn a_length_that_the_service_would_refuse_is_refused() {
        let refused = rules(4097, "").generate().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`PASSWORD_LENGTH` is 4097, accepted: up to 4096"
        );
        assert!(rules(4096, "").generate().is_ok());
    }

    /// Where every type has to be there, the passwords without one are no passwords: of two characters out of `a` and `1` there
    /// are two.
    #[test]
    fn only_passwords_that_the_rules_allow_are_counted() {
        let mut two = rules(2, "bcdefghijklmnopqrstuvwxyz023456789");
        two.exclude_uppercase = true;
        two.exclude_punctuation = true;
        let bits = |rules: &PasswordRules| rules.bits(&rules.kinds(), rules.length);
        assert!((bits(&two) - 1.0).abs() < 1e-9);
        two.require_each_included_type = false;
        assert!((bits(&two) - 2.0).abs() < 1e-9);
        two.require_each_included_type = true;
        two.length = 1;
        assert!(bits(&two).abs() < 1e-9);
    }

    /// Each byte once gives each character as often as any other.
    #[test]
    fn no_character_is_likelier_than_another() {
        for excluded in ["", ":/@\"'\\", "abc", "aeiouAEIOU0123456789"] {
            let any = PasswordRules {
                require_each_included_type: false,
                ..rules(1, excluded)
            };
            let alphabet: Vec<u8> = any.kinds().concat();
            let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
            let mut bytes = (0..=255_u8).map(Ok);
            while let Ok(character) = pick(&alphabet, &mut || {
                bytes
                    .next()
                    .unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))
            }) {
                *counts.entry(character).or_default() += 1;
            }
            assert_eq!(counts.len(), alphabet.len());
            assert!(counts.values().all(|count| *count == 256 / alphabet.len()));
        }
    }

    /// The chi-square statistic of the real source; its bound is eleven standard deviations from its mean.
    #[test]
    fn the_systems_random_source_prefers_no_character() {
        let mut counts = [0_u32; 128];
        for _ in 0..40 {
            let password = rules(4096, "").generate().unwrap();
            for byte in password.expose_secret().bytes() {
                counts[usize::from(byte)] += 1;
            }
        }
        let expected = 40.0 * 4096.0 / 94.0;
        let deviation = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
        let statistic: f64 = counts
            .iter()
            .filter(|count| **count > 0)
            .map(deviation)
            .sum();
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), 94);
        assert!(
            statistic < 93.0 + 11.0 * (2.0_f64 * 93.0).sqrt(),
            "{statistic}"
        );
    }

    proptest! {
        #[test]
        fn a_password_is_as_the_rules_say(
            length in 10..80_i64,
            excluded in "[!-~]{0,40}",
            flags in prop::array::uniform5(any::<bool>()),
        ) {
            let rules = PasswordRules {
                length,
                exclude_characters: excluded.clone(),
                exclude_numbers: flags[0],
                exclude_punctuation: flags[1],
                exclude_uppercase: flags[2],
                exclude_lowercase: flags[3],
                require_each_included_type: flags[4],
            };
            let Ok(password) = rules.generate() else {
                prop_assert!(rules.bits(&rules.kinds(), length) < f64::from(MINIMUM_BITS));
                return Ok(());
            };
            let password = password.expose_secret();
            prop_assert_eq!(password.len(), usize::try_from(length).unwrap());
            prop_assert!(!password.contains(|character| excluded.contains(character)));
            for (kind, excluded_whole) in [NUMBERS, PUNCTUATION, UPPERCASE, LOWERCASE].into_iter().zip(flags) {
                let left = kind.contains(|character| !excluded.contains(character)) && !excluded_whole;
                let has = password.contains(|character| kind.contains(character));
                prop_assert!(!has || left);
                prop_assert!(has || !left || !flags[4]);
            }
        }
    }
}
