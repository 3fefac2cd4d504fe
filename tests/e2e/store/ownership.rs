//! Whose a conversation is, and what stays refused.

use std::sync::Arc;

use local::canary::said;
use serde_json::json;
use store::{Ownership, Prepared, Statements, Status, read};
use tokio::sync::Barrier;

use super::events::{Sample, turn};
use super::rows::{assert_counters, assert_same, dump};
use super::{migrated, number, stack, store_all, store_with};

/// Of users who begin the same conversation at the same instant exactly one owns it, and the rows are theirs alone.
#[tokio::test]
async fn one_user_wins_a_conversation() {
    const USERS: usize = 8;
    const ROUNDS: usize = 40;
    let stack = stack().await;
    let (database, observer) = migrated(&stack, "owner").await;
    let mut clients = Vec::new();
    for _ in 0..USERS {
        clients.push(Arc::new((
            database.superuser().await.unwrap(),
            Prepared::new(),
        )));
    }
    for round in 0..ROUNDS {
        let conversation = format!("c{round}");
        let start = Arc::new(Barrier::new(USERS));
        let mut attempts = Vec::new();
        for (number, client) in clients.iter().enumerate() {
            // One of them says no name.
            let user = (number > 0).then(|| format!("u{number}"));
            let samples = [0, 1].map(|part| {
                let event = format!("e{number}-{part}");
                Sample::new(&turn(&conversation, &event, user.as_deref(), part))
            });
            let (client, start) = (Arc::clone(client), Arc::clone(&start));
            attempts.push(tokio::spawn(async move {
                let (client, prepared) = &*client;
                start.wait().await;
                let mut statuses = Vec::new();
                for sample in &samples {
                    let named = Statements::Named(prepared);
                    let stored = store_with(client, &[sample], Ownership::Enforce, named).await;
                    statuses.extend(stored.unwrap());
                }
                (user, statuses)
            }));
        }
        let mut winners = Vec::new();
        for attempt in attempts {
            let (user, statuses) = attempt.await.unwrap();
            match (user, statuses.as_slice()) {
                (Some(user), [Status::Stored, Status::Stored]) => winners.push(user),
                // Nobody may begin, but not go on once there is an owner.
                (_, [Status::Foreign, Status::Foreign])
                | (None, [Status::Stored, Status::Stored | Status::Foreign]) => {}
                (user, statuses) => panic!("round {round}: {user:?} got {statuses:?}"),
            }
        }
        let found = read::conversation(&observer, "default", &conversation)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        assert_eq!(
            found.summary.user_id.as_ref(),
            winners.first(),
            "round {round}"
        );
        assert_eq!(
            found.events.len(),
            2 * USERS,
            "round {round}: every event is on record"
        );
    }
    assert_counters(&observer).await;
}

#[tokio::test]
async fn refusals_are_final() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "refusals").await;
    let first = Sample::new(&turn("c", "e1", Some("ana"), 0));
    let mut other = turn("c", "e1", Some("ana"), 0);
    other["messages"][0]["parts"][0]["content"] = json!(said("other words"));
    let other = Sample::new(&other);
    let foreign = Sample::new(&turn("c", "e2", Some("eve"), 1));
    let nameless = Sample::new(&turn("c", "e3", None, 2));
    let second = Sample::new(&turn("c", "e4", Some("ana"), 3));
    let elsewhere = Sample::new(&turn("d", "e1", Some("eve"), 0));

    // In one batch, with copies, and then again one by one.
    let batch = [
        (&first, Status::Stored),
        (&other, Status::Conflict),
        (&first, Status::Duplicate),
        (&foreign, Status::Foreign),
        (&nameless, Status::Foreign),
        (&second, Status::Stored),
        (&elsewhere, Status::Stored),
        (&foreign, Status::Foreign),
    ];
    let statuses = store_all(
        &client,
        &batch.each_ref().map(|(sample, _)| *sample),
        Ownership::Enforce,
    )
    .await;
    assert_eq!(statuses, batch.map(|(_, expected)| expected));
    let contested = "SELECT count(*) FROM capture_events WHERE conflicted_at IS NOT NULL";
    assert_eq!(number(&client, contested).await, 1);

    let rows = dump(&client).await;
    for ownership in [Ownership::Enforce, Ownership::Record] {
        for (sample, expected) in [
            (&first, Status::Duplicate),
            (&other, Status::Conflict),
            (&foreign, Status::Foreign),
            (&nameless, Status::Foreign),
            (&second, Status::Duplicate),
        ] {
            assert_eq!(
                store_all(&client, &[sample], ownership).await,
                [expected],
                "again under {ownership:?}"
            );
        }
    }
    assert_same(&rows, &dump(&client).await, "after the same again");
    assert_counters(&client).await;
    let found = read::conversation(&client, "default", "c").await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.summary.user_id.as_deref(), Some("ana"));
    assert_eq!(found.messages.len(), 4);
    let ledger: Vec<_> = found
        .events
        .iter()
        .map(|event| {
            (
                event.event_id.as_str(),
                event.outcome.as_str(),
                event.conflicted_at.is_some(),
            )
        })
        .collect();
    assert_eq!(
        ledger,
        [
            ("e1", "stored", true),
            ("e2", "foreign", false),
            ("e3", "foreign", false),
            ("e4", "stored", false)
        ]
    );
}

/// Nobody's conversation takes anybody, and the first who is named owns it.
#[tokio::test]
async fn the_first_name_claims_a_nameless_conversation() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "claims").await;
    let start = Sample::new(&turn("open", "e1", None, 0));
    let claim = Sample::new(&turn("open", "e2", Some("ana"), 1));
    let late = Sample::new(&turn("open", "e3", None, 2));
    for (sample, expected) in [
        (&start, Status::Stored),
        (&claim, Status::Stored),
        (&late, Status::Foreign),
        (&start, Status::Duplicate),
    ] {
        assert_eq!(
            store_all(&client, &[sample], Ownership::Enforce).await,
            [expected]
        );
    }
}

/// A conversation that is deleted takes its ledger with it.
#[tokio::test]
async fn what_was_deleted_comes_back_when_it_is_delivered_again() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "deleted").await;
    let sample = Sample::new(&turn("c", "e1", Some("ana"), 0));
    store_all(&client, &[&sample], Ownership::Enforce).await;
    let rows = dump(&client).await;
    client
        .batch_execute("DELETE FROM conversations")
        .await
        .unwrap();
    assert_eq!(
        store_all(&client, &[&sample], Ownership::Enforce).await,
        [Status::Stored]
    );
    assert_same(&rows, &dump(&client).await, "delivered again");
}
