//! What has to be known to hold the archive and the database against each other, and the repair of counters.
//!
//! All of it reads by the tables' keys, a page at a time, so that no statement lasts long however much there is.

mod media;

use std::fmt;

use conversation::Usage;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::StoreError;

pub(crate) use media::NAMED;
pub use media::{NamedMedia, media};

/// What the ledger knows of some events, and whose their conversations are.
pub(crate) const KNOWN: &str = r#"
SELECT
    held.outcome, held.s3_bucket, held.s3_key, held.body_sha256,
    owned.conversation_id IS NOT NULL AS has_conversation, owned.user_id
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
    AS asked (tenant_id, conversation_id, event_id, position)
-- LIMIT keeps these two from becoming anything but look-ups by key, whatever the statistics say.
LEFT JOIN LATERAL (
    SELECT outcome, s3_bucket, s3_key, body_sha256 FROM capture_events
    WHERE conversation_id = asked.conversation_id COLLATE "C" AND tenant_id = asked.tenant_id COLLATE "C"
      AND event_id = asked.event_id COLLATE "C"
    LIMIT 1
) AS held ON true
LEFT JOIN LATERAL (
    SELECT conversation_id, user_id FROM conversations
    WHERE conversation_id = asked.conversation_id COLLATE "C" AND tenant_id = asked.tenant_id COLLATE "C"
    LIMIT 1
) AS owned ON true
ORDER BY asked.position"#;

/// A page of the ledger: what is stored, and where its object should lie.
pub(crate) const LEDGER: &str = r#"
SELECT conversation_id, tenant_id, event_id, s3_bucket, s3_key, body_sha256
FROM capture_events
WHERE (conversation_id, tenant_id, event_id) > ($1::text COLLATE "C", $2::text COLLATE "C", $3::text COLLATE "C")
  AND outcome = 'stored'
  AND ($4::text IS NULL OR tenant_id = $4)
  AND ($5::text IS NULL OR conversation_id = $5)
  AND ($6::timestamptz IS NULL OR coalesce(occurred_at, ingested_at) >= $6)
  AND ($7::timestamptz IS NULL OR coalesce(occurred_at, ingested_at) < $7)
ORDER BY conversation_id, tenant_id, event_id
LIMIT $8"#;

/// A page of conversations, of which each counter that is wrong is put right if `$4` says so.
///
/// What is added is the difference within one snapshot, so that an event which is stored at the same moment is not lost
/// from the counters.
pub(crate) const COUNTERS: &str = r#"
WITH page AS MATERIALIZED (
    SELECT
        conversation_id, tenant_id, message_count, implementation_count, input_tokens, output_tokens
    FROM conversations
    WHERE (conversation_id, tenant_id) > ($1::text COLLATE "C", $2::text COLLATE "C")
      AND ($5::text IS NULL OR tenant_id = $5)
      AND ($6::text IS NULL OR conversation_id = $6)
    ORDER BY conversation_id, tenant_id
    LIMIT $3
),
missing AS MATERIALIZED (
    SELECT
        page.conversation_id, page.tenant_id,
        said.messages - page.message_count AS messages,
        made.implementations - page.implementation_count AS implementations,
        used.input_tokens - page.input_tokens AS input_tokens,
        used.output_tokens - page.output_tokens AS output_tokens
    FROM page
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages FROM messages
        WHERE messages.conversation_id = page.conversation_id AND messages.tenant_id = page.tenant_id
    ) AS said
    CROSS JOIN LATERAL (
        SELECT count(*) AS implementations FROM implementations
        WHERE implementations.conversation_id = page.conversation_id AND implementations.tenant_id = page.tenant_id
    ) AS made
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(capture_events.input_tokens), 0) AS input_tokens,
            coalesce(sum(capture_events.output_tokens), 0) AS output_tokens
        FROM capture_events
        WHERE capture_events.conversation_id = page.conversation_id AND capture_events.tenant_id = page.tenant_id
          AND capture_events.outcome = 'stored'
    ) AS used
),
repaired AS (
    UPDATE conversations AS held SET
        message_count = held.message_count + missing.messages,
        implementation_count = held.implementation_count + missing.implementations,
        input_tokens = held.input_tokens + missing.input_tokens,
        output_tokens = held.output_tokens + missing.output_tokens,
        metadata = CASE
            WHEN missing.implementations = 0 THEN held.metadata
            ELSE coalesce(held.metadata, '{}') || jsonb_build_object(
                'implementations_count', held.implementation_count + missing.implementations
            )
        END
    FROM missing
    WHERE $4::bool
      AND held.conversation_id = missing.conversation_id AND held.tenant_id = missing.tenant_id
      AND (missing.messages, missing.implementations, missing.input_tokens, missing.output_tokens) <> (0, 0, 0, 0)
)
SELECT
    conversation_id, tenant_id,
    (messages, implementations, input_tokens, output_tokens) <> (0, 0, 0, 0) AS is_wrong
