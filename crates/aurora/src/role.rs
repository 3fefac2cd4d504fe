//! The database's roles.
//!
//! Written for a master user that is no superuser, as on Amazon RDS: it has `CREATEROLE` and
//! `CREATEDB`, and since PostgreSQL 16 may only change and grant roles on which it has
//! `ADMIN OPTION`, which it gets on those it creates.

mod change;
mod difference;
mod pair;
mod password;
mod setup;
mod survey;

use postgres_protocol::escape::escape_identifier;
use thiserror::Error;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

pub use change::{Change, Relation};
pub use difference::{Difference, Differences, compare};
pub use pair::{Pair, PairChange, set_alternate_password};
pub use password::{SetPasswordError, set_password};
pub use setup::{LoginRole, Roles, SessionLimits, apply, plan};

use crate::Retry;
use crate::state::Meaning;
use crate::statement::{self, Fill, fill};

/// A role name that PostgreSQL takes as it is: not empty, no NUL, at most 63 bytes (a longer one
/// would be cut off silently).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleName(String);

/// What is known of a role that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleFacts {
    /// `rolcanlogin`.
    pub can_login: bool,
    /// Seconds until `rolvaliduntil`, negative when passed; `None` without a limit. An expired role
    /// answers a login with 28P01, like a wrong password.
    pub expires_in: Option<i64>,
    /// `rolconnlimit`; `None` without a limit.
    pub connection_limit: Option<i32>,
}

/// Why something about a role failed, by what the caller does next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RoleError {
    /// A name PostgreSQL does not take: choose another.
    #[error("not a role name, 1 to 63 bytes without nul are accepted: {0:?}")]
    Name(String),
    /// The user logged in may not do it (42501): log in as one who may.
    #[error("no permission to {doing}: {message}")]
    PermissionDenied {
        /// What.
        doing: &'static str,
        /// The server's message.
        message: String,
    },
    /// Since PostgreSQL 16 the user logged in may change and grant only roles that it administers: have the statement run
    /// by the role's creator or by a superuser.
    #[error("cannot {doing}: {message}; repair it with `{repair}`")]
    AdminOptionMissing {
        /// What.
        doing: &'static str,
        /// The server's message.
        message: String,
        /// The statement that repairs it.
        repair: String,
    },
    /// `rds.restrict_password_commands` leaves passwords to the members of `rds_password` (42501): make the user logged in
    /// one, or let a master set the password.
    #[error(
        "cannot {doing}, because `rds.restrict_password_commands` is on: {message}; make the user a member of `rds_password`"
    )]
    PasswordsRestricted {
        /// What.
        doing: &'static str,
        /// The server's message.
        message: String,
    },
    /// A role has the name of the alternate user, but is not the application's: rename it, or the application's user.
    #[error(
        "a role that has nothing to do with the current user has the name of its alternate: {}",
        .0.as_str()
    )]
    NotAPair(RoleName),
    /// The deadline passed first, waiting for another transaction or for the server. Nothing was
    /// changed.
    #[error("no time left to {doing}")]
    TimedOut {
        /// What.
        doing: &'static str,
    },
    /// The connection broke or the deadline passed during the commit: the change may or may not be
    /// in effect. Find out with a login.
    #[error("no answer to the commit: it is unknown whether the change is in effect")]
    CommitUnknown(#[source] Option<tokio_postgres::Error>),
    /// The server refused for another reason.
    #[error("cannot {doing}, {sqlstate}: {message}")]
    Database {
        /// What.
        doing: &'static str,
        /// The SQLSTATE.
        sqlstate: String,
        /// The server's message.
        message: String,
        /// When the same may succeed.
        retry: Retry,
    },
    /// The connection broke. Nothing was changed.
    #[error("connection lost while trying to {doing}")]
    Connection {
        /// What.
        doing: &'static str,
        /// The driver's reason.
        #[source]
        source: tokio_postgres::Error,
    },
}

/// The longest identifier: `NAMEDATALEN` less the NUL at its end. Bytes, not characters.
const MAX_NAME_BYTES: usize = 63;

impl RoleName {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Self, RoleError> {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            return Err(RoleError::Name(name));
        }
        Ok(Self(name))
    }

    /// The name as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an SQL identifier, in quotes.
    pub fn quoted(&self) -> String {
        escape_identifier(&self.0)
    }
}

