//! The four steps of a rotation: carries out what [`decide`] decides.

mod change;
mod master;
mod preflight;
mod probe;
mod progress;
mod promote;
mod recover;
mod role;

use std::time::Duration;

use aurora::role::{RoleError, RoleName, facts};
use aurora::state::ends_connection;
use aurora::{Credentials, Login as Session, LoginError, Target, account, server};
use secrets::{DatabaseSecret, SdkConfig, SecretsError, SecretsManager, Ssl, Stage, Version};
use tokio::time::Instant;

use crate::config::{Config, PasswordSource};
use crate::database::{Answer, Database};
use crate::decide::{
    Action, Done, Known, Labels, Login, Probe, Refusal, Replicas, Store, Value, decide,
};
use crate::error::RotationError;
use crate::event::RotationEvent;
use crate::master::Master;
use change::Veto;
pub(crate) use progress::Progress;
use progress::Server;

/// Pause before a read or a change that failed for now is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// One step of one rotation. It keeps what it has read and logged in with, and drops it at its end.
pub(crate) struct Rotating<'a> {
    pub(crate) config: &'a Config,
    pub(crate) secrets: &'a SecretsManager,
    pub(crate) aws: &'a SdkConfig,
    pub(crate) database: &'a Database,
    pub(crate) event: &'a RotationEvent,
    pub(crate) deadline: Instant,
    pub(crate) progress: &'a Progress,
    /// The secret's key, where it has one of its own.
    pub(crate) key: Option<String>,
    pub(crate) session: Option<(Acting, Session)>,
    pub(crate) refused: Option<LoginError>,
    /// Why the user may not change its own password.
    pub(crate) forbidden: Option<RoleError>,
    /// What was read of the master's secret, by label.
    pub(crate) masters: Vec<(Stage, Master)>,
}

/// The version whose login a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acting {
    /// The one with this label.
    Labelled(Stage),
    /// The one with this id, and no label.
    Orphan(String),
    /// That of the master's secret with this label.
    Master(Stage),
}

