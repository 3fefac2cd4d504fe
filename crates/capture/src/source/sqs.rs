//! Batches of Amazon SQS messages (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").

use std::collections::BTreeSet;

use conversation::{Delivery, Raw, Source};

use super::{Answer, Content, Record, Records, SourceError, read_records, string};

pub(super) const NAME: &str = "Amazon SQS";

pub(super) fn records(records: &[Raw<'_>]) -> Result<Records, SourceError> {
    let mut ids = BTreeSet::new();
    let records = read_records(NAME, records, |record| {
        let (id, record) = message(record)
            .ok_or("`messageId`, `body` and `attributes` are not the texts that SQS sends")?;
        // An empty or unknown identifier in the reply would make the whole batch fail, a repeated one would hide an item.
        if id.is_empty() || !ids.insert(id) {
            return Err("its `messageId` is empty or repeated");
        }
        Ok(record)
    })?;
    Ok(Records {
        word: Source::Sqs.as_str(),
        answer: Answer::EachFailed,
        all: records,
    })
}

/// Reads one message; `None` if something in it is not of the type that SQS sends.
fn message(record: &Raw<'_>) -> Option<(String, Record)> {
    let id = string(record, "messageId")?;
    let body = string(record, "body")?;
    let attributes = match record.get("attributes") {
        None => Vec::new(),
        Some(attributes) => attributes
            .entries()?
            .iter()
            .map(|(name, value)| Some((name.as_ref(), value.string()?)))
            .collect::<Option<_>>()?,
    };
    let attribute = |name: &str| {
        let found = attributes.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    };
    // Only the name tells a FIFO queue: it must end so. A standard queue has groups too (fair queues), but promises no
    // order in them.
    let ordered = match record.get("eventSourceARN") {
        None => false,
        Some(arn) => arn
            .string()?
            .rsplit_once('.')
            .is_some_and(|(_, suffix)| suffix == "fifo"),
    };
    let group = attribute("MessageGroupId").filter(|_| ordered);
    let record = Record {
        delivery: Delivery::sqs(&id, attribute, &body),
        group: group.map(str::to_owned),
        id: Some(id.clone()),
        content: Content::Event(body.into_bytes()),
    };
    Some((id, record))
}

#[cfg(test)]
mod tests {
    use crate::source::Content;
    use crate::source::tests::{check_bad_record, records_of};

    #[test]
    fn a_message_keeps_its_id_its_body_and_the_time_it_was_sent() {
        let records = records_of(
            r#"{"Records":[{"messageId":"m-1","receiptHandle":"h","body":"{\"user_input\":\"q\"}",
                "attributes":{"SentTimestamp":"1763892000123","MessageGroupId":"g"},
                "messageAttributes":{},"md5OfBody":"x","eventSource":"aws:sqs",
                "eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:events","awsRegion":"us-east-1"}]}"#,
        );
        let [record] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!(record.id.as_deref(), Some("m-1"));
        assert!(
            matches!(&record.content, Content::Event(event) if event == br#"{"user_input":"q"}"#)
        );
        assert_eq!(record.delivery.id.as_deref(), Some("m-1"));
        assert_eq!(
            record.delivery.time.unwrap().unix_timestamp_nanos(),
            1_763_892_000_123_000_000
        );
        // A standard queue's groups are for fairness and promise no order.
        assert_eq!(record.group, None);
    }

    #[test]
    fn groups_of_a_fifo_queue_are_in_order() {
        let records = records_of(
            r#"{"Records":[{"messageId":"m-1","body":"","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:0:events.fifo",
                "attributes":{"MessageGroupId":"g","MessageDeduplicationId":"d"}}]}"#,
        );
        let [record] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!(record.group.as_deref(), Some("g"));
        assert_eq!(record.delivery.id.as_deref(), Some("d"));
    }

    #[test]
    fn a_record_that_cannot_be_answered_for_refuses_the_batch() {
        let good = r#"{"messageId":"m","eventSource":"aws:sqs","body":"{}"}"#;
        let check = |second: &str| check_bad_record(&format!("{good},{second}"), 1);
        check(good);
        check(r#"{"messageId":"","eventSource":"aws:sqs","body":"{}"}"#);
        check(r#"{"messageId":"n","eventSource":"aws:sqs","body":{}}"#);
        check(r#"{"messageId":"n","eventSource":"aws:s3","body":"{}"}"#);
        check("7");
        check_bad_record(r#"{"eventSource":"aws:sqs","body":"{}"}"#, 0);
    }
}
