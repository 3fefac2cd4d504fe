//! What a failed statement means for the caller.

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::Error as Cause;
use tokio_postgres::error::SqlState;

/// A statement on the conversation database that failed, by what the caller does next.
///
/// The driver's error is the source of it. Print that by the first line of its `Display` only: what follows, and its
/// `Debug`, hold the server's `DETAIL`, which quotes rows. `Debug` of this type leaves it out.
#[derive(Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The connection is gone or the server is going, and nothing is known about the statement's effect. All
    /// statements of this crate may be repeated, so get a new connection and do.
    #[error("lost the connection to the database")]
    Disconnected(#[source] Cause),
    /// The deadline passed. The statement may still take effect; repeating it does no harm.
    #[error("no answer from the database within {} ms", waited.as_millis())]
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    },
    /// Other work was in the way (deadlock, serialization failure, lock or statement timeout, no connection slot, no
    /// memory or disk): retry later.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// A table or column is missing: run `turnkeep create-tables`.
    #[error("the tables are missing or older than this program; run `turnkeep create-tables`")]
    NotMigrated(#[source] Cause),
    /// The login role may not do this: run `turnkeep create-tables` with the master secret, which repairs the grants.
    #[error(
        "the login role lacks a privilege; `turnkeep create-tables` with the master secret repairs the grants"
    )]
    Denied(#[source] Cause),
    /// Anything else that the server or the driver refused.
    #[error("the database refused the statement")]
    Refused(#[source] Cause),
    /// The server answered what no statement of ours can answer: a defect of this crate.
    #[error("unexpected answer from the database")]
    Unexpected,
}

impl StoreError {
    /// The error's stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disconnected(_) => "store_disconnected",
            Self::TimedOut { .. } => "store_timed_out",
            Self::Busy(_) => "store_busy",
            Self::NotMigrated(_) => "store_not_migrated",
            Self::Denied(_) => "store_denied",
            Self::Refused(_) => "store_refused",
            Self::Unexpected => "store_unexpected",
        }
    }

    /// The SQLSTATE, if the server gave one: five characters.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Disconnected(cause)
            | Self::Busy(cause)
            | Self::NotMigrated(cause)
            | Self::Denied(cause)
            | Self::Refused(cause) => cause.code().map(SqlState::code),
            Self::TimedOut { .. } | Self::Unexpected => None,
        }
    }
}

/// Shows name and SQLSTATE, never what the server quotes.
impl fmt::Debug for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("StoreError")
            .field(&self.code())
            .field(&self.sqlstate())
            .finish()
    }
}

impl From<Cause> for StoreError {
    fn from(cause: Cause) -> Self {
        match cause.code().map(meaning) {
            Some(Meaning::Gone) => Self::Disconnected(cause),
            Some(Meaning::Busy) => Self::Busy(cause),
            Some(Meaning::NotMigrated) => Self::NotMigrated(cause),
            Some(Meaning::Denied) => Self::Denied(cause),
            None if is_broken(&cause) => Self::Disconnected(cause),
            Some(Meaning::Other) | None => Self::Refused(cause),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Gone,
    Busy,
    NotMigrated,
    Denied,
    Other,
}

/// What a SQLSTATE means here (PostgreSQL documentation, appendix A).
fn meaning(state: &SqlState) -> Meaning {
    let class = state.code().get(..2).unwrap_or_default();
    match *state {
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_SESSION_TIMEOUT
        // After a failover the old writer is a reader: a new connection finds the new one.
        | SqlState::READ_ONLY_SQL_TRANSACTION => Meaning::Gone,
        SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED => Meaning::Busy,
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => Meaning::NotMigrated,
        SqlState::INSUFFICIENT_PRIVILEGE => Meaning::Denied,
        _ if class == "08" => Meaning::Gone,
        _ if class == "53" => Meaning::Busy,
        _ => Meaning::Other,
    }
}

fn is_broken(cause: &Cause) -> bool {
    use std::error::Error as _;
    cause.is_closed()
        || cause
            .source()
            .is_some_and(<dyn std::error::Error>::is::<io::Error>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sqlstates: &[&str], expected: Meaning) {
        for sqlstate in sqlstates {
            assert_eq!(
                meaning(&SqlState::from_code(sqlstate)),
                expected,
                "{sqlstate}"
            );
        }
    }

    #[test]
    fn a_sqlstate_is_read_by_what_the_caller_does_next() {
        check(
            &[
                "57P01", "57P02", "57P03", "57P05", "25006", "08006", "08P01",
            ],
            Meaning::Gone,
        );
        check(
            &[
                "40P01", "40001", "55P03", "57014", "53300", "53200", "53100",
            ],
            Meaning::Busy,
        );
        check(&["42P01", "42703"], Meaning::NotMigrated);
        check(&["42501"], Meaning::Denied);
        check(
            &["23505", "23514", "22P05", "42601", "XX000"],
            Meaning::Other,
        );
    }

    #[test]
    fn a_time_out_says_how_long_and_debug_says_which() {
        let error = StoreError::TimedOut {
            waited: Duration::from_millis(1500),
        };
        assert_eq!(
            error.to_string(),
            "no answer from the database within 1500 ms"
        );
        assert_eq!(
            format!("{error:?}"),
            r#"StoreError("store_timed_out", None)"#
        );
    }
}
