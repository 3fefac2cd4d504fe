//! What must hold for every event, not only for those in the other tests.

mod damage;
mod leaves;
mod shapes;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::adapt::captures_of;
use crate::capture::Capture;
use crate::delivery::{Delivery, Source};
use crate::json::{Json, MAX_DEPTH, Raw};
use crate::layout::Layout;
use crate::media::MEDIA_MIN_BYTES;
use crate::place::Place;
use damage::damaged_event;
use leaves::lost;

fn one(event: &str, delivery: &Delivery) -> Capture {
    let mut captures = captures_of(event.as_bytes(), delivery).expect("a capture");
    assert_eq!(captures.len(), 1);
    captures.remove(0)
}

/// Text as people and attackers write it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z ]{1,20}",
        Just("é😀\u{0}\u{7f}\"\\".to_owned()),
        Just("../..".to_owned())
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z0-9-]{1,12}", 2 => "\\PC{1,40}", 1 => "[a-zé]{600,700}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object)
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    vec((text(), value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

/// `object` with some of `optional`, which wins.
fn with(object: Map<String, Value>, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        unreachable!("called with an object")
    };
    let mut all = object;
    all.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(all)
}

/// Bytes in Base64, sometimes enough of them for an object of their own.
fn bytes() -> impl Strategy<Value = String> {
    let large = (any::<[u8; 9]>(), MEDIA_MIN_BYTES - 9..MEDIA_MIN_BYTES + 9)
        .prop_map(|(bytes, length)| bytes.into_iter().cycle().take(length).collect::<Vec<_>>());
    prop_oneof![2 => "[A-Za-z]{4,9}", 1 => large.prop_map(|bytes| BASE64.encode(bytes))]
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        (bytes(), text()).prop_map(
            |(bytes, name)| json!({"type": "blob", "modality": "image", "content": bytes, "name": name})
        ),
        text().prop_map(|content| json!({"type": "text", "content": content})),
        text().prop_map(|content| json!({"type": "reasoning", "content": content})),
        (id(), any_json()).prop_map(
            |(name, arguments)| json!({"type": "tool_call", "name": name, "arguments": arguments})
        ),
        (text(), object(any_json())).prop_map(|(kind, rest)| with(rest, json!({"type": kind}))),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop_oneof!["user", "assistant", "system", "tool", "[a-z]{3,8}"];
    let reason = proptest::option::of(prop_oneof!["stop", "end_turn", "pause_turn"]);
    (role, vec(part(), 0..3), proptest::option::of(id()), reason, object(any_json())).prop_map(
        |(role, parts, message_id, finish_reason, rest)| {
            let rest = rest.into_iter().filter(|(key, _)| key != "metadata").collect();
            with(rest, json!({"role": role, "parts": parts, "message_id": message_id, "finish_reason": finish_reason}))
        },
    )
}

fn canonical_event() -> impl Strategy<Value = Value> {
    let ids = (
        proptest::option::of(id()),
        id(),
        proptest::option::of(id()),
        proptest::option::of("[a-z]{1,8}"),
    );
    let told = (
        proptest::option::of(0..=i32::MAX),
        proptest::option::of(0..=i64::MAX),
        any_json(),
    );
    let words = (
        vec("[a-z_]{1,9}", 0..3),
        vec(text(), 0..3),
        proptest::option::of(prop_oneof!["full", "delta"]),
    );
    let objects = (object(any_json()), object(any_json()), object(any_json()));
    (ids, told, words, objects, vec(message(), 0..5)).prop_map(
        |((event_id, conversation_id, user_id, model), (tokens, sequence, error), words, objects, messages)| {
            let (finish_reasons, tags, history) = words;
            let (context, metadata, unknown) = objects;
            with(
                unknown,
                json!({
                    "schema": "llm.capture/1", "event_id": event_id, "conversation_id": conversation_id,
                    "user_id": user_id, "request_model": model, "usage": {"input_tokens": tokens, "total_tokens": 7},
                    "sequence": sequence, "error": error, "finish_reasons": finish_reasons, "tags": tags,
                    "history": history, "context": context, "metadata": metadata, "messages": messages,
                    "implementations": [{"file_path": "f", "stars": error}], "trace": {"trace_id": model, "x": tokens},
                }),
            )
        },
    )
}

fn legacy_event() -> impl Strategy<Value = Value> {
    let implementation =
        object(any_json()).prop_map(|rest| with(rest, json!({"file_path": "f", "type": "t"})));
    (any_json(), any_json(), any_json(), proptest::option::of(id()), vec(implementation, 0..3), object(any_json())).prop_map(
        |(user_input, assistant_output, context, conversation_id, implementations, unknown)| {
            with(
                unknown,
                json!({
                    "conversation_id": conversation_id, "user_input": user_input, "assistant_output": assistant_output,
                    "context": context, "implementations": implementations,
                }),
            )
        },
    )
}

fn event() -> impl Strategy<Value = Value> {
    prop_oneof![1 => canonical_event(), 1 => legacy_event(), 4 => shapes::event()]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::direct(None)),
        Just(Delivery::direct(Some("request-1"))),
        Just(Delivery::sqs(
            "m-1",
            |name| (name == "SentTimestamp").then_some("1795429800123"),
            ""
        )),
        Just(Delivery::sns(Some("n-1"), Some("2026-11-23T10:00:00.123Z"))),
        Just(Delivery::event_bridge(Some("b-1"), None)),
        Just(Delivery::stream(
            Source::Kinesis,
            Some("shardId-0:1"),
            Some("1545084650.987")
        )),
        Just(Delivery::log_event(Some("3718"), Some("1795429800123"))),
    ]
}

