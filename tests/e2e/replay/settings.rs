//! Rebuilds of archives that were written with settings of their own.

use local::canary::said;
use serde_json::{Value, json};

use crate::capture::{batch, failures};
use crate::capture_media::{blob, image};
use crate::shapes;
use crate::store::rows::{assert_same, dump};
use crate::system::System;

/// A client that sends all that was said with every call: an address, a card and a picture.
fn history(turns: usize) -> Vec<Value> {
    let mut said_so_far = Vec::new();
    let events = (0..turns).map(|number| {
        let text = said(format!("write to ana{number}@example.com, 5105 1051 0510 5100"));
        let parts = json!([{"type": "text", "content": text}, blob(&image(7, 9000))]);
        said_so_far.push(json!({"role": "user", "parts": parts}));
        let mut messages = said_so_far.clone();
        let answer = said(format!("I wrote to ana{number}@example.com"));
        let answer = json!({"role": "assistant", "parts": [{"type": "text", "content": answer}]});
        messages.push(answer.clone());
        said_so_far.push(answer);
        json!({
            "schema": "llm.capture/1", "event_id": format!("e-{number}"), "conversation_id": "history", "user_id": said("u-1"),
            "occurred_at": format!("2026-11-23T10:{number:02}:00Z"), "response_model": "m",
            "usage": {"input_tokens": number, "output_tokens": 3}, "messages": messages,
        })
    });
    events.collect()
}

/// Rows follow from the objects alone, and what is delivered again afterwards is known.
async fn is_rebuilt(system: &System) {
    let mut events = history(6);
    events.extend(shapes::events());
    let bodies: Vec<_> = events.iter().map(Value::to_string).collect();
    let delivery = batch(&bodies);
    assert_eq!(failures(&system.capture(&delivery).await), [""; 0]);
    let client = system.database.superuser().await.unwrap();
    let rows = dump(&client).await;
    let (objects, versions) = (system.objects("").await, system.object_versions().await);
    let captures = system.objects("conversations/").await.len();
    system.empty_tables().await;
    let (replayed, exit) = system.document(&["replay"]).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("ok"), 0),
        "{replayed}"
    );
    assert_eq!(replayed["stored"], captures, "{replayed}");
    assert_same(&rows, &dump(&client).await, "rebuilt");
    assert_eq!(failures(&system.capture(&delivery).await), [""; 0]);
    assert_same(&rows, &dump(&client).await, "delivered again");
    assert_eq!(system.objects("").await, objects, "nothing was put aside");
    assert_eq!(system.object_versions().await, versions);
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("clean"), 0),
        "{swept}"
    );
}

/// The fingerprint covers a text that is in no object any more, and ids of messages are made of it.
#[tokio::test]
async fn what_was_redacted_is_rebuilt_and_known_again() {
    for policy in ["mask", "hash"] {
        let system = System::redacting(&format!("rebuilt{policy}"), policy).await;
        is_rebuilt(&system).await;
    }
}

#[tokio::test]
async fn the_originals_layout_is_rebuilt_and_known_again() {
    let system = System::start("rebuiltlegacy").await;
    system.define_capture(&[("S3_LAYOUT", "legacy")]);
    is_rebuilt(&system).await;
}
