//! What a replay does not bring in, and says so.

use aws_sdk_s3::primitives::ByteStream;
use local::canary::said;
use serde_json::json;

use crate::capture::turn;
use crate::system::System;

impl System {
    /// Puts an object as anybody may who has the right to.
    pub async fn put_object(&self, key: &str, body: &[u8]) {
        let client = aws_sdk_s3::Client::new(&self.stack.sdk_config());
        let put = client.put_object().bucket(&self.bucket).key(key);
        put.body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_is_not_ours_is_left_out_by_name() {
    let system = System::start("leftout").await;
    let reply = system.capture(&turn("c", 1)).await;
    let key = reply["s3_key"].as_str().unwrap();
    let body = String::from_utf8(system.object(key).await).unwrap();
    let newer = "conversations/v1/t=default/dt=2026-11-23/c=c/100001000-newer.json";
    system
        .put_object(
            newer,
            body.replace("llm.capture/1", "llm.capture/2").as_bytes(),
        )
        .await;
    let copied = "conversations/v1/t=other/dt=2026-11-23/c=c/100001000-c-1.json";
    system.put_object(copied, body.as_bytes()).await;
    let original = "conversations/2025/11/23/conv-1.json";
    let of_original = json!({
        "conversation_id": "conv-1", "user_message": said("q"), "assistant_response": said("a"),
        "timestamp": "2025-11-23T10:00:00", "context": {}, "implementations": [], "user_id": "anonymous",
    });
    system
        .put_object(original, of_original.to_string().as_bytes())
        .await;
    system.empty_tables().await;

    let (replayed, exit) = system.document(&["replay"]).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("incomplete"), 7),
        "{replayed}"
    );
    assert_eq!(
        (
            &replayed["stored"],
            &replayed["unreadable"],
            &replayed["original"]
        ),
        (&1.into(), &2.into(), &1.into()),
        "{replayed}"
    );
    let left_out = replayed["left_out"].as_array().unwrap().iter();
    let left_out: Vec<_> = left_out
        .map(|left| {
            (
                left["key"].as_str().unwrap(),
                left["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        left_out,
        [
            (original, "original"),
            (newer, "newer"),
            (copied, "misplaced")
        ]
    );
    assert!(replayed.to_string().contains("llm.capture/2"), "{replayed}");
}

#[tokio::test]
async fn erased_subjects_stay_erased() {
    let system = System::start("erasedreplay").await;
    system.capture(&turn("gone", 1)).await;
    system.capture(&turn("kept", 1)).await;
    system.empty_tables().await;
    let client = system.database.superuser().await.unwrap();
    let erase = "INSERT INTO erasures (erasure_id, tenant_id, subject_kind, subject_hash)
        VALUES (gen_random_uuid(), 'default', 'conversation', sha256(convert_to('gone', 'UTF8')))";
    client.batch_execute(erase).await.unwrap();
    let (replayed, exit) = system.document(&["replay"]).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("ok"), 0),
        "{replayed}"
    );
    assert_eq!(
        (&replayed["stored"], &replayed["erased"]),
        (&1.into(), &1.into()),
        "{replayed}"
    );
    let rows = "SELECT count(*) FROM conversations";
    assert_eq!(system.number(rows, &[]).await, 1);
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("incomplete"), 7),
        "its object is to be removed: {swept}"
    );
    assert_eq!(swept["left_out"][0]["reason"], "erased", "{swept}");
}

/// Two users whose events nobody has judged yet: whose come in first owns the conversation, and every later rebuild agrees.
#[tokio::test]
async fn what_a_replay_refuses_stays_refused() {
    let system = System::start("judged").await;
    system.define_capture(&[("DURABILITY", "s3")]);
    for (number, user, day) in [(1, "ana", 23), (2, "eve", 22)] {
        let mut event = turn("c", number);
        event["user_id"] = json!(said(user));
        event["occurred_at"] = json!(format!("2026-11-{day}T10:00:00Z"));
        assert_eq!(system.capture(&event).await["status"], "archived");
    }
    let (replayed, _) = system.document(&["replay", "--since", "2026-11-23"]).await;
    assert_eq!(replayed["stored"], 1, "{replayed}");
    let owner = "SELECT count(*) FROM conversations WHERE user_id = $1 AND message_count = 2";
    for again in [false, true] {
        let (replayed, exit) = system.document(&["replay"]).await;
        assert_eq!(
            (replayed["foreign"].as_i64(), exit),
            (Some(1), 0),
            "{replayed}"
        );
        assert_eq!(system.objects("quarantine/").await.len(), 1);
        assert_eq!(system.number(owner, &[&said("ana")]).await, 1);
        if !again {
            // Of an empty database the object of the earlier day would be the first.
            system.empty_tables().await;
        }
    }
}
