//! The way out: a conversation, a list of them, and totals.

use std::fmt;

use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::error::StoreError;

/// One conversation.
pub(crate) const CONVERSATION: &str = "
SELECT
    tenant_id, conversation_id, user_id, created_at, last_message_at, message_count, implementation_count,
    input_tokens, output_tokens, s3_key
FROM conversations
WHERE conversation_id = $1 AND tenant_id = $2";

/// Its messages in the order in which they were said. Events of one delivery may share their time and differ in a
/// counter at the end of their ids, so shorter ids come first.
pub(crate) const MESSAGES: &str = r#"
SELECT
    message_id, parent_message_id, event_id, ordinal, role, name, content, content_truncated, "timestamp", model,
    provider, finish_reason, input_tokens, output_tokens
FROM messages
WHERE conversation_id = $1 AND tenant_id = $2
ORDER BY "timestamp", length(event_id), event_id, ordinal, message_id"#;

/// Its implementations, in the same order.
pub(crate) const IMPLEMENTATIONS: &str = "
SELECT
    implementation_id, message_id, event_id, ordinal, file_path, implementation_type, language, functionality,
    code_snippet, created_at
FROM implementations
WHERE conversation_id = $1 AND tenant_id = $2
ORDER BY created_at, length(event_id), event_id, ordinal, implementation_id";

/// Its part of the ledger, in the order in which the events happened.
pub(crate) const EVENTS: &str = "
SELECT
    event_id, outcome, source, occurred_at, ingested_at, conflicted_at, s3_bucket, s3_key, s3_version_id, body_sha256,
    body_bytes
FROM capture_events
WHERE conversation_id = $1 AND tenant_id = $2
ORDER BY coalesce(occurred_at, ingested_at), length(event_id), event_id";

/// The conversations that were active last.
pub(crate) const CONVERSATIONS: &str = "
SELECT
    tenant_id, conversation_id, user_id, created_at, last_message_at, message_count, implementation_count,
    input_tokens, output_tokens, s3_key
FROM conversations
ORDER BY last_message_at DESC, conversation_id, tenant_id
LIMIT $1";

/// How many rows there are.
pub(crate) const TOTALS: &str = "
SELECT
    (SELECT count(*) FROM conversations) AS conversations,
    (SELECT count(*) FROM messages) AS messages,
    (SELECT count(*) FROM implementations) AS implementations,
    (SELECT count(*) FROM capture_events WHERE outcome = 'stored') AS events_stored,
    (SELECT count(*) FROM capture_events WHERE outcome <> 'stored') AS events_refused";

/// A row of `conversations`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Whose data this is.
    pub tenant_id: String,
    /// The conversation.
    pub conversation_id: String,
    /// Its owner, if one is known.
    pub user_id: Option<String>,
    /// When its first event happened.
    pub created_at: OffsetDateTime,
    /// When its last event happened.
    pub last_message_at: OffsetDateTime,
    /// How many messages it has.
    pub message_count: i32,
    /// How many implementations it has.
    pub implementation_count: i32,
    /// Tokens given to the model, summed over its events.
    pub input_tokens: i64,
    /// Tokens of the answers, summed over its events.
    pub output_tokens: i64,
    /// Key of the archived object of its last event.
    pub s3_key: Option<String>,
}

/// A conversation with all its rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Conversation {
    /// The conversation itself.
    pub summary: Summary,
    /// What was said, in order.
    pub messages: Vec<Message>,
    /// What it produced, in order.
    pub implementations: Vec<Implementation>,
    /// Its events, in order: the ledger.
    pub events: Vec<Event>,
}

/// A row of `messages`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// Unique in its conversation.
    pub message_id: String,
    /// The message it follows.
    pub parent_message_id: Option<String>,
    /// The event that its row comes from.
    pub event_id: String,
    /// Position in that event.
    pub ordinal: i32,
    /// `system`, `user`, `assistant`, `tool`, or the producer's own word.
    pub role: String,
    /// Which participant, where several share a role.
    pub name: Option<String>,
    /// Its words.
    pub content: String,
    /// Whether `content` was cut.
    pub content_truncated: bool,
    /// When it was said.
    pub timestamp: OffsetDateTime,
    /// The model that said it.
    pub model: Option<String>,
    /// The provider that served it.
    pub provider: Option<String>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Tokens given to the model.
    pub input_tokens: Option<i32>,
    /// Tokens of the answer.
    pub output_tokens: Option<i32>,
}

/// A row of `implementations`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Implementation {
    /// Unique in its conversation.
    pub implementation_id: String,
    /// The message that produced it.
    pub message_id: Option<String>,
    /// The event that its row comes from.
    pub event_id: String,
    /// Position in that event.
    pub ordinal: i32,
    /// Where the file lies.
    pub file_path: Option<String>,
    /// What kind it is.
    pub implementation_type: Option<String>,
    /// The language it is written in.
    pub language: Option<String>,
    /// What it does.
    pub functionality: Option<String>,
    /// The code.
    pub code_snippet: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A row of the ledger, `capture_events`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The event.
    pub event_id: String,
    /// What was decided about it: `stored` or `foreign`.
    pub outcome: String,
    /// The kind of event source that it first came from.
    pub source: String,
    /// When it happened, if that is known.
    pub occurred_at: Option<OffsetDateTime>,
    /// When it was first ingested.
    pub ingested_at: OffsetDateTime,
    /// When another event first came under the same id, if one did.
    pub conflicted_at: Option<OffsetDateTime>,
    /// Bucket of its archived object.
    pub s3_bucket: String,
    /// Key of its archived object.
    pub s3_key: String,
    /// Version of its archived object, where the bucket keeps versions.
    pub s3_version_id: Option<String>,
    /// SHA-256 of its archived object.
    pub body_sha256: Vec<u8>,
    /// Size of its archived object.
    pub body_bytes: i64,
}

