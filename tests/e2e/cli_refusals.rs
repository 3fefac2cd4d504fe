//! `turnkeep` and what it cannot use: the error names what was wrong, and the exit code its kind.

use local::canary;
use serde_json::Value;

use crate::system::{System, succeeded};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As in the AWS CLI: a profile that is named wins over credentials in the environment.
#[tokio::test]
async fn a_profile_that_is_named_is_the_one_that_is_used() {
    let system = System::start("profile").await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    let profile = "[shop]\naws_access_key_id = local\naws_secret_access_key = local\n";
    std::fs::write(&credentials, profile).unwrap();
    let test = |profile: &str| {
        let mut command = system.command(&["--profile", profile, "test"]);
        command.env("AWS_SHARED_CREDENTIALS_FILE", &credentials);
        command
    };
    succeeded(&test("shop").output().await.unwrap());
    let unknown = test("stop").output().await.unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
    assert!(
        text(&unknown.stderr).contains("--profile"),
        "the next command: {}",
        text(&unknown.stderr)
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_told_by_every_verb() {
    let system = System::start("rubbish").await;
    let password = canary::PASSWORD;
    let no_json = format!(r#"{{"password":"{password}""#);
    let no_port = format!(r#"{{"username":"u","password":"{password}","host":"h","port":"many"}}"#);
    for (name, value, told) in [
        ("no-json", no_json, "not valid json"),
        ("no-port", no_port, "port"),
    ] {
        system.stack.create_secret(name, &value.into()).unwrap();
        for verb in [
            &["test"][..],
            &["credentials"],
            &["create-tables"],
            &["exec", "--", "true"],
        ] {
            let output = system.turnkeep(&[&["--secret", name], verb].concat()).await;
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{verb:?}: {said}");
            assert!(
                said.contains(name) && said.contains(told),
                "{verb:?}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_call_that_is_denied_has_a_code_of_its_own() {
    let system = System::start("denied").await;
    let denied = "AccessDeniedException";
    let _refusal = system
        .stack
        .secrets_manager()
        .refuse("GetSecretValue", None, denied);
    for verb in [
        &["test"][..],
        &["credentials"],
        &["create-tables"],
        &["exec", "--", "true"],
    ] {
        let output = system.turnkeep(verb).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{verb:?}: {said}");
        assert!(
            said.contains(denied) && said.contains("policy"),
            "{verb:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_command_line_that_is_not_accepted_is_told_to_programs_too() {
    let system = System::empty("usagejson").await;
    let output = system.turnkeep(&["--port", "many", "test", "--json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], "Usage");
    assert!(
        text(&output.stderr).contains("65535"),
        "{}",
        text(&output.stderr)
    );
}
