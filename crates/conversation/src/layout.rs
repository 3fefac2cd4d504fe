//! Where an object lies in the bucket.
//!
//! ```text
//! conversations/v1/t={tenant}/dt=2026-11-23/c={conversation}/100000123-{event}.json    a capture
//! conversations/v1/t={tenant}/dt=undated/c={conversation}/{event}.json                 one that has no time
//! media/v1/t={tenant}/sha256/ab/cd/{sha256}                                            bytes that captures name
//! quarantine/v1/dt=2026-11-23/{source}/{delivery}-{hash of the input}.json             an input kept aside
//! ```
//!
//! The time is that of the event, in UTC, so that a retry after midnight finds the same key.

use sha2::{Digest as _, Sha256};

use crate::capture::Capture;
use crate::delivery::Delivery;
use crate::instant;

/// Prefix of all captures of [`Layout::Turn`].
pub const CONVERSATIONS: &str = "conversations/v1/";

/// Prefix of all media, whatever the layout of captures.
pub const MEDIA: &str = "media/v1/";

/// Prefix of all inputs kept aside.
pub const QUARANTINE: &str = "quarantine/v1/";

/// How keys and bodies of archived captures are laid out (`S3_LAYOUT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `conversations/v1/t=…/dt=YYYY-MM-DD/c=…/HHMMSSmmm-event.json`, the canonical event.
    #[default]
    Turn,
    /// `conversations/YYYY/MM/DD/conversation/event.json`, with the seven fields that readers of the original know and
    /// the canonical event under `capture`.
    ///
    /// Tenants other than `default` lie under `conversations/t=…/`, which the original did not have.
    Legacy,
}

impl Layout {
    /// The accepted values of `S3_LAYOUT`.
    pub const ACCEPTED: [&'static str; 2] = ["turn", "legacy"];

    /// Reads a value of `S3_LAYOUT`; `None` if it is not one of [`Layout::ACCEPTED`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "turn" => Some(Self::Turn),
            "legacy" => Some(Self::Legacy),
            _ => None,
        }
    }

    /// The key of a capture: at most 1024 bytes, another one for every other (tenant, conversation, event id).
    pub fn key(self, capture: &Capture) -> String {
        let tenant = segment(&capture.tenant_id);
        let conversation = segment(&capture.conversation_id);
        let event = segment(&capture.event_id);
        match (self, capture.occurred_at) {
            (Self::Turn, Some(instant)) => {
                let (date, clock) = (instant::date(instant), instant::compact_clock(instant));
                format!("{CONVERSATIONS}t={tenant}/dt={date}/c={conversation}/{clock}-{event}.json")
            }
            (Self::Turn, None) => {
                format!("{CONVERSATIONS}t={tenant}/dt=undated/c={conversation}/{event}.json")
            }
            (Self::Legacy, instant) => {
                let date = instant.map_or("undated".to_owned(), |instant| {
                    instant::date(instant).replace('-', "/")
                });
                let tenant = if tenant == "default" {
                    String::new()
                } else {
                    format!("t={tenant}/")
                };
                format!("conversations/{tenant}{date}/{conversation}/{event}.json")
            }
        }
    }
}

/// The key of an input kept aside. The hash is there because one id can bring two contents: that is what a conflict is.
pub(crate) fn quarantine_key(delivery: &Delivery, input: &[u8]) -> String {
    let date = delivery.time.map_or("undated".to_owned(), instant::date);
    let source = delivery.source.as_str();
    let id = segment(delivery.id.as_deref().unwrap_or("unnamed"));
    format!(
        "{QUARANTINE}dt={date}/{source}/{id}-{}.json",
        short_hash(input)
    )
}

/// The key of media: one for each content of a tenant.
pub(crate) fn media_key(tenant_id: &str, sha256: [u8; 32]) -> String {
    let sha256 = hex::encode(sha256);
    let (first, rest) = sha256.split_at(2);
    let (second, _) = rest.split_at(2);
    let tenant = tenant_prefix(tenant_id);
    format!("{MEDIA}{tenant}sha256/{first}/{second}/{sha256}")
}

/// SHA-256 of the media that lie under `key`; `None` if that is no key of this tenant's media.
pub fn media_sha256(tenant_id: &str, key: &str) -> Option<[u8; 32]> {
    let (_, sha256) = key.rsplit_once('/')?;
    let sha256 = hex::decode(sha256).ok()?.try_into().ok()?;
    (media_key(tenant_id, sha256) == key).then_some(sha256)
}

