//! `turnkeep sweep`: what archive and database do not have in common is found and repaired in one run.

use aws_sdk_s3::Client;
use serde_json::{Value, json};

use crate::capture::{batch, turn};
use crate::capture_media::{blob, image};
use crate::store::rows::{assert_counters, assert_same, dump};
use crate::system::System;

/// Injected of each kind.
const ORPHANS: usize = 24;

impl System {
    fn s3(&self) -> Client {
        Client::new(&self.stack.sdk_config())
    }

    /// Deletes an object as a person does: its versions stay.
    async fn delete_object(&self, key: &str) {
        let delete = self.s3().delete_object().bucket(&self.bucket).key(key);
        delete.send().await.unwrap();
    }

    /// Deletes an object with all its versions.
    async fn destroy_object(&self, key: &str) {
        let versions = self
            .s3()
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(key)
            .send();
        for version in versions.await.unwrap().versions() {
            let delete = self.s3().delete_object().bucket(&self.bucket).key(key);
            delete
                .version_id(version.version_id().unwrap())
                .send()
                .await
                .unwrap();
        }
    }

    async fn execute(&self, statement: &str) {
        let client = self.database.superuser().await.unwrap();
        client.batch_execute(statement).await.unwrap();
    }
}

/// Three conversations of as many turns as orphans are injected; the first one's ids are no keys.
async fn filled(hint: &str) -> (System, String) {
    let system = System::start(hint).await;
    for conversation in ["a/1", "b", "c"] {
        let bodies: Vec<_> = (0..ORPHANS)
            .map(|number| {
                let mut event = turn(conversation, number);
                event["usage"] = json!({"input_tokens": 5, "output_tokens": 2});
                event.to_string()
            })
            .collect();
        system.capture(&batch(&bodies)).await;
    }
    let client = system.database.superuser().await.unwrap();
    let rows = dump(&client).await;
    (system, rows)
}

/// What a sweep has counted: orphans, missing, altered, restored, lost, wrong counters.
fn counts(swept: &Value) -> [i64; 6] {
    let count = |value: &Value| value.as_i64().unwrap();
    let events = &swept["events"];
    [
        count(&swept["objects"]["without_rows"]),
        count(&events["missing"]),
        count(&events["altered"]),
        count(&events["restored"]),
        count(&events["lost"]),
        count(&swept["counters"]["wrong"]),
    ]
}

#[tokio::test]
async fn every_orphan_of_both_kinds_is_repaired_in_one_run() {
    let (system, rows) = filled("sweep").await;
    // Objects without rows: a whole conversation, and single events of another one.
    system
        .execute("DELETE FROM conversations WHERE conversation_id = 'a/1'")
        .await;
    system
        .execute(
            "DELETE FROM capture_events WHERE conversation_id = 'c' AND event_id IN ('c-3', 'c-4')",
        )
        .await;
    // Rows without their object: most are deleted, some have other bytes.
    let keys = system
        .objects("conversations/v1/t=default/dt=2026-11-23/c=b/")
        .await;
    assert_eq!(keys.len(), ORPHANS);
    for (number, key) in keys.iter().enumerate() {
        if number % 4 == 0 {
            system.put_object(key, b"{}").await;
        } else {
            system.delete_object(key).await;
        }
    }
    // Counters that equal nothing.
    system
        .execute(
            "UPDATE conversations SET message_count = message_count + 3, input_tokens = 0, implementation_count = 1
             WHERE conversation_id = 'b'",
        )
        .await;
    let (orphans, altered) = (i64::try_from(ORPHANS).unwrap() + 2, 6);
    let missing = i64::try_from(ORPHANS).unwrap() - altered;

    let (planned, exit) = system.document(&["sweep", "--dry-run"]).await;
    assert_eq!(
        (planned["outcome"].as_str(), exit),
        (Some("planned"), 7),
        "{planned}"
    );
    // What is stored again brings its tokens with it, so that the counters of `c` are wrong before and right after.
    assert_eq!(
        counts(&planned),
        [orphans, missing, altered, 0, 0, 2],
        "{planned}"
    );
    assert_eq!(
        system.objects("conversations/").await.len(),
        3 * ORPHANS - 18,
        "a plan repairs nothing"
    );

    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("repaired"), 0),
        "{swept}"
    );
    assert_eq!(
        counts(&swept)[..5],
        [orphans, missing, altered, missing + altered, 0],
        "{swept}"
    );

    let (again, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (again["outcome"].as_str(), exit),
        (Some("clean"), 0),
        "{again}"
    );
    assert_eq!(counts(&again), [0; 6], "{again}");
    let client = system.database.superuser().await.unwrap();
    assert_counters(&client).await;
    assert_same(&rows, &dump(&client).await, "swept");
    for key in &keys {
        assert!(
            system
                .object(key)
                .await
                .starts_with(br#"{"schema":"llm.capture/1""#),
            "{key}"
        );
    }
}

