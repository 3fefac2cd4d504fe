//! The statement's parameters: one array per column.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use conversation::{Capture, Direction, Implementation, Json, Message, Part};
use memchr::memchr;
use time::OffsetDateTime;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use super::Item;
use super::outcome::Unstorable;

/// A parameter with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The rows to store, column by column: the statement's parameters `$2` to `$51`.
#[derive(Default)]
pub(super) struct Batch<'a> {
    events: Events<'a>,
    messages: Messages<'a>,
    implementations: Implementations<'a>,
}

impl<'a> Batch<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.events.position.is_empty()
    }

    /// Adds an item with all its rows, or nothing if the database cannot hold one of them.
    pub(super) fn push(&mut self, position: usize, item: &Item<'a>) -> Result<(), Unstorable> {
        let position = number("position", position)?;
        let event = event(position, item)?;
        let messages = item
            .capture
            .messages
            .iter()
            .map(|told| message(position, told))
            .collect::<Result<Vec<_>, _>>()?;
        let implementations = item
            .capture
            .implementations
            .iter()
            .enumerate()
            .map(|(ordinal, made)| implementation(position, ordinal, made))
            .collect::<Result<Vec<_>, _>>()?;
        self.events.push(event);
        for row in messages {
            self.messages.push(row);
        }
        for row in implementations {
            self.implementations.push(row);
        }
        Ok(())
    }

    /// All parameters of the statement, in order.
    pub(super) fn parameters<'b>(&'b self, enforce: &'b bool) -> Vec<Parameter<'b>> {
        let mut parameters: Vec<Parameter<'b>> = vec![(enforce, Type::BOOL)];
        self.events.add_to(&mut parameters);
        self.messages.add_to(&mut parameters);
        self.implementations.add_to(&mut parameters);
        parameters
    }
}

/// Declares a row, the columns that hold many of them, and the order in which these are parameters.
macro_rules! columns {
    ($columns:ident of $row:ident { $($field:ident: $type:ty,)+ }) => {
        struct $row<'a> {
            $($field: $type,)+
        }

        #[derive(Default)]
        struct $columns<'a> {
            $($field: Vec<$type>,)+
        }

        impl<'a> $columns<'a> {
            fn push(&mut self, row: $row<'a>) {
                $(self.$field.push(row.$field);)+
            }

            fn add_to<'b>(&'b self, parameters: &mut Vec<Parameter<'b>>) {
                $(parameters.push((&self.$field, <$type as Element>::ARRAY));)+
            }
        }
    };
}

columns!(Events of EventRow {
    position: i32,
    tenant_id: &'a str,
    conversation_id: &'a str,
    event_id: &'a str,
    user_id: Option<&'a str>,
    occurred_at: Option<OffsetDateTime>,
    source: &'a str,
    fingerprint: &'a [u8],
    s3_bucket: &'a str,
    s3_key: &'a str,
    s3_version_id: Option<&'a str>,
    body_sha256: &'a [u8],
    body_bytes: i64,
    message_count: i32,
    implementation_count: i32,
    input_tokens: Option<i32>,
    output_tokens: Option<i32>,
    metadata: String,
    archived_at: Option<OffsetDateTime>,
});

columns!(Messages of MessageRow {
    position: i32,
    message_id: &'a str,
    parent_message_id: Option<&'a str>,
    ordinal: i32,
    is_answer: bool,
    role: &'a str,
    name: Option<&'a str>,
    content: Cow<'a, str>,
    content_truncated: bool,
    content_sha256: &'a [u8],
    parts: Option<PartsText<'a>>,
    model: Option<&'a str>,
    provider: Option<&'a str>,
    finish_reason: Option<&'a str>,
    input_tokens: Option<i32>,
    output_tokens: Option<i32>,
    cache_read_tokens: Option<i32>,
    cache_write_tokens: Option<i32>,
    reasoning_tokens: Option<i32>,
    metadata: String,
});

columns!(Implementations of ImplementationRow {
    position: i32,
    implementation_id: &'a str,
    ordinal: i32,
    message_id: Option<&'a str>,
    file_path: Option<&'a str>,
    implementation_type: &'a str,
    functionality: Option<&'a str>,
    code_snippet: Option<&'a str>,
    language: Option<&'a str>,
    content_sha256: &'a [u8],
    metadata: String,
});

/// What a column may hold. Only built-in types: for any other the driver would ask the catalogue first, by named
/// statements.
trait Element {
    const ARRAY: Type;
}

impl Element for bool {
    const ARRAY: Type = Type::BOOL_ARRAY;
}

