//! The sample events of `events/` end as the page beside them says.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use conversation::Shape;
use serde_json::{Value, json};
use store::Status;

use crate::batch::Batch;
use crate::batch::tests::{STORED, carry, outcomes, payload};
use crate::error::CaptureError;
use crate::intake::Intake;
use crate::item::Item;

macro_rules! check {
    ($file:literal, $outcomes:literal, messages: $messages:literal, implementations: $implementations:literal) => {
        let sent = include_str!(concat!("../../../events/", $file));
        let mut batch = Batch::read(payload(sent), "request", &Intake::default()).unwrap();
        carry(&mut batch, |_| STORED(), |_| Ok(Status::Stored));
        assert_eq!(outcomes(&batch), $outcomes, $file);
        let captures = || {
            batch
                .items()
                .iter()
                .flat_map(|item| item.entries())
                .map(|entry| &entry.capture)
        };
        assert_eq!(
            captures()
                .map(|capture| capture.messages.len())
                .sum::<usize>(),
            $messages,
            $file
        );
        assert_eq!(
            captures()
                .map(|capture| capture.implementations.len())
                .sum::<usize>(),
            $implementations,
            $file
        );
    };
}

macro_rules! refused {
    ($file:literal, $code:literal) => {
        let sent = include_str!(concat!("../../../events/", $file));
        let refused = Batch::read(payload(sent), "request", &Intake::default())
            .err()
            .expect($file);
        assert_eq!(CaptureError::from(refused).code(), $code, $file);
    };
}

macro_rules! shape {
    ($file:literal) => {
        ($file, include_str!(concat!("../../../events/", $file)))
    };
}

#[test]
fn direct_events_are_kept() {
    check!("direct-canonical.json", "kept", messages: 2, implementations: 0);
    check!("direct-full-history.json", "kept", messages: 4, implementations: 0);
    check!("direct-canonical-tools.json", "kept", messages: 4, implementations: 1);
    check!("direct-legacy.json", "kept", messages: 2, implementations: 0);
    check!("direct-legacy-implementations.json", "kept", messages: 2, implementations: 2);
    check!("direct-legacy-minimal.json", "kept", messages: 1, implementations: 0);
}

#[test]
fn exchanges_of_other_shapes_are_kept() {
    check!("direct-openai-chat.json", "kept", messages: 5, implementations: 0);
    check!("direct-openai-responses.json", "kept", messages: 4, implementations: 0);
    check!("direct-anthropic.json", "kept", messages: 4, implementations: 0);
    check!("direct-converse.json", "kept", messages: 4, implementations: 0);
    check!("direct-bedrock-log.json", "kept", messages: 2, implementations: 0);
    check!("direct-opentelemetry.json", "kept", messages: 2, implementations: 0);
    check!("direct-otlp-spans.json", "kept", messages: 6, implementations: 0);
    check!("direct-agentcore.json", "kept", messages: 2, implementations: 0);
    check!("direct-text.json", "kept", messages: 1, implementations: 0);
}

#[test]
fn a_direct_event_that_nobody_knows_is_refused() {
    check!("direct-unknown.json", "Capture.UnknownShape", messages: 0, implementations: 0);
}

#[test]
fn batches_end_message_by_message() {
    check!("sqs-batch.json", "kept kept kept", messages: 6, implementations: 0);
    check!(
        "sqs-batch-poisoned.json", "kept not_json Capture.UnknownShape kept kept", messages: 6, implementations: 0
    );
    check!("sqs-fifo.json", "kept kept kept", messages: 6, implementations: 0);
    check!(
        "sqs-fifo-poisoned.json", "kept Capture.UnknownShape kept Capture.HeldBack not_json kept",
        messages: 8, implementations: 0
    );
    refused!("sqs-refused.json", "Capture.BadRecord");
    refused!("sqs-fifo-refused.json", "Capture.BadRecord");
}

