//! Every sample event of `events/` on the release binary: the answer is the file of its name in `events/replies/`, and what
//! is then stored is in the table here.
//!
//! The samples are what a user sends first, so they say what people say, and no canaries: those are in `capture_sources`.

use std::path::PathBuf;

use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;

use crate::system::{CAPTURE, System};

/// The bucket that the samples name, and where its objects lie in the checkout.
const BUCKET: &str = "conversation-uploads";
const OBJECTS: [&str; 5] = [
    "exports/one=event.json",
    "exports/day.jsonl.gz",
    "exports/list.json",
    "exports/zstd.json.zst",
    "bodies/ref-1.json",
];

/// A sample, and what it adds: messages, objects in the archive, objects in quarantine. In this order, since some of them
/// belong to the same conversation.
type Sample = (&'static str, i64, usize, usize);

const SAMPLES: &[Sample] = &[
    ("direct-canonical.json", 2, 1, 0),
    ("direct-full-history.json", 2, 1, 0),
    ("direct-canonical-tools.json", 4, 1, 0),
    ("direct-legacy.json", 2, 1, 0),
    ("direct-legacy-implementations.json", 2, 1, 0),
    ("direct-legacy-minimal.json", 1, 1, 0),
    ("direct-openai-chat.json", 5, 1, 0),
    ("direct-openai-responses.json", 4, 1, 0),
    ("direct-anthropic.json", 4, 1, 0),
    ("direct-converse.json", 4, 1, 0),
    ("direct-bedrock-log.json", 2, 1, 0),
    ("direct-opentelemetry.json", 2, 1, 0),
    ("direct-otlp-spans.json", 4, 2, 0),
    ("direct-agentcore.json", 2, 1, 0),
    ("direct-text.json", 1, 1, 0),
    ("direct-unknown.json", 0, 0, 0),
    ("sqs-batch.json", 6, 3, 0),
    ("sqs-batch-poisoned.json", 6, 3, 1),
    ("sqs-refused.json", 0, 0, 0),
    ("sqs-fifo.json", 6, 3, 0),
    ("sqs-fifo-poisoned.json", 6, 3, 1),
    ("sqs-fifo-refused.json", 0, 0, 0),
    ("sns.json", 2, 1, 0),
    ("sns-poisoned.json", 0, 0, 1),
    ("sns-refused.json", 0, 0, 0),
    ("sns-sqs.json", 2, 1, 0),
    ("sns-sqs-poisoned.json", 4, 2, 1),
    ("sns-sqs-refused.json", 0, 0, 0),
    ("eventbridge.json", 2, 1, 0),
    ("eventbridge-poisoned.json", 2, 1, 0),
    ("eventbridge-refused.json", 0, 0, 0),
    ("eventbridge-sqs.json", 2, 1, 0),
    ("eventbridge-sqs-poisoned.json", 2, 2, 2),
    ("eventbridge-sqs-refused.json", 0, 0, 0),
    ("kinesis.json", 4, 2, 0),
    ("kinesis-poisoned.json", 4, 2, 1),
    ("kinesis-refused.json", 0, 0, 0),
    ("dynamodb.json", 4, 2, 0),
    ("dynamodb-poisoned.json", 4, 2, 1),
    ("dynamodb-refused.json", 0, 0, 0),
    ("logs.json", 4, 2, 0),
    ("logs-poisoned.json", 2, 1, 1),
    ("logs-refused.json", 2, 1, 0),
    ("logs-control.json", 0, 0, 0),
    ("function-url.json", 2, 1, 0),
    ("function-url-poisoned.json", 4, 2, 1),
    ("function-url-refused.json", 0, 0, 0),
    ("http-api.json", 2, 1, 0),
    ("http-api-foreign.json", 0, 1, 1),
    ("http-api-conflict.json", 0, 0, 1),
    ("http-api-poisoned.json", 4, 2, 0),
    ("http-api-refused.json", 0, 0, 1),
    ("rest-api.json", 2, 1, 0),
    ("rest-api-poisoned.json", 2, 1, 0),
    ("rest-api-refused.json", 0, 0, 0),
    ("pipes-sqs.json", 2, 1, 0),
    ("pipes-kinesis.json", 2, 1, 0),
    ("pipes-dynamodb.json", 2, 1, 0),
    ("pipes-refused.json", 0, 0, 0),
    ("firehose-refused.json", 0, 0, 0),
    ("s3.json", 2, 1, 0),
    ("s3-lines.json", 4, 2, 1),
    ("s3-refused.json", 0, 0, 0),
    ("s3-sqs.json", 6, 3, 0),
    ("s3-eventbridge.json", 0, 0, 0),
    ("body-ref.json", 2, 1, 0),
    ("body-ref-sqs.json", 4, 2, 0),
    ("body-ref-refused.json", 0, 0, 0),
];

/// What the samples are warned of: each at least once.
const WARNINGS: [&str; 12] = [
    r#""outcome":"not_json""#,
    r#""outcome":"foreign""#,
    r#""outcome":"conflict""#,
    "Capture.UnknownShape",
    "Capture.HeldBack",
    "Capture.BadRecord",
    "Capture.SourceNotAccepted",
    "Capture.Unidentified",
    "Capture.BadRequest",
    "Capture.ClaimRefused",
    "Capture.ClaimUnavailable",
    "payload refused",
];

fn folder() -> PathBuf {
    local::Checkout::find().unwrap().root().join("events")
}

/// Puts what the samples name into their bucket.
async fn upload(system: &System) {
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    for key in OBJECTS {
        let body = std::fs::read(folder().join("objects").join(key)).unwrap();
        let put = client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(body)).send().await.unwrap();
    }
}

