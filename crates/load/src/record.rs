//! What a run leaves: every connect, and every rotation.

use std::time::Duration;

use crate::Plan;

/// A run that is over. Its moments are counted from its begin.
#[derive(Debug)]
pub struct Run {
    /// What was wanted.
    pub plan: Plan,
    /// Every connect, in the order in which they began.
    pub connects: Vec<Connect>,
    /// Every rotation, in order.
    pub turns: Vec<Turn>,
    /// The first failed connect's error with its causes.
    pub first_failure: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// One connect, as the program sees it that asks for a connection.
#[derive(Debug, Clone)]
pub struct Connect {
    /// When it was asked for.
    pub started: Duration,
    /// When there was a connection, or an error.
    pub ended: Duration,
    /// Id of the version that was logged in with, or the error's code.
    pub outcome: Result<String, &'static str>,
    /// Logins that the database refused on the way.
    pub refused: u32,
}

impl Connect {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.started)
    }
}

/// One rotation.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Id of the version that it made current.
    pub version_id: String,
    /// When PostgreSQL committed the new password: the begin of the gap.
    pub committed: Duration,
    /// When Secrets Manager had moved `AWSCURRENT`: its end.
    pub moved: Duration,
    /// Logins of the connectors that were refused from its begin until all of them had connected after its end.
    pub refused: u64,
    /// Reads of the secret by the connectors in that time.
    pub reads: u64,
}

impl Turn {
    /// How long the gap was.
    pub fn gap(&self) -> Duration {
        self.moved.saturating_sub(self.committed)
    }
}
