//! `preflight`: every misconfiguration is found before it makes a rotation fail, and named with its repair.

use std::net::SocketAddr;

use local::secrets_manager::Step;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{document, found};
use crate::system::{PATIENCE, ROTATION, ROTATION_ARN, SECRET, System, event};

/// What is wrong in a system, besides that no rotation is configured.
struct Seeded {
    code: &'static str,
    /// What the repair says.
    repair: &'static str,
    /// `ready_with_warnings`, or `not_ready`.
    outcome: &'static str,
}

fn fails(code: &'static str, repair: &'static str) -> Seeded {
    Seeded {
        code,
        repair,
        outcome: "not_ready",
    }
}

fn warns(code: &'static str, repair: &'static str) -> Seeded {
    Seeded {
        outcome: "ready_with_warnings",
        ..fails(code, repair)
    }
}

impl System {
    async fn sql(&self, statement: &str) {
        let superuser = self.database.superuser().await.unwrap();
        superuser.batch_execute(statement).await.unwrap();
    }

    async fn alter_role(&self, change: &str) {
        let application = &self.application;
        self.sql(&format!("ALTER ROLE {application} {change}"))
            .await;
    }

    /// Variables that let a preflight end soon, and see what the master sees.
    fn prepare(&self, variables: &[(&str, &str)]) {
        let host = self.database.server.host.clone();
        let mut all = vec![
            ("CONNECT_BUDGET_SECONDS", "2"),
            ("BOOTSTRAP_SECRET", self.master_secret.as_str()),
            ("DB_HOST", host.as_str()),
        ];
        all.extend_from_slice(variables);
        self.define_rotation(&all);
    }

    /// Has the function look, and expects that it finds this.
    async fn finds(&self, seeded: &Seeded) -> Value {
        self.announce(seeded.code);
        let report = self.ordered(&event("rotation-preflight.json")).await;
        let findings = report["findings"].as_array().unwrap();
        let finding = findings
            .iter()
            .find(|finding| finding["code"] == seeded.code);
        let finding = finding.unwrap_or_else(|| panic!("no {} in {report}", seeded.code));
        let repair = finding["repair"].as_str().unwrap();
        assert!(repair.contains(seeded.repair), "{repair}");
        let errors = findings
            .iter()
            .filter(|finding| finding["severity"] == "error")
            .count();
        assert_eq!(
            errors,
            usize::from(seeded.outcome == "not_ready"),
            "nothing else is wrong: {report}"
        );
        report
    }
}

/// A server that says it has no TLS, and nothing else.
async fn without_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = [0; 8];
            let _ = client.read_exact(&mut request).await;
            let _ = client.write_all(b"N").await;
        }
    });
    address
}

#[tokio::test]
async fn a_system_that_rotates_is_ready() {
    let system = System::start("ready").await;
    system.rotate().await;
    system.prepare(&[]);
    let output = system.turnkeep(&["preflight", "--json"]).await;
    let report = document(&output, 0);
    assert_eq!(found(&report), [""; 0], "{report}");
    assert_eq!(report["outcome"], "ready");
    assert_eq!(report["unchecked"], json!([]));
}

