//! The canonical event and its parts, as every other crate sees them.

use std::borrow::Cow;
use std::fmt;

use time::OffsetDateTime;

use crate::content;
use crate::delivery::Source;
use crate::identity::{self, Ids};
use crate::json::Json;
use crate::object::Object;
use crate::redact::Redaction;
use crate::sanitize::Sanitized;
use crate::usage::Usage;

/// One captured exchange, complete: every id is known, every default applied.
///
/// Made only by [`adapt::captures`](crate::adapt::captures), so its invariants hold: ids are not empty and at most
/// 512 bytes, no text contains U+0000, no JSON is nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Capture {
    /// Whose data this is; `default` where the event names no tenant.
    pub tenant_id: String,
    /// The conversation; made from the event id where a legacy event names none.
    pub conversation_id: String,
    /// Names this event for ever: the ledger's key is (tenant, conversation, event id).
    pub event_id: String,
    /// The conversation's owner as this event states it; `None` for nobody, which is also what `anonymous` means.
    pub user_id: Option<String>,
    /// When it happened: the event's own time, else the source's; `None` if neither knows.
    pub occurred_at: Option<OffsetDateTime>,
    /// The producer's own counter of turns.
    pub sequence: Option<i64>,
    /// Whether `messages` is all that was said so far, or only what is new.
    pub history: History,
    /// OpenTelemetry `gen_ai.operation.name`, for example `chat`.
    pub operation: Option<String>,
    /// OpenTelemetry `gen_ai.provider.name`, for example `aws.bedrock`.
    pub provider: Option<String>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered.
    pub response_model: Option<String>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// Why the model stopped, one per answer, in the closed vocabulary of the canonical event where it has the word.
    pub finish_reasons: Vec<String>,
    /// What failed, as the producer tells it.
    pub error: Option<Json>,
    /// Tokens of the whole exchange.
    pub usage: Usage,
    /// Instructions given beside the messages.
    pub system_instructions: Vec<Part>,
    /// What was said, in order.
    pub messages: Vec<Message>,
    /// Code and files that the exchange produced.
    pub implementations: Vec<Implementation>,
    /// The producer's context: always an object.
    pub context: Json,
    /// The producer's metadata: always an object; keys of the event that we do not know are under `extra`.
    pub metadata: Json,
    /// The producer's labels.
    pub tags: Vec<String>,
    /// Where to find the exchange in a tracing system.
    pub trace: Trace,
    /// The shape in which the event came.
    pub shape: Shape,
    /// How the event came. Not part of the stored object: a redrive may come another way.
    pub source: Source,
    /// What had to be repaired in the delivery before it could be read.
    pub sanitized: Sanitized,
    /// Bytes that came with the event and that its parts name, each content once: to be put before its own object.
    /// Nothing for an event that came with the names, as an archived one does.
    pub media: Vec<Object>,
    /// What was taken out before it is stored; `None` where redaction is off.
    pub redaction: Option<Redaction>,
    /// Tells a repeated event from another one under the same event id; see [Identity](crate#identity).
    pub fingerprint: [u8; 32],
}

impl Capture {
    /// The model to name on rows: the one that answered, else the one asked for.
    pub fn model(&self) -> Option<&str> {
        self.response_model
            .as_deref()
            .or(self.request_model.as_deref())
    }
}

/// Shows ids and sizes, never what was said.
impl fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capture")
            .field("tenant_id", &self.tenant_id)
            .field("conversation_id", &self.conversation_id)
            .field("event_id", &self.event_id)
            .field("occurred_at", &self.occurred_at)
            .field("shape", &self.shape)
            .field("messages", &self.messages.len())
            .field("implementations", &self.implementations.len())
            .finish_non_exhaustive()
    }
}

