//! What an invocation counts, and what it is at, for its log line.

use std::cell::{Cell, RefCell};

/// What is known of an invocation's course, also where its time ran out.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) doing: Cell<&'static str>,
    pub(crate) logins: Cell<u32>,
    pub(crate) refused_logins: Cell<u32>,
    /// The version without a label in whose session the password was changed.
    pub(crate) recovered_from: RefCell<Option<String>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            doing: Cell::new("read the event"),
            logins: Cell::new(0),
            refused_logins: Cell::new(0),
            recovered_from: RefCell::new(None),
        }
    }
}
