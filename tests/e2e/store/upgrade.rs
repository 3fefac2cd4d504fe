//! A database that the original Python made becomes ours, in place.

use local::canary;
use store::migrate::{self, MigrateError, State};
use store::{Ownership, Status, read};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Client;

use super::events::{Sample, turn};
use super::{number, stack, store_all};

/// Which of the original's two programs made the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Original {
    /// The function, at its cold start.
    Function,
    /// The command-line program: a vector column and three indexes more. (`text` stands for pgvector's type here.)
    CommandLine,
}

impl Original {
    fn tables(self) -> String {
        let (column, indexes) = match self {
            Self::Function => ("", ""),
            Self::CommandLine => (
                ", vector_embedding text",
                "CREATE INDEX idx_conversations_user_id ON conversations(user_id);
                 CREATE INDEX idx_messages_conversation_id ON messages(conversation_id);
                 CREATE INDEX idx_implementations_conversation_id ON implementations(conversation_id);",
            ),
        };
        format!(
            "CREATE TABLE conversations (
                 conversation_id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255),
                 created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                 metadata JSONB, s3_key VARCHAR(500){column});
             CREATE TABLE messages (
                 message_id VARCHAR(255) PRIMARY KEY, conversation_id VARCHAR(255) REFERENCES conversations(conversation_id),
                 role VARCHAR(50) NOT NULL, content TEXT NOT NULL, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                 metadata JSONB, tokens_used INTEGER);
             CREATE TABLE implementations (
                 implementation_id VARCHAR(255) PRIMARY KEY,
                 conversation_id VARCHAR(255) REFERENCES conversations(conversation_id), file_path VARCHAR(500),
                 implementation_type VARCHAR(100), functionality TEXT, code_snippet TEXT,
                 created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
             {indexes}"
        )
    }

    /// Two hundred conversations of five users, and what only a hand could have written.
    fn data(self) -> String {
        // The server puts it together: a statement with the whole mark would be found where statements are shown.
        let (begin, end) = canary::TEXT.split_at(5);
        let said = format!("'{begin}' || '{end}: ' ||");
        let conversation = |n: usize| {
            let user = ["'anonymous'", "''", "'ana'", "'josé'", "NULL"][n % 5];
            format!(
                "INSERT INTO conversations VALUES ('c-{n}', {user}, '2026-03-08 02:30:{:02}', '2026-03-08 02:31:00',
                     '{{\"context\": {{\"n\": {n}}}, \"implementations_count\": 2}}', 'conversations/2026/03/08/c-{n}.json');
                 INSERT INTO messages VALUES ('c-{n}-user', 'c-{n}', 'user', {said} 'olá {n}', '2026-03-08 02:30:00', '{{\"source\": \"user_input\"}}');
                 INSERT INTO messages VALUES ('c-{n}-assistant', 'c-{n}', 'assistant', {said} 'hello {n}', '2026-03-08 02:30:00', '{{\"source\": \"assistant_output\"}}');
                 INSERT INTO implementations VALUES ('c-{n}-impl-0', 'c-{n}', 'a.tf', 'terraform', {said} 'f', {said} 'x = 1', '2026-03-08 02:30:00');
                 INSERT INTO implementations VALUES ('c-{n}-impl-1', 'c-{n}', '', 'unknown', '', '', '2026-03-08 02:30:00');",
                n % 60
            )
        };
        let mut data: String = (0..200).map(conversation).collect();
        let long = "🦀".repeat(244);
        let by_hand = format!(
            "INSERT INTO conversations VALUES ('{long}', 'ana', '2026-01-01', '2026-01-01', '{{}}', 'k');
             INSERT INTO messages VALUES ('{long}-assistant', '{long}', 'assistant', {said} repeat('word ', 300000), '2026-01-01', NULL, 42);
             INSERT INTO conversations (conversation_id, user_id) VALUES ('empty', 'ana'), ('', 'ana');
             INSERT INTO conversations VALUES ('nulls', NULL, NULL, NULL, NULL, NULL);
             INSERT INTO messages VALUES ('hand-1', NULL, 'user', {said} 'of no conversation', '2026-01-01', NULL, NULL);
             INSERT INTO messages VALUES ('hand-2', 'nulls', 'user', {said} 'without a time', NULL, NULL, NULL);"
        );
        data.push_str(&by_hand);
        if self == Self::CommandLine {
            data += "UPDATE conversations SET vector_embedding = 'kept';";
        }
        data
    }
}