/// One message of a conversation: one row.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// Unique in its conversation: the producer's, or derived; see [Identity](crate#identity).
    pub message_id: String,
    /// The message this one follows; `None` for the first and for system messages.
    pub parent_message_id: Option<String>,
    /// Both ids as they are without a key, if there is one; only until the event is redacted.
    pub(crate) plain_ids: Option<Ids>,
    /// Position in the event's `messages`, from 0.
    pub ordinal: i32,
    /// Whether the model was given this message or gave it.
    pub direction: Direction,
    /// `system`, `user`, `assistant`, `tool`, or the producer's own word.
    pub role: String,
    /// Which participant, where several share a role.
    pub name: Option<String>,
    /// The message itself.
    pub parts: Vec<Part>,
    /// SHA-256 of the canonical JSON of `parts`.
    pub content_sha256: [u8; 32],
    /// The model that said it; only on output.
    pub model: Option<String>,
    /// The provider that served it; only on output.
    pub provider: Option<String>,
    /// Why the model stopped here; only on output, unless the message itself says so.
    pub finish_reason: Option<String>,
    /// Tokens of the exchange, on its last output message; nothing on all others, so that a sum counts once.
    pub usage: Usage,
    /// Keys of the message that we do not know: always an object.
    pub metadata: Json,
}

impl Message {
    /// The words of `parts` as one text, at most [`CONTENT_MAX_BYTES`](crate::CONTENT_MAX_BYTES) bytes, and whether they
    /// were cut; `parts` never are.
    pub fn content(&self) -> (Cow<'_, str>, bool) {
        content::flatten(&self.parts)
    }

    /// Its id and its parent's.
    pub(crate) fn ids(&self) -> (&str, Option<&str>) {
        (&self.message_id, self.parent_message_id.as_deref())
    }

    /// As [`Message::ids`], without a key.
    pub(crate) fn plain_ids(&self) -> (&str, Option<&str>) {
        match &self.plain_ids {
            Some((id, parent)) => (id, parent.as_deref()),
            None => self.ids(),
        }
    }
}

/// Shows ids and sizes, never what was said.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("parent_message_id", &self.parent_message_id)
            .field("ordinal", &self.ordinal)
            .field("direction", &self.direction)
            .field("role", &self.role)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

/// One part of a message: an object with a string `type`, in the shape of the OpenTelemetry GenAI message schema.
#[derive(Clone, PartialEq)]
pub struct Part(Json);

impl Part {
    /// A `text` part.
    pub(crate) fn text(content: String) -> Self {
        Self(Json::object([
            ("type", Json::from("text")),
            ("content", Json::String(content)),
        ]))
    }

    /// A part for a value that is none by itself.
    pub(crate) fn of_value(value: Json) -> Self {
        Self(Json::object([
            ("type", Json::from("value")),
            ("value", value),
        ]))
    }

    /// Takes `json` as a part if it is an object with a string `type`, else gives it back.
    pub(crate) fn from_json(json: Json) -> Result<Self, Json> {
        match json.get("type") {
            Some(Json::String(_)) => Ok(Self(json)),
            _ => Err(json),
        }
    }

    /// Whether it is a `text` part that says this and has nothing besides.
    pub fn is_text(&self, content: &str) -> bool {
        let is = |key: &str, text: &str| self.0.get(key).and_then(Json::as_str) == Some(text);
        self.entries().len() == 2 && is("type", "text") && is("content", content)
    }

    /// Its keys and values.
    pub(crate) fn entries(&self) -> &[(String, Json)] {
        match &self.0 {
            Json::Object(entries) => entries,
            _ => &[],
        }
    }

    /// With other keys and values, among which `type` has to stay a string.
    pub(crate) fn map(
        self,
        change: impl FnOnce(Vec<(String, Json)>) -> Vec<(String, Json)>,
    ) -> Self {
        match self.0 {
            Json::Object(entries) => Self(Json::Object(change(entries))),
            other => Self(other),
        }
    }

    /// The whole part, given away.
    pub(crate) fn into_json(self) -> Json {
        self.0
    }

    /// The part's `type`, for example `text` or `tool_call`.
    pub fn kind(&self) -> &str {
        self.0
            .get("type")
            .and_then(Json::as_str)
            .unwrap_or_default()
    }

    /// The whole part, with every key that it came with.
    pub fn json(&self) -> &Json {
        &self.0
    }

    /// The whole part, whose `type` has to stay.
    pub(crate) fn json_mut(&mut self) -> &mut Json {
        &mut self.0
    }

    /// Several parts as a JSON array, copied.
    #[cfg(test)]
    pub(crate) fn array(parts: &[Self]) -> Json {
        Json::Array(parts.iter().map(|part| part.0.clone()).collect())
    }

