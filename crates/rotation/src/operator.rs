//! The operator's steps: each by a direct invoke, without a version of its own, and safe to repeat.

mod migrate;

use std::fmt;

use serde::Serialize;
use startup::metrics::Metrics;
use tokio::time::Instant;

use crate::audit;
use crate::error::RotationError;
use crate::event::{AuditEvent, MigrateEvent, PreflightEvent, RecoverEvent};
use crate::finding::Finding;
use crate::handler::Rotation;
use crate::preflight;
use crate::recover::{self, Recovering};
use crate::step::Progress;

pub use migrate::OrderError;

/// What an operator's step answers; serialises as the report of the one that was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Reply {
    /// Of `migrate`.
    Migrated(crate::migrate::Report),
    /// Of `audit`.
    Audited(audit::Report),
    /// Of `recover`.
    Recovered(recover::Report),
    /// Of `preflight`.
    Looked(preflight::Report),
}

/// Sets up or migrates the database.
pub(crate) async fn migrate(
    rotation: &Rotation,
    event: &MigrateEvent,
    deadline: Instant,
    progress: &Progress,
) -> Result<Reply, RotationError> {
    let report = migrate::migrate(rotation, event, deadline, progress).await?;
    Ok(Reply::Migrated(report))
}

/// Reports on labels and ages.
pub(crate) async fn audit(
    rotation: &Rotation,
    event: &AuditEvent,
    progress: &Progress,
) -> Result<Reply, RotationError> {
    progress.doing.set("read the labels");
    progress.api_calls.set(2);
    let report = audit::run(&rotation.secrets, &event.secret_id).await?;
    Ok(Reply::Audited(report))
}

/// Makes the version current that the database accepts.
pub(crate) async fn recover(
    rotation: &Rotation,
    event: &RecoverEvent,
    deadline: Instant,
    progress: &Progress,
) -> Result<Reply, RotationError> {
    let recovering = Recovering {
        rotation,
        secret_id: &event.secret_id,
        dry_run: event.dry_run,
        deadline,
        progress,
    };
    recovering.run().await.map(Reply::Recovered)
}

/// Looks for what would make a rotation fail.
pub(crate) async fn preflight(
    rotation: &Rotation,
    event: &PreflightEvent,
    deadline: Instant,
    progress: &Progress,
) -> Reply {
    Reply::Looked(preflight::run(rotation, &event.secret_id, deadline, progress).await)
}

impl Reply {
    /// A stable word for the log.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Migrated(report) if report.dry_run => "planned",
            Self::Migrated(_) => "migrated",
            Self::Audited(report) => report.outcome(),
            Self::Recovered(report) => report.outcome(),
            Self::Looked(report) => report.outcome(),
        }
    }

    /// What of it a person must look at, each a warning of the log line.
    pub(crate) fn findings(&self) -> &[Finding] {
        match self {
            Self::Migrated(_) | Self::Recovered(_) => &[],
            Self::Audited(report) => &report.findings,
            Self::Looked(report) => &report.findings,
        }
    }

    /// Adds what alarms watch.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        match self {
            Self::Migrated(_) => {}
            Self::Audited(report) => report.measure(metrics),
            Self::Recovered(report) => report.measure(metrics),
            Self::Looked(report) => report.measure(metrics),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Migrated(report) => report.fmt(f),
            Self::Audited(report) => report.fmt(f),
            Self::Recovered(report) => report.fmt(f),
            Self::Looked(report) => report.fmt(f),
        }
    }
}