/// Acts as `role` from now on (`SET ROLE`); objects made meanwhile belong to it.
pub async fn assume(client: &Client, role: &RoleName) -> Result<(), RoleError> {
    let statement = fill(statement::SET_ROLE, &[("role", role.fill())]);
    let result = client.batch_execute(&statement).await;
    result.map_err(|error| RoleError::of("act as the role", error))
}

/// Ends [`assume`] (`RESET ROLE`).
pub async fn resume(client: &Client) -> Result<(), RoleError> {
    let result = client.batch_execute(statement::RESET_ROLE).await;
    result.map_err(|error| RoleError::of("stop acting as the role", error))
}

/// What is known of `role`; `None` if there is no such role.
pub async fn facts(client: &Client, role: &RoleName) -> Result<Option<RoleFacts>, RoleError> {
    let read = async {
        let row = client
            .query_typed_opt(statement::ROLE_FACTS, &[(&role.as_str(), Type::TEXT)])
            .await?;
        let Some(row) = row else { return Ok(None) };
        let limit: i32 = row.try_get(1)?;
        Ok(Some(RoleFacts {
            can_login: row.try_get(0)?,
            expires_in: row.try_get(2)?,
            connection_limit: (limit >= 0).then_some(limit),
        }))
    };
    read.await
        .map_err(|error| RoleError::of("read what is known of the role", error))
}

impl RoleName {
    fn fill(&self) -> Fill<'_> {
        Fill::Identifier(&self.0)
    }
}

impl RoleError {
    fn of(doing: &'static str, error: tokio_postgres::Error) -> Self {
        let (Some(answer), Some(meaning)) = (error.as_db_error(), Meaning::of_error(&error)) else {
            return Self::Connection {
                doing,
                source: error,
            };
        };
        match meaning {
            Meaning::PermissionDenied if answer.message().contains("rds_password") => {
                Self::PasswordsRestricted {
                    doing,
                    message: answer.message().to_owned(),
                }
            }
            Meaning::PermissionDenied => Self::PermissionDenied {
                doing,
                // Since PostgreSQL 16 only the detail says which right is missing; in statements
                // about roles it holds nothing but role names.
                message: match answer.detail() {
                    Some(detail) => format!("{}: {detail}", answer.message()),
                    None => answer.message().to_owned(),
                },
            },
            Meaning::Cancelled => Self::TimedOut { doing },
            _ => Self::Database {
                doing,
                sqlstate: answer.code().code().to_owned(),
                message: answer.message().to_owned(),
                retry: meaning.retry(),
            },
        }
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "ROLE_NAME",
            Self::PermissionDenied { .. } => "ROLE_PERMISSION_DENIED",
            Self::AdminOptionMissing { .. } => "ADMIN_OPTION_MISSING",
            Self::PasswordsRestricted { .. } => "PASSWORDS_RESTRICTED",
            Self::NotAPair(_) => "NOT_A_PAIR",
            Self::TimedOut { .. } => "ROLE_TIMED_OUT",
            Self::CommitUnknown(_) => "ROLE_COMMIT_UNKNOWN",
            Self::Database { .. } => "ROLE_REFUSED",
            Self::Connection { .. } => "ROLE_CONNECTION_LOST",
        }
    }

    /// When the same call may succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Name(_)
            | Self::PermissionDenied { .. }
            | Self::AdminOptionMissing { .. }
            | Self::PasswordsRestricted { .. }
            | Self::NotAPair(_) => Retry::Never,
            Self::TimedOut { .. } | Self::CommitUnknown(_) => Retry::Later,
            Self::Connection { .. } => Retry::Now,
            Self::Database { retry, .. } => *retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_measured_in_bytes() {
        assert!(RoleName::new("a".repeat(63)).is_ok());
        assert!(RoleName::new("a".repeat(64)).is_err());
        assert!(RoleName::new("ü".repeat(31)).is_ok());
        assert!(RoleName::new("ü".repeat(32)).is_err());
        assert!(RoleName::new("").is_err());
        assert!(RoleName::new("a\0b").is_err());
    }

    #[test]
    fn names_are_quoted() {
        let quoted = |name: &str| RoleName::new(name).unwrap().quoted();
        assert_eq!(quoted("ial_app"), "\"ial_app\"");
        assert_eq!(quoted("Robert\"; DROP"), "\"Robert\"\"; DROP\"");
    }
}
