//! Changing the password.

use std::time::Duration;

use aurora::role::{self, RoleError, RoleName, SetPasswordError};
use aurora::state::Meaning;
use aurora::{Login as Session, Retry, verifier};
use secrets::Stage;
use tokio::time::Instant;

use super::{Acting, PAUSE, Rotating};
use crate::decide::{Change, Known, Labels, Login, may_run};
use crate::error::RotationError;

/// With less than this left, the password is not changed any more: the answer of the server could not be waited for.
pub(super) const TIME_TO_CHANGE: Duration = Duration::from_secs(1);

impl Rotating<'_> {
    /// Sets the pending password in a session of `acting`, and tries again for as long as a connect may take and
    /// the failure may pass.
    pub(super) async fn change_password(
        &mut self,
        acting: &Acting,
        known: &Known,
        give_up: Instant,
    ) -> Result<Change, RotationError> {
        let pending = self.secret(Stage::Pending, known)?;
        loop {
            let mut session = match self.session.take() {
                Some((whose, session)) if whose == *acting => session,
                _ => match (self.log_in(acting, known).await?, self.session.take()) {
                    (Login::Accepted, Some((_, session))) => session,
                    // Somebody changed the password since this version was accepted.
                    _ => return Ok(Change::Unknown),
                },
            };
            let changed = self.change_password_once(&mut session, acting, known).await;
            let error = match changed {
                Ok(()) => {
                    self.progress.committed(Instant::now());
                    return Ok(Change::Committed);
                }
                Err(SetPasswordError::Vetoed(Veto::Overtaken(labels))) => {
                    return Ok(Change::Overtaken(labels));
                }
                Err(SetPasswordError::Vetoed(Veto::Failed(error))) => return Err(*error),
                Err(SetPasswordError::Role(RoleError::CommitUnknown(_))) => {
                    return Ok(Change::Unknown);
                }
                Err(SetPasswordError::Role(
                    error @ (RoleError::PermissionDenied { .. }
                    | RoleError::PasswordsRestricted { .. }),
                )) if !acting.is_master() => {
                    self.forbidden = Some(error);
                    return Ok(Change::Forbidden);
                }
                Err(SetPasswordError::Role(error)) => error,
            };
            if error.retry() == Retry::Never || give_up < Instant::now() + PAUSE + TIME_TO_CHANGE {
                return Err(if takes_no_writes(&error) {
                    RotationError::ReadOnlyTarget {
                        host: self.database.target(pending).host,
                        source: error,
                    }
                } else {
                    error.into()
                });
            }
            // On a new connection: the name may lead to another server by now.
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn change_password_once(
        &self,
        session: &mut Session,
        acting: &Acting,
        known: &Known,
    ) -> Result<(), SetPasswordError<Veto>> {
        let pending = self
            .secret(Stage::Pending, known)
            .map_err(|error| SetPasswordError::Vetoed(Veto::failed(error)))?;
        // Both at once, so that what is known of the role costs no round trip of its own.
        let (encryption, ()) = tokio::join!(
            verifier::password_encryption(&session.client),
            self.look_at_role(session, &pending.username)
        );
        let encryption = match self.config.password_encryption {
            Some(chosen) => chosen,
            None => encryption.map_err(|source| RoleError::Connection {
                doing: "ask for `password_encryption`",
                source,
            })?,
        };
        let verifier = verifier::for_server(encryption, &pending.username, &pending.password);
        // Under the lock on the role: a call that stalled must not set a password which a newer rotation has replaced.
        let check = async || {
            let labels = self
                .labels()
                .await
                .map_err(|error| Veto::failed(error.into()))?;
            if may_run(&labels) != Ok(true) {
                Err(Veto::Overtaken(labels))
            } else if self.deadline < Instant::now() + TIME_TO_CHANGE {
                Err(Veto::failed(RotationError::OutOfTime {
                    doing: "change the password",
                }))
            } else {
                Ok(())
            }
        };
        if acting.is_master() {
            return self
                .change_as_master(session, known, &verifier, check)
                .await;
        }
        let role = RoleName::new(&pending.username)?;
        role::set_password(&mut session.client, &role, &verifier, self.deadline, check).await
    }
}

fn takes_no_writes(error: &RoleError) -> bool {
    matches!(error, RoleError::Database { sqlstate, .. } if Meaning::of_code(sqlstate) == Meaning::ReadOnly)
}

/// Why the password is not changed after all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Veto {
    #[error("the labels forbid it by now")]
    Overtaken(Labels),
    #[error(transparent)]
    Failed(Box<RotationError>),
}

impl Veto {
    pub(super) fn failed(error: RotationError) -> Self {
        Self::Failed(Box::new(error))
    }
}
