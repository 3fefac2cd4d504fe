//! A conversation is read in the order in which it was said.

use local::canary::said;
use store::{Ownership, read};
use tokio_postgres::Client;

use super::events::{Sample, full_history, turn, undated};
use super::{migrated, stack, store_all};

/// Stores samples in batches of `size`, in their order.
async fn store_in_batches(client: &Client, samples: &[Sample], size: usize) {
    for batch in samples.chunks(size) {
        store_all(
            client,
            &batch.iter().collect::<Vec<_>>(),
            Ownership::Enforce,
        )
        .await;
    }
}

async fn conversation(client: &Client, id: &str) -> read::Conversation {
    let found = read::conversation(client, "default", id).await.unwrap();
    found.unwrap_or_else(|| panic!("conversation {id} is not there"))
}

fn contents(conversation: &read::Conversation) -> Vec<&str> {
    let messages = conversation.messages.iter();
    messages.map(|message| message.content.as_str()).collect()
}

#[tokio::test]
async fn a_conversation_reads_in_order_however_it_came() {
    const TURNS: usize = 20;
    let stack = stack().await;
    let (_, client) = migrated(&stack, "read").await;
    let events = full_history("c", Some("u"), TURNS);
    let mut samples: Vec<Sample> = events.iter().map(Sample::new).collect();
    fastrand::shuffle(&mut samples);
    store_in_batches(&client, &samples, 3).await;

    let found = conversation(&client, "c").await;
    let said: Vec<String> = (0..TURNS)
        .flat_map(|turn| [said(format!("q{turn}")), said(format!("a{turn}"))])
        .collect();
    assert_eq!(contents(&found), said);
    // What an answer says of itself stays, although every later event sends it again.
    for (turn, answer) in found.messages.iter().skip(1).step_by(2).enumerate() {
        assert_eq!(answer.model, Some(format!("m{turn}")));
        assert_eq!(
            answer.finish_reason.as_deref(),
            Some("stop"),
            "answer {turn}"
        );
        assert_eq!(
            answer.input_tokens,
            Some(100 + i32::try_from(turn).unwrap()),
            "answer {turn}"
        );
    }
    assert_eq!(found.summary.message_count, 40);
    assert_eq!(found.summary.input_tokens, (100..120).sum::<i64>());
    assert_eq!(found.events.len(), TURNS);
}

/// Without a time, an event happened when it arrived, whatever its id.
#[tokio::test]
async fn undated_events_read_in_order_of_arrival() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "undated").await;
    let ids: Vec<String> = (0..12).map(|number| format!("e{}", 99 - number)).collect();
    let samples: Vec<Sample> = ids
        .iter()
        .map(|id| Sample::new(&undated(turn("undated", id, Some("u"), 0))))
        .collect();
    store_in_batches(&client, &samples, 5).await;
    let said: Vec<String> = ids
        .iter()
        .flat_map(|id| {
            [
                said(format!("question of {id}")),
                said(format!("answer of {id}")),
            ]
        })
        .collect();
    assert_eq!(contents(&conversation(&client, "undated").await), said);
}

#[tokio::test]
async fn the_list_is_limited_and_the_totals_are_exact() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "totals").await;
    let events = [
        turn("a", "e1", Some("ana"), 0),
        turn("a", "e2", Some("eve"), 1),
        turn("b", "e1", Some("ana"), 2),
    ];
    store_in_batches(&client, &events.map(|event| Sample::new(&event)), 3).await;
    let list = read::conversations(&client, 1).await.unwrap();
    let listed: Vec<_> = list
        .iter()
        .map(|summary| summary.conversation_id.as_str())
        .collect();
    assert_eq!(listed, ["b"], "the last to be spoken in comes first");
    let totals = read::totals(&client).await.unwrap();
    assert_eq!(
        (
            totals.conversations,
            totals.messages,
            totals.events_stored,
            totals.events_refused
        ),
        (2, 4, 2, 1)
    );
}
