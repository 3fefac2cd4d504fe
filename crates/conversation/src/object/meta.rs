//! `_meta`: what we say of an event in its object.

use super::{Entries, counts};
use crate::adapt::{AdaptError, Fields};
use crate::capture::{Capture, Shape};
use crate::json::Draft;
use crate::redact::{Redaction, Redactions};
use crate::sanitize::Sanitized;

/// What we say about a capture in its object.
#[derive(Default)]
pub(crate) struct Meta {
    pub(crate) shape: Option<Shape>,
    pub(crate) sanitized: Sanitized,
    pub(crate) redaction: Option<Redaction>,
    /// Only of a redacted event: of any other the event itself makes it.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

impl Meta {
    pub(crate) const KEY: &str = "_meta";
    pub(crate) const SCHEMA: &str = "turnkeep.capture/1";

    pub(super) fn of(capture: &Capture) -> Self {
        Self {
            shape: Some(capture.shape),
            sanitized: capture.sanitized,
            redaction: capture.redaction.clone(),
            fingerprint: capture.redaction.is_some().then_some(capture.fingerprint),
        }
    }

    /// Whether these fields were written by us, and not by a producer who uses the same key.
    pub(crate) fn is_ours(fields: &Fields<'_>) -> bool {
        fields.peek_text("schema").as_deref() == Some(Self::SCHEMA)
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, AdaptError> {
        fields.raw("schema");
        let shapes = Shape::ALL.map(|shape| (shape.as_str(), shape));
        let shape = fields.word("shape", &shapes, "the name of a shape that is known here")?;
        let mut sanitized = Sanitized::default();
        if let Some(mut counts) = fields.fields("sanitized")? {
            let mut count =
                |key| Ok::<_, AdaptError>(counts.count(key)?.unwrap_or(0).unsigned_abs());
            sanitized = Sanitized {
                nul: count("nul")?,
                surrogate: count("surrogate")?,
                utf8: count("utf8")?,
            };
        }
        let mut meta = Self {
            shape,
            sanitized,
            ..Self::default()
        };
        meta.read_redaction(fields)?;
        Ok(meta)
    }

    fn read_redaction(&mut self, fields: &mut Fields<'_>) -> Result<(), AdaptError> {
        let fingerprint = fields.peek_text("fingerprint");
        let fingerprint = fingerprint.and_then(|text| hex::decode(text).ok()?.try_into().ok());
        let (Some(fingerprint), Some(policy)) = (fingerprint, fields.peek_text("policy")) else {
            return Ok(());
        };
        fields.raw("fingerprint");
        fields.raw("policy");
        let mut redactions = Redactions::default();
        if let Some(mut counts) = fields.fields("redactions")? {
            let kinds: Vec<_> = counts.names().map(str::to_owned).collect();
            for kind in kinds {
                redactions.add(&kind, counts.count(&kind)?.unwrap_or(0).unsigned_abs());
            }
        }
        self.redaction = Some(Redaction { policy, redactions });
        self.fingerprint = Some(fingerprint);
        Ok(())
    }

    pub(super) fn drafted(&self) -> Draft<'_> {
        let Sanitized {
            nul,
            surrogate,
            utf8,
        } = self.sanitized;
        let sanitized = [("nul", nul), ("surrogate", surrogate), ("utf8", utf8)];
        let mut meta = Entries::default();
        meta.text("schema", Self::SCHEMA);
        meta.optional("shape", self.shape.map(Shape::as_str));
        meta.filled(
            "sanitized",
            counts(sanitized.into_iter().filter(|(_, count)| *count > 0)),
        );
        if let Some(redaction) = &self.redaction {
            meta.text("policy", &redaction.policy);
            meta.filled("redactions", counts(redaction.redactions.entries()));
            meta.owned("fingerprint", self.fingerprint.map(hex::encode));
        }
        meta.into()
    }
}
