//! Where an invocation's events come from, told by the outermost shape of its payload alone.
//!
//! Nothing is guessed: what looks like an event of an AWS source that this version does not unwrap is refused by name.
//! The original stored such a payload as an empty conversation and let the queue delete the real message.
//!
//! A payload is unwrapped into records, each of which its source delivers again by itself. What is in a record may be
//! wrapped once more, by a source that forwards into another: see [`envelope`].

mod dynamodb;
pub(crate) mod envelope;
mod http;
mod logs;
mod pipes;
pub(crate) mod s3;
mod sns;
mod sqs;
mod streams;

use std::fmt;

use conversation::{Caller, Delivery, Raw, Source};

pub use http::{Http, RequestError};

/// What [`SourceError`] says is accepted.
const ACCEPTED: &str = "direct invocation, Amazon SQS, Amazon SNS and Amazon EventBridge (by themselves or through a queue), Amazon Kinesis Data Streams, Amazon DynamoDB Streams, Amazon CloudWatch Logs, function URLs, Amazon API Gateway, Amazon EventBridge Pipes from a queue or a stream, and notifications of Amazon S3";

/// The payload of one invocation.
#[derive(Debug)]
pub(crate) enum Payload {
    /// The payload is the event itself.
    Direct,
    /// The payload is what a source makes of events.
    Records(Records),
}

/// What a source has delivered with one invocation.
#[derive(Debug)]
pub(crate) struct Records {
    /// The source's word in the log.
    pub(crate) word: &'static str,
    pub(crate) answer: Answer,
    /// In the order of the payload.
    pub(crate) all: Vec<Record>,
}

/// What a source understands of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What became of the event that is the payload.
    Event,
    /// The ids of all records that failed; it forgets the others.
    EachFailed,
    /// The id of the first record that failed, from which on it delivers again.
    FirstFailed,
    /// Success or an error, and nothing else: nobody reads more.
    AllOrNothing,
    /// The response to a request.
    Request,
}

/// The unit that a source delivers again.
pub(crate) struct Record {
    /// By which a failure is reported, where the source asks for that.
    pub(crate) id: Option<String>,
    /// The group of it, if order counts within it.
    pub(crate) group: Option<String>,
    /// What the source knows about it.
    pub(crate) delivery: Delivery,
    pub(crate) content: Content,
}

