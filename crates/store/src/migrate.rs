//! The schema's versions and how a database gets from one to the next.
//!
//! A migration is an SQL file with a number, a name and a checksum. Each runs in one transaction that first takes the
//! advisory transaction lock [`LOCK`], so any number of runs at the same time do the work once, and a failed one leaves
//! the database at the version before it. What was applied is in `schema_migrations`.
//!
//! Version 1 is the shape that the original capture function made, version 2 turns it into ours: a database of the
//! original is upgraded in place, and an empty one goes the same way.
//!
//! Run by an operator's step, never by the capture function: it takes locks that stop writers, and it needs the
//! owner's rights, though neither a superuser's nor any extension.

mod error;
mod history;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::error::StoreError;
pub use error::MigrateError;

/// Key of the advisory lock that a migration holds: the bytes of `turnkeep` as a big-endian number,
/// 8391739299248563568.
pub const LOCK: i64 = i64::from_be_bytes(*b"turnkeep");

/// One step of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Its number: 1, 2, 3 … without gaps.
    pub version: i32,
    /// What it makes, as in its file name.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// All migrations that this program knows, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "original",
        sql: include_str!("../migrations/0001_original.sql"),
    },
    Migration {
        version: 2,
        name: "turnkeep",
        sql: include_str!("../migrations/0002_turnkeep.sql"),
    },
];

/// The last version that this program knows.
pub const LATEST: i32 = match MIGRATIONS {
    [.., last] => last.version,
    [] => 0,
};

impl Migration {
    /// SHA-256 of the SQL text, in hexadecimal digits.
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.sql))
    }
}

/// A row of `schema_migrations`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// [`Migration::version`]
    pub version: i32,
    /// [`Migration::name`]
    pub name: String,
    /// [`Migration::checksum`] at the time.
    pub checksum: String,
    /// When its transaction began.
    pub applied_at: OffsetDateTime,
}

/// Where a database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// None of our tables is there.
    Empty,
    /// The original capture function's tables, never migrated.
    Original,
    /// Migrated, but not to [`LATEST`].
    Behind {
        /// The last version applied.
        version: i32,
    },
    /// Ready for this program.
    Current,
}

/// What [`apply`] would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Where the database stands.
    pub state: State,
    /// What was applied, in order.
    pub applied: Vec<Applied>,
    /// What is left to do, in order.
    pub pending: Vec<&'static Migration>,
    /// Our tables that another role owns, whose rights the current role does not have: while something is pending,
    /// [`apply`] refuses to start, and [`hand_over`] is the remedy.
    pub not_owned: Vec<NotOwned>,
}

/// A table of ours that another role owns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotOwned {
    /// The table's name.
    pub table: String,
    /// The role that owns it.
    pub owner: String,
}

/// What [`apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Where the database stood.
    pub before: State,
    /// What this run applied: nothing, if nothing was left or another run was faster.
    pub applied: Vec<&'static Migration>,
}

/// The rows of `schema_migrations`.
pub(crate) const APPLIED: &str =
    "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version";

/// Our tables as far as they exist: whether they have the columns that we build on, and who owns them.
pub(crate) const TABLES: &str = "
SELECT
    expected.name,
    expected.columns <@ ARRAY(
        SELECT attname::text FROM pg_attribute WHERE attrelid = pg_class.oid AND NOT attisdropped
    ) AS is_ours,
    pg_get_userbyid(pg_class.relowner)::text AS owner,
    pg_has_role(pg_class.relowner, 'USAGE') AS is_owned
FROM (VALUES
    ('schema_migrations', ARRAY['version', 'name', 'checksum', 'applied_at']),
    ('conversations', ARRAY['conversation_id', 'user_id', 'created_at', 'updated_at', 'metadata', 's3_key']),
    ('messages', ARRAY['message_id', 'conversation_id', 'role', 'content', 'timestamp', 'metadata', 'tokens_used']),
    ('implementations', ARRAY[
        'implementation_id', 'conversation_id', 'file_path', 'implementation_type', 'functionality', 'code_snippet',
        'created_at'
    ]),
    ('capture_events', ARRAY['tenant_id', 'conversation_id', 'event_id', 'outcome']),
    ('erasures', ARRAY['tenant_id', 'subject_kind', 'subject_hash'])
) AS expected (name, columns)
JOIN pg_class ON pg_class.oid = to_regclass(expected.name)
ORDER BY expected.name";

/// The statements that give our tables of the current role to role `$1`.
pub(crate) const HAND_OVER: &str = "
SELECT expected.name, format('ALTER TABLE %s OWNER TO %I', pg_class.oid::regclass, $1::text) AS statement
FROM unnest(ARRAY[
    'schema_migrations', 'conversations', 'messages', 'implementations', 'capture_events', 'erasures'
]) AS expected (name)
JOIN pg_class ON pg_class.oid = to_regclass(expected.name)
WHERE pg_get_userbyid(pg_class.relowner) = current_user AND current_user <> $1::text";

pub(crate) const CREATE_HISTORY: &str = "
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)";

