//! What is told about an invocation besides its reply: log lines and metrics. The one place that logs an error.
//!
//! Neither holds what was said, or by whom.

use std::time::Duration;

use aurora_session::{Event, Stage};
use startup::metrics::Metrics;

use crate::batch::Batch;
use crate::error::CaptureError;
use crate::item::{Item, Outcome};
use crate::tally::Tally;

/// How long the two stores took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) archive: Duration,
    pub(crate) database: Duration,
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
        source = batch.source(),
        items = tally.items,
        stored = tally.stored,
        duplicate = tally.duplicate,
        deferred = tally.deferred,
        conflict = tally.conflict,
        foreign = tally.foreign,
        quarantined = tally.quarantined,
        failed = tally.failed,
        skipped = tally.skipped,
        sanitized = tally.sanitized,
        redactions = tally.redactions,
        elapsed_ms,
        "invocation handled"
    );
    metrics(tally, times, namespace).emit();
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
    let record_id = item.record_id();
    match item.outcome() {
        Outcome::Kept => {}
        Outcome::Skipped(why) => tracing::debug!(record_id, why, "nothing to store"),
        Outcome::PutAside(reason, key) => {
            tracing::warn!(record_id, outcome = reason.name(), key, "input put aside");
        }
        Outcome::Failed(error) => tracing::warn!(
            record_id,
            outcome = "failed",
            error_code = error.code(),
            error = startup::report::chain(error),
            "item failed"
        ),
    }
}

fn metrics(tally: Tally, times: Times, namespace: &str) -> Metrics {
    let mut metrics = Metrics::new(namespace, "conversation-capture");
    metrics.count("Received", tally.items);
    metrics.count("BatchSize", tally.items);
    metrics.count("Stored", tally.stored);
    metrics.count("Duplicate", tally.duplicate);
    if tally.deferred > 0 {
        metrics.count("Deferred", tally.deferred);
    }
    metrics.count("Conflict", tally.conflict);
    metrics.count("Foreign", tally.foreign);
    metrics.count("Quarantined", tally.quarantined);
    metrics.count("Failed", tally.failed);
    metrics.count("Skipped", tally.skipped);
    metrics.count("Sanitized", tally.sanitized);
    metrics.count("Redactions", tally.redactions);
    metrics.duration("S3Ms", times.archive);
    metrics.duration("DbMs", times.database);
    metrics
}
