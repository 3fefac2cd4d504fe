//! Neither passwords nor what people said is in anything that a run writes down.
//!
//! The server of this test logs everything that a server can log, statements of others included. Message texts reach it
//! as parameters, which a server prints only where its operator asks for that too, so that is left off.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::{Fault, FaultProxy, StackOptions};
use serde_json::json;

use crate::capture::{batch, turn};
use crate::system::{CAPTURE, ROTATION, SECRET, System};

/// Everything a run wrote, by where it was found.
struct Sinks(Vec<(&'static str, String)>);

impl Sinks {
    /// Looks for a text in plain, hexadecimal, Base64 and URL-encoded form.
    fn assert_free_of(&self, what: &str, canary: &str) {
        let encoded: String = canary
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let forms = [
            canary.to_owned(),
            hex::encode(canary),
            BASE64_STANDARD.encode(canary),
            encoded,
        ];
        for (sink, text) in &self.0 {
            for form in &forms {
                if let Some(at) = text.find(form.as_str()) {
                    let line = text[..at].lines().count();
                    panic!("{what} is in {sink}, near line {line}");
                }
            }
        }
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, from the first table to the last log"
)]
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
    let mut outputs = Vec::new();
    system.create_tables().await;
    let spoken = "canary-in-a-message-5f2a";
    let mut passwords = vec![
        system.secret("AWSCURRENT").unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];

    // Everything that works.
    let mut event = turn("c", 1);
    event["messages"][0]["parts"][0]["content"] = json!(spoken);
    system.capture(&event).await;
    for _ in 0..2 {
        system.rotate().await;
        passwords.push(
            system.secret("AWSCURRENT").unwrap()["password"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        system.stack.functions().retire(CAPTURE);
        event["event_id"] = json!(format!("again-{}", passwords.len()));
        system.capture(&event).await;
    }

    // And everything that does not: conflict, unknown shape, bad JSON, a broken connection, a refused rotation.
    let mut conflict = event.clone();
    conflict["messages"][0]["parts"][0]["content"] = json!(format!("other {spoken}"));
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
    passwords.push(
        system.secret("AWSCURRENT").unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    let broken = json!({"Step": "createSecret", "SecretId": SECRET, "ClientRequestToken": "nobodys-token-0000000000000000000000", "RotationToken": spoken});
    system.refused(ROTATION, &broken).await;
    for arguments in [
        &["-vv", "test"][..],
        &["-vv", "credentials"],
        &["-vv", "create-tables"],
        &["-vv", "rotate", "--wait"],
    ] {
        let output = system.turnkeep(arguments).await;
        outputs.push(String::from_utf8_lossy(&output.stdout).into_owned());
        outputs.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    passwords.push(
        system.secret("AWSCURRENT").unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned(),
    );

    let log = |function: &str| {
        let lines = system.stack.functions().log(function);
        lines
            .into_iter()
            .map(|line| line.text)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let client = system.stack.server().superuser("postgres").await.unwrap();
    let statements = client
        .query(
            "SELECT query FROM pg_stat_statements UNION ALL SELECT query FROM pg_stat_activity",
            &[],
        )
        .await
        .unwrap();
    let statements: String = statements
        .iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or_default() + "\n")
        .collect();
    let server_log = system.stack.server().log().unwrap();
    assert!(
        server_log.contains("ALTER ROLE"),
        "the server's log has the statements"
    );
    assert!(
        log(CAPTURE).contains("invocation handled")
            && !log(ROTATION).is_empty()
            && !statements.is_empty()
    );
    let sinks = Sinks(vec![
        ("the log of conversation-capture", log(CAPTURE)),
        ("the log of secret-rotation", log(ROTATION)),
        ("the log of PostgreSQL", server_log),
        ("pg_stat_statements or pg_stat_activity", statements),
        ("the output of turnkeep", outputs.concat()),
    ]);
    passwords.sort();
    passwords.dedup();
    assert!(passwords.len() >= 5, "every rotation made a password");
    for password in &passwords {
        sinks.assert_free_of("a password", password);
    }
    sinks.assert_free_of("a message", spoken);
}
