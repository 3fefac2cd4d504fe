//! Why there is no session.

use aurora::{LoginError, Retry, TrustError};
use secrets::DocumentError;
use thiserror::Error;

use crate::SourceError;

/// No connection could be had, by what the caller does next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No version of the secret opens the database: find out which one should, and set it.
    #[error("no version of secret {secret_id} opens the database{}", note(unread.as_deref()))]
    Refused {
        /// ARN or name of the secret, or the name of its source.
        secret_id: String,
        /// The last refusal.
        #[source]
        source: LoginError,
        /// The last failure of the secret's source, if there was one: perhaps a version could not be
        /// read that would open it.
        unread: Option<Box<SourceError>>,
    },
    /// The database cannot be logged in to, for a reason that other credentials do not help with.
    #[error("no connection to the database")]
    Login(#[source] LoginError),
    /// The secret cannot be read.
    #[error("secret {secret_id} cannot be read")]
    Secret {
        /// ARN or name of the secret, or the name of its source.
        secret_id: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The current version of the secret can be read but not used.
    #[error("secret {secret_id} cannot be used")]
    Document {
        /// ARN or name of the secret, or the name of its source.
        secret_id: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// Neither the settings nor the secret name the database's host.
    #[error("neither the settings nor secret {secret_id} name the database's host")]
    NoHost {
        /// ARN or name of the secret, or the name of its source.
        secret_id: String,
    },
    /// The roots of trust cannot be used.
    #[error("roots of trust cannot be used")]
    Trust(#[source] TrustError),
    /// The deadline passed while another task was connecting.
    #[error("no connection to the database in time")]
    TimedOut,
}

/// Why [`crate::Session::run`] has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError<E: std::error::Error + 'static> {
    /// There was no connection to run it on. If the work had been begun on another one before, it
    /// was idempotent.
    #[error(transparent)]
    Session(SessionError),
    /// The work itself failed.
    #[error(transparent)]
    Work(E),
    /// The deadline passed while the work was under way; it is unknown what it did.
    #[error("the database did not answer in time")]
    TimedOut,
}

fn note(unread: Option<&SourceError>) -> String {
    match unread {
        None => String::new(),
        Some(SourceError::SecretsManager(error)) => {
            let failure = error.failure();
            format!("; {} failed with {}", failure.operation, failure.code)
        }
        Some(error) => format!("; reading it failed with {}", error.code()),
    }
}

impl SessionError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "NO_VERSION_ACCEPTED",
            Self::Login(source) => source.code(),
            Self::Secret { .. } => "SECRET_UNREADABLE",
            Self::Document { .. } => "SECRET_UNUSABLE",
            Self::NoHost { .. } => "NO_HOST",
            Self::Trust(_) => "TRUST_UNUSABLE",
            Self::TimedOut => "CONNECT_TIMED_OUT",
        }
    }

    /// When the same call may succeed.
    pub fn retry(&self) -> Retry {
        match self {
            // A rotation may be under way that takes longer than the caller could wait.
            Self::Refused { .. } | Self::TimedOut => Retry::Later,
            Self::Login(source) => source.retry(),
            Self::Secret { source, .. } => match source.retry() {
                secrets::Retry::Now => Retry::Now,
                secrets::Retry::Later => Retry::Later,
                secrets::Retry::Never => Retry::Never,
            },
            Self::Document { .. } | Self::NoHost { .. } | Self::Trust(_) => Retry::Never,
        }
    }
}