/// What neither S3 nor the rows tell is named, every time, and the rest is repaired all the same.
#[tokio::test]
async fn what_is_lost_is_named() {
    let (system, _) = filled("lost").await;
    let keys = system
        .objects("conversations/v1/t=default/dt=2026-11-23/c=b/")
        .await;
    system.destroy_object(&keys[0]).await;
    system
        .execute(
            "DELETE FROM messages WHERE conversation_id = 'b' AND event_id = 'b-0' AND ordinal = 1",
        )
        .await;
    system.execute("UPDATE conversations SET message_count = message_count - 1 WHERE conversation_id = 'b'").await;
    system.delete_object(&keys[1]).await;
    for restored in [1, 0] {
        let (swept, exit) = system.document(&["sweep"]).await;
        assert_eq!(
            (swept["outcome"].as_str(), exit),
            (Some("incomplete"), 7),
            "{swept}"
        );
        assert_eq!(
            counts(&swept),
            [0, 1 + restored, 0, restored, 1, 0],
            "{swept}"
        );
        assert_eq!(swept["left_out"][0]["key"], keys[0].as_str(), "{swept}");
        assert_eq!(swept["left_out"][0]["reason"], "missing", "{swept}");
    }
}

/// A row says only that there was an image: its bytes are looked after as objects are.
#[tokio::test]
async fn media_that_messages_name_are_restored() {
    let system = System::start("sweptmedia").await;
    let [asked, shown, answered] = [1, 2, 3].map(|seed| image(seed, 9000));
    let event = |number: usize, parts: &[Value]| {
        let mut event = turn("a", number);
        let parts = parts.iter().cloned();
        event["messages"][0]["parts"]
            .as_array_mut()
            .unwrap()
            .extend(parts);
        event
    };
    let sha256 = "0".repeat(64);
    let of_another = json!({"type": "x", "media": format!("media/v1/t=other/sha256/00/00/{sha256}"), "sha256": sha256});
    let result = json!({"type": "tool_call_response", "id": "t", "result": [blob(&answered)]});
    let first = event(0, &[blob(&asked), of_another, result]);
    let second = event(1, &[blob(&asked), blob(&shown)]);
    let bodies = [first, second].map(|event| event.to_string());
    system.capture(&batch(&bodies)).await;
    let mut keys = Vec::new();
    let media = system.objects("media/").await;
    for bytes in [&asked, &shown, &answered] {
        for key in &media {
            if system.object(key).await == *bytes {
                keys.push(key.clone());
            }
        }
    }
    assert_eq!(keys.len(), 3, "{media:?}");
    let counts = |swept: &Value| {
        let media = &swept["media"];
        ["checked", "missing", "altered", "restored", "lost"].map(|of| media[of].as_i64().unwrap())
    };

    system.delete_object(&keys[0]).await;
    system.put_object(&keys[2], b"{}").await;
    let (planned, exit) = system.document(&["sweep", "--dry-run"]).await;
    assert_eq!(
        (planned["outcome"].as_str(), exit),
        (Some("planned"), 7),
        "{planned}"
    );
    assert_eq!(counts(&planned), [3, 1, 1, 0, 0], "{planned}");
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("repaired"), 0),
        "{swept}"
    );
    assert_eq!(counts(&swept), [3, 1, 1, 2, 0], "{swept}");
    for (key, bytes) in keys.iter().zip([&asked, &shown, &answered]) {
        assert!(system.object(key).await == *bytes, "{key}");
        let head = system.s3().head_object().bucket(&system.bucket).key(key);
        let head = head.send().await.unwrap();
        assert_eq!(
            head.content_type(),
            Some("application/octet-stream"),
            "{key}"
        );
    }

    system.destroy_object(&keys[1]).await;
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("incomplete"), 7),
        "{swept}"
    );
    assert_eq!(counts(&swept), [3, 1, 0, 0, 1], "{swept}");
    let left_out = &swept["left_out"][0];
    assert_eq!(
        (&left_out["key"], &left_out["reason"]),
        (&keys[1].as_str().into(), &"missing".into()),
        "{swept}"
    );
    let (swept, exit) = system.document(&["sweep", "--until", "2026-11-22"]).await;
    assert_eq!((counts(&swept), exit), ([0; 5], 0), "{swept}");
    // What lies in another bucket is said of its events.
    system
        .execute("UPDATE capture_events SET s3_bucket = 'another'")
        .await;
    let (swept, _) = system.document(&["sweep"]).await;
    assert_eq!(counts(&swept), [0; 5], "{swept}");
    assert_eq!(swept["events"]["elsewhere"], 2, "{swept}");
}