#[test]
fn streams_end_record_by_record() {
    check!("kinesis.json", "kept kept", messages: 4, implementations: 0);
    check!(
        "kinesis-poisoned.json", "kept not_json Capture.UnknownShape kept Capture.UnknownShape",
        messages: 4, implementations: 0
    );
    check!("kinesis-refused.json", "Capture.BadRecord", messages: 0, implementations: 0);
    check!("dynamodb.json", "kept kept skipped", messages: 4, implementations: 0);
    check!(
        "dynamodb-poisoned.json", "kept not_json Capture.UnknownShape kept", messages: 4, implementations: 0
    );
    check!("dynamodb-refused.json", "Capture.BadRecord", messages: 0, implementations: 0);
}

#[test]
fn logs_end_line_by_line() {
    check!("logs.json", "kept kept", messages: 4, implementations: 0);
    check!("logs-poisoned.json", "skipped kept not_json", messages: 2, implementations: 0);
    check!("logs-refused.json", "kept Capture.UnknownShape", messages: 2, implementations: 0);
    check!("logs-control.json", "skipped", messages: 0, implementations: 0);
}

#[test]
fn pipes_end_as_their_source_does() {
    check!("pipes-sqs.json", "kept Capture.UnknownShape", messages: 2, implementations: 0);
    check!(
        "pipes-kinesis.json", "Capture.UnknownShape kept Capture.UnknownShape", messages: 2, implementations: 0
    );
    check!("pipes-dynamodb.json", "kept skipped", messages: 2, implementations: 0);
    refused!("pipes-refused.json", "Capture.SourceNotAccepted");
    refused!("firehose-refused.json", "Capture.SourceNotAccepted");
}

