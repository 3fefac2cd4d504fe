//! What is told about an invocation besides its reply: log lines and metrics. The one place that logs an error.
//!
//! Neither holds what was said, or by whom.

use std::time::Duration;

use aurora_session::{Event, Stage};
use startup::metrics::Metrics;

use crate::batch::Batch;
use crate::error::CaptureError;
use crate::item::{Item, Outcome, Progress, Reason};

/// How long the two stores took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) archive: Duration,
    pub(crate) database: Duration,
}

/// What became of the items of an invocation, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Items that came.
    items: u64,
    /// Captures whose rows are new.
    stored: u64,
    /// Captures whose rows were there before.
    duplicate: u64,
    /// Items put aside because their event id belongs to other content.
    conflict: u64,
    /// Items put aside because their conversation belongs to another user.
    foreign: u64,
    /// Items put aside for any reason.
    quarantined: u64,
    /// Items that their source must deliver again.
    failed: u64,
    /// Items in which characters had to be replaced.
    sanitized: u64,
}

/// Tells that the payload of an invocation holds no items.
pub(crate) fn unread(error: &CaptureError) {
    tracing::error!(
        outcome = "failed",
        error_code = error.code(),
        error = startup::report::chain(error),
        "payload refused"
    );
}

/// Tells what became of a batch: a line for each item that was not kept, one for the whole, and the metrics.
pub(crate) fn handled(batch: &Batch, times: Times, elapsed: Duration, namespace: &str) {
    for item in batch.items() {
        not_kept(item);
    }
    let tally = Tally::of(batch.items());
    // As a number: a wider integer would be logged as text.
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        source = batch.source().as_str(),
        items = tally.items,
        stored = tally.stored,
        duplicate = tally.duplicate,
        conflict = tally.conflict,
        foreign = tally.foreign,
        quarantined = tally.quarantined,
        failed = tally.failed,
        sanitized = tally.sanitized,
        elapsed_ms,
        "invocation handled"
    );
    tally.metrics(times, namespace).emit();
}

/// Tells what the database session meets: rarely anything, and then the first thing that an operator asks for.
pub(crate) fn session_event(event: &Event<'_>) {
    match event {
        Event::LoggedIn {
            stage: stage @ Stage::Previous,
            version_id,
        } => {
            tracing::warn!(
                stage = stage.as_str(),
                version_id,
                "logged in with the previous version of the secret"
            );
        }
        Event::LoggedIn { stage, version_id } => {
            tracing::info!(stage = stage.as_str(), version_id, "logged in");
        }
        Event::Refused {
            stage,
            version_id,
            sqlstate,
        } => {
            tracing::info!(
                stage = stage.as_str(),
                version_id,
                sqlstate,
                "login refused"
            );
        }
        Event::PendingDenied => {
            tracing::warn!(
                "the pending version of the secret may not be read: connects wait for rotations to end"
            );
        }
        Event::LoginRetried { error_code } => tracing::debug!(error_code, "login is tried again"),
        Event::Waiting => tracing::info!("no version of the secret opens the database yet"),
        Event::Replaced => tracing::info!("connection was lost and is replaced"),
        _ => {}
    }
}

fn not_kept(item: &Item) {
    let message_id = item.message_id();
    match item.outcome() {
        Outcome::Kept => {}
        Outcome::PutAside(reason, key) => {
            tracing::warn!(message_id, outcome = reason.name(), key, "input put aside");
        }
        Outcome::Failed(error) => tracing::warn!(
            message_id,
            outcome = "failed",
            error_code = error.code(),
            error = startup::report::chain(error),
            "item failed"
        ),
    }
}

impl Tally {
    fn of(items: &[Item]) -> Self {
        let mut tally = Self::default();
        for item in items {
            tally.items += 1;
            tally.sanitized += u64::from(!item.repaired().is_clean());
            for entry in item.entries() {
                match entry.progress {
                    Progress::Kept { duplicate: false } => tally.stored += 1,
                    Progress::Kept { duplicate: true } => tally.duplicate += 1,
                    Progress::Read | Progress::Archived { .. } | Progress::Out => {}
                }
            }
            match item.outcome() {
                Outcome::Kept => {}
                Outcome::PutAside(reason, _) => {
                    tally.quarantined += 1;
                    match reason {
                        Reason::Unreadable(_) => {}
                        Reason::Conflict { .. } => tally.conflict += 1,
                        Reason::Foreign { .. } => tally.foreign += 1,
                    }
                }
                Outcome::Failed(_) => tally.failed += 1,
            }
        }
        tally
    }

    fn metrics(self, times: Times, namespace: &str) -> Metrics {
        let mut metrics = Metrics::new(namespace, "conversation-capture");
        metrics.count("Received", self.items);
        metrics.count("Stored", self.stored);
        metrics.count("Duplicate", self.duplicate);
        metrics.count("Conflict", self.conflict);
        metrics.count("Foreign", self.foreign);
        metrics.count("Quarantined", self.quarantined);
        metrics.count("Failed", self.failed);
        metrics.count("Sanitized", self.sanitized);
        metrics.duration("S3Time", times.archive);
        metrics.duration("DatabaseTime", times.database);
        metrics
    }
}

#[cfg(test)]
mod tests {
    use conversation::Layout;
    use store::Status;

    use super::*;
    use crate::batch::tests::{STORED, carry};

    #[test]
    fn everything_that_came_is_counted() {
        let bodies = [
            r#"{"user_input":"new"}"#,
            r#"{"user_input":"cut emoji \ud83d"}"#,
            r#"{"user_input":"repeated"}"#,
            r#"{"user_input":"foreign"}"#,
            r#"{"user_input":"conflict"}"#,
            r#"{"hello":"unknown"}"#,
            "no JSON",
        ];
        let records = bodies.iter().enumerate().map(|(number, body)| {
            serde_json::json!({"messageId": format!("m-{number}"), "body": body, "eventSource": "aws:sqs"})
        });
        let payload = serde_json::json!({"Records": records.collect::<Vec<_>>()}).to_string();
        let mut batch = Batch::read(&payload, "request", Layout::Turn).unwrap();
        carry(
            &mut batch,
            |_| STORED(),
            |at| {
                Ok(match at.item {
                    0 | 1 => Status::Stored,
                    2 => Status::Duplicate,
                    3 => Status::Foreign,
                    4 => Status::Conflict,
                    item => panic!("item {item} has no rows"),
                })
            },
        );
        let expected = Tally {
            items: 7,
            stored: 2,
            duplicate: 1,
            conflict: 1,
            foreign: 1,
            quarantined: 3,
            failed: 1,
            sanitized: 1,
        };
        assert_eq!(Tally::of(batch.items()), expected);
    }
}
