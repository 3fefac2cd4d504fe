//! Why an invocation failed, and how its caller is told.

use aurora::LoginError;
use aurora::probe::ProbeError;
use aurora::role::RoleError;
use lambda_runtime::Diagnostic;
use secrets::{DocumentError, PasswordError, SecretsError, Stage};

use crate::decide::{Refusal, start_over};
use crate::event::EventError;
use crate::finding::Finding;
use crate::master::MasterError;
use crate::migrate::MigrateError;
use crate::operator::OrderError;
use crate::recover::RecoverError;

/// The key of a secret that names none: AWS keeps it for the account.
pub(crate) const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// An invocation that failed, by what the caller does next. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The event cannot be used: send another one.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Labels, values or refused logins forbid the step: [`Refusal`] says what to change.
    #[error("{}", refusal_with_note(refusal, secret_id, version_id))]
    Refused {
        /// The reason.
        refusal: Refusal,
        /// ARN of the secret.
        secret_id: String,
        /// The version that is being made.
        version_id: String,
        /// The last refused login, where the reason is one.
        #[source]
        login: Option<Box<LoginError>>,
    },
    /// A version's value is no database secret: put one that is, or for a pending version start over.
    #[error("{}", unusable(*stage, secret_id, version_id))]
    Unusable {
        /// The version's label.
        stage: Stage,
        /// ARN of the secret.
        secret_id: String,
        /// The version that is being made.
        version_id: String,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// The options for a new password cannot be used: change the environment.
    #[error("the options for a new password cannot be used")]
    PasswordRules(#[source] DocumentError),
    /// The options give no password, or one that could be guessed: change the environment.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Secrets Manager did not do what was asked.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The secret's key cannot be used: repair its policy or state, or the policy of the function's role.
    #[error("the value of {secret_id} is encrypted with {key}")]
    Key {
        /// The secret.
        secret_id: String,
        /// Id, ARN or alias of its key.
        key: String,
        /// What Secrets Manager said.
        #[source]
        source: Box<SecretsError>,
    },
    /// The database could not be logged in to for another reason than the password.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The secret asks for a login without TLS: change the secret, or allow it with `REQUIRE_TLS=false`.
    #[error(
        "the secret has `\"ssl\": false`, but this function requires tls; remove the key, or set `REQUIRE_TLS` to `false`"
    )]
    PlaintextRefused,
    /// The host leads to a server that takes no writes: name the writer's, or wait for the failover to end.
    #[error(
        "the database server takes no writes, so that the password cannot be changed there: {host}"
    )]
    ReadOnlyTarget {
        /// The host that was tried.
        host: String,
        /// The server's answer.
        #[source]
        source: RoleError,
    },
    /// The master's secret cannot be used, or nobody knows where its database is.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The role cannot be changed.
    #[error("the password cannot be changed")]
    Role(#[from] RoleError),
    /// A statement failed for a reason that has nothing to do with roles.
    #[error("the database did not answer: {doing}")]
    Statement {
        /// What was asked.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The statement of `PROBE_SQL` failed with the new password: grant what its user lacks, or mend the statement; then
    /// repeat the step.
    #[error(
        "the new password opens the database, but `PROBE_SQL` failed, so `AWSCURRENT` stays where it is: {username}"
    )]
    ProbeFailed {
        /// The user that ran it.
        username: String,
        /// The server's answer.
        #[source]
        source: ProbeError,
    },
    /// The invocation's time is nearly over: repeat the step, with a longer time-out if that happens again.
    #[error("no time left to {doing}")]
    OutOfTime {
        /// What was being done, or was not begun.
        doing: &'static str,
    },
    /// The order to migrate is refused before any login.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The database could not be set up.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// No version was made current.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// A test of the configuration found what would make a rotation fail: do what the finding says.
    #[error("a rotation would fail: {}; {}", .0.message, .0.repair)]
    NotReady(Finding),
}

