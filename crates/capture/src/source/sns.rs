//! Messages of Amazon SNS topics: as SNS invokes the function with them, and as a queue receives them.

use conversation::{Delivery, Raw, Source};

use super::{Answer, Content, Record, Records, SourceError, read_records, string};

pub(super) const NAME: &str = "Amazon SNS";

/// What SNS invokes a function with: one record a call, whatever the list suggests.
pub(super) fn records(records: &[Raw<'_>]) -> Result<Records, SourceError> {
    let records = read_records(NAME, records, |record| {
        let message = record.get("Sns").and_then(message);
        let (body, delivery) = message.ok_or("`Sns` has no text as `Message`")?;
        Ok(Record {
            id: None,
            group: None,
            delivery,
            content: Content::Event(body.into_bytes()),
        })
    })?;
    Ok(Records {
        word: Source::Sns.as_str(),
        answer: Answer::AllOrNothing,
        all: records,
    })
}

/// What was published, and what SNS says of it.
pub(super) fn message(notification: &Raw<'_>) -> Option<(String, Delivery)> {
    let text = |key| string(notification, key);
    let delivery = Delivery::sns(text("MessageId").as_deref(), text("Timestamp").as_deref());
    Some((text("Message")?, delivery))
}

#[cfg(test)]
mod tests {
    use conversation::Source;

    use crate::source::Content;
    use crate::source::tests::{check_bad_record, records_of};

    #[test]
    fn a_message_keeps_the_id_and_the_time_of_its_publication() {
        let records = records_of(
            r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:r:0:t:s",
                "Sns":{"Type":"Notification","MessageId":"n-1","TopicArn":"arn:aws:sns:r:0:t","Subject":null,
                "Message":"{\"user_input\":\"q\"}","Timestamp":"2026-11-23T10:00:00.123Z"}}]}"#,
        );
        let [record] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!((&record.id, &record.group), (&None, &None));
        assert!(
            matches!(&record.content, Content::Event(event) if event == br#"{"user_input":"q"}"#)
        );
        assert_eq!(record.delivery.source, Source::Sns);
        assert_eq!(record.delivery.id.as_deref(), Some("n-1"));
        assert_eq!(
            record.delivery.time.unwrap().unix_timestamp_nanos(),
            1_795_428_000_123_000_000
        );
    }

    #[test]
    fn a_record_without_a_message_is_none() {
        check_bad_record(r#"{"EventSource":"aws:sns","Sns":{"MessageId":"n-1"}}"#, 0);
        check_bad_record(r#"{"EventSource":"aws:sns","Sns":"text"}"#, 0);
    }
}
