//! Neither passwords nor what people said is in anything that a run writes down, whatever its servers and functions are told
//! to log.
//!
//! Every test looks for canaries (`evidence`). The server of this one logs everything that a server can log, statements of
//! others included, and the functions at their finest level. Message texts reach the server as parameters, which it prints
//! only where its operator asks for that too, so that is left off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use local::canary::servers::search_server;
use local::canary::{self, said};
use local::{Fault, FaultProxy, Stack, StackOptions};
use serde_json::json;

use crate::capture::{batch, turn};
use crate::system::{CAPTURE, ROTATION, SECRET, System, succeeded};

#[tokio::test]
async fn no_log_holds_a_password_or_a_message() {
    let options = StackOptions::from_environment()
        .unwrap()
        .own_postgres(|server| {
            server
                .setting("log_statement", "all")
                .setting("log_min_duration_statement", "0")
                .setting("log_min_error_statement", "debug5")
                .setting("log_parameter_max_length", "0")
        });
    let system = System::with(options, "canary").await;
    system.announce(r#""outcome":"conflict""#);
    system.announce("Capture.UnknownShape");
    system.announce("Capture.InvalidField");
    system.announce(r#""outcome":"not_json""#);
    system.announce("Capture.DatabaseUnavailable");
    system.announce("VERSION_WITHOUT_STAGE");
    system.create_tables().await;
    let spoken = said("what nobody may read");

    // Everything that works.
    let mut event = turn("c", 1);
    system.capture(&event).await;
    for number in 0..2 {
        system.rotate().await;
        system.stack.functions().retire(CAPTURE);
        event["event_id"] = json!(format!("again-{number}"));
        system.capture(&event).await;
    }

    // And everything that does not: conflict, unknown shape, bad JSON, a broken connection, a refused rotation.
    let mut conflict = event.clone();
    conflict["messages"][0]["parts"][0]["content"] = json!(format!("{spoken}, in other words"));
    system.refused(CAPTURE, &conflict).await;
    system.refused(CAPTURE, &json!({ "unknown": spoken })).await;
    system
        .refused(
            CAPTURE,
            &json!({"schema": "llm.capture/1", "conversation_id": {"not": spoken}, "messages": []}),
        )
        .await;
    system
        .capture(&batch(&[format!("{{{spoken}"), event.to_string()]))
        .await;
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    system.define_capture(&[
        ("DB_PORT", &proxy.port().to_string()),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
    ]);
    proxy.set(Fault::CutBeforeAnswer(4)).await;
    event["event_id"] = json!("cut");
    system.invoke(CAPTURE, &event).await;
    system.define_rotation(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]);
    system.rotate().await;
    let broken = json!({"Step": "createSecret", "SecretId": SECRET, "ClientRequestToken": "nobodys-token-0000000000000000000000", "RotationToken": spoken});
    system.refused(ROTATION, &broken).await;
    for step in ["audit", "preflight", "recover"] {
        let order = json!({"Step": step, "SecretId": SECRET});
        system.invoke(ROTATION, &order).await;
    }
    for arguments in [
        &["-vv", "test"][..],
        &["-vv", "credentials"],
        &["-vv", "create-tables"],
        &["-vv", "rotate", "--wait"],
        &["-vv", "audit"],
        &["-vv", "preflight"],
        &["-vv", "recover"],
    ] {
        system.turnkeep(arguments).await;
    }

    // The marks were there to be found: in the secret's versions and in the rows.
    let passwords = system.stack.secrets_manager().texts();
    assert!(passwords.len() >= 5, "every rotation made a password");
    let kept = "SELECT count(*) FROM messages WHERE content LIKE $1";
    assert!(system.number(kept, &[&said("%")]).await >= 2);
    // And so were those who could have told them.
    let log = |function: &str| system.stack.functions().log(function);
    assert!(
        log(CAPTURE)
            .iter()
            .any(|line| line.text.contains("invocation handled"))
    );
    assert!(!log(ROTATION).is_empty());
    let server = system.stack.server();
    assert!(
        server.log().unwrap().contains("ALTER ROLE"),
        "the server's log has the statements"
    );
    assert_eq!(search_server(server).await.unwrap(), []);
}

/// What a server writes down is found where it stands: the log, and the statistics of statements.
#[tokio::test]
async fn a_leak_into_a_server_is_found() {
    let options = StackOptions::from_environment()
        .unwrap()
        .own_postgres(|server| server);
    let stack = Stack::start(options).await.unwrap();
    let server = stack.server();
    assert_eq!(search_server(server).await.unwrap(), []);
    let client = server.superuser("postgres").await.unwrap();
    // A comment is no constant, which the statistics would leave out.
    let kept = format!("SELECT 1 /* {} */", said("hello"));
    client.batch_execute(&kept).await.unwrap();
    let refused = format!("ALTER ROLE nobody PASSWORD '{}'", canary::PASSWORD);
    client.batch_execute(&refused).await.unwrap_err();
    let finds = search_server(server).await.unwrap();
    let found = |sink: &str, mark: &str| {
        finds
            .iter()
            .any(|find| find.sink == sink && find.mark == mark)
    };
    assert!(found("pg_stat_statements", canary::TEXT), "{finds:#?}");
    assert!(
        found("the log of PostgreSQL", canary::PASSWORD),
        "{finds:#?}"
    );
    assert!(found("pg_stat_activity", canary::PASSWORD), "{finds:#?}");
}

/// The checks that every test ends with can fail.
#[tokio::test]
async fn a_test_fails_for_a_leak_a_warning_and_an_announcement() {
    let system = System::start("evidence").await;
    system.capture(&turn("c", 1)).await;
    let mut foreign = turn("c", 2);
    foreign["user_id"] = json!(said("somebody else"));
    system.refused(CAPTURE, &foreign).await;
    system.announce("NEVER_HAPPENS");
    succeeded(&system.turnkeep(&["exec", "--", "/usr/bin/env"]).await);
    let ended = catch_unwind(AssertUnwindSafe(|| drop(system))).unwrap_err();
    let told = ended.downcast::<String>().unwrap();
    for problem in [
        "conversation-capture wrote what was not announced: {\"level\":\"WARN\"",
        "announced, but no warning or error has it: NEVER_HAPPENS",
        "the output of turnkeep [\"exec\", \"--\", \"/usr/bin/env\"], line ",
    ] {
        assert!(told.contains(problem), "no {problem:?} in: {told}");
    }
}