impl RotationError {
    /// A failed call that needs the value of a secret, and so its key; `None` is the account's own.
    pub(crate) fn of_value(secret_id: &str, key: Option<&str>, source: SecretsError) -> Self {
        match source {
            SecretsError::Kms(_) => Self::Key {
                secret_id: secret_id.to_owned(),
                key: key.unwrap_or(DEFAULT_KEY).to_owned(),
                source: Box::new(source),
            },
            source => source.into(),
        }
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &str {
        match self {
            Self::Event(source) => source.code(),
            Self::Refused { refusal, .. } => refusal.code(),
            Self::Unusable { stage, .. } => match stage {
                Stage::Pending => "PENDING_INVALID",
                Stage::Current | Stage::Previous => "CURRENT_INVALID",
            },
            Self::PasswordRules(_) => "PASSWORD_RULES",
            Self::Password(source) => source.code(),
            Self::Secrets(SecretsError::Deleted(_)) => "SECRET_DELETED",
            Self::Secrets(SecretsError::Kms(_)) | Self::Key { .. } => "KMS_DENIED",
            Self::Secrets(source) => source.code(),
            Self::Login(source) => source.code(),
            Self::PlaintextRefused => "PLAINTEXT_REFUSED",
            Self::ReadOnlyTarget { .. } => "READ_ONLY_TARGET",
            Self::Master(source) => source.code(),
            Self::Role(source) => source.code(),
            Self::Statement { .. } => "STATEMENT_FAILED",
            Self::ProbeFailed { .. } => "PROBE_FAILED",
            Self::OutOfTime { .. } => "OUT_OF_TIME",
            Self::Order(source) => source.code(),
            Self::Migrate(source) => source.code(),
            Self::Recover(source) => source.code(),
            Self::NotReady(finding) => &finding.code,
        }
    }

    /// The SQLSTATE at the bottom of it, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Login(source) => source.sqlstate(),
            Self::Refused { login, .. } => login.as_ref()?.sqlstate(),
            Self::Statement { source, .. } => Some(source.code()?.code()),
            Self::ProbeFailed { source, .. } => source.sqlstate(),
            Self::Role(RoleError::Database { sqlstate, .. })
            | Self::ReadOnlyTarget {
                source: RoleError::Database { sqlstate, .. },
                ..
            } => Some(sqlstate),
            Self::Role(
                RoleError::PermissionDenied { .. }
                | RoleError::AdminOptionMissing { .. }
                | RoleError::PasswordsRestricted { .. },
            ) => Some("42501"),
            _ => None,
        }
    }

    /// The type that the caller sees: an exception's name of the reference or of the SDK, where there is one.
    fn error_type(&self) -> &str {
        match self {
            Self::Event(EventError::Missing(_) | EventError::Invalid(_)) => "ValueError",
            Self::Refused { refusal, .. } => refusal.error_type(),
            Self::Unusable {
                stage: Stage::Current | Stage::Previous,
                source,
                ..
            }
            | Self::PasswordRules(source) => source.error_type(),
            Self::Master(source) => source.error_type(),
            // As the reference lets the service's own exceptions through.
            Self::Secrets(source) => source.code(),
            Self::Key { source, .. } => source.code(),
            _ => self.code(),
        }
    }

    /// The message that the caller sees: the reference's where it has one, otherwise the whole chain of causes.
    fn message(&self) -> String {
        match self {
            Self::Unusable {
                stage: Stage::Current | Stage::Previous,
                source,
                ..
            }
            | Self::PasswordRules(source) => source.reference_message(),
            Self::Secrets(source) => as_boto3(source),
            // The key is for the log.
            Self::Key { source, .. } => as_boto3(source),
            // The refused login and the note are for the log: the message is the reference's to the letter.
            Self::Refused {
                refusal,
                secret_id,
                version_id,
                ..
            } => refusal.message(secret_id, version_id),
            Self::Master(source) => source
                .reference_message()
                .unwrap_or_else(|| startup::report::chain(self)),
            _ => startup::report::chain(self),
        }
    }
}

impl From<RotationError> for Diagnostic {
    fn from(error: RotationError) -> Self {
        Self {
            error_type: error.error_type().to_owned(),
            error_message: error.message(),
        }
    }
}

/// As boto3 words it, which the reference passes on.
fn as_boto3(error: &SecretsError) -> String {
    format!(
        "An error occurred ({}) when calling the {} operation: {}",
        error.code(),
        error.failure().operation,
        error.message()
    )
}

fn refusal_with_note(refusal: &Refusal, secret_id: &str, version_id: &str) -> String {
    let message = refusal.message(secret_id, version_id);
    match refusal.note() {
        Some(note) => format!("{message}; {note}"),
        None => message,
    }
}

