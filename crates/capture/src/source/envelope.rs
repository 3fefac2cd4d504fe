//! What stands in a record: the event, or what another source has wrapped round it on its way.
//!
//! A topic may feed a queue, a bus may feed a topic. An envelope names what was published, so its id and time count, and
//! those of the outer one do not.

use conversation::{Delivery, Raw};

use super::s3::{self, Notice};
use super::{Origin, SourceError, sns, string};

/// How many envelopes are opened, one in the other.
pub(crate) const LAYERS: usize = 4;

/// What an envelope has in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    /// The event, or one more envelope, and what the envelope says of it.
    Body(String, Delivery),
    /// What S3 tells of its objects.
    Notices(Vec<Notice>),
}

/// Opens an envelope; `None` for what is the event itself.
pub(crate) fn open(event: &Raw<'_>) -> Result<Option<Inner>, SourceError> {
    let refused = |source_name| Err(SourceError::NotAccepted { source_name });
    let Some(origin) = Origin::of(event) else {
        return Ok(None);
    };
    let bad = |problem| SourceError::BadRecord {
        source_name: s3::NAME,
        position: 0,
        problem,
    };
    let inner = match origin {
        Origin::Notification => sns::message(event),
        Origin::S3(records) => {
            let notices = records.iter().map(s3::notice).collect::<Option<_>>();
            let notices = notices.ok_or_else(|| bad("it names no object"))?;
            return Ok(Some(Inner::Notices(notices)));
        }
        Origin::S3Test => {
            let tried = Notice::Other("S3 has tried whether it may notify");
            return Ok(Some(Inner::Notices(vec![tried])));
        }
        Origin::EventBridge => {
            if let Some(notice) = s3::notice_of_bus(event) {
                return Ok(Some(Inner::Notices(vec![notice])));
            }
            event.get("detail").map(|detail| {
                let text = |key| string(event, key);
                let (id, time) = (text("id"), text("time"));
                let delivery = Delivery::event_bridge(id.as_deref(), time.as_deref());
                (detail.text().to_owned(), delivery)
            })
        }
        Origin::Sqs(_)
        | Origin::Sns(_)
        | Origin::Kinesis(_)
        | Origin::DynamoDb(_)
        | Origin::Logs
        | Origin::Http
        | Origin::Pipes(..) => return refused("a source that has invoked another function before"),
        Origin::Other(source_name) => return refused(source_name),
    };
    match inner {
        Some((body, delivery)) => Ok(Some(Inner::Body(body, delivery))),
        None => refused("Amazon SNS without a text as its message"),
    }
}

/// The refusal of what is wrapped more often than [`LAYERS`].
pub(crate) fn too_many() -> SourceError {
    SourceError::NotAccepted {
        source_name: "more than four sources that have wrapped one another",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(event: &str) -> (String, Delivery) {
        match open(&Raw::read(event).unwrap()) {
            Ok(Some(Inner::Body(body, delivery))) => (body, delivery),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_notification_in_a_queue_has_the_message_in_it() {
        let (body, delivery) = opened(
            r#"{"Type":"Notification","MessageId":"n-1","TopicArn":"arn:aws:sns:r:0:t","Message":"{\"user_input\":\"q\"}",
                "Timestamp":"2026-11-23T10:00:00.123Z","SignatureVersion":"1"}"#,
        );
        assert_eq!(body, r#"{"user_input":"q"}"#);
        assert_eq!(
            delivery,
            Delivery::sns(Some("n-1"), Some("2026-11-23T10:00:00.123Z"))
        );
    }

    #[test]
    fn an_event_of_a_bus_has_the_detail_in_it() {
        let (body, delivery) = opened(
            r#"{"version":"0","id":"b-1","detail-type":"turn","source":"app","account":"0","time":"2026-11-23T10:00:00Z",
                "region":"us-east-1","resources":[],"detail":{ "user_input": "q" }}"#,
        );
        assert_eq!(body, r#"{ "user_input": "q" }"#);
        assert_eq!(
            delivery,
            Delivery::event_bridge(Some("b-1"), Some("2026-11-23T10:00:00Z"))
        );
    }

    #[test]
    fn a_test_of_s3_is_nothing_and_a_record_without_an_object_is_bad() {
        let test =
            Raw::read(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#).unwrap();
        assert!(matches!(open(&test), Ok(Some(Inner::Notices(notices))) if notices.len() == 1));
        let bad = Raw::read(r#"{"Records":[{"eventSource":"aws:s3","s3":{}}]}"#).unwrap();
        assert!(matches!(open(&bad), Err(SourceError::BadRecord { .. })));
    }

    #[test]
    fn a_notification_that_says_no_text_is_refused() {
        let event = Raw::read(r#"{"Type":"Notification","Message":{"user_input":"q"}}"#).unwrap();
        assert!(matches!(open(&event), Err(SourceError::NotAccepted { .. })));
    }
}
