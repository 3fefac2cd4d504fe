//! What a sender by HTTP is answered: a status, and in the body what a direct sender would be told.

use std::collections::BTreeMap;

use archive::Retry;
use serde::Serialize;
use time::OffsetDateTime;

use super::kept::Kept;
use crate::claim::ClaimError;
use crate::error::CaptureError;
use crate::item::Item;
use crate::source::RequestError;
use crate::unpack::UnpackError;

/// The response of a function URL and of API Gateway, in both of its formats.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, &'static str>,
    body: String,
    is_base64_encoded: bool,
}

/// What became of one event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Result {
    Kept(Kept),
    Failed(Failed),
}

/// The words of a failed direct invocation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    status_code: u16,
    error_type: &'static str,
    error_message: String,
}

#[derive(Debug, Serialize)]
struct Several {
    #[serde(rename = "statusCode")]
    status_code: u16,
    events: Vec<Result>,
}

/// Seconds after which a sender may try again what a store did not take.
const RETRY_AFTER: &str = "5";

impl Response {
    /// The status is that of the event which fared worst: a sender who reads nothing else must not forget what was not kept.
    /// To send all of them again changes nothing for the others.
    pub(super) fn of(items: Vec<Item>, now: OffsetDateTime) -> serde_json::Result<Self> {
        let mut status_code = 200;
        let mut events = Vec::new();
        for item in items {
            let repaired = item.repaired();
            let (status, event) = match item.finish() {
                Ok(entries) => (200, Result::Kept(Kept::of(&entries, repaired, now))),
                Err(error) => (status(&error), Result::Failed(Failed::of(&error))),
            };
            status_code = status_code.max(status);
            events.push(event);
        }
        let body = match events.as_slice() {
            [event] => serde_json::to_string(event),
            _ => serde_json::to_string(&Several {
                status_code,
                events,
            }),
        }?;
        Ok(Self::with(status_code, body))
    }

    /// Wraps the answer to an event that came as a request without being one.
    pub(super) fn of_kept(kept: &Kept) -> serde_json::Result<Self> {
        Ok(Self::with(200, serde_json::to_string(kept)?))
    }

    fn with(status_code: u16, body: String) -> Self {
        let mut headers = BTreeMap::from([("content-type", "application/json")]);
        match status_code {
            405 => headers.extend([("allow", "POST")]),
            503 => headers.extend([("retry-after", RETRY_AFTER)]),
            _ => {}
        }
        Self {
            status_code,
            headers,
            body,
            is_base64_encoded: false,
        }
    }
}

impl Failed {
    fn of(error: &CaptureError) -> Self {
        Self {
            status_code: status(error),
            error_type: error.code(),
            error_message: error.message(),
        }
    }
}

