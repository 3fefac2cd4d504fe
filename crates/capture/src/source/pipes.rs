//! Batches of Amazon EventBridge Pipes: the records of its source in a bare array.

use conversation::Raw;

use super::streams::{DYNAMODB, KINESIS, ReportedBy, dynamodb_record, kinesis_record};
use super::{Answer, Records, SourceError, read_records, record_source, sqs};

const WORD: &str = "pipes";

/// Which source a pipe has brought records of, told by the first; `None` for an array of anything else.
pub(super) fn source(items: &[Raw<'_>]) -> Option<&'static str> {
    record_source(items.first()?)
}

/// A pipe wants back the ids of all that failed, also of a stream: Amazon EventBridge User Guide, "Partial batch failure".
pub(super) fn records(
    source_name: &'static str,
    records: &[Raw<'_>],
) -> Result<Records, SourceError> {
    let by_event_id = |read: fn(&Raw<'_>, ReportedBy) -> _| {
        read_records(source_name, records, |record| {
            read(record, ReportedBy::EventId)
        })
    };
    let records = match source_name {
        sqs::NAME => sqs::records(records)?.all,
        KINESIS => by_event_id(kinesis_record)?,
        DYNAMODB => by_event_id(dynamodb_record)?,
        source_name => return Err(SourceError::NotAccepted { source_name }),
    };
    Ok(Records {
        word: WORD,
        answer: Answer::EachFailed,
        all: records,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Payload;
    use crate::source::tests::read;

    #[track_caller]
    fn check(payload: &str, ids: &[&str]) {
        let Ok(Payload::Records(records)) = read(payload) else {
            panic!("{payload}");
        };
        assert_eq!(
            (records.word, records.answer),
            ("pipes", Answer::EachFailed)
        );
        let found: Vec<_> = records
            .all
            .iter()
            .map(|record| record.id.as_deref())
            .collect();
        let ids: Vec<_> = ids.iter().copied().map(Some).collect();
        assert_eq!(found, ids, "{payload}");
    }

    #[test]
    fn a_pipe_wants_the_ids_of_its_source_back() {
        check(
            r#"[{"messageId":"m-1","body":"{}","eventSource":"aws:sqs"},{"messageId":"m-2","body":"{}","eventSource":"aws:sqs"}]"#,
            &["m-1", "m-2"],
        );
        check(
            r#"[{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"49590","data":"e30=",
                "approximateArrivalTimestamp":1545084650.987,"eventSource":"aws:kinesis","eventID":"shardId-0:49590"}]"#,
            &["shardId-0:49590"],
        );
        check(
            r#"[{"eventID":"e-1","eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{"SequenceNumber":"1","NewImage":{}}}]"#,
            &["e-1"],
        );
    }

    #[test]
    fn other_sources_of_a_pipe_are_refused_by_name() {
        let kafka =
            r#"[{"eventSource":"aws:kafka","topic":"t","partition":0,"offset":1,"value":"e30="}]"#;
        let refused = SourceError::NotAccepted {
            source_name: "Apache Kafka",
        };
        assert_eq!(read(kafka).unwrap_err(), refused);
    }
}
