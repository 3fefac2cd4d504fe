//! What a rotation meets: secrets and servers that are not as they should be, and a service that has a bad day.

use std::time::Duration;

use local::{Credentials, Fault, FaultProxy, StackOptions, canary};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::impostor::{Impostor, Manner};
use crate::operator::found;
use crate::rotation_tls::Authority;
use crate::system::{PATIENCE, ROTATION, SECRET, System, event};

/// The operator put a wrong value as AWSCURRENT: AWSPREVIOUS still opens the database, so the rotation goes through.
#[tokio::test]
async fn s12_a_wrong_current_is_saved_by_previous() {
    let system = System::start("s12").await;
    let wrong = format!("{} typed wrongly", canary::PASSWORD);
    system
        .edit_secret(|secret| secret["password"] = json!(wrong))
        .await;
    assert!(!system.opens("AWSCURRENT").await && system.opens("AWSPREVIOUS").await);
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
}

/// Not even to see whether it would work: the login would be somebody else's.
#[tokio::test]
async fn s14_a_previous_version_of_another_user_or_host_is_not_tried() {
    let system = System::start("s14").await;
    system.announce("DB_PASSWORD_UNKNOWN");
    let foreign = format!("foreign_{}", system.application);
    let elsewhere = FaultProxy::start(system.database_address()).await.unwrap();
    let unknown = system.new_credentials();
    let own = system.application.clone();
    let port = json!(system.database.server.port);
    for (key, value) in [("username", json!(foreign)), ("host", json!("localhost"))] {
        system
            .edit_secret(|secret| {
                secret["username"] = json!(own);
                secret["host"] = json!("127.0.0.1");
                secret["port"] = json!(elsewhere.port());
                secret[key] = value.clone();
            })
            .await;
        let wrong = format!("{} typed wrongly", canary::PASSWORD);
        system
            .edit_secret(|secret| {
                secret["username"] = json!(own);
                secret["host"] = json!("127.0.0.1");
                secret["port"] = port.clone();
                secret["password"] = json!(wrong);
            })
            .await;
        system.stack.server().set_password(&unknown).await.unwrap();
        let token = system.begun().await;
        let (_, message) = system
            .refused(ROTATION, &system.step("setSecret", &token).await)
            .await;
        assert!(
            message.contains("Unable to log into database"),
            "{key}: {message}"
        );
        assert_eq!(
            elsewhere.counters().accepted,
            0,
            "{key}: nobody asked there"
        );
        system.remove_pending(&token).await;
    }
    let log = system.stack.server().log().unwrap();
    assert!(!log.contains(&format!("for user \"{foreign}\"")));
}

