//! The conversation database: its migrations, the one statement that writes to it, and what reads it back.
//!
//! Start at [`migrate::apply`] for the tables, [`ingest()`] for the way in, [`read`] for the way out and [`sweep`] for what
//! holds it against the archive. All SQL of these tables is here, and every statement that runs beside the migrations' files
//! is listed in [`STATEMENTS`].
//!
//! This crate opens no connection and keeps none: it is handed a [`tokio_postgres::Client`]. It sends no `SET` and holds
//! no lock beyond a transaction, so a transaction pooler may stand in between.

mod error;
mod ingest;
pub mod migrate;
pub mod read;
pub mod sweep;

pub use error::StoreError;
pub use ingest::{Archived, Item, Ownership, Prepared, Statements, Status, Unstorable, ingest};

/// Every statement but those in the migrations' files, by name: a test prepares each of them against the migrated schema.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("ingest", ingest::SQL),
    ("read.conversation", read::CONVERSATION),
    ("read.messages", read::MESSAGES),
    ("read.implementations", read::IMPLEMENTATIONS),
    ("read.conversations", read::CONVERSATIONS),
    ("read.events", read::EVENTS),
    ("read.totals", read::TOTALS),
    ("sweep.known", sweep::KNOWN),
    ("sweep.ledger", sweep::LEDGER),
    ("sweep.told", sweep::TOLD),
    ("sweep.named", sweep::NAMED),
    ("sweep.counters", sweep::COUNTERS),
    ("migrate.applied", migrate::APPLIED),
    ("migrate.tables", migrate::TABLES),
    ("migrate.hand_over", migrate::HAND_OVER),
    ("migrate.patience", migrate::PATIENCE),
    ("migrate.take_lock", migrate::TAKE_LOCK),
    ("migrate.impatience", migrate::IMPATIENCE),
    ("migrate.create_history", migrate::CREATE_HISTORY),
    ("migrate.record", migrate::RECORD),
];
