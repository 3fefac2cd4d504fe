//! The media of a batch: put before the objects that name them, each content once.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::Put;
use conversation::Object;

use super::Batch;
use crate::error::CaptureError;
use crate::item::Progress;

impl Batch {
    /// The media that objects name which are to be archived, each with the positions of the items that need it.
    pub(crate) fn media_to_archive(&self) -> Vec<(Vec<usize>, Arc<Object>)> {
        let mut media: BTreeMap<&str, (Vec<usize>, Arc<Object>)> = BTreeMap::new();
        for (position, entry) in self.entries(|entry| entry.progress == Progress::Read) {
            for object in &entry.media {
                let (items, _) = media
                    .entry(&object.key)
                    .or_insert_with(|| (Vec::new(), Arc::clone(object)));
                if items.last() != Some(&position.item) {
                    items.push(position.item);
                }
            }
        }
        media.into_values().collect()
    }

    /// Takes note of what became of the puts of media. An item whose media are not there fails, and nothing of it is put.
    pub(crate) fn media_archived(
        &mut self,
        puts: impl IntoIterator<Item = (Vec<usize>, Result<Put, CaptureError>)>,
    ) {
        for (items, put) in puts {
            // Whatever lies under the key of a content is that content.
            let Err(error) = put else { continue };
            for item in items {
                if let Some(item) = self.items.get_mut(item) {
                    item.fail(error.again());
                }
            }
        }
        for item in &mut self.items {
            item.let_media_go();
        }
        self.hold_groups_back();
    }
}