/// What HTTP calls an error.
fn status(error: &CaptureError) -> u16 {
    match error {
        CaptureError::Request(error) => match error {
            RequestError::Method => 405,
            RequestError::ContentType => 415,
            RequestError::Packed(UnpackError::TooLarge) => 413,
            RequestError::Packed(UnpackError::Broken) | RequestError::Body => 400,
            RequestError::NoUser => 401,
            RequestError::NoTenant | RequestError::OtherTenant => 403,
        },
        CaptureError::Source(_)
        | CaptureError::Record { .. }
        | CaptureError::Unreadable { .. }
        | CaptureError::UnknownShape(_)
        | CaptureError::InvalidField(_)
        | CaptureError::Unstorable(_) => 400,
        CaptureError::Claim(error) => match error {
            ClaimError::Bucket | ClaimError::Prefix => 403,
            ClaimError::TooLarge | ClaimError::Packed(UnpackError::TooLarge) => 413,
            ClaimError::Fetch(error) if error.retry() == Retry::Later => 503,
            _ => 400,
        },
        CaptureError::Foreign { .. } => 403,
        CaptureError::Conflict { .. } => 409,
        CaptureError::Erased { .. } => 410,
        CaptureError::Unfinished => 500,
        CaptureError::Archive(_)
        | CaptureError::Database(_)
        | CaptureError::Key(_)
        | CaptureError::Late { .. }
        | CaptureError::NoRoom
        | CaptureError::HeldBack => 503,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aurora_session::RunError;
    use store::Status;

    use crate::batch::Batch;
    use crate::batch::tests::{STORED, carry, payload};
    use crate::error::CaptureError;
    use crate::intake::Intake;
    use crate::reply::Reply;

    fn answer(body: &str, status: &dyn Fn(usize) -> Result<Status, CaptureError>) -> String {
        let request = serde_json::json!({
            "version": "2.0", "body": body, "headers": {"content-type": "application/json"},
            "requestContext": {
                "requestId": "r-1", "timeEpoch": 1_795_428_000_123_i64, "http": {"method": "POST"},
                "authorizer": {"jwt": {"claims": {"sub": "u-1"}}},
            },
        });
        let mut batch =
            Batch::read(payload(request.to_string()), "request", &Intake::default()).unwrap();
        carry(&mut batch, |_| STORED(), |at| status(at.item));
        let reply = Reply::to(batch, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        serde_json::to_string_pretty(&reply).unwrap()
    }

    const EVENT: &str = r#"{"conversation_id":"c","user_id":"boss","user_input":"q"}"#;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "beside one that fails, as a function of the same type"
    )]
    fn kept(_: usize) -> Result<Status, CaptureError> {
        Ok(Status::Stored)
    }

    fn away(_: usize) -> Result<Status, CaptureError> {
        Err(CaptureError::Database(Arc::new(RunError::TimedOut)))
    }

    #[test]
    fn one_event_is_answered_as_a_direct_sender_is() {
        insta::assert_snapshot!(answer(EVENT, &kept), @r##"
        {
          "statusCode": 200,
          "headers": {
            "content-type": "application/json"
          },
          "body": "{\"statusCode\":200,\"conversation_id\":\"c\",\"s3_stored\":{\"success\":true,\"s3_key\":\"conversations/v1/t=default/dt=2026-11-23/c=c/100000123-r-1.json\"},\"db_stored\":{\"success\":true,\"conversation_id\":\"c\"},\"timestamp\":\"2026-11-23T10:00:00.123000Z\",\"status\":\"stored\",\"event_id\":\"r-1\"}",
          "isBase64Encoded": false
        }
        "##);
    }

    #[test]
    fn what_is_not_kept_is_no_success() {
        let unknown = answer("{}", &kept);
        assert!(unknown.contains(r#""statusCode": 400"#), "{unknown}");
        assert!(unknown.contains("Capture.UnknownShape"), "{unknown}");
        let away = answer(EVENT, &away);
        assert!(away.contains(r#""statusCode": 503"#), "{away}");
        assert!(away.contains(r#""retry-after": "5""#), "{away}");
    }

    #[test]
    fn of_several_events_the_worst_decides() {
        let list = format!("[{EVENT},{EVENT}]");
        let foreign = |item: usize| {
            Ok(if item == 1 {
                Status::Foreign
            } else {
                Status::Stored
            })
        };
        insta::assert_snapshot!(answer(&list, &foreign), @r##"
        {
          "statusCode": 403,
          "headers": {
            "content-type": "application/json"
          },
          "body": "{\"statusCode\":403,\"events\":[{\"statusCode\":200,\"conversation_id\":\"c\",\"s3_stored\":{\"success\":true,\"s3_key\":\"conversations/v1/t=default/dt=2026-11-23/c=c/100000123-r-1_0_f1e77d961ce85f0b.json\"},\"db_stored\":{\"success\":true,\"conversation_id\":\"c\"},\"timestamp\":\"2026-11-23T10:00:00.123000Z\",\"status\":\"stored\",\"event_id\":\"r-1#0\"},{\"statusCode\":403,\"errorType\":\"Capture.Foreign\",\"errorMessage\":\"the conversation of event `r-1#1` belongs to another user, the input was put aside, key: quarantine/v1/dt=2026-11-23/http/r-1_1_c4a81049f3022662-dc5ebbe7be149236.json\"}]}",
          "isBase64Encoded": false
        }
        "##);
    }
}
