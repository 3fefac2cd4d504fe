//! All that is pure in the path of a turn, over fixed inputs: the program whose instructions `make instructions` counts.
//!
//! `core CASE TURNS` takes the input of a case TURNS times from its bytes to the object that archives it; `core` alone
//! names the cases. The difference between the counts of two numbers of turns is what turns cost: the start of the process
//! and the making of the input are in both.

use std::env;
use std::hint::black_box;
use std::io::{self, Write as _};

use anyhow::Context as _;
use conversation::{AdaptError, Delivery, Document, Layout, adapt, sanitize};

/// A name and what makes its input. A figure belongs to an input: a changed input needs another name.
type Case = (&'static str, fn() -> String);

const CASES: [Case; 5] = [
    ("legacy-1k", || sized(1024, legacy)),
    ("canonical-1k", || sized(1024, canonical)),
    ("tools-10k", || sized(10 * 1024, tools)),
    ("history-50", history),
    ("canonical-1m", || sized(1024 * 1024, canonical)),
];

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(name) = arguments.next() else {
        let mut output = io::stdout().lock();
        return Ok(CASES
            .iter()
            .try_for_each(|(name, _)| writeln!(output, "{name}"))?);
    };
    let turns: u32 = arguments
        .next()
        .context("usage: core CASE TURNS")?
        .parse()
        .context("TURNS is a number")?;
    let (_, input) = CASES
        .iter()
        .find(|(case, _)| *case == name)
        .context("no such case: `core` alone names them")?;
    let input = input();
    for _ in 0..turns {
        turn(black_box(&input))?;
    }
    Ok(())
}

/// What `conversation-capture` does with the body of a queue's message before it puts the object.
fn turn(body: &str) -> Result<(), AdaptError> {
    let attribute = |name: &str| (name == "SentTimestamp").then_some("1795429800005");
    let delivery = Delivery::sqs("5e1f9a30-7c44-4d0b-9b6e-000000000014", attribute, body);
    let clean = sanitize::clean(body.as_bytes());
    for capture in adapt::captures(Document::read(&clean)?, &delivery)? {
        black_box(capture.object(Layout::Turn));
    }
    Ok(())
}

/// The inside of a JSON string: two languages, and every kind of escape.
const WORDS: &str = r#"Why does a \"NAT gateway\" cost more than an endpoint?\nPorque também cobra por gigabyte, e não só por hora. 😀 \ud83d\ude00 \u00e9 \\u0041\t"#;

/// The event that `event` makes of as many words as bring it to `size` bytes.
fn sized(size: usize, event: fn(&str) -> String) -> String {
    event(&words(size.saturating_sub(event("").len())))
}

/// Whole repetitions of [`WORDS`], and stops up to `bytes`.
fn words(bytes: usize) -> String {
    let mut text = WORDS.repeat(bytes / WORDS.len());
    text.extend((text.len()..bytes).map(|_| '.'));
    text
}

fn legacy(words: &str) -> String {
    format!(
        r#"{{"conversation_id":"conv-20261123-001","user_input":"Crie um bucket S3 com versionamento.","assistant_output":"{words}","context":{{"project":"ial","phase":"08-s3-storage","iteration":1}},"user_id":"u-1001"}}"#
    )
}

fn canonical(words: &str) -> String {
    let question = message("user", "Which subnets does the function need?");
    let answer = message("assistant", words);
    full("vpc-review", &format!("{question},{answer}"))
}

/// A delta with a tool call, its response and a file, as an agent sends it.
fn tools(words: &str) -> String {
    format!(
        r#"{{"schema":"llm.capture/1","event_id":"01KARR0C7N2F5K8V1B4Z6W9QTA","conversation_id":"queue-backlog","user_id":"u-1002","occurred_at":"2026-11-23T10:15:09.004Z","sequence":4,"history":"delta","operation":"chat","provider":"openai","request_model":"gpt-5-mini","finish_reasons":["tool_calls","stop"],"usage":{{"prompt_tokens":412,"completion_tokens":96,"prompt_tokens_details":{{"cached_tokens":256}}}},"messages":[{{"message_id":"m-7","direction":"input","role":"user","parts":[{{"type":"text","content":"Is the dead-letter queue empty?"}}]}},{{"message_id":"m-8","parent_message_id":"m-7","direction":"output","role":"assistant","parts":[{{"type":"reasoning","content":"Ask SQS."}},{{"type":"tool_call","id":"call-1","name":"get_queue_attributes","arguments":{{"queue_name":"capture-dlq","attribute_names":["ApproximateNumberOfMessages"]}}}}]}},{{"message_id":"m-9","parent_message_id":"m-8","direction":"input","role":"tool","parts":[{{"type":"tool_call_response","id":"call-1","response":{{"ApproximateNumberOfMessages":0}}}}]}},{{"message_id":"m-10","parent_message_id":"m-9","direction":"output","role":"assistant","parts":[{{"type":"text","content":"No message has been moved to it."}}]}}],"implementations":[{{"message_id":"m-10","file_path":"monitoring/alarm.yaml","type":"cloudformation","language":"yaml","code_snippet":"{words}"}}],"context":{{"project":"ial"}},"metadata":{{"client":"cli"}},"tags":["ops"],"trace":{{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}},"not_in_the_shape":{{"kept":[1,2.5,true,null]}}}}"#
    )
}

/// All that was said in 25 exchanges, sent again with the last of them.
fn history() -> String {
    let words = words(400);
    let exchange = format!(
        "{},{}",
        message("user", &words),
        message("assistant", &words)
    );
    full("long-review", &vec![exchange; 25].join(","))
}

fn full(conversation_id: &str, messages: &str) -> String {
    format!(
        r#"{{"schema":"llm.capture/1","event_id":"01KARQB2M5H8Y1E4T6P9S3X0RD","conversation_id":"{conversation_id}","user_id":"u-1001","occurred_at":"2026-11-23T10:02:41.870Z","history":"full","provider":"aws.bedrock","request_model":"anthropic.claude-sonnet-4-20250514-v1:0","finish_reasons":["end_turn"],"usage":{{"input_tokens":112,"output_tokens":41}},"messages":[{messages}]}}"#
    )
}

fn message(role: &str, words: &str) -> String {
    format!(r#"{{"role":"{role}","parts":[{{"type":"text","content":"{words}"}}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case that is refused, or not as large as its name says, would be measured all the same.
    #[track_caller]
    fn check(name: &str, bytes: usize, messages: usize, implementations: usize) {
        let (_, input) = CASES.iter().find(|(case, _)| *case == name).unwrap();
        let input = input();
        let clean = sanitize::clean(input.as_bytes());
        assert!(clean.sanitized().is_clean(), "{name}");
        let document = Document::read(&clean).unwrap();
        let captures = adapt::captures(document, &Delivery::direct(Some("request-1"))).unwrap();
        let [capture] = captures.as_slice() else {
            panic!("{name} is one event");
        };
        assert_eq!(
            (
                input.len(),
                capture.messages.len(),
                capture.implementations.len()
            ),
            (bytes, messages, implementations),
            "{name}"
        );
        turn(&input).unwrap();
    }

    #[test]
    fn every_input_is_what_its_name_says() {
        check("legacy-1k", 1024, 2, 0);
        check("canonical-1k", 1024, 2, 0);
        check("tools-10k", 10 * 1024, 4, 1);
        check("history-50", 23_224, 50, 0);
        check("canonical-1m", 1024 * 1024, 2, 0);
    }
}