/// What the original's readers ask, in its own words, of the rows to which nothing but their types was done. The types of
/// the times are written so that both databases answer alike.
struct OldSelect {
    before: &'static str,
    after: &'static str,
}

const OLD_SELECTS: [OldSelect; 3] = [
    OldSelect {
        before: "SELECT conversation_id, nullif(nullif(user_id, 'anonymous'), '') AS user_id, created_at, updated_at, metadata, s3_key
                 FROM conversations WHERE conversation_id <> 'nulls' ORDER BY conversation_id COLLATE \"C\"",
        after: "SELECT conversation_id, user_id, created_at AT TIME ZONE 'UTC' AS created_at,
                       updated_at AT TIME ZONE 'UTC' AS updated_at, metadata, s3_key
                FROM conversations WHERE conversation_id NOT IN ('nulls', 'legacy:unknown') ORDER BY conversation_id COLLATE \"C\"",
    },
    OldSelect {
        before: "SELECT message_id, conversation_id, role, content, timestamp, metadata, tokens_used
                 FROM messages WHERE message_id NOT LIKE 'hand-%' ORDER BY message_id COLLATE \"C\"",
        after: "SELECT message_id, conversation_id, role, content, timestamp AT TIME ZONE 'UTC' AS timestamp, metadata, tokens_used
                FROM messages WHERE message_id NOT LIKE 'hand-%' ORDER BY message_id COLLATE \"C\"",
    },
    OldSelect {
        before: "SELECT implementation_id, conversation_id, file_path, implementation_type, functionality, code_snippet, created_at
                 FROM implementations ORDER BY implementation_id COLLATE \"C\"",
        after: "SELECT implementation_id, conversation_id, file_path, implementation_type, functionality, code_snippet,
                       created_at AT TIME ZONE 'UTC' AS created_at
                FROM implementations ORDER BY implementation_id COLLATE \"C\"",
    },
];

async fn as_json(client: &Client, select: &str) -> String {
    let query = format!("SELECT jsonb_agg(to_jsonb(t))::text FROM ({select}) t");
    client.query_one(&query, &[]).await.unwrap().get(0)
}

/// Upgrades a database of the original by the role to whom its tables are handed over.
async fn is_upgraded(original: Original) {
    let stack = stack().await;
    let database = stack.database("original").await.unwrap();
    let mut client = database.superuser().await.unwrap();
    // The server's own zone must not matter: the original wrote UTC.
    client
        .batch_execute("SET TimeZone = 'America/Sao_Paulo'")
        .await
        .unwrap();
    client.batch_execute(&original.tables()).await.unwrap();
    client.batch_execute(&original.data()).await.unwrap();
    let mut before = Vec::new();
    for select in &OLD_SELECTS {
        before.push(as_json(&client, select.before).await);
    }

    upgrade(&mut client, &format!("{}_owner", database.name)).await;

    for (select, before) in OLD_SELECTS.iter().zip(before) {
        let after = as_json(&client, select.after).await;
        assert!(
            after == before,
            "the old reader sees something else: {}",
            select.before
        );
    }
    if original == Original::CommandLine {
        let kept = "SELECT count(*) FROM conversations WHERE vector_embedding = 'kept'";
        assert_eq!(number(&client, kept).await, 204, "embeddings are kept");
    }
    assert_owners_and_counters(&client).await;
    assert_conversations_go_on(&client).await;
}

async fn upgrade(client: &mut Client, owner: &str) {
    client
        .batch_execute(&format!(
            "CREATE ROLE {owner} NOLOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {owner}; SET ROLE {owner}"
        ))
        .await
        .unwrap();
    let plan = migrate::plan(client).await.unwrap();
    assert_eq!(plan.state, State::Original);
    assert_eq!(plan.not_owned.len(), 3, "{:?}", plan.not_owned);
    let refused = migrate::apply(client).await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::NotOwned { .. }),
        "{refused:?}"
    );

    client.batch_execute("RESET ROLE").await.unwrap();
    let handed_over = migrate::hand_over(client, owner).await.unwrap();
    assert_eq!(handed_over.len(), 3, "{handed_over:?}");
    assert_eq!(
        migrate::hand_over(client, owner).await.unwrap(),
        [""; 0],
        "nothing is handed over twice"
    );
    client
        .batch_execute(&format!("SET ROLE {owner}"))
        .await
        .unwrap();
    let report = migrate::apply(client).await.unwrap();
    assert_eq!(report.before, State::Original);
    assert_eq!(report.applied.len(), migrate::MIGRATIONS.len());
}

