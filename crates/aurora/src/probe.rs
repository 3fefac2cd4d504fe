//! Whether the user logged in can do what its program needs, by a statement that an operator has chosen.

use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::state::{Meaning, Retry};
use crate::statement;

/// Why a probe failed, by what the caller does next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The server refused the statement: see [`ProbeError::retry`].
    #[error("{sqlstate}: {message}")]
    Database {
        /// The SQLSTATE.
        sqlstate: String,
        /// The server's message.
        message: String,
        /// When the same may succeed.
        retry: Retry,
    },
    /// The connection broke: log in again.
    #[error("connection lost")]
    Connection(#[source] tokio_postgres::Error),
    /// The deadline passed first.
    #[error("no answer in time")]
    TimedOut,
}

/// Runs an operator's statement in a transaction that is read-only and rolled back. The server gives up at `give_up`, and
/// the client at `deadline`, which has to be later.
///
/// The text is not among this crate's statements, because only the operator knows what the application needs; it comes
/// from the function's environment, which whoever may set it could replace together with the code. It is sent by the
/// extended protocol, which takes one statement only, so that it cannot end the transaction and go on behind it.
pub async fn run(
    client: &mut Client,
    sql: &str,
    give_up: Instant,
    deadline: Instant,
) -> Result<(), ProbeError> {
    let probe = async {
        let transaction = client.build_transaction().read_only(true).start().await?;
        let remaining = give_up.saturating_duration_since(Instant::now());
        // Zero would mean no limit.
        let milliseconds = i32::try_from(remaining.as_millis()).unwrap_or(i32::MAX);
        let milliseconds = milliseconds.max(1).to_string();
        // A query, so that there is a snapshot and the transaction can no longer be made one that writes.
        transaction
            .query_typed(statement::LIMIT_TRANSACTION, &[(&milliseconds, Type::TEXT)])
            .await?;
        transaction.execute_typed(sql, &[]).await?;
        transaction.rollback().await
    };
    match timeout_at(deadline, probe).await {
        Ok(answered) => answered.map_err(ProbeError::of),
        Err(_) => Err(ProbeError::TimedOut),
    }
}

impl ProbeError {
    /// When the same may succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Database { retry, .. } => *retry,
            Self::Connection(_) => Retry::Now,
            Self::TimedOut => Retry::Later,
        }
    }

    /// The SQLSTATE, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Database { sqlstate, .. } => Some(sqlstate),
            Self::Connection(_) | Self::TimedOut => None,
        }
    }

    fn of(error: tokio_postgres::Error) -> Self {
        let (Some(answer), Some(meaning)) = (error.as_db_error(), Meaning::of_error(&error)) else {
            return Self::Connection(error);
        };
        let sqlstate = answer.code().code();
        Self::Database {
            // The messages of class 22 quote values, which may be what somebody said in a conversation.
            message: if sqlstate.starts_with("22") {
                "a value in it cannot be used; the server's log has the message".to_owned()
            } else {
                answer.message().to_owned()
            },
            sqlstate: sqlstate.to_owned(),
            retry: match meaning {
                // It is the transaction that takes no writes, not the server.
                Meaning::ReadOnly => Retry::Never,
                _ => meaning.retry(),
            },
        }
    }
}
