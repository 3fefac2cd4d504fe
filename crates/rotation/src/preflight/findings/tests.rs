use aurora::{Place, Transport};

use super::*;
use crate::finding::Severity;

fn subject() -> Subject {
    Subject {
        secret_id: "app".to_owned(),
        username: "ial_app".to_owned(),
        host: "db".to_owned(),
        dbname: "talks".to_owned(),
        changes_own_password: true,
        password_encryption: None,
        next_rotation_in: Some(DAY),
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
fn check(finding: &Finding, code: &str, repair: &str) {
    assert_eq!(finding.code, code);
    assert!(finding.repair.contains(repair), "{finding}");
}

#[track_caller]
fn check_login(error: &LoginError, repair: &str) {
    let finding = of_login(error, &subject());
    check(&finding, error.code(), repair);
    assert_eq!(finding.severity, Severity::Error);
}

#[test]
fn every_failure_of_a_login_has_its_repair() {
    let answer = |code: &str, message: &str| (code.to_owned(), message.to_owned());
    let too_many = |message: &str| {
        let (sqlstate, message) = answer("53300", message);
        LoginError::TooManyConnections {
            place: place(),
            sqlstate,
            message,
        }
    };
    check_login(
        &too_many("too many connections for role \"ial_app\""),
        "ALTER ROLE \"ial_app\" CONNECTION LIMIT -1",
    );
    check_login(&too_many("sorry, too many clients"), "max_connections");
    let (sqlstate, message) = answer("3D000", "database \"talks\" does not exist");
    check_login(
        &LoginError::UnknownDatabase {
            place: place(),
            sqlstate,
            message,
        },
        "DB_NAME of the function, or make it: CREATE DATABASE \"talks\"",
    );
    let (sqlstate, message) = answer("57P03", "the database system is starting up");
    check_login(
        &LoginError::Starting {
            place: place(),
            sqlstate,
            message,
        },
        "CONNECT_BUDGET_SECONDS",
    );
    let unreachable = |source| LoginError::Unreachable {
        place: place(),
        source,
    };
    // ECONNREFUSED of Linux.
    check_login(
        &unreachable(io::Error::from_raw_os_error(111)),
        "nothing takes connections there",
    );
    check_login(
        &unreachable(io::Error::other("failed to lookup address information")),
        "the name has no address",
    );
    let timed_out = |waiting| LoginError::TimedOut {
        place: place(),
        waiting,
    };
    check_login(&timed_out(Waiting::Tcp), "security group");
    check_login(&timed_out(Waiting::Dns), "resolve names");
    check_login(&timed_out(Waiting::TlsAnswer), "paused Aurora");
    let reason = || "UnknownIssuer".to_owned();
    check_login(
        &LoginError::Certificate {
            place: place(),
            reason: reason(),
        },
        "DB_CA_BUNDLE",
    );
    check_login(
        &LoginError::Handshake {
            place: place(),
            reason: reason(),
        },
        "TLS versions",
    );
    check_login(&LoginError::NoTls { place: place() }, "rds.force_ssl");
    let (sqlstate, message) = answer("42501", "no");
    check_login(
        &LoginError::Database {
            place: place(),
            sqlstate,
            message,
        },
        "SQLSTATE",
    );
}

#[test]
fn a_refusal_names_the_version_that_is_accepted_or_what_else_refuses() {
    let refused = |message: &str| LoginError::Refused {
        place: place(),
        sqlstate: "28000".to_owned(),
        message: message.to_owned(),
    };
    let of = |message: &str, accepted| of_refusal(&refused(message), &subject(), accepted);
    let wrong = "password authentication failed for user \"ial_app\"";
    check(
        &of(wrong, Some("v3")),
        "LOGIN_REFUSED",
        "turnkeep recover --secret app",
    );
    check(&of(wrong, None), "LOGIN_REFUSED", "turnkeep create-tables");
    check(
        &of("role \"ial_app\" is not permitted to log in", None),
        "LOGIN_REFUSED",
        "ALTER ROLE \"ial_app\" LOGIN",
    );
    check(
        &of("no pg_hba.conf entry for host", None),
        "LOGIN_REFUSED",
        "pg_hba.conf",
    );
}

#[test]
fn every_refusal_of_secrets_manager_has_its_repair() {
    use SecretsError::{AccessDenied, Deleted, Kms, NotFound, Throttled, Unavailable, Unexpected};

    let failure = || secrets::Failure {
        operation: "GetSecretValue",
        code: "Code".to_owned(),
        message: "why".to_owned(),
        cause: None,
    };
    let of = |error: SecretsError| of_secrets(&error, "app", Some("key-1"));
    check(&of(NotFound(failure())), "SECRET_NOT_FOUND", "app");
    check(&of(Deleted(failure())), "SECRET_DELETED", "restore-secret");
    check(
        &of(AccessDenied(failure())),
        "ACCESS_DENIED",
        "secretsmanager:GetSecretValue",
    );
    check(&of(Kms(failure())), "KMS_DENIED", "key-1");
    check(
        &of_secrets(&Kms(failure()), "app", None),
        "KMS_DENIED",
        "aws/secretsmanager",
    );
    for error in [Throttled(failure()), Unavailable(failure())] {
        check(&of(error), "SECRETS_MANAGER_UNAVAILABLE", "VPC endpoint");
    }
    check(&of(Unexpected(failure())), "SECRETS_MANAGER_REFUSED", "app");
}

fn account() -> Account {
    Account {
        expires_in: None,
        connection_limit: None,
        connections: 1,
        makes_md5: false,
        may_not_change_passwords: false,
    }
}

#[track_caller]
fn check_session(change: impl FnOnce(&mut bool, &mut Account), expected: &[(&str, &str)]) {
    let (mut read_only, mut account) = (false, account());
    change(&mut read_only, &mut account);
    let found = of_session(read_only, &account, true, &subject());
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (finding, (code, repair)) in found.iter().zip(expected) {
        check(finding, code, repair);
    }
}

#[test]
fn what_a_session_shows_is_told_before_it_hurts() {
    check_session(|_, _| {}, &[]);
    check_session(
        |read_only, _| *read_only = true,
        &[("READ_ONLY_TARGET", "writer's endpoint")],
    );
    check_session(
        |_, account| account.may_not_change_passwords = true,
        &[("PASSWORDS_RESTRICTED", "GRANT rds_password TO \"ial_app\"")],
    );
    // With alternating users the master changes them.
    let mut restricted = account();
    restricted.may_not_change_passwords = true;
    let others = Subject {
        changes_own_password: false,
        ..subject()
    };
    assert_eq!(of_session(false, &restricted, true, &others), []);
    check_session(
        |_, account| account.expires_in = Some(8 * DAY - 1),
        &[("ROLE_EXPIRES_SOON", "VALID UNTIL 'infinity'")],
    );
    check_session(|_, account| account.expires_in = Some(8 * DAY), &[]);
    check_session(
        |_, account| account.connection_limit = Some(1),
        &[("ROLE_CONNECTION_LIMIT", "CONNECTION LIMIT -1")],
    );
    check_session(|_, account| account.connection_limit = Some(2), &[]);
    check_session(
        |_, account| account.makes_md5 = true,
        &[("PASSWORD_ENCRYPTION_MD5", "scram-sha-256")],
    );
    // The function's own choice wins.
    for (chosen, server_makes_md5, expected) in [
        (PasswordEncryption::ScramSha256, true, 0),
        (PasswordEncryption::Md5, false, 1),
    ] {
        let mut account = account();
        account.makes_md5 = server_makes_md5;
        let subject = Subject {
            password_encryption: Some(chosen),
            ..subject()
        };
        let found = of_session(false, &account, true, &subject);
        assert_eq!(found.len(), expected, "{found:?}");
    }
    let plain = of_session(false, &account(), false, &subject());
    check(&plain[0], "NOT_ENCRYPTED", "REQUIRE_TLS");
}

#[test]
fn what_the_master_sees_is_told_with_the_statement_that_repairs_it() {
    let role = RoleName::new("ial_app").unwrap();
    let master = RoleName::new("ial_admin").unwrap();
    let missing = as_master(None, None, &role, &master, true);
    check(&missing[0], "ROLE_MISSING", "turnkeep create-tables");
    check(&no_master("app"), "NO_MASTER", "masterarn");
    for (alternates, severity) in [(true, Severity::Error), (false, Severity::Warning)] {
        let elsewhere = master_elsewhere("other", &subject(), alternates);
        check(&elsewhere, "OTHER_HOST", "db");
        assert_eq!(elsewhere.severity, severity);
    }
}

#[test]
fn what_a_document_lacks_is_put_into_it() {
    let missing = DocumentError::Key("host key is missing from secret JSON".to_owned());
    check(
        &of_problem(Some("host"), &missing, "app"),
        "CURRENT_INVALID",
        "put `host` into the document",
    );
    check(
        &of_problem(Some("engine"), &missing, "app"),
        "CURRENT_INVALID",
        "\"engine\": \"aurora-postgresql\"",
    );
    let json = r#"{"engine":"postgres","host":"db","username":"u","password":"p","masterarn":"m"}"#;
    let secret = DatabaseSecret::parse(&json.to_owned().into()).unwrap();
    let found = of_document(&secret, false).unwrap();
    check(&found, "STRATEGY_NOT_CHOSEN", "ROTATION_STRATEGY");
    assert_eq!(of_document(&secret, true), None);
}
