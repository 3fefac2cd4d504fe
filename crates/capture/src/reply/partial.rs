//! What a source is told that asks for the records which failed.

use serde::Serialize;

use crate::batch::Batch;
use crate::item::{Item, Outcome};

/// The partial batch response of the AWS Lambda Developer Guide. What it does not list, the source forgets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialBatch {
    batch_item_failures: Vec<FailedRecord>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedRecord {
    item_identifier: String,
}

impl PartialBatch {
    /// All records that failed, in the order of the batch.
    pub(super) fn each(batch: &Batch) -> Self {
        Self::of(failed(batch))
    }

    /// The first record that failed: a stream delivers it and all that comes after it again.
    pub(super) fn first(batch: &Batch) -> Self {
        Self::of(failed(batch).take(1))
    }

    fn of<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let batch_item_failures = ids
            .map(|id| FailedRecord {
                item_identifier: id.to_owned(),
            })
            .collect();
        Self {
            batch_item_failures,
        }
    }
}

fn failed(batch: &Batch) -> impl Iterator<Item = &str> {
    let failed = batch
        .items()
        .iter()
        .filter(|item| matches!(item.outcome(), Outcome::Failed(_)));
    let mut last = None;
    // An object may have been several items of one record.
    failed
        .filter_map(Item::record_id)
        .filter(move |id| last.replace(*id) != Some(*id))
}
