mod corpus;
mod events;
mod laws;

use super::*;

/// A redactor by this value of `REDACTION`.
fn redactor(policies: &str) -> Redactor {
    redactor_with_key(policies, b'k')
}

fn redactor_with_key(policies: &str, key: u8) -> Redactor {
    let policies = Policies::parse(policies).expect("accepted");
    let key = IdentityKey::new(&[key; 32]).expect("long enough");
    Redactor::new(policies.expect("not off"), key)
}

fn redacted_by(redactor: &Redactor, text: &str) -> String {
    let policy = redactor.policies.of("t");
    redactor.pass(policy, "t").text(text.to_owned())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(redacted_by(&redactor("mask"), text), expected, "{text}");
}

#[test]
fn addresses_of_email() {
    check("Write to Ana.B+x@mail.example.com.", "Write to [email].");
    check(
        "<ana@example.com>, 'bob@example.co.uk'",
        "<[email]>, '[email]'",
    );
    check("o'brien@example.com müller@exämple.de", "[email] [email]");
    check(
        "mailto:ana@example.com?subject=x",
        "mailto:[email]?subject=x",
    );
    check(
        "https://x.test/?m=ana%40example.com&y",
        "https://x.test/?m=[email]&y",
    );
    check(
        "postgres://app:pw@db.example.com/x",
        "postgres://app:[email]/x",
    );
    check("ana@example.com- she said", "[email]- she said");
    check("请联系alice@example.com谢谢", "请联系[email]谢谢");
    check("ana@xn--exmple-cua.xn--p1ai!", "[email]!");
    check(
        r#"{\"to\":\"ana\\u0040example.com\"}"#,
        r#"{\"to\":\"[email]\"}"#,
    );
    check("ali\u{200b}ce\u{ff20}example.com", "[email]");
    for text in [
        "@app.route('/x')",
        "@scope/package",
        "user@localhost",
        "package@1.2.3",
        "image@sha256:ab12",
        "a @ b.c",
        "a@b",
        "a@.com",
        "W@x.T",
        "@",
    ] {
        check(text, text);
    }
}

#[test]
fn numbers_of_telephones() {
    check("Call +49 (0)151 1234-5678 now", "Call [phone] now");
    check("+4915112345678, +1-212-555-0123.", "[phone], [phone].");
    check("0049 30 1234567 / 004930123456", "[phone] / [phone]");
    check(
        "(212) 555-0123 212.555.0123 1 212 555 0123",
        "[phone] [phone] [phone]",
    );
    check(
        "030 1234567, (0151) 12345678, 0151/1234567",
        "[phone], [phone], [phone]",
    );
    check("020 7946 0958, 01 42 68 53 00", "[phone], [phone]");
    check("(030 1234567)", "([phone])");
    check("tel:%2B493012345678", "tel:[phone]");
    check("+49\u{a0}30\u{2011}12345678", "[phone]");
    for text in [
        "2026-11-23T10:00:00+01:00",
        "192.168.100.200",
        "01.02.2026 12:30",
        "978-3-16-148410-0",
        "028-1234567-7654321",
        "0012-3456-7890",
        "000000123456789",
        "1764140000123",
        "123-45-6789",
        "112-555-0123",
        "15551234567",
        "+12 34",
        "0.1234567890",
        "f(0, 1, 22, 333)",
        "x+4915112345678",
    ] {
        check(text, text);
    }
}

#[test]
fn numbers_of_cards_and_accounts() {
    check("4111 1111 1111 1111, 4111111111111111", "[card], [card]");
    check("3782 822463 10005; 3056 930902 5904", "[card]; [card]");
    check("card-5555-5555-5555-4444 12/28", "card-[card] 12/28");
    check("4111\u{a0}1111\u{2009}1111\u{202f}1111", "[card]");
    check("1234 4111 1111 1111 1111 99", "1234 [card] 99");
    check("DE89 3704 0044 0532 0130 00 Berlin", "[iban] Berlin");
    check("gb82west12345698765432.", "[iban].");
    check("IBAN:NO9386011117947", "IBAN:[iban]");
    for text in [
        "4111 1111 1111 1112",
        "4111111111111",
        "0.4111111111111111",
        "x4111111111111111",
        "4111111111111111x",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-4111-1111-1111-111111111111",
        "DE88370400440532013000",
        "ZZ89370400440532013000",
        "DE89370400440532013000x",
    ] {
        check(text, text);
    }
}

const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

#[test]
fn keys_and_tokens() {
    check("id AKIAIOSFODNN7EXAMPLE.", "id [aws_access_key].");
    check("k=ASIAIOSFODNN7EXAMPLE&", "k=[aws_access_key]&");
    check(&format!("Bearer {JWT}."), "Bearer [jwt].");
    check("eyJhbGciOiJub25lIn0.e30.", "[jwt]");
    let jwe = format!("{JWT}.AbC.dEf");
    check(&jwe, "[jwt]");
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n{body}\nAbCd==\n");
    check(
        &format!("a\n{key}-----END PRIVATE KEY-----\nb"),
        "a\n[private_key]\nb",
    );
    check(&format!("a\n{key}and more"), "a\n[private_key]\nand more");
    let in_json = key.replace('\n', "\\n");
    check(
        &format!(r#"{{"k":"{in_json}-----END RSA PRIVATE KEY-----\n"}}"#),
        r#"{"k":"[private_key]\n"}"#,
    );
    check(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: x (y)\n\nAbC\n-----END PGP PRIVATE KEY BLOCK-----",
        "[private_key]",
    );
    for text in [
        "AKIAIOSFODNN7EXAMPL",
        "AKIAIOSFODNN7EXAMPLES",
        "xAKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.e30",
        "eyJmb28iOiJiYXIifQ.e30.AbC",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "|-----|-----|",
    ] {
        check(text, text);
    }
    check(
        "-----BEGIN PRIVATE KEY----- is how it begins",
        "[private_key] is how it begins",
    );
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "The meeting is on 2026-11-23 at 10:30, room 4.",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "01KARR0C7N2F5K8V1B4Z6W9QTA",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "d41d8cd98f00b204e9800998ecf8427e",
        "sha512-4111111111111111abcdef==",
        "2026-11-23T10:00:00.123456789Z",
        "1795428000.123 1795428000123 1795428000123456789",
        "arn:aws:lambda:us-east-1:123456789012:function:conversation-capture",
        "let x = a[0x41111111] + 1_000_000_000 * 2; // 100%",
        "SELECT 1 FROM t WHERE id = 4711 AND price > 12345.67;",
        "Order 2026-000123, invoice INV-0042-2026, SKU 4006381333931",
        "10.0.0.1/16, fe80::1, 52:54:00:12:34:56",
        "Pi is 3.14159265358979323846",
        "v1.2.3-rc.4+build.5678",
        "50% off, 100%",
        "call_abc123 toolu_01A09q90qw90lq917835lq9",
    ] {
        check(text, text);
    }
}

