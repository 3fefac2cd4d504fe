//! What must hold for any input whatever, as functions that take bytes and panic where it does not hold.
//!
//! `make fuzz TARGET=adapt SECONDS=60` has libFuzzer look for such bytes, from those in `corpus/` on. The tests here play
//! the corpora again, without a fuzzer. The target `intake` lies where it can see inside: `capture::fuzz`.

use std::collections::BTreeSet;

use conversation::{Capture, Delivery, Document, Layout, Part, Raw, adapt, layout, sanitize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Beginnings of events, each of another shape: what follows them is the input, but for its first byte, which chooses. The
/// letters `l` to `x` do so in this order, so that a corpus can be written by hand.
const BEGINNINGS: [&str; 13] = [
    "",
    r#"{"schema":"llm.capture/1","conversation_id":"c","#,
    r#"{"user_input":"q","#,
    r#"{"text":"q","user":"u","#,
    r#"{"schemaType":"ModelInvocationLog","requestId":"r","#,
    r#"{"gen_ai.operation.name":"chat","#,
    r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"gen_ai.system","value":{"stringValue":"s"}},"#,
    r#"{"conversation_id":"c","response":{"id":"r","object":"chat.completion","#,
    r#"{"conversation_id":"c","response":{"id":"r","object":"response","#,
    r#"{"conversation_id":"c","response":{"id":"r","type":"message","#,
    r#"{"conversation_id":"c","response":{"stopReason":"end_turn","output":{"message":{"role":"assistant","#,
    r#"{"memoryId":"m","actorId":"u","#,
    r#"[{"schema":"llm.capture/1","conversation_id":"c","#,
];

/// The first of the letters that choose a beginning.
const FIRST_LETTER: u8 = b'l';

/// In what `serde_json` says of a number that no double holds. `jsonb` holds it, and so does our own reader.
const OUT_OF_RANGE: &str = "number out of range";

/// The longest id.
const ID_MAX_BYTES: usize = 512;

/// An event of any shape is refused, or its object holds what makes it again.
///
/// # Panics
/// Where that does not hold.
pub fn adapt(input: &[u8]) {
    let Some((letter, rest)) = input.split_first() else {
        return;
    };
    let chosen = usize::from(letter.wrapping_sub(FIRST_LETTER)) % BEGINNINGS.len();
    let beginning = BEGINNINGS.get(chosen).copied().unwrap_or_default();
    let event = [beginning.as_bytes(), rest].concat();
    let delivery = Delivery::direct(Some("request"));
    let captures = captures(&event, &delivery);
    assert!(
        captures == self::captures(&event, &delivery),
        "not the same again"
    );
    for capture in captures.unwrap_or_default() {
        check_capture(&capture);
    }
}

fn captures(event: &[u8], delivery: &Delivery) -> Option<Vec<Capture>> {
    let clean = sanitize::clean(event);
    let document = Document::read(&clean).ok()?;
    adapt::captures(document, delivery).ok()
}

fn check_capture(capture: &Capture) {
    for id in [
        &capture.tenant_id,
        &capture.conversation_id,
        &capture.event_id,
    ] {
        assert!(!id.is_empty() && id.len() <= ID_MAX_BYTES);
    }
    let mut ids = BTreeSet::new();
    for message in &capture.messages {
        assert!(ids.insert(&message.message_id), "two messages with one id");
        assert!(!message.content().0.contains('\0'));
        let mut stored = String::new();
        assert!(Part::write_database_text(&message.parts, &mut stored).is_ok());
        check_json(&stored);
        check_json(&message.metadata.database_text());
    }
    check_json(&capture.context.database_text());
    check_json(&capture.metadata.database_text());
    let mut keys = BTreeSet::new();
    for media in &capture.media {
        assert!(media.is_named_by_content() && media.key.len() <= 1024);
        assert!(keys.insert(&media.key), "one content twice");
        assert_eq!(media.sha256, <[u8; 32]>::from(Sha256::digest(&media.body)));
    }
    for layout in [Layout::Turn, Layout::Legacy] {
        let object = capture.object(layout);
        assert!(object.key.len() <= 1024);
        check_json(&String::from_utf8_lossy(&object.body));
    }
    let object = capture.object(Layout::Turn);
    let again = captures(&object.body, &Delivery::direct(None)).unwrap_or_default();
    let [again] = again.as_slice() else {
        panic!("the object of a capture is one capture");
    };
    assert!(again.media.is_empty());
    assert_eq!(again.fingerprint, capture.fingerprint);
    assert!(again.messages == capture.messages);
    assert!(
        again.object(Layout::Turn) == object,
        "its object is another one"
    );
}

