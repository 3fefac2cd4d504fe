//! What must hold for any payload whatever: a function that takes bytes and panics where it does not hold.
//!
//! `make fuzz TARGET=intake` has libFuzzer call it; the test here plays the corpus and the sample events again.

use archive::Put;
use serde_json::value::RawValue;
use store::Status;
use time::OffsetDateTime;

use crate::batch::Batch;
use crate::error::CaptureError;
use crate::intake::Intake;
use crate::item::{Item, Outcome};
use crate::reply::Reply;

/// Every payload is refused as a whole or made of items, and carried through stores that work each item comes to an end.
///
/// # Panics
/// Where that does not hold.
pub fn intake(input: &[u8]) {
    // What is no JSON the runtime refuses before anybody here sees it.
    let Ok(payload) = RawValue::from_string(String::from_utf8_lossy(input).into_owned()) else {
        return;
    };
    let intake = Intake {
        claim_check_buckets: vec!["conversation-uploads".to_owned()],
        ..Intake::default()
    };
    let Ok(mut batch) = Batch::read(payload, "request", &intake) else {
        return;
    };
    // Objects hold what the payload holds, since nobody knows better what might be in them.
    let claims = batch.to_fetch().into_iter();
    let objects = claims.map(|(position, _)| (position, Ok(input.to_vec())));
    let objects = objects.collect();
    batch.fetched(objects, &intake);
    assert!(batch.to_fetch().is_empty(), "an object refers to an object");
    for item in batch.items() {
        let is_kept = matches!(item.outcome(), Outcome::Kept);
        assert!(
            !is_kept || item.entries().is_empty(),
            "kept before anything is stored"
        );
    }
    carry(&mut batch);
    for item in batch.items() {
        check_item(item);
    }
    if let Ok(reply) = Reply::to(batch, OffsetDateTime::UNIX_EPOCH) {
        assert!(
            serde_json::to_string(&reply).is_ok(),
            "an answer that cannot be written"
        );
    }
}

/// Through stores that take everything.
fn carry(batch: &mut Batch) {
    let stored = || Ok(Put::Stored { version_id: None });
    let media = batch.media_to_archive();
    for (_, object) in &media {
        assert!(object.key.len() <= 1024 && object.is_named_by_content());
    }
    batch.media_archived(
        media
            .into_iter()
            .map(|(items, _)| (items, stored()))
            .collect::<Vec<_>>(),
    );
    let objects = batch.to_archive();
    for (_, object) in &objects {
        assert!(
            object.key.len() <= 1024 && object.key.starts_with(conversation::layout::CONVERSATIONS)
        );
    }
    batch.archived(
        objects
            .into_iter()
            .map(|(position, _)| (position, stored()))
            .collect::<Vec<_>>(),
    );
    let rows: Vec<_> = batch
        .to_ingest()
        .into_iter()
        .map(|(position, _)| (position, Ok(Status::Stored)))
        .collect();
    batch.ingested(rows);
    let inputs = batch.to_quarantine();
    for (_, object) in &inputs {
        assert!(
            object.key.len() <= 1024 && object.key.starts_with(conversation::layout::QUARANTINE)
        );
    }
    let puts = inputs
        .into_iter()
        .map(|(position, object)| (position, object.key.clone(), stored()));
    batch.quarantined(puts.collect::<Vec<_>>());
}

fn check_item(item: &Item) {
    match item.outcome() {
        Outcome::Failed(CaptureError::Unfinished) => panic!("left on its way"),
        Outcome::Failed(error) => assert!(!error.message().is_empty(), "an error without words"),
        Outcome::Kept | Outcome::PutAside(..) | Outcome::Skipped(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_corpus_of_intake_breaks_nothing() {
        for folder in ["../../fuzz/corpus/intake", "../../events"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut played = 0;
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let input = std::fs::read(&path).unwrap();
                    std::panic::catch_unwind(|| intake(&input))
                        .unwrap_or_else(|_| panic!("breaks a law: {}", path.display()));
                    played += 1;
                }
            }
            assert!(played > 5, "{played} inputs in {}", folder.display());
        }
    }
}