#[test]
fn modes_leave_what_they_promise() {
    let text = "ana@example.com wrote Ana@Example.com and bob@example.com";
    let by = |policies: &str| redacted_by(&redactor(policies), text);
    assert_eq!(by("mask"), "[email] wrote [email] and [email]");
    assert_eq!(by("drop"), "[] wrote [] and []");
    let hashed = by("hash");
    let tokens: Vec<_> = hashed
        .split(' ')
        .filter(|word| word.starts_with('['))
        .collect();
    assert_eq!(tokens.len(), 3, "{hashed}");
    assert_eq!(tokens[0], tokens[1], "the same address is the same hash");
    assert_ne!(tokens[0], tokens[2]);
    assert!(tokens[0].starts_with("[email:") && tokens[0].len() == "[email:]".len() + 16);
    let other_key = redacted_by(&redactor_with_key("hash", b'l'), text);
    assert!(!other_key.contains(tokens[0]), "another key, another hash");
    let redactor = redactor("hash");
    let of_another = redactor
        .pass(redactor.policies.of("u"), "u")
        .text(text.to_owned());
    assert!(
        !of_another.contains(tokens[0]),
        "another tenant, another hash"
    );
}

#[test]
fn kinds_and_patterns_have_modes_of_their_own() {
    let redactor = redactor(
        r#"{"mode":"mask","kinds":{"phone":"off","card":"drop"},
            "patterns":[{"name":"employee","regex":"\\bE-[0-9]{6}\\b","mode":"hash"},{"name":"project","regex":"(?i)project [a-z]{3,9}"}],
            "tenants":{"quiet":"off","loud":{"kinds":{},"patterns":[]}}}"#,
    );
    let text = "E-123456 of Project apollo, +49 30 1234567, 4111111111111111, a@b.co";
    let by = |tenant: &str| {
        redactor
            .pass(redactor.policies.of(tenant), tenant)
            .text(text.to_owned())
    };
    let default = by("t");
    assert!(default.starts_with("[employee:"), "{default}");
    assert!(
        default.ends_with("] of [project], +49 30 1234567, [], [email]"),
        "{default}"
    );
    assert_eq!(by("quiet"), text);
    assert_eq!(
        by("loud"),
        "E-123456 of Project apollo, [phone], [card], [email]"
    );
}

#[test]
fn what_overlaps_goes_as_one() {
    let redactor =
        redactor(r#"{"mode":"mask","patterns":[{"name":"company","regex":"@example.com here"}]}"#);
    assert_eq!(
        redacted_by(&redactor, "ana@example.com here, ok"),
        "[company], ok"
    );
}

#[test]
fn long_base64_is_left_alone() {
    let picture = "AKIAIOSFODNN7EXAMPLE+4111111111111111/".repeat(20);
    check(&picture, &picture);
    check(
        "AKIAIOSFODNN7EXAMPLE+4111111111111111/",
        "[aws_access_key]+[card]/",
    );
}

#[test]
fn counts_are_by_kind() {
    let redactor = redactor("mask");
    let mut pass = redactor.pass(redactor.policies.of("t"), "t");
    pass.text("a@b.co, c@d.co, 4111111111111111".to_owned());
    let counts: Vec<_> = pass.redactions.entries().collect();
    assert_eq!(counts, [("card", 1), ("email", 2)]);
    assert_eq!(pass.redactions.total(), 3);
}

/// A step back from each place to the begin of the text would take four thousand million steps.
#[test]
fn no_text_takes_more_than_its_length() {
    let redactor = redactor(
        r#"{"mode":"hash","patterns":[{"name":"own","regex":"[a-z]{1,8}![a-z]{1,200}\\?|[a-z]!"}]}"#,
    );
    for piece in [
        "a",
        "a@",
        "@",
        "a.",
        "a@b.",
        "4",
        "4 ",
        "4111 ",
        "4111-1111-",
        "+",
        "+1",
        "+1 ",
        "(",
        "(0",
        "01 ",
        "00 1",
        "eyJ",
        "eyJ.",
        "eyJhbGciOiJub25lIn0.",
        "AKIA",
        "-",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "\\",
        "\\u",
        "\\u0040",
        "%",
        "%40",
        "\u{200b}",
        "ü",
        "DE89 ",
        "DE89",
        "[",
        "[email:",
        "a!",
        "\\ud83d",
        "\0",
    ] {
        let text = piece.repeat(64 * 1024 / piece.len());
        redacted_by(&redactor, &text);
        redactor.input(text.as_bytes(), std::iter::empty());
    }
}
