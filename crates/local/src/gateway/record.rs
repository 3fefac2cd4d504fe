//! Which operations have been called: names only, never what they carried.

use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::lock::lock;

/// One call of the AWS API.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Such as `S3` or `SecretsManager`.
    pub service: String,
    /// Such as `PutObject`.
    pub operation: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The exception's name, as far as it is ours; `Unhandled` for a function's error.
    pub error: Option<String>,
    /// When it arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// How long the answer took, to the begin of its body.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
}

fn milliseconds<S: serde::Serializer>(
    elapsed: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64() * 1000.0)
}

#[derive(Debug, Default)]
pub(super) struct Record {
    calls: Mutex<Vec<Call>>,
}

impl Record {
    pub(super) fn add(&self, call: Call) {
        lock(&self.calls).push(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub(super) fn clear(&self) {
        lock(&self.calls).clear();
    }
}
