//! What is known about a delivery besides its bytes.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::instant;

/// What gave an event the id and the time that it was delivered with: the innermost of the envelopes that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A direct invocation of the function.
    Direct,
    /// An Amazon SQS queue.
    Sqs,
    /// An Amazon SNS topic, be it through a queue.
    Sns,
    /// An Amazon EventBridge bus, be it through a queue.
    EventBridge,
    /// An Amazon Kinesis data stream.
    Kinesis,
    /// The stream of an Amazon DynamoDB table.
    DynamoDb,
    /// A log group of Amazon CloudWatch Logs.
    Logs,
    /// A request to a function URL or to Amazon API Gateway.
    Http,
    /// An object of Amazon S3, whatever way its notification came.
    S3,
    /// An object of the archive, read back.
    Archive,
}

impl Source {
    /// The word in logs, in the ledger and in quarantine keys, for example `sqs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::EventBridge => "eventbridge",
            Self::Kinesis => "kinesis",
            Self::DynamoDb => "dynamodb",
            Self::Logs => "logs",
            Self::Http => "http",
            Self::S3 => "s3",
            Self::Archive => "archive",
        }
    }

    /// Whether its id names what was published, and not one delivery of it: such an id comes before the provider's.
    pub(crate) fn names_what_was_published(self) -> bool {
        match self {
            Self::Sns | Self::EventBridge => true,
            Self::Direct
            | Self::Sqs
            | Self::Kinesis
            | Self::DynamoDb
            | Self::Logs
            | Self::Http
            | Self::S3
            | Self::Archive => false,
        }
    }
}

/// What the source says about one delivery; the same on every redelivery of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How it came.
    pub source: Source,
    /// The source's id of it, which becomes the event id if the event brings none.
    pub id: Option<String>,
    /// When the source accepted it, which becomes `occurred_at` if the event brings none.
    pub time: Option<OffsetDateTime>,
}

impl Delivery {
    /// A direct invocation: the Lambda request id is stable over the retries of an asynchronous invocation.
    ///
    /// It has no time: Lambda does not say when the event was accepted, and the time of processing changes with
    /// every retry.
    pub fn direct(request_id: Option<&str>) -> Self {
        Self {
            source: Source::Direct,
            id: given(request_id),
            time: None,
        }
    }

    /// One SQS record: `message_id` is its `messageId`, `attribute` looks a name up in its `attributes`.
    ///
    /// The id is `MessageDeduplicationId` unless it is the SHA-256 of the body: that is what content-based
    /// deduplication makes, and a legitimate repetition of the same text has the same one. Then it is the message id,
    /// which stays the same when a message is received again and when a dead-letter queue is redriven to its source.
    /// The time is `SentTimestamp`.
    pub fn sqs<'a>(
        message_id: &str,
        attribute: impl Fn(&str) -> Option<&'a str>,
        body: &str,
    ) -> Self {
        let deduplication_id = given(attribute("MessageDeduplicationId"))
            .filter(|id| !id.eq_ignore_ascii_case(&hex::encode(Sha256::digest(body))));
        Self {
            source: Source::Sqs,
            id: deduplication_id.or_else(|| given(Some(message_id))),
            time: attribute("SentTimestamp").and_then(instant::parse_unix_millis),
        }
    }

    /// One SNS message: its `MessageId` and its `Timestamp`, which are the same for every subscriber and every try.
    pub fn sns(message_id: Option<&str>, timestamp: Option<&str>) -> Self {
        Self::published(Source::Sns, message_id, timestamp)
    }

    /// One EventBridge event: its `id` and its `time`, which are the same for every target, every try and a replay.
    pub fn event_bridge(id: Option<&str>, time: Option<&str>) -> Self {
        Self::published(Source::EventBridge, id, time)
    }

    /// One record of a stream: its `eventID`, and when the stream took it, in seconds since 1970, as it is written.
    pub fn stream(source: Source, event_id: Option<&str>, arrival: Option<&str>) -> Self {
        Self {
            source,
            id: given(event_id),
            time: arrival.and_then(instant::parse_unix_seconds),
        }
    }

    /// One event of a log: its `id`, and its `timestamp` in milliseconds since 1970, as it is written.
    pub fn log_event(id: Option<&str>, timestamp: Option<&str>) -> Self {
        Self {
            source: Source::Logs,
            id: given(id),
            time: timestamp.and_then(instant::parse_unix_millis),
        }
    }

    /// One HTTP request: its id, and when it came, in milliseconds since 1970, as it is written.
    pub fn request(id: Option<&str>, epoch: Option<&str>) -> Self {
        Self {
            source: Source::Http,
            id: given(id),
            time: epoch.and_then(instant::parse_unix_millis),
        }
    }

    /// One object: its place and version, and when it was put there, to the second: a bus tells it no better.
    pub fn upload(id: &str, time: Option<&str>) -> Self {
        Self {
            source: Source::S3,
            id: given(Some(id)),
            time: time.and_then(instant::parse).map(instant::whole_second),
        }
    }

    /// An archived capture: it has an id and the time that it had before.
    pub fn archived() -> Self {
        Self {
            source: Source::Archive,
            id: None,
            time: None,
        }
    }

    /// One of several events that came together.
    #[must_use]
    pub fn numbered(mut self, ordinal: usize) -> Self {
        self.id = self.id.map(|id| format!("{id}#{ordinal}"));
        self
    }

    fn published(source: Source, id: Option<&str>, time: Option<&str>) -> Self {
        Self {
            source,
            id: given(id),
            time: time.and_then(instant::parse),
        }
    }
}

