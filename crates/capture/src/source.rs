//! Where an invocation's events come from, told by the outermost shape of its payload alone.
//!
//! Nothing is guessed: what looks like an event of an AWS source that this version does not unwrap is refused by name.
//! The original stored such a payload as an empty conversation and let the queue delete the real message.

use std::collections::BTreeSet;
use std::fmt;

use conversation::{Delivery, Raw};

/// What [`SourceError`] says is accepted.
const ACCEPTED: &str = "direct invocation and Amazon SQS with the event itself as message body";

/// The payload of one invocation, unwrapped from its source.
#[derive(Debug)]
pub(crate) enum Payload {
    /// The payload is the event itself.
    Direct,
    /// The payload is a batch of SQS messages, in the order of the batch.
    Sqs(Vec<Message>),
}

/// One SQS message.
pub(crate) struct Message {
    /// Its `messageId`, by which a failure is reported.
    pub(crate) id: String,
    /// Its `MessageGroupId`, if order counts within it: on a FIFO queue. A standard queue has groups too (fair queues), but
    /// promises no order in them.
    pub(crate) group: Option<String>,
    /// What the queue knows about it.
    pub(crate) delivery: Delivery,
    /// The event as it was sent.
    pub(crate) body: String,
}

/// Shows ids and the size, never the body.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("id", &self.id)
            .field("group", &self.group)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The payload is not what this version unwraps; nothing of it was stored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The payload is an event of a source that is recognised, but not unwrapped: change the event source.
    #[error("events of {source_name} are not accepted in this version, accepted: {ACCEPTED}")]
    NotAccepted {
        /// What it was recognised as.
        source_name: &'static str,
    },
    /// The payload calls itself an SQS batch and cannot be answered as one: send what SQS sends.
    #[error("record {position} of the SQS batch is not a message: {problem}")]
    BadRecord {
        /// Position in `Records`, from 0.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Tells what the payload of an invocation is.
pub(crate) fn unwrap(payload: &Raw<'_>) -> Result<Payload, SourceError> {
    match Envelope::of(payload) {
        None => Ok(Payload::Direct),
        Some(Envelope::Sqs(records)) => messages(records).map(Payload::Sqs),
        Some(Envelope::Other(source_name)) => Err(SourceError::NotAccepted { source_name }),
    }
}

/// Refuses an event that is wrapped once more: by a source that forwards into a queue, for example SNS into SQS.
pub(crate) fn bare(event: &Raw<'_>) -> Result<(), SourceError> {
    let source_name = match Envelope::of(event) {
        None => return Ok(()),
        Some(Envelope::Sqs(_)) => "Amazon SQS within another envelope",
        Some(Envelope::Other(source_name)) => source_name,
    };
    Err(SourceError::NotAccepted { source_name })
}

/// What an AWS source wraps round its events.
enum Envelope<'a> {
    Sqs(&'a [Raw<'a>]),
    Other(&'static str),
}

impl<'a> Envelope<'a> {
    /// Recognises an envelope by the keys that the AWS Lambda Developer Guide shows for each event source; `None` for what
    /// is no envelope, valid or not.
    fn of(payload: &'a Raw<'a>) -> Option<Self> {
        if let Some(items) = payload.items() {
            // EventBridge Pipes hands over the records of its source in a bare array.
            return record_source(items.first()?).map(|_| Self::Other("Amazon EventBridge Pipes"));
        }
        if is_ours(payload) {
            return None;
        }
        if let Some(records) = payload.get("Records").and_then(Raw::items) {
            return Some(match record_source(records.first()?)? {
                "Amazon SQS" => Self::Sqs(records),
                other => Self::Other(other),
            });
        }
        let has = |key: &str| payload.get(key).is_some();
        let other = if has("detail-type") && has("detail") {
            "Amazon EventBridge"
        } else if has("awslogs") {
            "Amazon CloudWatch Logs"
        } else if has("deliveryStreamArn") {
            "Amazon Data Firehose"
        } else if has("requestContext") {
            "HTTP (function URL, API Gateway or load balancer)"
        } else if string(payload, "Type").as_deref() == Some("Notification") && has("Message") {
            "Amazon SNS"
        } else {
            // Apache Kafka, Amazon MQ and Amazon DocumentDB name themselves at the top.
            record_source(payload)?
        };
        Some(Self::Other(other))
    }
}

/// Whether an event says that it is one of ours, whatever other keys it has.
fn is_ours(event: &Raw<'_>) -> bool {
    string(event, "schema").is_some_and(|schema| schema.starts_with("llm.capture/"))
}

