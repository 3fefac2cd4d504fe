//! How far the secret's copies in other regions are.

use secrets::{Replication, SecretDescription};

/// The regions whose replicas are not in sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// On their way: waiting helps.
    pub behind: Vec<String>,
    /// Failed: they stay as they are until somebody mends them, so nothing waits for them.
    pub failed: Vec<String>,
}

impl Replicas {
    /// Those of a secret.
    pub fn of(description: &SecretDescription) -> Self {
        let with = |status| {
            let replicas = description.replicas.iter();
            let those = replicas.filter(|replica| replica.status == status);
            those.map(|replica| replica.region.clone()).collect()
        };
        Self {
            behind: with(Replication::InProgress),
            failed: with(Replication::Failed),
        }
    }

    /// Whether one is on its way.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Every region that is not in sync, for a log line; `None` where there is none.
    pub fn not_in_sync(&self) -> Option<String> {
        let regions: Vec<&str> = self
            .behind
            .iter()
            .chain(&self.failed)
            .map(String::as_str)
            .collect();
        (!regions.is_empty()).then(|| regions.join(", "))
    }
}
