//! Making the version current that the database accepts: the operator's step `recover`.
//!
//! Labels and database part where a rotation is cancelled or a label is taken off behind `setSecret`, and where a database
//! is restored from a snapshot. [`Walk`] decides which versions are tried and in which order; `run` carries it out and
//! moves `AWSCURRENT` to the one that opens the database. No password is changed, and where none is accepted, no label.

mod search;

use std::fmt;

use aurora::Credentials;
use secrets::{DatabaseSecret, SecretDescription, SecretsError, SecretsManager, Stage, Version};
use serde::{Deserialize, Serialize};
use startup::metrics::Metrics;
use tokio::time::Instant;

use crate::database::Answer;
use crate::decide::{Listing, Login, Next, Origin, Value, Walk};
use crate::error::RotationError;
use crate::handler::Rotation;
use crate::step::Progress;

pub use search::Fruitless;

/// How often the search starts anew because somebody else moves `AWSCURRENT` meanwhile.
const MOVES: u32 = 3;

/// What was done, or would be; serialises as the reply of the function's step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// ARN of the secret.
    pub secret_arn: String,
    /// What became of `AWSCURRENT`.
    pub current: Current,
    /// The version that the database accepts.
    pub version_id: String,
    /// How that version was found: its label, or `without a label`.
    pub found: String,
    /// The version that had `AWSCURRENT` before.
    pub current_before: Option<String>,
    /// Logins that the database refused on the way.
    pub refused_logins: u32,
    /// What is left to do, with the command that does it.
    pub next: Option<String>,
}

/// What became of `AWSCURRENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Current {
    /// The database accepts the version that has it.
    Kept,
    /// It was moved to the version that the database accepts, or would be.
    Moved,
}

/// Why no version was made current, by what the operator does next. No label was moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// The database refuses every version that may be tried: have the password set to what a version holds.
    #[error(
        "no label was moved, because the database refuses every version that was tried{}; {}",
        told(fruitless),
        repair(secret_id)
    )]
    NothingAccepted {
        /// The secret.
        secret_id: String,
        /// What was tried.
        fruitless: Fruitless,
    },
    /// No version holds a database secret: put one.
    #[error(
        "no version holds a database secret, put one with the password that the database has: {0}"
    )]
    NoUsableVersion(String),
    /// What answers takes no writes, and may know an older password than the writer: name the writer's host.
    #[error(
        "no label was moved, because the server takes no writes and may know an older password than the writer; name the writer's host: {0}"
    )]
    ReadOnly(String),
    /// Somebody else moves `AWSCURRENT`, or a rotation is under way: look again.
    #[error("`AWSCURRENT` was moved by somebody else meanwhile, look again: {0}")]
    CurrentMoved(String),
}

impl RecoverError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingAccepted { .. } => "DB_PASSWORD_UNKNOWN",
            Self::NoUsableVersion(_) => "NO_USABLE_VERSION",
            Self::ReadOnly(_) => "READ_ONLY_TARGET",
            Self::CurrentMoved(_) => "CURRENT_CHANGED",
        }
    }
}

/// What a recovery works with.
pub(crate) struct Recovering<'a> {
    pub(crate) rotation: &'a Rotation,
    pub(crate) secret_id: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) deadline: Instant,
    pub(crate) progress: &'a Progress,
}

