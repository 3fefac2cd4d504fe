//! Life and death of the processes that a function runs in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aws_sdk_lambda::error::ProvideErrorMetadata;
use local::{Function, wait};
use serde_json::json;

use super::{Lambda, NAME, answer, expect_failure, failure};
use crate::system::PATIENCE;

/// A zombie counts: whoever killed it has to have waited for it.
fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn an_environment_is_used_again_and_is_told_what_lambda_tells() {
    let lambda = Lambda::with(|function| function.timeout(Duration::from_secs(45))).await;
    let first = lambda.invoke(&json!({})).await;
    let second = answer(&lambda.invoke(&json!({})).await);
    assert_eq!(answer(&first)["pid"], second["pid"]);
    assert_eq!(answer(&first)["pid"], lambda.pid());
    assert_eq!(second["invocations"], 2);
    assert_ne!(answer(&first)["request_id"], second["request_id"]);
    assert_eq!(
        second["arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:example"
    );
    let left = second["left_ms"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 45_000.0, "{left} ms left of 45 s");
}

#[tokio::test]
async fn what_a_function_says_while_it_starts_reaches_the_caller() {
    let lambda = Lambda::with(|function| function.variable("ON_START", "report")).await;
    let failed = lambda.invoke(&json!({})).await;
    expect_failure(&failed, "Example.NotConfigured", "no shop to open");
    assert!(lambda.stack.functions().environments(NAME).is_empty());

    let define = |change: &dyn Fn(Function) -> Function| {
        let functions = lambda.stack.functions();
        functions
            .define(change(functions.definition(NAME).unwrap()))
            .unwrap();
    };
    define(&|function| function.variable("ON_START", "exit"));
    expect_failure(
        &lambda.invoke(&json!({})).await,
        "Runtime.ExitError",
        "Runtime exited with error: exit status 7",
    );
    define(&|function| {
        function
            .variable("ON_START", lambda.address())
            .init_timeout(Duration::from_millis(250))
    });
    expect_failure(
        &lambda.invoke(&json!({})).await,
        "Sandbox.Timedout",
        "Init timed out after 0.25 seconds",
    );
    define(&|_| Function::binary(NAME, "/nonexistent/bootstrap"));
    let (error_type, message) = failure(&lambda.invoke(&json!({})).await);
    assert_eq!(error_type, "Runtime.InvalidEntrypoint");
    assert!(message.contains("/nonexistent/bootstrap"), "{message}");
}

#[tokio::test]
async fn an_environment_does_not_outlive_its_deadline() {
    // Long enough for the start of an interpreter beside other tests: the time runs from the delivery.
    let lambda = Lambda::with(|function| function.timeout(Duration::from_millis(500))).await;
    let invoking = lambda.invoking(&lambda.meeting());
    let _held = lambda.met().await;
    let pid = lambda.pid();
    expect_failure(
        &invoking.await.unwrap(),
        "Sandbox.Timedout",
        "Task timed out after 0.50 seconds",
    );
    assert!(!exists(pid), "process {pid} goes on");
    assert!(lambda.stack.functions().environments(NAME).is_empty());
    assert_eq!(answer(&lambda.invoke(&json!({})).await)["invocations"], 1);
}

#[tokio::test]
async fn a_process_that_ends_fails_its_invocation_and_no_other() {
    let lambda = Lambda::start().await;
    answer(&lambda.invoke(&json!({})).await);
    expect_failure(
        &lambda.invoke(&json!({"exit": 3})).await,
        "Runtime.ExitError",
        "Runtime exited with error: exit status 3",
    );
    expect_failure(
        &lambda.invoke(&json!({"exit": 0})).await,
        "Runtime.ExitError",
        "Runtime exited without providing a reason",
    );
    assert_eq!(answer(&lambda.invoke(&json!({})).await)["invocations"], 1);
}

#[tokio::test]
async fn a_killed_environment_is_followed_by_a_cold_start() {
    let lambda = Lambda::start().await;
    let invoking = lambda.invoking(&lambda.meeting());
    let _held = lambda.met().await;
    let busy = lambda.pid();
    assert_eq!(lambda.stack.functions().kill(NAME), 1);
    expect_failure(
        &invoking.await.unwrap(),
        "Runtime.ExitError",
        "Runtime exited with error: signal: killed",
    );
    assert!(!exists(busy));

    let functions = lambda.stack.functions();
    let cold = functions.invoke(NAME, "{}").await.unwrap();
    assert!(cold.cold_start && cold.function_error.is_none());
    let idle = lambda.pid();
    assert!(!functions.invoke(NAME, "{}").await.unwrap().cold_start);
    assert_eq!(functions.kill(NAME), 1);
    let next = functions.invoke(NAME, "{}").await.unwrap();
    assert!(next.cold_start && next.function_error.is_none());
    assert_ne!(lambda.pid(), idle);
    wait::until("the end of the idle one", PATIENCE, async || {
        (!exists(idle)).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn environments_run_at_once_up_to_the_concurrency() {
    let lambda = Lambda::with(|function| function.concurrency(2)).await;
    let invoking = [(); 2].map(|()| lambda.invoking(&lambda.meeting()));
    let held = [lambda.met().await, lambda.met().await];
    let throttled = lambda.client.invoke().function_name(NAME).send().await;
    let throttled = throttled.unwrap_err();
    assert_eq!(throttled.code(), Some("TooManyRequestsException"));
    assert_eq!(throttled.raw_response().unwrap().status().as_u16(), 429);

    drop(held);
    let mut pids = BTreeSet::new();
    for one in invoking {
        pids.insert(answer(&one.await.unwrap())["pid"].as_i64().unwrap());
    }
    assert_eq!(pids.len(), 2, "each environment takes one invocation");
    let warm = answer(&lambda.invoke(&json!({})).await)["pid"].as_i64();
    assert!(pids.contains(&warm.unwrap()), "an idle one is taken first");
}

#[tokio::test]
async fn an_answer_that_is_too_large_fails_its_invocation_and_no_other() {
    let lambda = Lambda::start().await;
    for bytes in [6 * 1024 * 1024, 20 * 1024 * 1024] {
        expect_failure(
            &lambda.invoke(&json!({"pad": bytes})).await,
            "Function.ResponseSizeTooLarge",
            "Response payload size exceeded maximum allowed payload size (6291456 bytes).",
        );
    }
    assert_eq!(answer(&lambda.invoke(&json!({})).await)["invocations"], 3);
}

#[tokio::test]
async fn a_function_has_the_environment_that_was_defined() {
    let lambda = Lambda::start().await;
    let function = Function::binary("show", "/usr/bin/env")
        .variable("GIVEN", "a value")
        .memory(512);
    let functions = lambda.stack.functions();
    functions.define(function).unwrap();
    let ended = functions.invoke("show", "{}").await.unwrap();
    assert!(ended.function_error.is_some(), "`env` asks for no work");
    let shown: BTreeMap<String, String> = functions
        .log("show")
        .iter()
        .filter_map(|line| line.text.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

    let mut expected = lambda.stack.environment();
    for (name, value) in [
        ("GIVEN", "a value"),
        // What it signs with is named after its program.
        ("AWS_ACCESS_KEY_ID", "env"),
        ("_HANDLER", "bootstrap"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_NAME", "show"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/show"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &ended.stream),
        // A port of its own each time.
        ("AWS_LAMBDA_RUNTIME_API", &shown["AWS_LAMBDA_RUNTIME_API"]),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TZ", ":UTC"),
    ] {
        expected.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(shown, expected);
}