impl Rotating<'_> {
    /// Runs the event's step. Repeating it after success, or after a crash at any point, changes nothing more; the keys
    /// that make it so are the secret's ARN and the version's id.
    pub(crate) async fn run(mut self) -> Result<Done, RotationError> {
        self.progress.doing.set("read the labels");
        self.progress
            .wait_for(Some(Server::SecretsManager), Instant::now());
        let description = self.api().describe(&self.event.secret_id).await?;
        self.key.clone_from(&description.kms_key_id);
        let labels = Labels::of(&description, &self.event.version_id);
        let mut known = Known::new(labels)
            .with_replicas(Replicas::of(&description))
            .with_recovery(self.config.recovery_versions)
            .with_fast_promotion(self.config.fast_promotion)
            .with_probe_sql(self.config.probe_sql.is_some())
            .with_reader(self.config.reader_host.is_some())
            .with_strategy(self.config.strategy)
            .with_expected(
                self.config.expected.clone(),
                self.config
                    .is_other_secret(&description.arn, &description.name),
            );
        let mut give_up = self.database.connect_deadline(self.deadline);
        loop {
            let action = decide(&self.event.step, &known);
            self.progress.doing.set(doing(&action));
            self.progress.wait_for(waits_for(&action), Instant::now());
            match action {
                Action::Read(stage) => {
                    let value = self.read(stage, &known).await?;
                    known.read(stage, value);
                }
                Action::Store => known.stored(self.store(&known).await?),
                Action::LogIn(stage) => {
                    let login = self.log_in(&Acting::Labelled(stage), &known).await?;
                    known.logged_in(stage, login);
                }
                Action::ChangePassword(stage) => {
                    let acting = Acting::Labelled(stage);
                    known.changed(self.change_password(&acting, &known, give_up).await?);
                }
                Action::ReadMaster(stage) => {
                    let value = self.read_master(stage, &known).await?;
                    known.read_master(stage, value);
                }
                Action::LogInMaster(stage) => {
                    let login = self.log_in(&Acting::Master(stage), &known).await?;
                    known.logged_in_master(stage, login);
                }
                Action::ChangeAsMaster(stage) => {
                    let acting = Acting::Master(stage);
                    known.changed(self.change_password(&acting, &known, give_up).await?);
                }
                Action::SetUp(stage) => {
                    self.set_up(stage, &known).await?;
                    known.set_up();
                }
                Action::List => known.listed(self.list().await?),
                Action::ReadVersion(id) => {
                    let value = self.read_version(&id).await?;
                    known.read_version(&id, value);
                }
                Action::LogInVersion(id) => {
                    let login = self.log_in(&Acting::Orphan(id.clone()), &known).await?;
                    known.logged_in_version(&id, login);
                }
                Action::Recover(id) => {
                    known.changed(self.recover(id, &known, give_up).await?);
                }
                Action::Probe => known.probed(self.probe(&known, give_up).await?),
                Action::RunProbeSql => {
                    known.probed_by_operator(self.run_probe_sql(&known, give_up).await?);
                }
                Action::AwaitReplicas => {
                    let (labels, replicas) = self.await_replicas().await?;
                    known.waited(labels, replicas);
                    // The wait was none for the database.
                    give_up = self.database.connect_deadline(self.deadline);
                }
                Action::AwaitReader => known.reader_answered(self.await_reader(&known).await?),
                Action::MoveCurrent { from } => {
                    known.moved(self.move_current(from.as_deref(), &known).await?);
                }
                Action::Done(done) => return Ok(done),
                Action::Refuse(refusal) => {
                    if let (Refusal::ChangeForbidden, Some(error)) =
                        (&refusal, self.forbidden.take())
                    {
                        return Err(error.into());
                    }
                    let login = self.refused.take().map(Box::new);
                    return Err(self.refusal(refusal, login));
                }
            }
        }
    }

    /// Secrets Manager, for one call.
    fn api(&self) -> &SecretsManager {
        self.progress
            .api_calls
            .set(self.progress.api_calls.get() + 1);
        self.secrets
    }

    /// What a failed call means that needs the secret's value.
    fn of_value(&self, error: SecretsError) -> RotationError {
        RotationError::of_value(&self.event.secret_id, self.key.as_deref(), error)
    }

    async fn labels(&self) -> Result<Labels, SecretsError> {
        let description = self.api().describe(&self.event.secret_id).await?;
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
        let found = self.api().find(&self.event.secret_id, version).await;
        let Some(value) = found.map_err(|error| self.of_value(error))? else {
            return Ok(Value::Absent);
        };
        let parse = |text: &_| self.config.strategy.unwrap_or_default().parse(text);
        match value.text().and_then(parse) {
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
        // The service would make weak ones as well.
        rules.check_strength()?;
        let password = match self.config.password_source {
            PasswordSource::Api => self.api().random_password(rules).await?,
            PasswordSource::Local => rules.generate()?,
        };
        let current = self.secret(Stage::Current, known)?;
        let text = self
            .config
            .strategy
            .unwrap_or_default()
            .document(current, &password);
        let stored = self
            .api()
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
            Err(error) => Err(self.of_value(error)),
        }
    }

    async fn log_in(&mut self, acting: &Acting, known: &Known) -> Result<Login, RotationError> {
        let (target, credentials, ssl) = self.way_in(acting, known)?;
        Ok(match self.log_in_at(&target, &credentials, ssl).await? {
            Some(session) => {
                self.session = Some((acting.clone(), session));
                Login::Accepted
            }
            None => Login::Refused,
        })
    }

    /// Logs in, and keeps the reason if that is refused.
    async fn log_in_at(
        &mut self,
        target: &Target,
        credentials: &Credentials,
        ssl: Ssl,
    ) -> Result<Option<Session>, RotationError> {
        let tls = self.database.tls(ssl)?;
        match self
            .database
            .log_in(target, credentials, tls, self.deadline, self.progress)
            .await?
        {
            Answer::Accepted(session) => Ok(Some(session)),
            Answer::Refused(error) => {
                self.refused = Some(error);
                Ok(None)
            }
        }
    }

    async fn probe(&self, known: &Known, give_up: Instant) -> Result<Probe, RotationError> {
        let Some((_, session)) = &self.session else {
            return Ok(Probe::Lost);
        };
        let username = &self.secret(Stage::Pending, known)?.username;
        // Both at once, so that what is known of the role costs no round trip of its own.
        let (server, (), account) = tokio::join!(
            server::describe(&session.client),
            self.look_at_role(session, username),
            account::describe(&session.client),
        );
        match server {
            Ok(server) => {
                tracing::debug!(?server, "the server answered");
                if let Ok(account) = account {
                    self.look_ahead(server.read_only, &account, session.encrypted, known)
                        .await?;
                }
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

    /// Notes what will refuse the role's logins. A look that fails is no reason to fail.
    async fn look_at_role(&self, session: &Session, username: &str) {
        if let Ok(role) = RoleName::new(username)
            && let Ok(Some(facts)) = facts(&session.client, &role).await
            && let Some((code, text)) = role::warning(
                username,
                facts.can_login,
                facts.connection_limit,
                facts.expires_in,
            )
        {
            self.progress.warn(code, text);
        }
    }

    /// Where and with what `acting` logs in, and what its secret says about TLS.
    fn way_in(
        &self,
        acting: &Acting,
        known: &Known,
    ) -> Result<(Target, Credentials, Ssl), RotationError> {
        let secret = match acting {
            Acting::Labelled(stage) => self.secret(*stage, known)?,
            Acting::Orphan(id) => known
                .version(id)
                .ok_or_else(|| self.refusal(Refusal::NoCurrentValue, None))?,
            Acting::Master(stage) => {
                let master = self.master(*stage)?;
                return Ok((
                    master.target.clone(),
                    master.credentials.clone(),
                    master.ssl,
                ));
            }
        };
        let credentials = Credentials {
            username: secret.username.clone(),
            password: secret.password.clone(),
        };
        let target = self.database.target(secret);
        Ok((target, credentials, ssl(acting, secret, known)))
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
        Action::Read(_) | Action::ReadVersion(_) => "read the secret",
        Action::ReadMaster(_) => "read the master's secret",
        Action::List => "list the versions",
        Action::Store => "store the new version",
        Action::LogIn(_) | Action::LogInVersion(_) | Action::LogInMaster(_) => {
            "log in to the database"
        }
        Action::ChangePassword(_) | Action::Recover(_) | Action::ChangeAsMaster(_) => {
            "change the password"
        }
        Action::SetUp(_) => "set up the database",
        Action::Probe => "ask the server about itself",
        Action::RunProbeSql => "run `PROBE_SQL`",
        Action::AwaitReplicas => "wait for the replicas of the secret",
        Action::AwaitReader => "wait for the reader of `READER_HOST`",
        Action::MoveCurrent { .. } => "move `AWSCURRENT`",
        Action::Done(_) | Action::Refuse(_) => "answer",
    }
}

/// The change of the password counts as waiting for the database, although it looks at the labels once.
fn waits_for(action: &Action) -> Option<Server> {
    match action {
        Action::Read(_)
        | Action::ReadVersion(_)
        | Action::List
        | Action::Store
        | Action::ReadMaster(_)
        | Action::AwaitReplicas
        | Action::MoveCurrent { .. } => Some(Server::SecretsManager),
        Action::LogIn(_)
        | Action::LogInVersion(_)
        | Action::ChangePassword(_)
        | Action::Recover(_)
        | Action::LogInMaster(_)
        | Action::ChangeAsMaster(_)
        | Action::SetUp(_)
        | Action::Probe
        | Action::RunProbeSql
        | Action::AwaitReader => Some(Server::Database),
        Action::Done(_) | Action::Refuse(_) => None,
    }
}

/// What the login is to do about TLS: an older version's word on it may be out of date.
fn ssl(acting: &Acting, secret: &DatabaseSecret, known: &Known) -> Ssl {
    match (acting, known.secret(Stage::Current)) {
        (Acting::Labelled(Stage::Previous) | Acting::Orphan(_), Some(current)) => current.ssl,
        _ => secret.ssl,
    }
}
