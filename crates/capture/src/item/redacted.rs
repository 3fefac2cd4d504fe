//! What redaction has to do with an item: what of it is stored, and what was stored of it before.

use std::sync::Arc;

use archive::Stored;
use conversation::{AdaptError, Capture, Layout, Redactions, Redactor};

use super::{Entry, Item, Progress, Reason};
use crate::error::CaptureError;
use crate::intake::Intake;

impl Entry {
    /// A capture as it may be stored.
    pub(super) fn new(mut capture: Capture, intake: &Intake) -> Self {
        let plain = capture.fingerprint;
        let media = std::mem::take(&mut capture.media).into_iter();
        let capture = match &intake.redactor {
            Some(redactor) => redactor.capture(capture),
            None => capture,
        };
        let object = capture.object(intake.layout);
        Self {
            bytes: object.body.len(),
            object: Arc::new(object),
            capture,
            media: media.map(Arc::new).collect(),
            plain,
            progress: Progress::Read,
        }
    }

    /// Takes what was archived of the same event before, by another policy, in the place of what was made of it now.
    fn archived_before(&mut self, stored: Stored, layout: Layout) -> bool {
        let Stored {
            body, version_id, ..
        } = stored;
        let Some((capture, object)) = self.capture.archived_before(self.plain, body, layout) else {
            return false;
        };
        self.capture = capture;
        self.bytes = object.body.len();
        self.object = Arc::new(object);
        self.progress = Progress::Archived { version_id };
        true
    }

    /// How much was taken out of it.
    pub(crate) fn redactions(&self) -> u64 {
        let redaction = self.capture.redaction.as_ref();
        redaction.map_or(0, |redaction| redaction.redactions.total())
    }
}

impl Item {
    /// An error of adapting, which may name fields of the event.
    pub(super) fn error(error: AdaptError, redactor: Option<&Redactor>) -> CaptureError {
        match redactor {
            Some(redactor) => redactor.error(error),
            None => error,
        }
        .into()
    }

    /// Whether an object that is not the same may be of the same event.
    pub(super) fn may_have_been_redacted(&self) -> bool {
        self.redactor.is_some()
    }

    /// Takes note of the object that lies under the key of a capture.
    pub(crate) fn compared(
        &mut self,
        entry: usize,
        stored: Result<Stored, CaptureError>,
        layout: Layout,
    ) {
        let Some(entry) = self.entries.get_mut(entry) else {
            return;
        };
        match stored {
            Err(error) => self.fail(error),
            Ok(stored) => {
                if !entry.archived_before(stored, layout) {
                    entry.progress = Progress::Out;
                    let event_id = entry.capture.event_id.clone();
                    self.put_aside(Reason::Conflict { event_id });
                }
            }
        }
    }

    /// The input as it may be put aside.
    pub(super) fn input(&self) -> (Vec<u8>, Redactions) {
        let input = &self.arrived.input;
        let Some(redactor) = &self.redactor else {
            return (input.clone(), Redactions::default());
        };
        let mut tenants: Vec<&str> = self
            .entries
            .iter()
            .map(|entry| entry.capture.tenant_id.as_str())
            .collect();
        tenants.dedup();
        let redacted = redactor.input(input, tenants.into_iter());
        (redacted.bytes, redacted.redactions)
    }

    /// How much was taken out of its captures.
    pub(crate) fn redactions(&self) -> u64 {
        self.entries.iter().map(Entry::redactions).sum()
    }
}

#[cfg(test)]
mod tests {
    use archive::Put;
    use conversation::{IdentityKey, Policies};
    use store::Status;

    use super::*;
    use crate::batch::tests::payload;
    use crate::batch::{Batch, Position};
    use crate::item::Outcome;

    const EVENT: &str =
        r#"{"conversation_id":"c","event_id":"e","user_input":"I am ana@example.com"}"#;
    const OTHER: &str =
        r#"{"conversation_id":"c","event_id":"e","user_input":"I am bob@example.com"}"#;
    const AT: Position = Position { item: 0, entry: 0 };

    fn read(event: &str, policy: &str) -> Batch {
        let key = IdentityKey::new(&[7; IdentityKey::MIN_BYTES]).unwrap();
        let policies = Policies::parse(policy).unwrap().unwrap();
        let intake = Intake {
            redactor: Some(Arc::new(Redactor::new(policies, key))),
            ..Intake::default()
        };
        Batch::read(payload(event), "request", &intake).unwrap()
    }

    /// The batch of an event under whose key an object lies already, which `stored` made.
    fn meeting(event: &str, stored: &Batch) -> (Batch, Vec<u8>) {
        let mut batch = read(event, "hash");
        let put = Put::AlreadyStored {
            version_id: Some("v-1".to_owned()),
            same_content: false,
        };
        batch.archived([(AT, Ok(put))]);
        assert_eq!(batch.to_ingest().len(), 0, "nothing is known yet");
        let body = stored.to_archive()[0].1.body.clone();
        let keys: Vec<_> = batch.to_compare().into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, [stored.to_archive()[0].1.key.clone()]);
        let object = Stored {
            body: body.clone(),
            sha256: [0; 32],
            put_at: None,
            version_id: Some("v-1".to_owned()),
        };
        batch.compared(AT, Ok(object), Layout::Turn);
        (batch, body)
    }

    #[test]
    fn rows_are_made_of_the_object_that_is_there() {
        let (mut batch, body) = meeting(EVENT, &read(EVENT, "mask"));
        let [(AT, entry)] = batch.to_ingest()[..] else {
            panic!("one capture");
        };
        assert_eq!(entry.object.body, body);
        assert_eq!(entry.capture.messages[0].content().0, "I am [email]");
        let version_id = Some("v-1".to_owned());
        assert_eq!(entry.progress, Progress::Archived { version_id });
        batch.ingested([(AT, Ok(Status::Duplicate))]);
        assert!(matches!(batch.items()[0].outcome(), Outcome::Kept));
    }

    #[test]
    fn other_content_is_a_conflict_and_put_aside_without_what_it_says() {
        let (batch, _) = meeting(EVENT, &read(OTHER, "mask"));
        assert_eq!(batch.to_ingest().len(), 0);
        let object = &batch.to_quarantine()[0].1;
        let body = String::from_utf8(object.body.clone()).unwrap();
        assert!(body.contains("I am [email:"), "{body}");
        assert!(body.contains(r#""redactions":{"email":1}"#), "{body}");
        assert!(!body.contains("example.com"), "{body}");
    }

    #[test]
    fn an_object_that_cannot_be_read_fails_the_item() {
        let mut batch = read(EVENT, "mask");
        let put = Put::AlreadyStored {
            version_id: None,
            same_content: false,
        };
        batch.archived([(AT, Ok(put))]);
        let late = CaptureError::Late { step: "a test" };
        batch.compared(AT, Err(late), Layout::Turn);
        assert!(matches!(batch.items()[0].outcome(), Outcome::Failed(_)));
    }

    #[test]
    fn an_error_names_no_field_that_is_one() {
        let batch = read(r#"{"AKIAIOSFODNN7EXAMPLE":1}"#, "mask");
        let Outcome::Failed(error) = batch.items()[0].outcome() else {
            panic!("no shape");
        };
        assert!(
            error.message().contains("`[aws_access_key]`"),
            "{}",
            error.message()
        );
    }
}
