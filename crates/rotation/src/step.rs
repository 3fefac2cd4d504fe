//! The four steps of a rotation: carries out what [`decide`] decides.

use std::cell::Cell;
use std::time::Duration;

use aurora::role::{self, RoleError, RoleName, SetPasswordError};
use aurora::state::{Meaning, ends_connection};
use aurora::{Credentials, Login as Session, LoginError, Retry, server, verifier};
use secrets::{DatabaseSecret, SecretsError, SecretsManager, Stage, Version};
use tokio::time::Instant;

use crate::config::Config;
use crate::database::{Answer, Database, PlaintextRefused};
use crate::decide::{
    Action, Change, Done, Known, Labels, Login, Move, Probe, Refusal, Store, Value, decide, may_run,
};
use crate::error::RotationError;
use crate::event::RotationEvent;

/// With less than this left, the password is not changed any more: the answer of the server could not be waited for.
const TIME_TO_CHANGE: Duration = Duration::from_secs(1);
/// Pause before a read or a change that failed for now is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// What an invocation counts, and what it is at, for its log line.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) doing: Cell<&'static str>,
    pub(crate) logins: Cell<u32>,
    pub(crate) refused_logins: Cell<u32>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            doing: Cell::new("read the event"),
            logins: Cell::new(0),
            refused_logins: Cell::new(0),
        }
    }
}

/// One step of one rotation. It keeps what it has read and logged in with, and drops it at its end.
pub(crate) struct Rotating<'a> {
    pub(crate) config: &'a Config,
    pub(crate) secrets: &'a SecretsManager,
    pub(crate) database: &'a Database,
    pub(crate) event: &'a RotationEvent,
    pub(crate) deadline: Instant,
    pub(crate) progress: &'a Progress,
    pub(crate) session: Option<(Stage, Session)>,
    pub(crate) refused: Option<LoginError>,
}

