//! What can go wrong when the local stack is started or asked for something.

use std::io;
use std::path::PathBuf;

use crate::canary::Find;
use crate::wait::TimedOut;

/// A failure of the local stack, by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that must be on the machine or in the checkout is not: do what `remedy` says.
    #[error("{what}; {remedy}")]
    Missing {
        /// What was looked for, and where.
        what: String,
        /// The command or setting that provides it.
        remedy: String,
    },
    /// A server ended or answered wrongly while it started: read its log, or paste the command line.
    #[error("{server} did not start: {reason}\ncommand: {command}\nlog:\n{log}")]
    Start {
        /// Which server.
        server: &'static str,
        /// What was seen.
        reason: String,
        /// The command line, ready to paste.
        command: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// Something did not happen in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The operating system refused something.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, in the infinitive.
        doing: String,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// PostgreSQL refused something of the set-up.
    #[error("cannot {doing}")]
    Database {
        /// What was being done, in the infinitive.
        doing: String,
        /// The refusal; its `as_db_error` has the SQLSTATE.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The AWS API on loopback answered with an error.
    #[error("cannot {doing}: {reason}")]
    Api {
        /// What was being done, in the infinitive.
        doing: String,
        /// The answer.
        reason: String,
    },
    /// A variable or file that configures the stack holds something unusable.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable or file.
        name: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// A server has written down what nobody may read: find out who sent it there.
    #[error("a password or what somebody said is in what the servers wrote down:\n{}", listing(.0))]
    Canaries(Vec<Find>),
    /// There is no function of that name.
    #[error("no function is defined under this name: {0}")]
    NoFunction(String),
    /// The release binary of a function is not there.
    #[error("the binary is missing: {}; `make build` makes it", .0.display())]
    NoBinary(PathBuf),
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing: doing.into(),
            source,
        }
    }

    pub(crate) fn database(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database {
            doing: doing.into(),
            source,
        }
    }
}

/// How many finds are shown; a leak that happens always has thousands.
const LISTED: usize = 50;

fn listing(finds: &[Find]) -> String {
    let mut lines: Vec<String> = finds.iter().take(LISTED).map(ToString::to_string).collect();
    if let Some(more) = finds.len().checked_sub(LISTED + 1) {
        lines.push(format!("and {} more", more + 1));
    }
    lines.join("\n")
}

/// An error with its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