/// Below which prefix a tenant's own objects lie, in a bucket that several tenants share: `t=…/`.
pub fn tenant_prefix(tenant_id: &str) -> String {
    format!("t={}/", segment(tenant_id))
}

/// How long an id may be in a key, in bytes: three of them and the rest stay far below S3's 1024.
const SEGMENT_MAX_BYTES: usize = 120;

/// An id as one segment of a key: a tenant's stands behind `t=`, a conversation's in [`Layout::Turn`] behind `c=`.
///
/// ASCII letters, digits, `-`, `_` and `.` stay: what S3 calls safe, cannot leave its segment, and looks like nothing
/// else in a listing. An id of other characters or of more than 120 bytes is replaced by a likeness of it, `_` and 16
/// hex digits of its SHA-256. An id that itself looks like such a replacement is replaced too, so none stands for
/// another.
pub fn segment(id: &str) -> String {
    let is_safe =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let is_dotted = id.starts_with('.');
    if id.chars().all(is_safe)
        && !is_dotted
        && !id.is_empty()
        && id.len() <= SEGMENT_MAX_BYTES
        && !is_replacement(id)
    {
        return id.to_owned();
    }
    let room = SEGMENT_MAX_BYTES - SHORT_HASH_DIGITS - 1;
    let likeness = id
        .chars()
        .map(|character| if is_safe(character) { character } else { '_' })
        .take(room);
    let likeness: String = likeness.collect();
    let likeness = if is_dotted {
        likeness.replacen('.', "_", 1)
    } else {
        likeness
    };
    format!("{likeness}_{}", short_hash(id.as_bytes()))
}

const SHORT_HASH_DIGITS: usize = 16;

pub(crate) fn is_replacement(id: &str) -> bool {
    id.rsplit_once('_').is_some_and(|(_, end)| {
        end.len() == SHORT_HASH_DIGITS
            && end
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn short_hash(bytes: &[u8]) -> String {
    let mut hash = hex::encode(Sha256::digest(bytes));
    hash.truncate(SHORT_HASH_DIGITS);
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(id: &str, expected: &str) {
        assert_eq!(segment(id), expected);
    }

    #[test]
    fn plain_ids_stay_and_all_others_get_a_hash() {
        check("c-1", "c-1");
        check("01JD_x.y-Z", "01JD_x.y-Z");
        check(&"a".repeat(120), &"a".repeat(120));
        check("a/b", "a_b_c14cddc033f64b9d");
        check("..", "_._5ec1f7e700f37c3d");
        check("../../etc", "_._.._etc_74ccf3c5b4c19a81");
        check("h:1", "h_1_fb7c4b1b2a231857");
        check("a_c14cddc033f64b9d", "a_c14cddc033f64b9d_5bceefd497ee979e");
    }

    #[test]
    fn long_ids_differ_though_their_likeness_does_not() {
        let (left, right) = (
            format!("{}1", "a".repeat(4096)),
            format!("{}2", "a".repeat(4096)),
        );
        assert_ne!(segment(&left), segment(&right));
        assert_eq!(segment(&left).len(), SEGMENT_MAX_BYTES);
    }

    #[test]
    fn media_are_told_by_their_key() {
        let key = media_key("a", [0xab; 32]);
        assert_eq!(media_sha256("a", &key), Some([0xab; 32]));
        assert_eq!(media_sha256("b", &key), None, "of another tenant");
        assert_eq!(media_sha256("a", &key.to_uppercase()), None);
        assert_eq!(media_sha256("a", &key[..key.len() - 1]), None);
        assert_eq!(media_sha256("a", "media/v1/"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn hostile_ids_stay_in_their_segment_and_apart(ids in proptest::collection::vec(hostile(), 2..6)) {
            let mut seen = HashMap::new();
            // Segments are ids as well: those that somebody reads in a listing and sends back.
            let segments: Vec<_> = ids.iter().map(|id| segment(id)).collect();
            for id in ids.into_iter().chain(segments) {
                let segment = segment(&id);
                prop_assert!(!segment.is_empty() && segment.len() <= SEGMENT_MAX_BYTES);
                prop_assert!(!segment.starts_with('.'));
                prop_assert!(segment.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'\\'));
                if let Some(other) = seen.insert(segment, id.clone()) {
                    prop_assert_eq!(other, id);
                }
            }
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[./\\\\_a]{0,6}",
            "\\PC{0,40}",
            "[a-b]{118,123}",
            Just("😀".repeat(1000)),
            "a_[0-9a-f]{16}",
        ]
    }
}