impl Element for i32 {
    const ARRAY: Type = Type::INT4_ARRAY;
}

impl Element for i64 {
    const ARRAY: Type = Type::INT8_ARRAY;
}

impl Element for &str {
    const ARRAY: Type = Type::TEXT_ARRAY;
}

impl Element for String {
    const ARRAY: Type = Type::TEXT_ARRAY;
}

impl Element for Cow<'_, str> {
    const ARRAY: Type = Type::TEXT_ARRAY;
}

impl Element for PartsText<'_> {
    const ARRAY: Type = Type::TEXT_ARRAY;
}

impl Element for &[u8] {
    const ARRAY: Type = Type::BYTEA_ARRAY;
}

impl Element for OffsetDateTime {
    const ARRAY: Type = Type::TIMESTAMPTZ_ARRAY;
}

impl<T: Element> Element for Option<T> {
    const ARRAY: Type = T::ARRAY;
}

/// The parts of a message as JSON. They are nearly all of a batch, and the text is made where it is sent: all texts of a
/// batch beside all of its parts would be what a batch of 6 MB needs most memory for.
#[derive(Debug)]
struct PartsText<'a>(&'a [Part]);

impl ToSql for PartsText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Part::write_database_text(self.0, out)?;
        Ok(IsNull::No)
    }

    accepts!(TEXT);
    to_sql_checked!();
}

fn event<'a>(position: i32, item: &Item<'a>) -> Result<EventRow<'a>, Unstorable> {
    let Item { capture, archived } = *item;
    Ok(EventRow {
        position,
        tenant_id: text("tenant_id", &capture.tenant_id)?,
        conversation_id: text("conversation_id", &capture.conversation_id)?,
        event_id: text("event_id", &capture.event_id)?,
        user_id: optional("user_id", capture.user_id.as_deref())?,
        occurred_at: capture.occurred_at,
        source: capture.source.as_str(),
        fingerprint: &capture.fingerprint,
        s3_bucket: archived.bucket,
        s3_key: text("s3_key", archived.key)?,
        s3_version_id: archived.version_id,
        body_sha256: archived.sha256,
        body_bytes: number("body_bytes", archived.bytes)?,
        message_count: number("message_count", capture.messages.len())?,
        implementation_count: number("implementation_count", capture.implementations.len())?,
        input_tokens: capture.usage.input_tokens,
        output_tokens: capture.usage.output_tokens,
        metadata: json("metadata", &metadata(capture))?,
        archived_at: archived.at,
    })
}

fn message(position: i32, message: &Message) -> Result<MessageRow<'_>, Unstorable> {
    let (content, content_truncated) = message.content();
    text("content", &content)?;
    let parts = parts(message, &content)?;
    Ok(MessageRow {
        position,
        message_id: text("message_id", &message.message_id)?,
        parent_message_id: optional("parent_message_id", message.parent_message_id.as_deref())?,
        ordinal: message.ordinal,
        is_answer: message.direction == Direction::Output,
        role: text("role", &message.role)?,
        name: optional("name", message.name.as_deref())?,
        content,
        content_truncated,
        content_sha256: &message.content_sha256,
        parts,
        model: optional("model", message.model.as_deref())?,
        provider: optional("provider", message.provider.as_deref())?,
        finish_reason: optional("finish_reason", message.finish_reason.as_deref())?,
        input_tokens: message.usage.input_tokens,
        output_tokens: message.usage.output_tokens,
        cache_read_tokens: message.usage.cache_read_input_tokens,
        cache_write_tokens: message.usage.cache_creation_input_tokens,
        reasoning_tokens: message.usage.reasoning_output_tokens,
        metadata: json("metadata", &message.metadata)?,
    })
}

fn implementation(
    position: i32,
    ordinal: usize,
    implementation: &Implementation,
) -> Result<ImplementationRow<'_>, Unstorable> {
    Ok(ImplementationRow {
        position,
        implementation_id: text("implementation_id", &implementation.implementation_id)?,
        ordinal: number("ordinal", ordinal)?,
        message_id: optional("message_id", implementation.message_id.as_deref())?,
        file_path: optional("file_path", implementation.file_path.as_deref())?,
        implementation_type: text("implementation_type", &implementation.implementation_type)?,
        functionality: optional("functionality", implementation.functionality.as_deref())?,
        code_snippet: optional("code_snippet", implementation.code_snippet.as_deref())?,
        language: optional("language", implementation.language.as_deref())?,
        content_sha256: &implementation.content_sha256,
        metadata: json("metadata", &implementation.metadata)?,
    })
}