fn unusable(stage: Stage, secret_id: &str, version_id: &str) -> String {
    match stage {
        Stage::Pending => format!(
            "the pending version cannot be used and cannot be changed; {}",
            start_over(secret_id, version_id)
        ),
        Stage::Current | Stage::Previous => {
            format!("the version with the label `{stage}` cannot be used: {secret_id}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Search;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf";

    fn refused(refusal: Refusal) -> RotationError {
        RotationError::Refused {
            refusal,
            secret_id: ARN.to_owned(),
            version_id: "v2".to_owned(),
            login: None,
        }
    }

    fn unusable(stage: Stage, text: &str) -> RotationError {
        RotationError::Unusable {
            stage,
            secret_id: ARN.to_owned(),
            version_id: "v2".to_owned(),
            source: secrets::DatabaseSecret::parse(&text.to_owned().into()).unwrap_err(),
        }
    }

    fn told(error: RotationError) -> String {
        let code = error.code().to_owned();
        let Diagnostic {
            error_type,
            error_message,
        } = error.into();
        format!("[{code}] {error_type}: {error_message}")
    }

    #[test]
    fn the_caller_is_told_what_the_reference_tells() {
        let texts: Vec<String> = [
            EventError::Missing("SecretId").into(),
            EventError::Invalid("Step").into(),
            refused(Refusal::RotationOff),
            refused(Refusal::NoStage),
            refused(Refusal::NotPending),
            refused(Refusal::InvalidStep("setsecret".to_owned())),
            refused(Refusal::OtherUser {
                pending: "a".to_owned(),
                current: "b".to_owned(),
            }),
            refused(Refusal::OtherHost {
                pending: "a".to_owned(),
                current: "b".to_owned(),
            }),
            refused(Refusal::PasswordUnknown(Search::Denied)),
            refused(Refusal::PendingRefused),
            unusable(Stage::Current, r#"{"engine":"mysql"}"#),
            unusable(Stage::Current, r#"{"engine":"postgres"}"#),
        ]
        .into_iter()
        .map(told)
        .collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        [INVALID_EVENT] ValueError: No value provided for "SecretId".
        [INVALID_EVENT] ValueError: "Step" contains invalid characters.
        [ROTATION_OFF] ValueError: Secret arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf is not enabled for rotation
        [VERSION_WITHOUT_STAGE] ValueError: Secret version v2 has no stage for rotation of secret arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf.
        [VERSION_NOT_PENDING] ValueError: Secret version v2 not set as AWSPENDING for rotation of secret arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf.
        [INVALID_STEP] ValueError: Invalid step parameter setsecret for secret arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [OTHER_USER] ValueError: Attempting to modify user a other than current user b
        [OTHER_HOST] ValueError: Attempting to modify user for host a other than current host b
        [DB_PASSWORD_UNKNOWN] ValueError: Unable to log into database with previous, current, or pending secret of secret arn arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [PENDING_REFUSED] ValueError: Unable to log into database with pending secret of secret ARN arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [CURRENT_INVALID] KeyError: "Database engine must be set to 'postgres' in order to use this rotation lambda"
        [CURRENT_INVALID] KeyError: 'host key is missing from secret JSON'
        "#);
    }

    #[test]
    fn a_key_that_may_not_be_used_is_named_in_the_log() {
        let error = |key: Option<&str>| {
            let failure = secrets::Failure {
                operation: "GetSecretValue",
                code: "DecryptionFailure".to_owned(),
                message: "Secrets Manager can't decrypt it.".to_owned(),
                cause: None,
            };
            RotationError::of_value("app", key, SecretsError::Kms(failure))
        };
        insta::assert_snapshot!(startup::report::chain(&error(Some("alias/talks"))), @"the value of app is encrypted with alias/talks: the kms key of the secret cannot be used: GetSecretValue failed with DecryptionFailure: Secrets Manager can't decrypt it.");
        let unnamed = startup::report::chain(&error(None));
        assert!(
            unnamed.contains("with alias/aws/secretsmanager: "),
            "{unnamed}"
        );
        insta::assert_snapshot!(told(error(None)), @"[KMS_DENIED] DecryptionFailure: An error occurred (DecryptionFailure) when calling the GetSecretValue operation: Secrets Manager can't decrypt it.");
    }

    #[test]
    fn the_log_says_how_far_the_search_went() {
        let searched = |search| refused(Refusal::PasswordUnknown(search)).to_string();
        let texts = [
            searched(Search::Off),
            searched(Search::Denied),
            searched(Search::Fruitless {
                logins: 5,
                versions: 20,
            }),
        ]
        .map(|text| text.split_once("; ").unwrap().1.to_owned());
        insta::assert_snapshot!(texts.join("\n"), @r"
        versions without a label were not tried, because `RECOVERY_VERSIONS` is 0
        versions without a label were not tried, because the function's role may not call ListSecretVersionIds
        versions without a label, of which tried for this user and host and refused: 20, 5
        ");
    }

    #[test]
    fn what_the_reference_has_no_words_for_names_the_next_step() {
        let texts: Vec<String> = [
            refused(Refusal::NoCurrentValue),
            refused(Refusal::NoPendingValue),
            refused(Refusal::PendingNotVisible),
            refused(Refusal::StrategyNotChosen),
            refused(Refusal::CurrentEdited {
                key: "dbname".to_owned(),
            }),
            refused(Refusal::CurrentMoved),
            refused(Refusal::ChangeUnknown),
            unusable(Stage::Pending, "not json"),
            RotationError::PlaintextRefused,
            RotationError::OutOfTime {
                doing: "change the password",
            },
            OrderError::HostUnknown.into(),
            RecoverError::NoUsableVersion(ARN.to_owned()).into(),
            RecoverError::ReadOnly("db".to_owned()).into(),
            RecoverError::CurrentMoved(ARN.to_owned()).into(),
        ]
        .into_iter()
        .map(told)
        .collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        [NO_CURRENT_VALUE] NO_CURRENT_VALUE: no version has the label `AWSCURRENT`, so there is nothing to rotate; put a value into the secret first: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [NO_PENDING_VALUE] ResourceNotFoundException: the version that is being made has no value, so `createSecret` has to run first: v2
        [PENDING_NOT_VISIBLE] PENDING_NOT_VISIBLE: the version that is being made has a value which cannot be read yet; repeat the step: v2
        [STRATEGY_NOT_CHOSEN] STRATEGY_NOT_CHOSEN: the secret has a `masterarn`, so that it may have been rotated with alternating users; set `ROTATION_STRATEGY` to `single-user` to change its user's password in place, or to `alternating-users`: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [CURRENT_CHANGED] CURRENT_CHANGED: the current version was edited after the pending one had been made from it, and the edit would be lost; the database was not changed; start over with `aws secretsmanager update-secret-version-stage --secret-id arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf --version-stage AWSPENDING --remove-from-version-id v2` and another rotation; key that differs: `dbname`
        [CURRENT_CHANGED] CURRENT_CHANGED: `AWSCURRENT` was moved by somebody else and the database does not accept the pending version: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [CHANGE_UNKNOWN] CHANGE_UNKNOWN: the connection was lost each time while the new password was being committed, and the database still refuses it; repeat the step: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [PENDING_INVALID] PENDING_INVALID: the pending version cannot be used and cannot be changed; start over with `aws secretsmanager update-secret-version-stage --secret-id arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf --version-stage AWSPENDING --remove-from-version-id v2` and another rotation: secret is not valid json: line 1 column 2
        [PLAINTEXT_REFUSED] PLAINTEXT_REFUSED: the secret has `"ssl": false`, but this function requires tls; remove the key, or set `REQUIRE_TLS` to `false`
        [OUT_OF_TIME] OUT_OF_TIME: no time left to change the password
        [HOST_UNKNOWN] HOST_UNKNOWN: no host is known for the database; set `DB_HOST`
        [NO_USABLE_VERSION] NO_USABLE_VERSION: no version holds a database secret, put one with the password that the database has: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        [READ_ONLY_TARGET] READ_ONLY_TARGET: no label was moved, because the server takes no writes and may know an older password than the writer; name the writer's host: db
        [CURRENT_CHANGED] CURRENT_CHANGED: `AWSCURRENT` was moved by somebody else meanwhile, look again: arn:aws:secretsmanager:us-east-1:000000000000:secret:app-AbCdEf
        "#);
    }
}
