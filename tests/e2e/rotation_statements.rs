//! What a database server writes down of a rotation when it is told to write down everything: no password, on the paths that
//! fail neither.

use local::canary::servers::search_server;
use local::proxy::Flight;
use local::{Fault, StackOptions};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::system::{ROTATION, System};

#[tokio::test]
async fn no_statement_holds_a_password_whatever_fails() {
    let options = StackOptions::from_environment()
        .unwrap()
        .own_postgres(|server| {
            server
                .setting("log_statement", "all")
                .setting("log_min_duration_statement", "0")
                .setting("log_min_error_statement", "debug5")
                .setting("log_min_messages", "debug1")
                .setting("log_connections", "on")
                .setting("pg_stat_statements.track", "all")
        });
    let system = System::with(options, "statements").await;
    for code in [
        "READ_ONLY_TARGET",
        "ROLE_PERMISSION_DENIED",
        "VERSION_WITHOUT_STAGE",
    ] {
        system.announce(code);
    }
    system.create_tables().await;
    system.rotate().await;
    let between = system.between().await;
    let superuser = system.database.superuser().await.unwrap();
    let role = &system.application;
    let alter = async |what: &str| {
        superuser
            .batch_execute(&format!("ALTER ROLE {role} {what}"))
            .await
            .unwrap();
    };

    // The change itself fails: the server takes no writes, or the role may not.
    let port = between.proxy.port().to_string();
    system.define_rotation(&[("DB_PORT", &port), ("CONNECT_BUDGET_SECONDS", "2")]);
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    alter("SET default_transaction_read_only = on").await;
    assert_eq!(system.refused(ROTATION, &event).await.0, "READ_ONLY_TARGET");
    alter("RESET default_transaction_read_only").await;
    let other = format!("other_{role}");
    let make = format!("CREATE ROLE {other}; GRANT {other} TO {role}");
    superuser.batch_execute(&make).await.unwrap();
    alter(&format!("SET role = {other}")).await;
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "ROLE_PERMISSION_DENIED", "{message}");
    alter("RESET role").await;
    system.whole_rotation(&token).await;

    // The change is cut off, and killed before and after its commit.
    for cut in [between.commit - 1, between.commit] {
        let token = system.begun().await;
        system.cool();
        let stop = between.proxy.stop_at(Flight::Answer, cut);
        system.killed_at(stop, "setSecret", &token).await;
        between
            .proxy
            .next(Fault::CutBeforeAnswer(between.login + 2));
        system.whole_rotation(&token).await;
    }

    // The label is taken off under the lock.
    system.loses_its_label_under_the_lock(&between).await;

    // And a password that opens nothing any more, with another that does.
    system
        .edit_secret(|secret| {
            secret["password"] = json!(format!("{} typed wrongly", local::canary::PASSWORD));
        })
        .await;
    system.rotate().await;

    let server = system.stack.server();
    assert_eq!(search_server(server).await.unwrap(), []);
    let log = server.log().unwrap();
    let texts = system.stack.secrets_manager().texts();
    assert!(texts.len() >= 8, "{} versions", texts.len());
    for text in texts {
        let secret: Value = serde_json::from_str(text.expose_secret()).unwrap();
        assert!(!log.contains(secret["password"].as_str().unwrap()));
    }
    // Those who could have told were there: the statement itself, and the statement of an error.
    for line in [
        "statement: ALTER ROLE",
        "STATEMENT:  ALTER ROLE",
        "duration: ",
        "SCRAM-SHA-256$4096:",
    ] {
        assert!(log.contains(line), "no {line:?} in the log of the server");
    }
}
