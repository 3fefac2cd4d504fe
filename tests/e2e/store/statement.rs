//! The ingest statement itself: how many it takes, and what content it bears.

use std::collections::BTreeMap;

use local::canary::said;
use local::canary::servers::search_server;
use local::{Stack, StackOptions};
use serde_json::{Value, json};
use store::{Ownership, Prepared, Statements, Status};

use super::events::{Sample, full_history, turn};
use super::{migrated, number, stack, store_all, store_with, tally};

/// One statement per invocation, whatever is in it.
#[tokio::test]
async fn one_statement_per_invocation() {
    const CALLS: &str = "
        SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = $1";
    let stack = stack().await;
    let (database, client) = migrated(&stack, "calls").await;
    let server = stack.server().superuser("postgres").await.unwrap();
    let calls = async || -> i64 {
        let row = server.query_one(CALLS, &[&database.name]).await.unwrap();
        row.get(0)
    };
    let events: Vec<Sample> = full_history("c", Some("u"), 50)
        .iter()
        .map(Sample::new)
        .collect();
    let prepared = Prepared::new();
    for statements in [Statements::Named(&prepared), Statements::Unnamed] {
        for batch in [&events[..1], &events[..10], &events[..], &events[7..8], &[]] {
            let before = calls().await;
            let batch: Vec<_> = batch.iter().collect();
            store_with(&client, &batch, Ownership::Enforce, statements)
                .await
                .unwrap();
            assert_eq!(
                calls().await - before,
                i64::from(!batch.is_empty()),
                "statements for {} items, {statements:?}",
                batch.len()
            );
        }
    }
    let named = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%INTO capture_events%' AND statement NOT LIKE '%pg_prepared_statements%'";
    assert_eq!(number(&client, named).await, 1, "it is prepared once");
}

#[tokio::test]
async fn a_prepared_statement_outlives_its_connection() {
    let stack = stack().await;
    let (database, client) = migrated(&stack, "prepared").await;
    let sample = Sample::new(&turn("c", "e1", Some("u"), 0));
    let prepared = Prepared::new();
    let named = Statements::Named(&prepared);
    let first = store_with(&client, &[&sample], Ownership::Enforce, named).await;
    assert_eq!(first.unwrap(), [Status::Stored]);
    drop(client);
    let client = database.superuser().await.unwrap();
    let again = store_with(&client, &[&sample], Ownership::Enforce, named).await;
    assert_eq!(again.unwrap(), [Status::Duplicate]);
}

/// So many characters that do not compress, separated every `every`, of four bytes each.
fn noise(seed: u64, words: usize, every: usize, between: &str) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut word = || -> String {
        (0..every)
            .map(|_| random.char('\u{20000}'..'\u{2A6D0}'))
            .collect()
    };
    (0..words).map(|_| word()).collect::<Vec<_>>().join(between)
}

/// An id of 512 bytes, the longest there is: several of them stand in one row of an index.
fn longest_id(seed: u64) -> String {
    noise(seed, 1, 128, "")
}

/// Contents at the limits of PostgreSQL: of a page, of an index row, of a text search vector.
#[tokio::test]
async fn hostile_content_is_stored() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "hostile").await;
    let texts = [
        "a".repeat(1_100_000),
        noise(7, 100_000, 1, " "),
        noise(7, 60_000, 2, " "),
        noise(7, 60_000, 2, "-"),
        noise(7, 100_000, 1, "-"),
        (0..40_000)
            .map(|number| format!("a{number}.co/{number}"))
            .collect::<Vec<_>>()
            .join(" "),
        "\u{0}\u{1}\u{7f}\u{fffd}😀 \\u0000 ' $1 \"".to_owned(),
        String::new(),
    ];
    let largest: Value = serde_json::from_str("1e308").unwrap();
    let sample = |(number, text): (usize, &String)| {
        let id = |seed: u64| format!("{number}-{}", &longest_id(seed)[..480]);
        let mut event = turn(&longest_id(1), &id(2), Some(&longest_id(3)), 0);
        event["tenant_id"] = json!(longest_id(4));
        event["messages"][0]["message_id"] = json!(id(5));
        event["messages"][0]["parts"][0]["content"] = json!(text);
        event["messages"][0]["parts"][0]["number"] = largest.clone();
        event["implementations"] =
            json!([{"file_path": text, "functionality": "", "code_snippet": text, "type": text}]);
        event["context"] = json!({"text": text, "\u{0}": [[[]]]});
        Sample::new(&event)
    };
    let samples: Vec<Sample> = texts.iter().enumerate().map(sample).collect();
    let statuses = store_all(
        &client,
        &samples.iter().collect::<Vec<_>>(),
        Ownership::Enforce,
    )
    .await;
    assert_eq!(
        tally(&statuses),
        BTreeMap::from([("stored", texts.len())]),
        "{statuses:?}"
    );
}

/// A limit that this release does not know of fails the one item, not its neighbours.
///
/// The server tells its own log which row it has refused, unless it is told to be terse.
#[tokio::test]
async fn content_that_the_server_refuses_fails_alone() {
    let options = StackOptions::from_environment().unwrap();
    let options = options.own_postgres(|server| server.setting("log_error_verbosity", "terse"));
    let stack = Stack::start(options).await.unwrap();
    let (_, client) = migrated(&stack, "poison").await;
    client
        .batch_execute("ALTER TABLE messages ADD CONSTRAINT unknown CHECK (content NOT LIKE '%poison%') NOT VALID")
        .await
        .unwrap();
    let mut poison = turn("p", "poison", Some("u"), 0);
    poison["messages"][0]["parts"][0]["content"] = json!(said("poison"));
    let samples = [
        turn("p", "e1", Some("u"), 0),
        poison,
        turn("q", "e1", Some("u"), 0),
    ]
    .map(|event| Sample::new(&event));
    let prepared = Prepared::new();
    for good in [Status::Stored, Status::Duplicate] {
        let statuses = store_with(
            &client,
            &samples.each_ref(),
            Ownership::Enforce,
            Statements::Named(&prepared),
        )
        .await
        .unwrap();
        assert!(
            matches!(&statuses[..], [first, Status::Unstorable(_), last] if *first == good && *last == good),
            "{statuses:?}"
        );
    }
    assert_eq!(
        number(&client, "SELECT count(*) FROM capture_events").await,
        2
    );
    let log = stack.server().log().unwrap();
    assert!(log.contains("violates check constraint \"unknown\""));
    assert_eq!(search_server(stack.server()).await.unwrap(), []);
}
