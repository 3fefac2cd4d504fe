//! Redaction: what people write about themselves is in no object, row, log, metric and reply, and events stay what they are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::canary::{self, said};
use local::{Fault, FaultProxy};
use serde_json::{Value, json};

use crate::capture::{batch, failures};
use crate::capture_sources::request;
use crate::system::{CAPTURE, System};

/// Name of the secret with the key.
const KEY: &str = "identity-key";

/// One of each kind, and by what it would be recognised.
const CANARIES: [(&str, &str); 7] = [
    ("ana.qcanary@example.com", "ana.qcanary"),
    ("+49 151 70617061", "70617061"),
    ("5105 1051 0510 5100", "0510 5100"),
    ("DE89 3704 0044 0532 0130 00", "0532 0130"),
    ("AKIAQQCANARYQQQQQQQQ", "AKIAQQCANARYQQQQQQQQ"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "dozjgNryP4J3jVmNHl0w5N",
    ),
    (
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n-----END PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw",
    ),
];

impl System {
    /// As [`System::start`], with the key, and redaction by `policy`.
    pub async fn redacting(hint: &str, policy: &str) -> Self {
        let system = Self::start(hint).await;
        let key = format!("{}{}", canary::PASSWORD, "k".repeat(32));
        system.stack.create_secret(KEY, &key.into()).unwrap();
        system.redact(policy);
        system
    }

    /// Has redaction done by another policy from now on.
    fn redact(&self, policy: &str) {
        self.stack.functions().retire(CAPTURE);
        self.define_capture(&[("REDACTION", policy), ("IDENTITY_KEY_SECRET", KEY)]);
    }

    /// Everything that is kept, written or answered: objects with their keys, rows, the log with the metrics in it.
    async fn all_that_is_kept(&self) -> Vec<(String, String)> {
        let mut kept = Vec::new();
        let client = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        for key in self.objects("").await {
            let object = client.get_object().bucket(&self.bucket).key(&key);
            let body = object.send().await.unwrap().body.collect().await.unwrap();
            let text = String::from_utf8_lossy(&body.to_vec()).into_owned();
            kept.push((key.clone(), format!("{key}\n{text}")));
        }
        kept.extend(self.rows().await);
        let log = self.stack.functions().log(CAPTURE);
        let lines: Vec<_> = log.into_iter().map(|line| line.text).collect();
        kept.push(("the log".to_owned(), lines.join("\n")));
        kept
    }

    /// All rows of all tables, as text.
    async fn rows(&self) -> Vec<(String, String)> {
        let client = self.database.superuser().await.unwrap();
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
        let mut rows = Vec::new();
        for table in client.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let all = format!(
                "SELECT coalesce(string_agg(to_jsonb(t)::text, E'\\n' ORDER BY to_jsonb(t)::text), '') FROM {table} t"
            );
            rows.push((table, client.query_one(&all, &[]).await.unwrap().get(0)));
        }
        rows
    }

    async fn outcomes(&self, outcome: &str) -> i64 {
        let counted = "SELECT count(*) FROM capture_events WHERE outcome = $1";
        self.number(counted, &[&outcome]).await
    }

    /// The one text of a conversation's first message.
    async fn first_content(&self, conversation: &str) -> String {
        let client = self.database.superuser().await.unwrap();
        let first =
            "SELECT content FROM messages WHERE conversation_id = $1 ORDER BY ordinal LIMIT 1";
        client
            .query_one(first, &[&conversation])
            .await
            .unwrap()
            .get(0)
    }
}

/// A turn in which everything that can be written says all canaries.
fn confession(tenant: &str, conversation: &str, event: &str, user: &str) -> Value {
    let texts = CANARIES.map(|(text, _)| text);
    let text = said(texts.join(", "));
    let in_json = json!({"inner": text}).to_string();
    let units: Vec<String> = texts[0]
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let escaped = units.concat();
    let each: Value = texts
        .iter()
        .map(|text| ((*text).to_owned(), json!(text)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "schema": "llm.capture/1", "event_id": event, "tenant_id": tenant, "conversation_id": conversation, "user_id": user,
        "occurred_at": "2026-11-23T10:00:00Z", "history": "delta",
        "operation": text, "provider": text, "request_model": text, "response_model": text, "finish_reasons": [text],
        "error": {"message": text}, "system_instructions": [{"type": "text", "content": text}],
        "messages": [
            {"direction": "input", "role": "user", "name": text, "parts": [{"type": "text", "content": text}, {"type": "text", "content": escaped}], "note": each},
            {"direction": "output", "role": "assistant", "finish_reason": text, "parts": [
                {"type": "reasoning", "content": text},
                {"type": "tool_call", "id": "t", "name": "send", "arguments": {"to": each, "json": in_json, "number": 5_105_105_105_105_100_u64}},
                {"type": "tool_call_response", "id": "t", "response": in_json},
                {"type": "blob", "modality": "audio", "content": "AAAA", "transcript": text},
                {"type": "uri", "modality": "image", "uri": format!("https://example.test/?to={}", texts[0].replace('@', "%40"))},
                {"type": "other", "x": [[each]]}]}],
        "implementations": [{"file_path": text, "type": text, "functionality": text, "code_snippet": text, "language": text, "extra": each}],
        "context": each, "metadata": {"k": each}, "tags": texts, "unknown": each,
    })
}