/// What the event says about itself, under the names of the canonical event and without what it does not say.
/// `context` is always there, since readers of the original look for it.
fn metadata(capture: &Capture) -> Json {
    let text = |text: &Option<String>| text.as_deref().map(Json::from);
    let texts = |texts: &[String]| {
        (!texts.is_empty())
            .then(|| Json::Array(texts.iter().map(|text| Json::from(text.as_str())).collect()))
    };
    let entries = [
        ("context", Some(capture.context.clone())),
        (
            "metadata",
            Some(capture.metadata.clone()).filter(|metadata| !metadata.is_empty()),
        ),
        ("tags", texts(&capture.tags)),
        (
            "sequence",
            capture
                .sequence
                .map(|sequence| Json::Number(sequence.to_string())),
        ),
        ("operation", text(&capture.operation)),
        ("provider", text(&capture.provider)),
        ("request_model", text(&capture.request_model)),
        ("response_model", text(&capture.response_model)),
        ("response_id", text(&capture.response_id)),
        ("finish_reasons", texts(&capture.finish_reasons)),
        ("error", capture.error.clone()),
        ("trace_id", text(&capture.trace.trace_id)),
        ("span_id", text(&capture.trace.span_id)),
    ];
    Json::Object(
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    )
}

fn text<'a>(field: &'static str, text: &'a str) -> Result<&'a str, Unstorable> {
    if memchr(0, text.as_bytes()).is_some() {
        Err(Unstorable::Nul { field })
    } else {
        Ok(text)
    }
}

fn optional<'a>(
    field: &'static str,
    value: Option<&'a str>,
) -> Result<Option<&'a str>, Unstorable> {
    value.map(|value| text(field, value)).transpose()
}

/// The parts, unless they say what the statement makes of `content` by itself: nearly every message is one text, of which
/// one copy is enough to send and to read.
fn parts<'a>(message: &'a Message, content: &str) -> Result<Option<PartsText<'a>>, Unstorable> {
    let parts = message.parts.as_slice();
    if let [only] = parts
        && only.is_text(content)
    {
        return Ok(None);
    }
    if parts.iter().any(|part| part.json().has_nul()) {
        Err(Unstorable::Nul { field: "parts" })
    } else {
        Ok(Some(PartsText(parts)))
    }
}

/// JSON text, unless a string in it contains U+0000, which `jsonb` cannot hold.
fn json(field: &'static str, json: &Json) -> Result<String, Unstorable> {
    if json.has_nul() {
        Err(Unstorable::Nul { field })
    } else {
        Ok(json.database_text())
    }
}

fn number<T: TryFrom<usize>>(field: &'static str, number: usize) -> Result<T, Unstorable> {
    T::try_from(number).map_err(|_| Unstorable::Range { field })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_refused_wherever_it_stands_and_the_text_of_its_escape_is_not() {
        let object = |key: &str, value: &str| {
            Json::Object(vec![(
                key.to_owned(),
                Json::Array(vec![Json::Null, Json::from(value)]),
            )])
        };
        let refused = Err(Unstorable::Nul { field: "metadata" });
        assert_eq!(json("metadata", &object("k", "a\0")), refused);
        assert_eq!(json("metadata", &object("k\0", "a")), refused);
        assert_eq!(
            json("metadata", &object("k", r"\u0000 \u0001")).as_deref(),
            Ok(r#"{"k":[null,"\\u0000 \\u0001"]}"#)
        );
    }

    #[test]
    fn text_with_nul_is_refused_by_its_column() {
        assert_eq!(text("role", "user"), Ok("user"));
        assert_eq!(
            text("role", "us\0er"),
            Err(Unstorable::Nul { field: "role" })
        );
        assert_eq!(optional("name", None), Ok(None));
    }

    #[test]
    fn the_statement_names_every_parameter_and_no_other() {
        let batch = Batch::default();
        let parameters = batch.parameters(&true).len();
        for number in 1..=parameters {
            assert!(
                super::super::SQL.contains(&format!("${number}::")),
                "${number}"
            );
        }
        assert!(!super::super::SQL.contains(&format!("${}::", parameters + 1)));
    }

    #[test]
    fn the_statement_casts_every_parameter_to_the_type_it_is_sent_as() {
        let batch = Batch::default();
        for (index, (_, sent)) in batch.parameters(&true).into_iter().enumerate() {
            let element = sent.name().trim_start_matches('_');
            let array = if sent.name().starts_with('_') {
                "[]"
            } else {
                ""
            };
            let cast = format!("${}::{element}{array}", index + 1);
            assert!(super::super::SQL.contains(&cast), "{cast}");
        }
    }
}
