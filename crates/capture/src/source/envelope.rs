//! What stands in a record: the event, or what another source has wrapped round it on its way.
//!
//! A topic may feed a queue, a bus may feed a topic. An envelope names what was published, so its id and time count, and
//! those of the outer one do not.

use conversation::{Delivery, Raw};

use super::{Origin, SourceError, sns, string};

/// How many envelopes are opened, one in the other.
pub(crate) const LAYERS: usize = 4;

/// What an envelope has in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    /// The event, or one more envelope.
    pub(crate) body: String,
    /// What the envelope says of it.
    pub(crate) delivery: Delivery,
}

/// Opens an envelope; `None` for what is the event itself.
pub(crate) fn open(event: &Raw<'_>) -> Result<Option<Inner>, SourceError> {
    let refused = |source_name| Err(SourceError::NotAccepted { source_name });
    let Some(origin) = Origin::of(event) else {
        return Ok(None);
    };
    let inner = match origin {
        Origin::Notification => sns::message(event),
        Origin::EventBridge => event.get("detail").map(|detail| {
            let text = |key| string(event, key);
            let delivery = Delivery::event_bridge(text("id").as_deref(), text("time").as_deref());
            (detail.text().to_owned(), delivery)
        }),
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
        Some((body, delivery)) => Ok(Some(Inner { body, delivery })),
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

    fn opened(event: &str) -> Inner {
        open(&Raw::read(event).unwrap())
            .unwrap()
            .expect("an envelope")
    }

    #[test]
    fn a_notification_in_a_queue_has_the_message_in_it() {
        let inner = opened(
            r#"{"Type":"Notification","MessageId":"n-1","TopicArn":"arn:aws:sns:r:0:t","Message":"{\"user_input\":\"q\"}",
                "Timestamp":"2026-11-23T10:00:00.123Z","SignatureVersion":"1"}"#,
        );
        assert_eq!(inner.body, r#"{"user_input":"q"}"#);
        assert_eq!(
            inner.delivery,
            Delivery::sns(Some("n-1"), Some("2026-11-23T10:00:00.123Z"))
        );
    }

    #[test]
    fn an_event_of_a_bus_has_the_detail_in_it() {
        let inner = opened(
            r#"{"version":"0","id":"b-1","detail-type":"turn","source":"app","account":"0","time":"2026-11-23T10:00:00Z",
                "region":"us-east-1","resources":[],"detail":{ "user_input": "q" }}"#,
        );
        assert_eq!(inner.body, r#"{ "user_input": "q" }"#);
        assert_eq!(
            inner.delivery,
            Delivery::event_bridge(Some("b-1"), Some("2026-11-23T10:00:00Z"))
        );
    }

    #[test]
    fn a_notification_that_says_no_text_is_refused() {
        let event = Raw::read(r#"{"Type":"Notification","Message":{"user_input":"q"}}"#).unwrap();
        assert!(matches!(open(&event), Err(SourceError::NotAccepted { .. })));
    }
}
