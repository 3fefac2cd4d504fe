//! Events of all shapes and fates, as their sources deliver them.

use local::canary::said;
use serde_json::{Value, json};

use crate::capture::{batch, turn};
use crate::shapes;
use crate::system::System;

/// Turns of each of the plain conversations.
const TURNS: usize = 20;
const CONVERSATIONS: usize = 14;

/// Sends all of them. Ids with characters that no key has, two tenants, three days, every shape; branches, duplicates, other
/// content and other times under an id that is taken, other users in both orders, events without a time.
pub async fn send(system: &System) {
    for delivery in plain() {
        system.capture(&delivery).await;
    }
    let bodies: Vec<_> = shapes::events().iter().map(Value::to_string).collect();
    system.capture(&batch(&bodies)).await;
    system.capture(&batch(&bodies)).await;
    histories(system).await;
    refused(system).await;
    undated(system).await;
}

/// What [`send`] provokes.
pub const WARNINGS: [&str; 2] = [r#""outcome":"conflict""#, r#""outcome":"foreign""#];

fn plain() -> Vec<Value> {
    let bodies = (0..CONVERSATIONS).flat_map(|conversation| {
        (0..TURNS).map(move |number| {
            let mut event = turn("plain", number);
            event["conversation_id"] = json!(if conversation % 2 == 0 {
                format!("plain-{conversation}")
            } else {
                format!("plain {conversation}/é")
            });
            event["event_id"] = json!(format!("{conversation}-{number}"));
            event["tenant_id"] = json!(if conversation % 3 == 0 {
                "acme"
            } else {
                "default"
            });
            event["occurred_at"] = json!(format!(
                "2026-11-{:02}T10:{number:02}:00.5Z",
                21 + number % 3
            ));
            event["usage"] = json!({"input_tokens": number, "output_tokens": 3});
            event["metadata"] = json!({"b": 1, "a": [number, null, 1.50]});
            event["implementations"] = json!([{"file_path": "a.tf", "code_snippet": said(number)}]);
            event.to_string()
        })
    });
    let bodies: Vec<_> = bodies.collect();
    bodies.chunks(40).map(batch).collect()
}

/// Clients that send all that was said, in two branches, one of them late.
async fn histories(system: &System) {
    let mut sent: Vec<Value> = Vec::new();
    let message = |direction: &str, role: &str, text: String| json!({"direction": direction, "role": role, "parts": [{"type": "text", "content": said(text)}]});
    let mut events = Vec::new();
    for number in 0..10 {
        sent.push(message("input", "user", format!("q{number}")));
        let mut messages = sent.clone();
        messages.push(message("output", "assistant", format!("a{number}")));
        events.push(json!({
            "schema": "llm.capture/1", "event_id": format!("h-{number}"), "conversation_id": "history", "user_id": said("u-2"),
            "occurred_at": format!("2026-11-23T11:{number:02}:00Z"), "response_model": format!("m{number}"),
            "usage": {"input_tokens": 100 + number, "cache_read_input_tokens": 7}, "messages": messages, "system_instructions": [{"type": "text", "content": said("be brief")}],
        }));
        sent.push(message("input", "assistant", format!("a{number}")));
    }
    let mut branch = events[5].clone();
    branch["event_id"] = json!("edited");
    branch["occurred_at"] = json!("2026-11-23T11:05:30Z");
    branch["messages"][10]["parts"][0]["content"] = json!(said("q5, edited"));
    events.insert(2, branch);
    let late = events.remove(4);
    events.push(late);
    for event in &events {
        system.capture(event).await;
    }
}

/// Events that are refused, and those that they are refused for.
async fn refused(system: &System) {
    let at = |event: &Value, time: &str| {
        let mut event = event.clone();
        event["occurred_at"] = json!(time);
        event
    };
    let by = |event: &Value, user: Value| {
        let mut event = event.clone();
        event["user_id"] = user;
        event
    };
    let first = at(&turn("owned", 1), "2026-11-23T12:10:00Z");
    let nameless = by(&at(&turn("owned", 0), "2026-11-23T12:20:00Z"), Value::Null);
    // Before there is an owner, though it happened later.
    assert_eq!(system.capture(&nameless).await["status"], "stored");
    assert_eq!(system.capture(&first).await["status"], "stored");
    for (number, (time, user)) in [
        ("2026-11-23T12:00:00Z", json!(said("eve"))),
        ("2026-11-22T12:00:00Z", json!(said("eve"))),
        ("2026-11-23T12:01:00Z", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let foreign = by(&at(&turn("owned", 2 + number), time), user);
        let (code, _) = system.refused(crate::system::CAPTURE, &foreign).await;
        assert_eq!(code, "Capture.Foreign");
    }
    // The same id with other content: at the same time under the same key, at another time under a key of its own.
    let other = |time: &str| {
        let mut other = at(&first, time);
        other["messages"][0]["parts"][0]["content"] = json!(said("other words"));
        other
    };
    for time in ["2026-11-23T12:10:00Z", "2026-11-22T12:10:00Z"] {
        let (code, _) = system.refused(crate::system::CAPTURE, &other(time)).await;
        assert_eq!(code, "Capture.Conflict");
    }
    // The same words at another time are the same event.
    let again = at(&first, "2026-11-23T12:11:00Z");
    assert_eq!(system.capture(&again).await["status"], "duplicate");
}

/// What the original's clients send: no id, no time.
async fn undated(system: &System) {
    for number in 0..3 {
        let event = json!({
            "conversation_id": "undated-1", "user_id": said("ana"), "user_input": said(format!("pergunta {number}")),
            "assistant_output": said(format!("resposta {number}")), "context": {"n": number},
            "implementations": [{"file_path": "main.tf", "type": "terraform", "functionality": said("x")}],
        });
        system.capture(&event).await;
    }
}
