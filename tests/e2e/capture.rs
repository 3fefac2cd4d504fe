//! `conversation-capture`: nothing acknowledged is lost, nothing is stored twice.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::canary::said;
use serde_json::{Value, json};

use crate::system::{CAPTURE, System};

/// A turn of a conversation in the canonical shape, sent as the only new thing. Who said it may be in no log either.
pub fn turn(conversation: &str, number: usize) -> Value {
    json!({
        "schema": "llm.capture/1",
        "event_id": format!("{conversation}-{number}"),
        "conversation_id": conversation,
        "user_id": said("u-1"),
        "occurred_at": format!("2026-11-23T10:{:02}:{:02}Z", number / 60, number % 60),
        "history": "delta",
        "messages": [
            {"direction": "input", "role": "user", "parts": [{"type": "text", "content": said(format!("question {number}"))}]},
            {"direction": "output", "role": "assistant", "parts": [{"type": "text", "content": said(format!("resposta {number}"))}]},
        ],
    })
}

/// A queue's delivery of these bodies; the message ids are `m-0`, `m-1` and so on.
pub fn batch(bodies: &[String]) -> Value {
    let record = |(number, body): (usize, &String)| {
        json!({
            "messageId": format!("m-{number}"),
            "receiptHandle": "AQEB",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795428000000", "SenderId": "AIDA", "ApproximateFirstReceiveTimestamp": "1795428000001"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:conversations",
            "awsRegion": "us-east-1",
        })
    };
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// The message ids that a reply hands back to the queue.
pub fn failures(reply: &Value) -> Vec<&str> {
    let items = reply["batchItemFailures"]
        .as_array()
        .expect("a queue is answered with batchItemFailures");
    items
        .iter()
        .map(|item| item["itemIdentifier"].as_str().unwrap())
        .collect()
}

impl System {
    pub async fn objects(&self, prefix: &str) -> Vec<String> {
        let client = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        let mut pages = client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(
                page.unwrap()
                    .contents()
                    .iter()
                    .filter_map(|object| object.key().map(str::to_owned)),
            );
        }
        keys
    }

    pub async fn object_versions(&self) -> usize {
        let client = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        let listing = client
            .list_object_versions()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        listing.versions().len()
    }

    pub async fn messages(&self) -> i64 {
        self.number("SELECT count(*) FROM messages", &[]).await
    }

    /// I4: the counters of every conversation equal its rows.
    pub async fn assert_counters_are_exact(&self) {
        let wrong = "SELECT count(*) FROM conversations c WHERE message_count <>
            (SELECT count(*) FROM messages m WHERE (m.tenant_id, m.conversation_id) = (c.tenant_id, c.conversation_id))";
        assert_eq!(
            self.number(wrong, &[]).await,
            0,
            "conversations whose message_count is not the number of their messages"
        );
    }
}

