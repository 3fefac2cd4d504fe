//! The way in: one SQL statement for all captures of an invocation.
//!
//! What the statement promises, in the order in which it decides:
//!
//! - An event is stored once. The key that makes it so is (tenant, conversation, event id) in the ledger,
//!   `capture_events`; its outcome is final.
//! - A conversation has one owner. Under [`Ownership::Enforce`] that is the first user who was stored for it; under
//!   [`Ownership::Record`] it is the user of the earliest event, whenever that arrives.
//! - The rows do not depend on the order, number or grouping of deliveries: of several tellings of one message or
//!   implementation the best one stays, counters count rows that were really added, and a conversation's own fields are
//!   a minimum, a maximum, or those of its latest event. Under `Enforce` this holds for the events of the owner; which
//!   of two users owns a conversation, and whether an event without a user came before it was owned, is a matter of
//!   arrival.
//!
//! Columns that tell of the arrival and not of the event are excepted: `ingested_at`, `received_at`, `updated_at`,
//! `conflicted_at`, `source`, `s3_version_id`; and where an event without a time takes part, which counts as having
//! happened when it arrived, `timestamp`, `created_at`, `last_message_at` and what a conversation shows of its latest
//! event.

mod batch;
mod outcome;

use std::sync::{Mutex, PoisonError};
use std::{fmt, slice};

use conversation::{Capture, Object};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row, Statement};

use crate::error::StoreError;
use batch::Batch;
pub use outcome::{Status, Unstorable};

/// The statement; see its own comments.
pub(crate) const SQL: &str = include_str!("../sql/ingest.sql");

/// How often a statement is sent that others are in the way of. Losing the race for a new conversation's owner happens
/// once, a deadlock cannot happen between writers of ours; more than this is something else.
const ATTEMPTS: u32 = 5;

/// A capture whose object lies in the bucket.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What to store.
    pub capture: &'a Capture,
    /// Where its object lies.
    pub archived: Archived<'a>,
}

/// Where a capture's object lies.
///
/// The object's content must be this capture's: whoever is told that the key holds something else has a conflict
/// already and must not ingest, or a ledger row would name an object that is not its own.
#[derive(Clone, Copy, Debug)]
pub struct Archived<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version id, where the bucket keeps versions.
    pub version_id: Option<&'a str>,
    /// SHA-256 of the stored bytes.
    pub sha256: &'a [u8; 32],
    /// How many bytes are stored.
    pub bytes: usize,
    /// When it was archived, if that was not just now: an event that has no time of its own happened then.
    pub at: Option<OffsetDateTime>,
}

impl<'a> Archived<'a> {
    /// `object` as it lies in `bucket`, put just now.
    pub fn new(bucket: &'a str, object: &'a Object, version_id: Option<&'a str>) -> Self {
        Self {
            bucket,
            key: &object.key,
            version_id,
            sha256: &object.sha256,
            bytes: object.body.len(),
            at: None,
        }
    }
}

/// What happens to another user's event for a conversation that has an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// It is refused as [`Status::Foreign`], and so is an event that names no user.
    #[default]
    Enforce,
    /// It is stored.
    Record,
}

/// How the statement is sent.
#[derive(Clone, Copy, Debug)]
pub enum Statements<'a> {
    /// Parsed once per connection: for a connection of one's own, directly or through a session pooler.
    Named(&'a Prepared),
    /// Parsed every time, in the same round trip: for a transaction pooler, where the next statement may meet another
    /// server process.
    Unnamed,
}

/// The statement as one connection knows it. Keep it beside the connection; it notices by itself when the connection
/// was replaced.
#[derive(Default)]
pub struct Prepared {
    statement: Mutex<Option<Statement>>,
}

impl Prepared {
    /// Nothing is prepared before the first use.
    pub fn new() -> Self {
        Self::default()
    }