/// How many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Rows of `conversations`.
    pub conversations: i64,
    /// Rows of `messages`.
    pub messages: i64,
    /// Rows of `implementations`.
    pub implementations: i64,
    /// Rows of the ledger with outcome `stored`.
    pub events_stored: i64,
    /// Rows of the ledger with another outcome.
    pub events_refused: i64,
}

/// Shows ids and sizes, never what was said.
impl fmt::Debug for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Summary")
            .field("tenant_id", &self.tenant_id)
            .field("conversation_id", &self.conversation_id)
            .field("message_count", &self.message_count)
            .finish_non_exhaustive()
    }
}

/// Shows ids and sizes, never what was said.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("role", &self.role)
            .field("timestamp", &self.timestamp)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// Shows ids, never code.
impl fmt::Debug for Implementation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Implementation")
            .field("implementation_id", &self.implementation_id)
            .field("implementation_type", &self.implementation_type)
            .finish_non_exhaustive()
    }
}

/// One conversation with all its rows; `None` if there is none.
///
/// The rows are read by several statements, sent together: while somebody writes to the conversation, one may see more
/// than another.
pub async fn conversation(
    client: &Client,
    tenant_id: &str,
    conversation_id: &str,
) -> Result<Option<Conversation>, StoreError> {
    let key: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&conversation_id, Type::TEXT), (&tenant_id, Type::TEXT)];
    let (summaries, messages, implementations, events) = tokio::try_join!(
        client.query_typed(CONVERSATION, &key),
        client.query_typed(MESSAGES, &key),
        client.query_typed(IMPLEMENTATIONS, &key),
        client.query_typed(EVENTS, &key),
    )?;
    let Some(summary) = summaries.first() else {
        return Ok(None);
    };
    Ok(Some(Conversation {
        summary: Summary::from_row(summary)?,
        messages: messages
            .iter()
            .map(Message::from_row)
            .collect::<Result<_, _>>()?,
        implementations: implementations
            .iter()
            .map(Implementation::from_row)
            .collect::<Result<_, _>>()?,
        events: events
            .iter()
            .map(Event::from_row)
            .collect::<Result<_, _>>()?,
    }))
}

/// The conversations that were active last, newest first, at most `limit`, of all tenants.
///
/// It sorts the whole table: for a person at a terminal, not for a service.
pub async fn conversations(client: &Client, limit: i64) -> Result<Vec<Summary>, StoreError> {
    let rows = client
        .query_typed(CONVERSATIONS, &[(&limit, Type::INT8)])
        .await?;
    Ok(rows
        .iter()
        .map(Summary::from_row)
        .collect::<Result<_, _>>()?)
}

/// How many rows there are. It counts every table: for demonstrations and tests, not for dashboards.
pub async fn totals(client: &Client) -> Result<Totals, StoreError> {
    let row = client.query_typed_one(TOTALS, &[]).await?;
    Ok(Totals {
        conversations: row.try_get("conversations")?,
        messages: row.try_get("messages")?,
        implementations: row.try_get("implementations")?,
        events_stored: row.try_get("events_stored")?,
        events_refused: row.try_get("events_refused")?,
    })
}

impl Summary {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            conversation_id: row.try_get("conversation_id")?,
            user_id: row.try_get("user_id")?,
            created_at: row.try_get("created_at")?,
            last_message_at: row.try_get("last_message_at")?,
            message_count: row.try_get("message_count")?,
            implementation_count: row.try_get("implementation_count")?,
            input_tokens: row.try_get("input_tokens")?,
            output_tokens: row.try_get("output_tokens")?,
            s3_key: row.try_get("s3_key")?,
        })
    }
}

impl Message {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            message_id: row.try_get("message_id")?,
            parent_message_id: row.try_get("parent_message_id")?,
            event_id: row.try_get("event_id")?,
            ordinal: row.try_get("ordinal")?,
            role: row.try_get("role")?,
            name: row.try_get("name")?,
            content: row.try_get("content")?,
            content_truncated: row.try_get("content_truncated")?,
            timestamp: row.try_get("timestamp")?,
            model: row.try_get("model")?,
            provider: row.try_get("provider")?,
            finish_reason: row.try_get("finish_reason")?,
            input_tokens: row.try_get("input_tokens")?,
            output_tokens: row.try_get("output_tokens")?,
        })
    }
}

impl Implementation {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            implementation_id: row.try_get("implementation_id")?,
            message_id: row.try_get("message_id")?,
            event_id: row.try_get("event_id")?,
            ordinal: row.try_get("ordinal")?,
            file_path: row.try_get("file_path")?,
            implementation_type: row.try_get("implementation_type")?,
            language: row.try_get("language")?,
            functionality: row.try_get("functionality")?,
            code_snippet: row.try_get("code_snippet")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl Event {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            event_id: row.try_get("event_id")?,
            outcome: row.try_get("outcome")?,
            source: row.try_get("source")?,
            occurred_at: row.try_get("occurred_at")?,
            ingested_at: row.try_get("ingested_at")?,
            conflicted_at: row.try_get("conflicted_at")?,
            s3_bucket: row.try_get("s3_bucket")?,
            s3_key: row.try_get("s3_key")?,
            s3_version_id: row.try_get("s3_version_id")?,
            body_sha256: row.try_get("body_sha256")?,
            body_bytes: row.try_get("body_bytes")?,
        })
    }
}