/// What the original lost: the second turn of every conversation, in both stores.
#[tokio::test]
async fn every_turn_of_a_legacy_conversation_is_kept() {
    let system = System::start("turns").await;
    for number in 0..12 {
        let reply = system
            .capture(&json!({
                "conversation_id": "c-1",
                "user_id": said("ana"),
                "user_input": said(format!("pergunta {number}")),
                "assistant_output": said(format!("answer {number}")),
                "implementations": [{"file_path": "main.tf", "type": "terraform", "functionality": said("x"), "code_snippet": said("y")}],
            }))
            .await;
        assert_eq!(reply["statusCode"], 200);
        assert_eq!(reply["s3_stored"]["success"], true);
        assert_eq!(
            reply["db_stored"],
            json!({"success": true, "conversation_id": "c-1"})
        );
    }
    assert_eq!(system.objects("conversations/").await.len(), 12);
    assert_eq!(system.messages().await, 24);
    assert_eq!(
        system
            .number("SELECT count(*) FROM implementations", &[])
            .await,
        12
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn a_client_that_sends_the_whole_history_adds_only_what_is_new() {
    let system = System::start("history").await;
    let mut sent: Vec<Value> = Vec::new();
    for number in 0..50 {
        sent.push(json!({"direction": "input", "role": "user", "parts": [{"type": "text", "content": said(format!("q{number}"))}]}));
        let answer = |direction: &str| json!({"direction": direction, "role": "assistant", "parts": [{"type": "text", "content": said(format!("a{number}"))}]});
        let messages: Vec<_> = sent.iter().cloned().chain([answer("output")]).collect();
        system
            .capture(&json!({
                "schema": "llm.capture/1", "event_id": format!("e-{number}"), "conversation_id": "c", "history": "full",
                "occurred_at": format!("2026-11-23T10:{number:02}:00Z"), "response_model": "m", "messages": messages,
            }))
            .await;
        sent.push(answer("input"));
    }
    assert_eq!(system.messages().await, 100);
    assert_eq!(
        system
            .number(
                "SELECT count(*) FROM messages WHERE role = 'assistant' AND model = 'm'",
                &[]
            )
            .await,
        50
    );
    system.assert_counters_are_exact().await;

    // An edited question is a branch: a second child of the message before it.
    sent.truncate(98);
    sent.push(json!({"direction": "input", "role": "user", "parts": [{"type": "text", "content": said("edited")}]}));
    system
        .capture(&json!({
            "schema": "llm.capture/1", "event_id": "edited", "conversation_id": "c", "history": "full",
            "occurred_at": "2026-11-23T11:00:00Z", "messages": sent,
        }))
        .await;
    assert_eq!(system.messages().await, 101);
    let children = "SELECT count(*) FROM messages WHERE parent_message_id =
        (SELECT parent_message_id FROM messages WHERE content = $1)";
    assert_eq!(system.number(children, &[&said("edited")]).await, 2);
}

#[tokio::test]
async fn a_redelivered_event_changes_nothing() {
    let system = System::start("redelivery").await;
    let event = turn("c", 1);
    let first = system.capture(&event).await;
    assert_eq!(first["status"], "stored");
    for _ in 0..3 {
        let again = system.capture(&event).await;
        assert_eq!(again["status"], "duplicate");
        assert_eq!(again["s3_key"], first["s3_key"]);
    }
    assert_eq!(
        (system.messages().await, system.object_versions().await),
        (2, 1)
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn a_poisoned_record_harms_no_other() {
    let system = System::start("poison").await;
    system.announce(r#""outcome":"not_json""#);
    system.announce("Capture.UnknownShape");
    system.announce("Capture.InvalidField");
    let with_nul = turn("nul", 1)
        .to_string()
        .replace("question 1", r"nul \u0000 and half an emoji \ud83d");
    let reply = system
        .capture(&batch(&[
            turn("a", 1).to_string(),
            format!("{{not json: {}", said("anything")),
            json!({"neither": said("shape")}).to_string(),
            with_nul,
            json!({"schema": "llm.capture/1", "conversation_id": {"no": said("id")}, "messages": []}).to_string(),
            turn("b", 1).to_string(),
        ]))
        .await;
    assert_eq!(failures(&reply), ["m-2", "m-4"]);
    assert_eq!(system.messages().await, 6);
    let repaired = said("nul \u{fffd} and half an emoji \u{fffd}");
    let kept = "SELECT count(*) FROM messages WHERE content = $1";
    assert_eq!(system.number(kept, &[&repaired]).await, 1);
    assert_eq!(system.objects("quarantine/").await.len(), 1);
}

/// A lone surrogate in the outermost JSON fails every typed event inside the runtime, where nothing could be kept.
#[tokio::test]
async fn a_lone_surrogate_in_the_payload_itself_is_repaired() {
    let system = System::start("surrogate").await;
    let payload = turn("c", 1)
        .to_string()
        .replace("question 1", r"half \ud83d an emoji");
    let invoked = system.deliver(CAPTURE, payload).await;
    let reply: Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!(reply["sanitized"]["surrogate"], 1, "{reply}");
}

#[tokio::test]
async fn an_unknown_payload_is_an_error_and_stores_nothing() {
    let system = System::start("unknown").await;
    system.announce("Capture.UnknownShape");
    system.announce("Capture.SourceNotAccepted");
    let (code, message) = system
        .refused(CAPTURE, &json!({"hello": said("world")}))
        .await;
    assert_eq!(code, "Capture.UnknownShape");
    assert!(
        message.contains("llm.capture/1"),
        "it says what is accepted: {message}"
    );
    let value = BASE64_STANDARD.encode(turn("c", 1).to_string());
    let kafka = json!({"eventSource": "aws:kafka", "records": {"topic-0": [{"value": value}]}});
    assert_eq!(
        system.refused(CAPTURE, &kafka).await.0,
        "Capture.SourceNotAccepted"
    );
    let (code, _) = system.refused(CAPTURE, &json!(said("just text"))).await;
    assert_eq!(code, "Capture.UnknownShape");
    assert_eq!(system.objects("").await, [""; 0]);
    assert_eq!(
        system
            .number("SELECT count(*) FROM capture_events", &[])
            .await,
        0
    );
}

#[tokio::test]
async fn other_content_under_a_known_event_id_is_put_aside() {
    let system = System::start("conflict").await;
    system.announce(r#""outcome":"conflict""#);
    system.capture(&turn("c", 1)).await;
    let mut other = turn("c", 1);
    other["messages"][0]["parts"][0]["content"] = json!(said("something else"));
    let (code, message) = system.refused(CAPTURE, &other).await;
    assert_eq!(code, "Capture.Conflict", "{message}");
    assert_eq!(
        failures(&system.capture(&batch(&[other.to_string()])).await),
        [""; 0],
        "a queue may forget it"
    );
    assert_eq!(system.messages().await, 2);
    assert_eq!(
        system
            .number(
                "SELECT count(*) FROM messages WHERE content = $1",
                &[&said("question 1")]
            )
            .await,
        1
    );
    assert!(!system.objects("quarantine/").await.is_empty());
}

#[tokio::test]
async fn a_conversation_belongs_to_its_first_user() {
    let system = System::start("ownership").await;
    system.announce(r#""outcome":"foreign""#);
    system.capture(&turn("c", 1)).await;
    let mut foreign = turn("c", 2);
    foreign["user_id"] = json!(said("u-2"));
    assert_eq!(system.refused(CAPTURE, &foreign).await.0, "Capture.Foreign");
    let mut nameless = turn("c", 3);
    nameless.as_object_mut().unwrap().remove("user_id");
    assert_eq!(
        system.refused(CAPTURE, &nameless).await.0,
        "Capture.Foreign"
    );
    assert_eq!(system.messages().await, 2);
    assert_eq!(
        system
            .number(
                "SELECT count(*) FROM capture_events WHERE outcome = 'foreign'",
                &[]
            )
            .await,
        2
    );

    system.define_capture(&[("OWNERSHIP", "record")]);
    let mut recorded = turn("c", 4);
    recorded["user_id"] = json!(said("u-2"));
    assert_eq!(system.capture(&recorded).await["status"], "stored");
}

/// One statement per invocation, whatever the size of the batch, and nothing else on a warm connection.
#[tokio::test]
async fn a_warm_invocation_is_one_statement() {
    let system = System::start("statements").await;
    let bodies = |from: usize, to: usize| {
        (from..to)
            .map(|number| turn("c", number).to_string())
            .collect::<Vec<_>>()
    };
    system.capture(&batch(&bodies(0, 1))).await;
    let calls = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        JOIN pg_roles r ON r.oid = s.userid WHERE d.datname = $1 AND r.rolname = $2";
    let server = system.stack.server().superuser("postgres").await.unwrap();
    let count = async || -> i64 {
        server
            .query_one(calls, &[&system.database.name, &system.application])
            .await
            .unwrap()
            .get(0)
    };
    let before = count().await;
    system.stack.gateway().clear_calls();
    system.capture(&batch(&bodies(1, 2))).await;
    system.capture(&batch(&bodies(2, 40))).await;
    assert_eq!(count().await - before, 2);
    let calls = system.stack.gateway().calls();
    let of_s3: Vec<_> = calls.iter().filter(|call| call.service == "S3").collect();
    assert_eq!(of_s3.len(), 39, "one call of S3 for each event: {of_s3:?}");
    assert!(of_s3.iter().all(|call| call.operation == "PutObject"));
    // Two of half a megabyte do not fit into one statement of a megabyte with a third, and none is lost between two.
    let large = |number| {
        let mut event = turn("large", number);
        event["metadata"] = json!({"filler": "x".repeat(400_000)});
        event.to_string()
    };
    let before = count().await;
    let reply = system
        .capture(&batch(&[large(0), large(1), large(2)]))
        .await;
    assert_eq!(reply, json!({"batchItemFailures": []}));
    assert_eq!(count().await - before, 2);
    let stored = "SELECT count(*) FROM messages WHERE conversation_id = 'large'";
    let database = system
        .stack
        .server()
        .superuser(&system.database.name)
        .await
        .unwrap();
    let rows: i64 = database.query_one(stored, &[]).await.unwrap().get(0);
    assert_eq!(rows, 6);
}
