//! Amazon CloudWatch Logs: what a subscription filter lets through.
//!
//! A log group holds all sorts of lines. A line that is no JSON text is none of ours and is skipped, so that a filter may
//! be wider than it should; what begins as JSON is an event, and is kept or told of as from everywhere else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use conversation::{Delivery, Document, Raw, Source, sanitize};

use super::{Answer, Content, Record, Records, SourceError, string};
use crate::unpack::unpack;

pub(super) const NAME: &str = "Amazon CloudWatch Logs";

pub(super) fn records(payload: &Raw<'_>) -> Result<Records, SourceError> {
    let bad = |problem| SourceError::BadRecord {
        source_name: NAME,
        position: 0,
        problem,
    };
    let data = payload
        .get("awslogs")
        .and_then(|logs| string(logs, "data"))
        .and_then(|data| BASE64.decode(data).ok())
        .ok_or_else(|| bad("`awslogs.data` is not Base64"))?;
    let data = unpack(data).map_err(|_| bad("`awslogs.data` cannot be unpacked"))?;
    let clean = sanitize::clean(&data);
    let document = Document::read(&clean).map_err(|_| bad("`awslogs.data` has no JSON in it"))?;
    let root = document.root();
    let records = match string(root, "messageType").as_deref() {
        Some("CONTROL_MESSAGE") => {
            vec![nothing("CloudWatch Logs has tried whether it may deliver")]
        }
        _ => root
            .get("logEvents")
            .and_then(Raw::items)
            .ok_or_else(|| bad("`awslogs.data` has no `logEvents`"))?
            .iter()
            .map(|event| line(event).ok_or_else(|| bad("a log event has no text as `message`")))
            .collect::<Result<_, _>>()?,
    };
    Ok(Records {
        word: Source::Logs.as_str(),
        answer: Answer::AllOrNothing,
        all: records,
    })
}

fn line(event: &Raw<'_>) -> Option<Record> {
    let message = string(event, "message")?;
    let delivery = Delivery::log_event(
        string(event, "id").as_deref(),
        event.get("timestamp").map(Raw::text),
    );
    let content = if message.trim_start().starts_with(['{', '[']) {
        Content::Event(message.into_bytes())
    } else {
        Content::Nothing("a line of a log is no JSON")
    };
    Some(Record {
        id: None,
        group: None,
        delivery,
        content,
    })
}

fn nothing(why: &'static str) -> Record {
    Record {
        id: None,
        group: None,
        delivery: Delivery::log_event(None, None),
        content: Content::Nothing(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::{read, records_of};

    fn payload(data: &[u8]) -> String {
        let data = BASE64.encode(crate::unpack::tests::gzip(data));
        format!(r#"{{"awslogs":{{"data":"{data}"}}}}"#)
    }

    #[test]
    fn every_log_event_that_is_json_is_a_record() {
        let records = records_of(&payload(
            br#"{"messageType":"DATA_MESSAGE","owner":"0","logGroup":"g","logStream":"s","subscriptionFilters":["f"],
                "logEvents":[{"id":"3718","timestamp":1763892000123,"message":"{\"user_input\":\"q\"}\n"},
                {"id":"3719","timestamp":1763892000124,"message":"START RequestId: 1"}]}"#,
        ));
        let [event, line] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert!(
            matches!(&event.content, Content::Event(text) if text == b"{\"user_input\":\"q\"}\n")
        );
        assert_eq!(event.delivery.source, Source::Logs);
        assert_eq!(event.delivery.id.as_deref(), Some("3718"));
        assert_eq!(
            event.delivery.time.unwrap().unix_timestamp_nanos(),
            1_763_892_000_123_000_000
        );
        assert!(matches!(line.content, Content::Nothing(_)));
    }

    #[test]
    fn a_control_message_is_nothing_to_store() {
        let records = records_of(&payload(
            br#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: {}"}]}"#,
        ));
        assert!(matches!(records[0].content, Content::Nothing(_)));
        assert_eq!(records.len(), 1);
    }

    #[test]
    fn what_cannot_be_unpacked_is_an_error() {
        for payload in [
            r#"{"awslogs":{"data":"%"}}"#.to_owned(),
            r#"{"awslogs":{"data":"H4sI"}}"#.to_owned(),
            payload(b"no JSON"),
            payload(br#"{"messageType":"DATA_MESSAGE"}"#),
            payload(br#"{"logEvents":[{"message":7}]}"#),
        ] {
            assert!(
                matches!(read(&payload), Err(SourceError::BadRecord { .. })),
                "{payload}"
            );
        }
    }
}