fn given(id: Option<&str>) -> Option<String> {
    id.filter(|id| !id.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(deduplication_id: Option<&str>, expected: &str) {
        let attribute = |name: &str| match name {
            "MessageDeduplicationId" => deduplication_id,
            "SentTimestamp" => Some("1763892000123"),
            _ => None,
        };
        let delivery = Delivery::sqs("m-1", attribute, "body");
        assert_eq!(delivery.id.as_deref(), Some(expected));
        assert_eq!(
            delivery.time.map(instant::rfc3339).as_deref(),
            Some("2025-11-23T10:00:00.123Z")
        );
    }

    #[test]
    fn a_deduplication_id_counts_unless_it_was_made_from_the_body() {
        check(None, "m-1");
        check(Some("order-7"), "order-7");
        check(
            Some("230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"),
            "m-1",
        );
        check(Some(""), "m-1");
    }

    #[test]
    fn what_was_published_has_its_id_and_its_time() {
        let sns = Delivery::sns(Some("n-1"), Some("2026-11-23T10:00:00.123Z"));
        let event_bridge = Delivery::event_bridge(Some("n-1"), Some("2026-11-23T10:00:00.123Z"));
        for (delivery, source) in [(sns, "sns"), (event_bridge, "eventbridge")] {
            assert_eq!(delivery.source.as_str(), source);
            assert_eq!(delivery.id.as_deref(), Some("n-1"));
            assert_eq!(
                delivery.time.map(instant::rfc3339).as_deref(),
                Some("2026-11-23T10:00:00.123Z")
            );
        }
    }

    #[test]
    fn one_of_several_is_named_by_its_number() {
        let numbered = Delivery::direct(Some("r-1")).numbered(2);
        assert_eq!(numbered.id.as_deref(), Some("r-1#2"));
        assert_eq!(Delivery::direct(None).numbered(2).id, None);
    }

    #[test]
    fn what_the_source_does_not_say_is_not_made_up() {
        assert_eq!(
            Delivery::direct(None),
            Delivery {
                source: Source::Direct,
                id: None,
                time: None
            }
        );
        assert_eq!(Delivery::direct(Some("r-1")).id.as_deref(), Some("r-1"));
        let bare = Delivery::sqs(
            "",
            |name| (name == "SentTimestamp").then_some("now"),
            "body",
        );
        assert_eq!(
            bare,
            Delivery {
                source: Source::Sqs,
                id: None,
                time: None
            }
        );
    }
}
