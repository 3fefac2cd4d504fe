//! How a connector gets a connection.

use std::cell::RefCell;

use aurora_session::{Event, Session};
use tokio::time::Instant;

use crate::refresh_once::RefreshOnce;

/// One program's way to the database, which all of its connectors share.
pub(crate) enum Client {
    Session(Session),
    RefreshOnce(RefreshOnce),
}

/// What came of one connect.
pub(crate) struct Attempt {
    /// Id of the version that was logged in with.
    pub(crate) outcome: Result<String, Failure>,
    pub(crate) refused: u32,
}

/// Why there is no connection.
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) reason: anyhow::Error,
}

/// What a client has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) refused: u64,
    pub(crate) reads: u64,
}

/// What the session has told of the connect that the task is at.
#[derive(Debug, Default)]
struct Seen {
    version_id: String,
    refused: u32,
}

tokio::task_local! {
    static SEEN: RefCell<Seen>;
}

/// For [`aurora_session::Builder::observer`], which is called on the task that connects.
pub(crate) fn note(event: &Event<'_>) {
    let noted = SEEN.try_with(|seen| match event {
        Event::LoggedIn { version_id, .. } => {
            (*version_id).clone_into(&mut seen.borrow_mut().version_id);
        }
        Event::Refused { .. } => seen.borrow_mut().refused += 1,
        _ => {}
    });
    debug_assert!(noted.is_ok(), "the session works on another task");
}

impl Client {
    /// Opens a connection and closes it.
    pub(crate) async fn connect(&self, deadline: Instant) -> Attempt {
        match self {
            Self::Session(session) => {
                let connecting = async {
                    let outcome = session.connect(deadline).await.map(drop);
                    (outcome, SEEN.with(RefCell::take))
                };
                let (outcome, seen) = SEEN.scope(RefCell::default(), connecting).await;
                Attempt {
                    outcome: outcome.map(|()| seen.version_id).map_err(|error| Failure {
                        code: error.code(),
                        reason: error.into(),
                    }),
                    refused: seen.refused,
                }
            }
            Self::RefreshOnce(client) => client.connect(deadline).await,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        match self {
            Self::Session(session) => {
                let counters = session.counters();
                Counts {
                    refused: counters.refusals.total(),
                    reads: counters.secret_reads,
                }
            }
            Self::RefreshOnce(client) => client.counts(),
        }
    }
}
