//! The local Lambda, as its callers and its functions see it: through the SDK, `cargo lambda invoke` and the Runtime API.
//!
//! The words of the errors are AWS's (Lambda API reference, "Invoke"; Lambda developer guide, "Runtime API"): whoever
//! reads them in a test must be able to recognize them in production.

mod callers;
mod environments;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use aws_config::retry::RetryConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use local::{Checkout, Function, Stack, StackOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::system::PATIENCE;

const NAME: &str = "example";

/// A stack with one function, and a client that tries everything once.
struct Lambda {
    stack: Stack,
    client: Client,
    folder: TempDir,
    meetings: TcpListener,
}

impl Lambda {
    /// The function of `local_function.py`, as it is by default.
    async fn start() -> Self {
        Self::with(|function| function).await
    }

    async fn with(change: impl FnOnce(Function) -> Function) -> Self {
        let stack = Stack::start(StackOptions::from_environment().unwrap())
            .await
            .unwrap();
        let config = stack.sdk_config().to_builder();
        let client = Client::new(&config.retry_config(RetryConfig::disabled()).build());
        let lambda = Self {
            stack,
            client,
            folder: tempfile::tempdir().unwrap(),
            meetings: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
        };
        let function = Function::binary(NAME, lambda.program());
        lambda.stack.functions().define(change(function)).unwrap();
        lambda
    }

    /// A function is one executable file, and the script needs the interpreter of the checkout.
    fn program(&self) -> PathBuf {
        let program = self.folder.path().join("bootstrap");
        let python = Checkout::find().unwrap().tools().join("bin/python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/local_function.py");
        let text = format!("#!/bin/sh\nexec '{}' -I '{script}'\n", python.display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        program
    }

    async fn invoke(&self, event: &Value) -> InvokeOutput {
        self.invoking(event).await.unwrap()
    }

    /// An invocation that goes on by itself.
    fn invoking(&self, event: &Value) -> JoinHandle<InvokeOutput> {
        let request = self.client.invoke().function_name(NAME);
        let request = request.payload(Blob::new(event.to_string())).send();
        tokio::spawn(async { request.await.unwrap() })
    }

    /// An event that makes the function wait for us inside its invocation.
    fn meeting(&self) -> Value {
        json!({"meet": self.address()})
    }

    fn address(&self) -> String {
        self.meetings.local_addr().unwrap().to_string()
    }

    /// Waits until a function has come; it goes on when the connection is dropped.
    async fn met(&self) -> TcpStream {
        let met = async {
            let (mut function, _) = self.meetings.accept().await.unwrap();
            function.read_exact(&mut [0; 4]).await.unwrap();
            function
        };
        let met = tokio::time::timeout(PATIENCE, met).await;
        met.expect("the function was not started")
    }

    /// The process of the only environment.
    fn pid(&self) -> i32 {
        let environments = self.stack.functions().environments(NAME);
        assert_eq!(environments.len(), 1, "{environments:?}");
        environments[0].pid.unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.stack.functions().log(NAME);
        lines.into_iter().map(|line| line.text).collect()
    }

    async fn cargo_lambda(&self, arguments: &[&str]) -> Output {
        let checkout = Checkout::find().unwrap();
        let port = self.stack.gateway().address().port().to_string();
        Command::new(checkout.tools().join("bin/cargo-lambda"))
            .args(["lambda", "invoke", "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    }
}

fn document(output: &InvokeOutput) -> Value {
    serde_json::from_slice(output.payload().unwrap().as_ref()).unwrap()
}

#[track_caller]
fn answer(output: &InvokeOutput) -> Value {
    assert_eq!(output.function_error(), None, "{}", document(output));
    assert_eq!(output.status_code(), 200);
    document(output)
}

/// `errorType` and `errorMessage`, without the id of the request.
#[track_caller]
fn failure(output: &InvokeOutput) -> (String, String) {
    let document = document(output);
    assert_eq!(output.function_error(), Some("Unhandled"), "{document}");
    assert_eq!(output.status_code(), 200, "Lambda itself did not fail");
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    let message = text("errorMessage");
    let behind_id = message
        .strip_prefix("RequestId: ")
        .and_then(|rest| rest.split_once(" Error: "));
    (
        text("errorType"),
        behind_id.map_or(message.clone(), |(_, error)| error.to_owned()),
    )
}

#[track_caller]
fn expect_failure(output: &InvokeOutput, error_type: &str, message: &str) {
    assert_eq!(failure(output), (error_type.to_owned(), message.to_owned()));
}