impl Rotating<'_> {
    /// Runs the event's step. Repeating it after success, or after a crash at any point, changes nothing more; the keys
    /// that make it so are the secret's ARN and the version's id.
    pub(crate) async fn run(mut self) -> Result<Done, RotationError> {
        self.progress.doing.set("read the labels");
        let mut known = Known::new(self.labels().await?, self.config.strategy_chosen);
        let give_up = self.database.connect_deadline(self.deadline);
        loop {
            let action = decide(&self.event.step, &known);
            self.progress.doing.set(doing(&action));
            match action {
                Action::Read(stage) => {
                    let value = self.read(stage, &known).await?;
                    known.read(stage, value);
                }
                Action::Store => known.stored(self.store(&known).await?),
                Action::LogIn(stage) => known.logged_in(stage, self.log_in(stage, &known).await?),
                Action::ChangePassword(acting) => {
                    known.changed(self.change_password(acting, &known, give_up).await?);
                }
                Action::Probe => known.probed(self.probe(give_up).await?),
                Action::MoveCurrent { from } => {
                    known.moved(self.move_current(from.as_deref()).await?);
                }
                Action::Done(done) => return Ok(done),
                Action::Refuse(refusal) => {
                    let login = self.refused.take().map(Box::new);
                    return Err(self.refusal(refusal, login));
                }
            }
        }
    }

    async fn labels(&self) -> Result<Labels, SecretsError> {
        let description = self.secrets.describe(&self.event.secret_id).await?;
        Ok(Labels::of(&description, &self.event.version_id))
    }

    async fn read(&self, stage: Stage, known: &Known) -> Result<Value, RotationError> {
        if stage == Stage::Pending && known.reads() > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let version = match stage {
            Stage::Pending => Version::IdAndStage {
                id: &self.event.version_id,
                stage,
            },
            Stage::Current | Stage::Previous => Version::Stage(stage),
        };
        let Some(value) = self.secrets.find(&self.event.secret_id, version).await? else {
            return Ok(Value::Absent);
        };
        match value.text().and_then(DatabaseSecret::parse) {
            Ok(secret) => Ok(Value::Read(Box::new(secret))),
            // It is only a last resort.
            Err(_) if stage == Stage::Previous => Ok(Value::Absent),
            Err(source) => Err(RotationError::Unusable {
                stage,
                secret_id: self.event.secret_id.clone(),
                version_id: self.event.version_id.clone(),
                source,
            }),
        }
    }

    async fn store(&self, known: &Known) -> Result<Store, RotationError> {
        let rules = self
            .config
            .password_rules
            .as_ref()
            .map_err(|error| RotationError::PasswordRules(error.clone()))?;
        let password = self.secrets.random_password(rules).await?;
        let text = self.secret(Stage::Current, known)?.with_password(&password);
        let stored = self
            .secrets
            .put_pending(
                &self.event.secret_id,
                &self.event.version_id,
                self.event.rotation_token.as_ref(),
                &text,
            )
            .await;
        match stored {
            Ok(()) => Ok(Store::Stored),
            Err(SecretsError::AlreadyExists(_)) => Ok(Store::Taken),
            Err(error) => Err(error.into()),
        }
    }

    async fn log_in(&mut self, stage: Stage, known: &Known) -> Result<Login, RotationError> {
        let secret = self.secret(stage, known)?;
        // An older version's word on TLS may be out of date.
        let ssl = match (stage, known.secret(Stage::Current)) {
            (Stage::Previous, Some(current)) => current.ssl,
            _ => secret.ssl,
        };
        let tls = self
            .database
            .tls(ssl)
            .map_err(|PlaintextRefused| RotationError::PlaintextRefused)?;
        let credentials = Credentials {
            username: secret.username.clone(),
            password: secret.password.clone(),
        };
        self.progress.logins.set(self.progress.logins.get() + 1);
        let target = self.database.target(secret);
        match self
            .database
            .log_in(&target, &credentials, tls, self.deadline)
            .await?
        {
            Answer::Accepted(session) => {
                self.session = Some((stage, session));
                Ok(Login::Accepted)
            }
            Answer::Refused(error) => {
                tracing::debug!(stage = %stage, sqlstate = error.sqlstate(), "login refused");
                self.progress
                    .refused_logins
                    .set(self.progress.refused_logins.get() + 1);
                self.refused = Some(error);
                Ok(Login::Refused)
            }
        }
    }

    /// Sets the pending password in a session of version `acting`, and tries again for as long as a connect may take and
    /// the failure may pass.
    async fn change_password(
        &mut self,
        acting: Stage,
        known: &Known,
        give_up: Instant,
    ) -> Result<Change, RotationError> {
        let pending = self.secret(Stage::Pending, known)?;
        let role = RoleName::new(&pending.username)?;
        loop {
            let mut session = match self.session.take() {
                Some((stage, session)) if stage == acting => session,
                _ => match (self.log_in(acting, known).await?, self.session.take()) {
                    (Login::Accepted, Some((_, session))) => session,
                    // Somebody changed the password since this version was accepted.
                    _ => return Ok(Change::Unknown),
                },
            };
            let error = match self
                .change_password_once(&mut session, &role, pending)
                .await
            {
                Ok(()) => return Ok(Change::Committed),
                Err(SetPasswordError::Vetoed(Veto::Overtaken(labels))) => {
                    return Ok(Change::Overtaken(labels));
                }
                Err(SetPasswordError::Vetoed(Veto::Failed(error))) => return Err(*error),
                Err(SetPasswordError::Role(RoleError::CommitUnknown(_))) => {
                    return Ok(Change::Unknown);
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
        role: &RoleName,
        pending: &DatabaseSecret,
    ) -> Result<(), SetPasswordError<Veto>> {
        let encryption = verifier::password_encryption(&session.client)
            .await
            .map_err(|source| RoleError::Connection {
                doing: "ask for `password_encryption`",
                source,
            })?;
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
        role::set_password(&mut session.client, role, &verifier, self.deadline, check).await
    }

    async fn probe(&self, give_up: Instant) -> Result<Probe, RotationError> {
        let Some((_, session)) = &self.session else {
            return Ok(Probe::Lost);
        };
        match server::describe(&session.client).await {
            Ok(server) => {
                tracing::debug!(?server, "the server answered");
                Ok(Probe::Answered)
            }
            Err(error) if ends_connection(&error) && Instant::now() + PAUSE < give_up => {
                tokio::time::sleep(PAUSE).await;
                Ok(Probe::Lost)
            }
            Err(source) => Err(RotationError::Statement {
                doing: "ask the server about itself",
                source,
            }),
        }
    }

    async fn move_current(&self, from: Option<&str>) -> Result<Move, RotationError> {
        let moved = self
            .secrets
            .move_current(&self.event.secret_id, &self.event.version_id, from)
            .await;
        match moved {
            Ok(()) => Ok(Move::Moved),
            Err(SecretsError::InvalidParameter(_)) => Ok(Move::Lost(self.labels().await?)),
            Err(error) => Err(error.into()),
        }
    }

    /// What was read for `stage`; a decision that needs it has had it read before.
    fn secret<'k>(
        &self,
        stage: Stage,
        known: &'k Known,
    ) -> Result<&'k DatabaseSecret, RotationError> {
        known.secret(stage).ok_or_else(|| {
            let refusal = match stage {
                Stage::Pending => Refusal::NoPendingValue,
                Stage::Current | Stage::Previous => Refusal::NoCurrentValue,
            };
            self.refusal(refusal, None)
        })
    }

    fn refusal(&self, refusal: Refusal, login: Option<Box<LoginError>>) -> RotationError {
        RotationError::Refused {
            refusal,
            secret_id: self.event.secret_id.clone(),
            version_id: self.event.version_id.clone(),
            login,
        }
    }
}

fn doing(action: &Action) -> &'static str {
    match action {
        Action::Read(_) => "read the secret",
        Action::Store => "store the new version",
        Action::LogIn(_) => "log in to the database",
        Action::ChangePassword(_) => "change the password",
        Action::Probe => "ask the server about itself",
        Action::MoveCurrent { .. } => "move `AWSCURRENT`",
        Action::Done(_) | Action::Refuse(_) => "answer",
    }
}

fn takes_no_writes(error: &RoleError) -> bool {
    matches!(error, RoleError::Database { sqlstate, .. } if Meaning::of_code(sqlstate) == Meaning::ReadOnly)
}

/// Why the password is not changed after all.
#[derive(Debug, thiserror::Error)]
enum Veto {
    #[error("the labels forbid it by now")]
    Overtaken(Labels),
    #[error(transparent)]
    Failed(Box<RotationError>),
}

impl Veto {
    fn failed(error: RotationError) -> Self {
        Self::Failed(Box::new(error))
    }
}
