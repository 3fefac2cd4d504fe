//! The conversation database on a real server: migrations, the ingest statement, reading.
//!
//! The library is called directly, because the questions are about its own interface: the same events in any order give
//! the same rows, and a history that does not fit is refused. What a release binary makes of it is in `capture`.

mod erasure;
mod events;
mod migrations;
mod order;
mod ownership;
mod reading;
pub mod rows;
mod statement;
mod upgrade;
mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use local::{Database, Stack, StackOptions};
use store::{Item, Ownership, Statements, Status, StoreError, migrate};
use tokio::time::Instant;
use tokio_postgres::Client;

use events::Sample;

/// How long one call of `ingest` may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

async fn stack() -> Stack {
    Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap()
}

/// A database of its own with the tables, and a connection to it.
async fn migrated(stack: &Stack, hint: &str) -> (Database, Client) {
    let database = stack.database(hint).await.unwrap();
    let mut client = database.superuser().await.unwrap();
    migrate::apply(&mut client).await.unwrap();
    (database, client)
}

/// Stores samples with an unnamed statement.
async fn store_all(client: &Client, samples: &[&Sample], ownership: Ownership) -> Vec<Status> {
    store_with(client, samples, ownership, Statements::Unnamed)
        .await
        .unwrap()
}

async fn store_with(
    client: &Client,
    samples: &[&Sample],
    ownership: Ownership,
    statements: Statements<'_>,
) -> Result<Vec<Status>, StoreError> {
    let items: Vec<Item<'_>> = samples.iter().map(|sample| sample.item()).collect();
    let deadline = Instant::now() + PATIENCE;
    store::ingest(client, &items, ownership, statements, deadline).await
}

/// The one number that a query answers with.
async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// How often each status was answered.
fn tally<'a>(statuses: impl IntoIterator<Item = &'a Status>) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for status in statuses {
        *tally.entry(status.as_str()).or_default() += 1;
    }
    tally
}