    fn get(&self) -> Option<Statement> {
        self.statement
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, statement: Option<Statement>) {
        *self
            .statement
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = statement;
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// Stores `items` and tells what became of each, in their order. Repeating it changes nothing.
///
/// It is one statement. It is sent again, at most five times in all, if others were in its way; and if the server
/// refuses the content, once for each item, so that one item cannot fail the others. When `deadline` has passed the
/// answer is [`StoreError::TimedOut`], although the statement may still take effect.
pub async fn ingest(
    client: &Client,
    items: &[Item<'_>],
    ownership: Ownership,
    statements: Statements<'_>,
    deadline: Instant,
) -> Result<Vec<Status>, StoreError> {
    let started = Instant::now();
    let way = Way {
        client,
        ownership,
        statements,
    };
    timeout_at(deadline, way.store(items))
        .await
        .unwrap_or_else(|_| {
            Err(StoreError::TimedOut {
                waited: started.elapsed(),
            })
        })
}

/// How to the database.
#[derive(Clone, Copy)]
struct Way<'a> {
    client: &'a Client,
    ownership: Ownership,
    statements: Statements<'a>,
}

impl Way<'_> {
    async fn store(self, items: &[Item<'_>]) -> Result<Vec<Status>, StoreError> {
        match self.store_together(items).await {
            Err(error) if is_about_content(&error) => {
                let mut statuses = Vec::with_capacity(items.len());
                for item in items {
                    statuses.push(self.store_alone(item).await?);
                }
                Ok(statuses)
            }
            answered => answered,
        }
    }

    async fn store_alone(self, item: &Item<'_>) -> Result<Status, StoreError> {
        match self.store_together(slice::from_ref(item)).await {
            Err(error) if is_about_content(&error) => {
                let sqlstate = error.sqlstate().unwrap_or_default().to_owned();
                Ok(Status::Unstorable(Unstorable::Content { sqlstate }))
            }
            answered => answered?.pop().ok_or(StoreError::Unexpected),
        }
    }

    async fn store_together(self, items: &[Item<'_>]) -> Result<Vec<Status>, StoreError> {
        let mut statuses = vec![None; items.len()];
        let mut batch = Batch::default();
        for ((position, item), status) in items.iter().enumerate().zip(&mut statuses) {
            *status = batch.push(position, item).err().map(Status::Unstorable);
        }
        for row in self.send(&batch).await? {
            let position = usize::try_from(row.try_get::<_, i32>("position")?).ok();
            if let Some(status) = position.and_then(|position| statuses.get_mut(position)) {
                *status = Status::parse(row.try_get("status")?);
            }
        }
        statuses
            .into_iter()
            .collect::<Option<_>>()
            .ok_or(StoreError::Unexpected)
    }

    /// Sends the statement until nobody is in its way.
    async fn send(self, batch: &Batch<'_>) -> Result<Vec<Row>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempt = 1;
        loop {
            match self.query(batch).await {
                Err(cause) if is_in_the_way(&cause) => {
                    if attempt == ATTEMPTS {
                        return Err(StoreError::Busy(cause));
                    }
                    attempt += 1;
                }
                answered => return Ok(answered?),
            }
        }
    }

    async fn query(self, batch: &Batch<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        let enforce = self.ownership == Ownership::Enforce;
        let parameters = batch.parameters(&enforce);
        let Statements::Named(prepared) = self.statements else {
            return self.client.query_typed(SQL, &parameters).await;
        };
        let (values, types): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
        if let Some(statement) = prepared.get() {
            match self.client.query(&statement, &values).await {
                // 26000: this connection is not the one that it was prepared on.
                Err(error) if error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => {
                    prepared.set(None);
                }
                answered => return answered,
            }
        }
        let statement = self.client.prepare_typed(SQL, &types).await?;
        prepared.set(Some(statement.clone()));
        self.client.query(&statement, &values).await
    }
}

/// Whether the same statement will succeed once others are out of its way: after a deadlock, when a conversation was
/// deleted under it (23503), or when one got its owner meanwhile (22012: see the statement).
fn is_in_the_way(cause: &tokio_postgres::Error) -> bool {
    [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::FOREIGN_KEY_VIOLATION,
        SqlState::DIVISION_BY_ZERO,
    ]
    .iter()
    .any(|state| cause.code() == Some(state))
}

/// Whether the server cannot hold a value: a data exception, a limit of the program or a violated check.
fn is_about_content(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(_))
        && error.sqlstate().is_some_and(|state| {
            state.starts_with("22") || state.starts_with("54") || state == "23514"
        })
}
