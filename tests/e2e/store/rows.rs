//! What the tables hold, for comparisons.

use tokio_postgres::Client;

use super::number;

/// All rows, one a line, without the columns that tell of their arrival.
pub async fn dump(client: &Client) -> String {
    const DUMP: &str = r#"
        SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
            SELECT 'conversation ' || (to_jsonb(t) - '{updated_at}'::text[] - CASE
                WHEN conversation_id LIKE 'undated%'
                THEN '{created_at,last_message_at,last_event_id,s3_key,metadata}'::text[] ELSE '{}' END)::text AS line
            FROM conversations t
            UNION ALL
            SELECT 'message ' || (to_jsonb(t) - '{received_at}'::text[] - CASE
                WHEN occurred_at IS NULL THEN '{timestamp}'::text[] ELSE '{}' END)::text
            FROM messages t
            UNION ALL
            SELECT 'implementation ' || (to_jsonb(t) - '{received_at}'::text[] - CASE
                WHEN occurred_at IS NULL THEN '{created_at}'::text[] ELSE '{}' END)::text
            FROM implementations t
            UNION ALL
            SELECT 'event ' || (to_jsonb(t) - '{ingested_at,source,s3_version_id,conflicted_at}'::text[])::text
            FROM capture_events t
        ) AS lines"#;
    let row = client.query_one(DUMP, &[]).await.unwrap();
    row.get::<_, Option<String>>(0)
        .expect("tables with rows to compare")
}

/// Expects two dumps to be equal, else shows the first lines that differ.
#[track_caller]
pub fn assert_same(expected: &str, found: &str, what: &str) {
    if expected == found {
        return;
    }
    let mut pairs = expected.lines().zip(found.lines());
    let (expected, found) = pairs
        .find(|(expected, found)| expected != found)
        .unwrap_or(("one number of rows", "another number of rows"));
    panic!("{what}: other rows\nexpected: {expected}\nfound:    {found}");
}

/// Expects every counter of every conversation to equal what it counts.
pub async fn assert_counters(client: &Client) {
    const WRONG: &str = "
        SELECT count(*) FROM conversations c
        WHERE message_count <> (SELECT count(*) FROM messages m
                WHERE (m.tenant_id, m.conversation_id) = (c.tenant_id, c.conversation_id))
           OR implementation_count <> (SELECT count(*) FROM implementations i
                WHERE (i.tenant_id, i.conversation_id) = (c.tenant_id, c.conversation_id))
           OR implementation_count <> (metadata->>'implementations_count')::int
           OR (input_tokens, output_tokens) <> (
                SELECT coalesce(sum(e.input_tokens), 0), coalesce(sum(e.output_tokens), 0) FROM capture_events e
                WHERE (e.tenant_id, e.conversation_id, e.outcome) = (c.tenant_id, c.conversation_id, 'stored'))";
    assert_eq!(
        number(client, WRONG).await,
        0,
        "conversations with a wrong counter"
    );
}