FROM missing
ORDER BY conversation_id, tenant_id"#;

/// All that the rows of one event say, as the canonical event says it; none if messages or implementations of it are now those
/// of another event, which told them better.
pub(crate) const TOLD: &str = r"
SELECT
    held.occurred_at, held.input_tokens, held.output_tokens, held.metadata::text AS told, owned.user_id,
    said.messages::text AS messages, made.implementations::text AS implementations,
    said.cache_read_tokens, said.cache_write_tokens, said.reasoning_tokens
FROM capture_events AS held
JOIN conversations AS owned USING (conversation_id, tenant_id)
CROSS JOIN LATERAL (
    SELECT
        count(*) AS number,
        max(cache_read_tokens) AS cache_read_tokens, max(cache_write_tokens) AS cache_write_tokens,
        max(reasoning_tokens) AS reasoning_tokens,
        coalesce(
            jsonb_agg(
                jsonb_strip_nulls(jsonb_build_object(
                    'message_id', message_id, 'parent_message_id', parent_message_id,
                    'direction', CASE WHEN is_answer THEN 'output' ELSE 'input' END, 'role', role, 'name', name,
                    'finish_reason', finish_reason
                )) || jsonb_build_object('parts', parts, 'metadata', metadata)
                ORDER BY ordinal
            ),
            '[]'
        ) AS messages
    FROM messages
    WHERE conversation_id = held.conversation_id AND tenant_id = held.tenant_id AND event_id = held.event_id
) AS said
CROSS JOIN LATERAL (
    SELECT
        count(*) AS number,
        coalesce(
            jsonb_agg(
                jsonb_strip_nulls(jsonb_build_object(
                    'implementation_id', implementation_id, 'message_id', message_id, 'file_path', file_path,
                    'type', implementation_type, 'functionality', functionality, 'code_snippet', code_snippet,
                    'language', language
                )) || jsonb_build_object('metadata', metadata)
                ORDER BY ordinal
            ),
            '[]'
        ) AS implementations
    FROM implementations
    WHERE conversation_id = held.conversation_id AND tenant_id = held.tenant_id AND event_id = held.event_id
) AS made
WHERE held.conversation_id = $1 AND held.tenant_id = $2 AND held.event_id = $3
  AND said.number = held.message_count AND made.number = held.implementation_count";

/// What the database knows of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Its row of the ledger, if there is one.
    pub ledger: Option<Recorded>,
    /// Whether its conversation has a row.
    pub has_conversation: bool,
    /// The owner of its conversation, if it has one.
    pub owner: Option<String>,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// `stored` or `foreign`.
    pub outcome: String,
    /// Bucket of its object.
    pub s3_bucket: String,
    /// Key of its object.
    pub s3_key: String,
    /// SHA-256 of its object.
    pub body_sha256: Vec<u8>,
}

/// All that the rows of one event say; the texts are JSON.
#[derive(Clone)]
#[non_exhaustive]
pub struct Told {
    /// The owner of its conversation.
    pub owner: Option<String>,
    /// When it happened.
    pub occurred_at: Option<OffsetDateTime>,
    /// Its tokens.
    pub usage: Usage,
    /// What the ledger says of it.
    pub told: String,
    /// Its messages.
    pub messages: String,
    /// Its implementations.
    pub implementations: String,
}

/// Shows when it happened, never what was said.
impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Told")
            .field("occurred_at", &self.occurred_at)
            .finish_non_exhaustive()
    }
}

/// A stored event, and where its object should lie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Where the next page begins.
    pub place: LedgerPlace,
    /// Bucket of the object.
    pub s3_bucket: String,
    /// Key of the object.
    pub s3_key: String,
    /// SHA-256 of the object.
    pub body_sha256: Vec<u8>,
}

/// A place in the ledger; the default is its begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerPlace {
    /// The conversation.
    pub conversation_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// The event.
    pub event_id: String,
}

/// Which rows are looked at; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Of this tenant only.
    pub tenant_id: Option<String>,
    /// Of this conversation only.
    pub conversation_id: Option<String>,
    /// Events that happened at this moment or later; those without a time by when they arrived.
    pub since: Option<OffsetDateTime>,
    /// Events that happened before this moment.
    pub until: Option<OffsetDateTime>,
}

/// A page of conversations whose counters were counted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many conversations were looked at.
    pub conversations: usize,
    /// Of how many a counter was wrong.
    pub wrong: usize,
    /// Conversation and tenant of the last one; `None` after the last page.
    pub last: Option<(String, String)>,
}

