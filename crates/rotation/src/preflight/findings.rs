//! From what was answered to what is to be done: nothing but decisions.

use std::io;

use aurora::account::{self, Account};
use aurora::role::{RoleFacts, RoleName};
use aurora::verifier::PasswordEncryption;
use aurora::{LoginError, Waiting};
use secrets::{DatabaseSecret, DocumentError, SecretsError};

use crate::decide::Refusal;
use crate::error::{DEFAULT_KEY, RotationError};
use crate::finding::Finding;
use crate::recover;

/// How long before the next rotation an expiry is told, where the next one is known: it may come late.
const AHEAD: i64 = 7 * DAY;
/// The same where it is not known.
const FAR_AHEAD: i64 = 31 * DAY;
const DAY: i64 = 24 * 60 * 60;

/// What is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The secret.
    pub(crate) secret_id: String,
    /// The user in it.
    pub(crate) username: String,
    /// The host that is logged in to.
    pub(crate) host: String,
    /// The database that is logged in to.
    pub(crate) dbname: String,
    /// Whether a rotation has the user change its own password.
    pub(crate) changes_own_password: bool,
    /// Kind of the verifier that a rotation makes, instead of the server's own.
    pub(crate) password_encryption: Option<PasswordEncryption>,
    /// Seconds until the next rotation is due.
    pub(crate) next_rotation_in: Option<i64>,
}

impl Subject {
    /// The statement that `repair` makes for the role, for whom may run it.
    fn statement(&self, repair: fn(&RoleName) -> String) -> String {
        match RoleName::new(&self.username) {
            Ok(role) => format!(
                "as an administrator of the database, run: {}",
                repair(&role)
            ),
            Err(error) => startup::report::chain(&error),
        }
    }
}

/// What a failed call of Secrets Manager means; `key` is the secret's KMS key.
pub(super) fn of_secrets(error: &SecretsError, secret_id: &str, key: Option<&str>) -> Finding {
    let operation = error.failure().operation;
    let (code, repair) = match error {
        SecretsError::NotFound(_) => (
            "SECRET_NOT_FOUND",
            format!("name the secret by its ARN, in the function's region, and put a value into it: {secret_id}"),
        ),
        SecretsError::Deleted(_) => (
            "SECRET_DELETED",
            format!("restore it: aws secretsmanager restore-secret --secret-id {secret_id}"),
        ),
        SecretsError::AccessDenied(_) => (
            "ACCESS_DENIED",
            format!("allow secretsmanager:{operation} to the function's role, and look at the secret's own policy"),
        ),
        SecretsError::Kms(_) => (
            "KMS_DENIED",
            format!(
                "allow kms:Decrypt and kms:GenerateDataKey to the function's role, in its policy and in the key's, and see that the key is enabled: {}",
                key.map_or_else(|| format!("{DEFAULT_KEY}, which serves one account only"), str::to_owned)
            ),
        ),
        SecretsError::Throttled(_) | SecretsError::Unavailable(_) => (
            "SECRETS_MANAGER_UNAVAILABLE",
            "give the function a way to Secrets Manager: a VPC endpoint (secretsmanager, with private DNS, whose security group lets the function in) or a NAT gateway".to_owned(),
        ),
        _ => (
            "SECRETS_MANAGER_REFUSED",
            format!("see what {operation} says of the secret: {secret_id}"),
        ),
    };
    Finding::error(code, startup::report::chain(error), repair)
}

