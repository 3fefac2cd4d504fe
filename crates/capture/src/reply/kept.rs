//! What a sender who waits for an answer is told of events that were kept.

use conversation::{Capture, Sanitized, Shape};
use serde::Serialize;
use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::item::{Entry, Progress};

/// As precise as the database, and as the original was.
const TIMESTAMP: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// One event, several, or one of the shapes of the original and of the function before it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Kept {
    Event(Success<EventBody>),
    Events(Success<EventsBody>),
    Legacy(Success<LegacyBody>),
    Text(Success<TextBody>),
}

impl Kept {
    /// Answers for an input that was `repaired` and of which all `entries` are kept; `now` is the time of handling.
    pub(super) fn of(entries: &[Entry], repaired: Sanitized, now: OffsetDateTime) -> Self {
        let redactions = entries.iter().map(Entry::redactions).sum();
        match entries {
            [entry] if entry.capture.shape == Shape::Legacy => {
                let body = LegacyBody::of(entry, now);
                Self::Legacy(Success::new(body, repaired, redactions))
            }
            [entry] if matches!(entry.capture.shape, Shape::Text | Shape::TextInBody) => {
                let body = TextBody::of(entry, now);
                Self::Text(Success::new(body, repaired, redactions))
            }
            [entry] => Self::Event(Success::new(EventBody::of(entry), repaired, redactions)),
            several => {
                let events = several.iter().map(EventBody::of).collect();
                Self::Events(Success::new(EventsBody { events }, repaired, redactions))
            }
        }
    }
}

/// Everything else is an error.
#[derive(Debug, Serialize)]
pub(super) struct Success<T> {
    #[serde(rename = "statusCode")]
    status_code: u16,
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    sanitized: Option<Repairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redactions: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct EventBody {
    status: &'static str,
    tenant_id: String,
    conversation_id: String,
    event_id: String,
    s3_key: String,
    messages: usize,
    implementations: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct EventsBody {
    events: Vec<EventBody>,
}

#[derive(Debug, Serialize)]
pub(super) struct LegacyBody {
    conversation_id: String,
    s3_stored: LegacyArchived,
    db_stored: LegacyRows,
    timestamp: String,
    status: &'static str,
    event_id: String,
}

/// What the function before the original answered.
#[derive(Debug, Serialize)]
pub(super) struct TextBody {
    conversation_id: String,
    timestamp: String,
    s3_key: String,
    message: &'static str,
    status: &'static str,
    event_id: String,
}

#[derive(Debug, Serialize)]
struct LegacyArchived {
    success: bool,
    s3_key: String,
}

#[derive(Debug, Serialize)]
struct LegacyRows {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    /// That they are left to somebody else; `None` if they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    deferred: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Repairs {
    nul: u32,
    surrogate: u32,
    utf8: u32,
}

impl<T> Success<T> {
    fn new(body: T, repaired: Sanitized, redactions: u64) -> Self {
        let Sanitized {
            nul,
            surrogate,
            utf8,
        } = repaired;
        let sanitized = (!repaired.is_clean()).then_some(Repairs {
            nul,
            surrogate,
            utf8,
        });
        Self {
            status_code: 200,
            body,
            sanitized,
            redactions: Some(redactions).filter(|count| *count > 0),
        }
    }
}

impl EventBody {
    fn of(entry: &Entry) -> Self {
        let Entry {
            capture,
            object,
            progress,
            ..
        } = entry;
        Self {
            status: progress.as_str(),
            tenant_id: capture.tenant_id.clone(),
            conversation_id: capture.conversation_id.clone(),
            event_id: capture.event_id.clone(),
            s3_key: object.key.clone(),
            messages: capture.messages.len(),
            implementations: capture.implementations.len(),
        }
    }
}

impl LegacyBody {
    fn of(entry: &Entry, now: OffsetDateTime) -> Self {
        let Entry {
            capture,
            object,
            progress,
            ..
        } = entry;
        Self {
            conversation_id: capture.conversation_id.clone(),
            s3_stored: LegacyArchived {
                success: true,
                s3_key: object.key.clone(),
            },
            db_stored: match progress {
                Progress::Deferred => LegacyRows {
                    success: false,
                    conversation_id: None,
                    deferred: Some(true),
                },
                _ => LegacyRows {
                    success: true,
                    conversation_id: Some(capture.conversation_id.clone()),
                    deferred: None,
                },
            },
            timestamp: timestamp(capture, now),
            status: progress.as_str(),
            event_id: capture.event_id.clone(),
        }
    }
}

impl TextBody {
    fn of(entry: &Entry, now: OffsetDateTime) -> Self {
        let Entry {
            capture,
            object,
            progress,
            ..
        } = entry;
        Self {
            conversation_id: capture.conversation_id.clone(),
            timestamp: timestamp(capture, now),
            s3_key: object.key.clone(),
            message: "conversation captured",
            status: progress.as_str(),
            event_id: capture.event_id.clone(),
        }
    }
}

/// The event's time, or that of handling for an event that has none.
fn timestamp(capture: &Capture, now: OffsetDateTime) -> String {
    let timestamp = capture.occurred_at.unwrap_or(now);
    let utc = timestamp.to_offset(UtcOffset::UTC);
    // It cannot fail: every component has what it needs.
    utc.format(TIMESTAMP).unwrap_or_default()
}
