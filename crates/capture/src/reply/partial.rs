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
        let failed = batch
            .items()
            .iter()
            .filter(|item| matches!(item.outcome(), Outcome::Failed(_)));
        let batch_item_failures = failed
            .filter_map(Item::record_id)
            .map(|id| FailedRecord {
                item_identifier: id.to_owned(),
            })
            .collect();
        Self {
            batch_item_failures,
        }
    }
}