/// What is in a record.
pub(crate) enum Content {
    /// The event as it was sent, or an envelope with the event in it.
    Event(Vec<u8>),
    /// Nothing that anybody could have meant to be stored; why.
    Nothing(&'static str),
    /// What cannot be taken out of the record; why.
    Unreadable(&'static str),
    /// The body of a request, and who sends it; nobody in particular, if an operator takes requests at their word.
    Request(Vec<u8>, Option<Caller>),
    /// A request that cannot be what it is meant to be.
    Refused(RequestError),
}

/// Shows ids, never what was said.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("id", &self.id)
            .field("group", &self.group)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Shows the size, never what was said.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(formatter, "Event({} bytes)", event.len()),
            Self::Nothing(why) => write!(formatter, "Nothing({why})"),
            Self::Unreadable(why) => write!(formatter, "Unreadable({why})"),
            Self::Request(body, _) => write!(formatter, "Request({} bytes)", body.len()),
            Self::Refused(why) => write!(formatter, "Refused({why:?})"),
        }
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
    /// The payload calls itself a batch of a source's records and cannot be answered as one: send what that source sends.
    #[error("record {position} of {source_name} is not one: {problem}")]
    BadRecord {
        /// The source that the payload names.
        source_name: &'static str,
        /// Position in the batch, from 0.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Tells what the payload of an invocation is.
pub(crate) fn unwrap(
    payload: &Raw<'_>,
    request_id: &str,
    http: &Http,
) -> Result<Payload, SourceError> {
    let Some(origin) = Origin::of(payload) else {
        return Ok(Payload::Direct);
    };
    match origin {
        Origin::Sqs(records) => sqs::records(records),
        Origin::Sns(records) => sns::records(records),
        Origin::Kinesis(records) => streams::kinesis(records),
        Origin::DynamoDb(records) => streams::dynamodb(records),
        Origin::Logs => logs::records(payload),
        Origin::Http => Ok(http::records(payload, http)),
        Origin::Pipes(source_name, records) => pipes::records(source_name, records),
        Origin::Notification => Ok(whole(Source::Sns, payload, request_id)),
        Origin::EventBridge => Ok(whole(Source::EventBridge, payload, request_id)),
        Origin::S3(_) | Origin::S3Test => Ok(whole(Source::S3, payload, request_id)),
        Origin::Other(source_name) => Err(SourceError::NotAccepted { source_name }),
    }
    .map(Payload::Records)
}

/// A payload that is one envelope: it is opened as one within a record would be.
fn whole(source: Source, payload: &Raw<'_>, request_id: &str) -> Records {
    Records {
        word: source.as_str(),
        answer: Answer::AllOrNothing,
        all: vec![Record {
            id: None,
            group: None,
            delivery: Delivery::direct(Some(request_id)),
            content: Content::Event(payload.text().into()),
        }],
    }
}

/// Which AWS source has made a payload, or what stands in a record.
enum Origin<'a> {
    Sqs(&'a [Raw<'a>]),
    Sns(&'a [Raw<'a>]),
    Kinesis(&'a [Raw<'a>]),
    DynamoDb(&'a [Raw<'a>]),
    Logs,
    Http,
    /// The records of the source that it names.
    Pipes(&'static str, &'a [Raw<'a>]),
    /// A message of an SNS topic as a queue receives it.
    Notification,
    EventBridge,
    S3(&'a [Raw<'a>]),
    /// S3 has tried whether it may notify.
    S3Test,
    Other(&'static str),
}

impl<'a> Origin<'a> {
    /// Recognises a source by the keys that the AWS Lambda Developer Guide shows for it; `None` for what comes from none,
    /// valid or not.
    fn of(payload: &'a Raw<'a>) -> Option<Self> {
        if let Some(items) = payload.items() {
            return pipes::source(items).map(|source_name| Self::Pipes(source_name, items));
        }
        if is_ours(payload) {
            return None;
        }
        if let Some(records) = payload.get("Records").and_then(Raw::items) {
            return Some(match record_source(records.first()?)? {
                sqs::NAME => Self::Sqs(records),
                sns::NAME => Self::Sns(records),
                streams::KINESIS => Self::Kinesis(records),
                streams::DYNAMODB => Self::DynamoDb(records),
                s3::NAME => Self::S3(records),
                other => Self::Other(other),
            });
        }
        let has = |key: &str| payload.get(key).is_some();
        Some(if has("detail-type") && has("detail") {
            Self::EventBridge
        } else if has("awslogs") {
            Self::Logs
        } else if has("deliveryStreamArn") {
            Self::Other("Amazon Data Firehose")
        } else if let Some(context) = payload.get("requestContext") {
            if context.get("http").is_some() || has("httpMethod") && context.get("elb").is_none() {
                Self::Http
            } else {
                Self::Other("a load balancer or a WebSocket API")
            }
        } else if string(payload, "Type").as_deref() == Some("Notification") && has("Message") {
            Self::Notification
        } else if s3::is_test(payload) {
            Self::S3Test
        } else {
            // Apache Kafka, Amazon MQ and Amazon DocumentDB name themselves at the top.
            Self::Other(record_source(payload)?)
        })
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
        "aws:sqs" => sqs::NAME,
        "aws:sns" => sns::NAME,
        "aws:kinesis" => streams::KINESIS,
        "aws:dynamodb" => streams::DYNAMODB,
        "aws:s3" => s3::NAME,
        "aws:kafka" | "SelfManagedKafka" => "Apache Kafka",
        "aws:mq" | "aws:rmq" => "Amazon MQ",
        "aws:docdb" => "Amazon DocumentDB",
        name if name.starts_with("aws:") => "an AWS service that this version does not know",
        _ => return None,
    })
}

