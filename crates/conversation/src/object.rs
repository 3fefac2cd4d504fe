//! What is put into the bucket.

mod meta;

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::capture::{Capture, Direction, Implementation, Message, Part};
use crate::delivery::Delivery;
use crate::identity;
use crate::instant;
use crate::json::{Draft, Json};
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
    fn json(key: String, body: Draft<'_>) -> Self {
        Self::archived(key, body.into_text().into_bytes())
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
        let meta = Meta::of(self);
        let body = match layout {
            Layout::Turn => self.drafted(&meta),
            Layout::Legacy => self.drafted_as_legacy(&meta),
        };
        Object::json(layout.key(self), body)
    }

    /// With its media apart, and the hash over what is final now. That of a redacted event covers a text that is not here any
    /// more, and stays.
    pub(crate) fn sealed(self) -> Self {
        let mut sealed = self.with_media_apart();
        if sealed.redaction.is_some() {
            return sealed;
        }
        // What a message says is nearly all of an event, and its hash is known.
        let hashed = |message: &Message| Draft::String(hex::encode(message.content_sha256).into());
        // Without a key, so that an event is known that was stored before there was one; and without what we say of it.
        let event = sealed.drafted_with(hashed, Message::plain_ids);
        sealed.fingerprint = identity::fingerprint(event.into());
        sealed
    }

    /// How many fields the object of an event has at most, with [`Meta`].
    const FIELDS: usize = 24;

    fn drafted<'a>(&'a self, meta: &'a Meta) -> Draft<'a> {
        let mut event = self.drafted_with(|message| parts(&message.parts), Message::ids);
        event.some(Meta::KEY, Some(meta.drafted()));
        event.into()
    }

    /// The event, with what `parts` makes of a message in the place of the message's parts, and `ids` in that of its ids.
    fn drafted_with<'a>(
        &'a self,
        said: impl Fn(&'a Message) -> Draft<'a>,
        ids: fn(&Message) -> (&str, Option<&str>),
    ) -> Entries<'a> {
        let mut event = Entries(Vec::with_capacity(Self::FIELDS));
        event.text("schema", "llm.capture/1");
        event.text("event_id", &self.event_id);
        event.text("tenant_id", &self.tenant_id);
        event.text("conversation_id", &self.conversation_id);
        event.optional("user_id", self.user_id.as_deref());
        event.some("occurred_at", self.occurred_at.map(Draft::Instant));
        event.some(
            "sequence",
            self.sequence
                .map(|sequence| Draft::Number(sequence.to_string())),
        );
        event.text("history", self.history.as_str());
        event.optional("operation", self.operation.as_deref());
        event.optional("provider", self.provider.as_deref());
        event.optional("request_model", self.request_model.as_deref());
        event.optional("response_model", self.response_model.as_deref());
        event.optional("response_id", self.response_id.as_deref());
        event.filled("finish_reasons", texts(&self.finish_reasons));
        event.some("error", self.error.as_ref().map(Draft::Value));
        event.filled("usage", counts(self.usage.entries()));
        event.filled("system_instructions", parts(&self.system_instructions));
        let messages = self.messages.iter();
        let messages = messages.map(|told| message(told, ids(told), said(told)));
        event.filled("messages", Draft::Array(messages.collect()));
        let implementations = self.implementations.iter().map(implementation);
        event.filled("implementations", Draft::Array(implementations.collect()));
        event.filled("context", Draft::Value(&self.context));
        event.filled("metadata", Draft::Value(&self.metadata));
        event.filled("tags", texts(&self.tags));
        let mut trace = Entries::default();
        trace.optional("trace_id", self.trace.trace_id.as_deref());
        trace.optional("span_id", self.trace.span_id.as_deref());
        event.filled("trace", trace.into());
        // Without either an event is not one.
        if self.messages.is_empty() && self.implementations.is_empty() {
            event.some("messages", Some(Draft::Array(Vec::new())));
        }
        event
    }

    /// The seven fields of the original, and the whole capture beside them.
    fn drafted_as_legacy<'a>(&'a self, meta: &'a Meta) -> Draft<'a> {
        let last = |direction| {
            let mut messages = self.messages.iter().rev();
            let message = messages.find(|message| message.direction == direction);
            let content = message.map(|message| message.content().0);
            Draft::String(content.unwrap_or_default())
        };
        let implementations = self.implementations.iter().map(|implementation| {
            let field = |value: &'a Option<String>| value.as_deref().map_or(NULL, Draft::from);
            Draft::Object(vec![
                ("file_path", field(&implementation.file_path)),
                (
                    "type",
                    Draft::from(implementation.implementation_type.as_str()),
                ),
                ("functionality", field(&implementation.functionality)),
                ("code_snippet", field(&implementation.code_snippet)),
            ])
        });
        let timestamp = self.occurred_at.map(instant::naive);
        let timestamp = timestamp.map_or(NULL, |timestamp| Draft::String(timestamp.into()));
        Draft::Object(vec![
            (
                "conversation_id",
                Draft::from(self.conversation_id.as_str()),
            ),
            ("user_message", last(Direction::Input)),
            ("assistant_response", last(Direction::Output)),
            ("timestamp", timestamp),
            ("context", Draft::Value(&self.context)),
            ("implementations", Draft::Array(implementations.collect())),
            (
                "user_id",
                Draft::from(self.user_id.as_deref().unwrap_or("anonymous")),
            ),
            ("capture", self.drafted(meta)),
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
        body.some("delivered_at", self.delivery.time.map(Draft::Instant));
        body.filled("redactions", counts(self.redactions.entries()));
        match std::str::from_utf8(self.input) {
            Ok(text) => body.text("input", text),
            Err(_) => body.owned("input_base64", Some(BASE64.encode(self.input))),
        }
        let refused = self.refused.iter().map(|key| Draft::from(*key));
        body.filled("refused", Draft::Array(refused.collect()));
        Object::json(
            layout::quarantine_key(self.delivery, self.input),
            body.into(),
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

/// A value that the original's readers find where there is none.
const NULL: Draft<'static> = Draft::Value(&Json::Null);

fn message<'a>(
    message: &'a Message,
    (id, parent): (&'a str, Option<&'a str>),
    parts: Draft<'a>,
) -> Draft<'a> {
    let mut entries = Entries(Vec::with_capacity(8));
    entries.text("message_id", id);
    entries.optional("parent_message_id", parent);
    entries.text("direction", message.direction.as_str());
    entries.text("role", &message.role);
    entries.optional("name", message.name.as_deref());
    entries.some("parts", Some(parts));
    entries.optional("finish_reason", message.finish_reason.as_deref());
    entries.filled("metadata", Draft::Value(&message.metadata));
    entries.into()
}

fn implementation(implementation: &Implementation) -> Draft<'_> {
    let mut entries = Entries::default();
    entries.text("implementation_id", &implementation.implementation_id);
    entries.optional("message_id", implementation.message_id.as_deref());
    entries.optional("file_path", implementation.file_path.as_deref());
    entries.text("type", &implementation.implementation_type);
    entries.optional("functionality", implementation.functionality.as_deref());
    entries.optional("code_snippet", implementation.code_snippet.as_deref());
    entries.optional("language", implementation.language.as_deref());
    entries.filled("metadata", Draft::Value(&implementation.metadata));
    entries.into()
}

fn parts(parts: &[Part]) -> Draft<'_> {
    Draft::Array(parts.iter().map(|part| Draft::Value(part.json())).collect())
}

