//! The AWS JSON 1.1 protocol: an operation named by `X-Amz-Target`, a JSON document each way, errors with `__type`.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// A refusal as AWS words it: what SDKs turn into the exception named `code`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The exception's name, such as `ResourceNotFoundException`.
    pub code: String,
    /// AWS's sentence where it is known, else ours.
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new("ResourceExistsException", message)
    }

    /// An operation that the local stack does not have; `accepted` names those that it has.
    pub(crate) fn unsupported(service: &str, operation: &str, accepted: &[&str]) -> Self {
        let accepted = accepted.join(", ");
        Self::new(
            "UnsupportedOperationException",
            format!("the local {service} has no operation {operation}; it has: {accepted}"),
        )
    }

    /// The HTTP status: AWS answers 400 to what the client can mend and 500 to its own faults.
    fn status(&self) -> StatusCode {
        if self.code.starts_with("Internal") {
            StatusCode::INTERNAL_SERVER_ERROR
        } else if self.code.starts_with("ServiceUnavailable") {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}

/// The document that an operation wants.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde_json's own message may quote the body, and with it a secret.
    serde_json::from_slice(body).map_err(|wrong| {
        let (line, column) = (wrong.line(), wrong.column());
        ApiError::new(
            "SerializationException",
            format!("the body is not what the operation takes: line {line} column {column}"),
        )
    })
}

pub(crate) fn respond(answer: &Result<Value, ApiError>) -> Response<Body> {
    let (status, document) = match answer {
        Ok(document) => (StatusCode::OK, document.clone()),
        Err(refused) => (
            refused.status(),
            json!({"__type": refused.code, "Message": refused.message}),
        ),
    };
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(CONTENT_TYPE),
    );
    if let Ok(id) = header::HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
