//! What the source is answered.

mod http;
mod kept;
mod partial;
mod summary;

use conversation::{Sanitized, Shape};
use serde::Serialize;
use time::OffsetDateTime;

use crate::batch::Batch;
use crate::error::CaptureError;
use crate::source::Answer;
use http::Response;
use kept::Kept;
use partial::PartialBatch;
use summary::Summary;

/// The answer to one invocation; serialises to what its source understands.
///
/// - To a queue, the partial batch response (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"):
///   `{"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}`. What it does not list, the queue deletes.
/// - To a stream, the same response with the sequence number of the first record that failed. The stream delivers again
///   from there on.
/// - To a topic, a bus or a log, which read nothing, numbers: `received`, `stored`, `duplicate`, `put_aside` and `skipped`, and
///   with `DURABILITY=s3` `archived`.
/// - To an HTTP request, a response. Its status is 200, or 4xx for what the sender must correct, or 503 for what may be
///   sent again as it is; its body is what a direct sender would be told. A list of events has the status of the one that fared
///   worst, and in `events` what became of each.
/// - To a direct invocation with one event: `statusCode` 200, `status` (`stored` or `duplicate`, or with `DURABILITY=s3`
///   `archived`), `tenant_id`, `conversation_id`, `event_id`, `s3_key`, and the numbers of `messages` and `implementations`.
/// - To a direct invocation with a list of events: `statusCode` 200 and `events`, each as above.
/// - To a direct invocation with one event in the shape of the original: the original's keys (`statusCode`,
///   `conversation_id`, `s3_stored`, `db_stored`, `timestamp`), besides `status` and `event_id`. Its `timestamp` is the
///   event's time, or the time of handling for an event that has none.
/// - To a direct invocation with one text of a user, the keys of the function before the original: `conversation_id`,
///   `timestamp`, `s3_key` and `message`, besides `status` and `event_id`; if the text came in `body`, as the `body` of a
///   response.
///
/// The last four have `sanitized` too, with the numbers of replaced characters, if there were any to replace, and
/// `redactions` with the number of places in which something was taken out.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Reply(Body);

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    PartialBatch(PartialBatch),
    Summary(Summary),
    Response(Response),
    Kept(Kept),
}

impl Reply {
    /// Answers for a batch that was carried as far as it goes; `now` is the time of handling.
    ///
    /// # Errors
    /// The error that an invocation fails with whose source understands nothing else.
    pub(crate) fn to(batch: Batch, now: OffsetDateTime) -> Result<Self, CaptureError> {
        Ok(Self(match batch.answer() {
            Answer::EachFailed => Body::PartialBatch(PartialBatch::each(&batch)),
            Answer::FirstFailed => Body::PartialBatch(PartialBatch::first(&batch)),
            Answer::Request => Body::responding(Response::of(batch.into_items(), now))?,
            Answer::AllOrNothing => Body::Summary(Summary::of(batch.into_items())?),
            Answer::Event => {
                let mut repaired = Sanitized::default();
                let mut entries = Vec::new();
                // A direct invocation brings one item.
                for item in batch.into_items() {
                    repaired = item.repaired();
                    entries.extend(item.finish()?);
                }
                let kept = Kept::of(&entries, repaired, now);
                match entries.as_slice() {
                    [entry] if entry.capture.shape == Shape::TextInBody => {
                        Body::responding(Response::of_kept(&kept))?
                    }
                    _ => Body::Kept(kept),
                }
            }
        }))
    }
}