/// What PostgreSQL's `jsonb` takes: nothing is nested too deep, no text has U+0000.
fn check_json(text: &str) {
    let value: Result<Value, _> = serde_json::from_str(text);
    match value {
        Ok(value) => assert!(!has_nul(&value), "U+0000 in JSON"),
        Err(why) => assert!(why.to_string().contains(OUT_OF_RANGE), "{why}"),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Ids that differ lie apart, and whatever an id is, it is one segment of a key.
///
/// # Panics
/// Where that does not hold.
pub fn key_escaping(input: &[u8]) {
    let Some((middle, rest)) = input.split_first() else {
        return;
    };
    let (one, other) = rest.split_at(usize::from(*middle).min(rest.len()));
    let one = String::from_utf8_lossy(one).into_owned();
    let other = String::from_utf8_lossy(other).into_owned();
    // A segment is an id as well, as somebody reads it in a listing and sends it back.
    let ids = [segment(&one), segment(&other), one, other];
    for id in &ids {
        let segment = segment(id);
        assert!(!segment.is_empty() && segment.len() <= 120);
        assert!(!segment.starts_with('.'));
        assert!(
            segment
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'\\')
        );
        for another in ids.iter().filter(|another| *another != id) {
            assert!(self::segment(another) != segment, "two ids in one place");
        }
    }
    let [.., one, other] = &ids;
    let event = json!({
        "schema": "llm.capture/1", "tenant_id": one, "conversation_id": other, "event_id": format!("{one}{other}"),
        "messages": [],
    });
    for capture in
        captures(event.to_string().as_bytes(), &Delivery::direct(None)).unwrap_or_default()
    {
        for layout in [Layout::Turn, Layout::Legacy] {
            let key = layout.key(&capture);
            assert!(key.len() <= 1024 && key.is_ascii(), "{key}");
            let segments = key.split('/');
            assert!(
                segments
                    .clone()
                    .all(|segment| !segment.is_empty() && !segment.starts_with('.'))
            );
            assert!((4..=6).contains(&segments.count()), "{key}");
        }
    }
}

fn segment(id: &str) -> String {
    let prefix = layout::tenant_prefix(id);
    let segment = prefix
        .strip_prefix("t=")
        .and_then(|rest| rest.strip_suffix('/'));
    segment.unwrap_or_default().to_owned()
}

/// What is clean stays as it is, and JSON that was broken only by characters is JSON afterwards.
///
/// # Panics
/// Where that does not hold.
pub fn sanitize(input: &[u8]) {
    let clean = sanitize::clean(input);
    let text = clean.text();
    let twice = sanitize::clean(text.as_bytes());
    assert!(twice.text() == text && twice.sanitized().is_clean());
    assert_eq!(clean.repaired_in(text), clean.sanitized());
    if clean.sanitized().is_clean() {
        assert!(String::from_utf8_lossy(input).trim_start_matches('\u{feff}') == text);
    }
    let raw = Raw::read(text);
    let value: Result<Value, _> = serde_json::from_str(text);
    match (&raw, value) {
        (Ok(_), Err(why)) => {
            let why = why.to_string();
            let is_known = why.contains("recursion limit") || why.contains(OUT_OF_RANGE);
            assert!(is_known, "{why}");
        }
        (Err(why), Ok(_)) => panic!("{why}"),
        _ => {}
    }
    if let Some(items) = raw.as_ref().ok().and_then(Raw::items) {
        let parts = items
            .iter()
            .map(|item| clean.repaired_in(item.text()).total());
        assert!(parts.sum::<u32>() <= clean.sanitized().total());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every file of a folder, which are some.
    #[track_caller]
    fn play(folder: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut played = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let input = std::fs::read(&path).unwrap();
                std::panic::catch_unwind(|| target(&input))
                    .unwrap_or_else(|_| panic!("breaks a law: {}", path.display()));
                played += 1;
            }
        }
        assert!(played > 5, "{played} inputs");
    }

    #[test]
    fn the_corpus_of_adapt_breaks_nothing() {
        play("corpus/adapt", super::adapt);
    }

    #[test]
    fn the_corpus_of_key_escaping_breaks_nothing() {
        play("corpus/key_escaping", super::key_escaping);
    }

    #[test]
    fn the_corpus_of_sanitize_breaks_nothing() {
        play("corpus/sanitize", super::sanitize);
        play("../events", super::sanitize);
    }
}