fn tree(text: &str) -> Json {
    Json::keep(&Raw::read(text).expect("JSON"), usize::MAX).expect("a value")
}

fn reversed(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(reversed).collect()),
        Json::Object(entries) => Json::Object(
            entries
                .iter()
                .rev()
                .map(|(key, value)| (key.clone(), reversed(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// As it is read from the archive, where the media are objects of their own.
fn without_media(capture: &Capture) -> Capture {
    Capture {
        media: Vec::new(),
        ..capture.clone()
    }
}

fn message_ids(capture: &Capture) -> Vec<&str> {
    capture
        .messages
        .iter()
        .map(|message| message.message_id.as_str())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn all_that_an_event_says_is_in_its_object(event in event(), delivery in delivery()) {
        let event = event.to_string();
        let capture = one(&event, &delivery);
        for layout in [Layout::Turn, Layout::Legacy] {
            prop_assert_eq!(lost(&event, &capture, layout), Vec::<String>::new(), "{}", event);
        }
    }

    #[test]
    fn what_is_not_refused_is_kept(event in damaged_event(), delivery in delivery()) {
        let event = event.to_string();
        for capture in captures_of(event.as_bytes(), &delivery).unwrap_or_default() {
            prop_assert_eq!(lost(&event, &capture, Layout::Turn), Vec::<String>::new(), "{}", event);
            let object = capture.object(Layout::Turn);
            let again = one(std::str::from_utf8(&object.body).expect("UTF-8"), &Delivery { id: None, ..delivery.clone() });
            prop_assert!(again == without_media(&capture), "{}\n{}", object_text(&again), object_text(&capture));
        }
    }

    #[test]
    fn an_archived_object_gives_the_same_capture_again(event in event(), delivery in delivery()) {
        let capture = one(&event.to_string(), &delivery);
        let object = capture.object(Layout::Turn);
        let again = one(std::str::from_utf8(&object.body).expect("UTF-8"), &Delivery { id: None, ..delivery });
        prop_assert!(again == without_media(&capture), "{}\n{}", object_text(&again), object_text(&capture));
        prop_assert_eq!(again.object(Layout::Turn), object);
    }

    #[test]
    fn what_is_read_back_from_the_archive_is_what_was_captured(event in event(), delivery in delivery()) {
        let capture = one(&event.to_string(), &delivery);
        for layout in [Layout::Turn, Layout::Legacy] {
            let object = capture.object(layout);
            let mut again = Capture::from_archived(&object.key, &object.body).expect("what was captured");
            prop_assert_eq!(again.source, Source::Archive);
            again.source = capture.source;
            prop_assert!(again == without_media(&capture), "{}\n{}", object_text(&again), object_text(&capture));
            prop_assert_eq!(&again.object(layout), &object);
            if let Some(ids) = Place::of(&object.key).expect("a key of ours").ids() {
                prop_assert_eq!(ids.tenant_id, &capture.tenant_id);
                prop_assert_eq!(ids.conversation_id, &capture.conversation_id);
                prop_assert_eq!(ids.event_id, &capture.event_id);
            }
        }
    }

    #[test]
    fn the_same_bytes_give_the_same_object(event in event(), delivery in delivery()) {
        let (once, twice) = (one(&event.to_string(), &delivery), one(&event.to_string(), &delivery));
        prop_assert!(once == twice);
        let object = once.object(Layout::Turn);
        prop_assert_eq!(&object, &twice.object(Layout::Turn));
        prop_assert!(object.key.len() <= 1024);
        prop_assert!(!object.body.contains(&b'\n'));
    }

    #[test]
    fn the_order_of_keys_says_nothing(event in event(), delivery in delivery()) {
        let text = event.to_string();
        let (one_way, other_way) = (one(&text, &delivery), one(&reversed(&tree(&text)).to_string(), &delivery));
        prop_assert_eq!(&one_way.event_id, &other_way.event_id);
        prop_assert_eq!(&one_way.conversation_id, &other_way.conversation_id);
        prop_assert_eq!(message_ids(&one_way), message_ids(&other_way));
        prop_assert_eq!(one_way.fingerprint, other_way.fingerprint);
    }

    #[test]
    fn a_fingerprint_covers_what_was_said_but_not_when(event in canonical_event(), other in "[a-z]{9}") {
        let delivery = Delivery::direct(Some("request-1"));
        let changed = |key: &str, value: &str| {
            let mut event = event.clone();
            event[key] = value.into();
            one(&event.to_string(), &delivery).fingerprint
        };
        let fingerprint = one(&event.to_string(), &delivery).fingerprint;
        let untimed = changed("occurred_at", "2026-11-23T10:00:00Z");
        prop_assert_eq!(untimed, changed("occurred_at", "2026-11-23T10:00:01Z"));
        prop_assert_eq!(untimed, fingerprint);
        prop_assert_ne!(changed("provider", &other), fingerprint);
        prop_assert_ne!(changed("user_id", &other), fingerprint);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..200), event in event(), cut in any::<prop::sample::Index>()) {
        let delivery = Delivery::direct(None);
        let _ = captures_of(&bytes, &delivery);
        let event = event.to_string();
        let cut = cut.index(event.len());
        let _ = captures_of(&event.as_bytes()[..cut], &delivery);
        let mut damaged = event.into_bytes();
        damaged[cut] ^= 0x15;
        let _ = captures_of(&damaged, &delivery);
    }
}

#[test]
fn nothing_said_is_nested_too_deep_for_its_readers() {
    for depth in [
        1,
        MAX_DEPTH - 3,
        MAX_DEPTH - 2,
        MAX_DEPTH - 1,
        MAX_DEPTH,
        MAX_DEPTH + 1,
        1000,
    ] {
        let deep = format!("{}\"needle\"{}", "[".repeat(depth), "]".repeat(depth));
        let mut events = shapes::deep_events(&deep);
        events.extend([
            format!(
                r#"{{"user_input":{deep},"context":{deep},"x":{deep},"implementations":[{{"x":{deep}}}]}}"#
            ),
            format!(
                r#"{{"schema":"llm.capture/1","conversation_id":"c","x":{deep},"usage":{{"x":{deep}}},"error":{deep},
                "messages":[{{"role":"user","x":{deep},"parts":[{{"type":"tool_call","arguments":{deep}}}]}}]}}"#
            ),
        ]);
        for event in events {
            let capture = one(&event, &Delivery::direct(None));
            let text = object_text(&capture);
            assert!(
                serde_json::from_str::<Value>(&text).is_ok(),
                "within the 128 of serde_json"
            );
            assert!(one(&text, &Delivery::direct(None)) == capture, "{depth}");
            assert_eq!(
                text.matches("needle").count(),
                event.matches("needle").count(),
                "nothing is lost"
            );
        }
    }
}

fn object_text(capture: &Capture) -> String {
    String::from_utf8_lossy(&capture.object(Layout::Turn).body).into_owned()
}
