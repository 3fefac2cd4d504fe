//! What is known about a delivery besides its bytes.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::instant;

/// The kind of event source a delivery came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A direct invocation of the function.
    Direct,
    /// An Amazon SQS queue.
    Sqs,
}

impl Source {
    /// The word in logs, in the ledger and in quarantine keys: `direct` or `sqs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Sqs => "sqs",
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
