//! What must hold for every text.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::json::Json;

const POSITIVES: [&str; 7] = [
    "ana.canary@example.com",
    "+49 151 98765432",
    "5555 5555 5555 4444",
    "DE89 3704 0044 0532 0130 00",
    "AKIAQQQQCANARYQQQQQQ",
    JWT,
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA\n-----END PRIVATE KEY-----",
];

/// Pieces of which positives are made, and what stands beside them.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(&POSITIVES[..]).prop_map(str::to_owned),
        2 => "[ -~]{0,6}",
        1 => "[0-9 +().-]{1,20}",
        1 => "[a-z0-9]{1,3}@[a-z]{1,3}\\.[a-z]{1,3}",
        1 => any::<String>(),
        1 => Just("\\".to_owned()),
        1 => Just("\\u0040".to_owned()),
        1 => Just("%40".to_owned()),
        1 => Just("\u{a0}".to_owned()),
        1 => Just("[]".to_owned()),
        1 => Just("[email]".to_owned()),
        1 => Just("-----BEGIN PRIVATE KEY-----".to_owned()),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Ways in which the same text is written within a text.
fn disguised(text: &str, way: usize) -> String {
    let inside = |text: &str| {
        let literal = Json::from(text).to_string();
        literal[1..literal.len() - 1].to_owned()
    };
    let escaped = |text: &str| -> String {
        let units = text.encode_utf16();
        let units: Vec<String> = units.map(|unit| format!("\\u{unit:04x}")).collect();
        units.concat()
    };
    match way {
        0 => text.to_owned(),
        1 => inside(text),
        2 => inside(&inside(text)),
        3 => escaped(text),
        4 => inside(&escaped(text)),
        5 => {
            let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            bytes.concat()
        }
        6 => text
            .replace(' ', "\u{a0}")
            .replace('-', "\u{2011}")
            .replace("\u{2011}\u{2011}\u{2011}\u{2011}\u{2011}", "-----"),
        _ => text.chars().flat_map(|each| [each, '\u{200b}']).collect(),
    }
}

/// A value with the text somewhere in it: as a value, or as a key.
fn json_with(text: String, place: u8, inner: Json) -> Json {
    let other = Json::from("nothing");
    match place % 5 {
        0 => Json::Array(vec![other, Json::String(text), inner]),
        1 => Json::Object(vec![
            ("k".to_owned(), Json::String(text)),
            ("j".to_owned(), inner),
        ]),
        2 => Json::Object(vec![(text, inner)]),
        3 => Json::object([
            ("type", other),
            (
                "deep",
                Json::Array(vec![Json::Array(vec![Json::String(text), inner])]),
            ),
        ]),
        _ => Json::String(text),
    }
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing_more(text in text(), mode in 0..3_usize) {
        let redactor = redactor(["mask", "hash", "drop"][mode]);
        let once = redacted_by(&redactor, &text);
        prop_assert_eq!(redacted_by(&redactor, &once), once);
    }

    #[test]
    fn no_positive_survives_in_any_place(
        positive in 0..POSITIVES.len(), way in 0..8_usize, places in vec(any::<u8>(), 1..5),
        before in "( |[a-z]{1,5}[ :(]|\\(|\"|\\n)?", after in "( |[,;!)\"\\n][ a-z]{0,5})?", mode in 0..3_usize,
    ) {
        let redactor = redactor(["mask", "hash", "drop"][mode]);
        let written = disguised(POSITIVES[positive], way);
        let json = places.iter().fold(Json::Null, |inner, place| json_with(format!("{before}{written}{after}"), *place, inner));
        let mut pass = redactor.pass(redactor.policies.of("t"), "t");
        let redacted = pass.json(json).to_string();
        let written = disguised(&written, 1);
        prop_assert!(!redacted.contains(&written), "{}", redacted);
        // Nor in a text that nobody can read.
        let broken = format!("{{\"broken\": \"{before}{written}{after}");
        let input = redactor.input(broken.as_bytes(), std::iter::empty());
        prop_assert!(!String::from_utf8_lossy(&input.bytes).contains(&written), "{}", broken);
    }

    #[test]
    fn any_bytes_are_taken(input: Vec<u8>, text: String) {
        let redactor = redactor("hash");
        redactor.input(&input, std::iter::empty());
        redacted_by(&redactor, &text);
    }

    #[test]
    fn an_own_pattern_is_found_wherever_it_stands(text in "[ -~é]{0,20}", number in 100_000..1_000_000_u32) {
        let redactor = redactor(r#"{"mode":"mask","patterns":[{"name":"employee","regex":"E-[0-9]{6}"}]}"#);
        let employee = format!("E-{number}");
        let redacted = redacted_by(&redactor, &format!("{text} {employee} {text}"));
        prop_assert!(!redacted.contains(&employee), "{}", redacted);
    }
}
