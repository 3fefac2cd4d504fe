//! What is said where nobody needs to read it: a person who tries an event by hand may.

use serde::Serialize;

use crate::error::CaptureError;
use crate::item::{Item, Outcome};
use crate::tally::Tally;

/// What became of the records of an invocation, none of which failed.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    #[serde(rename = "statusCode")]
    status_code: u16,
    received: u64,
    stored: u64,
    duplicate: u64,
    /// Archived, their rows left to somebody else; `None` where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<u64>,
    put_aside: u64,
    skipped: u64,
}

impl Summary {
    /// # Errors
    /// The error of the first record that failed: its source has nothing else that would make it deliver again.
    pub(super) fn of(items: Vec<Item>) -> Result<Self, CaptureError> {
        let tally = Tally::of(&items);
        for item in items {
            if matches!(item.outcome(), Outcome::Failed(_)) {
                item.finish()?;
            }
        }
        Ok(Self {
            status_code: 200,
            received: tally.items,
            stored: tally.stored,
            duplicate: tally.duplicate,
            archived: Some(tally.deferred).filter(|number| *number > 0),
            put_aside: tally.quarantined,
            skipped: tally.skipped,
        })
    }
}
