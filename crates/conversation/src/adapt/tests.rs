//! What the adapters make of events.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::capture::{Message, Part, Shape};
use crate::layout::Layout;
use crate::usage::Usage;

/// A sample event of the repository.
macro_rules! event {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/", $name))
    };
}

mod agentcore;
mod anthropic;
mod bedrock_log;
mod converse;
mod history;
mod openai_chat;
mod openai_responses;
mod opentelemetry;
mod refusals;
mod samples;
mod text;

use refusals::refused;

fn read(event: &str) -> Result<Vec<Capture>, AdaptError> {
    captures_of(event.as_bytes(), &Delivery::direct(Some("request-1")))
}

fn one(event: &str) -> Capture {
    let mut captures = read(event).expect("a capture");
    assert_eq!(captures.len(), 1);
    captures.remove(0)
}

/// A capture in a few lines: what becomes its key and its rows.
fn summary(capture: &Capture) -> String {
    let short = |id: &str| {
        id.chars()
            .take(if id.starts_with("h:") { 10 } else { 99 })
            .collect::<String>()
    };
    let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let repaired = capture.sanitized;
    let mut out = String::new();
    writeln!(out, "{}", capture.object(Layout::Turn).key).unwrap();
    writeln!(
        out,
        "{} {} user={} history={} model={} nul={} surrogate={}",
        capture.shape.as_str(),
        capture.conversation_id,
        told(&capture.user_id),
        capture.history.as_str(),
        capture.model().unwrap_or("-"),
        repaired.nul,
        repaired.surrogate,
    )
    .unwrap();
    for message in &capture.messages {
        let usage: Vec<_> = message
            .usage
            .entries()
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        let start: String = message.content().0.chars().take(28).collect();
        writeln!(
            out,
            "{} {} {} {} <- {} finish={} [{}] {start:?}",
            message.ordinal,
            message.direction.as_str(),
            message.role,
            short(&message.message_id),
            message
                .parent_message_id
                .as_deref()
                .map_or("-".to_owned(), short),
            told(&message.finish_reason),
            usage.join(" "),
        )
        .unwrap();
    }
    for made in &capture.implementations {
        let (id, message) = (&made.implementation_id, told(&made.message_id));
        writeln!(
            out,
            "{id} of {message}: {} {}",
            made.implementation_type,
            told(&made.file_path)
        )
        .unwrap();
    }
    writeln!(
        out,
        "context={} metadata={}",
        capture.context, capture.metadata
    )
    .unwrap();
    out
}

/// Who said what, a line for each message.
fn said(capture: &Capture) -> String {
    let line = |message: &Message| {
        let name = message
            .name
            .as_deref()
            .map(|name| format!(" {name}"))
            .unwrap_or_default();
        format!("{}{name} {}", message.role, Part::array(&message.parts))
    };
    capture
        .messages
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_null_is_as_good_as_nothing() {
    let bare = r#"{"schema":"llm.capture/1","event_id":"e","conversation_id":"c","messages":[]}"#;
    let nulls = r#"{"schema":"llm.capture/1","event_id":"e","conversation_id":"c","messages":[],"tenant_id":null,
        "user_id":null,"occurred_at":null,"sequence":null,"history":null,"operation":null,"provider":null,
        "request_model":null,"response_model":null,"response_id":null,"finish_reasons":null,"error":null,"usage":null,
        "system_instructions":null,"implementations":null,"context":null,"metadata":null,"tags":null,"trace":null,
        "body_ref":null}"#;
    assert_eq!(one(bare), one(nulls));
    assert_eq!(one(bare).tenant_id, "default");
}