pub(crate) const RECORD: &str =
    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

/// Rewriting a large table takes what it takes, so the role's own timeouts do not apply.
pub(crate) const PATIENCE: &str = "
SELECT
    set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('client_min_messages', 'warning', true)";

pub(crate) const TAKE_LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// Waiting for a table does not go on for ever: whoever wants to write meanwhile waits behind the migration.
pub(crate) const IMPATIENCE: &str = "SET LOCAL lock_timeout = '10s'";

/// Tells where the database stands. Writes nothing and takes no lock.
pub async fn state(client: &Client) -> Result<State, MigrateError> {
    plan(client).await.map(|plan| plan.state)
}

/// Tells what [`apply`] would do. Writes nothing and takes no lock.
pub async fn plan(client: &Client) -> Result<Plan, MigrateError> {
    let mut tables = Vec::new();
    let mut not_owned = Vec::new();
    for row in client.query_typed(TABLES, &[]).await? {
        let table: String = row.try_get("name")?;
        if !row.try_get("is_ours")? {
            return Err(MigrateError::ForeignTable { table });
        }
        if !row.try_get("is_owned")? {
            not_owned.push(NotOwned {
                table: table.clone(),
                owner: row.try_get("owner")?,
            });
        }
        tables.push(table);
    }
    let applied = if tables.iter().any(|table| table == "schema_migrations") {
        applied(client).await?
    } else {
        Vec::new()
    };
    let pending = history::pending(&applied, MIGRATIONS)?;
    let state = match (applied.last(), pending.is_empty()) {
        (_, true) => State::Current,
        (Some(last), false) => State::Behind {
            version: last.version,
        },
        (None, false) if tables.is_empty() => State::Empty,
        (None, false) => State::Original,
    };
    Ok(Plan {
        state,
        applied,
        pending,
        not_owned,
    })
}

/// Applies every migration that is missing, each in its own transaction. Safe to repeat and to run concurrently; the
/// key that makes it so is the version in `schema_migrations`, read under [`LOCK`].
///
/// The current role becomes the owner of what is created.
pub async fn apply(client: &mut Client) -> Result<Report, MigrateError> {
    let plan = plan(client).await?;
    if let (Some(NotOwned { table, owner }), false) =
        (plan.not_owned.into_iter().next(), plan.pending.is_empty())
    {
        return Err(MigrateError::NotOwned { table, owner });
    }
    let mut applied = Vec::new();
    while !plan.pending.is_empty() {
        let transaction = client.transaction().await?;
        let Some(migration) = lock_and_choose(&transaction).await? else {
            break;
        };
        let failed = |error| MigrateError::Failed {
            version: migration.version,
            name: migration.name,
            source: StoreError::from(error),
        };
        run(&transaction, migration).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        applied.push(migration);
    }
    Ok(Report {
        before: plan.state,
        applied,
    })
}

/// Makes `owner` the owner of those of our tables that belong to the current role: for a database of the original,
/// whose tables belong to the master user. Returns their names. Repeating it changes nothing.
///
/// PostgreSQL wants the current role to be a member of `owner`, and `owner` to have `CREATE` on the schema.
pub async fn hand_over(client: &mut Client, owner: &str) -> Result<Vec<String>, MigrateError> {
    let transaction = client.transaction().await?;
    let mut tables = Vec::new();
    for row in transaction
        .query_typed(HAND_OVER, &[(&owner, Type::TEXT)])
        .await?
    {
        transaction.batch_execute(row.try_get("statement")?).await?;
        tables.push(row.try_get("name")?);
    }
    transaction.commit().await?;
    Ok(tables)
}

/// Takes the lock, and tells what is the next migration now that nobody else can apply one.
async fn lock_and_choose(
    transaction: &Transaction<'_>,
) -> Result<Option<&'static Migration>, MigrateError> {
    transaction.batch_execute(PATIENCE).await?;
    transaction
        .query_typed(TAKE_LOCK, &[(&LOCK, Type::INT8)])
        .await?;
    transaction.batch_execute(IMPATIENCE).await?;
    transaction.batch_execute(CREATE_HISTORY).await?;
    let applied = applied(transaction.client()).await?;
    Ok(history::pending(&applied, MIGRATIONS)?.first().copied())
}

async fn run(
    transaction: &Transaction<'_>,
    migration: &Migration,
) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(migration.sql).await?;
    let checksum = migration.checksum();
    transaction
        .execute_typed(
            RECORD,
            &[
                (&migration.version, Type::INT4),
                (&migration.name, Type::TEXT),
                (&checksum, Type::TEXT),
            ],
        )
        .await?;
    Ok(())
}

async fn applied(client: &Client) -> Result<Vec<Applied>, tokio_postgres::Error> {
    client
        .query_typed(APPLIED, &[])
        .await?
        .iter()
        .map(|row| {
            Ok(Applied {
                version: row.try_get("version")?,
                name: row.try_get("name")?,
                checksum: row.try_get("checksum")?,
                applied_at: row.try_get("applied_at")?,
            })
        })
        .collect()
}
