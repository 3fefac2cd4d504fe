//! What the source is answered.

use conversation::{Sanitized, Shape, Source};
use serde::Serialize;
use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::batch::Batch;
use crate::error::CaptureError;
use crate::item::{Entry, Item, Outcome};

/// As precise as the database, and as the original was.
const TIMESTAMP: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The answer to one invocation; serialises to one of four shapes.
///
/// - To a queue, the partial batch response (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"):
///   `{"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}`. What it does not list, the queue deletes.
/// - To a direct invocation with one event: `statusCode` 200, `status` (`stored` or `duplicate`), `tenant_id`,
///   `conversation_id`, `event_id`, `s3_key`, and the numbers of `messages` and `implementations`.
/// - To a direct invocation with a list of events: `statusCode` 200 and `events`, each as above.
/// - To a direct invocation with one event in the shape of the original: the original's keys (`statusCode`,
///   `conversation_id`, `s3_stored`, `db_stored`, `timestamp`), besides `status` and `event_id`. Its `timestamp` is the
///   event's time, or the time of handling for an event that has none.
///
/// The last three have `sanitized` too, with the numbers of replaced characters, if there were any to replace.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Reply(Body);

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Queue(QueueBody),
    Event(Kept<EventBody>),
    Events(Kept<EventsBody>),
    Legacy(Kept<LegacyBody>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueBody {
    batch_item_failures: Vec<FailedMessage>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedMessage {
    item_identifier: String,
}

/// What a direct sender is told if all went well; everything else is an error of the invocation.
#[derive(Debug, Serialize)]
struct Kept<T> {
    #[serde(rename = "statusCode")]
    status_code: u16,
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    sanitized: Option<Repairs>,
}

#[derive(Debug, Serialize)]
struct EventBody {
    status: &'static str,
    tenant_id: String,
    conversation_id: String,
    event_id: String,
    s3_key: String,
    messages: usize,
    implementations: usize,
}

#[derive(Debug, Serialize)]
struct EventsBody {
    events: Vec<EventBody>,
}

#[derive(Debug, Serialize)]
struct LegacyBody {
    conversation_id: String,
    s3_stored: LegacyArchived,
    db_stored: LegacyRows,
    timestamp: String,
    status: &'static str,
    event_id: String,
}

#[derive(Debug, Serialize)]
struct LegacyArchived {
    success: bool,
    s3_key: String,
}

#[derive(Debug, Serialize)]
struct LegacyRows {
    success: bool,
    conversation_id: String,
}

#[derive(Debug, Serialize)]
struct Repairs {
    nul: u32,
    surrogate: u32,
    utf8: u32,
}

impl Reply {
    /// Answers for a batch that was carried as far as it goes; `now` is the time of handling.
    ///
    /// # Errors
    /// The error that a direct invocation fails with.
    pub(crate) fn to(batch: Batch, now: OffsetDateTime) -> Result<Self, CaptureError> {
        let items = match batch.source() {
            Source::Sqs => return Ok(Self(Body::Queue(QueueBody::of(&batch)))),
            Source::Direct => batch.into_items(),
        };
        let mut repaired = Sanitized::default();
        let mut entries = Vec::new();
        // A direct invocation brings one item.
        for item in items {
            repaired = item.repaired();
            entries.extend(item.finish()?);
        }
        Ok(Self(match entries.as_slice() {
            [entry] if entry.capture.shape == Shape::Legacy => {
                Body::Legacy(Kept::new(LegacyBody::of(entry, now), repaired))
            }
            [entry] => Body::Event(Kept::new(EventBody::of(entry), repaired)),
            several => {
                let events = several.iter().map(EventBody::of).collect();
                Body::Events(Kept::new(EventsBody { events }, repaired))
            }
        }))
    }
}

impl QueueBody {
    fn of(batch: &Batch) -> Self {
        let failed = batch
            .items()
            .iter()
            .filter(|item| matches!(item.outcome(), Outcome::Failed(_)));
        let batch_item_failures = failed
            .filter_map(Item::message_id)
            .map(|id| FailedMessage {
                item_identifier: id.to_owned(),
            })
            .collect();
        Self {
            batch_item_failures,
        }
    }
}

impl<T> Kept<T> {
    fn new(body: T, repaired: Sanitized) -> Self {
        let Sanitized {
            nul,
            surrogate,
            utf8,
        } = repaired;
        let sanitized = (!repaired.is_clean()).then_some(Repairs {
            nul,
            surrogate,
            utf8,
        });
        Self {
            status_code: 200,
            body,
            sanitized,
        }
    }
}

impl EventBody {
    fn of(entry: &Entry) -> Self {
        let Entry {
            capture,
            object,
            progress,
        } = entry;
        Self {
            status: progress.as_str(),
            tenant_id: capture.tenant_id.clone(),
            conversation_id: capture.conversation_id.clone(),
            event_id: capture.event_id.clone(),
            s3_key: object.key.clone(),
            messages: capture.messages.len(),
            implementations: capture.implementations.len(),
        }
    }
}

impl LegacyBody {
    fn of(entry: &Entry, now: OffsetDateTime) -> Self {
        let Entry {
            capture,
            object,
            progress,
        } = entry;
        let timestamp = capture.occurred_at.unwrap_or(now);
        Self {
            conversation_id: capture.conversation_id.clone(),
            s3_stored: LegacyArchived {
                success: true,
                s3_key: object.key.clone(),
            },
            db_stored: LegacyRows {
                success: true,
                conversation_id: capture.conversation_id.clone(),
            },
            // It cannot fail: every component has what it needs.
            timestamp: timestamp
                .to_offset(UtcOffset::UTC)
                .format(TIMESTAMP)
                .unwrap_or_default(),
            status: progress.as_str(),
            event_id: capture.event_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{STORED, carry};
    use conversation::Layout;
    use store::Status;

    const CANONICAL: &str = r#"{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1",
        "occurred_at":"2026-11-23T10:00:00.123Z",
        "messages":[{"role":"user","parts":[{"type":"text","content":"a\u0000b"}]}]}"#;
    const LEGACY: &str =
        r#"{"conversation_id":"c-1","user_id":"u","user_input":"q","assistant_output":"a"}"#;

    fn carried(payload: &str, status: &Status) -> Batch {
        let mut batch = Batch::read(payload, "request-1", Layout::Turn).unwrap();
        carry(&mut batch, |_| STORED(), |_| Ok(status.clone()));
        batch
    }

    fn reply(payload: &str, status: &Status) -> String {
        let reply = Reply::to(carried(payload, status), OffsetDateTime::UNIX_EPOCH).unwrap();
        serde_json::to_string_pretty(&reply).unwrap()
    }

    #[track_caller]
    fn check_error(payload: &str, status: &Status, code: &str) -> String {
        let error = Reply::to(carried(payload, status), OffsetDateTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error.code(), code);
        error.message()
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
    fn a_direct_sender_is_told_what_to_do_and_nothing_that_was_said() {
        insta::assert_snapshot!(check_error(r#"{"hello":"world"}"#, &Status::Stored, "Capture.UnknownShape"), @"unknown event shape: found an object with `hello`; accepted: an object with `schema` `llm.capture/1`, with `user_input`, `assistant_output` or `implementations`, with `text` and `user`, with `schemaType` `ModelInvocationLog`, with `gen_ai.*` attributes, `resourceSpans` or `resourceLogs`, with `request` and `response` of OpenAI Chat, of OpenAI Responses, of Anthropic, of Bedrock Converse, with `memoryId`, `actorId` and `payload`, or an array of such objects");
        insta::assert_snapshot!(check_error(r#"{"user_input":"hello"#, &Status::Stored, "Capture.BadInput"), @"the event cannot be read and was put aside, key: quarantine/v1/dt=undated/direct/request-1-1e4d2e9f83ce1044.json: not JSON: line 1, column 20");
        insta::assert_snapshot!(check_error(LEGACY, &Status::Conflict, "Capture.Conflict"), @"other content was captured under event id `request-1` before, the input was put aside, key: quarantine/v1/dt=undated/direct/request-1-a4b278cd3620b595.json");
        insta::assert_snapshot!(check_error(LEGACY, &Status::Foreign, "Capture.Foreign"), @"the conversation of event `request-1` belongs to another user, the input was put aside, key: quarantine/v1/dt=undated/direct/request-1-a4b278cd3620b595.json");
    }
}
