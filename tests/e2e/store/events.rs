//! Captured events as the adapters make them, and their objects.

use conversation::{Capture, Delivery, Document, Layout, Object, adapt, sanitize};
use local::canary::said;
use serde_json::{Value, json};
use store::{Archived, Item};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A capture and its object.
#[derive(Clone)]
pub struct Sample {
    capture: Capture,
    object: Object,
}

impl Sample {
    /// From an event in the canonical shape.
    pub fn new(event: &Value) -> Self {
        let text = event.to_string();
        let clean = sanitize::clean(text.as_bytes());
        let document = Document::read(&clean).unwrap();
        let captures = adapt::captures(document, &Delivery::direct(None)).unwrap();
        let capture = captures
            .into_iter()
            .next()
            .expect("an event is one capture");
        let object = capture.object(Layout::Turn);
        Self { capture, object }
    }

    /// What `ingest` takes.
    pub fn item(&self) -> Item<'_> {
        Item {
            capture: &self.capture,
            archived: Archived::new("bucket", &self.object, Some("v1")),
        }
    }
}

/// A time so many seconds after a fixed one, as RFC 3339.
pub fn at(second: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(1_790_000_000 + second).unwrap();
    time.format(&Rfc3339).unwrap()
}

/// A question and its answer, sent as the only new thing.
pub fn turn(conversation: &str, event: &str, user: Option<&str>, second: i64) -> Value {
    json!({
        "schema": "llm.capture/1", "conversation_id": conversation, "event_id": event, "user_id": user,
        "occurred_at": at(second), "history": "delta",
        "usage": {"input_tokens": 10, "output_tokens": 3},
        "messages": [
            {"direction": "input", "role": "user", "parts": [{"type": "text", "content": said(format!("question of {event}"))}]},
            {"direction": "output", "role": "assistant", "parts": [{"type": "text", "content": said(format!("answer of {event}"))}]},
        ],
    })
}

/// The same event without a time of its own.
pub fn undated(mut event: Value) -> Value {
    event["occurred_at"] = Value::Null;
    event
}

/// `turns` events of one conversation, each with the whole history, as LLM clients send it: questions `q0`, `q1` and so on,
/// answers `a0`, `a1` and so on.
pub fn full_history(conversation: &str, user: Option<&str>, turns: usize) -> Vec<Value> {
    let message = |direction: &str, role: &str, text: String| json!({"direction": direction, "role": role, "parts": [{"type": "text", "content": said(text)}]});
    let mut events = Vec::new();
    let mut history = Vec::new();
    for (turn, second) in (0..turns).zip(0_i64..) {
        history.push(message("input", "user", format!("q{turn}")));
        let mut messages = history.clone();
        messages.push(message("output", "assistant", format!("a{turn}")));
        events.push(json!({
            "schema": "llm.capture/1", "conversation_id": conversation, "event_id": format!("e{turn}"),
            "user_id": user, "occurred_at": at(second * 10), "history": "full",
            "request_model": "m", "response_model": format!("m{turn}"), "finish_reasons": ["stop"],
            "usage": {"input_tokens": 100 + turn, "output_tokens": 7},
            "messages": messages, "context": {"turn": turn},
        }));
        history.push(message("input", "assistant", format!("a{turn}")));
    }
    events
}

/// Events in which everything meets that could depend on order.
pub fn entangled() -> Vec<Sample> {
    let mut events = full_history("history", Some("u1"), 12);
    events.extend(branches(&events[5]));
    events.extend((0..14).map(collision));
    for number in 0..3 {
        let mut other = turn("collisions", &format!("x{number}"), Some("u9"), number);
        other["tenant_id"] = json!("other");
        events.push(other);
        events.push(undated(turn("undated", &format!("n{number}"), None, 0)));
    }
    events.iter().map(Sample::new).collect()
}

/// The event with an edited question, and with an answer that another model gave.
fn branches(event: &Value) -> [Value; 2] {
    let mut edited = event.clone();
    edited["event_id"] = json!("edited");
    edited["occurred_at"] = json!(at(55));
    edited["messages"][10]["parts"][0]["content"] = json!(said("q5, edited"));
    edited["messages"][11]["parts"][0]["content"] = json!(said("a5, other"));
    let mut again = event.clone();
    again["event_id"] = json!("said-again");
    again["occurred_at"] = json!(at(53));
    again["response_model"] = json!("another-model");
    [edited, again]
}

/// One of many events with the same message and the same implementation, at the same time and at others, as an answer and
/// as a re-send, with other words and by other users.
fn collision(number: u32) -> Value {
    json!({
        "schema": "llm.capture/1", "conversation_id": "collisions", "event_id": format!("x{number}"),
        "user_id": if number.is_multiple_of(3) { None } else { Some(format!("u{}", number % 5)) },
        "occurred_at": at(i64::from(number % 4)), "history": "delta", "response_model": format!("m{number}"),
        "usage": {"input_tokens": number, "output_tokens": number * 2},
        "messages": [
            {"message_id": "same", "parent_message_id": format!("p{number}"),
             // The earliest are re-sends, so that an answer has to beat them.
             "direction": if number.is_multiple_of(2) { "input" } else { "output" }, "role": "assistant",
             "parts": [{"type": "text", "content": said(format!("words {number}"))}]},
            {"message_id": format!("own-{}", number % 6), "direction": "input", "role": "user",
             "parts": [{"type": "text", "content": said(format!("more words {number}"))}]},
        ],
        "implementations": [
            {"implementation_id": "file", "file_path": format!("a{number}.tf"), "type": "terraform", "code_snippet": said(format!("x = {number}"))},
            {"implementation_id": format!("file-{}", number % 4), "file_path": "b.tf", "type": "terraform", "code_snippet": said(format!("y = {number}"))},
        ],
        "context": {"n": said(number)}, "metadata": {"n": said(number)},
    })
}