fn texts(texts: &[String]) -> Draft<'_> {
    Draft::Array(
        texts
            .iter()
            .map(|text| Draft::from(text.as_str()))
            .collect(),
    )
}

fn counts<'a, N: ToString>(counts: impl Iterator<Item = (&'a str, N)>) -> Draft<'a> {
    Draft::Object(
        counts
            .map(|(name, count)| (name, Draft::Number(count.to_string())))
            .collect(),
    )
}

/// An object under construction: what is absent or empty is not written.
#[derive(Default)]
struct Entries<'a>(Vec<(&'a str, Draft<'a>)>);

impl<'a> Entries<'a> {
    fn text(&mut self, key: &'a str, text: &'a str) {
        self.some(key, Some(Draft::from(text)));
    }

    fn optional(&mut self, key: &'a str, text: Option<&'a str>) {
        self.some(key, text.map(Draft::from));
    }

    fn owned(&mut self, key: &'a str, text: Option<String>) {
        self.some(key, text.map(|text| Draft::String(Cow::Owned(text))));
    }

    fn filled(&mut self, key: &'a str, value: Draft<'a>) {
        self.some(key, Some(value).filter(|value| !value.is_empty()));
    }

    fn some(&mut self, key: &'a str, value: Option<Draft<'a>>) {
        self.0.extend(value.map(|value| (key, value)));
    }
}

impl<'a> From<Entries<'a>> for Draft<'a> {
    fn from(Entries(entries): Entries<'a>) -> Self {
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