async fn assert_owners_and_counters(client: &Client) {
    for (rows, query) in [
        (
            0,
            "SELECT count(*) FROM conversations WHERE user_id IN ('anonymous', '')",
        ),
        (
            40,
            "SELECT count(*) FROM conversations WHERE user_id = 'josé' AND owned_since = created_at",
        ),
        (
            403,
            "SELECT count(*) FROM messages WHERE event_id = 'legacy:' || conversation_id",
        ),
        (
            0,
            "SELECT count(*) FROM conversations c
             WHERE message_count <> (SELECT count(*) FROM messages m WHERE m.conversation_id = c.conversation_id)
                OR implementation_count <> (SELECT count(*) FROM implementations i WHERE i.conversation_id = c.conversation_id)",
        ),
    ] {
        assert_eq!(number(client, query).await, rows, "{query}");
    }
}

/// The old conversations go on: their owner may, another may not, and nobody's are claimed.
async fn assert_conversations_go_on(client: &Client) {
    let old = read::conversation(client, "default", "c-2").await.unwrap();
    let created_at = old.unwrap().summary.created_at;
    assert_eq!(
        created_at,
        OffsetDateTime::parse("2026-03-08T02:30:02Z", &Rfc3339).unwrap()
    );
    let next = Sample::new(&turn("c-2", "next", Some("ana"), 0));
    let foreign = Sample::new(&turn("c-2", "foreign", Some("eve"), 1));
    let nobodys = Sample::new(&turn("c-0", "claims", Some("new"), 0));
    assert_eq!(
        store_all(client, &[&next, &foreign, &nobodys], Ownership::Enforce).await,
        [Status::Stored, Status::Foreign, Status::Stored]
    );
    let old = read::conversation(client, "default", "c-2").await.unwrap();
    let old = old.unwrap();
    assert_eq!(old.summary.message_count, 4);
    let contents: Vec<_> = old
        .messages
        .iter()
        .map(|message| (message.role.as_str(), message.content.clone()))
        .collect();
    let expected = [
        ("user", "olá 2"),
        ("assistant", "hello 2"),
        ("user", "question of next"),
        ("assistant", "answer of next"),
    ];
    assert_eq!(
        contents,
        expected.map(|(role, text)| (role, canary::said(text)))
    );
    let old_writer = client
        .batch_execute("INSERT INTO messages (message_id, conversation_id, role, content) VALUES ('m', 'c-1', 'user', 'x')")
        .await;
    assert!(
        old_writer.is_err(),
        "the original's writer could store twice, so it must fail"
    );
}

#[tokio::test]
async fn a_database_of_the_originals_function_is_upgraded() {
    is_upgraded(Original::Function).await;
}

#[tokio::test]
async fn a_database_of_the_originals_command_line_is_upgraded() {
    is_upgraded(Original::CommandLine).await;
}

#[tokio::test]
async fn a_failed_migration_is_rolled_back() {
    let stack = stack().await;
    let database = stack.database("failed").await.unwrap();
    let mut client = database.superuser().await.unwrap();
    client
        .batch_execute(&Original::Function.tables())
        .await
        .unwrap();
    client
        .batch_execute("CREATE VIEW in_the_way AS SELECT created_at FROM conversations")
        .await
        .unwrap();
    let failed = migrate::apply(&mut client).await.unwrap_err();
    assert!(
        matches!(failed, MigrateError::Failed { version: 2, .. }),
        "{failed:?}"
    );
    assert_eq!(
        migrate::state(&client).await.unwrap(),
        State::Behind { version: 1 },
        "what came before it stays"
    );
    client.batch_execute("DROP VIEW in_the_way").await.unwrap();
    let applied = migrate::apply(&mut client).await.unwrap().applied;
    assert_eq!(applied.first().map(|migration| migration.version), Some(2));
    assert_eq!(migrate::state(&client).await.unwrap(), State::Current);
}
