//! Looking for the password among versions that no label names.

use secrets::{DatabaseSecret, SecretsError, Version};
use tokio::time::Instant;

use super::{Acting, Rotating};
use crate::decide::{Change, Known, Listing, Value};
use crate::error::RotationError;

impl Rotating<'_> {
    /// Lists the versions that the search may try. Without the permission there is no search, and the step goes on.
    pub(super) async fn list(&self) -> Result<Listing, RotationError> {
        match self.api().versions(&self.event.secret_id, true).await {
            Ok(versions) => Ok(Listing::of(&versions, &self.event.version_id)),
            Err(SecretsError::AccessDenied(_)) => Ok(Listing::Denied),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a version by its id. What cannot be used counts as absent: it is only a last resort.
    pub(super) async fn read_version(&self, id: &str) -> Result<Value, RotationError> {
        let found = self
            .api()
            .find(&self.event.secret_id, Version::Id(id))
            .await;
        let value = match found {
            Ok(value) => value,
            // An old version may be encrypted with a key that is gone.
            Err(SecretsError::Kms(_)) => None,
            // A policy may allow the current and the pending label only.
            Err(SecretsError::AccessDenied(_)) => {
                let text =
                    "the function's role may not read versions without a label (GetSecretValue)";
                self.progress.warn("VERSIONS_NOT_READABLE", text.to_owned());
                None
            }
            Err(error) => return Err(error.into()),
        };
        let secret = value.and_then(|value| value.text().and_then(DatabaseSecret::parse).ok());
        Ok(secret.map_or(Value::Absent, |secret| Value::Read(Box::new(secret))))
    }

    /// Changes the password in the session of a version without a label.
    pub(super) async fn recover(
        &mut self,
        id: String,
        known: &Known,
        give_up: Instant,
    ) -> Result<Change, RotationError> {
        let acting = Acting::Orphan(id.clone());
        let change = self.change_password(&acting, known, give_up).await?;
        if change == Change::Committed {
            self.progress.recovered_from.replace(Some(id));
        }
        Ok(change)
    }
}
