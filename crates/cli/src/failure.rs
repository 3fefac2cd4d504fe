//! How a verb fails: what happened, the next step, the exit code.

use std::io;

use aurora::role::RoleError;
use aurora::{LoginError, TrustError};
use aurora_session::{SessionError, SourceError};
use secrets::{DocumentError, SecretsError};
use startup::config::ConfigError;
use store::StoreError;

/// Exit codes, as `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    RotationStopped,
    Unreachable,
    Refused,
    NotReady,
    Attention,
    /// What the program that `exec` ran ended with.
    Program(u8),
}

impl Exit {
    /// The code for the operating system.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::RotationStopped => 3,
            Self::Unreachable => 4,
            Self::Refused => 5,
            Self::NotReady => 6,
            Self::Attention => 7,
            Self::Program(code) => code,
        }
    }
}

/// A verb that failed. Its text holds no secret, because none of its causes does.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: String,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// A failure that is this program's own finding; `code` is stable.
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            error: anyhow::Error::msg(message.into()),
            hint: None,
        }
    }

    pub(crate) fn caused(exit: Exit, code: &str, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            error: error.into(),
            hint: None,
        }
    }

    /// Sets the next step, in place of a more general one.
    pub(crate) fn next(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with(mut self, hint: Option<&'static str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }

    /// Says what was being done.
    pub(crate) fn context(mut self, sentence: String) -> Self {
        self.error = self.error.context(sentence);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The whole chain of causes on one line.
    pub(crate) fn message(&self) -> String {
        startup::report::chain(self.error.as_ref())
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::caused(Exit::Usage, "Configuration", error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::caused(Exit::Failed, "InputOutput", error)
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::caused(Exit::Usage, "Trust", error).next("name a PEM file of roots with --ca-bundle")
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self::caused(Exit::Failed, error.error_type(), error)
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        let (exit, hint) = of_secrets(&error);
        let code = error.code().to_owned();
        Self::caused(exit, &code, error).with(hint)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        let (exit, hint) = of_login(&error);
        let code = error.code();
        Self::caused(exit, code, error).with(hint)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let (exit, hint) = match &error {
            SessionError::Refused { source, .. } | SessionError::Login(source) => of_login(source),
            SessionError::Secret {
                source: SourceError::SecretsManager(source),
                ..
            } => of_secrets(source),
            SessionError::NoHost { .. } => (Exit::Usage, Some(NAME_THE_HOST)),
            SessionError::TimedOut => (Exit::Unreachable, Some(PRIVATE_OR_PAUSED)),
            _ => (Exit::Failed, None),
        };
        let code = error.code();
        Self::caused(exit, code, error).with(hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = of_store(&error);
        let code = error.code();
        Self::caused(exit, code, error).with(hint)
    }
}

impl From<store::migrate::MigrateError> for Failure {
    fn from(error: store::migrate::MigrateError) -> Self {
        let (exit, hint) = of_schema(&error);
        let code = error.code();
        Self::caused(exit, code, error).with(hint)
    }
}

impl From<rotation::migrate::MigrateError> for Failure {
    fn from(error: rotation::migrate::MigrateError) -> Self {
        use rotation::migrate::MigrateError as Cause;
        let (exit, hint) = match &error {
            Cause::ApplicationLogin { .. } => (
                Exit::Failed,
                Some(
                    "have a secret with a login of its own made: turnkeep create-tables --secret NAME --create-secret --app-user ial_app --master-secret ID",
                ),
            ),
            Cause::MasterNeeded { .. } => (
                Exit::Refused,
                Some("turnkeep create-tables --master-secret ID"),
            ),
            Cause::Role(RoleError::PermissionDenied { .. }) => (Exit::Refused, Some(MASTER_RIGHTS)),
            Cause::Login(source) => of_login(source),
            Cause::StillRefused { .. } => (
                Exit::Refused,
                Some(
                    "an expired role, or one that may not log in, refuses every password: turnkeep preflight",
                ),
            ),
            Cause::Schema(source) => of_schema(source),
            _ => (Exit::Failed, None),
        };
        let code = error.code();
        Self::caused(exit, code, error).with(hint)
    }
}

pub(crate) const NAME_THE_HOST: &str = "name the database's host with --host or DB_HOST";
const PRIVATE_OR_PAUSED: &str = "a paused database needs up to a minute (--timeout 60); one in a private network is \
     reached from inside it or through a tunnel (--host, --port)";
pub(crate) const AWS_ACCESS: &str =
    "check --region, --profile and --endpoint-url, and who you are: aws sts get-caller-identity";

const AWS_CREDENTIALS: &str = "name a profile with --profile; credentials of SSO or of a process are taken over by: \
     eval \"$(aws configure export-credentials --format env)\"";
const MASTER_RIGHTS: &str = "name the secret of the master user, who may create roles and, in PostgreSQL 16 and newer, \
     made the roles that are there: --master-secret ID";

fn of_secrets(error: &SecretsError) -> (Exit, Option<&'static str>) {
    match error {
        SecretsError::NotFound(_) => (
            Exit::Failed,
            Some(
                "name the secret with --secret or its region with --region, or create it: turnkeep create-tables --master-secret ID --create-secret",
            ),
        ),
        SecretsError::AccessDenied(_) => (
            Exit::Refused,
            Some("allow it in the policy of this identity: aws sts get-caller-identity"),
        ),
        SecretsError::Kms(_) => (
            Exit::Refused,
            Some("allow kms:Decrypt and kms:GenerateDataKey on the secret's key"),
        ),
        SecretsError::Deleted(_) => (
            Exit::Failed,
            Some("restore it: aws secretsmanager restore-secret --secret-id ID"),
        ),
        SecretsError::Throttled(_) => (Exit::Unreachable, Some("run it again in a minute")),
        // The SDK has no error of its own for this before a request is sent.
        SecretsError::Unavailable(_) if startup::report::chain(error).contains("credential") => {
            (Exit::Usage, Some(AWS_CREDENTIALS))
        }
        SecretsError::Unavailable(_) => (Exit::Unreachable, Some(AWS_ACCESS)),
        _ => (Exit::Failed, None),
    }
}

fn of_login(error: &LoginError) -> (Exit, Option<&'static str>) {
    match error {
        LoginError::Refused { .. } => (
            Exit::Refused,
            Some(
                "make current the version that the database takes: turnkeep recover; if it takes none, set the password in the database: turnkeep create-tables --master-secret ID",
            ),
        ),
        LoginError::Starting { .. }
        | LoginError::Unreachable { .. }
        | LoginError::TimedOut { .. } => (Exit::Unreachable, Some(PRIVATE_OR_PAUSED)),
        LoginError::TooManyConnections { .. } => (
            Exit::Unreachable,
            Some("end other sessions, or raise max_connections"),
        ),
        LoginError::UnknownDatabase { .. } => (
            Exit::Failed,
            Some(
                "name another with --dbname, or create it as the master user: turnkeep exec --secret MASTER --host HOST --dbname postgres -- createdb NAME",
            ),
        ),
        LoginError::Certificate { .. } => (
            Exit::Failed,
            Some(
                "name the host as the certificate has it (--host), and the roots it chains to (--ca-bundle)",
            ),
        ),
        LoginError::NoTls { .. } => (
            Exit::Failed,
            Some("switch TLS on in the server; Turnkeep sends no password without"),
        ),
        _ => (Exit::Failed, None),
    }
}

fn of_store(error: &StoreError) -> (Exit, Option<&'static str>) {
    match error {
        StoreError::Disconnected(_) | StoreError::TimedOut { .. } => (
            Exit::Unreachable,
            Some("run it again; --timeout gives it more time"),
        ),
        StoreError::Busy { .. } => (
            Exit::Failed,
            Some("run it again when other sessions have let go of their locks"),
        ),
        StoreError::Denied(_) => (
            Exit::Refused,
            Some("repair roles and grants: turnkeep create-tables --master-secret ID"),
        ),
        StoreError::NotMigrated(_) => (Exit::Failed, Some("turnkeep create-tables")),
        _ => (Exit::Failed, None),
    }
}

fn of_schema(error: &store::migrate::MigrateError) -> (Exit, Option<&'static str>) {
    use store::migrate::MigrateError;
    match error {
        MigrateError::Failed { source, .. } | MigrateError::Store(source) => of_store(source),
        MigrateError::Newer { .. } => (
            Exit::Failed,
            Some("use the turnkeep of the version that migrated it"),
        ),
        MigrateError::ForeignTable { .. } => (
            Exit::Failed,
            Some("give Turnkeep a database of its own: --dbname"),
        ),
        _ => (Exit::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aurora::{Place, Transport, Waiting};

    fn asked(code: &str) -> secrets::Failure {
        secrets::Failure {
            operation: "GetSecretValue",
            code: code.to_owned(),
            message: "why".to_owned(),
            cause: None,
        }
    }

    fn place() -> Place {
        Place {
            host: "db".to_owned(),
            port: 5432,
            transport: Transport::Tls,
        }
    }

    #[track_caller]
    fn check(error: impl Into<Failure>, exit: Exit, hint: &str) {
        let failure: Failure = error.into();
        assert_eq!(failure.exit(), exit, "{}", failure.message());
        let found = failure.hint().unwrap_or_default();
        assert!(found.contains(hint), "{found}");
    }

    #[test]
    fn what_scripts_branch_on_has_a_code_of_its_own_and_a_next_step() {
        use SecretsError::{AccessDenied, Kms, NotFound, Unavailable};
        check(
            NotFound(asked("ResourceNotFoundException")),
            Exit::Failed,
            "--secret",
        );
        check(
            AccessDenied(asked("AccessDeniedException")),
            Exit::Refused,
            "policy",
        );
        check(
            Kms(asked("DecryptionFailure")),
            Exit::Refused,
            "kms:Decrypt",
        );
        check(
            Unavailable(asked("TimeoutError")),
            Exit::Unreachable,
            "--endpoint-url",
        );

        let refused = || LoginError::Refused {
            place: place(),
            sqlstate: "28P01".to_owned(),
            message: "no".to_owned(),
        };
        let timed_out = LoginError::TimedOut {
            place: place(),
            waiting: Waiting::Tcp,
        };
        check(refused(), Exit::Refused, "turnkeep recover");
        check(timed_out, Exit::Unreachable, "--timeout 60");
        check(LoginError::NoTls { place: place() }, Exit::Failed, "TLS");

        let waited = std::time::Duration::from_secs(1);
        check(
            StoreError::TimedOut { waited },
            Exit::Unreachable,
            "--timeout",
        );
        check(
            io::Error::from(io::ErrorKind::StorageFull),
            Exit::Failed,
            "",
        );
    }

    #[test]
    fn the_whole_chain_is_one_line_behind_what_was_being_done() {
        let failure = Failure::from(SecretsError::AccessDenied(asked("AccessDeniedException")))
            .context("the rotation is not started".to_owned());
        assert_eq!(
            failure.message(),
            "the rotation is not started: access to secrets manager denied: \
             GetSecretValue failed with AccessDeniedException: why"
        );
        assert_eq!(failure.code(), "AccessDeniedException");
    }

    #[test]
    fn help_lists_every_code() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::RotationStopped,
            Exit::Unreachable,
            Exit::Refused,
            Exit::NotReady,
            Exit::Attention,
        ] {
            let line = format!("\n  {}  ", exit.code());
            assert!(crate::help::EXIT_CODES.contains(&line), "{exit:?}");
        }
    }
}