/// Reads all records of one source, each by `read`, which says what is wrong with what is none.
fn read_records(
    source_name: &'static str,
    records: &[Raw<'_>],
    mut read: impl FnMut(&Raw<'_>) -> Result<Record, &'static str>,
) -> Result<Vec<Record>, SourceError> {
    let one = |(position, record): (usize, &Raw<'_>)| {
        let read = if record.entries().is_none() {
            Err("it is not an object")
        } else if record_source(record) != Some(source_name) {
            Err("its `eventSource` is another one than that of the first")
        } else {
            read(record)
        };
        read.map_err(|problem| SourceError::BadRecord {
            source_name,
            position,
            problem,
        })
    };
    records.iter().enumerate().map(one).collect()
}

fn string(object: &Raw<'_>, key: &str) -> Option<String> {
    object.get(key)?.string()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(payload: &str) -> Result<Payload, SourceError> {
        unwrap(&Raw::read(payload).unwrap(), "request-1", &Http::default())
    }

    pub(super) fn records_of(payload: &str) -> Vec<Record> {
        match read(payload) {
            Ok(Payload::Records(records)) => records.all,
            other => panic!("{payload}: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn check_bad_record(records: &str, position: usize) {
        let payload = format!(r#"{{"Records":[{records}]}}"#);
        match read(&payload) {
            Err(SourceError::BadRecord {
                position: found, ..
            }) => assert_eq!(found, position, "{payload}"),
            other => panic!("{payload}: {other:?}"),
        }
    }

    #[track_caller]
    fn check_refused(payload: &str, source_name: &str) {
        let refused = SourceError::NotAccepted {
            source_name: Box::leak(source_name.to_owned().into_boxed_str()),
        };
        assert_eq!(read(payload).unwrap_err(), refused);
        let payload = Raw::read(payload).unwrap();
        assert_eq!(envelope::open(&payload), Err(refused));
    }

    #[track_caller]
    fn check_direct(payload: &str) {
        assert!(matches!(read(payload), Ok(Payload::Direct)), "{payload}");
        let payload = Raw::read(payload).unwrap();
        assert_eq!(envelope::open(&payload), Ok(None), "{payload:?}");
    }

    #[test]
    fn every_other_source_is_refused_by_name() {
        check_refused(
            r#"{"Records":[{"eventSource":"aws:new","x":1}]}"#,
            "an AWS service that this version does not know",
        );
        check_refused(
            r#"{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:r:0:deliverystream/d","records":[{"data":"e30="}]}"#,
            "Amazon Data Firehose",
        );
        let other = "a load balancer or a WebSocket API";
        check_refused(
            r#"{"httpMethod":"POST","requestContext":{"elb":{}},"body":"{}"}"#,
            other,
        );
        check_refused(
            r#"{"requestContext":{"connectionId":"c","eventType":"MESSAGE"},"body":"{}"}"#,
            other,
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
    }

    #[test]
    fn a_batch_of_records_within_a_record_is_refused() {
        for forwarded in [
            r#"{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"{}"}]}"#,
            r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"{}"}}]}"#,
            r#"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"1","data":"e30="}}]}"#,
            r#"{"Records":[{"eventSource":"aws:dynamodb","dynamodb":{"SequenceNumber":"1"}}]}"#,
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}},"body":"{}"}"#,
            r#"[{"messageId":"m","eventSource":"aws:sqs","body":"{}"}]"#,
        ] {
            assert!(matches!(read(forwarded), Ok(Payload::Records(_))));
            assert!(matches!(
                envelope::open(&Raw::read(forwarded).unwrap()),
                Err(SourceError::NotAccepted { .. })
            ));
        }
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

    /// A bus that invokes the function, and a topic that somebody plays by hand.
    #[test]
    fn an_envelope_that_is_the_payload_is_a_record_of_itself() {
        for payload in [
            r#"{"id":"b-1","detail-type":"turn","detail":{"user_input":"q"}}"#,
            r#"{"Type":"Notification","Message":"{}"}"#,
            r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
        ] {
            let records = records_of(payload);
            let [record] = records.as_slice() else {
                panic!("{records:?}")
            };
            assert!(
                matches!(&record.content, Content::Event(event) if event == payload.as_bytes())
            );
        }
    }
}
