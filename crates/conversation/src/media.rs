//! Media: bytes that an event has in Base64, kept once for each content and named where they stood.
//!
//! In the place of the text stands an object, so that its key, its neighbours and whatever else the part says stay as
//! they were:
//!
//! ```json
//! {"type":"blob","mime_type":"image/png","content":
//!   {"media":"media/v1/t=default/sha256/ab/cd/abcd…","sha256":"abcd…","bytes":102400,"mime_type":"image/png","encoding":"base64"}}
//! ```
//!
//! The text is `prefix`, if there is one (`data:image/png;base64,`), and the bytes in `encoding`: exactly the text that
//! came, since only what reads back as it was written is taken out.
//!
//! Ids of messages are made before, of the whole text. What is stored and hashed as stored (`content_sha256`, the
//! fingerprint) names the media, which is the same content by another name.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::capture::{Capture, Message, Part};
use crate::identity;
use crate::json::{Json, MAX_DEPTH};
use crate::layout;
use crate::object::Object;

/// How many bytes become an object of their own: fewer cost less where they stand than a request for them.
pub const MEDIA_MIN_BYTES: usize = 8 * 1024;

/// The shortest text of that many bytes.
const MIN_TEXT: usize = MEDIA_MIN_BYTES.div_ceil(3) * 4 - 1;

/// The first that reads a text is its encoding. Each refuses what it would not write itself: other padding, bits that
/// stand for nothing, line breaks.
static ENCODINGS: [(&str, GeneralPurpose); 4] = [
    ("base64", STANDARD),
    ("base64url", URL_SAFE),
    ("base64-unpadded", STANDARD_NO_PAD),
    ("base64url-unpadded", URL_SAFE_NO_PAD),
];

impl Capture {
    /// With the media of its parts in [`Capture::media`]. Doing so again changes nothing.
    pub(crate) fn with_media_apart(mut self) -> Self {
        let mut apart = Apart {
            tenant_id: &self.tenant_id,
            media: &mut self.media,
        };
        for part in &mut self.system_instructions {
            apart.part(part);
        }
        for message in &mut self.messages {
            apart.message(message);
        }
        self
    }
}

/// Takes media out of parts.
struct Apart<'a> {
    tenant_id: &'a str,
    /// Each content once.
    media: &'a mut Vec<Object>,
}

/// Where in its part a value stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// `type` of the object that has it.
    kind: &'a str,
    /// Its key there; that of the array for an item of one.
    key: &'a str,
    mime_type: Option<&'a str>,
    /// How deep it may be nested.
    room: usize,
}