/// `rds.restrict_password_commands` as Amazon RDS has it: the user may not change its own password, and is told why. The
/// master changes it where that is configured, and so does the user once it has been granted what the message names.
#[tokio::test]
async fn s16_a_user_that_may_not_change_passwords_is_named_and_the_master_may() {
    let system = System::for_tunnels("s16").await;
    system.announce("PASSWORDS_RESTRICTED");
    system.name_master(&system.master_secret.clone()).await;
    let server = &system.database.server;
    let (user, master) = (&system.application, &server.master().username);
    let superuser = system.database.superuser().await.unwrap();
    let restrict = format!(
        "CREATE ROLE rds_password; GRANT rds_password TO {master};
        ALTER DATABASE {} SET rds.restrict_password_commands = 'on'",
        system.database.name
    );
    superuser.batch_execute(&restrict).await.unwrap();
    let authority = Authority::new("rds");
    let identity = authority.identity(&server.host, |_| {});
    let restricted = Manner::RestrictedTunnel(identity, system.database_address());
    let impostor = Impostor::start(restricted).await;
    let (port, bundle) = (impostor.port.to_string(), system.roots_and(&authority));
    let by_itself = [
        ("ROTATION_STRATEGY", "single-user"),
        ("DB_PORT", port.as_str()),
        ("DB_CA_BUNDLE", bundle.path().to_str().unwrap()),
    ];
    let through_the_master = [
        &by_itself[..],
        &[("DB_HOST", &*server.host), ("BOOTSTRAP_USER", user)],
    ]
    .concat();
    let is_refused = async |token: &str| {
        let event = system.step("setSecret", token).await;
        let (code, message) = system.refused(ROTATION, &event).await;
        assert_eq!(code, "PASSWORDS_RESTRICTED", "{message}");
        for part in [
            "must be a member of rds_password to alter passwords",
            "make the user a member of `rds_password`",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(system.nothing_has_changed().await);
    };

    system.define_rotation(&by_itself);
    let token = system.begun().await;
    is_refused(&token).await;
    system.define_rotation(&through_the_master);
    system.whole_rotation(&token).await;

    system.define_rotation(&by_itself);
    let token = system.begun().await;
    is_refused(&token).await;
    let grant = format!("GRANT rds_password TO {user}");
    superuser.batch_execute(&grant).await.unwrap();
    system.whole_rotation(&token).await;
}

/// A server whose clients can do no better: the verifier is what it would make itself, unless somebody decides otherwise.
#[tokio::test]
async fn s17_the_verifier_is_of_the_servers_kind() {
    let options = StackOptions::from_environment()
        .unwrap()
        .own_postgres(|server| {
            server
                .setting("password_encryption", "md5")
                .authentication("hostssl all all 127.0.0.1/32 md5\n")
        });
    let system = System::with(options, "s17").await;
    system.announce("PASSWORD_ENCRYPTION_MD5");
    system.create_tables().await;
    system.rotate().await;
    let verifier = system.verifier().await;
    assert!(verifier.starts_with("md5"), "{}", &verifier[..3]);
    system.define_rotation(&[("PASSWORD_ENCRYPTION", "scram-sha-256")]);
    system.rotate().await;
    assert!(system.verifier().await.starts_with("SCRAM-SHA-256$"));
    system.define_rotation(&[("PASSWORD_ENCRYPTION", "md5")]);
    system.rotate().await;
    assert!(system.verifier().await.starts_with("md5"));
}

/// The answer to the change could not be waited for, so it is not begun.
#[tokio::test]
async fn s21_a_change_is_not_begun_when_time_is_nearly_over() {
    let system = System::start("s21").await;
    system.announce_unless("OUT_OF_TIME", "a login that takes all the time");
    system.announce_unless("DATABASE_TIMED_OUT", "a machine that is fast enough");
    let token = system.begun().await;
    // Half a second is the handler's, two tenths are the step's: less than the second is left that a change wants.
    let function = system
        .rotation_function()
        .timeout(Duration::from_millis(1_600));
    system.stack.functions().define(function).unwrap();
    let event = system.step("setSecret", &token).await;
    let (code, message) = system.refused(ROTATION, &event).await;
    assert!(
        ["OUT_OF_TIME", "DATABASE_TIMED_OUT"].contains(&code.as_str()),
        "{code}: {message}"
    );
    assert!(system.nothing_has_changed().await);
    system.define_rotation(&[]);
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn t1_a_failure_that_passes_costs_no_step() {
    let system = System::start("t1").await;
    let between = system.between().await;
    let token = system.begun().await;
    system.step_succeeds("setSecret", &token).await;
    between.proxy.next(Fault::Reset);
    between.proxy.next(Fault::CutBeforeAnswer(between.login));
    system.step_succeeds("testSecret", &token).await;
    // And where the login works, but the question breaks.
    between
        .proxy
        .next(Fault::CutBeforeAnswer(between.login + 1));
    system.step_succeeds("testSecret", &token).await;
    system.go_on(&token, &["finishSecret"]).await;
}

/// In a test of the configuration, in `testSecret`, and where `setSecret` moves the label.
#[tokio::test]
async fn t3_a_user_that_lacks_a_privilege_does_not_become_current() {
    let system = System::start("t3").await;
    system.announce("PROBE_FAILED");
    let superuser = system.database.superuser().await.unwrap();
    let table = "CREATE TABLE needed (id int PRIMARY KEY)";
    superuser.batch_execute(table).await.unwrap();
    let user = &system.application;
    let grant = format!("GRANT SELECT, INSERT ON needed TO \"{user}\"");
    let revoke = format!("REVOKE ALL ON needed FROM \"{user}\"");
    let probe = ("PROBE_SQL", "EXPLAIN INSERT INTO needed VALUES (1)");
    for variables in [&[probe][..], &[probe, ("FAST_PROMOTION", "true")]] {
        superuser.batch_execute(&revoke).await.unwrap();
        system.define_rotation(variables);
        let token = system.begun().await;
        let step = if variables.len() == 1 {
            system.step_succeeds("setSecret", &token).await;
            "testSecret"
        } else {
            "setSecret"
        };
        let current = system.version("AWSCURRENT");
        let event = system.step(step, &token).await;
        let (code, message) = system.refused(ROTATION, &event).await;
        assert_eq!(code, "PROBE_FAILED", "{message}");
        assert!(
            message.ends_with("42501: permission denied for table needed"),
            "{message}"
        );
        assert_eq!(system.version("AWSCURRENT"), current);
        assert!(system.opens("AWSPENDING").await);
        superuser.batch_execute(&grant).await.unwrap();
        system.whole_rotation(&token).await;
    }
    // Neither does it change anything, nor can it.
    for (sql, sqlstate) in [
        ("INSERT INTO needed VALUES (1)", "25006"),
        ("COMMIT; INSERT INTO needed VALUES (1)", "42601"),
        (
            "DO $$ BEGIN SET transaction_read_only = off; INSERT INTO needed VALUES (1); END $$",
            "25001",
        ),
    ] {
        system.define_rotation(&[("PROBE_SQL", sql)]);
        let token = system.begun().await;
        system.step_succeeds("setSecret", &token).await;
        let event = system.step("testSecret", &token).await;
        let (code, message) = system.refused(ROTATION, &event).await;
        assert_eq!(code, "PROBE_FAILED", "{message}");
        assert!(message.contains(sqlstate), "{sql}: {message}");
        system.define_rotation(&[]);
        system.whole_rotation(&token).await;
    }
    assert_eq!(system.number("SELECT count(*) FROM needed", &[]).await, 0);
}

/// A lock that somebody holds passes.
#[tokio::test]
async fn t3_a_probe_that_fails_for_now_is_repeated() {
    let system = System::start("t3_again").await;
    let mut superuser = system.database.superuser().await.unwrap();
    let set_up = format!(
        "CREATE TABLE needed (id int PRIMARY KEY); GRANT SELECT ON needed TO \"{}\"",
        system.application
    );
    superuser.batch_execute(&set_up).await.unwrap();
    // The statement has a shorter limit of its own than the rotation's.
    system.define_rotation(&[(
        "PROBE_SQL",
        "DO $$ BEGIN SET lock_timeout = 50; PERFORM FROM needed; END $$",
    )]);
    let token = system.begun().await;
    system.step_succeeds("setSecret", &token).await;
    let lock = superuser.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE needed").await.unwrap();
    let refused = || {
        system
            .stack
            .server()
            .log()
            .unwrap()
            .matches("canceling statement due to lock timeout")
            .count()
    };
    let before = refused();
    let call = tokio::spawn(system.invoke(ROTATION, &system.step("testSecret", &token).await));
    local::wait::until("the probe waits for the lock", PATIENCE, async || {
        (refused() > before).then_some(())
    })
    .await
    .unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(call.await.unwrap().function_error, None);
    system.go_on(&token, &["finishSecret"]).await;
}

#[tokio::test]
async fn x3_a_secret_that_is_to_be_deleted_is_named() {
    let system = System::start("x3").await;
    system.announce("SECRET_DELETED");
    let token = system.begun().await;
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let event = system.step("setSecret", &token).await;
    client
        .delete_secret()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap();
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(
        code, "InvalidRequestException",
        "as AWS's function: {message}"
    );
    client
        .restore_secret()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap();
    system.whole_rotation(&token).await;
}

/// Whoever may not use the key is told which one.
#[tokio::test]
async fn x4_a_key_that_may_not_be_used_is_named() {
    let system = System::start("x4").await;
    system.announce("KMS_DENIED");
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    for (code, words) in [
        (
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        ),
        ("AccessDeniedException", "Access to KMS is not allowed"),
    ] {
        let secrets_manager = system.stack.secrets_manager();
        let refusal = secrets_manager.refuse_saying("GetSecretValue", None, code, words);
        let (error_type, message) = system.refused(ROTATION, &event).await;
        assert_eq!(error_type, code, "as AWS's function: {message}");
        assert!(message.contains(words), "{message}");
        drop(refusal);
    }
    let told = system.rotation_log("KMS_DENIED");
    let named = |line: &&String| line.contains("encrypted with alias/aws/secretsmanager");
    assert_eq!(told.iter().filter(named).count(), 2, "{told:?}");
    system.whole_rotation(&token).await;

    // A secret that has a key of its own.
    let secrets_manager = system.stack.secrets_manager();
    let text = secrets_manager.text(SECRET, "AWSCURRENT").unwrap();
    let text = text.expose_secret();
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let create = client.create_secret().name("own-key");
    let create = create.kms_key_id("alias/talks").secret_string(text);
    let arn = create.send().await.unwrap().arn.unwrap();
    let put = client
        .put_secret_value()
        .secret_id(&arn)
        .secret_string(text);
    let put = put.version_stages("AWSPENDING").send().await.unwrap();
    let event =
        json!({"Step": "testSecret", "SecretId": arn, "ClientRequestToken": put.version_id()});
    let _refusal = secrets_manager.refuse("GetSecretValue", None, "DecryptionFailure");
    system.refused(ROTATION, &event).await;
    let told = system.rotation_log("KMS_DENIED").pop().unwrap();
    assert!(told.contains("encrypted with alias/talks"), "{told}");
}

#[tokio::test]
async fn x5_a_service_that_throttles_or_fails_is_asked_again() {
    let system = System::start("x5").await;
    system.announce("ThrottlingException");
    let secrets_manager = system.stack.secrets_manager();
    let token = system.begin();
    for (step, code) in [
        ("createSecret", "ThrottlingException"),
        ("setSecret", "InternalServiceError"),
        ("testSecret", "ServiceUnavailableException"),
        ("finishSecret", "ThrottlingException"),
    ] {
        secrets_manager.fail_next(2, code);
        system.step_succeeds(step, &token).await;
    }
    assert!(secrets_manager.complete(SECRET, &token));
    assert!(system.opens("AWSCURRENT").await);
    // It does not get better: an answer all the same, before the time is over.
    let token = system.begun().await;
    let refusal = secrets_manager.refuse("GetSecretValue", None, "ThrottlingException");
    let (code, message) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert_eq!(code, "ThrottlingException", "{message}");
    drop(refusal);
    system.whole_rotation(&token).await;
}

/// An RDS Proxy reads `AWSCURRENT` only, so a rotation through it would lock itself out; the clients' host stays theirs.
#[tokio::test]
async fn s18_the_rotation_has_a_host_of_its_own() {
    let system = System::start("s18").await;
    let proxy = "app.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com";
    system
        .edit_secret(|secret| secret["host"] = json!(proxy))
        .await;
    // By `DB_HOST`, as the template sets it.
    let token = system.begin();
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        system.step_succeeds(step, &token).await;
    }
    let report = system.ordered(&event("rotation-preflight.json")).await;
    assert!(!found(&report).contains(&"RDS_PROXY"), "{report}");
    let secret: Value = system.secret("AWSCURRENT").unwrap();
    assert_eq!(secret["host"], proxy);
    let text = |key: &str| secret[key].as_str().unwrap().to_owned();
    let credentials = Credentials::new(text("username"), text("password"));
    assert!(system.database.connect(&credentials).await.is_ok());
}
