//! What a session has counted since it was built.

use std::sync::atomic::{AtomicU64, Ordering};

use secrets::Stage;

use crate::Event;

/// A count by label: the one under which a version was found, or that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByStage {
    /// `AWSCURRENT`.
    pub current: u64,
    /// `AWSPENDING`.
    pub pending: u64,
    /// `AWSPREVIOUS`. Accepted logins here are worth an alarm: the current version does not open the
    /// database.
    pub previous: u64,
}

/// Counts since the session was built. Each grows by itself: a snapshot may show a login before the
/// read that led to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Logins that the database accepted.
    pub logins: ByStage,
    /// Logins refused with 28P01 or 28000.
    pub refusals: ByStage,
    /// Questions to Secrets Manager, or another source, for the version with a label.
    pub reads: ByStage,
    /// All of them together.
    pub secret_reads: u64,
    /// Searches for the version that opens the database, because there was none yet or it was
    /// refused. Tasks that look for it at the same time share one.
    pub refreshes: u64,
    /// Pauses of a search: for a label to move or for Secrets Manager to recover.
    pub waits: u64,
    /// Logins repeated because the server or the network was not ready.
    pub login_retries: u64,
    /// Connections, kept or of a pool, replaced because they were dead or led to a server without writes.
    pub replaced_connections: u64,
    /// Connects that failed for good, as the caller saw.
    pub failed_connects: u64,
}

impl ByStage {
    /// All three together.
    pub const fn total(self) -> u64 {
        self.current + self.pending + self.previous
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    logins: StageCounts,
    refusals: StageCounts,
    reads: StageCounts,
    refreshes: Count,
    waits: Count,
    login_retries: Count,
    replaced_connections: Count,
    failed_connects: Count,
}

#[derive(Debug, Default)]
struct Count(AtomicU64);

#[derive(Debug, Default)]
struct StageCounts {
    current: Count,
    pending: Count,
    previous: Count,
}

impl Counts {
    /// Every count has its event.
    pub(crate) fn count(&self, event: &Event<'_>) {
        match event {
            Event::LoggedIn { stage, .. } => self.logins.add_one(*stage),
            Event::Refused { stage, .. } => self.refusals.add_one(*stage),
            Event::SearchBegun => self.refreshes.add_one(),
            Event::SecretRead { stage } => self.reads.add_one(*stage),
            Event::Waiting => self.waits.add_one(),
            Event::LoginRetried { .. } => self.login_retries.add_one(),
            Event::Replaced => self.replaced_connections.add_one(),
            Event::ConnectFailed { .. } => self.failed_connects.add_one(),
            Event::PendingDenied => {}
        }
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let reads = self.reads.snapshot();
        Counters {
            logins: self.logins.snapshot(),
            refusals: self.refusals.snapshot(),
            reads,
            secret_reads: reads.total(),
            refreshes: self.refreshes.get(),
            waits: self.waits.get(),
            login_retries: self.login_retries.get(),
            replaced_connections: self.replaced_connections.get(),
            failed_connects: self.failed_connects.get(),
        }
    }
}

impl Count {
    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl StageCounts {
    fn add_one(&self, stage: Stage) {
        match stage {
            Stage::Current => &self.current,
            Stage::Pending => &self.pending,
            Stage::Previous => &self.previous,
        }
        .add_one();
    }

    fn snapshot(&self) -> ByStage {
        ByStage {
            current: self.current.get(),
            pending: self.pending.get(),
            previous: self.previous.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_what_was_counted() {
        let counts = Counts::default();
        let refused = |stage| Event::Refused {
            stage,
            version_id: "v1",
            sqlstate: "28P01",
        };
        let events = [
            Event::SearchBegun,
            refused(Stage::Current),
            Event::SecretRead {
                stage: Stage::Current,
            },
            Event::SecretRead {
                stage: Stage::Pending,
            },
            refused(Stage::Previous),
            Event::PendingDenied,
            Event::Waiting,
            Event::LoginRetried { error_code: "X" },
            Event::LoggedIn {
                stage: Stage::Pending,
                version_id: "v2",
            },
            Event::Replaced,
            Event::ConnectFailed { error_code: "X" },
        ];
        for event in &events {
            counts.count(event);
        }
        let by_stage = |current, pending, previous| ByStage {
            current,
            pending,
            previous,
        };
        assert_eq!(
            counts.snapshot(),
            Counters {
                logins: by_stage(0, 1, 0),
                refusals: by_stage(1, 0, 1),
                reads: by_stage(1, 1, 0),
                secret_reads: 2,
                refreshes: 1,
                waits: 1,
                login_retries: 1,
                replaced_connections: 1,
                failed_connects: 1,
            }
        );
    }
}
