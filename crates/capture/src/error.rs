//! Why an event is not kept, by what its sender does next.

use std::error::Error;
use std::sync::Arc;

use archive::ArchiveError;
use aurora_session::RunError;
use conversation::AdaptError;
use lambda_runtime::Diagnostic;
use store::{StoreError, Unstorable};

use crate::claim::ClaimError;
use crate::redaction::KeyError;
use crate::source::{RequestError, SourceError};

/// An event was not kept. A direct invocation fails with it; a queue delivers the message again.
///
/// No variant carries text of the event or names a user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The event came in an envelope that this version does not unwrap: change the event source. Nothing was stored.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The event cannot be taken out of its record: correct the source, or what puts records into it. Nothing was stored.
    #[error("the record has no event that can be read: {problem}")]
    Record {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The request is not accepted: see the variants. Nothing was stored.
    #[error("the request is not accepted")]
    Request(#[from] RequestError),
    /// The object that an event names is not taken: see the variants. Nothing was stored.
    #[error("the object with the event is not taken")]
    Claim(#[from] ClaimError),
    /// The event is not JSON: repair the sender. The input was put aside. On a queue such a message counts as handled.
    #[error("the event cannot be read and was put aside, key: {key}")]
    Unreadable {
        /// Key of the input in the bucket.
        key: String,
        /// Where reading stopped.
        source: AdaptError,
    },
    /// The event is JSON that no adapter knows: send one of the shapes that it names. Nothing was stored.
    #[error(transparent)]
    UnknownShape(AdaptError),
    /// The event is of a known shape with a field that cannot be meant: repair the field. Nothing was stored.
    #[error(transparent)]
    InvalidField(AdaptError),
    /// Other content was captured under the same tenant, conversation and event id: give every event an id of its own.
    /// The input was put aside. On a queue such a message counts as handled.
    #[error(
        "other content was captured under event id `{event_id}` before, the input was put aside, key: {key}"
    )]
    Conflict {
        /// The id that both have.
        event_id: String,
        /// Key of the input in the bucket.
        key: String,
    },
    /// The conversation belongs to another user than the event names: correct the conversation's id or the user's. The
    /// input was put aside. On a queue such a message counts as handled.
    #[error(
        "the conversation of event `{event_id}` belongs to another user, the input was put aside, key: {key}"
    )]
    Foreign {
        /// The event's id.
        event_id: String,
        /// Key of the input in the bucket.
        key: String,
    },
    /// The person or the conversation was erased: do not send the event again.
    #[error(
        "the user or the conversation of event `{event_id}` was erased, remove the object with key: {key}"
    )]
    Erased {
        /// The event's id.
        event_id: String,
        /// Key of the object, which was written before the database could tell.
        key: String,
    },
    /// The database cannot hold what the event contains: look at the event. It is archived, its rows are not stored.
    #[error("the database cannot hold the event")]
    Unstorable(#[source] Unstorable),
    /// S3 did not take the event: send it again.
    #[error("the archive has not taken the event")]
    Archive(#[source] Arc<ArchiveError>),
    /// The database did not take the rows, though the archive may have the object: send the event again.
    #[error("the database has not taken the event")]
    Database(#[source] Arc<RunError<StoreError>>),
    /// There is no key to redact with: look at its secret, then send the event again. Nothing was stored.
    #[error("without the key of redaction nothing is taken in")]
    Key(#[source] Arc<KeyError>),
    /// The invocation's time ran out: send the event again.
    #[error("the invocation's time ran out while {step} was under way")]
    Late {
        /// What was under way.
        step: &'static str,
    },
    /// Objects of other events have filled the memory of the invocation: send the event again, or fewer of them at a time.
    #[error("the objects of other events have left no room for that of this one")]
    NoRoom,
    /// The event was left on its way, which is a defect of this function: send it again.
    #[error("the event was not carried to its end")]
    Unfinished,
    /// An earlier message of the same FIFO group failed, and order counts: the queue delivers both again.
    #[error("an earlier message of its group failed")]
    HeldBack,
}

impl CaptureError {
    /// The error's stable name: `errorType` of a failed invocation, `error_code` in the log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(SourceError::NotAccepted { .. }) => "Capture.SourceNotAccepted",
            Self::Source(SourceError::BadRecord { .. }) | Self::Record { .. } => {
                "Capture.BadRecord"
            }
            Self::Claim(ClaimError::Fetch(_)) => "Capture.ClaimUnavailable",
            Self::Claim(_) => "Capture.ClaimRefused",
            Self::Request(RequestError::NoUser) => "Capture.Unidentified",
            Self::Request(RequestError::NoTenant | RequestError::OtherTenant) => "Capture.Tenant",
            Self::Request(_) => "Capture.BadRequest",
            Self::Unreadable { .. } => "Capture.BadInput",
            Self::UnknownShape(_) => "Capture.UnknownShape",
            Self::InvalidField(_) => "Capture.InvalidField",
            Self::Conflict { .. } => "Capture.Conflict",
            Self::Foreign { .. } => "Capture.Foreign",
            Self::Erased { .. } => "Capture.Erased",
            Self::Unstorable(_) => "Capture.Unstorable",
            Self::Archive(_) => "Capture.ArchiveUnavailable",
            Self::Database(_) => "Capture.DatabaseUnavailable",
            Self::Key(_) => "Capture.KeyUnavailable",
            Self::Late { .. } => "Capture.DeadlineReached",
            Self::NoRoom => "Capture.NoRoom",
            Self::Unfinished => "Capture.Unfinished",
            Self::HeldBack => "Capture.HeldBack",
        }
    }

    /// The same error for another event that it stops as well.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Archive(error) => Self::Archive(Arc::clone(error)),
            Self::Late { step } => Self::Late { step },
            _ => Self::Unfinished,
        }
    }

    /// What the sender is told: this error, its nearest cause and that one's code. What lies deeper, such as host names and
    /// the server's own words, is for the log.
    pub fn message(&self) -> String {
        match (self.source(), self.cause_code()) {
            (None, _) => self.to_string(),
            (Some(cause), None) => format!("{self}: {cause}"),
            (Some(cause), Some(code)) => match self.sqlstate() {
                Some(sqlstate) => format!("{self}: {cause} (`{code}`, SQLSTATE {sqlstate})"),
                None => format!("{self}: {cause} (`{code}`)"),
            },
        }
    }

    fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Database(error) => match &**error {
                RunError::Work(error) => error.sqlstate(),
                _ => None,
            },
            _ => None,
        }
    }

    fn cause_code(&self) -> Option<&str> {
        match self {
            Self::Archive(error) => Some(error.code()),
            Self::Database(error) => match &**error {
                RunError::Session(error) => Some(error.code()),
                RunError::Work(error) => Some(error.code()),
                _ => None,
            },
            Self::Key(error) => match error.as_ref() {
                KeyError::Secret { source, .. } => Some(&source.failure().code),
                KeyError::Short { .. } | KeyError::Late { .. } => None,
            },
            _ => None,
        }
    }
}

impl From<AdaptError> for CaptureError {
    /// Takes an error of an event that is JSON; [`CaptureError::Unreadable`] needs a key besides.
    fn from(error: AdaptError) -> Self {
        match error {
            AdaptError::Invalid { .. } => Self::InvalidField(error),
            error => Self::UnknownShape(error),
        }
    }
}

impl From<CaptureError> for Diagnostic {
    fn from(error: CaptureError) -> Self {
        Self {
            error_type: error.code().to_owned(),
            error_message: error.message(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aurora_session::SessionError;

    use super::*;

    #[test]
    fn a_sender_gets_the_type_and_the_nearest_cause() {
        let secret_id = "application".to_owned();
        let error = CaptureError::Database(Arc::new(RunError::Session(SessionError::NoHost {
            secret_id,
        })));
        let diagnostic = Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "Capture.DatabaseUnavailable");
        insta::assert_snapshot!(diagnostic.error_message, @"the database has not taken the event: neither the settings nor secret application name the database's host (`NO_HOST`)");
    }
}
