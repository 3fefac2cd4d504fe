//! Media that messages name.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Part;
use crate::error::StoreError;

/// A page of conversations, each with what its messages name in one bucket; one that names nothing has a single row without a name.
///
/// A name is an object with the key `media`, wherever it stands in a part. `strict`, for `lax` would find it once more in each
/// array that holds it.
pub(crate) const NAMED: &str = r#"
WITH page AS MATERIALIZED (
    SELECT conversation_id, tenant_id FROM conversations
    WHERE (conversation_id, tenant_id) > ($1::text COLLATE "C", $2::text COLLATE "C")
      AND ($3::text IS NULL OR tenant_id = $3)
      AND ($4::text IS NULL OR conversation_id = $4)
    ORDER BY conversation_id, tenant_id
    LIMIT $7
)
SELECT page.conversation_id, page.tenant_id, named.key
FROM page
LEFT JOIN LATERAL (
    SELECT DISTINCT media #>> '{}' AS key
    FROM messages
    CROSS JOIN LATERAL jsonb_path_query(parts, 'strict $.**.media ? (@ starts with "media/v1/")', '{}', true) AS media
    -- LIMIT keeps this from becoming anything but a look-up by key, whatever the statistics say.
    CROSS JOIN LATERAL (
        SELECT FROM capture_events
        WHERE capture_events.conversation_id = messages.conversation_id AND capture_events.tenant_id = messages.tenant_id
          AND capture_events.event_id = messages.event_id AND s3_bucket = $8
        LIMIT 1
    ) AS held
    WHERE messages.conversation_id = page.conversation_id AND messages.tenant_id = page.tenant_id
      AND ($5::timestamptz IS NULL OR coalesce(occurred_at, received_at) >= $5)
      AND ($6::timestamptz IS NULL OR coalesce(occurred_at, received_at) < $6)
) AS named ON true
ORDER BY page.conversation_id, page.tenant_id, named.key"#;

/// The media that a page of conversations names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedMedia {
    /// Tenants and keys. A key is what a row says, and a row says what a client said: it may be none of the tenant's.
    pub media: Vec<(String, String)>,
    /// Conversation and tenant of the last one; `None` after the last page.
    pub last: Option<(String, String)>,
}

/// The media in `bucket` that the conversations of `part` behind `after` name, of at most `limit` conversations.
pub async fn media(
    client: &Client,
    bucket: &str,
    part: &Part,
    after: Option<&(String, String)>,
    limit: i64,
) -> Result<NamedMedia, StoreError> {
    let (conversation_id, tenant_id) = after.cloned().unwrap_or_default();
    let rows = client
        .query_typed(
            NAMED,
            &[
                (&conversation_id, Type::TEXT),
                (&tenant_id, Type::TEXT),
                (&part.tenant_id, Type::TEXT),
                (&part.conversation_id, Type::TEXT),
                (&part.since, Type::TIMESTAMPTZ),
                (&part.until, Type::TIMESTAMPTZ),
                (&limit, Type::INT8),
                (&bucket, Type::TEXT),
            ],
        )
        .await?;
    let mut named = NamedMedia {
        media: Vec::new(),
        last: None,
    };
    for row in &rows {
        let tenant_id: String = row.try_get("tenant_id")?;
        if let Some(key) = row.try_get("key")? {
            named.media.push((tenant_id.clone(), key));
        }
        named.last = Some((row.try_get("conversation_id")?, tenant_id));
    }
    Ok(named)
}
