//! What an item gives back before it is done with: a batch may be as large as the memory of a small function allows.

use std::sync::Arc;

use super::{Entry, Item};

impl Item {
    /// Gives back media that were put, or never will be.
    pub(crate) fn let_media_go(&mut self) {
        for entry in &mut self.entries {
            entry.media = Vec::new();
        }
    }
}

impl Entry {
    /// Gives back a body that the bucket has.
    pub(super) fn let_body_go(&mut self) {
        // Somebody who has given up a put may still hold it, and lets it go soon.
        if let Some(object) = Arc::get_mut(&mut self.object) {
            object.body = Vec::new();
        }
    }
}
