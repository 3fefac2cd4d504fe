//! What is looked for, and what is left in its place.

/// A kind of text that is recognised without being told how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The private part of a key pair, as PEM.
    PrivateKey,
    /// A signed or encrypted token.
    Jwt,
    /// The number of a bank account.
    Iban,
    /// The number of a payment card.
    Card,
    /// The id of an access key of AWS.
    AwsAccessKey,
    /// An address of e-mail.
    Email,
    /// The number of a telephone.
    Phone,
}

impl Kind {
    /// All of them. Where two are found in one place, the first is what it was.
    pub(crate) const ALL: [Self; 7] = [
        Self::PrivateKey,
        Self::Jwt,
        Self::Iban,
        Self::Card,
        Self::AwsAccessKey,
        Self::Email,
        Self::Phone,
    ];

    /// The word in the configuration, in the place of what was found, and in counts.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::AwsAccessKey => "aws_access_key",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    /// What two spellings of the same have in common.
    pub(super) fn normal(self, found: &[u8]) -> String {
        let text = String::from_utf8_lossy(found);
        let only = |keep: fn(char) -> bool| text.chars().filter(|each| keep(*each)).collect();
        match self {
            Self::Email => text.to_lowercase(),
            Self::Card => only(|each| each.is_ascii_digit()),
            Self::Iban => {
                let number: String = only(|each| each.is_ascii_alphanumeric());
                number.to_ascii_uppercase()
            }
            // What a caller dials: `00` is another way to write `+`, and nobody dials the zero of `+44 (0)20`.
            Self::Phone => {
                let dialled = text.replace("(0)", "");
                let digits = dialled.chars().filter(char::is_ascii_digit);
                let digits: String = digits.collect();
                let is_international = text.starts_with('+');
                match digits.strip_prefix("00") {
                    Some(number) if !is_international => format!("+{number}"),
                    _ if is_international => format!("+{digits}"),
                    _ => digits,
                }
            }
            Self::PrivateKey => only(|each| !each.is_whitespace()),
            Self::Jwt | Self::AwsAccessKey => text.into_owned(),
        }
    }
}

/// What is done with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `[email]`: what it was.
    Mask,
    /// `[email:abcdefghijklmnop]`: what it was, and the same letters wherever the same stood.
    Hash,
    /// `[]`: that there was something.
    Drop,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Mask, Self::Hash, Self::Drop];

    /// The word in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }
}

/// Letters of a hash in a text: 64 bits of it.
pub(super) const HASH_LETTERS: usize = 16;

/// Four bits a letter, and no digit: a hash must not be taken for a number itself.
pub(super) fn letters(hash: &[u8]) -> String {
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .take(HASH_LETTERS)
        .map(|nibble| char::from(b'a' + nibble))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, spellings: &[&str], expected: &str) {
        for spelling in spellings {
            assert_eq!(kind.normal(spelling.as_bytes()), expected, "{spelling}");
        }
    }

    #[test]
    fn spellings_of_the_same_are_the_same() {
        check(
            Kind::Email,
            &["Ana.B@Example.COM", "ana.b@example.com"],
            "ana.b@example.com",
        );
        check(Kind::Card, &["4111 1111-1111 1111"], "4111111111111111");
        check(
            Kind::Iban,
            &["de89 3704 0044", "DE8937040044"],
            "DE8937040044",
        );
        let london = [
            "+44 20 7946 0958",
            "0044 20 7946-0958",
            "+44 (0)20 7946 0958",
        ];
        check(Kind::Phone, &london, "+442079460958");
        check(Kind::Phone, &["(212) 555-0123"], "2125550123");
        check(Kind::PrivateKey, &["-----A\nB C", "-----ABC"], "-----ABC");
    }

    #[test]
    fn a_hash_has_letters_only() {
        assert_eq!(
            letters(&[0x01, 0xf9, 0, 0, 0, 0, 0, 0x10, 0xff]),
            "abpjaaaaaaaaaaba"
        );
    }
}
