//! An event that was archived before, by another policy or by none.

use crate::adapt::captures;
use crate::capture::Capture;
use crate::delivery::{Delivery, Source};
use crate::json::Raw;
use crate::object::Object;
use crate::sanitize::clean;
use crate::{Document, Layout};

impl Capture {
    /// What was archived of this redacted event, if `body`, the object under the same key, holds the same event by another
    /// policy or by none; `None` if it holds another event.
    ///
    /// `plain` is the fingerprint that the event has without redaction. The object that is there counts, with its text: rows
    /// say what their object says.
    pub fn archived_before(
        &self,
        plain: [u8; 32],
        body: Vec<u8>,
        layout: Layout,
    ) -> Option<(Self, Object)> {
        let archived = archived(&body, layout, self.source)?;
        let known = match archived.redaction {
            Some(_) => self.fingerprint,
            None => plain,
        };
        let is_same = archived.fingerprint == known
            && archived.tenant_id == self.tenant_id
            && archived.conversation_id == self.conversation_id
            && archived.event_id == self.event_id;
        let key = layout.key(self);
        is_same.then(|| (archived, Object::archived(key, body)))
    }
}

/// The capture that an object of the archive holds.
fn archived(body: &[u8], layout: Layout, source: Source) -> Option<Capture> {
    let cleaned = clean(body);
    let document = Document::read(&cleaned).ok()?;
    let event = match layout {
        Layout::Turn => document.root().text(),
        Layout::Legacy => document.root().get("capture").map(Raw::text)?,
    };
    let cleaned = clean(event.as_bytes());
    let delivery = Delivery {
        source,
        ..Delivery::direct(None)
    };
    let mut captures = captures(Document::read(&cleaned).ok()?, &delivery).ok()?;
    captures.pop().filter(|_| captures.is_empty())
}
