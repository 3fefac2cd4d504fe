//! Many workers at once: exact rows, exact counters, exact statuses.

use std::collections::BTreeMap;

use local::Stack;
use serde_json::json;
use store::{Ownership, Prepared, Statements, Status};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::events::{Sample, entangled, full_history, turn};
use super::rows::{assert_counters, assert_same, dump};
use super::{PATIENCE, migrated, number, stack, store_all, store_with, tally};

const WORKERS: usize = 16;
const DELIVERIES: usize = 10;

/// Has the workers deliver every sample ten times in random batches, and compares with what one worker makes of them.
async fn deliver(stack: &Stack, samples: Vec<Sample>, ownership: Ownership) {
    let samples: &'static [Sample] = Vec::leak(samples);
    let (_, alone) = migrated(stack, "one").await;
    for batch in samples.chunks(50) {
        store_all(&alone, &batch.iter().collect::<Vec<_>>(), ownership).await;
    }

    let (database, client) = migrated(stack, "workers").await;
    let mut deliveries: Vec<&'static Sample> =
        (0..DELIVERIES).flat_map(|_| samples.iter()).collect();
    fastrand::shuffle(&mut deliveries);
    let mut workers = Vec::new();
    for share in deliveries.chunks(deliveries.len().div_ceil(WORKERS)) {
        let (client, share) = (database.superuser().await.unwrap(), share.to_vec());
        workers.push(tokio::spawn(async move {
            let prepared = Prepared::new();
            let (mut rest, mut statuses) = (share.as_slice(), Vec::new());
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(fastrand::usize(1..=rest.len().min(10)));
                let stored = store_with(&client, batch, ownership, Statements::Named(&prepared));
                statuses.extend(stored.await.unwrap());
                rest = after;
            }
            statuses
        }));
    }
    let mut statuses = Vec::new();
    for worker in workers {
        statuses.extend(worker.await.unwrap());
    }
    assert_eq!(
        tally(&statuses),
        BTreeMap::from([
            ("stored", samples.len()),
            ("duplicate", samples.len() * (DELIVERIES - 1))
        ])
    );
    assert_counters(&client).await;
    assert_same(
        &dump(&alone).await,
        &dump(&client).await,
        "sixteen workers against one",
    );
    assert_no_deadlock(&client).await;
}

/// A deadlock costs a second and the statement is sent again, so nothing else would show it.
async fn assert_no_deadlock(client: &Client) {
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    // A backend may keep what it counted to itself until it ends.
    local::wait::until(
        "the end of the workers' connections",
        PATIENCE,
        async || (number(client, OTHERS).await == 0).then_some(()),
    )
    .await
    .unwrap();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(client, deadlocks).await, 0, "deadlocks");
}

#[tokio::test]
async fn ten_deliveries_by_sixteen_workers_store_each_event_once() {
    let stack = stack().await;
    let mut events = Vec::new();
    for conversation in 0..8 {
        events.extend(full_history(&format!("full-{conversation}"), Some("u"), 25));
        for number in 0..25 {
            let mut event = turn(
                &format!("delta-{conversation}"),
                &format!("d{number}"),
                Some("u"),
                number,
            );
            event["implementations"] = json!([
                {"implementation_id": format!("i{}", number % 5), "file_path": "f", "type": "t", "code_snippet": "s"}
            ]);
            events.push(event);
        }
    }
    let samples = events.iter().map(Sample::new).collect();
    deliver(&stack, samples, Ownership::Enforce).await;
}

#[tokio::test]
async fn what_depends_on_order_does_not_depend_on_who_is_faster() {
    let stack = stack().await;
    for _ in 0..4 {
        deliver(&stack, entangled(), Ownership::Record).await;
    }
}

/// Everybody has something new for every conversation, in an order of their own.
#[tokio::test]
async fn writers_of_the_same_conversations_do_not_deadlock() {
    const CONVERSATIONS: usize = 20;
    const ROUNDS: usize = 25;
    let stack = stack().await;
    let (database, client) = migrated(&stack, "deadlock").await;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let client = database.superuser().await.unwrap();
        workers.push(tokio::spawn(async move {
            let prepared = Prepared::new();
            for round in 0..ROUNDS {
                let event = format!("{worker}-{round}");
                let new =
                    |conversation| Sample::new(&turn(&format!("c{conversation}"), &event, None, 0));
                let mut samples: Vec<Sample> = (0..CONVERSATIONS).map(new).collect();
                fastrand::shuffle(&mut samples);
                let batch: Vec<&Sample> = samples.iter().collect();
                let named = Statements::Named(&prepared);
                let statuses = store_with(&client, &batch, Ownership::Enforce, named).await;
                assert_eq!(
                    tally(&statuses.unwrap()),
                    BTreeMap::from([("stored", CONVERSATIONS)])
                );
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    assert_counters(&client).await;
    assert_no_deadlock(&client).await;
}

/// Conversations are deleted while workers write to them: no item fails, counters stay right, and what is delivered again
/// afterwards is whole.
#[tokio::test]
async fn deletions_are_not_in_the_way() {
    const ENOUGH: u32 = 10;
    let stack = stack().await;
    let (database, client) = migrated(&stack, "deletions").await;
    let samples: &'static [Sample] = Vec::leak(entangled());
    let all: Vec<&Sample> = samples.iter().collect();
    store_all(&client, &all, Ownership::Record).await;
    let expected = dump(&client).await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut workers = Vec::new();
    for _ in 0..6 {
        let client = database.superuser().await.unwrap();
        let stopped = stopped.clone();
        workers.push(tokio::spawn(async move {
            while !*stopped.borrow() {
                let batch: Vec<&Sample> =
                    (0..5).filter_map(|_| fastrand::choice(samples)).collect();
                for status in store_all(&client, &batch, Ownership::Record).await {
                    assert!(
                        matches!(status, Status::Stored | Status::Duplicate),
                        "{status:?}"
                    );
                }
            }
        }));
    }
    // In the writers' order of locks; the cascade alone would go the other way and end in deadlocks.
    let deletion = [
        "capture_events",
        "messages",
        "implementations",
        "conversations",
    ]
    .map(|table| format!("DELETE FROM {table} WHERE conversation_id IN ('history', 'collisions');"))
    .concat();
    let mut deleted = 0;
    while deleted < 3 * ENOUGH && workers.iter().all(|worker| !worker.is_finished()) {
        match client.batch_execute(&deletion).await {
            Ok(()) => deleted += 1,
            Err(error) => assert_eq!(
                error.code(),
                Some(&SqlState::T_R_DEADLOCK_DETECTED),
                "{error:?}"
            ),
        }
    }
    stop.send_replace(true);
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(deleted > ENOUGH, "{deleted} deletions prove nothing");
    assert_counters(&client).await;
    client
        .batch_execute("DELETE FROM conversations")
        .await
        .unwrap();
    store_all(&client, &all, Ownership::Record).await;
    assert_same(&expected, &dump(&client).await, "delivered again");
}
