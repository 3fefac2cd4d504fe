//! A lost object, made again of its rows: byte for byte, or not at all.
//!
//! Rows do not say all that an object said: whether the whole history was sent, in which shape, by whom, in which order keys
//! stood. There are few answers, so that each is tried, and the SHA-256 that the ledger keeps tells whether one is right.

use time::OffsetDateTime;

use crate::adapt::{self, Document};
use crate::capture::{Capture, History, Shape};
use crate::delivery::Delivery;
use crate::instant;
use crate::json::{Json, MAX_DEPTH, Raw};
use crate::layout::Layout;
use crate::object::{Meta, Object};
use crate::place::Ids;
use crate::sanitize;
use crate::usage::Usage;

/// What the database knows of an event. The texts are JSON as `jsonb` gives it back.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Its ids.
    pub ids: Ids<'a>,
    /// The owner of its conversation.
    pub owner: Option<&'a str>,
    /// When it happened.
    pub occurred_at: Option<OffsetDateTime>,
    /// Its tokens.
    pub usage: Usage,
    /// What the ledger says of it: an object.
    pub told: &'a str,
    /// Its messages as the canonical event has them: an array.
    pub messages: &'a str,
    /// Its implementations as the canonical event has them: an array.
    pub implementations: &'a str,
}

impl Rows<'_> {
    /// The object with this key and SHA-256; `None` if these rows do not tell what it held.
    pub fn object(&self, key: &str, sha256: &[u8; 32]) -> Option<Object> {
        let layout = if key.starts_with(crate::layout::CONVERSATIONS) {
            Layout::Turn
        } else {
            Layout::Legacy
        };
        let owners = self.owner.map(Some).into_iter().chain([None]);
        for owner in owners {
            for order in [Order::TypeFirst, Order::Sorted, Order::Stored] {
                for history in [History::Delta, History::Full] {
                    let capture = self.capture(owner, order, history)?;
                    for shape in Shape::ALL {
                        let capture = Capture {
                            shape,
                            ..capture.clone()
                        };
                        let object = capture.object(layout);
                        if object.sha256 == *sha256 && object.key == key {
                            return Some(object);
                        }
                    }
                }
            }
        }
        None
    }

    fn capture(&self, owner: Option<&str>, order: Order, history: History) -> Option<Capture> {
        let mut event = vec![
            text("schema", "llm.capture/1"),
            text("event_id", self.ids.event_id),
            text("tenant_id", self.ids.tenant_id),
            text("conversation_id", self.ids.conversation_id),
            text("history", history.as_str()),
        ];
        event.extend(owner.map(|owner| text("user_id", owner)));
        event.extend(
            self.occurred_at
                .map(|at| text("occurred_at", &instant::rfc3339(at))),
        );
        let counts = self.usage.entries();
        let counts = counts.map(|(name, count)| (name.to_owned(), Json::Number(count.to_string())));
        event.push(("usage".to_owned(), Json::Object(counts.collect())));
        let mut trace = Vec::new();
        let Json::Object(told) = read(self.told)? else {
            return None;
        };
        for (name, value) in told {
            match name.as_str() {
                "trace_id" | "span_id" => trace.push((name, value)),
                // The original's readers look for it.
                "implementations_count" => {}
                _ => event.push((name, value)),
            }
        }
        event.push(("trace".to_owned(), Json::Object(trace)));
        event.push(("messages".to_owned(), read(self.messages)?));
        event.push(("implementations".to_owned(), read(self.implementations)?));
        event.push((
            Meta::KEY.to_owned(),
            Json::object([("schema", Json::from(Meta::SCHEMA))]),
        ));
        let mut event = Json::Object(event);
        order.apply(&mut event);
        let event = event.to_string();
        let clean = sanitize::clean(event.as_bytes());
        let document = Document::read(&clean).ok()?;
        adapt::captures(document, &Delivery::archived()).ok()?.pop()
    }
}

fn text(name: &str, text: &str) -> (String, Json) {
    (name.to_owned(), Json::from(text))
}

fn read(text: &str) -> Option<Json> {
    // The array of messages and the message stand round what is bounded.
    Json::keep(&Raw::read(text).ok()?, MAX_DEPTH + 4).ok()
}

/// In which order the keys of a producer's objects stood, which `jsonb` does not keep.
#[derive(Clone, Copy)]
enum Order {
    /// `type` before all others, as parts are usually written.
    TypeFirst,
    /// By name, as maps of Go and Rust are written.
    Sorted,
    /// As `jsonb` has them: the shorter first.
    Stored,
}

impl Order {
    fn apply(self, value: &mut Json) {
        match value {
            Json::Array(items) => {
                for item in items {
                    self.apply(item);
                }
            }
            Json::Object(entries) => {
                for (_, value) in entries.iter_mut() {
                    self.apply(value);
                }
                match self {
                    // Stable: the others stay as they are.
                    Self::TypeFirst => entries.sort_by_key(|(name, _)| name != "type"),
                    Self::Sorted => entries.sort_by(|(one, _), (other, _)| one.cmp(other)),
                    Self::Stored => {}
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::captures_of;

    const EVENT: &str = r#"{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1","user_id":"ana",
        "occurred_at":"2026-11-23T10:00:00Z","history":"delta","operation":"chat","usage":{"input_tokens":7},
        "context":{"b":1,"aa":1.50},"trace":{"trace_id":"t"},
        "messages":[{"message_id":"m","direction":"input","role":"user","parts":[{"type":"text","content":"q"}]}]}"#;

    fn rows<'a>(told: &'a str, messages: &'a str) -> Rows<'a> {
        Rows {
            ids: Ids {
                tenant_id: "default",
                conversation_id: "c-1",
                event_id: "e-1",
            },
            owner: Some("ana"),
            occurred_at: instant::parse("2026-11-23T10:00:00Z"),
            usage: Usage {
                input_tokens: Some(7),
                ..Usage::default()
            },
            told,
            messages,
            implementations: "[]",
        }
    }

    #[test]
    fn an_object_is_made_again_byte_for_byte_or_not_at_all() {
        let told = r#"{"context": {"b": 1, "aa": 1.50}, "trace_id": "t", "operation": "chat"}"#;
        let message = |text| {
            format!(
                r#"[{{"role": "user", "parts": [{{"type": "text", "content": "{text}"}}], "direction": "input", "message_id": "m"}}]"#
            )
        };
        for event in [
            EVENT.to_owned(),
            EVENT.replace("delta", "full"),
            EVENT.replace(r#""user_id":"ana","#, ""),
            EVENT
                .replace(
                    r#""type":"text","content":"q""#,
                    r#""content":"q","type":"text""#,
                )
                .replace(r#""b":1,"aa":1.50"#, r#""aa":1.50,"b":1"#),
        ] {
            let capture = captures_of(event.as_bytes(), &Delivery::direct(None))
                .expect("captures")
                .remove(0);
            for layout in [Layout::Turn, Layout::Legacy] {
                let object = capture.object(layout);
                let right = message("q");
                let again = rows(told, &right).object(&object.key, &object.sha256);
                assert_eq!(again.as_ref(), Some(&object), "{event}");
                let wrong = message("other");
                assert_eq!(rows(told, &wrong).object(&object.key, &object.sha256), None);
                assert_eq!(rows("{}", &right).object(&object.key, &object.sha256), None);
            }
        }
    }
}