impl Apart<'_> {
    fn message(&mut self, message: &mut Message) {
        let mut found = false;
        for part in &mut message.parts {
            found |= self.part(part);
        }
        if found {
            message.content_sha256 = identity::sha256(message.parts.iter().map(Part::json));
        }
    }

    /// Whether there were any.
    fn part(&mut self, part: &mut Part) -> bool {
        if !is_long(part.json()) {
            return false;
        }
        let nowhere = Place {
            kind: "",
            key: "",
            mime_type: None,
            room: MAX_DEPTH,
        };
        self.value(part.json_mut(), nowhere)
    }

    fn value(&mut self, value: &mut Json, place: Place<'_>) -> bool {
        match value {
            Json::Object(entries) => {
                let said = |keys: &[&str]| {
                    let is_one = |(key, _): &&(String, Json)| keys.contains(&key.as_str());
                    let last = entries.iter().rev().find(is_one);
                    last.and_then(|(_, value)| short(value))
                };
                let (kind, mime_type) = (said(&["type"]), said(&MIME_TYPE));
                let mut found = false;
                for (key, value) in entries {
                    let place = Place {
                        kind: kind.as_deref().unwrap_or_default(),
                        key: key.as_str(),
                        mime_type: mime_type.as_deref(),
                        room: place.room.saturating_sub(1),
                    };
                    found |= self.value(value, place);
                }
                found
            }
            Json::Array(items) => {
                let room = place.room.saturating_sub(1);
                let mut found = false;
                for item in items {
                    found |= self.value(item, Place { room, ..place });
                }
                found
            }
            Json::String(text) => match self.text(text, place) {
                Some(name) => {
                    *value = name;
                    true
                }
                None => false,
            },
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }

    /// What stands in the place of a text that is media.
    fn text(&mut self, text: &str, place: Place<'_>) -> Option<Json> {
        // The name is an object and needs a level of its own, or it would be a text when it is read again.
        if text.len() < MIN_TEXT || place.room == 0 {
            return None;
        }
        let (prefix, encoded) = match address(text) {
            Some(parts) if place.has_bytes() || place.has_address() => parts,
            None if place.has_bytes() => ("", text),
            _ => return None,
        };
        if encoded.len() < MIN_TEXT {
            return None;
        }
        let (encoding, bytes) = ENCODINGS
            .iter()
            .find_map(|(name, engine)| Some((*name, engine.decode(encoded).ok()?)))
            .filter(|(_, bytes)| bytes.len() >= MEDIA_MIN_BYTES)?;
        Some(self.named(bytes, encoding, prefix, place.mime_type))
    }

    /// The name of the bytes, which are kept.
    fn named(
        &mut self,
        bytes: Vec<u8>,
        encoding: &str,
        prefix: &str,
        mime_type: Option<&str>,
    ) -> Json {
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        let key = layout::media_key(self.tenant_id, sha256);
        let of_address = prefix
            .strip_prefix("data:")
            .and_then(|prefix| prefix.split(';').next())
            .filter(|mime_type| !mime_type.is_empty());
        let mut name = vec![
            ("media", Json::from(key.as_str())),
            ("sha256", Json::from(hex::encode(sha256))),
            ("bytes", Json::Number(bytes.len().to_string())),
        ];
        name.extend(
            of_address
                .or(mime_type)
                .map(|mime_type| ("mime_type", Json::from(mime_type))),
        );
        name.push(("encoding", Json::from(encoding)));
        if !prefix.is_empty() {
            name.push(("prefix", Json::from(prefix)));
        }
        if self.media.iter().all(|known| known.key != key) {
            self.media.push(Object::media(key, bytes, sha256));
        }
        let entries = name
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        Json::Object(entries)
    }
}

/// Whether there is a text that is long enough: there rarely is, and nothing more is looked at then.
fn is_long(value: &Json) -> bool {
    match value {
        Json::Object(entries) => entries.iter().any(|(_, value)| is_long(value)),
        Json::Array(items) => items.iter().any(is_long),
        Json::String(text) => text.len() >= MIN_TEXT,
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Keys that say what the bytes beside them are.
const MIME_TYPE: [&str; 3] = ["mime_type", "media_type", "mimeType"];

/// How long a type may be to be one.
const NAME_MAX_BYTES: usize = 256;

fn short(value: &Json) -> Option<String> {
    let name = value.as_str()?;
    (name.len() <= NAME_MAX_BYTES).then(|| name.to_owned())
}

impl Place<'_> {
    /// Whether a text here is bytes, by the names that OpenTelemetry, the providers and MCP have for them. Anywhere else a
    /// text that could be read as Base64 is words.
    fn has_bytes(self) -> bool {
        match self.key {
            "content" => self.kind == "blob",
            // A document that is text.
            "data" => self.kind != "text",
            "result" => self.kind == "image_generation_call",
            key => {
                matches!(
                    key,
                    "bytes" | "base64" | "b64_json" | "file_data" | "images"
                )
            }
        }
    }

    /// Whether a text here is an address, which may hold bytes itself.
    fn has_address(self) -> bool {
        matches!(self.key, "uri" | "url" | "image_url" | "file_url")
    }
}

/// The two parts of an address that holds bytes itself.
fn address(text: &str) -> Option<(&str, &str)> {
    const MARK: &str = ";base64,";
    let head = text.get(..text.floor_char_boundary(NAME_MAX_BYTES))?;
    if !head.starts_with("data:") {
        return None;
    }
    text.split_at_checked(head.find(MARK)? + MARK.len())
}

#[cfg(test)]
mod tests;