#[track_caller]
fn assert_nothing_is_left(kept: &[(String, String)]) {
    for (sink, text) in kept {
        for (_, mark) in CANARIES {
            for mark in [mark.to_owned(), mark.replace(' ', "")] {
                if let Some(form) = canary::form_of(&mark, text) {
                    panic!("{sink} has `{mark}` ({form}): {text}");
                }
            }
        }
    }
}

async fn nothing_is_left_by(mode: &str) {
    let system = System::redacting(&format!("redact{mode}"), mode).await;
    for warning in ["conflict", "foreign", "not_json"] {
        system.announce(&format!(r#""outcome":"{warning}""#));
    }
    system.announce("Capture.UnknownShape");
    let mut replies = Vec::new();
    let first = confession("default", "c-1", "e-1", "u-1");
    replies.push(system.capture(&first).await);
    assert!(
        replies[0]["redactions"].as_u64().unwrap() > 50,
        "{}",
        replies[0]
    );

    // All that is put aside: an input that is no JSON, also in Base64, a conflict, a stranger's event.
    let text = first.to_string();
    let cut = &text[..text.len() - 2];
    let mut conflict = first.clone();
    conflict["tags"] = json!([CANARIES[0].0, "other"]);
    let stranger = confession("default", "c-1", "e-2", "u-2");
    let pair = json!({
        "conversation_id": "c-2", "request": {"model": "m", "messages": [{"role": "user", "content": said(CANARIES[0].0)}], "user": CANARIES[4].0},
        "response": {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": format!("Is it {}?", CANARIES[2].0), "annotations": [CANARIES[1].0]}}]},
    });
    let legacy = json!({"conversation_id": "c-3", "user_input": said(CANARIES[3].0), "assistant_output": CANARIES[5].0,
        "context": {"key": CANARIES[6].0}, "implementations": [{"code_snippet": CANARIES[4].0}]});
    let bodies = [
        cut.to_owned(),
        BASE64_STANDARD.encode(cut),
        conflict.to_string(),
        stranger.to_string(),
        pair.to_string(),
        legacy.to_string(),
        json!({CANARIES[4].0: said("an unknown shape")}).to_string(),
    ];
    let reply = system.capture(&batch(&bodies)).await;
    assert_eq!(failures(&reply), ["m-6"], "the unknown shape");
    replies.push(reply);
    let refused = system
        .refused(CAPTURE, &json!({CANARIES[4].0: said("unknown")}))
        .await;
    replies.push(json!([refused.0, refused.1]));
    assert_eq!(system.objects("quarantine/").await.len(), 4);
    assert_eq!(
        system.objects("conversations/").await.len(),
        4,
        "the stranger's was archived before the database told"
    );

    let mut kept = system.all_that_is_kept().await;
    let all = kept
        .iter()
        .map(|(_, text)| text.as_str())
        .collect::<String>();
    let token = if mode == "mask" { "[email]" } else { "[email:" };
    assert!(all.contains(token), "there was something to be taken out");
    assert!(all.contains(r#""Redactions":"#), "the metric");
    kept.push(("the replies".to_owned(), format!("{replies:?}")));
    assert_nothing_is_left(&kept);
}

#[tokio::test]
async fn nothing_is_left_by_masking() {
    nothing_is_left_by("mask").await;
}

#[tokio::test]
async fn nothing_is_left_by_hashing() {
    nothing_is_left_by("hash").await;
}

#[tokio::test]
async fn each_tenant_has_its_policy() {
    let policy = r#"{"mode":"mask","tenants":{"acme":"hash","labs":"off"}}"#;
    let system = System::redacting("tenants", policy).await;
    let say = |tenant: &str| {
        json!({"schema": "llm.capture/1", "event_id": "e", "tenant_id": tenant, "conversation_id": tenant,
            "messages": [{"role": "user", "content": format!("{} {}", said("I am"), CANARIES[0].0)}]})
    };
    for tenant in ["default", "acme", "labs"] {
        system.capture(&say(tenant)).await;
    }
    assert!(system.first_content("default").await.ends_with("[email]"));
    assert!(system.first_content("acme").await.contains("[email:"));
    assert!(system.first_content("labs").await.ends_with(CANARIES[0].0));
}

fn history(event: &str, turns: usize) -> Value {
    let turn = |number: usize| {
        let role = ["user", "assistant"][number % 2];
        json!({"role": role, "content": format!("{} {}", said(number), CANARIES[0].0)})
    };
    json!({"schema": "llm.capture/1", "event_id": event, "conversation_id": "c", "messages": (0..turns).map(turn).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_history_that_is_sent_again_adds_what_is_new() {
    let system = System::redacting("redacthistory", "mask").await;
    for turns in [2, 4, 6] {
        system.capture(&history(&format!("e-{turns}"), turns)).await;
        assert_eq!(system.messages().await, i64::try_from(turns).unwrap());
    }
    system.redact("drop");
    system.capture(&history("e-8", 8)).await;
    assert_eq!(
        system.messages().await,
        8,
        "another policy is no other conversation"
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn an_event_that_comes_again_after_a_change_of_policy_is_a_duplicate() {
    let system = System::redacting("policies", "mask").await;
    let event = history("e-1", 2);
    assert_eq!(system.capture(&event).await["status"], "stored");
    let (rows, versions) = (system.rows().await, system.object_versions().await);
    for policy in ["hash", "drop", r#"{"mode":"off"}"#, "mask"] {
        system.redact(policy);
        assert_eq!(
            system.capture(&event).await["status"],
            "duplicate",
            "{policy}"
        );
        assert_eq!(system.object_versions().await, versions, "{policy}");
    }
    let without_bookkeeping = |rows: Vec<(String, String)>| {
        rows.into_iter()
            .filter(|(table, _)| table.ends_with("messages"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        without_bookkeeping(system.rows().await),
        without_bookkeeping(rows)
    );
    assert_eq!(
        (system.outcomes("stored").await, system.messages().await),
        (1, 2)
    );

    // Other content under the same id is a conflict all the same.
    system.announce(r#""outcome":"conflict""#);
    system.redact("hash");
    let mut other = event.clone();
    other["messages"][0]["content"] = json!(said("something else"));
    let reply = system.capture(&batch(&[other.to_string()])).await;
    assert_eq!(failures(&reply), [""; 0]);
    assert_eq!(system.objects("quarantine/").await.len(), 1);
    assert_eq!(system.messages().await, 2);
}

#[tokio::test]
async fn an_event_of_before_redaction_is_a_duplicate_too() {
    let system = System::redacting("before", "off").await;
    let event = history("e-1", 2);
    assert_eq!(system.capture(&event).await["status"], "stored");
    system.redact("mask");
    assert_eq!(system.capture(&event).await["status"], "duplicate");
    assert_eq!(system.messages().await, 2);
}

/// Rows say what their object says, also where that was written under an earlier policy.
#[tokio::test]
async fn rows_follow_the_object_that_is_there() {
    let system = System::redacting("objectfirst", "mask").await;
    system.announce("Capture.DatabaseUnavailable");
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    let variables = |policy| [("REDACTION", policy), ("IDENTITY_KEY_SECRET", KEY)];
    let port = proxy.port().to_string();
    system.define_capture(&[&variables("mask")[..], &[("DB_PORT", &port)]].concat());
    proxy.set(Fault::Refuse).await;
    let event = history("e-1", 1);
    system.refused(CAPTURE, &event).await;
    system.redact("hash");
    assert_eq!(system.capture(&event).await["status"], "stored");
    let content = system.first_content("c").await;
    assert!(content.ends_with("[email]"), "{content}");
    let client = aws_sdk_s3::Client::new(&system.stack.sdk_config());
    let [key] = &system.objects("conversations/").await[..] else {
        panic!("one object");
    };
    let object = client
        .get_object()
        .bucket(&system.bucket)
        .key(key)
        .send()
        .await
        .unwrap();
    let bytes = i64::try_from(object.body.collect().await.unwrap().to_vec().len()).unwrap();
    let named = "SELECT count(*) FROM capture_events WHERE s3_key = $1 AND body_bytes::bigint = $2";
    assert_eq!(system.number(named, &[key, &bytes]).await, 1);
}

#[tokio::test]
async fn without_a_key_nothing_is_taken_in() {
    let system = System::start("nokey").await;
    system.redact("mask");
    system.announce("Capture.KeyUnavailable");
    let event = history("e-1", 1);
    let (code, message) = system.refused(CAPTURE, &event).await;
    assert_eq!(code, "Capture.KeyUnavailable", "{message}");
    assert_eq!(system.objects("").await, [""; 0]);
    // Neither what is no JSON is put aside as it is, nor is what has an unknown shape described.
    let bodies = [
        event.to_string(),
        format!("{{{}", said("cut")),
        json!({CANARIES[0].0: said("unknown")}).to_string(),
    ];
    let reply = system.capture(&batch(&bodies)).await;
    assert_eq!(failures(&reply), ["m-0", "m-1", "m-2"]);
    let (status, _) = system
        .send(&request(&json!({"sub": said("u-1")}), &event.to_string()))
        .await;
    assert_eq!(status, 503);
    assert_nothing_is_left(&system.all_that_is_kept().await);
    assert_eq!(system.objects("").await, [""; 0]);
    let short = canary::PASSWORD.to_owned();
    system.stack.create_secret(KEY, &short.into()).unwrap();
    let (_, message) = system.refused(CAPTURE, &event).await;
    assert!(message.contains("32 bytes"), "{message}");
    assert_eq!(system.objects("").await, [""; 0]);
}