/// The ledger has the checksum of what was put, so that an object made of rows is the same one or none.
#[tokio::test]
async fn what_s3_has_lost_is_made_again_of_its_rows() {
    let (system, rows) = filled("rebuilt").await;
    let keys = system
        .objects("conversations/v1/t=default/dt=2026-11-23/c=b/")
        .await;
    let body = system.object(&keys[0]).await;
    for key in &keys {
        system.destroy_object(key).await;
    }
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("repaired"), 0),
        "{swept}"
    );
    assert_eq!(swept["events"]["rebuilt"], ORPHANS, "{swept}");
    assert_eq!(system.object(&keys[0]).await, body);
    let client = system.database.superuser().await.unwrap();
    assert_same(&rows, &dump(&client).await, "rebuilt");
}

#[tokio::test]
async fn a_sweep_that_is_killed_goes_on_where_it_was() {
    let (system, rows) = filled("killedsweep").await;
    let wrong = "UPDATE conversations SET message_count = 1 WHERE conversation_id = 'b'";
    system.execute(wrong).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let arguments = ["sweep", "--resume", state];
    // The counters are the last part.
    let lock = "BEGIN; SELECT FROM conversations WHERE conversation_id = 'b' FOR UPDATE";
    let held = system.held(lock).await;
    system.killed(&arguments, state).await;
    drop(held);

    let (swept, exit) = system.document(&arguments).await;
    assert_eq!(exit, 0, "{swept}");
    // The server may have finished what it was asked for by the one that was killed.
    assert_eq!(
        (&swept["objects"]["checked"], &swept["counters"]["checked"]),
        (&0.into(), &3.into()),
        "it did not begin anew: {swept}"
    );
    assert!(!std::fs::exists(state).unwrap(), "all is done");
    let client = system.database.superuser().await.unwrap();
    assert_same(&rows, &dump(&client).await, "killed and gone on");
}

#[tokio::test]
async fn a_part_is_swept_by_day_and_conversation() {
    let (system, rows) = filled("sweptpart").await;
    system.execute("DELETE FROM conversations").await;
    let (swept, _) = system.document(&["sweep", "--since", "2026-11-24"]).await;
    assert_eq!(swept["objects"]["checked"], 0, "{swept}");
    let (swept, _) = system.document(&["sweep", "--conversation", "a/1"]).await;
    assert_eq!(swept["objects"]["stored"], ORPHANS, "{swept}");
    let (swept, exit) = system.document(&["sweep", "--until", "2026-11-23"]).await;
    assert_eq!(
        (swept["objects"]["stored"].as_u64(), exit),
        (u64::try_from(2 * ORPHANS).ok(), 0),
        "{swept}"
    );
    let client = system.database.superuser().await.unwrap();
    assert_same(&rows, &dump(&client).await, "swept");
}
