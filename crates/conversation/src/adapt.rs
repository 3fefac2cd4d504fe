//! From the shapes in which exchanges are sent to the canonical event.
//!
//! The canonical event `llm.capture/1` and what others have at hand: the objects of both capture functions of `IaL`,
//! requests and responses of model providers, Bedrock's log, OpenTelemetry, `AgentCore` Memory. `docs/capture.md` shows one of
//! each. Nothing that an event says is dropped: keys that no adapter knows end in `metadata.extra`.

mod agentcore;
mod anthropic;
mod bedrock_log;
mod blocks;
mod canonical;
mod converse;
mod envelope;
mod fields;
mod legacy;
mod openai_chat;
mod openai_responses;
mod opentelemetry;
mod pair;
mod parts;
#[cfg(test)]
mod tests;
mod text;

use crate::capture::Capture;
use crate::delivery::Delivery;
use crate::identity::Place;
use crate::json::{Json, Kind, MAX_DEPTH, Raw};
use crate::redact::IdentityKey;
#[cfg(test)]
use crate::sanitize;
use crate::sanitize::{Clean, Sanitized};

pub(crate) use fields::Fields;

/// In the order in which they are asked.
const ADAPTERS: &[Adapter] = &[
    canonical::ADAPTER,
    legacy::ADAPTER,
    text::ADAPTER,
    bedrock_log::ADAPTER,
    opentelemetry::ADAPTER,
    openai_chat::ADAPTER,
    openai_responses::ADAPTER,
    anthropic::ADAPTER,
    converse::ADAPTER,
    agentcore::ADAPTER,
];

/// The cleaned text of one delivery, read as JSON.
///
/// It is read once, for all who look into it: whoever unwraps it from its source, and [`captures`].
#[derive(Clone, Debug)]
pub struct Document<'a> {
    root: Raw<'a>,
    clean: &'a Clean<'a>,
    bedrock_conversation_key: &'a str,
}

impl<'a> Document<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// [`AdaptError::NotJson`].
    pub fn read(clean: &'a Clean<'_>) -> Result<Self, AdaptError> {
        let root = if clean.is_json() {
            Raw::open(clean.text())
        } else {
            Raw::read(clean.text())
        };
        Ok(Self {
            root: root?,
            clean,
            bedrock_conversation_key: bedrock_log::CONVERSATION_KEY,
        })
    }

    /// With the conversations of Bedrock's log named by this key of `requestMetadata`, instead of `conversation_id`.
    #[must_use]
    pub fn with_bedrock_conversation_key(self, key: &'a str) -> Self {
        Self {
            bedrock_conversation_key: key,
            ..self
        }
    }

    /// A part of it, as an event of its own.
    pub(crate) fn part(&self, root: Raw<'a>) -> Self {
        Self {
            root,
            ..self.clone()
        }
    }

    /// The whole of it.
    pub fn root(&self) -> &Raw<'a> {
        &self.root
    }
}

/// Adapts one delivery: an event of a known shape, or a JSON array of them. All of it or nothing.
///
/// An event is one capture, but for a batch of OpenTelemetry's, which is one for each of its records.
///
/// The same bytes and the same [`Delivery`] always give the same captures.
pub fn captures(document: Document<'_>, delivery: &Delivery) -> Result<Vec<Capture>, AdaptError> {
    adapted_all(document, delivery, None)
}

/// [`captures`] with ids that tell nothing of the text, for those that are redacted before they are stored.
pub fn captures_keyed(
    document: Document<'_>,
    delivery: &Delivery,
    key: &IdentityKey,
) -> Result<Vec<Capture>, AdaptError> {
    adapted_all(document, delivery, Some(key))
}

fn adapted_all(
    document: Document<'_>,
    delivery: &Delivery,
    key: Option<&IdentityKey>,
) -> Result<Vec<Capture>, AdaptError> {
    let Document {
        root,
        clean,
        bedrock_conversation_key,
    } = document;
    let one = |event: Raw<'_>, ordinal, path: &str| {
        let sanitized = clean.repaired_in(event.text());
        let place = Place {
            delivery,
            ordinal,
            record: None,
            text: event.text(),
            key,
        };
        let arrival = Arrival {
            place,
            sanitized,
            bedrock_conversation_key,
        };
        adapted(event, &arrival, path)
    };
    if root.kind() != Kind::Array {
        return one(root, None, "");
    }
    let events = root.into_items()?;
    match events.len() {
        0 => Err(unknown_shape("an empty array".to_owned())),
        // One event in an array is the same event without it.
        1 => events
            .into_iter()
            .try_fold(Vec::new(), |_, event| one(event, None, "[0]")),
        several => {
            let mut captures = Vec::with_capacity(several);
            for (ordinal, event) in events.into_iter().enumerate() {
                captures.extend(one(event, Some(ordinal), &format!("[{ordinal}]"))?);
            }
            Ok(captures)
        }
    }
}

