//! What a session has counted since it was built.

use std::sync::atomic::{AtomicU64, Ordering};

use secrets::Stage;

/// A count by the label under which the version in use was found.
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
    /// Calls of Secrets Manager.
    pub secret_reads: u64,
    /// Searches for the version that opens the database, because there was none yet or it was
    /// refused. Tasks that look for it at the same time share one.
    pub refreshes: u64,
    /// Pauses: for a label to move or for Secrets Manager to recover.
    pub waits: u64,
    /// Logins repeated because the server or the network was not ready.
    pub login_retries: u64,
    /// Kept connections replaced because they were dead or led to a server without writes.
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
    pub(crate) logins: StageCounts,
    pub(crate) refusals: StageCounts,
    pub(crate) secret_reads: Count,
    pub(crate) refreshes: Count,
    pub(crate) waits: Count,
    pub(crate) login_retries: Count,
    pub(crate) replaced_connections: Count,
    pub(crate) failed_connects: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

#[derive(Debug, Default)]
pub(crate) struct StageCounts {
    current: Count,
    pending: Count,
    previous: Count,
}

impl Counts {
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            logins: self.logins.snapshot(),
            refusals: self.refusals.snapshot(),
            secret_reads: self.secret_reads.get(),
            refreshes: self.refreshes.get(),
            waits: self.waits.get(),
            login_retries: self.login_retries.get(),
            replaced_connections: self.replaced_connections.get(),
            failed_connects: self.failed_connects.get(),
        }
    }
}

impl Count {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl StageCounts {
    pub(crate) fn add_one(&self, stage: Stage) {
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
        counts.logins.add_one(Stage::Pending);
        counts.refusals.add_one(Stage::Current);
        counts.refusals.add_one(Stage::Previous);
        counts.waits.add_one();
        let snapshot = counts.snapshot();
        assert_eq!(snapshot.logins.pending, 1);
        assert_eq!(snapshot.refusals.total(), 2);
        assert_eq!((snapshot.waits, snapshot.secret_reads), (1, 0));
    }
}
