//! Media and sizes: each content is one object, rows stay small, and what came can be made again from S3 to the last byte.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::canary::said;
use local::{Fault, FaultProxy};
use serde_json::{Value, json};

use crate::capture::{batch, failures, turn};
use crate::system::System;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// An image of this many bytes, another one for every seed. It begins with what may be in no log.
pub fn image(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = said("cheese").into_bytes();
    bytes.resize(length, 0);
    let begin = bytes.len().min(said("cheese").len());
    fastrand::Rng::with_seed(seed).fill(&mut bytes[begin..]);
    bytes
}

pub fn blob(bytes: &[u8]) -> Value {
    json!({"type": "blob", "modality": "image", "mime_type": "image/png", "content": BASE64_STANDARD.encode(bytes)})
}

fn message(direction: &str, role: &str, parts: &Value) -> Value {
    json!({"direction": direction, "role": role, "parts": parts})
}

fn text(words: &str) -> Value {
    json!({"type": "text", "content": said(words)})
}

/// A call whose client sends all that was said.
fn call(tenant: &str, number: usize, messages: &[Value]) -> Value {
    json!({
        "schema": "llm.capture/1", "event_id": format!("e-{number}"), "tenant_id": tenant, "conversation_id": "c",
        "user_id": said("u-1"), "occurred_at": format!("2026-11-23T10:00:{number:02}Z"), "history": "full", "messages": messages,
    })
}

/// A value as it came, by what the page says of names.
fn restored(value: &Value, media: &BTreeMap<String, Vec<u8>>) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("sha256") && fields.contains_key("media") => {
            let bytes = &media[fields["media"].as_str().unwrap()];
            assert_eq!(fields["bytes"], bytes.len());
            assert_eq!(fields["encoding"], "base64");
            let prefix = fields
                .get("prefix")
                .map_or("", |prefix| prefix.as_str().unwrap());
            Value::String(format!("{prefix}{}", BASE64_STANDARD.encode(bytes)))
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.clone(), restored(value, media)))
                .collect()
        }
        Value::Array(items) => items.iter().map(|item| restored(item, media)).collect(),
        other => other.clone(),
    }
}

impl System {
    pub async fn object(&self, key: &str) -> Vec<u8> {
        let client = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        let object = client.get_object().bucket(&self.bucket).key(key).send();
        let body = object.await.unwrap().body.collect().await;
        body.unwrap().to_vec()
    }

    /// All media, by key.
    async fn media(&self) -> BTreeMap<String, Vec<u8>> {
        let mut media = BTreeMap::new();
        for key in self.objects("media/").await {
            let bytes = self.object(&key).await;
            media.insert(key, bytes);
        }
        media
    }

    /// The parts of all messages of an archived event, as they came.
    async fn parts(&self, reply: &Value) -> Vec<Value> {
        let object = self.object(reply["s3_key"].as_str().unwrap()).await;
        let object: Value = serde_json::from_slice(&object).unwrap();
        let media = self.media().await;
        let messages = object["messages"].as_array().unwrap().iter();
        messages
            .map(|message| restored(&message["parts"], &media))
            .collect()
    }

    /// Bytes of all rows that tell of messages.
    async fn row_bytes(&self) -> i64 {
        let bytes = "SELECT coalesce(sum(octet_length(m::text)), 0) FROM messages m";
        self.number(bytes, &[]).await
    }
}

fn parts_of(messages: &[Value]) -> Vec<Value> {
    let messages = messages.iter();
    messages.map(|message| message["parts"].clone()).collect()
}

