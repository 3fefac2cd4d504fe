//! Errors of S3 that no server here would make by itself.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::plain;
use crate::lock::lock;

/// An error of S3 (Amazon S3 API Reference, "Error responses").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// Its code, such as `SlowDown`.
    pub code: &'static str,
}

/// Which operations are refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_operation: Mutex<BTreeMap<String, Refusal>>,
}

impl Refusals {
    pub(super) fn set(&self, operation: &str, refusal: Option<Refusal>) {
        let mut refusals = lock(&self.by_operation);
        match refusal {
            Some(refusal) => refusals.insert(operation.to_owned(), refusal),
            None => refusals.remove(operation),
        };
    }

    pub(super) fn answer(&self, service: &str, operation: &str) -> Option<Response<Body>> {
        let refusal = lock(&self.by_operation).get(operation).copied();
        refusal
            .filter(|_| service == "S3")
            .map(Refusal::into_response)
    }
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let Self { status, code } = self;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>refused by a test</Message></Error>"
        );
        let mut response = plain(status, body);
        let content_type = HeaderValue::from_static("application/xml");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        response
    }
}
