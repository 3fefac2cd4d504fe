//! An erased person and an erased conversation do not come back.

use serde_json::json;
use store::{Ownership, Status};

use super::events::{Sample, at, turn, undated};
use super::{migrated, number, stack, store_all};

/// What the person does after the erasure is new; the conversation stays gone for ever.
#[tokio::test]
async fn erased_subjects_do_not_come_back() {
    let stack = stack().await;
    let (_, client) = migrated(&stack, "erasure").await;
    let requested_at = at(100);
    client
        .batch_execute(&format!(
            "INSERT INTO erasures (erasure_id, tenant_id, subject_kind, subject_hash, requested_at) VALUES
                 (gen_random_uuid(), 'default', 'user', sha256(convert_to('josé', 'UTF8')), '{requested_at}'),
                 (gen_random_uuid(), 'default', 'conversation', sha256(convert_to('gone', 'UTF8')), '{requested_at}')"
        ))
        .await
        .unwrap();
    let mut elsewhere = turn("b", "e3", Some("josé"), 1);
    elsewhere["tenant_id"] = json!("other");
    let samples = [
        (turn("a", "e1", Some("josé"), 99), Status::Erased),
        (undated(turn("b", "e2", Some("josé"), 0)), Status::Erased),
        (turn("gone", "e1", Some("ana"), 99), Status::Erased),
        (turn("gone", "e2", Some("ana"), 101), Status::Erased),
        (turn("a", "e2", Some("josé"), 101), Status::Stored),
        (turn("c", "e1", Some("ana"), 99), Status::Stored),
        (elsewhere, Status::Stored),
    ]
    .map(|(event, expected)| (Sample::new(&event), expected));
    let statuses = store_all(
        &client,
        &samples.each_ref().map(|(sample, _)| sample),
        Ownership::Enforce,
    )
    .await;
    assert_eq!(statuses, samples.map(|(_, expected)| expected));
    for table in ["capture_events", "conversations"] {
        let rows = number(&client, &format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(
            rows, 3,
            "{table} holds what was not erased, and nothing else"
        );
    }
}
