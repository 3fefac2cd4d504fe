//! What a captured LLM exchange is: its shapes, its identity, its text and its place in S3.
//!
//! Start at [`adapt::captures`]: a [`Document`] and what is known about its delivery go in, [`Capture`]s come out,
//! ready for the archive ([`Capture::object`]) and for the database (the fields of [`Capture`] and [`Message`]).
//!
//! Everything here is a function from values to values: no clock, no network, no environment, no logging. The same
//! bytes delivered again give the same captures, the same ids, the same key and the same object, which is what makes
//! at-least-once delivery harmless.
//!
//! # Identity
//!
//! - **Event id**: the event's `event_id`; the id under which SNS or EventBridge published it; the provider's `response_id`;
//!   the source's id of the delivery; else the SHA-256 of the event and its time. An id of the source gets `#ordinal` if
//!   it stands for several events. Never of content alone: people say the same thing twice.
//! - **Time**: the event's `occurred_at`; the source's time of the delivery; else none, and never the time of processing,
//!   which is another one for every retry.
//! - **Message id**: the producer's. Else, where the history is sent in full, a link in a chain of hashes over tenant,
//!   conversation, previous id, role and the hash of the parts: a message that is sent again is found again, and an
//!   edited one begins a branch. System messages stand beside the chain, since prompts change from turn to turn, and
//!   reasoning is not hashed, since clients rarely send it back. Of a provider's parts only what makes them these parts is
//!   hashed, not what the provider adds to its answer or a client to its request. Several choices of one answer follow the
//!   same message. Else the event id and the message's number in the event.
//! - **Media** ([`Capture::media`]): the id of a message is made of all that its parts say, before bytes are taken out of
//!   them, so that it does not depend on which are.
//! - **Fingerprint**: SHA-256 of the stored event without its id and time, the parts of each message standing in it by
//!   their own hash, so that a repeated event can be told from another one under the same id.
//!
//! What is hashed is canonical JSON: keys sorted, numbers by value, and a string of 1 KiB or more by its own SHA-256.
//!
//! With [redaction](Redactor) these are hashes of text that is not stored, so they are made with a key
//! ([`adapt::captures_keyed`]): HMAC-SHA-256 in the place of SHA-256.

pub mod adapt;
mod archived;
mod caller;
mod capture;
mod content;
mod delivery;
mod identity;
mod instant;
mod json;
pub mod layout;
mod media;
mod object;
mod place;
#[cfg(test)]
mod properties;
mod rebuild;
mod redact;
pub mod sanitize;
mod transcript;
mod usage;

pub use adapt::{AdaptError, Document};
pub use archived::ArchivedError;
pub use caller::Caller;
pub use capture::{Capture, Direction, History, Implementation, Message, Part, Shape, Trace};
pub use content::CONTENT_MAX_BYTES;
pub use delivery::{Delivery, Source};
pub use json::{Json, MAX_DEPTH, Raw};
pub use layout::Layout;
pub use media::MEDIA_MIN_BYTES;
pub use object::{Object, Quarantine};
pub use place::{Ids, Place};
pub use rebuild::Rows;
pub use redact::{IdentityKey, Input, Policies, Redaction, Redactions, Redactor};
pub use sanitize::{Clean, Sanitized};
pub use usage::Usage;
