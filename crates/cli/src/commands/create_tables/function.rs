//! The rotation function's step `migrate`, by a direct invoke.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use rotation::event::MigrateEvent;
use rotation::migrate::Report;
use serde::Deserialize;
use tokio::time::Instant;

use crate::access::Access;
use crate::args;
use crate::failure::{AWS_ACCESS, Exit, Failure};
use crate::function::log_group;
use crate::output::printable;

/// What the service answers for a function that failed.
#[derive(Debug, Deserialize)]
struct Raised {
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(rename = "errorMessage", default)]
    message: String,
}

/// Invokes the function and waits for its report until `deadline`.
pub(super) async fn migrate(
    access: &Access,
    options: &args::CreateTables,
    function: &str,
    deadline: Instant,
) -> Result<Report, Failure> {
    let event = MigrateEvent {
        secret_id: access.settings.secret.clone(),
        master_secret_id: options.master_secret.clone(),
        dry_run: options.dry_run,
    };
    let payload = serde_json::to_vec(&event).map_err(std::io::Error::from)?;
    let time = deadline.saturating_duration_since(Instant::now());
    let config = aws_sdk_lambda::config::Builder::from(&access.aws)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(time)
                .operation_timeout(time)
                .build(),
        )
        // A second invoke beside the first would only wait for its locks.
        .retry_config(RetryConfig::disabled())
        .build();
    let answer = Client::from_conf(config)
        .invoke()
        .function_name(function)
        .payload(Blob::new(payload))
        .send()
        .await
        .map_err(|error| not_invoked(function, &error))?;
    let reply = answer.payload().map(Blob::as_ref).unwrap_or_default();
    if answer.function_error().is_some() {
        return Err(failed(function, reply));
    }
    serde_json::from_slice(reply).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "UnexpectedReply",
            format!("function {function} gave no report of a migration: {error}"),
        )
        .next("name Turnkeep's rotation function, of this version, with --function")
    })
}

fn not_invoked(function: &str, error: &SdkError<InvokeError>) -> Failure {
    let (exit, code, next) = match error.code() {
        Some(code @ "ResourceNotFoundException") => (
            Exit::Failed,
            code,
            "name the function with --function, and its region with --region",
        ),
        Some(code @ "AccessDeniedException") => (
            Exit::Refused,
            code,
            "allow lambda:InvokeFunction on it to this identity: aws sts get-caller-identity",
        ),
        Some(code) => (
            Exit::Failed,
            code,
            "see its configuration: aws lambda get-function",
        ),
        None => (Exit::Unreachable, "DispatchFailure", AWS_ACCESS),
    };
    let reason = match error.message() {
        Some(message) => message.to_owned(),
        None => DisplayErrorContext(error).to_string(),
    };
    Failure::new(
        exit,
        code,
        format!("cannot invoke function {function}: {}", printable(&reason)),
    )
    .next(next)
}

fn failed(function: &str, reply: &[u8]) -> Failure {
    let raised = serde_json::from_slice(reply).unwrap_or_else(|_| Raised {
        error_type: String::new(),
        message: String::from_utf8_lossy(reply).into_owned(),
    });
    let code = match raised.error_type.as_str() {
        "" => "FunctionError",
        error_type => error_type,
    };
    let (exit, next) = match code {
        "MASTER_NEEDED" => (
            Exit::Refused,
            "give the function the master user's secret (BOOTSTRAP_SECRET), or do it from here: \
             turnkeep create-tables --master-secret ID"
                .to_owned(),
        ),
        _ => (
            Exit::Failed,
            format!(
                "read its log: aws logs tail {} --since 1h",
                log_group(function)
            ),
        ),
    };
    Failure::new(
        exit,
        code,
        format!(
            "function {function} failed with {code}: {}",
            printable(&raised.message)
        ),
    )
    .next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: &str, code: &str, message: &str) {
        let failure = failed("secret-rotation", reply.as_bytes());
        assert_eq!(failure.code(), code);
        assert_eq!(failure.message(), message);
    }

    #[test]
    fn what_a_function_raised_is_passed_on() {
        check(
            r#"{"errorType":"MASTER_NEEDED","errorMessage":"no\u001b master"}"#,
            "MASTER_NEEDED",
            "function secret-rotation failed with MASTER_NEEDED: no\u{fffd} master",
        );
        check(
            r#"{"errorMessage":"Task timed out after 3.00 seconds"}"#,
            "FunctionError",
            "function secret-rotation failed with FunctionError: Task timed out after 3.00 seconds",
        );
        check(
            "killed",
            "FunctionError",
            "function secret-rotation failed with FunctionError: killed",
        );
    }
}
