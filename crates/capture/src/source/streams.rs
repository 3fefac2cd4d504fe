//! Records of Amazon Kinesis Data Streams and of Amazon DynamoDB Streams.
//!
//! Lambda and EventBridge Pipes send the same records, but for Kinesis, whose record Pipes does not wrap, and for the id that
//! each wants back: Lambda the sequence number, Pipes the event's id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use conversation::{Delivery, Raw, Source};

use super::{Answer, Content, Record, Records, SourceError, dynamodb, read_records, string};

pub(super) const KINESIS: &str = "Amazon Kinesis Data Streams";
pub(super) const DYNAMODB: &str = "Amazon DynamoDB Streams";

/// What Amazon's Kinesis Producer Library puts before a record into which it has packed several.
const AGGREGATED: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// Which id a failure is reported by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportedBy {
    SequenceNumber,
    EventId,
}

/// What Lambda reads from a shard of a Kinesis stream.
pub(super) fn kinesis(records: &[Raw<'_>]) -> Result<Records, SourceError> {
    let read = |record: &Raw<'_>| kinesis_record(record, ReportedBy::SequenceNumber);
    Ok(Records {
        word: Source::Kinesis.as_str(),
        answer: Answer::FirstFailed,
        all: read_records(KINESIS, records, read)?,
    })
}

/// What Lambda reads from a shard of a DynamoDB stream.
pub(super) fn dynamodb(records: &[Raw<'_>]) -> Result<Records, SourceError> {
    let read = |record: &Raw<'_>| dynamodb_record(record, ReportedBy::SequenceNumber);
    Ok(Records {
        word: Source::DynamoDb.as_str(),
        answer: Answer::FirstFailed,
        all: read_records(DYNAMODB, records, read)?,
    })
}

/// Reads one record: its data is the event, in Base64.
pub(super) fn kinesis_record(
    record: &Raw<'_>,
    reported_by: ReportedBy,
) -> Result<Record, &'static str> {
    let event_id = string(record, "eventID");
    let kinesis = record.get("kinesis").unwrap_or(record);
    let id = match reported_by {
        ReportedBy::SequenceNumber => string(kinesis, "sequenceNumber"),
        ReportedBy::EventId => event_id.clone(),
    };
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or("it has no sequence number or no `eventID` to report it by")?;
    let arrival = kinesis.get("approximateArrivalTimestamp").map(Raw::text);
    let data = string(kinesis, "data").and_then(|data| BASE64.decode(data).ok());
    let content = match data {
        None => Content::Unreadable("its `data` is not Base64"),
        Some(data) if data.starts_with(&AGGREGATED) => Content::Unreadable(
            "the Kinesis Producer Library has packed several into it: switch its aggregation off",
        ),
        Some(data) => Content::Event(data),
    };
    Ok(Record {
        delivery: Delivery::stream(Source::Kinesis, event_id.as_deref().or(Some(&id)), arrival),
        id: Some(id),
        group: None,
        content,
    })
}

/// Reads one record: the new image is the event, or has it under `event`.
///
/// A record without one tells of a deletion, by a person or by the table's time to live: what was captured stays.
pub(super) fn dynamodb_record(
    record: &Raw<'_>,
    reported_by: ReportedBy,
) -> Result<Record, &'static str> {
    let event_id = string(record, "eventID");
    let change = record.get("dynamodb").ok_or("it has no `dynamodb`")?;
    let id = match reported_by {
        ReportedBy::SequenceNumber => string(change, "SequenceNumber"),
        ReportedBy::EventId => event_id.clone(),
    };
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or("it has no sequence number or no `eventID` to report it by")?;
    let content = match change.get("NewImage") {
        _ if string(record, "eventName").as_deref() == Some("REMOVE") => {
            Content::Nothing("an item was deleted")
        }
        None => Content::Unreadable(
            "it has no `NewImage`: let the stream's view type be `NEW_IMAGE` or `NEW_AND_OLD_IMAGES`",
        ),
        Some(image) => match dynamodb::event(image) {
            Some(event) => Content::Event(event.into_bytes()),
            None => Content::Unreadable("its `NewImage` is not an item of a table"),
        },
    };
    let created = change.get("ApproximateCreationDateTime").map(Raw::text);
    Ok(Record {
        delivery: Delivery::stream(Source::DynamoDb, event_id.as_deref().or(Some(&id)), created),
        id: Some(id),
        group: None,
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::{check_bad_record, records_of};

    fn one(record: &str) -> Record {
        let mut records = records_of(&format!(r#"{{"Records":[{record}]}}"#));
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    #[track_caller]
    fn check_unreadable(record: &str, part: &str) {
        match one(record).content {
            Content::Unreadable(problem) => assert!(problem.contains(part), "{problem}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_kinesis_record_has_the_event_in_base64() {
        let record = one(
            r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"c","sequenceNumber":"49590","data":"eyJ1c2VyX2lucHV0IjoicSJ9",
                "approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0",
                "eventID":"shardId-000000000006:49590","eventName":"aws:kinesis:record","awsRegion":"us-east-1"}"#,
        );
        assert_eq!(record.id.as_deref(), Some("49590"));
        assert!(
            matches!(&record.content, Content::Event(event) if event == br#"{"user_input":"q"}"#)
        );
        assert_eq!(record.delivery.source, Source::Kinesis);
        assert_eq!(
            record.delivery.id.as_deref(),
            Some("shardId-000000000006:49590")
        );
        assert_eq!(
            record.delivery.time.unwrap().unix_timestamp_nanos(),
            1_545_084_650_987_000_000
        );
    }

    #[test]
    fn what_is_in_a_kinesis_record_may_be_no_event() {
        let record = |data: &str| {
            format!(
                r#"{{"eventSource":"aws:kinesis","kinesis":{{"sequenceNumber":"1","data":{data}}}}}"#
            )
        };
        check_unreadable(&record("7"), "Base64");
        check_unreadable(&record("\"%\""), "Base64");
        check_unreadable(&record("\"84mawgoA\""), "aggregation");
    }

    #[test]
    fn the_new_image_is_the_event() {
        let record = one(
            r#"{"eventID":"e-1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",
                "dynamodb":{"ApproximateCreationDateTime":1545084650,"Keys":{"pk":{"S":"c"}},"SequenceNumber":"222","SizeBytes":59,
                "OldImage":{"user_input":{"S":"p"}},"NewImage":{"user_input":{"S":"q"}},"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#,
        );
        assert_eq!(record.id.as_deref(), Some("222"));
        assert!(
            matches!(&record.content, Content::Event(event) if event == br#"{"user_input":"q"}"#)
        );
        assert_eq!(record.delivery.source, Source::DynamoDb);
        assert_eq!(record.delivery.id.as_deref(), Some("e-1"));
        assert_eq!(
            record.delivery.time.unwrap().unix_timestamp(),
            1_545_084_650
        );
    }

    #[test]
    fn a_deletion_is_no_event_and_keys_alone_are_not_enough() {
        let record = |name: &str, images: &str| {
            format!(
                r#"{{"eventSource":"aws:dynamodb","eventName":"{name}","dynamodb":{{"SequenceNumber":"1","Keys":{{}}{images}}}}}"#
            )
        };
        assert!(matches!(
            one(&record("REMOVE", r#","OldImage":{}"#)).content,
            Content::Nothing(_)
        ));
        check_unreadable(&record("INSERT", ""), "view type");
        check_unreadable(&record("INSERT", r#","NewImage":{"a":1}"#), "item");
    }

    #[test]
    fn a_record_that_cannot_be_answered_for_refuses_the_batch() {
        check_bad_record(
            r#"{"eventSource":"aws:kinesis","kinesis":{"data":"e30="}}"#,
            0,
        );
        check_bad_record(
            r#"{"eventSource":"aws:dynamodb","eventID":"e-1","dynamodb":{"SequenceNumber":""}}"#,
            0,
        );
        check_bad_record(r#"{"eventSource":"aws:dynamodb","eventID":"e-1"}"#, 0);
    }
}
