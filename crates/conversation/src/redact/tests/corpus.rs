//! Everything of a kind that is to be recognised is, in a thousand spellings.

use super::*;

/// Numbers that look random and are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn some(&mut self, of: &str, length: usize) -> String {
        let of = of.as_bytes();
        (0..length)
            .map(|_| char::from(of[self.below(of.len())]))
            .collect()
    }

    fn digits(&mut self, length: usize) -> String {
        self.some("0123456789", length)
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn email(seeded: &mut Seeded) -> String {
    let length = 1 + seeded.below(12);
    let first = seeded.some("abcXYZ019_", length);
    let separator = seeded.one(&["", ".", "-", "+", "_", "'"]);
    let second = if separator.is_empty() {
        String::new()
    } else {
        seeded.some(LOWER, 4)
    };
    let length = 1 + seeded.below(10);
    let host = seeded.some("abcxyz019", length);
    let domain = seeded.one(&[
        "com",
        "de",
        "co.uk",
        "example.org",
        "museum",
        "xn--p1ai",
        "COM",
        "sub-domain.io",
    ]);
    format!("{first}{separator}{second}@{host}.{domain}")
}

fn phone(seeded: &mut Seeded) -> String {
    let separator = seeded.one(&[" ", "-", "\u{a0}"]);
    match seeded.below(6) {
        0 => {
            let country = seeded.one(&["1", "7", "33", "44", "49", "351", "420", "971"]);
            let length = 7 + seeded.below(5);
            format!("+{country}{}", seeded.digits(length))
        }
        1 => {
            let country = seeded.one(&["33", "44", "49", "351", "81"]);
            format!(
                "+{country}{separator}{}{separator}{}",
                seeded.digits(3),
                seeded.digits(6)
            )
        }
        2 => {
            let country = seeded.one(&["33", "44", "49", "351", "81"]);
            format!(
                "00{country}{separator}{}{separator}{}",
                seeded.digits(3),
                seeded.digits(6)
            )
        }
        3 => {
            let area = seeded.some("23456789", 1) + &seeded.digits(2);
            let office = seeded.some("23456789", 1) + &seeded.digits(2);
            let last = seeded.digits(4);
            let written = seeded.below(3);
            match written {
                0 => format!("({area}) {office}-{last}"),
                1 => format!("{area}-{office}-{last}"),
                _ => format!("+1 ({area}) {office}.{last}"),
            }
        }
        4 => {
            let area = seeded.some("123456789", 1) + &seeded.digits(2);
            let length = 6 + seeded.below(3);
            let between = seeded.one(&[" ", "-", "/"]);
            format!("0{area}{between}{}", seeded.digits(length))
        }
        _ => {
            let area = seeded.some("12345", 1);
            let pairs: Vec<_> = (0..4).map(|_| seeded.digits(2)).collect();
            let between = seeded.one(&[" ", "."]);
            format!("0{area}{between}{}", pairs.join(between))
        }
    }
}

fn card(seeded: &mut Seeded) -> String {
    let (prefix, length) = [
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("2720", 16),
        ("34", 15),
        ("37", 15),
        ("300", 14),
        ("36", 14),
        ("38", 14),
        ("6011", 16),
        ("65", 16),
        ("3528", 16),
        ("3589", 16),
        ("62", 16),
        ("62", 19),
        ("50", 16),
        ("58", 18),
        ("6304", 19),
        ("2200", 16),
        ("4", 19),
    ][seeded.below(21)];
    let body = format!("{prefix}{}", seeded.digits(length - prefix.len() - 1));
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let doubled = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            doubled / 10 + doubled % 10
        })
        .sum();
    let number = format!("{body}{}", (10 - sum % 10) % 10);
    let groups: &[usize] = match length {
        14 => &[4, 6, 4],
        15 => &[4, 6, 5],
        16 => &[4, 4, 4, 4],
        18 => &[4, 4, 4, 4, 2],
        _ => &[4, 4, 4, 4, 3],
    };
    let separator = seeded.one(&["", "", " ", "-", "\u{a0}", "\u{2011}"]);
    let mut rest = number.as_str();
    let groups: Vec<_> = groups
        .iter()
        .map(|length| {
            let (group, after) = rest.split_at(*length);
            rest = after;
            group
        })
        .collect();
    groups.join(separator)
}