#[test]
fn objects_are_waited_for() {
    check!("s3.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
    check!("s3-lines.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
    check!("s3-refused.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
    check!(
        "s3-sqs.json", "skipped Capture.ClaimRefused Capture.ClaimRefused skipped Capture.ClaimRefused",
        messages: 0, implementations: 0
    );
    check!("s3-eventbridge.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
    check!("body-ref.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
    check!(
        "body-ref-sqs.json", "Capture.ClaimRefused Capture.ClaimRefused Capture.ClaimRefused",
        messages: 0, implementations: 0
    );
    check!("body-ref-refused.json", "Capture.ClaimRefused", messages: 0, implementations: 0);
}

#[test]
fn requests_end_event_by_event() {
    check!("function-url.json", "kept", messages: 2, implementations: 0);
    check!("function-url-poisoned.json", "kept not_json kept", messages: 4, implementations: 0);
    check!("function-url-refused.json", "Capture.Unidentified", messages: 0, implementations: 0);
    check!("http-api.json", "kept", messages: 2, implementations: 0);
    check!("http-api-foreign.json", "kept", messages: 2, implementations: 0);
    check!("http-api-conflict.json", "kept", messages: 2, implementations: 0);
    check!("http-api-poisoned.json", "kept Capture.UnknownShape kept", messages: 4, implementations: 0);
    check!("http-api-refused.json", "not_json", messages: 0, implementations: 0);
    check!("rest-api.json", "kept", messages: 2, implementations: 0);
    check!("rest-api-poisoned.json", "kept", messages: 2, implementations: 0);
    check!("rest-api-refused.json", "Capture.BadRequest", messages: 0, implementations: 0);
}

#[test]
fn topics_and_buses_end_message_by_message() {
    check!("sns.json", "kept", messages: 2, implementations: 0);
    check!("sns-poisoned.json", "not_json", messages: 0, implementations: 0);
    check!("sns-refused.json", "Capture.UnknownShape", messages: 0, implementations: 0);
    check!("sns-sqs.json", "kept", messages: 2, implementations: 0);
    check!("sns-sqs-poisoned.json", "kept not_json kept", messages: 4, implementations: 0);
    check!(
        "sns-sqs-refused.json", "Capture.UnknownShape Capture.SourceNotAccepted", messages: 0, implementations: 0
    );
    check!("eventbridge.json", "kept", messages: 2, implementations: 0);
    check!("eventbridge-poisoned.json", "kept", messages: 2, implementations: 0);
    check!("eventbridge-refused.json", "Capture.UnknownShape", messages: 0, implementations: 0);
    check!("eventbridge-sqs.json", "kept", messages: 2, implementations: 0);
    check!("eventbridge-sqs-poisoned.json", "kept kept not_json", messages: 4, implementations: 0);
    check!("eventbridge-sqs-refused.json", "Capture.UnknownShape", messages: 0, implementations: 0);
}

/// An event of each shape, by the file with it.
const SHAPES: [(&str, &str); 11] = [
    shape!("direct-canonical.json"),
    shape!("direct-legacy.json"),
    shape!("direct-openai-chat.json"),
    shape!("direct-openai-responses.json"),
    shape!("direct-anthropic.json"),
    shape!("direct-converse.json"),
    shape!("direct-bedrock-log.json"),
    shape!("direct-opentelemetry.json"),
    shape!("direct-otlp-spans.json"),
    shape!("direct-agentcore.json"),
    shape!("direct-text.json"),
];

/// What each source makes of an event.
fn sent_by_every_source(event: &str) -> Vec<(&'static str, Value)> {
    let base64 = BASE64_STANDARD.encode(event);
    let notification = json!({"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:r:0:t", "Message": event, "Timestamp": "2026-11-23T10:00:00.000Z"});
    let detail: Value = serde_json::from_str(event).unwrap();
    let bus = json!({"version": "0", "id": "b-1", "detail-type": "Turn Captured", "source": "s", "time": "2026-11-23T10:00:00Z", "detail": detail});
    let queue = |body: &str| json!({"messageId": "m-1", "eventSource": "aws:sqs", "body": body});
    let kinesis = json!({"sequenceNumber": "1", "data": base64, "approximateArrivalTimestamp": 1_795_428_000.5});
    let image = json!({"pk": {"S": "1"}, "event": {"S": event}});
    let lines = json!({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "l-1", "timestamp": 1_795_428_000_000_i64, "message": detail.to_string()}]});
    let lines = BASE64_STANDARD.encode(crate::unpack::tests::gzip(lines.to_string().as_bytes()));
    let request = json!({
        "version": "2.0", "body": event, "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "r-1", "http": {"method": "POST"}, "authorizer": {"jwt": {"claims": {"sub": "u-1"}}}},
    });
    vec![
        ("a queue", json!({"Records": [queue(event)]})),
        (
            "a topic",
            json!({"Records": [{"EventSource": "aws:sns", "Sns": notification}]}),
        ),
        (
            "a topic and a queue",
            json!({"Records": [queue(&notification.to_string())]}),
        ),
        (
            "a bus and a queue",
            json!({"Records": [queue(&bus.to_string())]}),
        ),
        ("a bus", bus),
        (
            "a shard",
            json!({"Records": [{"eventSource": "aws:kinesis", "eventID": "s:1", "kinesis": kinesis}]}),
        ),
        (
            "a table",
            json!({"Records": [{"eventSource": "aws:dynamodb", "eventID": "e-1", "eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}]}),
        ),
        ("a pipe", json!([queue(event)])),
        ("a log", json!({"awslogs": {"data": lines}})),
        ("a request", request),
    ]
}

#[test]
fn every_shape_is_known_in_every_source() {
    for (file, event) in SHAPES {
        let direct = Batch::read(payload(event), "request", &Intake::default()).unwrap();
        let shapes = |batch: &Batch| -> Vec<Shape> {
            let entries = batch.items().iter().flat_map(Item::entries);
            entries.map(|entry| entry.capture.shape).collect()
        };
        assert!(!shapes(&direct).is_empty(), "{file}");
        for (source, sent) in sent_by_every_source(event) {
            let batch =
                Batch::read(payload(sent.to_string()), "request", &Intake::default()).unwrap();
            assert_eq!(shapes(&batch), shapes(&direct), "{file} by {source}");
        }
    }
}
