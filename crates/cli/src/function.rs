//! The rotation function by a direct invoke: the operator's steps that it alone can do.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::access::{Access, unreadable};
use crate::failure::{AWS_ACCESS, Exit, Failure};
use crate::output::printable;
use crate::progress;

/// What a step may take where no `--timeout` is given; the function has a limit of its own.
pub(crate) const TIME: Duration = Duration::from_mins(2);

/// What the service answers for a function that failed.
#[derive(Debug, Deserialize)]
struct Raised {
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(rename = "errorMessage", default)]
    message: String,
}

/// Has the function do a step, and waits for its report until `deadline`.
pub(crate) async fn order<R: DeserializeOwned>(
    access: &Access,
    function: &str,
    event: &impl Serialize,
    deadline: Instant,
) -> Result<R, Failure> {
    let invocation = invoke(access, function, event, deadline);
    progress::watch(&format!("function {function}"), invocation).await
}

/// The function that is to do a step: the one that is named, else the one that rotates the secret.
pub(crate) async fn of_secret(access: &Access, named: Option<&str>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let secret_id = &access.settings.secret;
    let description = access
        .within("Secrets Manager", async {
            let described = access.secrets.describe(secret_id).await;
            described.map_err(|error| unreadable(secret_id, error))
        })
        .await?;
    description.rotation_function_arn.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "NoFunction",
            format!("no rotation function is configured for secret {secret_id}"),
        )
        .next("name Turnkeep's rotation function with --function")
    })
}

async fn invoke<R: DeserializeOwned>(
    access: &Access,
    function: &str,
    event: &impl Serialize,
    deadline: Instant,
) -> Result<R, Failure> {
    let payload = serde_json::to_vec(event).map_err(std::io::Error::from)?;
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
            format!("function {function} did not give the report that was asked for: {error}"),
        )
        .next(NAME_IT)
    })
}

const NAME_IT: &str = "name Turnkeep's rotation function, of this version, with --function";

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
    let log = || {
        format!(
            "read its log: aws logs tail {} --since 1h",
            log_group(function)
        )
    };
    let (exit, next) = match code {
        "MASTER_NEEDED" => (
            Exit::Refused,
            "give the function the master user's secret (BOOTSTRAP_SECRET), or do it from here: \
             turnkeep create-tables --master-secret ID"
                .to_owned(),
        ),
        // A function that does not know the step takes it for one of a rotation.
        "ValueError" | "KeyError" if raised.message.contains("ClientRequestToken") => {
            (Exit::Failed, NAME_IT.to_owned())
        }
        "DB_PASSWORD_UNKNOWN" => (Exit::Refused, "turnkeep preflight".to_owned()),
        "DATABASE_UNREACHABLE" | "DATABASE_TIMED_OUT" | "DATABASE_STARTING" => {
            (Exit::Unreachable, "turnkeep preflight".to_owned())
        }
        _ => (Exit::Failed, log()),
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

/// Returns the log group that the Lambda service gives a function by default.
pub(crate) fn log_group(function: &str) -> String {
    format!("/aws/lambda/{}", name(function))
}

/// Returns the name in a function's ARN, without version or alias; anything else counts as the name itself.
fn name(function: &str) -> &str {
    match function.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "lambda", _, _, "function", name, ..] => name,
        _ => function,
    }
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

    #[track_caller]
    fn check_exit(error_type: &str, message: &str, exit: Exit, next: &str) {
        let reply = serde_json::json!({"errorType": error_type, "errorMessage": message});
        let failure = failed("secret-rotation", reply.to_string().as_bytes());
        assert_eq!(failure.exit(), exit);
        let found = failure.hint().unwrap_or_default();
        assert!(found.contains(next), "{found}");
    }

    #[test]
    fn what_scripts_branch_on_has_a_code_of_its_own() {
        check_exit("MASTER_NEEDED", "", Exit::Refused, "BOOTSTRAP_SECRET");
        check_exit("DB_PASSWORD_UNKNOWN", "", Exit::Refused, "preflight");
        check_exit("DATABASE_TIMED_OUT", "", Exit::Unreachable, "preflight");
        // AWS's own function, and an older one of ours.
        check_exit(
            "KeyError",
            "'ClientRequestToken'",
            Exit::Failed,
            "--function",
        );
        check_exit("ROLE_REFUSED", "", Exit::Failed, "aws logs tail");
    }

    #[track_caller]
    fn check_log_group(function: &str, group: &str) {
        assert_eq!(log_group(function), group);
    }

    #[test]
    fn the_log_group_has_the_functions_name() {
        check_log_group(
            "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation",
            "/aws/lambda/secret-rotation",
        );
        check_log_group(
            "arn:aws-cn:lambda:cn-north-1:000000000000:function:rotation:live",
            "/aws/lambda/rotation",
        );
        check_log_group("secret-rotation", "/aws/lambda/secret-rotation");
    }
}
