//! What a caller can ask for, and how it is told.

use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::{Checkout, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Lambda, NAME, answer, expect_failure};
use crate::system::{PATIENCE, succeeded};

#[tokio::test]
async fn a_functions_error_is_lambdas_success() {
    let lambda = Lambda::start().await;
    let failed = lambda.invoke(&json!({"fail_before": 2})).await;
    expect_failure(&failed, "Example.Refused", "not yet");
    let again = answer(&lambda.invoke(&json!({"fail_before": 2})).await);
    assert_eq!(
        again["invocations"], 2,
        "an error does not end its environment"
    );
}

#[tokio::test]
async fn an_asynchronous_invocation_is_tried_again() {
    let lambda = Lambda::start().await;
    let send = async |event: Value| {
        let request = lambda.client.invoke().function_name(NAME);
        let request = request.invocation_type(InvocationType::Event);
        let sent = request.payload(Blob::new(event.to_string())).send().await;
        let sent = sent.unwrap();
        assert_eq!(sent.status_code(), 202);
        assert!(
            sent.payload()
                .is_none_or(|payload| payload.as_ref().is_empty())
        );
    };
    let said = |line: &str| lambda.lines().iter().filter(|one| *one == line).count();
    send(json!({"say": "one", "fail_before": 2})).await;
    wait::until("the end of the second attempt", PATIENCE, async || {
        let ended = lambda.lines();
        let ended = ended.iter().filter(|line| line.starts_with("END ")).count();
        (ended == 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(said("one"), 2);

    send(json!({"say": "other", "fail_before": 100})).await;
    wait::until("the end of all attempts", PATIENCE, async || {
        let given_up = |line: &String| line.contains("given up after 3 attempts");
        lambda.lines().iter().any(given_up).then_some(())
    })
    .await
    .unwrap();
    assert_eq!((said("one"), said("other")), (2, 3));
}

#[tokio::test]
async fn the_lines_of_an_invocation_can_be_read() {
    let lambda = Lambda::start().await;
    lambda.invoke(&json!({"say": "the first line"})).await;
    let request = lambda.client.invoke().function_name(NAME);
    let request = request.payload(Blob::new(r#"{"say": "the second line"}"#));
    let tail = request.log_type(LogType::Tail).send().await.unwrap();
    let request_id = answer(&tail)["request_id"].as_str().unwrap().to_owned();
    let tail = BASE64_STANDARD.decode(tail.log_result().unwrap()).unwrap();
    let tail = String::from_utf8(tail).unwrap();
    for part in [
        &format!("START RequestId: {request_id} Version: $LATEST\n"),
        "the second line\n",
        &format!("END RequestId: {request_id}\n"),
        &format!("REPORT RequestId: {request_id} Duration: "),
    ] {
        assert!(tail.contains(part), "no {part} in:\n{tail}");
    }
    assert!(!tail.contains("the first line"), "{tail}");

    assert_eq!(filtered(&lambda, "line").await.len(), 2);
    assert_eq!(
        filtered(&lambda, "\"second line\" the").await,
        ["the second line"]
    );
    assert_eq!(filtered(&lambda, "third").await, [""; 0]);
}

/// What boto3 finds by `FilterLogEvents`.
async fn filtered(lambda: &Lambda, pattern: &str) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/local_logs.py");
    let found = Command::new(Checkout::find().unwrap().tools().join("bin/python"))
        .args([script, "/aws/lambda/example", pattern])
        .env_clear()
        .envs(lambda.stack.environment())
        .output()
        .await
        .unwrap();
    succeeded(&found);
    serde_json::from_slice(&found.stdout).unwrap()
}

#[tokio::test]
async fn what_lambda_does_not_take_is_refused_by_its_name() {
    let lambda = Lambda::start().await;
    let refused = async |name: &str, payload: Vec<u8>| {
        let request = lambda.client.invoke().function_name(name);
        let refused = request.payload(Blob::new(payload)).send().await;
        let refused = refused.expect_err("this was to be refused");
        (
            refused.raw_response().map(|raw| raw.status().as_u16()),
            refused.code().unwrap_or("no code").to_owned(),
        )
    };
    let expected = |status: u16, code: &str| (Some(status), code.to_owned());
    assert_eq!(
        refused("no-such-function", b"{}".to_vec()).await,
        expected(404, "ResourceNotFoundException")
    );
    assert_eq!(
        refused(NAME, b"{".to_vec()).await,
        expected(400, "InvalidRequestContentException")
    );
    // The quota is 6 MiB; a string of JSON has two quotes.
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
    for bytes in [6 * 1024 * 1024 + 1, 20 * 1024 * 1024] {
        assert_eq!(
            refused(NAME, text(bytes)).await,
            expected(413, "RequestTooLargeException"),
            "{bytes} bytes"
        );
    }
    assert!(
        lambda.lines().is_empty(),
        "nothing of this reached the function"
    );
    let largest = json!({"x": "x".repeat(6 * 1024 * 1024 - 8)});
    assert_eq!(largest.to_string().len(), 6 * 1024 * 1024);
    answer(&lambda.invoke(&largest).await);
}

#[tokio::test]
async fn cargo_lambda_invoke_tells_success_from_failure() {
    let lambda = Lambda::start().await;
    let done = lambda.cargo_lambda(&[NAME, "--data-ascii", "{}"]).await;
    succeeded(&done);
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(printed["pid"], lambda.pid());

    let failing = r#"{"fail_before": 100}"#;
    for (name, event, words) in [
        (NAME, failing, "Example.Refused"),
        ("no-such-function", "{}", "Function not found"),
    ] {
        let failed = lambda.cargo_lambda(&[name, "--data-ascii", event]).await;
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    }
}
