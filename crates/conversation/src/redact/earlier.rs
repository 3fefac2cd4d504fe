//! An event that was archived before, by another policy or by none.

use crate::Layout;
use crate::capture::Capture;
use crate::object::Object;

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
        let key = layout.key(self);
        let mut archived = Self::from_archived(&key, &body).ok()?;
        archived.source = self.source;
        let known = match archived.redaction {
            Some(_) => self.fingerprint,
            None => plain,
        };
        let is_same = archived.fingerprint == known
            && archived.tenant_id == self.tenant_id
            && archived.conversation_id == self.conversation_id
            && archived.event_id == self.event_id;
        is_same.then(|| (archived, Object::archived(key, body)))
    }
}
