//! The events that are sent: fresh ones each time, equal in everything but their ids.

use serde_json::{Value, json};

/// What one invocation brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Events in a delivery of the queue; `None` for a direct invocation.
    pub(crate) batch: Option<usize>,
    /// Bytes of one event.
    pub(crate) bytes: usize,
}

/// A conversation has this many turns, as a chat has: the first event of one inserts its row, the others update it.
const TURNS: usize = 25;

impl Shape {
    /// How many events an invocation brings.
    pub(crate) fn events(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    /// The payload of the invocation with this number.
    pub(crate) fn payload(&self, invocation: usize) -> String {
        match self.batch {
            None => event(invocation, self.bytes),
            Some(batch) => {
                let events = (invocation * batch..).take(batch);
                let records = events.map(|number| record(number, &event(number, self.bytes)));
                json!({"Records": records.collect::<Vec<_>>()}).to_string()
            }
        }
    }
}

/// A turn in the canonical shape, `bytes` long: a question of one line, and an answer in two languages with everything that
/// JSON escapes.
fn event(number: usize, bytes: usize) -> String {
    const WORDS: &str = "A NAT gateway costs \"more\" than an endpoint.\nPorque também cobra por gigabyte, e não só por hora. 😀\t";
    let with_answer = |answer: &str| {
        json!({
            "schema": "llm.capture/1",
            "event_id": format!("01KARQB2M5H8Y1E4T6{number:08}"),
            "conversation_id": format!("conversation-{}", number / TURNS),
            "user_id": "u-1001",
            "occurred_at": format!("2026-11-23T10:{:02}:{:02}.870Z", number / 60 % 60, number % 60),
            "history": "delta",
            "provider": "aws.bedrock",
            "request_model": "anthropic.claude-sonnet-4-20250514-v1:0",
            "finish_reasons": ["end_turn"],
            "usage": {"input_tokens": 112, "output_tokens": 41},
            "messages": [
                {"direction": "input", "role": "user", "parts": [{"type": "text", "content": format!("Question {number}: which subnets does the function need?")}]},
                {"direction": "output", "role": "assistant", "parts": [{"type": "text", "content": answer}]},
            ],
        })
        .to_string()
    };
    let frame = with_answer("").len();
    let escaped = Value::from(WORDS).to_string().len() - 2;
    let whole = bytes.saturating_sub(frame) / escaped;
    let stops = bytes.saturating_sub(frame + whole * escaped);
    with_answer(&(WORDS.repeat(whole) + &".".repeat(stops)))
}

/// A record as Lambda gets it from a standard queue.
fn record(number: usize, body: &str) -> Value {
    json!({
        "messageId": format!("00000000-0000-4000-9000-{number:012}"),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795428000000",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1795428000001",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:conversations",
        "awsRegion": "us-east-1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_long_as_it_is_to_be_and_no_two_are_equal() {
        for bytes in [1024, 10 * 1024, 1024 * 1024] {
            let shape = Shape { batch: None, bytes };
            assert_eq!(shape.payload(7).len(), bytes);
        }
        let shape = Shape {
            batch: Some(10),
            bytes: 1024,
        };
        let ids = |invocation| -> Vec<String> {
            let payload: Value = serde_json::from_str(&shape.payload(invocation)).unwrap();
            let records = payload["Records"].as_array().unwrap();
            let id = |record: &Value| {
                let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
                body["event_id"].to_string()
            };
            records.iter().map(id).collect()
        };
        let (mut first, second) = (ids(0), ids(1));
        first.extend(second);
        first.sort();
        first.dedup();
        assert_eq!(first.len(), 20);
    }
}
