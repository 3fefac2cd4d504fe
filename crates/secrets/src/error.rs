//! What a failed call to Secrets Manager means for the caller.

use std::error::Error;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use thiserror::Error;

/// When the same call may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once.
    Now,
    /// After a pause: the service or the network has to recover first.
    Later,
    /// Not before somebody changes something.
    Never,
}

/// What all failed calls have in common.
#[derive(Debug, Error)]
#[error("{operation} failed with {code}: {message}")]
pub struct Failure {
    /// The API operation, as AWS spells it.
    pub operation: &'static str,
    /// The exception's name as the SDK and boto3 have it, for example `ResourceNotFoundException`;
    /// `TimeoutError`, `DispatchFailure`, `ResponseError` or `ConstructionFailure`, as the SDK calls
    /// it, when the service gave no answer.
    pub code: String,
    /// The service's message. Secrets Manager never quotes a secret value in it.
    pub message: String,
    /// What the SDK knows when the service gave no answer.
    #[source]
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

/// A call to Secrets Manager that failed, by what the caller does next.
#[derive(Debug, Error)]
pub enum SecretsError {
    /// No such secret, version or label: create it, or go on without that version.
    #[error("secret or version not found")]
    NotFound(#[source] Failure),
    /// The caller's role may not do this: extend its policy, or do without.
    #[error("access to secrets manager denied")]
    AccessDenied(#[source] Failure),
    /// The name, or the version id with another value, is taken (`ResourceExistsException`): read
    /// what is there.
    #[error("secret or version exists already")]
    AlreadyExists(#[source] Failure),
    /// The secret is scheduled for deletion: restore it.
    #[error("secret is scheduled for deletion")]
    Deleted(#[source] Failure),
    /// The service refuses the request in the secret's present state (`InvalidRequestException`).
    #[error("secrets manager refused the request in the secret's present state")]
    InvalidRequest(#[source] Failure),
    /// A parameter is wrong (`InvalidParameterException` and malformed requests): repair the caller
    /// or its configuration.
    #[error("secrets manager refused a parameter")]
    InvalidParameter(#[source] Failure),
    /// The KMS key cannot be used: repair the key's policy or state.
    #[error("the kms key of the secret cannot be used")]
    Kms(#[source] Failure),
    /// A quota is used up (`LimitExceededException`).
    #[error("a secrets manager quota is used up")]
    LimitExceeded(#[source] Failure),
    /// Too many requests, even after the SDK's own retries: wait.
    #[error("secrets manager throttles the requests")]
    Throttled(#[source] Failure),
    /// No usable answer within the SDK's timeouts and retries: network, time-out or a 5xx.
    #[error("secrets manager gives no usable answer")]
    Unavailable(#[source] Failure),
    /// An answer this crate does not know, or one without a field the API promises.
    #[error("secrets manager gave an unexpected answer")]
    Unexpected(#[source] Failure),
}

impl SecretsError {
    /// What was asked and answered.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::NotFound(failure)
            | Self::AccessDenied(failure)
            | Self::AlreadyExists(failure)
            | Self::Deleted(failure)
            | Self::InvalidRequest(failure)
            | Self::InvalidParameter(failure)
            | Self::Kms(failure)
            | Self::LimitExceeded(failure)
            | Self::Throttled(failure)
            | Self::Unavailable(failure)
            | Self::Unexpected(failure) => failure,
        }
    }

    /// The exception's name as the SDK and boto3 have it; stable, for logs and reports.
    pub fn code(&self) -> &str {
        &self.failure().code
    }

    /// The service's own message, without any secret value.
    pub fn message(&self) -> &str {
        &self.failure().message
    }

    /// Whether the version asked for is not there: no such label, no value yet, or an id that does
    /// not have the label, which AWS answers with `InvalidRequestException`.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::NotFound(_) => true,
            Self::InvalidRequest(failure) => failure.message.contains("VersionStage"),
            _ => false,
        }
    }

    /// When the same call may succeed. The SDK has already retried what it may retry.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled(_) | Self::Unavailable(_) => Retry::Later,
            _ => Retry::Never,
        }
    }
}

/// Sorts the outcome of one call.
pub(crate) fn classify<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> SecretsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let unanswered = |code: &str, message: &str, error: SdkError<E, HttpResponse>| Failure {
        operation,
        code: code.to_owned(),
        message: message.to_owned(),
        cause: error.into_source().ok(),
    };
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let meta = context.err().meta();
            let failure = Failure {
                operation,
                code: meta
                    .code()
                    .map_or_else(|| format!("HTTP {status}"), str::to_owned),
                message: meta.message().unwrap_or("no message").to_owned(),
                cause: None,
            };
            classify_answer(failure, status)
        }
        SdkError::TimeoutError(_) => {
            SecretsError::Unavailable(unanswered("TimeoutError", "no answer in time", error))
        }
        SdkError::DispatchFailure(_) => SecretsError::Unavailable(unanswered(
            "DispatchFailure",
            "the request could not be sent",
            error,
        )),
        SdkError::ResponseError(_) => SecretsError::Unavailable(unanswered(
            "ResponseError",
            "the answer cannot be read",
            error,
        )),
        _ => SecretsError::InvalidParameter(unanswered(
            "ConstructionFailure",
            "the request cannot be made",
            error,
        )),
    }
}

/// Names: "Common Errors" and "Errors" of each operation in the API reference; in brackets what other
/// AWS services and emulators answer in their place.
fn classify_answer(failure: Failure, status: u16) -> SecretsError {
    let message = failure.message.to_lowercase();
    match failure.code.as_str() {
        "ResourceNotFoundException" => SecretsError::NotFound(failure),
        "ResourceExistsException" => SecretsError::AlreadyExists(failure),
        // The service's own role-less message for a key it may not use.
        "AccessDeniedException" if message.contains("kms") => SecretsError::Kms(failure),
        "DecryptionFailure" | "EncryptionFailure" => SecretsError::Kms(failure),
        "AccessDeniedException"
        | "AccessDenied"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException" => SecretsError::AccessDenied(failure),
        "InvalidRequestException" if message.contains("delet") => SecretsError::Deleted(failure),
        "InvalidRequestException" => SecretsError::InvalidRequest(failure),
        "InvalidNextTokenException"
        | "InvalidParameterException"
        | "SerializationException"
        | "ValidationError"
        | "ValidationException" => SecretsError::InvalidParameter(failure),
        "LimitExceededException" => SecretsError::LimitExceeded(failure),
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => SecretsError::Throttled(failure),
        "InternalFailure"
        | "InternalServiceError"
        | "InternalServiceErrorException"
        | "RequestExpired"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => SecretsError::Unavailable(failure),
        _ if status == 429 => SecretsError::Throttled(failure),
        _ if status >= 500 => SecretsError::Unavailable(failure),
        _ => SecretsError::Unexpected(failure),
    }
}

/// An answer without a field that the API promises.
pub(crate) fn incomplete(operation: &'static str, field: &str) -> SecretsError {
    SecretsError::Unexpected(Failure {
        operation,
        code: "IncompleteResponse".to_owned(),
        message: format!("the answer has no {field}"),
        cause: None,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::error::ErrorMetadata;
    use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16, code: Option<&str>, message: &str) -> SecretsError {
        let mut meta = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            meta = meta.code(code);
        }
        let status = StatusCode::try_from(status).unwrap();
        classify(
            "GetSecretValue",
            SdkError::service_error(
                GetSecretValueError::generic(meta.build()),
                HttpResponse::new(status, SdkBody::empty()),
            ),
        )
    }

    fn kind(error: &SecretsError) -> &'static str {
        match error {
            SecretsError::NotFound(_) => "not found",
            SecretsError::AccessDenied(_) => "access denied",
            SecretsError::AlreadyExists(_) => "already exists",
            SecretsError::Deleted(_) => "deleted",
            SecretsError::InvalidRequest(_) => "invalid request",
            SecretsError::InvalidParameter(_) => "invalid parameter",
            SecretsError::Kms(_) => "kms",
            SecretsError::LimitExceeded(_) => "limit exceeded",
            SecretsError::Throttled(_) => "throttled",
            SecretsError::Unavailable(_) => "unavailable",
            SecretsError::Unexpected(_) => "unexpected",
        }
    }

    #[track_caller]
    fn check(status: u16, code: &str, message: &str, expected: &str) {
        let error = answer(status, Some(code), message);
        assert_eq!(kind(&error), expected);
        assert_eq!((error.code(), error.message()), (code, message));
        let passes = ["throttled", "unavailable"].contains(&expected);
        assert_eq!(error.retry() == Retry::Later, passes);
    }

    #[test]
    fn answers_are_sorted_by_what_the_caller_does_next() {
        check(400, "ResourceNotFoundException", "", "not found");
        check(400, "ResourceExistsException", "", "already exists");
        check(
            400,
            "AccessDeniedException",
            "not authorized",
            "access denied",
        );
        check(
            400,
            "AccessDeniedException",
            "Access to KMS is not allowed",
            "kms",
        );
        check(400, "UnrecognizedClientException", "", "access denied");
        check(400, "ExpiredTokenException", "", "access denied");
        check(400, "DecryptionFailure", "", "kms");
        check(400, "EncryptionFailure", "", "kms");
        check(
            400,
            "InvalidRequestException",
            "was marked for deletion.",
            "deleted",
        );
        check(
            400,
            "InvalidRequestException",
            "currently marked deleted.",
            "deleted",
        );
        check(
            400,
            "InvalidRequestException",
            "A previous rotation",
            "invalid request",
        );
        check(400, "InvalidParameterException", "", "invalid parameter");
        check(400, "LimitExceededException", "", "limit exceeded");
        check(400, "ThrottlingException", "", "throttled");
        check(429, "NeverHeardOf", "", "throttled");
        check(500, "InternalServiceError", "", "unavailable");
        check(503, "NeverHeardOf", "", "unavailable");
        check(400, "NeverHeardOf", "", "unexpected");
    }

    #[test]
    fn a_version_is_absent_by_either_of_two_answers() {
        let not_on_version =
            "You provided a VersionStage that is not associated to the provided VersionId.";
        for (code, message, absent) in [
            ("ResourceNotFoundException", "", true),
            ("InvalidRequestException", not_on_version, true),
            ("InvalidRequestException", "marked for deletion", false),
            ("AccessDeniedException", "VersionStage", false),
        ] {
            assert_eq!(
                answer(400, Some(code), message).is_absent(),
                absent,
                "{code}"
            );
        }
    }

    #[test]
    fn an_answer_without_a_name_is_told_by_its_status() {
        let error = answer(502, None, "bad gateway");
        assert_eq!((kind(&error), error.code()), ("unavailable", "HTTP 502"));
    }

    #[test]
    fn no_answer_at_all_is_worth_another_try() {
        let error = classify(
            "GetSecretValue",
            SdkError::<GetSecretValueError, HttpResponse>::timeout_error("attempt timeout"),
        );
        assert_eq!(
            (kind(&error), error.code(), error.retry()),
            ("unavailable", "TimeoutError", Retry::Later)
        );
        let failure = error.source().unwrap();
        assert_eq!(
            failure.to_string(),
            "GetSecretValue failed with TimeoutError: no answer in time"
        );
        assert_eq!(failure.source().unwrap().to_string(), "attempt timeout");
    }
}