/// What is known of the events with these ids, in their order: tenants, conversations, events.
pub async fn known(
    client: &Client,
    tenant_ids: &[&str],
    conversation_ids: &[&str],
    event_ids: &[&str],
) -> Result<Vec<Known>, StoreError> {
    let rows = client
        .query_typed(
            KNOWN,
            &[
                (&tenant_ids, Type::TEXT_ARRAY),
                (&conversation_ids, Type::TEXT_ARRAY),
                (&event_ids, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    let known = rows.iter().map(|row| {
        let outcome: Option<String> = row.try_get("outcome")?;
        let ledger = match outcome {
            None => None,
            Some(outcome) => Some(Recorded {
                outcome,
                s3_bucket: row.try_get("s3_bucket")?,
                s3_key: row.try_get("s3_key")?,
                body_sha256: row.try_get("body_sha256")?,
            }),
        };
        Ok(Known {
            ledger,
            has_conversation: row.try_get("has_conversation")?,
            owner: row.try_get("user_id")?,
        })
    });
    Ok(known.collect::<Result<_, tokio_postgres::Error>>()?)
}

/// The stored events of `part` behind `after`, at most `limit`; fewer are the last ones.
pub async fn ledger(
    client: &Client,
    part: &Part,
    after: &LedgerPlace,
    limit: i64,
) -> Result<Vec<Claim>, StoreError> {
    let rows = client
        .query_typed(
            LEDGER,
            &[
                (&after.conversation_id, Type::TEXT),
                (&after.tenant_id, Type::TEXT),
                (&after.event_id, Type::TEXT),
                (&part.tenant_id, Type::TEXT),
                (&part.conversation_id, Type::TEXT),
                (&part.since, Type::TIMESTAMPTZ),
                (&part.until, Type::TIMESTAMPTZ),
                (&limit, Type::INT8),
            ],
        )
        .await?;
    let claims = rows.iter().map(|row| {
        Ok(Claim {
            place: LedgerPlace {
                conversation_id: row.try_get("conversation_id")?,
                tenant_id: row.try_get("tenant_id")?,
                event_id: row.try_get("event_id")?,
            },
            s3_bucket: row.try_get("s3_bucket")?,
            s3_key: row.try_get("s3_key")?,
            body_sha256: row.try_get("body_sha256")?,
        })
    });
    Ok(claims.collect::<Result<_, tokio_postgres::Error>>()?)
}

/// All that the rows of the event at `place` say; `None` if they are not all there.
pub async fn told(client: &Client, place: &LedgerPlace) -> Result<Option<Told>, StoreError> {
    let row = client
        .query_typed_opt(
            TOLD,
            &[
                (&place.conversation_id, Type::TEXT),
                (&place.tenant_id, Type::TEXT),
                (&place.event_id, Type::TEXT),
            ],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let usage = Usage {
        input_tokens: row.try_get("input_tokens")?,
        output_tokens: row.try_get("output_tokens")?,
        cache_read_input_tokens: row.try_get("cache_read_tokens")?,
        cache_creation_input_tokens: row.try_get("cache_write_tokens")?,
        reasoning_output_tokens: row.try_get("reasoning_tokens")?,
    };
    Ok(Some(Told {
        owner: row.try_get("user_id")?,
        occurred_at: row.try_get("occurred_at")?,
        usage,
        told: row
            .try_get::<_, Option<String>>("told")?
            .unwrap_or_else(|| "{}".to_owned()),
        messages: row.try_get("messages")?,
        implementations: row.try_get("implementations")?,
    }))
}

/// Counts the rows of the conversations of `part` behind `after`, at most `limit`, and with `repairs` puts their counters
/// right. Safe to repeat and beside writers.
pub async fn counters(
    client: &Client,
    part: &Part,
    after: Option<&(String, String)>,
    limit: i64,
    repairs: bool,
) -> Result<Counted, StoreError> {
    let (conversation_id, tenant_id) = after.cloned().unwrap_or_default();
    let rows = client
        .query_typed(
            COUNTERS,
            &[
                (&conversation_id, Type::TEXT),
                (&tenant_id, Type::TEXT),
                (&limit, Type::INT8),
                (&repairs, Type::BOOL),
                (&part.tenant_id, Type::TEXT),
                (&part.conversation_id, Type::TEXT),
            ],
        )
        .await?;
    let mut counted = Counted {
        conversations: rows.len(),
        wrong: 0,
        last: None,
    };
    for row in &rows {
        counted.wrong += usize::from(row.try_get::<_, bool>("is_wrong")?);
    }
    if let Some(row) = rows.last() {
        counted.last = Some((row.try_get("conversation_id")?, row.try_get("tenant_id")?));
    }
    Ok(counted)
}
