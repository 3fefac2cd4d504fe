//! Why the schema is not migrated.

use thiserror::Error;

use crate::error::StoreError;

/// Why the schema is not migrated, by what the operator does next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The file of a migration was changed after it had been applied here: use the program that it was applied with, or
    /// put the change into a new migration.
    #[error(
        "migration {version} `{name}` was applied with another text; checksum of this program: {known}, of the database: {applied}"
    )]
    Edited {
        /// Number of the migration.
        version: i32,
        /// Its name in the database.
        name: String,
        /// Its checksum in the database.
        applied: String,
        /// The checksum of this program's file.
        known: String,
    },
    /// A newer program has migrated this database: update this one.
    #[error(
        "the database is newer than this program, which knows version {latest}; update it to one that knows version: {found}"
    )]
    Newer {
        /// The last version applied.
        found: i32,
        /// The last version known.
        latest: i32,
    },
    /// `schema_migrations` lacks a version before one that it has: somebody deleted or inserted rows.
    #[error("`schema_migrations` has a later version but not version: {missing}")]
    Gap {
        /// The first version that is not there.
        missing: i32,
    },
    /// There is a table of this name that is not ours: use another database, or another schema in the role's
    /// `search_path`.
    #[error(
        "a table of this name belongs to another program, use a database or a schema without it: `{table}`"
    )]
    ForeignTable {
        /// The table's name.
        table: String,
    },
    /// A table belongs to a role whose rights the current one does not have: hand it over first.
    #[error(
        "the current role may not alter table `{table}`; hand it over first, as its owner: `{owner}`"
    )]
    NotOwned {
        /// The table's name.
        table: String,
        /// The role that owns it.
        owner: String,
    },
    /// A migration failed and was rolled back: the database is as it was before it.
    #[error("migration {version} `{name}` failed and was rolled back")]
    Failed {
        /// Number of the migration.
        version: i32,
        /// Its name.
        name: &'static str,
        /// What the server said.
        #[source]
        source: StoreError,
    },
    /// The server did not answer what was asked about the schema.
    #[error("cannot read or lock the schema's version")]
    Store(#[source] StoreError),
}

impl MigrateError {
    /// The error's stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Edited { .. } => "migration_edited",
            Self::Newer { .. } => "schema_newer",
            Self::Gap { .. } => "schema_gap",
            Self::ForeignTable { .. } => "schema_foreign_table",
            Self::NotOwned { .. } => "schema_not_owned",
            Self::Failed { .. } => "migration_failed",
            Self::Store(error) => error.code(),
        }
    }
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(StoreError::from(error))
    }
}