/// The source that a record names, if it names one.
fn record_source(record: &Raw<'_>) -> Option<&'static str> {
    // SNS and SES alone write it with a capital letter.
    let name = string(record, "eventSource").or_else(|| string(record, "EventSource"))?;
    Some(match name.as_str() {
        "aws:sqs" => "Amazon SQS",
        "aws:sns" => "Amazon SNS",
        "aws:kinesis" => "Amazon Kinesis Data Streams",
        "aws:dynamodb" => "Amazon DynamoDB Streams",
        "aws:s3" => "Amazon S3",
        "aws:kafka" | "SelfManagedKafka" => "Apache Kafka",
        "aws:mq" | "aws:rmq" => "Amazon MQ",
        "aws:docdb" => "Amazon DocumentDB",
        name if name.starts_with("aws:") => "an AWS service that this version does not know",
        _ => return None,
    })
}

fn messages(records: &[Raw<'_>]) -> Result<Vec<Message>, SourceError> {
    let mut ids = BTreeSet::new();
    let mut messages = Vec::with_capacity(records.len());
    for (position, record) in records.iter().enumerate() {
        let bad = |problem| SourceError::BadRecord { position, problem };
        if record.entries().is_none() {
            return Err(bad("it is not an object"));
        }
        if record_source(record) != Some("Amazon SQS") {
            return Err(bad("its `eventSource` is not `aws:sqs`"));
        }
        let message = message(record).ok_or_else(|| {
            bad("`messageId`, `body` and `attributes` are not the texts that SQS sends")
        })?;
        // An empty or unknown identifier in the reply would make the whole batch fail, a repeated one would hide an item.
        if message.id.is_empty() || !ids.insert(message.id.clone()) {
            return Err(bad("its `messageId` is empty or repeated"));
        }
        messages.push(message);
    }
    Ok(messages)
}

/// Reads an SQS record (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"); `None` if something in it is not of the
/// type that SQS sends.
fn message(record: &Raw<'_>) -> Option<Message> {
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
    // Only the name tells a FIFO queue: it must end so.
    let ordered = match record.get("eventSourceARN") {
        None => false,
        Some(arn) => arn
            .string()?
            .rsplit_once('.')
            .is_some_and(|(_, suffix)| suffix == "fifo"),
    };
    let group = attribute("MessageGroupId").filter(|_| ordered);
    Some(Message {
        delivery: Delivery::sqs(&id, attribute, &body),
        group: group.map(str::to_owned),
        id,
        body,
    })
}

fn string(object: &Raw<'_>, key: &str) -> Option<String> {
    object.get(key)?.string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(payload: &str, source_name: &str) {
        let refused = SourceError::NotAccepted {
            source_name: Box::leak(source_name.to_owned().into_boxed_str()),
        };
        let payload = Raw::read(payload).unwrap();
        assert_eq!(unwrap(&payload).unwrap_err(), refused);
        assert_eq!(bare(&payload).unwrap_err(), refused);
    }

    #[track_caller]
    fn check_direct(payload: &str) {
        let read = Raw::read(payload).unwrap();
        assert!(matches!(unwrap(&read), Ok(Payload::Direct)), "{payload}");
        assert_eq!(bare(&read), Ok(()), "{payload}");
    }

    #[track_caller]
    fn check_bad_record(records: &str, position: usize) {
        let payload = format!(r#"{{"Records":[{records}]}}"#);
        match unwrap(&Raw::read(&payload).unwrap()) {
            Err(SourceError::BadRecord {
                position: found, ..
            }) => assert_eq!(found, position, "{payload}"),
            other => panic!("{payload}: {other:?}"),
        }
    }

    fn messages_of(payload: &str) -> Vec<Message> {
        match unwrap(&Raw::read(payload).unwrap()) {
            Ok(Payload::Sqs(messages)) => messages,
            other => panic!("{payload}: {other:?}"),
        }
    }

    #[test]
    fn every_other_source_is_refused_by_name() {
        check_refused(
            r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Message":"{}"}}]}"#,
            "Amazon SNS",
        );
        check_refused(
            r#"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"data":"e30="}}]}"#,
            "Amazon Kinesis Data Streams",
        );
        check_refused(
            r#"{"Records":[{"eventSource":"aws:dynamodb","dynamodb":{}}]}"#,
            "Amazon DynamoDB Streams",
        );
        check_refused(
            r#"{"Records":[{"eventSource":"aws:s3","s3":{"bucket":{"name":"b"}}}]}"#,
            "Amazon S3",
        );
        check_refused(
            r#"{"Records":[{"eventSource":"aws:new","x":1}]}"#,
            "an AWS service that this version does not know",
        );
        check_refused(
            r#"{"version":"0","id":"1","detail-type":"turn","source":"app","time":"2026-11-23T10:00:00Z","detail":{}}"#,
            "Amazon EventBridge",
        );
        check_refused(r#"{"awslogs":{"data":"H4sI"}}"#, "Amazon CloudWatch Logs");
        check_refused(
            r#"{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:r:0:deliverystream/d","records":[{"data":"e30="}]}"#,
            "Amazon Data Firehose",
        );
        let http = "HTTP (function URL, API Gateway or load balancer)";
        check_refused(
            r#"{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":"{}"}"#,
            http,
        );
        check_refused(
            r#"{"httpMethod":"POST","requestContext":{"stage":"prod"},"body":"{}"}"#,
            http,
        );
        check_refused(
            r#"{"httpMethod":"POST","requestContext":{"elb":{}},"body":"{}"}"#,
            http,
        );
        check_refused(
            r#"{"eventSource":"aws:kafka","records":{"t-0":[]}}"#,
            "Apache Kafka",
        );
        check_refused(
            r#"{"eventSource":"SelfManagedKafka","records":{"t-0":[]}}"#,
            "Apache Kafka",
        );
        check_refused(
            r#"{"eventSource":"aws:rmq","rmqMessagesByQueue":{}}"#,
            "Amazon MQ",
        );
        check_refused(
            r#"{"eventSource":"aws:docdb","events":[]}"#,
            "Amazon DocumentDB",
        );
        check_refused(
            r#"[{"messageId":"m","eventSource":"aws:sqs","body":"{}"},{"messageId":"n","eventSource":"aws:sqs","body":"{}"}]"#,
            "Amazon EventBridge Pipes",
        );
        check_refused(
            r#"{"Type":"Notification","MessageId":"m","TopicArn":"arn","Message":"{}"}"#,
            "Amazon SNS",
        );
    }

    #[test]
    fn a_batch_of_messages_within_a_message_is_refused() {
        let forwarded = r#"{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"{}"}]}"#;
        let forwarded = Raw::read(forwarded).unwrap();
        assert!(matches!(unwrap(&forwarded), Ok(Payload::Sqs(_))));
        assert!(matches!(
            bare(&forwarded),
            Err(SourceError::NotAccepted { .. })
        ));
    }

    #[test]
    fn everything_else_is_for_the_adapters_to_judge() {
        check_direct(r#"{"user_input":"q"}"#);
        check_direct(
            r#"{"schema":"llm.capture/1","conversation_id":"c","requestContext":{},"awslogs":1}"#,
        );
        check_direct(r#"{"Records":[]}"#);
        check_direct(r#"{"Records":"none"}"#);
        check_direct(r#"{"Records":[{"eventSource":"my:app"}]}"#);
        check_direct(r#"[{"user_input":"q"}]"#);
        check_direct("[]");
        check_direct("null");
        check_direct(&format!(
            r#"{{"user_input":{}1{}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        ));
    }

    #[test]
    fn a_message_keeps_its_id_its_body_and_the_time_it_was_sent() {
        let messages = messages_of(
            r#"{"Records":[{"messageId":"m-1","receiptHandle":"h","body":"{\"user_input\":\"q\"}",
                "attributes":{"SentTimestamp":"1763892000123","MessageGroupId":"g"},
                "messageAttributes":{},"md5OfBody":"x","eventSource":"aws:sqs",
                "eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:events","awsRegion":"us-east-1"}]}"#,
        );
        let [message] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert_eq!(message.id, "m-1");
        assert_eq!(message.body, r#"{"user_input":"q"}"#);
        assert_eq!(message.delivery.id.as_deref(), Some("m-1"));
        assert_eq!(
            message.delivery.time.unwrap().unix_timestamp_nanos(),
            1_763_892_000_123_000_000
        );
        // A standard queue's groups are for fairness and promise no order.
        assert_eq!(message.group, None);
    }

    #[test]
    fn groups_of_a_fifo_queue_are_in_order() {
        let messages = messages_of(
            r#"{"Records":[{"messageId":"m-1","body":"","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:0:events.fifo",
                "attributes":{"MessageGroupId":"g","MessageDeduplicationId":"d"}}]}"#,
        );
        let [message] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert_eq!(message.group.as_deref(), Some("g"));
        assert_eq!(message.delivery.id.as_deref(), Some("d"));
    }

    #[test]
    fn a_record_that_cannot_be_answered_for_refuses_the_batch() {
        let good = r#"{"messageId":"m","eventSource":"aws:sqs","body":"{}"}"#;
        check_bad_record(&format!("{good},{good}"), 1);
        check_bad_record(
            &format!(r#"{good},{{"messageId":"","eventSource":"aws:sqs","body":"{{}}"}}"#),
            1,
        );
        check_bad_record(
            &format!(r#"{good},{{"messageId":"n","eventSource":"aws:sqs","body":{{}}}}"#),
            1,
        );
        check_bad_record(
            &format!(r#"{good},{{"messageId":"n","eventSource":"aws:s3","body":"{{}}"}}"#),
            1,
        );
        check_bad_record(&format!("{good},7"), 1);
        check_bad_record(r#"{"eventSource":"aws:sqs","body":"{}"}"#, 0);
    }
}