/// What is wrong with the options for a new password.
pub(super) fn of_rules(error: &(dyn std::error::Error + 'static)) -> Finding {
    Finding::error(
        "PASSWORD_RULES",
        startup::report::chain(error),
        "mend PASSWORD_LENGTH or the EXCLUDE_ variables of the function: a password needs 80 bits",
    )
}

/// What is wrong with the current version's document.
pub(super) fn of_problem(key: Option<&str>, error: &DocumentError, secret_id: &str) -> Finding {
    let what = match key {
        Some("engine") => {
            "put `\"engine\": \"aurora-postgresql\"` or `\"postgres\"` into the document".to_owned()
        }
        Some(key) => format!("put `{key}` into the document"),
        None => "put a JSON object with engine, host, username, password, port and dbname into it"
            .to_owned(),
    };
    Finding::error(
        "CURRENT_INVALID",
        startup::report::chain(error),
        format!(
            "{what}, keeping everything else: aws secretsmanager put-secret-value --secret-id {secret_id}"
        ),
    )
}

/// What of a usable document makes a rotation fail.
pub(super) fn of_document(secret: &DatabaseSecret, strategy_chosen: bool) -> Option<Finding> {
    (secret.masterarn.is_some() && !strategy_chosen).then(|| {
        Finding::error(
            "STRATEGY_NOT_CHOSEN",
            "the secret has a `masterarn`, so that it may have been rotated with alternating users",
            "set ROTATION_STRATEGY of the function to `single-user` or `alternating-users`",
        )
    })
}

/// Every step of the function refuses this secret, before any login.
pub(super) fn not_expected(refusal: &Refusal, secret_id: &str) -> Finding {
    Finding::error(
        refusal.code(),
        refusal.message(secret_id, ""),
        "name the secret that the function is configured for, or correct those variables of the function",
    )
}

/// The secret forbids TLS, and the function demands it.
pub(super) fn plaintext_refused(secret_id: &str) -> Finding {
    Finding::error(
        "PLAINTEXT_REFUSED",
        "the secret has `\"ssl\": false`, but the function requires tls",
        format!(
            "take the key out of the secret, or set REQUIRE_TLS of the function to `false`: {secret_id}"
        ),
    )
}

/// Why a login failed for another reason than the password.
pub(super) fn of_login(error: &LoginError, subject: &Subject) -> Finding {
    let Subject { host, dbname, .. } = subject;
    let repair = match error {
        // The current version's refusal has a function of its own.
        LoginError::Refused { .. } => recover::repair(&subject.secret_id),
        LoginError::Starting { .. } => {
            "wait and look again; a paused Aurora takes up to a minute to resume: CONNECT_BUDGET_SECONDS=45".to_owned()
        }
        LoginError::TooManyConnections { message, .. } if message.contains("for role") => {
            subject.statement(account::without_connection_limit)
        }
        LoginError::TooManyConnections { .. } => {
            "end other sessions, or raise max_connections".to_owned()
        }
        LoginError::UnknownDatabase { .. } => format!(
            "put the right `dbname` into the secret, or DB_NAME of the function, or make it: {}",
            account::new_database(dbname)
        ),
        LoginError::Unreachable { source, .. } => unreachable(source, host),
        LoginError::TimedOut { waiting, .. } => timed_out(*waiting, host),
        LoginError::Certificate { .. } => format!(
            "put the host into the secret (or DB_HOST) by the name that the certificate has, and name the roots that it chains to with DB_CA_BUNDLE, if it is not Amazon RDS's: {host}"
        ),
        LoginError::NoTls { .. } => {
            "switch TLS on in the server (`ssl`, on Amazon RDS `rds.force_ssl`); REQUIRE_TLS=false sends logins in plaintext".to_owned()
        }
        LoginError::Handshake { .. } => {
            format!("see which TLS versions the server has, and whether it is the database: {host}")
        }
        LoginError::Protocol { .. } => format!(
            "see whether PostgreSQL answers there, and that the role's password is of SCRAM-SHA-256 or md5: {host}"
        ),
        _ => format!("look up the SQLSTATE in PostgreSQL's manual, and read the server's log: {host}"),
    };
    Finding::error(error.code(), startup::report::chain(error), repair)
}

fn unreachable(source: &io::Error, host: &str) -> String {
    // What the resolver says has no code of the operating system.
    if source.raw_os_error().is_none() && source.kind() != io::ErrorKind::UnexpectedEof {
        format!(
            "correct the host in the secret, or DB_HOST of the function; the name has no address in the function's network: {host}"
        )
    } else {
        format!(
            "correct host and port in the secret, or DB_HOST and DB_PORT of the function; nothing takes connections there: {host}"
        )
    }
}

fn timed_out(waiting: Waiting, host: &str) -> String {
    match waiting {
        Waiting::Dns => format!(
            "see that the function's network can resolve names, and that this one is right: {host}"
        ),
        Waiting::Tcp => format!(
            "let the function in: its security group and subnets must reach the database's port; and see that the host is right: {host}"
        ),
        Waiting::TlsAnswer | Waiting::TlsHandshake | Waiting::Authentication => format!(
            "the host takes connections and says nothing, as a paused Aurora does until it has resumed: CONNECT_BUDGET_SECONDS=45, and the function's time-out above that: {host}"
        ),
    }
}

/// The current version is refused; `accepted` is another one that is not.
pub(super) fn of_refusal(error: &LoginError, subject: &Subject, accepted: Option<&str>) -> Finding {
    let said = startup::report::chain(error);
    let LoginError::Refused { message, .. } = error else {
        return of_login(error, subject);
    };
    let id = &subject.secret_id;
    if let Some(version_id) = accepted {
        return Finding::error(
            error.code(),
            format!("{said}; the database accepts version {version_id}"),
            format!("make that one current: turnkeep recover --secret {id}"),
        );
    }
    let repair = if message.contains("is not permitted to log in") {
        subject.statement(account::with_login)
    } else if message.contains("pg_hba.conf") {
        "let the function's address in, in the server's pg_hba.conf".to_owned()
    } else {
        recover::repair(id)
    };
    Finding::error(error.code(), said, repair)
}

/// What server and role say of themselves in an open session.
pub(crate) fn of_session(
    read_only: bool,
    account: &Account,
    encrypted: bool,
    subject: &Subject,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if read_only {
        findings.push(Finding::error(
            "READ_ONLY_TARGET",
            "the server takes no writes, so that no password can be changed there",
            format!("put the writer's endpoint into the secret, or DB_HOST of the function; behind a failover wait until the name leads to the new writer: {}", subject.host),
        ));
    }
    if account.may_not_change_passwords && subject.changes_own_password {
        findings.push(Finding::error(
            "PASSWORDS_RESTRICTED",
            "`rds.restrict_password_commands` is on, and the role is no member of `rds_password`",
            subject.statement(account::with_password_commands),
        ));
    }
    let horizon = match subject.next_rotation_in {
        Some(seconds) => seconds.max(0) + AHEAD,
        None => FAR_AHEAD,
    };
    if let Some(left) = account.expires_in.filter(|left| *left < horizon) {
        findings.push(Finding::warning(
            "ROLE_EXPIRES_SOON",
            format!(
                "the role expires in {} hour(s), and then refuses every password",
                left / 3600
            ),
            subject.statement(account::without_expiry),
        ));
    }
    // Our own session is among them; a rotation needs one beside the application's.
    if let Some(limit) = account.connection_limit
        && i64::from(limit) <= account.connections
    {
        findings.push(Finding::warning(
            "ROLE_CONNECTION_LIMIT",
            format!(
                "the role may have {limit} connection(s) and has {}, this one included",
                account.connections
            ),
            subject.statement(account::without_connection_limit),
        ));
    }
    let makes_md5 = match subject.password_encryption {
        Some(chosen) => chosen == PasswordEncryption::Md5,
        None => account.makes_md5,
    };
    if makes_md5 {
        findings.push(Finding::warning(
            "PASSWORD_ENCRYPTION_MD5",
            "`password_encryption` is md5, whose verifiers are as good as the password",
            "set `password_encryption` to scram-sha-256 in the parameter group, or PASSWORD_ENCRYPTION of the function, once every client can do that",
        ));
    }
    if !encrypted {
        findings.push(Finding::warning(
            "NOT_ENCRYPTED",
            "the server has no tls, and REQUIRE_TLS=false let the login through",
            "switch TLS on in the server, then set REQUIRE_TLS to `true`",
        ));
    }
    findings
}

/// The server does not answer a question about itself.
pub(super) fn unanswered(error: &tokio_postgres::Error, subject: &Subject) -> Finding {
    Finding::error(
        "STATEMENT_FAILED",
        format!(
            "the server cannot be asked about itself: {}",
            startup::report::chain(error)
        ),
        format!("look again, and read the server's log: {}", subject.host),
    )
}

/// The master's part in it: without alternating users a rotation does not need it.
fn of_masters(alternates: bool) -> fn(&str, String, String) -> Finding {
    if alternates {
        |code, message, repair| Finding::error(code, message, repair)
    } else {
        |code, message, repair| Finding::warning(code, message, repair)
    }
}

/// Two users alternate, and the secret names no master.
pub(super) fn no_master(secret_id: &str) -> Finding {
    Finding::error(
        "NO_MASTER",
        "two users alternate, and the secret names no master's secret",
        format!(
            "put the key `masterarn` into the document, with the ARN of the master user's secret: {secret_id}"
        ),
    )
}

/// The master is another database's.
pub(super) fn master_elsewhere(host: &str, subject: &Subject, alternates: bool) -> Finding {
    of_masters(alternates)(
        "OTHER_HOST",
        format!("the master's secret is for another host than the one of the secret: {host}"),
        format!(
            "name the master's secret of this database: {}",
            subject.host
        ),
    )
}

/// What keeps the master from helping.
pub(super) fn of_master(error: &RotationError, master_id: &str, alternates: bool) -> Finding {
    of_masters(alternates)(
        "MASTER_UNUSABLE",
        format!(
            "the master's secret cannot be used, {}: {}",
            error.code(),
            startup::report::chain(error)
        ),
        format!(
            "correct what that secret holds, or name another (`masterarn` of the secret, BOOTSTRAP_SECRET of the function): {master_id}"
        ),
    )
}

/// What the master user sees of the role, and may do to it.
pub(super) fn as_master(
    facts: Option<&RoleFacts>,
    may_administer: Option<bool>,
    role: &RoleName,
    master: &RoleName,
    alternates: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let administrator = "as an administrator of the database, run: ";
    let Some(facts) = facts else {
        return vec![Finding::error(
            "ROLE_MISSING",
            format!("the database has no role {}", role.quoted()),
            "have it made: turnkeep create-tables --master-secret ID",
        )];
    };
    if facts.expires_in.is_some_and(|left| left <= 0) {
        findings.push(Finding::error(
            "ROLE_EXPIRED",
            "the role has expired, and refuses every password as if it were wrong",
            format!("{administrator}{}", account::without_expiry(role)),
        ));
    }
    if !facts.can_login {
        findings.push(Finding::error(
            "ROLE_NOLOGIN",
            "the role may not log in",
            format!("{administrator}{}", account::with_login(role)),
        ));
    }
    if may_administer == Some(false) {
        findings.push(of_masters(alternates)(
            "ADMIN_OPTION_MISSING",
            format!("the master user {} may not change the role's password: since PostgreSQL 16 that takes ADMIN OPTION on it", master.quoted()),
            format!("as the creator of the role or a superuser, run: {}", account::with_administrator(role, master)),
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
