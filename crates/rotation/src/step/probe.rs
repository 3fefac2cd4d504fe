//! Running the operator's statement with the new password.

use aurora::{Retry, probe};
use secrets::Stage;
use tokio::time::Instant;

use super::{PAUSE, Rotating};
use crate::decide::{Known, Probe};
use crate::error::RotationError;

impl Rotating<'_> {
    /// Runs `PROBE_SQL` in the open session. What may pass asks for another session, for as long as a connect may take.
    pub(super) async fn run_probe_sql(
        &mut self,
        known: &Known,
        give_up: Instant,
    ) -> Result<Probe, RotationError> {
        let Some(sql) = &self.config.probe_sql else {
            return Ok(Probe::Answered);
        };
        // No matter how it ends, the step needs the session no more.
        let Some((_, mut session)) = self.session.take() else {
            return Ok(Probe::Lost);
        };
        match probe::run(&mut session.client, sql, give_up, self.deadline).await {
            Ok(()) => Ok(Probe::Answered),
            Err(error) if error.retry() != Retry::Never && Instant::now() + PAUSE < give_up => {
                tracing::debug!(sqlstate = error.sqlstate(), "the probe failed for now");
                tokio::time::sleep(PAUSE).await;
                Ok(Probe::Lost)
            }
            Err(source) => Err(RotationError::ProbeFailed {
                username: self.secret(Stage::Pending, known)?.username.clone(),
                source,
            }),
        }
    }
}