fn iban(seeded: &mut Seeded) -> String {
    let (country, length, letters) = [
        ("DE", 22, 0),
        ("GB", 22, 4),
        ("FR", 27, 0),
        ("NO", 15, 0),
        ("MT", 31, 4),
        ("CH", 21, 0),
        ("NL", 18, 4),
        ("PT", 25, 0),
    ][seeded.below(8)];
    let account =
        seeded.some("ABCDEFGHIJKLMNOPQRSTUVWXYZ", letters) + &seeded.digits(length - 4 - letters);
    let rest = format!("{account}{country}00")
        .chars()
        .fold(0, |rest, character| {
            let value = character.to_digit(36).expect("a digit or letter");
            (rest * if value < 10 { 10 } else { 100 } + value) % 97
        });
    let number = format!("{country}{:02}{account}", 98 - rest);
    let number = if seeded.below(4) == 0 {
        number.to_lowercase()
    } else {
        number
    };
    let separator = seeded.one(&["", " ", "\u{a0}", "-"]);
    let groups: Vec<_> = number
        .as_bytes()
        .chunks(4)
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(separator)
}

fn aws(seeded: &mut Seeded) -> String {
    let prefix = seeded.one(&["AKIA", "ASIA"]);
    format!(
        "{prefix}{}",
        seeded.some("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
    )
}

fn jwt(seeded: &mut Seeded) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let algorithm = seeded.one(&["HS256", "RS256", "ES384", "none", "dir"]);
    let length = 1 + seeded.below(20);
    let key_id = seeded.some(BASE64, length);
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"kid":"{key_id}","alg":"{algorithm}"}}"#));
    let subject = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{key_id}"}}"#));
    let length = 10 + seeded.below(70);
    let signature = seeded.some(BASE64, length);
    format!("{header}.{subject}.{signature}")
}

fn private_key(seeded: &mut Seeded) -> String {
    let kind = seeded.one(&["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]);
    let line = seeded.one(&["\n", "\r\n", "\\n"]);
    let lines = 1 + seeded.below(12);
    let body: Vec<_> = (0..lines).map(|_| seeded.some(BASE64, 64)).collect();
    let body = body.join(line);
    format!("-----BEGIN {kind}PRIVATE KEY-----{line}{body}=={line}-----END {kind}PRIVATE KEY-----")
}

#[track_caller]
fn check_all(name: &str, generate: fn(&mut Seeded) -> String) {
    let redactor = redactor("mask");
    let mut seeded = Seeded(2026);
    let mut missed = Vec::new();
    for _ in 0..1500 {
        let positive = generate(&mut seeded);
        let before = seeded.one(&[
            "",
            "It is ",
            "(",
            "<",
            "x: ",
            "\"",
            "\n",
            "é ",
            "=",
            "— ",
            r#"{\"k\":\""#,
        ]);
        let after = seeded.one(&[
            "",
            " and so on",
            ")",
            ">",
            ", y",
            "\"",
            "\n",
            " é",
            ".",
            "!",
            r#"\"}"#,
        ]);
        let redacted = redacted_by(&redactor, &format!("{before}{positive}{after}"));
        if redacted != format!("{before}[{name}]{after}") {
            missed.push((before, positive, after, redacted));
        }
    }
    assert!(
        missed.is_empty(),
        "{} of 1500 missed: {:#?}",
        missed.len(),
        &missed[..missed.len().min(5)]
    );
}

#[test]
fn every_email_is_found() {
    check_all("email", email);
}

#[test]
fn every_phone_is_found() {
    check_all("phone", phone);
}

#[test]
fn every_card_is_found() {
    check_all("card", card);
}

#[test]
fn every_iban_is_found() {
    check_all("iban", iban);
}

#[test]
fn every_aws_access_key_is_found() {
    check_all("aws_access_key", aws);
}

#[test]
fn every_jwt_is_found() {
    check_all("jwt", jwt);
}

#[test]
fn every_private_key_is_found() {
    check_all("private_key", private_key);
}
