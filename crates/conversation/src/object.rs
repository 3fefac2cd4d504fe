//! What is put into the bucket.

mod meta;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::capture::{Capture, Direction, Implementation, Message, Part};
use crate::delivery::Delivery;
use crate::identity;
use crate::instant;
use crate::json::Json;
use crate::layout::{self, Layout};
use crate::redact::Redactions;

pub(crate) use meta::Meta;

/// An object to store: the same capture always gives the same one, byte for byte.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// The key: at most 1024 bytes.
    pub key: String,
    /// One line of JSON; of media the bytes.
    pub body: Vec<u8>,
    /// SHA-256 of `body`.
    pub sha256: [u8; 32],
    /// MIME type of `body`.
    pub content_type: &'static str,
}

impl Object {
    fn json(key: String, body: &Json) -> Self {
        Self::archived(key, body.to_string().into_bytes())
    }

    /// An object of JSON with this body.
    pub(crate) fn archived(key: String, body: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&body).into();
        Self {
            key,
            body,
            sha256,
            content_type: "application/json",
        }
    }

    /// Bytes under the key of their hash. What a producer says that they are stands where they are named: a reader of the
    /// bucket is to be told nothing that a producer chose.
    pub(crate) fn media(key: String, body: Vec<u8>, sha256: [u8; 32]) -> Self {
        Self {
            key,
            body,
            sha256,
            content_type: "application/octet-stream",
        }
    }

    /// Whether the key says what the body is: whatever lies there already is the same.
    pub fn is_named_by_content(&self) -> bool {
        self.key.starts_with(layout::MEDIA)
    }
}

/// Shows key and size, never the body.
impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Object")
            .field("key", &self.key)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// The object that archives this capture.
    ///
    /// It holds all that the event held, and nothing of how it came: neither source nor time of delivery, which differ
    /// when a lost acknowledgement makes the same event come again. Media stand in it by name. Given to [`adapt::captures`](crate::adapt::captures)
    /// it makes the same capture, without the media.
    pub fn object(&self, layout: Layout) -> Object {
        let body = match layout {
            Layout::Turn => self.to_json(),
            Layout::Legacy => self.to_legacy_json(),
        };
        Object::json(layout.key(self), &body)
    }

    /// With its media apart, and the hash over what is final now. That of a redacted event covers a text that is not here any
    /// more, and stays.
    pub(crate) fn sealed(self) -> Self {
        let mut sealed = self.with_media_apart();
        if sealed.redaction.is_some() {
            return sealed;
        }
        // What a message says is nearly all of an event, and its hash is known.
        let hashed = |message: &Message| Json::String(hex::encode(message.content_sha256));
        // Without a key, so that an event is known that was stored before there was one.
        sealed.fingerprint = identity::fingerprint(sealed.to_json_with(hashed, Message::plain_ids));
        sealed
    }

    fn to_json(&self) -> Json {
        self.to_json_with(|message| Part::array(&message.parts), Message::ids)
    }

    /// The event, with what `parts` makes of a message in the place of the message's parts, and `ids` in that of its ids.
    fn to_json_with(
        &self,
        parts: impl Fn(&Message) -> Json,
        ids: fn(&Message) -> (&str, Option<&str>),
    ) -> Json {
        let mut event = Entries::default();
        event.text("schema", "llm.capture/1");
        event.text("event_id", &self.event_id);
        event.text("tenant_id", &self.tenant_id);
        event.text("conversation_id", &self.conversation_id);
        event.optional("user_id", self.user_id.as_deref());
        event.optional(
            "occurred_at",
            self.occurred_at.map(instant::rfc3339).as_deref(),
        );
        event.some(
            "sequence",
            self.sequence
                .map(|sequence| Json::Number(sequence.to_string())),
        );
        event.text("history", self.history.as_str());
        event.optional("operation", self.operation.as_deref());
        event.optional("provider", self.provider.as_deref());
        event.optional("request_model", self.request_model.as_deref());
        event.optional("response_model", self.response_model.as_deref());
        event.optional("response_id", self.response_id.as_deref());
        event.filled("finish_reasons", texts(&self.finish_reasons));
        event.some("error", self.error.clone());
        event.filled("usage", counts(self.usage.entries()));
        event.filled(
            "system_instructions",
            Part::array(&self.system_instructions),
        );
        event.filled(
            "messages",
            Json::Array(
                self.messages
                    .iter()
                    .map(|said| message(said, ids(said), parts(said)))
                    .collect(),
            ),
        );
        event.filled(
            "implementations",
            Json::Array(self.implementations.iter().map(implementation).collect()),
        );
        event.filled("context", self.context.clone());
        event.filled("metadata", self.metadata.clone());
        event.filled("tags", texts(&self.tags));
        let mut trace = Entries::default();
        trace.optional("trace_id", self.trace.trace_id.as_deref());
        trace.optional("span_id", self.trace.span_id.as_deref());
        event.filled("trace", trace.into());
        // Without either an event is not one.
        if self.messages.is_empty() && self.implementations.is_empty() {
            event.some("messages", Some(Json::Array(Vec::new())));
        }
        event.some(Meta::KEY, Some(Meta::of(self).to_json()));
        event.into()
    }

    /// The seven fields of the original, and the whole capture beside them.
    fn to_legacy_json(&self) -> Json {
        let last = |direction| {
            let message = self
                .messages
                .iter()
                .rev()
                .find(|message| message.direction == direction);
            let content = message.map(|message| message.content().0.into_owned());
            Json::String(content.unwrap_or_default())
        };
        let implementations = self.implementations.iter().map(|implementation| {
            let field = |value: &Option<String>| value.as_deref().map_or(Json::Null, Json::from);
            Json::object([
                ("file_path", field(&implementation.file_path)),
                (
                    "type",
                    Json::from(implementation.implementation_type.as_str()),
                ),
                ("functionality", field(&implementation.functionality)),
                ("code_snippet", field(&implementation.code_snippet)),
            ])
        });
        let timestamp = self.occurred_at.map(instant::naive);
        Json::object([
            ("conversation_id", Json::from(self.conversation_id.as_str())),
            ("user_message", last(Direction::Input)),
            ("assistant_response", last(Direction::Output)),
            ("timestamp", timestamp.map_or(Json::Null, Json::String)),
            ("context", self.context.clone()),
            ("implementations", Json::Array(implementations.collect())),
            (
                "user_id",
                Json::from(self.user_id.as_deref().unwrap_or("anonymous")),
            ),
            ("capture", self.to_json()),
        ])
    }
}