/// The answer without what is another with every call (ids made of the request's, the time of handling), and without the list of
/// shapes.
fn lasting(payload: &[u8], request_id: &str) -> Value {
    let text = String::from_utf8_lossy(payload).replace(request_id, "REQUEST_ID");
    let text = without_conversation(&without_now(&text));
    serde_json::from_str(&without_shapes(&text)).unwrap()
}

/// An event that names no conversation gets one by the request's id.
fn without_conversation(text: &str) -> String {
    let is_made = |id: &&str| {
        let digits = id.get(2..34);
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let made = text
        .match_indices("c-")
        .map(|(at, _)| &text[at..])
        .find(is_made);
    match made {
        Some(id) => text.replace(&id[..34], "CONVERSATION"),
        None => text.to_owned(),
    }
}

/// All that the samples say was said on one day. The time is in the answer, or in the text that is the answer's body.
fn without_now(text: &str) -> String {
    const DAY: &str = "2026-11-23";
    let mut text = text.to_owned();
    for mark in [r#""timestamp":""#, r#"\"timestamp\":\""#] {
        let Some(begin) = text.find(mark).map(|at| at + mark.len()) else {
            continue;
        };
        let end = text[begin..].find(['"', '\\']).unwrap() + begin;
        if !text[begin..].starts_with(DAY) {
            text.replace_range(begin..end, "NOW");
        }
    }
    text
}

/// What is accepted grows with every shape, and no sample is about that.
fn without_shapes(text: &str) -> String {
    const BEGIN: &str = "accepted: an object with `schema` ";
    const END: &str = "or an array of such objects";
    let mut parts = text.split(BEGIN);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(END).unwrap_or(("", part));
        short.push_str("accepted: SHAPES");
        short.push_str(rest);
    }
    short
}

#[tokio::test]
async fn every_sample_is_answered_and_stored_as_the_pages_say() {
    let system = System::start("samples").await;
    system.define_capture(&[("CLAIM_CHECK_BUCKETS", BUCKET)]);
    upload(&system).await;
    for warning in WARNINGS {
        system.announce(warning);
    }
    let count = async || {
        let objects = system.objects("").await;
        let below = |prefix: &str| objects.iter().filter(|key| key.starts_with(prefix)).count();
        (
            system.messages().await,
            below("conversations/"),
            below("quarantine/"),
        )
    };
    let mut before = count().await;
    let mut differences = Vec::new();
    for (file, messages, archived, put_aside) in SAMPLES {
        let sent = std::fs::read(folder().join(file)).unwrap();
        let invoked = system.stack.functions().invoke(CAPTURE, sent).await;
        let invoked = invoked.unwrap();
        let answer = lasting(&invoked.payload, &invoked.request_id);
        let expected = std::fs::read(folder().join("replies").join(file));
        let expected = expected.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        if answer != expected {
            differences.push(format!("{file} was answered with {answer}"));
        }
        let after = count().await;
        let added = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        if added != (*messages, *archived, *put_aside) {
            differences.push(format!("{file} added {added:?}"));
        }
        before = after;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    system.assert_counters_are_exact().await;
}

#[test]
fn no_sample_is_left_out() {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|file| {
            file != "README.md"
                && file != "replies"
                && file != "objects"
                && !file.starts_with("rotation-")
        })
        .collect();
    files.sort();
    let mut samples: Vec<_> = SAMPLES.iter().map(|(file, ..)| *file).collect();
    samples.sort_unstable();
    assert_eq!(files, samples);
}