#[tokio::test]
async fn an_image_that_is_sent_again_and_again_is_one_object_of_its_tenant() {
    let system = System::start("media").await;
    let image = image(1, 100 * KIB);
    let mut history = vec![
        message("input", "user", &json!([text("what is it"), blob(&image)])),
        message("input", "assistant", &json!([text("a cat")])),
        message("input", "user", &json!([blob(&image), text("and here")])),
        message("input", "assistant", &json!([text("a cat")])),
        message(
            "input",
            "tool",
            &json!([{"type": "tool_call_response", "id": "t", "response": [blob(&image)]}]),
        ),
    ];
    let mut sent = 0;
    for tenant in ["default", "another"] {
        let first: Vec<_> = history
            .iter()
            .cloned()
            .chain([message(
                "output",
                "assistant",
                &json!([text("still a cat")]),
            )])
            .collect();
        let event = call(tenant, 1, &first);
        sent += event.to_string().len();
        let reply = system.capture(&event).await;
        assert_eq!(reply["status"], "stored");
        assert_eq!(system.capture(&event).await["status"], "duplicate");
        assert_eq!(system.parts(&reply).await, parts_of(&first));
    }
    history.push(message("input", "assistant", &json!([text("still a cat")])));
    history.push(message("input", "user", &json!([text("sure?")])));
    let event = call("default", 2, &history);
    sent += event.to_string().len();
    let reply = system.capture(&event).await;
    assert_eq!(system.parts(&reply).await, parts_of(&history));

    let media = system.media().await;
    let keys: Vec<_> = media.keys().collect();
    assert_eq!(media.len(), 2, "{keys:?}");
    assert!(media.values().all(|bytes| *bytes == image));
    let of = |tenant: &str| {
        keys.iter()
            .any(|key| key.starts_with(&format!("media/v1/t={tenant}/sha256/")))
    };
    assert!(of("default") && of("another"), "{keys:?}");
    assert_eq!(system.object_versions().await, 5, "no put has replaced one");
    assert_eq!(
        system.messages().await,
        13,
        "what was sent again was found again"
    );
    let rows = system.row_bytes().await;
    assert!(
        rows * 10 <= i64::try_from(sent).unwrap(),
        "{rows} of {sent}"
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn nothing_is_cut_at_any_size() {
    let system = System::start("sizes").await;
    let uploads = system.stack.bucket("sizes").await.unwrap();
    system.define_capture(&[("CLAIM_CHECK_BUCKETS", &uploads)]);
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    // Base64 makes 5.9 MB of the last but one; the last is above what an invocation may bring.
    let sizes = [
        1,
        8 * KIB - 1,
        8 * KIB,
        100 * KIB,
        MIB,
        4400 * 1000,
        20 * MIB,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        let image = image(number as u64, size);
        // Words of the same size, but for those that lie in an object anyway.
        let words = said("w".repeat(if size > 5 * MIB { 10 } else { size }));
        for (kind, part) in [
            ("blob", blob(&image)),
            ("text", json!({"type": "text", "content": words})),
        ] {
            let conversation = format!("{kind}-{size}");
            let sent = [message("input", "user", &json!([part, text("?")]))];
            let mut event = json!({
                "schema": "llm.capture/1", "event_id": "e", "conversation_id": conversation, "messages": sent,
                "occurred_at": "2026-11-23T10:00:00Z",
            });
            if event.to_string().len() > 6 * MIB {
                let put = client.put_object().bucket(&uploads).key("large");
                let body = ByteStream::from(event.to_string().into_bytes());
                put.body(body).send().await.unwrap();
                event = json!({"body_ref": {"bucket": uploads, "key": "large"}, "user_id": said("u-1")});
            }
            let reply = system.capture(&event).await;
            assert_eq!(reply["status"], "stored", "{conversation}");
            assert!(
                system.parts(&reply).await == parts_of(&sent),
                "{conversation}"
            );
            let rows = "SELECT count(*) FROM messages WHERE conversation_id = $1 AND content_truncated = $2
                AND octet_length(content) <= 1048576 AND octet_length(parts::text) > $3";
            let is_cut = kind == "text" && words.len() > MIB;
            let whole = match kind {
                "text" => words.len(),
                _ if size < 8 * KIB => size,
                _ => 0,
            };
            let whole = i32::try_from(whole).unwrap();
            let found = system.number(rows, &[&conversation, &is_cut, &whole]).await;
            assert_eq!(found, 1, "{conversation}");
        }
    }
    let apart = sizes.into_iter().filter(|size| *size >= 8 * KIB).count();
    let media = system.media().await;
    assert_eq!(media.len(), apart);
    let mut lengths: Vec<_> = media.values().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, sizes[sizes.len() - apart..]);
}

#[tokio::test]
async fn an_event_whose_media_are_not_taken_is_not_stored_and_comes_again() {
    let system = System::start("mediaaway").await;
    system.announce("Capture.ArchiveUnavailable");
    let proxy = FaultProxy::start(system.stack.gateway().address())
        .await
        .unwrap();
    system.define_capture(&[("AWS_ENDPOINT_URL_S3", &proxy.endpoint())]);
    let seen = |number: usize| {
        let mut event = turn("seen", number);
        event["messages"][0]["parts"] = json!([text("what is it"), blob(&image(1, 100 * KIB))]);
        event.to_string()
    };
    let delivery = batch(&[seen(1), turn("said", 1).to_string(), seen(2)]);
    // Media do not come through; the object of an event would.
    proxy.set(Fault::CutAfterClientBytes(60_000)).await;
    assert_eq!(failures(&system.capture(&delivery).await), ["m-0", "m-2"]);
    assert_eq!(
        system.objects("").await.len(),
        1,
        "that of the event without an image"
    );
    assert_eq!(system.messages().await, 2);

    proxy.set(Fault::Pass).await;
    assert_eq!(failures(&system.capture(&delivery).await), [""; 0]);
    assert_eq!(system.objects("media/").await.len(), 1);
    assert_eq!(system.objects("conversations/").await.len(), 3);
    assert_eq!(system.messages().await, 6);
    system.assert_counters_are_exact().await;
}