/// An input that is kept aside, with the reason.
pub struct Quarantine<'a> {
    /// How and when the input came.
    pub delivery: &'a Delivery,
    /// Stable name of the reason, for example [`AdaptError::code`](crate::AdaptError::code), `conflict` or `foreign`.
    pub reason: &'a str,
    /// The reason in a sentence, without any text of the input.
    pub message: &'a str,
    /// The input as it came, before cleaning; with redaction, what is left of it.
    pub input: &'a [u8],
    /// What was taken out of it.
    pub redactions: Redactions,
    /// Keys of archived objects that were made of it and whose rows the database refused: neither replay nor sweep may
    /// bring them in.
    pub refused: &'a [&'a str],
}

impl Quarantine<'_> {
    /// The object that keeps it: the same input of the same delivery, kept for the same reason, always gives the
    /// same one.
    ///
    /// The input is in `input`, or in `input_base64` if it is not UTF-8.
    pub fn object(&self) -> Object {
        let mut body = Entries::default();
        body.text("schema", "turnkeep.quarantine/1");
        body.text("reason", self.reason);
        body.text("message", self.message);
        body.text("source", self.delivery.source.as_str());
        body.optional("delivery_id", self.delivery.id.as_deref());
        body.optional(
            "delivered_at",
            self.delivery.time.map(instant::rfc3339).as_deref(),
        );
        body.filled("redactions", counts(self.redactions.entries()));
        match std::str::from_utf8(self.input) {
            Ok(text) => body.text("input", text),
            Err(_) => body.text("input_base64", &BASE64.encode(self.input)),
        }
        let refused = self.refused.iter().map(|key| Json::from(*key));
        body.filled("refused", Json::Array(refused.collect()));
        Object::json(
            layout::quarantine_key(self.delivery, self.input),
            &body.into(),
        )
    }
}

/// Shows the reason and the size, never the input.
impl fmt::Debug for Quarantine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Quarantine")
            .field("delivery", &self.delivery)
            .field("reason", &self.reason)
            .field("bytes", &self.input.len())
            .finish_non_exhaustive()
    }
}

fn message(message: &Message, (id, parent): (&str, Option<&str>), parts: Json) -> Json {
    let mut entries = Entries::default();
    entries.text("message_id", id);
    entries.optional("parent_message_id", parent);
    entries.text("direction", message.direction.as_str());
    entries.text("role", &message.role);
    entries.optional("name", message.name.as_deref());
    entries.some("parts", Some(parts));
    entries.optional("finish_reason", message.finish_reason.as_deref());
    entries.filled("metadata", message.metadata.clone());
    entries.into()
}