#[test]
fn nobody_is_not_a_person() {
    for nobody in [r#""anonymous""#, r#""""#, "null"] {
        let legacy = one(&format!(r#"{{"user_input":"a","user_id":{nobody}}}"#));
        assert_eq!(
            (legacy.user_id, legacy.metadata.is_empty()),
            (None, true),
            "{nobody}"
        );
        let canonical = one(&format!(
            r#"{{"schema":"llm.capture/1","conversation_id":"c","messages":[],"user_id":{nobody}}}"#
        ));
        assert_eq!(canonical.user_id, None, "{nobody}");
    }
}

#[test]
fn unknown_keys_are_kept() {
    let capture = one(
        r#"{"schema":"llm.capture/1","conversation_id":"c","colour":"blue","user_id":"lost","user_id":"u",
            "metadata":{"client":"x","extra":{"mine":1}},"usage":{"input_tokens":1,"total_tokens":2},
            "trace":{"trace_id":"t","flags":1},"finish_reasons":["end_turn"],
            "messages":[{"role":"user","content":"hi","mood":"good","finish_reason":"tool_use"}],
            "implementations":[{"file_path":"f","stars":5}]}"#,
    );
    assert_eq!(capture.user_id.as_deref(), Some("u"));
    assert_snapshot!(capture.metadata.to_string(), @r#"{"client":"x","extra":{"mine":1,"finish_reasons":["end_turn"],"usage":{"total_tokens":2},"trace":{"flags":1},"colour":"blue","user_id":"lost"}}"#);
    assert_snapshot!(capture.messages[0].metadata.to_string(), @r#"{"extra":{"finish_reason":"tool_use","mood":"good"}}"#);
    assert_snapshot!(capture.implementations[0].metadata.to_string(), @r#"{"extra":{"stars":5}}"#);
    assert_eq!(capture.finish_reasons, ["stop"]);
    assert_eq!(capture.messages[0].content().0, "hi");
}

#[test]
fn a_providers_usage_is_kept_beside_ours() {
    let capture = one(event!("direct-canonical-tools.json"));
    let usage = Usage {
        input_tokens: Some(412),
        output_tokens: Some(96),
        cache_read_input_tokens: Some(256),
        cache_creation_input_tokens: None,
        reasoning_output_tokens: Some(40),
    };
    assert_eq!(capture.usage, usage);
    let kept = capture
        .metadata
        .get("extra")
        .and_then(|extra| extra.get("usage"))
        .expect("kept");
    assert_eq!(
        kept.get("total_tokens"),
        Some(&Json::Number("508".to_owned()))
    );
}

#[test]
fn legacy_defaults_hold_for_nulls_and_odd_types() {
    let capture = one(
        r#"{"conversation_id":"","user_id":"anonymous","user_input":{"text":"q"},"assistant_output":["a","b"],
            "context":"text","implementations":[{"code_snippet":{"a":1},"type":null}],"timestamp":"2026-11-23T10:00:00"}"#,
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=c-19f1064b619d49d35392eac7261cd726/100000000-request-1.json
    legacy c-19f1064b619d49d35392eac7261cd726 user=- history=delta model=- nul=0 surrogate=0
    0 input user request-1-user <- - finish=- [] "q"
    1 output assistant request-1-assistant <- request-1-user finish=- [] "a\nb"
    request-1-impl-0 of request-1-assistant: unknown -
    context={"value":"text"} metadata={"extra":{"conversation_id":""}}
    "#);
    assert_eq!(capture.user_id, None);
    assert_eq!(
        capture.implementations[0].code_snippet.as_deref(),
        Some(r#"{"a":1}"#)
    );
    let empty = one(r#"{"user_input":"","assistant_output":null,"event_id":7,"timestamp":"soon"}"#);
    assert!(empty.messages.is_empty());
    assert_eq!(empty.event_id, "request-1");
    assert_snapshot!(empty.metadata.to_string(), @r#"{"extra":{"event_id":7,"timestamp":"soon"}}"#);
}

#[test]
fn ids_too_long_for_a_key_are_cut_and_kept_whole() {
    let long = "é".repeat(2000);
    let capture = one(&format!(
        r#"{{"schema":"llm.capture/1","conversation_id":"{long}1","event_id":"e","messages":[{{"role":"user","message_id":"{long}","parts":[]}}]}}"#
    ));
    assert!(capture.conversation_id.len() <= 512);
    assert!(capture.messages[0].message_id.len() <= 512);
    let extra = capture.metadata.get("extra").expect("extra");
    assert_eq!(
        extra.get("conversation_id").and_then(Json::as_str),
        Some(format!("{long}1").as_str())
    );
    let other = one(&format!(
        r#"{{"schema":"llm.capture/1","conversation_id":"{long}2","event_id":"e","messages":[]}}"#
    ));
    assert_ne!(capture.conversation_id, other.conversation_id);
}

#[test]
fn several_events_of_one_delivery_are_numbered() {
    let ids = |event: &str| {
        read(event)
            .unwrap()
            .into_iter()
            .map(|capture| capture.event_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(r#"[{"user_input":"a"},{"user_input":"a"}]"#),
        ["request-1#0", "request-1#1"]
    );
    assert_eq!(ids(r#"[{"user_input":"a"}]"#), ["request-1"]);
    assert_eq!(
        ids(r#"[{"user_input":"a","event_id":"e-1"},{"user_input":"a"}]"#),
        ["e-1", "request-1#1"]
    );
}

#[test]
fn the_event_says_more_of_itself_than_its_delivery_does() {
    let sqs = Delivery::sqs(
        "m-1",
        |name| (name == "SentTimestamp").then_some("1795429800000"),
        "",
    );
    let read = |event: &str, delivery: &Delivery| {
        let capture = captures_of(event.as_bytes(), delivery).unwrap().remove(0);
        (
            capture.event_id,
            capture
                .occurred_at
                .map(crate::instant::rfc3339)
                .unwrap_or_default(),
        )
    };
    let event = |field: &str| {
        format!(r#"{{"schema":"llm.capture/1","conversation_id":"c","messages":[]{field}}}"#)
    };
    let sent = "2026-11-23T10:30:00Z".to_owned();
    assert_eq!(read(&event(""), &sqs), ("m-1".to_owned(), sent.clone()));
    assert_eq!(
        read(&event(r#","response_id":"r-1""#), &sqs),
        ("r-1".to_owned(), sent.clone())
    );
    assert_eq!(
        read(&event(r#","response_id":"r-1","event_id":"e-1""#), &sqs),
        ("e-1".to_owned(), sent)
    );
    let own_time = event(r#","occurred_at":"2026-11-22T23:59:59.999-03:00""#);
    assert_eq!(read(&own_time, &sqs).1, "2026-11-23T02:59:59.999Z");
    let (hash, time) = read(&own_time, &Delivery::direct(None));
    assert!(hash.starts_with("h:") && hash.len() == 66);
    assert_eq!(time, "2026-11-23T02:59:59.999Z");
    let (undated, none) = read(&event(""), &Delivery::direct(None));
    assert_ne!(undated, hash);
    assert_eq!(none, "");
}

#[test]
fn an_event_without_any_time_has_a_key_all_the_same() {
    let capture = one(r#"{"user_input":"a","conversation_id":"c"}"#);
    assert_eq!(
        capture.object(Layout::Turn).key,
        "conversations/v1/t=default/dt=undated/c=c/request-1.json"
    );
    assert_eq!(
        capture.object(Layout::Legacy).key,
        "conversations/undated/c/request-1.json"
    );
    assert_eq!(capture.shape, Shape::Legacy);
}

#[test]
fn legacy_layout_has_the_seven_fields_of_the_original() {
    let object = one(event!("direct-canonical.json")).object(Layout::Legacy);
    assert_eq!(
        object.key,
        "conversations/2026/11/23/vpc-review/01KARQ5T9GQZ6D3W0V8N4M2J7C.json"
    );
    let body: Value = serde_json::from_slice(&object.body).unwrap();
    let keys: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "assistant_response",
        "capture",
        "context",
        "conversation_id",
        "implementations",
        "timestamp",
        "user_id",
        "user_message",
    ];
    assert_eq!(keys, expected);
    assert_eq!(body["timestamp"], "2026-11-23T10:00:00.123000");
    assert_eq!(body["user_id"], "u-1001");
    assert!(
        body["assistant_response"]
            .as_str()
            .unwrap()
            .starts_with("Mova tudo")
    );
    let tenant = one(r#"{"user_input":"a","conversation_id":"c","tenant_id":"acme"}"#);
    assert_eq!(
        tenant.object(Layout::Legacy).key,
        "conversations/t=acme/undated/c/request-1.json"
    );
}
