//! What can go wrong with S3, by what the caller does next.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Why an object could not be put, read or listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// No such bucket, or no such object: correct the name, or take the object for lost.
    #[error("bucket or object does not exist")]
    NotFound(#[source] Failure),
    /// S3 or KMS does not allow it: correct the role, the bucket policy or the key policy. Reading an object that does
    /// not exist also ends here for a role that may not list the bucket.
    #[error("access to the bucket or its key is denied")]
    AccessDenied(#[source] Failure),
    /// Too many requests, after the client's own retries: try again later.
    #[error("S3 asks to slow down")]
    Throttled(#[source] Failure),
    /// Other writers held the same key in every try: try again later.
    #[error("another writer is busy with the same key")]
    Contended(#[source] Failure),
    /// Network, timeout, S3 itself, or bytes that do not match their checksum: try again later.
    #[error("S3 cannot be reached or did not answer well")]
    Unavailable(#[source] Failure),
    /// S3 understood the request and refuses it: a retry is refused as well.
    #[error("S3 refuses the request")]
    Refused(#[source] Failure),
}

/// Whether the same call can succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Yes, and nothing needs to be corrected.
    Later,
    /// Not before somebody corrects something.
    Never,
}

impl ArchiveError {
    /// AWS's own name of the error, for example `NoSuchBucket`; `Timeout`, `Network`, `BadResponse`, `BodyLost` or
    /// `HTTP` and the status where AWS names none.
    pub fn code(&self) -> &str {
        &self.failure().code
    }

    /// Whether a later try can succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Throttled(_) | Self::Contended(_) | Self::Unavailable(_) => Retry::Later,
            Self::NotFound(_) | Self::AccessDenied(_) | Self::Refused(_) => Retry::Never,
        }
    }

    fn failure(&self) -> &Failure {
        match self {
            Self::NotFound(failure)
            | Self::AccessDenied(failure)
            | Self::Throttled(failure)
            | Self::Contended(failure)
            | Self::Unavailable(failure)
            | Self::Refused(failure) => failure,
        }
    }
}

/// Which call failed, on what, with which of AWS's errors.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of `s3://{bucket}/{key}`: {code}")]
pub struct Failure {
    operation: &'static str,
    bucket: String,
    key: String,
    code: String,
    source: Box<dyn Error + Send + Sync>,
}

/// A call under way: what its errors say about it.
pub(crate) struct Operation<'a> {
    name: &'static str,
    bucket: &'a str,
    key: &'a str,
}

impl<'a> Operation<'a> {
    pub(crate) fn new(name: &'static str, bucket: &'a str, key: &'a str) -> Self {
        Self { name, bucket, key }
    }

    pub(crate) fn failed<E>(&self, error: SdkError<E>) -> ArchiveError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = http_status(&error);
        let code = match (&error, error.code(), status) {
            (_, Some(code), _) => code.to_owned(),
            (SdkError::TimeoutError(_), ..) => "Timeout".to_owned(),
            (SdkError::DispatchFailure(failure), ..) if failure.is_timeout() => {
                "Timeout".to_owned()
            }
            (SdkError::DispatchFailure(_), ..) => "Network".to_owned(),
            // HeadObject's errors have no body, and so no code.
            (SdkError::ServiceError(_), None, Some(status)) => format!("HTTP{status}"),
            (SdkError::ConstructionFailure(_), ..) => "InvalidRequest".to_owned(),
            _ => "BadResponse".to_owned(),
        };
        let request_refused = matches!(error, SdkError::ConstructionFailure(_));
        let class = classify(&code, status, request_refused);
        class(self.failure(code, error))
    }

    pub(crate) fn contended(&self, error: impl Error + Send + Sync + 'static) -> ArchiveError {
        ArchiveError::Contended(self.failure("ConditionalRequestConflict".to_owned(), error))
    }

    pub(crate) fn body_lost(&self, error: impl Error + Send + Sync + 'static) -> ArchiveError {
        ArchiveError::Unavailable(self.failure("BodyLost".to_owned(), error))
    }

    fn failure(&self, code: String, source: impl Error + Send + Sync + 'static) -> Failure {
        Failure {
            operation: self.name,
            bucket: self.bucket.to_owned(),
            key: self.key.to_owned(),
            code,
            source: Box::new(source),
        }
    }
}