fn implementation(implementation: &Implementation) -> Json {
    let mut entries = Entries::default();
    entries.text("implementation_id", &implementation.implementation_id);
    entries.optional("message_id", implementation.message_id.as_deref());
    entries.optional("file_path", implementation.file_path.as_deref());
    entries.text("type", &implementation.implementation_type);
    entries.optional("functionality", implementation.functionality.as_deref());
    entries.optional("code_snippet", implementation.code_snippet.as_deref());
    entries.optional("language", implementation.language.as_deref());
    entries.filled("metadata", implementation.metadata.clone());
    entries.into()
}

fn texts(texts: &[String]) -> Json {
    Json::Array(texts.iter().map(|text| Json::from(text.as_str())).collect())
}

fn counts<'a, N: ToString>(counts: impl Iterator<Item = (&'a str, N)>) -> Json {
    Json::Object(
        counts
            .map(|(name, count)| (name.to_owned(), Json::Number(count.to_string())))
            .collect(),
    )
}

/// An object under construction: what is absent or empty is not written.
#[derive(Default)]
struct Entries(Vec<(String, Json)>);

impl Entries {
    fn text(&mut self, key: &str, text: &str) {
        self.some(key, Some(Json::from(text)));
    }

    fn optional(&mut self, key: &str, text: Option<&str>) {
        self.some(key, text.map(Json::from));
    }

    fn filled(&mut self, key: &str, value: Json) {
        self.some(key, Some(value).filter(|value| !value.is_empty()));
    }

    fn some(&mut self, key: &str, value: Option<Json>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }
}

impl From<Entries> for Json {
    fn from(Entries(entries): Entries) -> Self {
        Self::Object(entries)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::adapt::captures_of;
    use crate::sanitize::clean;

    fn kept(input: &[u8]) -> Object {
        let attribute = |name: &str| (name == "SentTimestamp").then_some("1795429800005");
        let delivery = Delivery::sqs("m/1", attribute, "");
        let message = "not JSON: line 1, column 1";
        Quarantine {
            delivery: &delivery,
            reason: "not_json",
            message,
            input,
            redactions: Redactions::default(),
            refused: &[],
        }
        .object()
    }

    #[test]
    fn quarantine_keeps_the_input_as_it_came() {
        let text = kept("Olá \u{0}".as_bytes());
        assert_snapshot!(text.key, @"quarantine/v1/dt=2026-11-23/sqs/m_1_0b203ec73c7ce729-49f36f476b56938b.json");
        assert_snapshot!(String::from_utf8_lossy(&text.body), @r#"{"schema":"turnkeep.quarantine/1","reason":"not_json","message":"not JSON: line 1, column 1","source":"sqs","delivery_id":"m/1","delivered_at":"2026-11-23T10:30:00.005Z","input":"Olá \u0000"}"#);
        let bytes = kept(b"\xff\x00");
        assert_snapshot!(String::from_utf8_lossy(&bytes.body), @r#"{"schema":"turnkeep.quarantine/1","reason":"not_json","message":"not JSON: line 1, column 1","source":"sqs","delivery_id":"m/1","delivered_at":"2026-11-23T10:30:00.005Z","input_base64":"/wA="}"#);
        assert_ne!(text.key, bytes.key, "one delivery id, two inputs");
        assert_eq!(kept("Olá \u{0}".as_bytes()), text);
    }

    #[test]
    fn nothing_said_is_in_any_debug_text() {
        let event = r#"{"user_input":"canary","context":{"canary":"canary"},"implementations":[{"code_snippet":"canary"}],
            "assistant_output":[{"type":"tool_call","name":"canary","arguments":{"canary":"canary"}}]}"#;
        let cleaned = clean(event.as_bytes());
        let delivery = Delivery::direct(Some("request-1"));
        let capture = captures_of(event.as_bytes(), &delivery)
            .expect("captures")
            .remove(0);
        let quarantine = Quarantine {
            delivery: &delivery,
            reason: "r",
            message: "m",
            input: event.as_bytes(),
            redactions: Redactions::default(),
            refused: &[],
        };
        let shown = format!(
            "{cleaned:?} {capture:?} {:?} {:?} {:?} {:?} {:?} {quarantine:?}",
            capture.messages,
            capture.messages[0].parts,
            capture.implementations,
            capture.context,
            capture.object(Layout::Turn),
        );
        assert!(shown.contains("request-1"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