    /// Writes several parts as a JSON array that PostgreSQL's `jsonb` accepts (see [`Json::database_text`]).
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_database_text(parts: &[Self], out: &mut dyn fmt::Write) -> fmt::Result {
        Json::write_database_array(parts.iter().map(Self::json), out)
    }
}

/// Shows the type, never the content.
impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Part").field(&self.kind()).finish()
    }
}

/// A file or piece of code that an exchange produced.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Implementation {
    /// Unique in its conversation: the producer's, or `{event_id}-impl-{i}`.
    pub implementation_id: String,
    /// The message that produced it.
    pub message_id: Option<String>,
    /// Where the file lies, as the producer says.
    pub file_path: Option<String>,
    /// What kind it is, for example `terraform`; `unknown` by default.
    pub implementation_type: String,
    /// What it does.
    pub functionality: Option<String>,
    /// The code.
    pub code_snippet: Option<String>,
    /// The language it is written in.
    pub language: Option<String>,
    /// SHA-256 over path, type, functionality, code and language.
    pub content_sha256: [u8; 32],
    /// Keys of the implementation that we do not know: always an object.
    pub metadata: Json,
}

impl Implementation {
    /// The type of an implementation that names none.
    pub(crate) const UNKNOWN_TYPE: &str = "unknown";

    /// With the hash over what is final now.
    pub(crate) fn sealed(mut self) -> Self {
        let text = |field: &Option<String>| Json::from(field.as_deref().unwrap_or_default());
        self.content_sha256 = identity::sha256(&[
            text(&self.file_path),
            Json::from(self.implementation_type.as_str()),
            text(&self.functionality),
            text(&self.code_snippet),
            text(&self.language),
        ]);
        self
    }
}

/// Shows ids, never code.
impl fmt::Debug for Implementation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Implementation")
            .field("implementation_id", &self.implementation_id)
            .field("message_id", &self.message_id)
            .field("implementation_type", &self.implementation_type)
            .finish_non_exhaustive()
    }
}

/// Where to find an exchange in a tracing system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// W3C span id.
    pub span_id: Option<String>,
}

/// What an event's `messages` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// All that was said so far, as LLM clients send it: messages that are known already are found again.
    Full,
    /// Only what is new.
    Delta,
}

impl History {
    /// The word in the event: `full` or `delta`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delta => "delta",
        }
    }
}

/// Whether the model was given a message or gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Given to the model: also answers of earlier turns that are sent again.
    Input,
    /// The model's answer in this exchange.
    Output,
}

impl Direction {
    /// The word in the event: `input` or `output`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// The shape in which an event came; decides the shape of the reply to a direct invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `llm.capture/1`.
    Canonical,
    /// The bare object of the `IaL` capture function.
    Legacy,
    /// One text of one user, as the first function of `IaL` took it.
    Text,
    /// The same in the `body` of a request, whose sender expects a `body` in the reply.
    TextInBody,
    /// A line of Bedrock's model invocation log.
    BedrockLog,
    /// A record or batch of OpenTelemetry, by its GenAI conventions.
    OpenTelemetry,
    /// Request and response of `OpenAI`'s Chat Completions.
    OpenAiChat,
    /// Request and response of `OpenAI`'s Responses.
    OpenAiResponses,
    /// Request and response of Anthropic's Messages.
    Anthropic,
    /// Request and response of Bedrock's Converse.
    Converse,
    /// An event of `AgentCore` Memory.
    AgentCore,
}

impl Shape {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Canonical,
        Self::Legacy,
        Self::Text,
        Self::TextInBody,
        Self::BedrockLog,
        Self::OpenTelemetry,
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::Anthropic,
        Self::Converse,
        Self::AgentCore,
    ];

    /// The word in logs and in the stored object, for example `canonical` or `openai_chat`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::Legacy => "legacy",
            Self::Text => "text",
            Self::TextInBody => "text_in_body",
            Self::BedrockLog => "bedrock_log",
            Self::OpenTelemetry => "opentelemetry",
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Converse => "converse",
            Self::AgentCore => "agentcore",
        }
    }
}
