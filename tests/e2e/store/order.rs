//! The same events in any order, any batches and any number of deliveries give the same rows.

use store::{Ownership, Prepared, Statements};

use super::events::{Sample, entangled};
use super::rows::{assert_counters, assert_same, dump};
use super::{migrated, stack, store_with, tally};

const ORDERS: u64 = 100;

#[tokio::test]
async fn a_hundred_orders_give_the_same_rows() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "order").await;
    let prepared = Prepared::new();
    let samples = entangled();
    let mut expected: Option<String> = None;
    for seed in 0..ORDERS {
        let mut random = fastrand::Rng::with_seed(seed);
        client
            .batch_execute("TRUNCATE conversations CASCADE")
            .await
            .unwrap();
        let repeated = &samples[..random.usize(..samples.len())];
        let mut deliveries: Vec<&Sample> = samples.iter().chain(repeated).collect();
        random.shuffle(&mut deliveries);

        let (mut rest, mut statuses) = (deliveries.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(random.usize(1..=rest.len().min(20)));
            let stored = store_with(
                &client,
                batch,
                Ownership::Record,
                Statements::Named(&prepared),
            );
            statuses.extend(stored.await.unwrap());
            rest = after;
        }
        let tally = tally(&statuses);
        assert_eq!(
            tally.get("stored"),
            Some(&samples.len()),
            "seed {seed}: {tally:?}"
        );
        assert_eq!(
            tally.get("duplicate").copied().unwrap_or_default(),
            repeated.len(),
            "seed {seed}: {tally:?}"
        );
        assert_counters(&client).await;
        let rows = dump(&client).await;
        match &expected {
            None => expected = Some(rows),
            Some(expected) => assert_same(expected, &rows, &format!("seed {seed}")),
        }
    }
}