#[tokio::test]
async fn p1_a_server_that_is_not_trusted_or_has_no_tls_is_named() {
    let system = System::start("p1").await;
    let other = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&other)
        .unwrap();
    let file = tempfile::NamedTempFile::new_in(system.stack.log_directory()).unwrap();
    std::fs::write(file.path(), other.pem()).unwrap();
    system.prepare(&[("DB_CA_BUNDLE", file.path().to_str().unwrap())]);
    let seeded = fails("CERTIFICATE_NOT_ACCEPTED", "DB_CA_BUNDLE");
    system.finds(&seeded).await;

    let port = without_tls().await.port().to_string();
    system.prepare(&[("DB_PORT", &port)]);
    system.finds(&fails("NO_TLS", "switch TLS on")).await;
    system.prepare(&[]);
    system
        .edit_secret(|secret| secret["ssl"] = json!(false))
        .await;
    let seeded = fails("PLAINTEXT_REFUSED", "REQUIRE_TLS");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p2_a_database_that_is_not_there_is_named() {
    let system = System::start("p2").await;
    system.prepare(&[("DB_NAME", "nowhere")]);
    let seeded = fails("UNKNOWN_DATABASE", "CREATE DATABASE \"nowhere\"");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p3_a_server_that_takes_no_writes_is_named() {
    let system = System::start("p3").await;
    system.prepare(&[]);
    system
        .alter_role("SET default_transaction_read_only = on")
        .await;
    let seeded = fails("READ_ONLY_TARGET", "the writer's endpoint");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p4_an_expiry_is_named_ahead_and_after() {
    let system = System::start("p4").await;
    system.prepare(&[]);
    system.alter_role("VALID UNTIL '2126-01-01'").await;
    let report = system.ordered(&event("rotation-preflight.json")).await;
    assert_eq!(found(&report), ["ROTATION_NOT_CONFIGURED"]);
    system.announce("ROTATION_NOT_CONFIGURED");

    let change = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE {} VALID UNTIL %L', now() + interval '1 day'); END $$",
        system.application
    );
    system.sql(&change).await;
    let seeded = warns("ROLE_EXPIRES_SOON", "VALID UNTIL 'infinity'");
    system.finds(&seeded).await;

    // PostgreSQL answers as if the password were wrong; only the master sees why.
    system.alter_role("VALID UNTIL '2020-01-01'").await;
    system.announce("ROLE_EXPIRED");
    let report = system.ordered(&event("rotation-preflight.json")).await;
    let codes = found(&report);
    assert!(codes.contains(&"ROLE_EXPIRED"), "{report}");
    assert!(codes.contains(&"LOGIN_REFUSED"), "{report}");
}

#[tokio::test]
async fn p5_a_limit_of_connections_is_named() {
    let system = System::start("p5").await;
    system.prepare(&[]);
    system.alter_role("CONNECTION LIMIT 1").await;
    let seeded = warns("ROLE_CONNECTION_LIMIT", "CONNECTION LIMIT -1");
    system.finds(&seeded).await;
    system.alter_role("CONNECTION LIMIT 0").await;
    let seeded = fails("TOO_MANY_CONNECTIONS", "CONNECTION LIMIT -1");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p6_a_master_without_admin_option_is_named() {
    let system = System::start("p6").await;
    if system.stack.server().version < 16 {
        return;
    }
    system.prepare(&[]);
    let master = system.stack.server().master().username.clone();
    let revoke = format!("REVOKE {} FROM {master}", system.application);
    system.sql(&revoke).await;
    let seeded = warns("ADMIN_OPTION_MISSING", "WITH ADMIN OPTION");
    system.finds(&seeded).await;
}

/// A rotation needs it there.
#[tokio::test]
async fn p6_with_alternating_users_the_master_is_part_of_the_way() {
    let system = System::start("p6alternating").await;
    system.prepare(&[("ROTATION_STRATEGY", "alternating-users")]);
    system.announce("ROTATION_NOT_CONFIGURED");
    system.finds(&fails("NO_MASTER", "`masterarn`")).await;
    system.name_master(&system.master_secret).await;
    let report = system.ordered(&event("rotation-preflight.json")).await;
    assert_eq!(found(&report), ["ROTATION_NOT_CONFIGURED"]);
    if system.stack.server().version >= 16 {
        let master = system.stack.server().master().username.clone();
        let revoke = format!("REVOKE {} FROM {master}", system.application);
        system.sql(&revoke).await;
        let seeded = fails("ADMIN_OPTION_MISSING", "WITH ADMIN OPTION");
        system.finds(&seeded).await;
    }
}

/// Amazon RDS refuses the change by itself; here only its setting is there.
#[tokio::test]
async fn p7_restricted_password_commands_are_named() {
    let system = System::start("p7").await;
    system.prepare(&[]);
    system
        .alter_role("SET rds.restrict_password_commands = 'on'")
        .await;
    let seeded = fails("PASSWORDS_RESTRICTED", "GRANT rds_password TO");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p8_a_key_that_may_not_be_used_is_named() {
    let system = System::start("p8").await;
    system.prepare(&[]);
    let manager = system.stack.secrets_manager();
    let refusal = manager.refuse("GetSecretValue", None, "DecryptionFailure");
    let report = system.finds(&fails("KMS_DENIED", "kms:Decrypt")).await;
    assert!(!report["unchecked"].as_array().unwrap().is_empty());
    drop(refusal);
    let _refusal = manager.refuse("GetRandomPassword", None, "AccessDeniedException");
    let seeded = fails("ACCESS_DENIED", "secretsmanager:GetRandomPassword");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p9_p10_a_document_without_its_keys_is_named_key_by_key() {
    let system = System::start("p9").await;
    system.announce("put `host` into the document");
    system.prepare(&[]);
    let original = system.secret("AWSCURRENT").unwrap();
    system
        .edit_secret(|secret| secret["engine"] = json!("mysql"))
        .await;
    let seeded = fails("CURRENT_INVALID", "\"engine\": \"aurora-postgresql\"");
    system.finds(&seeded).await;
    system
        .edit_secret(|secret| {
            *secret = original;
            let members = secret.as_object_mut().unwrap();
            members.remove("host");
            members.remove("username");
        })
        .await;
    let report = system.ordered(&event("rotation-preflight.json")).await;
    let codes = found(&report);
    let invalid = codes.iter().filter(|code| **code == "CURRENT_INVALID");
    assert_eq!(invalid.count(), 2, "{report}");
}

#[tokio::test]
async fn p11_a_host_that_is_not_the_database_is_named() {
    let system = System::start("p11").await;
    // Nothing listens there.
    system.prepare(&[("DB_HOST", "127.0.0.2")]);
    let seeded = fails("DATABASE_UNREACHABLE", "DB_HOST and DB_PORT");
    system.finds(&seeded).await;
}

#[tokio::test]
async fn p12_a_secret_that_is_to_be_deleted_is_named() {
    let system = System::start("p12").await;
    system.rotate().await;
    system.prepare(&[]);
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let delete = client.delete_secret().secret_id(SECRET);
    delete.send().await.unwrap();
    let seeded = fails("SECRET_DELETED", "restore-secret");
    system.finds(&seeded).await;
    let output = system
        .turnkeep(&["preflight", "--function", ROTATION])
        .await;
    assert_eq!(output.status.code(), Some(7));
    let human = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(human.contains("a rotation would fail"), "{human}");
}

#[tokio::test]
async fn a_password_that_is_not_the_current_one_names_the_version_that_is() {
    let system = System::start("pgap").await;
    system.prepare(&[]);
    let (token, _hold) = system.rotation_before(Step::FinishSecret).await;
    let report = system
        .finds(&fails("LOGIN_REFUSED", "turnkeep recover --secret"))
        .await;
    assert!(report.to_string().contains(&token), "{report}");
}

/// The service tests a configuration with `testSecret` alone, and AWSPENDING is a copy of the current version.
#[tokio::test]
async fn c8_a_test_of_the_configuration_is_a_preflight() {
    let system = System::start("c8").await;
    system.announce("ROLE_EXPIRES_SOON");
    system.announce("READ_ONLY_TARGET");
    let tested = async || {
        let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
        let request = client
            .rotate_secret()
            .secret_id(SECRET)
            .rotation_lambda_arn(ROTATION_ARN);
        let started = request.rotate_immediately(false).send().await.unwrap();
        let manager = system.stack.secrets_manager();
        let token = started.version_id().unwrap();
        let ended = manager.rotation_over(token, PATIENCE).await.unwrap();
        assert!(ended.test_only);
        ended.succeeded()
    };
    assert!(tested().await);
    // What makes no rotation fail is a warning.
    let soon = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE {} VALID UNTIL %L', now() + interval '1 day'); END $$",
        system.application
    );
    system.sql(&soon).await;
    assert!(tested().await);
    system
        .alter_role("SET default_transaction_read_only = on")
        .await;
    assert!(!tested().await, "a rotation would fail there");
    assert!(system.opens("AWSCURRENT").await);
    system
        .alter_role("RESET default_transaction_read_only")
        .await;
    assert!(tested().await);
    system.rotate().await;
}
