//! What was put into the bucket, read back.

use crate::adapt::{self, AdaptError, Document, Fields};
use crate::capture::Capture;
use crate::delivery::Delivery;
use crate::layout::Layout;
use crate::object::Meta;
use crate::sanitize;

impl Capture {
    /// The capture that an object of the archive was made of, in either [`Layout`]: equal to that one but for its
    /// `source`, which the object does not tell.
    ///
    /// # Errors
    /// [`ArchivedError`], without any text of the object.
    pub fn from_archived(key: &str, body: &[u8]) -> Result<Self, ArchivedError> {
        let clean = sanitize::clean(body);
        if !clean.sanitized().is_clean() {
            return Err(ArchivedError::NotOurs);
        }
        let document = Document::read(&clean)?;
        let root = document.root().clone();
        let (layout, event) = match root
            .get("capture")
            .filter(|event| event.get("schema").is_some())
        {
            Some(event) if root.get("schema").is_none() => (Layout::Legacy, event.clone()),
            _ => (Layout::Turn, root),
        };
        let fields = Fields::read("", event.clone())?;
        let meta = event
            .get(Meta::KEY)
            .map(|meta| Fields::read(Meta::KEY, meta.clone()))
            .transpose()?;
        check_schema(&fields, meta.as_ref())?;
        let captures = adapt::captures(document.part(event), &Delivery::archived())?;
        let [capture] = <[Self; 1]>::try_from(captures).map_err(|_| ArchivedError::NotOurs)?;
        if layout.key(&capture) == key {
            Ok(capture)
        } else {
            Err(ArchivedError::Misplaced)
        }
    }
}

/// Why an object is not a capture that was archived here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchivedError {
    /// A later version of Turnkeep wrote it: use that one.
    #[error(
        "written by a later version, in schema `{schema}`; this version reads `llm.capture/1` and `turnkeep.capture/1`"
    )]
    Newer {
        /// The schema that it names.
        schema: String,
    },
    /// The capture function of `IaL` wrote it, before Turnkeep: it has neither an event id nor one object for each turn.
    #[error(
        "written by the original capture function, which kept one object for each conversation and day"
    )]
    Original,
    /// Nothing of ours: neither `schema` nor `_meta` says so, or it was altered.
    #[error("not an object of this archive")]
    NotOurs,
    /// The capture's key is another one: somebody has copied or moved the object.
    #[error("the object of another key, copied or moved here")]
    Misplaced,
    /// It is ours by its schema and cannot be read all the same: it was altered.
    #[error("cannot be read as a capture")]
    Unreadable(#[from] AdaptError),
}

impl ArchivedError {
    /// The error's stable name: `newer`, `original`, `not_ours`, `misplaced` or `unreadable`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "newer",
            Self::Original => "original",
            Self::NotOurs => "not_ours",
            Self::Misplaced => "misplaced",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// Only what we have written ourselves: an event that anybody else has put here was never checked for its tenant or user.
fn check_schema(event: &Fields<'_>, meta: Option<&Fields<'_>>) -> Result<(), ArchivedError> {
    let is_original = ["conversation_id", "user_message", "assistant_response"]
        .iter()
        .all(|key| event.mentions(key));
    let schema = event.peek_text("schema");
    match schema {
        None if is_original => return Err(ArchivedError::Original),
        Some(schema) if schema.starts_with("llm.capture/") && schema != "llm.capture/1" => {
            return Err(ArchivedError::Newer { schema });
        }
        Some(schema) if schema == "llm.capture/1" => {}
        _ => return Err(ArchivedError::NotOurs),
    }
    let Some(meta) = meta else {
        return Err(ArchivedError::NotOurs);
    };
    if Meta::is_ours(meta) {
        return if event.has("event_id") {
            Ok(())
        } else {
            Err(ArchivedError::NotOurs)
        };
    }
    match meta.peek_text("schema") {
        Some(schema) if schema.starts_with("turnkeep.capture/") => {
            Err(ArchivedError::Newer { schema })
        }
        _ => Err(ArchivedError::NotOurs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::captures_of;

    const EVENT: &str = r#"{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1","user_id":"ana",
        "occurred_at":"2026-11-23T10:00:00Z","messages":[{"role":"user","parts":[{"type":"text","content":"q"}]}]}"#;

    fn captured() -> Capture {
        captures_of(EVENT.as_bytes(), &Delivery::direct(None))
            .expect("captures")
            .remove(0)
    }

    #[track_caller]
    fn check(change: impl Fn(String) -> String, key: Option<&str>, code: &str) -> String {
        for layout in [Layout::Turn, Layout::Legacy] {
            let object = captured().object(layout);
            let body = change(String::from_utf8(object.body).expect("UTF-8"));
            let error = Capture::from_archived(key.unwrap_or(&object.key), body.as_bytes())
                .expect_err("an error");
            assert_eq!(error.code(), code, "{layout:?}: {error}");
            if layout == Layout::Legacy {
                return error.to_string();
            }
        }
        unreachable!("the last layout returns")
    }

    #[test]
    fn what_is_no_object_of_ours_is_told_by_name() {
        let replaced = |from: &'static str, to: &'static str| {
            move |body: String| {
                assert!(body.contains(from), "{body}");
                body.replace(from, to)
            }
        };
        insta::assert_snapshot!(check(replaced("llm.capture/1", "llm.capture/2"), None, "newer"), @"written by a later version, in schema `llm.capture/2`; this version reads `llm.capture/1` and `turnkeep.capture/1`");
        insta::assert_snapshot!(check(replaced("turnkeep.capture/1", "turnkeep.capture/2"), None, "newer"), @"written by a later version, in schema `turnkeep.capture/2`; this version reads `llm.capture/1` and `turnkeep.capture/1`");
        check(replaced("turnkeep.capture/1", "mine"), None, "not_ours");
        check(replaced("_meta", "meta"), None, "not_ours");
        check(replaced("event_id", "id_of_event"), None, "not_ours");
        check(
            replaced(r#""shape":"canonical""#, r#""shape":"morse""#),
            None,
            "unreadable",
        );
        check(|body| body[..body.len() / 2].to_owned(), None, "unreadable");
        check(
            |body| body,
            Some("conversations/v1/t=default/dt=2026-11-24/c=c-1/100000000-e-1.json"),
            "misplaced",
        );
        check(replaced(r#""e-1""#, r#""e-2""#), None, "misplaced");
        check(|_| "[]".to_owned(), None, "unreadable");
    }

    #[test]
    fn the_originals_object_is_told_from_ours() {
        let body = br#"{
  "conversation_id": "c-1", "user_message": "q", "assistant_response": "a", "timestamp": "2025-11-23T10:00:00",
  "context": {}, "implementations": [], "user_id": "anonymous"
}"#;
        let error = Capture::from_archived("conversations/2025/11/23/c-1.json", body)
            .expect_err("an error");
        assert_eq!(error.code(), "original");
    }

    #[test]
    fn an_error_says_nothing_of_what_was_said() {
        let object = captured().object(Layout::Turn);
        let body = String::from_utf8(object.body)
            .expect("UTF-8")
            .replace(r#""role":"user""#, r#""role":["canary"]"#);
        let error = Capture::from_archived(&object.key, body.as_bytes()).expect_err("an error");
        assert!(
            !format!("{error:?} {error}").contains("canary"),
            "{error:?}"
        );
    }
}