/// [`captures`] of bytes as they came.
#[cfg(test)]
pub(crate) fn captures_of(input: &[u8], delivery: &Delivery) -> Result<Vec<Capture>, AdaptError> {
    captures(Document::read(&sanitize::clean(input))?, delivery)
}

/// Why a delivery is not a capture. None of the variants carries what was said, only where and what kind it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// Not JSON at all: keep it in quarantine, a retry cannot help.
    #[error("not JSON: line {line}, column {column}")]
    NotJson {
        /// Line of the first error, from 1; 0 if there is no text.
        line: usize,
        /// Column of the first error, from 1; 0 if the line is empty.
        column: usize,
    },
    /// JSON that no adapter knows: let the source keep it, a later release may know it.
    #[error("unknown event shape: found {found}; accepted: {accepted}")]
    UnknownShape {
        /// Its type, and its keys as far as they look like names.
        found: String,
        /// What the adapters accept.
        accepted: String,
    },
    /// A known shape with a field that cannot be meant: let the source keep it until the producer is repaired.
    #[error("invalid `{field}`: found {found}; accepted: {accepted}")]
    Invalid {
        /// Path of the field, for example `messages[2].role`.
        field: String,
        /// What is there: its type or kind.
        found: &'static str,
        /// What may be there.
        accepted: &'static str,
    },
}

impl AdaptError {
    /// The error's stable name for logs, metrics and quarantine: `not_json`, `unknown_shape` or `invalid_field`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "not_json",
            Self::UnknownShape { .. } => "unknown_shape",
            Self::Invalid { .. } => "invalid_field",
        }
    }
}

/// Only the position: the text of an error of `serde_json` may quote what it could not read.
impl From<serde_json::Error> for AdaptError {
    fn from(error: serde_json::Error) -> Self {
        Self::NotJson {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// How one shape of events is recognised and read: one module, named once in [`ADAPTERS`].
///
/// An adapter reads fields and applies its shape's defaults; who is who is the business of `identity` and `transcript`.
struct Adapter {
    /// Completes "accepted: an object …".
    accepts: &'static str,
    recognises: fn(&Fields<'_>) -> bool,
    adapt: fn(Fields<'_>, &Arrival<'_>) -> Result<Vec<Capture>, AdaptError>,
}

/// One event as it arrived.
struct Arrival<'a> {
    place: Place<'a>,
    sanitized: Sanitized,
    bedrock_conversation_key: &'a str,
}

fn adapted(event: Raw<'_>, arrival: &Arrival<'_>, path: &str) -> Result<Vec<Capture>, AdaptError> {
    let kind = event.kind();
    if kind != Kind::Object {
        return Err(unknown_shape(kind.as_str().to_owned()));
    }
    let fields = Fields::read(path, event)?;
    match ADAPTERS
        .iter()
        .find(|adapter| (adapter.recognises)(&fields))
    {
        Some(adapter) => {
            let captures = (adapter.adapt)(fields, arrival)?;
            Ok(captures.into_iter().map(Capture::sealed).collect())
        }
        None => Err(unknown_shape(fields.describe())),
    }
}

fn unknown_shape(found: String) -> AdaptError {
    let accepted: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.accepts).collect();
    AdaptError::UnknownShape {
        found,
        accepted: format!(
            "an object {}, or an array of such objects",
            accepted.join(", ")
        ),
    }
}

/// `metadata` with what nobody asked for under `extra`, beside what a producer put there itself.
fn with_extra(metadata: Json, unknown: Vec<(String, Json)>) -> Json {
    let Json::Object(mut entries) = metadata else {
        return metadata;
    };
    if unknown.is_empty() {
        return Json::Object(entries);
    }
    match entries.iter_mut().rev().find(|(key, _)| key == "extra") {
        Some((_, Json::Object(extra))) => extra.extend(unknown),
        Some((_, taken)) => {
            let producers = std::mem::replace(taken, Json::Null);
            let mut extra = vec![("extra".to_owned(), producers)];
            extra.extend(unknown);
            *taken = Json::Object(extra);
        }
        None => entries.push(("extra".to_owned(), Json::Object(unknown))),
    }
    Json::Object(entries)
}

/// The tenant of an event that names none.
const DEFAULT_TENANT: &str = "default";

/// The user of an event that names one. The original wrote `anonymous` for nobody, which would make one person, with one
/// person's rights, of everybody unknown; an empty name says as much.
fn user_id(event: &mut Fields<'_>) -> Result<Option<String>, AdaptError> {
    if matches!(
        event.peek_text("user_id").as_deref(),
        Some("" | "anonymous")
    ) {
        event.raw("user_id");
    }
    event.id("user_id")
}

/// How deep a value under `metadata.extra` may be nested.
const EXTRA_DEPTH: usize = MAX_DEPTH - 2;
