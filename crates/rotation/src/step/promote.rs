//! Moving `AWSCURRENT`, and what is waited for before.

use std::time::Duration;

use secrets::{SecretsError, Stage};
use tokio::time::Instant;

use super::{Acting, PAUSE, Rotating};
use crate::decide::{Known, Labels, Move, ReaderAnswer, Replicas};
use crate::error::RotationError;

/// Pause between two looks at the replicas: a look is a call of an API that is shared with everybody in the account.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest pause between two logins to a reader, each of which leaves a line in its log while it is behind.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What is kept back of an invocation's time for what comes behind the wait: a login, a change and the move of the label.
const TIME_AFTERWARDS: Duration = Duration::from_secs(5);

impl Rotating<'_> {
    /// Looks at the replicas until none is on its way. It leaves [`TIME_AFTERWARDS`] of the invocation's time, or half of it
    /// where that is less.
    pub(super) async fn await_replicas(&self) -> Result<(Labels, Replicas), RotationError> {
        let give_up = self.end_of_wait();
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

    /// Logs in to the reader until it accepts the pending version. Time is left as by [`Rotating::await_replicas`].
    pub(super) async fn await_reader(
        &mut self,
        known: &Known,
    ) -> Result<ReaderAnswer, RotationError> {
        let Some(host) = &self.config.reader_host else {
            return Ok(ReaderAnswer::AtOnce);
        };
        let (mut target, credentials, ssl) =
            self.way_in(&Acting::Labelled(Stage::Pending), known)?;
        target.host.clone_from(host);
        let give_up = self.end_of_wait();
        if self.log_in_at(&target, &credentials, ssl).await?.is_some() {
            return Ok(ReaderAnswer::AtOnce);
        }
        let mut pause = PAUSE;
        while Instant::now() + pause < give_up {
            tokio::time::sleep(pause).await;
            if self.log_in_at(&target, &credentials, ssl).await?.is_some() {
                return Ok(ReaderAnswer::Late(self.labels().await?));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(ReaderAnswer::Never)
    }

    /// When a wait has to be over for what comes behind it.
    fn end_of_wait(&self) -> Instant {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        now + left - TIME_AFTERWARDS.min(left / 2)
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