/// The status of the answer, if there was one.
pub(crate) fn http_status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response: &HttpResponse| response.status().as_u16())
}

/// Codes come first, because S3 answers 400 and 403 for causes that pass (`RequestTimeout`, `ExpiredToken`).
fn classify(code: &str, status: Option<u16>, request_refused: bool) -> fn(Failure) -> ArchiveError {
    match code {
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "KMS.ThrottlingException" => return ArchiveError::Throttled,
        "RequestTimeout"
        | "RequestTimeTooSkewed"
        | "ExpiredToken"
        | "InternalError"
        | "ServiceUnavailable"
        | "OperationAborted" => return ArchiveError::Unavailable,
        "NoSuchBucket" | "NoSuchKey" | "NotFound" => return ArchiveError::NotFound,
        "AccessDenied"
        | "KMS.DisabledException"
        | "KMS.NotFoundException"
        | "KMS.KMSInvalidStateException" => {
            return ArchiveError::AccessDenied;
        }
        _ => {}
    }
    match status {
        Some(401 | 403) => ArchiveError::AccessDenied,
        Some(404) => ArchiveError::NotFound,
        Some(429 | 503) => ArchiveError::Throttled,
        Some(400..500) => ArchiveError::Refused,
        None if request_refused => ArchiveError::Refused,
        _ => ArchiveError::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, status: Option<u16>, request_refused: bool, expected: &str, retry: Retry) {
        let failure = Operation::new("PutObject", "b", "k")
            .failure(code.to_owned(), std::io::Error::other("cause"));
        let error = classify(code, status, request_refused)(failure);
        assert_eq!(error.code(), code);
        assert_eq!(error.retry(), retry, "{code}");
        let variant = format!("{error:?}");
        assert!(variant.starts_with(expected), "{code}: {variant}");
    }

    #[test]
    fn errors_are_sorted_by_what_to_do_next() {
        check("NoSuchBucket", Some(404), false, "NotFound", Retry::Never);
        check("HTTP404", Some(404), false, "NotFound", Retry::Never);
        check(
            "AccessDenied",
            Some(403),
            false,
            "AccessDenied",
            Retry::Never,
        );
        check("HTTP403", Some(403), false, "AccessDenied", Retry::Never);
        check(
            "KMS.DisabledException",
            Some(400),
            false,
            "AccessDenied",
            Retry::Never,
        );
        check("SlowDown", Some(503), false, "Throttled", Retry::Later);
        check("HTTP503", Some(503), false, "Throttled", Retry::Later);
        check(
            "RequestTimeout",
            Some(400),
            false,
            "Unavailable",
            Retry::Later,
        );
        check(
            "ExpiredToken",
            Some(400),
            false,
            "Unavailable",
            Retry::Later,
        );
        check(
            "InternalError",
            Some(500),
            false,
            "Unavailable",
            Retry::Later,
        );
        check("Timeout", None, false, "Unavailable", Retry::Later);
        check("Network", None, false, "Unavailable", Retry::Later);
        check("EntityTooLarge", Some(400), false, "Refused", Retry::Never);
        check("BadDigest", Some(400), false, "Refused", Retry::Never);
        check("InvalidRequest", None, true, "Refused", Retry::Never);
    }

    #[test]
    fn the_chain_names_call_and_object_and_each_sentence_stands_alone() {
        let cause = std::io::Error::other("connection reset");
        let error = Operation::new("GetObject", "bucket", "a/b").body_lost(cause);
        let failure = error.source().expect("a failure");
        assert_eq!(
            error.to_string(),
            "S3 cannot be reached or did not answer well"
        );
        assert_eq!(
            failure.to_string(),
            "GetObject of `s3://bucket/a/b`: BodyLost"
        );
        assert_eq!(
            failure.source().expect("a cause").to_string(),
            "connection reset"
        );
    }
}
