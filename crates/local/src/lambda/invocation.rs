//! One invocation: what goes in, what comes out, and AWS's words for what can go wrong.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The largest payload of a synchronous invocation and of its answer (Lambda quotas).
pub(crate) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// Why there is no payload.
pub(crate) enum Unreceived {
    /// It has this many bytes.
    TooLarge(usize),
    /// The sender is gone.
    CutOff,
}

/// Reads a body to its end, also beyond the limit: a sender that is not heard out loses the answer with its connection.
pub(crate) async fn receive(mut body: Body) -> Result<Bytes, Unreceived> {
    let mut payload = BytesMut::new();
    let mut length: usize = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unreceived::CutOff)?;
        if let Some(data) = frame.data_ref() {
            length = length.saturating_add(data.len());
            if length <= PAYLOAD_LIMIT {
                payload.extend_from_slice(data);
            }
        }
    }
    if length > PAYLOAD_LIMIT {
        return Err(Unreceived::TooLarge(length));
    }
    Ok(payload.freeze())
}

/// An invocation on its way to an environment.
pub(crate) struct Work {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) client_context: Option<String>,
    pub(crate) reply: oneshot::Sender<Invoked>,
}

impl Work {
    pub(crate) fn new(
        payload: Bytes,
        client_context: Option<String>,
    ) -> (Self, oneshot::Receiver<Invoked>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                request_id: Uuid::new_v4().to_string(),
                payload,
                client_context,
                reply,
            },
            answer,
        )
    }

    /// Answers; whoever asked may have gone.
    pub(crate) fn answer(self, result: Result<Bytes, Bytes>, stream: &str, cold_start: bool) {
        let (payload, function_error) = match result {
            Ok(payload) => (payload, None),
            Err(payload) => (payload, Some("Unhandled".to_owned())),
        };
        let _ = self.reply.send(Invoked {
            payload,
            function_error,
            request_id: self.request_id,
            stream: stream.to_owned(),
            cold_start,
        });
    }
}

/// How an invocation ended.
#[derive(Clone)]
pub struct Invoked {
    /// The function's answer, or the error document.
    pub payload: Bytes,
    /// `Unhandled` when the function failed, as the header `X-Amz-Function-Error` says.
    pub function_error: Option<String>,
    /// The request's id, which the function's log lines carry.
    pub request_id: String,
    /// The log stream of the environment that ran it.
    pub stream: String,
    /// Whether the environment was started for it.
    pub cold_start: bool,
}

/// The payload may hold conversation text.
impl fmt::Debug for Invoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invoked")
            .field("request_id", &self.request_id)
            .field("function_error", &self.function_error)
            .field("payload_bytes", &self.payload.len())
            .field("stream", &self.stream)
            .field("cold_start", &self.cold_start)
            .finish()
    }
}

/// Why an invocation has not reached the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// There is no function of this name.
    #[error("Function not found: {0}")]
    NotFound(String),
    /// Every environment that may be is busy.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The payload is not JSON.
    #[error("Could not parse request body into json: {0}")]
    NotJson(String),
    /// The payload is larger than Lambda takes.
    #[error("the payload has {0} bytes, and 6291456 is the limit")]
    TooLarge(usize),
    /// The environment went away without an answer, or `cargo lambda watch` cannot be reached.
    #[error("{0}")]
    Unavailable(String),
}

impl InvokeError {
    /// The Lambda API's name for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ResourceNotFoundException",
            Self::Throttled => "TooManyRequestsException",
            Self::NotJson(_) => "InvalidRequestContentException",
            Self::TooLarge(_) => "RequestTooLargeException",
            Self::Unavailable(_) => "ServiceException",
        }
    }
}

/// An error document that Lambda itself writes.
fn document(error_type: &str, message: &str) -> Bytes {
    json!({"errorType": error_type, "errorMessage": message})
        .to_string()
        .into()
}

/// What the caller sees when the deadline has passed.
pub(crate) fn timed_out(request_id: &str, timeout: Duration) -> Bytes {
    let seconds = timeout.as_secs_f64();
    document(
        "Sandbox.Timedout",
        &format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"),
    )
}

/// What the caller sees when the process has not asked for work in time.
pub(crate) fn init_timed_out(request_id: &str, timeout: Duration) -> Bytes {
    let seconds = timeout.as_secs_f64();
    document(
        "Sandbox.Timedout",
        &format!("RequestId: {request_id} Error: Init timed out after {seconds:.2} seconds"),
    )
}

/// What the caller sees when the process has ended under its invocation.
pub(crate) fn exited(request_id: &str, status: Option<ExitStatus>) -> Bytes {
    let how = match status.map(|status| (status.code(), status.signal())) {
        Some((_, Some(9))) => "Runtime exited with error: signal: killed".to_owned(),
        Some((_, Some(signal))) => format!("Runtime exited with error: signal: {signal}"),
        Some((Some(0), _)) | None => "Runtime exited without providing a reason".to_owned(),
        Some((code, _)) => format!(
            "Runtime exited with error: exit status {}",
            code.unwrap_or(-1)
        ),
    };
    document(
        "Runtime.ExitError",
        &format!("RequestId: {request_id} Error: {how}"),
    )
}

/// What the caller sees when the program cannot be started.
pub(crate) fn not_started(request_id: &str, reason: &str) -> Bytes {
    document(
        "Runtime.InvalidEntrypoint",
        &format!("RequestId: {request_id} Error: {reason}"),
    )
}

/// What the caller sees when the function's answer is too large.
pub(crate) fn response_too_large() -> Bytes {
    let message = format!(
        "Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes)."
    );
    document("Function.ResponseSizeTooLarge", &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &Bytes, error_type: &str, message: &str) {
        let document: serde_json::Value = serde_json::from_slice(document).expect("json");
        assert_eq!(
            document,
            json!({"errorType": error_type, "errorMessage": message})
        );
    }

    #[test]
    fn lambdas_own_errors_have_awss_words() {
        check(
            &timed_out("r", Duration::from_millis(1500)),
            "Sandbox.Timedout",
            "RequestId: r Error: Task timed out after 1.50 seconds",
        );
        let ended = |status| exited("r", Some(ExitStatus::from_raw(status)));
        check(
            &ended(9),
            "Runtime.ExitError",
            "RequestId: r Error: Runtime exited with error: signal: killed",
        );
        check(
            &ended(1 << 8),
            "Runtime.ExitError",
            "RequestId: r Error: Runtime exited with error: exit status 1",
        );
        check(
            &ended(0),
            "Runtime.ExitError",
            "RequestId: r Error: Runtime exited without providing a reason",
        );
    }
}
