//! Moving `AWSCURRENT`, and what is waited for before.

use std::time::Duration;

use secrets::SecretsError;
use tokio::time::Instant;

use super::Rotating;
use crate::decide::{Known, Labels, Move, Replicas};
use crate::error::RotationError;

/// Pause between two looks at the replicas: a look is a call of an API that is shared with everybody in the account.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What is kept back of an invocation's time for what comes behind the wait: a login, a change and the move of the label.
const TIME_AFTERWARDS: Duration = Duration::from_secs(5);

impl Rotating<'_> {
    /// Looks at the replicas until none is on its way. It leaves [`TIME_AFTERWARDS`] of the invocation's time, or half of it
    /// where that is less.
    pub(super) async fn await_replicas(&self) -> Result<(Labels, Replicas), RotationError> {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let give_up = now + left - TIME_AFTERWARDS.min(left / 2);
        loop {
            tokio::time::sleep(LOOK_AGAIN.min(give_up.saturating_duration_since(Instant::now())))
                .await;
            let description = self.api().describe(&self.event.secret_id).await?;
            let replicas = Replicas::of(&description);
            if !replicas.is_behind() || Instant::now() >= give_up {
                return Ok((Labels::of(&description, &self.event.version_id), replicas));
            }
        }
    }

    pub(super) async fn move_current(
        &self,
        from: Option<&str>,
        known: &Known,
    ) -> Result<Move, RotationError> {
        let moved = self
            .api()
            .move_current(&self.event.secret_id, &self.event.version_id, from)
            .await;
        match moved {
            Ok(()) => {
                self.progress.moved(Instant::now());
                if let Some(regions) = known.replicas().not_in_sync() {
                    let text = format!(
                        "`AWSCURRENT` was moved although replicas of the secret are not in sync; clients that read one there may get the old password: {regions}"
                    );
                    self.progress.warn("REPLICAS_NOT_IN_SYNC", text);
                }
                Ok(Move::Moved)
            }
            Err(SecretsError::InvalidParameter(_)) => Ok(Move::Lost(self.labels().await?)),
            Err(error) => Err(error.into()),
        }
    }
}
