//! What an invocation counts, and what it is at, for its log line.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of an invocation's course, also where its time ran out.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) doing: Cell<&'static str>,
    pub(crate) logins: Cell<u32>,
    pub(crate) refused_logins: Cell<u32>,
    /// The version without a label in whose session the password was changed.
    pub(crate) recovered_from: RefCell<Option<String>>,
    committed_at: Cell<Option<Instant>>,
    gap: Cell<Option<Duration>>,
}

impl Progress {
    /// The server has answered the commit of the new password.
    pub(super) fn committed(&self) {
        self.committed_at.set(Some(Instant::now()));
    }

    /// The service has answered the move of `AWSCURRENT`.
    pub(super) fn moved(&self) {
        self.gap
            .set(self.committed_at.get().map(|committed| committed.elapsed()));
    }

    /// Time between the two, in which whoever reads `AWSCURRENT` alone is refused; `None` where they were not both in this
    /// invocation.
    pub(crate) fn gap(&self) -> Option<Duration> {
        self.gap.get()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            doing: Cell::new("read the event"),
            logins: Cell::new(0),
            refused_logins: Cell::new(0),
            recovered_from: RefCell::new(None),
            committed_at: Cell::new(None),
            gap: Cell::new(None),
        }
    }
}