impl Recovering<'_> {
    /// Finds the version that the database accepts and makes it current. Repeating it changes nothing: then the current
    /// version is the one that is accepted.
    pub(crate) async fn run(&self) -> Result<Report, RotationError> {
        for _ in 0..MOVES {
            self.progress.doing.set("read the labels");
            let description = self.api().describe(self.secret_id).await?;
            let (version_id, origin) = self.search(&description).await?;
            let report = self.report(&description, version_id, origin);
            if report.current == Current::Kept || self.dry_run {
                return Ok(report);
            }
            self.progress.doing.set("move `AWSCURRENT`");
            let from = report.current_before.as_deref();
            match self
                .api()
                .move_current(self.secret_id, &report.version_id, from)
                .await
            {
                Ok(()) => return Ok(report),
                Err(SecretsError::InvalidParameter(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecoverError::CurrentMoved(self.secret_id.to_owned()).into())
    }

    /// Secrets Manager, for one call.
    fn api(&self) -> &SecretsManager {
        let calls = &self.progress.api_calls;
        calls.set(calls.get() + 1);
        &self.rotation.secrets
    }

    /// Returns the version that the database accepts, and where it was found.
    pub(crate) async fn search(
        &self,
        description: &SecretDescription,
    ) -> Result<(String, Origin), RotationError> {
        self.expect(description, None)?;
        let logins_allowed = self.rotation.config.recovery_versions;
        let mut walk = Walk::new(logins_allowed).with_labels(&description.versions);
        loop {
            match search::next(&walk) {
                Next::Read(version_id) => {
                    self.progress.doing.set("read the secret");
                    let value = self.read(&version_id).await?;
                    walk.read(&version_id, value);
                }
                Next::LogIn(version_id) => {
                    self.expect(description, walk.first_secret())?;
                    self.progress.doing.set("log in to the database");
                    if let Some(secret) = walk.secret(&version_id) {
                        let login = self.log_in(secret).await?;
                        walk.logged_in(&version_id, login);
                    }
                }
                Next::List => {
                    self.progress.doing.set("list the versions");
                    walk.listed(self.list().await?);
                }
                Next::Accepted(version_id) => {
                    let origin = walk.origin(&version_id).unwrap_or(Origin::Unlabelled);
                    return Ok((version_id, origin));
                }
                Next::Nothing(search) => {
                    let secret_id = self.secret_id.to_owned();
                    let fruitless = Fruitless::of(&walk, search);
                    return Err(match fruitless.login {
                        None => RecoverError::NoUsableVersion(secret_id),
                        Some(_) => RecoverError::NothingAccepted {
                            secret_id,
                            fruitless,
                        },
                    }
                    .into());
                }
            }
        }
    }

    /// Where the master may set up a database, the function logs in for no other application.
    fn expect(
        &self,
        description: &SecretDescription,
        read: Option<&DatabaseSecret>,
    ) -> Result<(), RotationError> {
        match self.rotation.config.stranger(description, read) {
            None => Ok(()),
            Some(refusal) => Err(RotationError::Refused {
                refusal,
                secret_id: self.secret_id.to_owned(),
                version_id: String::new(),
                login: None,
            }),
        }
    }

    /// Lists all versions: the walk leaves out those that it has tried by their label.
    async fn list(&self) -> Result<Listing, SecretsError> {
        match self.api().versions(self.secret_id, true).await {
            Ok(versions) => {
                let ids = versions.into_iter().map(|version| version.version_id);
                Ok(Listing::Versions(ids.collect()))
            }
            Err(SecretsError::AccessDenied(_)) => Ok(Listing::Denied),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, version_id: &str) -> Result<Value, SecretsError> {
        let version = Version::Id(version_id);
        let found = match self.api().find(self.secret_id, version).await {
            Ok(found) => found,
            // An old version may be encrypted with a key that is gone.
            Err(SecretsError::Kms(_)) => None,
            Err(error) => return Err(error),
        };
        let text = found.as_ref().and_then(|value| value.text().ok());
        // What is no database secret opens none.
        Ok(match text.map(DatabaseSecret::parse) {
            Some(Ok(secret)) => Value::Read(Box::new(secret)),
            Some(Err(_)) | None => Value::Absent,
        })
    }

    async fn log_in(&self, secret: &DatabaseSecret) -> Result<Login, RotationError> {
        let database = &self.rotation.database;
        let tls = database.tls(secret.ssl)?;
        let credentials = Credentials {
            username: secret.username.clone(),
            password: secret.password.clone(),
        };
        let target = database.target(secret);
        let answer = database
            .log_in(&target, &credentials, tls, self.deadline, self.progress)
            .await?;
        let Answer::Accepted(session) = answer else {
            return Ok(Login::Refused);
        };
        // A reader that lags behind still accepts what the writer has forgotten.
        let read_only = aurora::server::is_read_only(&session.client)
            .await
            .map_err(|source| RotationError::Statement {
                doing: "ask the server whether it takes writes",
                source,
            })?;
        if read_only {
            return Err(RecoverError::ReadOnly(target.host).into());
        }
        Ok(Login::Accepted)
    }

    fn report(
        &self,
        description: &SecretDescription,
        version_id: String,
        origin: Origin,
    ) -> Report {
        let current_before = description.version_with(Stage::Current).map(str::to_owned);
        Report {
            dry_run: self.dry_run,
            secret_arn: description.arn.clone(),
            current: if current_before.as_deref() == Some(&version_id) {
                Current::Kept
            } else {
                Current::Moved
            },
            next: next(description, &version_id),
            found: origin.to_string(),
            version_id,
            current_before,
            refused_logins: self.progress.refused_logins.get(),
        }
    }
}

/// What is left to do once `current` is current.
fn next(description: &SecretDescription, current: &str) -> Option<String> {
    let arn = &description.arn;
    let pending = description
        .version_with(Stage::Pending)
        .filter(|pending| *pending != current);
    match (pending, description.rotation_enabled) {
        // It also switches rotation on.
        (Some(pending), Some(_)) => Some(format!(
            "a rotation stopped before its end, let it go on: aws secretsmanager rotate-secret --secret-id {arn} --client-request-token {pending}"
        )),
        (_, Some(false)) => {
            let function = description.rotation_function_arn.as_deref();
            Some(format!(
                "rotation is switched off, switch it on: turnkeep rotate --secret {arn} --function {} --wait",
                function.unwrap_or("ARN")
            ))
        }
        _ => None,
    }
}

/// What an operator does when nobody knows the password.
pub(crate) fn repair(secret_id: &str) -> String {
    format!(
        "have the master user set it to what the current version holds: turnkeep create-tables --secret {secret_id} --master-secret ID; an expired role, or one that may not log in, refuses every password: turnkeep preflight --secret {secret_id}"
    )
}

fn told(fruitless: &Fruitless) -> String {
    let user = fruitless
        .login
        .as_ref()
        .map_or_else(String::new, |(username, host)| {
            format!(" for user `{username}` on {host}")
        });
    let unlabelled = match fruitless.unlabelled {
        Some(number) => format!("{number} version(s) have no label"),
        None => "versions without a label were not tried: they may not be listed, or none of them is to be".to_owned(),
    };
    format!(
        "{user} ({} refused login(s); {unlabelled})",
        fruitless.refused
    )
}

impl Report {
    /// The word for the log, and what a program branches on.
    pub fn outcome(&self) -> &'static str {
        match (self.current, self.dry_run) {
            (Current::Kept, _) => "nothing_to_recover",
            (Current::Moved, true) => "planned",
            (Current::Moved, false) => "recovered",
        }
    }
}

impl Report {
    /// Adds what alarms watch: a label that had to be moved by hand.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        if self.outcome() == "recovered" {
            metrics.count("Recovered", 1);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version_id,
            found,
            refused_logins,
            ..
        } = self;
        let becomes = match (self.current, self.dry_run) {
            (Current::Kept, _) => "is current already",
            (Current::Moved, true) => "would be made current",
            (Current::Moved, false) => "was made current",
        };
        write!(
            f,
            "the database accepts version {version_id} ({found}), which {becomes}; refused logins before: {refused_logins}"
        )
    }
}

#[cfg(test)]
mod tests;
