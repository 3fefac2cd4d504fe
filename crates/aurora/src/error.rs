//! Why a login failed.

use std::fmt;
use std::io;

use thiserror::Error;

use crate::Retry;
use crate::state::Meaning;

/// How far TLS had got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Nothing agreed yet.
    Unsettled,
    /// Encrypted, and the server's certificate and name verified.
    Tls,
    /// The server has no TLS and the caller allows that.
    Plaintext,
}

/// Where a login was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Host name or address as given.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How far TLS had got.
    pub transport: Transport,
}

/// What the other side owed us when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The address of the host name.
    Dns,
    /// The TCP connection: as if packets were dropped (security group, route).
    Tcp,
    /// The answer to the TLS request: TCP is accepted, but nothing answers (paused database, proxy
    /// without a backend).
    TlsAnswer,
    /// The TLS handshake.
    TlsHandshake,
    /// The outcome of the login.
    Authentication,
}

/// A login that failed, by what the caller does next. No variant holds a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// SQLSTATE 28P01 or 28000: try other credentials.
    #[error("login refused by {place} with {sqlstate}: {message}")]
    Refused {
        /// Where.
        place: Place,
        /// `28P01` or `28000`.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// SQLSTATE 57P03: the server is starting, stopping or resuming; wait.
    #[error("{place} does not take connections yet, {sqlstate}: {message}")]
    Starting {
        /// Where.
        place: Place,
        /// `57P03`.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// SQLSTATE 53300: no connection is free; wait.
    #[error("{place} has no connection free, {sqlstate}: {message}")]
    TooManyConnections {
        /// Where.
        place: Place,
        /// `53300`.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// SQLSTATE 3D000: no such database; repair the settings.
    #[error("no such database on {place}, {sqlstate}: {message}")]
    UnknownDatabase {
        /// Where.
        place: Place,
        /// `3D000`.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// Any other SQLSTATE; [`LoginError::retry`] knows what it asks for.
    #[error("login failed on {place} with {sqlstate}: {message}")]
    Database {
        /// Where.
        place: Place,
        /// The SQLSTATE.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// The host name has no address, or the connection was refused, reset or closed: wait.
    #[error("connection to {place} failed")]
    Unreachable {
        /// Where.
        place: Place,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The deadline passed first.
    #[error("{place} did not answer in time: waited for {waiting}")]
    TimedOut {
        /// Where.
        place: Place,
        /// For what.
        waiting: Waiting,
    },
    /// The server's certificate is not acceptable: wrong roots, wrong name, expired. Repair the
    /// roots (`DB_CA_BUNDLE`) or the host name.
    #[error("certificate of {place} not accepted: {reason}")]
    Certificate {
        /// Where.
        place: Place,
        /// The TLS library's words.
        reason: String,
    },
    /// The TLS handshake failed for another reason.
    #[error("tls handshake with {place} failed: {reason}")]
    Handshake {
        /// Where.
        place: Place,
        /// The TLS library's words.
        reason: String,
    },
    /// The server has no TLS, and plaintext is not allowed.
    #[error("{place} offers no tls")]
    NoTls {
        /// Where.
        place: Place,
    },
    /// What answers does not behave as PostgreSQL does, or wants a way of logging in that is not
    /// supported.
    #[error("{place} does not speak the protocol as expected")]
    Protocol {
        /// Where.
        place: Place,
        /// The driver's reason.
        #[source]
        source: tokio_postgres::Error,
    },
}

impl LoginError {
    /// Whether other credentials may help: SQLSTATE 28P01 or 28000, nothing else.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The SQLSTATE, if the server answered with one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused { sqlstate, .. }
            | Self::Starting { sqlstate, .. }
            | Self::TooManyConnections { sqlstate, .. }
            | Self::UnknownDatabase { sqlstate, .. }
            | Self::Database { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }

    /// Where the login was tried.
    pub fn place(&self) -> &Place {
        match self {
            Self::Refused { place, .. }
            | Self::Starting { place, .. }
            | Self::TooManyConnections { place, .. }
            | Self::UnknownDatabase { place, .. }
            | Self::Database { place, .. }
            | Self::Unreachable { place, .. }
            | Self::TimedOut { place, .. }
            | Self::Certificate { place, .. }
            | Self::Handshake { place, .. }
            | Self::NoTls { place }
            | Self::Protocol { place, .. } => place,
        }
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "LOGIN_REFUSED",
            Self::Starting { .. } => "DATABASE_STARTING",
            Self::TooManyConnections { .. } => "TOO_MANY_CONNECTIONS",
            Self::UnknownDatabase { .. } => "UNKNOWN_DATABASE",
            Self::Database { .. } => "LOGIN_FAILED",
            Self::Unreachable { .. } => "DATABASE_UNREACHABLE",
            Self::TimedOut { .. } => "DATABASE_TIMED_OUT",
            Self::Certificate { .. } => "CERTIFICATE_NOT_ACCEPTED",
            Self::Handshake { .. } => "TLS_FAILED",
            Self::NoTls { .. } => "NO_TLS",
            Self::Protocol { .. } => "PROTOCOL",
        }
    }

    /// When the same login, with the same credentials, may succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { sqlstate, .. }
            | Self::Starting { sqlstate, .. }
            | Self::TooManyConnections { sqlstate, .. }
            | Self::UnknownDatabase { sqlstate, .. }
            | Self::Database { sqlstate, .. } => match Meaning::of_code(sqlstate).retry() {
                // A server that ends sessions needs a moment before it opens new ones.
                Retry::Now => Retry::Later,
                other => other,
            },
            Self::Unreachable { .. } | Self::TimedOut { .. } => Retry::Later,
            Self::Certificate { .. }
            | Self::Handshake { .. }
            | Self::NoTls { .. }
            | Self::Protocol { .. } => Retry::Never,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        f.write_str(match self.transport {
            Transport::Unsettled => "",
            Transport::Tls => " (tls)",
            Transport::Plaintext => " (plaintext)",
        })
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the address of the host name",
            Self::Tcp => "the tcp connection",
            Self::TlsAnswer => "the answer to the tls request",
            Self::TlsHandshake => "the tls handshake",
            Self::Authentication => "the outcome of the login",
        })
    }
}