impl Body {
    fn responding(response: serde_json::Result<Response>) -> Result<Self, CaptureError> {
        response
            .map(Self::Response)
            .map_err(|_| CaptureError::Unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{STORED, carry, payload};
    use crate::intake::Intake;
    use store::Status;

    const CANONICAL: &str = r#"{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1",
        "occurred_at":"2026-11-23T10:00:00.123Z",
        "messages":[{"role":"user","parts":[{"type":"text","content":"a\u0000b"}]}]}"#;
    const LEGACY: &str =
        r#"{"conversation_id":"c-1","user_id":"u","user_input":"q","assistant_output":"a"}"#;

    fn carried(sent: &str, status: &Status) -> Batch {
        let mut batch = Batch::read(payload(sent), "request-1", &Intake::default()).unwrap();
        carry(&mut batch, |_| STORED(), |_| Ok(status.clone()));
        batch
    }

    fn deferred(sent: &str) -> String {
        let mut batch = Batch::read(payload(sent), "request-1", &Intake::default()).unwrap();
        let objects = batch.to_archive().into_iter();
        let puts: Vec<_> = objects.map(|(position, _)| (position, STORED())).collect();
        batch.archived(puts);
        batch.defer();
        let reply = Reply::to(batch, OffsetDateTime::UNIX_EPOCH).unwrap();
        serde_json::to_string_pretty(&reply).unwrap()
    }

    fn reply(payload: &str, status: &Status) -> String {
        let reply = Reply::to(carried(payload, status), OffsetDateTime::UNIX_EPOCH).unwrap();
        serde_json::to_string_pretty(&reply).unwrap()
    }

    #[track_caller]
    fn check_error(payload: &str, status: &Status, code: &str) -> String {
        check_error_of(carried(payload, status), code)
    }

    #[track_caller]
    fn check_error_of(batch: Batch, code: &str) -> String {
        let error = Reply::to(batch, OffsetDateTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.code(), code);
        error.message()
    }

    /// An event that refers to an object with this in it.
    fn referring(object: &str) -> Batch {
        let intake = Intake {
            claim_check_buckets: vec!["uploads".to_owned()],
            ..Intake::default()
        };
        let event = payload(r#"{"body_ref":{"bucket":"uploads","key":"k"}}"#);
        let mut batch = Batch::read(event, "request-1", &intake).unwrap();
        batch.fetched(vec![(0, Ok(object.into()))], &intake);
        carry(&mut batch, |_| STORED(), |_| Ok(Status::Stored));
        batch
    }

    #[test]
    fn one_event_is_answered_with_where_it_lies() {
        insta::assert_snapshot!(reply(CANONICAL, &Status::Stored), @r#"
        {
          "statusCode": 200,
          "status": "stored",
          "tenant_id": "default",
          "conversation_id": "c-1",
          "event_id": "e-1",
          "s3_key": "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e-1.json",
          "messages": 1,
          "implementations": 0,
          "sanitized": {
            "nul": 1,
            "surrogate": 0,
            "utf8": 0
          }
        }
        "#);
    }

    #[test]
    fn a_repeated_event_is_a_success() {
        insta::assert_snapshot!(reply(CANONICAL, &Status::Duplicate), @r#"
        {
          "statusCode": 200,
          "status": "duplicate",
          "tenant_id": "default",
          "conversation_id": "c-1",
          "event_id": "e-1",
          "s3_key": "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e-1.json",
          "messages": 1,
          "implementations": 0,
          "sanitized": {
            "nul": 1,
            "surrogate": 0,
            "utf8": 0
          }
        }
        "#);
    }

    #[test]
    fn several_events_are_answered_in_their_order() {
        insta::assert_snapshot!(reply(&format!("[{CANONICAL},{LEGACY}]"), &Status::Stored), @r#"
        {
          "statusCode": 200,
          "events": [
            {
              "status": "stored",
              "tenant_id": "default",
              "conversation_id": "c-1",
              "event_id": "e-1",
              "s3_key": "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e-1.json",
              "messages": 1,
              "implementations": 0
            },
            {
              "status": "stored",
              "tenant_id": "default",
              "conversation_id": "c-1",
              "event_id": "request-1#1",
              "s3_key": "conversations/v1/t=default/dt=undated/c=c-1/request-1_1_92a93b90b702d6db.json",
              "messages": 2,
              "implementations": 0
            }
          ],
          "sanitized": {
            "nul": 1,
            "surrogate": 0,
            "utf8": 0
          }
        }
        "#);
    }

    #[test]
    fn callers_of_the_original_find_its_keys() {
        insta::assert_snapshot!(reply(LEGACY, &Status::Stored), @r#"
        {
          "statusCode": 200,
          "conversation_id": "c-1",
          "s3_stored": {
            "success": true,
            "s3_key": "conversations/v1/t=default/dt=undated/c=c-1/request-1.json"
          },
          "db_stored": {
            "success": true,
            "conversation_id": "c-1"
          },
          "timestamp": "1970-01-01T00:00:00.000000Z",
          "status": "stored",
          "event_id": "request-1"
        }
        "#);
    }

    #[test]
    fn callers_of_the_first_function_find_its_keys() {
        let text = r#"{"user":"u-1","text":"q"}"#;
        insta::assert_snapshot!(reply(text, &Status::Stored), @r#"
        {
          "statusCode": 200,
          "conversation_id": "c-19f1064b619d49d35392eac7261cd726",
          "timestamp": "1970-01-01T00:00:00.000000Z",
          "s3_key": "conversations/v1/t=default/dt=undated/c=c-19f1064b619d49d35392eac7261cd726/request-1.json",
          "message": "conversation captured",
          "status": "stored",
          "event_id": "request-1"
        }
        "#);
        let in_body = serde_json::json!({"body": text}).to_string();
        insta::assert_snapshot!(reply(&in_body, &Status::Stored), @r##"
        {
          "statusCode": 200,
          "headers": {
            "content-type": "application/json"
          },
          "body": "{\"statusCode\":200,\"conversation_id\":\"c-19f1064b619d49d35392eac7261cd726\",\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"s3_key\":\"conversations/v1/t=default/dt=undated/c=c-19f1064b619d49d35392eac7261cd726/request-1.json\",\"message\":\"conversation captured\",\"status\":\"stored\",\"event_id\":\"request-1\"}",
          "isBase64Encoded": false
        }
        "##);
    }

    #[test]
    fn who_waits_for_rows_is_told_that_they_come_later() {
        insta::assert_snapshot!(deferred(LEGACY), @r#"
        {
          "statusCode": 200,
          "conversation_id": "c-1",
          "s3_stored": {
            "success": true,
            "s3_key": "conversations/v1/t=default/dt=undated/c=c-1/request-1.json"
          },
          "db_stored": {
            "success": false,
            "deferred": true
          },
          "timestamp": "1970-01-01T00:00:00.000000Z",
          "status": "archived",
          "event_id": "request-1"
        }
        "#);
        let event = deferred(CANONICAL);
        assert!(event.contains(r#""status": "archived""#), "{event}");
        let topic = serde_json::json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "n-1", "Message": LEGACY}}]});
        let topic = deferred(&topic.to_string());
        assert!(topic.contains(r#""archived": 1"#), "{topic}");
    }

    #[test]
    fn a_queue_is_told_what_to_deliver_again() {
        let payload = r#"{"Records":[
            {"messageId":"m-1","eventSource":"aws:sqs","body":"{\"user_input\":\"q\"}"},
            {"messageId":"m-2","eventSource":"aws:sqs","body":"{\"hello\":\"world\"}"},
            {"messageId":"m-3","eventSource":"aws:sqs","body":"no JSON"}]}"#;
        insta::assert_snapshot!(reply(payload, &Status::Stored), @r#"
        {
          "batchItemFailures": [
            {
              "itemIdentifier": "m-2"
            }
          ]
        }
        "#);
        let all_good = r#"{"Records":[{"messageId":"m-1","eventSource":"aws:sqs","body":"{\"user_input\":\"q\"}"}]}"#;
        insta::assert_snapshot!(reply(all_good, &Status::Foreign), @r#"
        {
          "batchItemFailures": []
        }
        "#);
    }

    #[test]
    fn a_stream_is_told_where_to_begin_again() {
        let record = |number: usize, data: &str| serde_json::json!({"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": number.to_string(), "data": data}});
        let good = "eyJ1c2VyX2lucHV0IjoicSJ9";
        let records = [
            record(1, good),
            record(2, "e30="),
            record(3, good),
            record(4, "e30="),
        ];
        let payload = serde_json::json!({"Records": records}).to_string();
        let batch = carried(&payload, &Status::Stored);
        assert_eq!(
            crate::batch::tests::outcomes(&batch),
            "kept Capture.UnknownShape kept Capture.UnknownShape",
            "what comes after a failure is kept at once: the stream may forget it together with that"
        );
        insta::assert_snapshot!(reply(&payload, &Status::Stored), @r#"
        {
          "batchItemFailures": [
            {
              "itemIdentifier": "2"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_topic_is_told_nothing_but_whether_to_deliver_again() {
        let payload = |message: &str| {
            serde_json::json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "n-1", "Message": message}}]})
                .to_string()
        };
        insta::assert_snapshot!(reply(&payload(LEGACY), &Status::Stored), @r#"
        {
          "statusCode": 200,
          "received": 1,
          "stored": 1,
          "duplicate": 0,
          "put_aside": 0,
          "skipped": 0
        }
        "#);
        insta::assert_snapshot!(reply(&payload("no JSON"), &Status::Stored), @r#"
        {
          "statusCode": 200,
          "received": 1,
          "stored": 0,
          "duplicate": 0,
          "put_aside": 1,
          "skipped": 0
        }
        "#);
        check_error(
            &payload(r#"{"hello":"world"}"#),
            &Status::Stored,
            "Capture.UnknownShape",
        );
    }

    #[test]
    fn a_direct_sender_is_told_what_to_do_and_nothing_that_was_said() {
        insta::assert_snapshot!(check_error(r#"{"hello":"world"}"#, &Status::Stored, "Capture.UnknownShape"), @"unknown event shape: found an object with `hello`; accepted: an object with `schema` `llm.capture/1`, with `user_input`, `assistant_output` or `implementations`, with `text` and `user`, with `schemaType` `ModelInvocationLog`, with `gen_ai.*` attributes, `resourceSpans` or `resourceLogs`, with `request` and `response` of OpenAI Chat, of OpenAI Responses, of Anthropic, of Bedrock Converse, with `memoryId`, `actorId` and `payload`, or an array of such objects");
        insta::assert_snapshot!(check_error_of(referring(r#"{"user_input":"hello"#), "Capture.BadInput"), @"the event cannot be read and was put aside, key: quarantine/v1/dt=undated/direct/request-1-1e4d2e9f83ce1044.json: not JSON: line 1, column 20");
        insta::assert_snapshot!(check_error(LEGACY, &Status::Conflict, "Capture.Conflict"), @"other content was captured under event id `request-1` before, the input was put aside, key: quarantine/v1/dt=undated/direct/request-1-a4b278cd3620b595.json");
        insta::assert_snapshot!(check_error(LEGACY, &Status::Foreign, "Capture.Foreign"), @"the conversation of event `request-1` belongs to another user, the input was put aside, key: quarantine/v1/dt=undated/direct/request-1-a4b278cd3620b595.json");
    }
}
