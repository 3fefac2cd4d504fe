//! What `testSecret` sees of the next rotation, in the session that it has anyway.
//!
//! Where `RotateSecret` only tests a configuration, the service calls `testSecret` alone, with a copy of the current version.
//! Then nothing is changed yet, and what would make a rotation fail may as well fail now. Behind `setSecret` it must not: the
//! database has the new password, and a step that fails only keeps the gap open.

use aurora::account::Account;
use secrets::{DatabaseSecret, Stage, Version};

use super::Rotating;
use crate::decide::{Known, RotationStrategy};
use crate::error::RotationError;
use crate::finding::Severity;
use crate::preflight::{Subject, of_session};
use crate::rds_proxy;

impl Rotating<'_> {
    /// Warns of what was found, and fails with it in a test of the configuration if a rotation would fail.
    pub(super) async fn look_ahead(
        &self,
        read_only: bool,
        account: &Account,
        encrypted: bool,
        known: &Known,
    ) -> Result<(), RotationError> {
        let pending = self.secret(Stage::Pending, known)?;
        let target = self.database.target(pending);
        let subject = Subject {
            secret_id: self.event.secret_id.clone(),
            username: pending.username.clone(),
            host: target.host,
            dbname: target.dbname,
            changes_own_password: self.config.strategy != Some(RotationStrategy::AlternatingUsers),
            password_encryption: self.config.password_encryption,
            next_rotation_in: None,
        };
        let mut found = of_session(read_only, account, encrypted, &subject);
        found.extend(rds_proxy::of_host(&subject.host));
        for finding in &found {
            self.progress.warn(&finding.code, finding.message.clone());
        }
        // Asked only now: the service has told nothing by which the two could be told apart, and a call costs time.
        let fails = |finding: &crate::finding::Finding| finding.severity == Severity::Error;
        match found.into_iter().find(fails) {
            Some(finding) if self.is_copy_of_current(pending).await? => {
                Err(RotationError::NotReady(finding))
            }
            _ => Ok(()),
        }
    }

    async fn is_copy_of_current(&self, pending: &DatabaseSecret) -> Result<bool, RotationError> {
        let current = Version::Stage(Stage::Current);
        let found = self.api().find(&self.event.secret_id, current).await;
        let found = found.map_err(|error| self.of_value(error))?;
        let current = found.and_then(|value| value.text().and_then(DatabaseSecret::parse).ok());
        Ok(current.is_some_and(|current| current.has_password_of(pending)))
    }
}
