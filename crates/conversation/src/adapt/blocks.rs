//! Content blocks of providers: the parts that they become, and what of them makes the id of their message.
//!
//! An answer comes twice: from the model, and again with the next request of its client, who leaves out what the provider
//! only tells (citations, ids of items, reasoning) and adds marks of its own (where a cache ends). Both must be one
//! message. So a part keeps all of its block, and only what makes it this part is hashed.
//!
//! Nothing inside a block is refused: a value of another type than it has with its provider is kept as it came.

use super::{AdaptError, Fields, parts, with_extra};
use crate::capture::{Direction, Part};
use crate::identity;
use crate::json::{Json, Kind, MAX_DEPTH, Raw};
use crate::sanitize;
use crate::transcript::Said;

/// How deep the part of a message may be nested.
const PART_DEPTH: usize = MAX_DEPTH;

/// Below this, a block is kept and not read: it holds no part that anybody would look for.
const DEEP_ENOUGH: usize = 8;

/// One content block, read.
pub(super) struct Block {
    part: Part,
    hashed: Hashed,
}

/// What of a part makes the id of its message.
enum Hashed {
    All,
    /// As many of its keys as come first.
    First(usize),
    Only(Vec<(String, Json)>),
    /// Clients do not send it again, or not at the same place.
    Nothing,
}

/// How a provider's block is read, and how deep its part may be nested.
pub(super) type Reader = fn(Raw<'_>, usize) -> Result<Vec<Block>, AdaptError>;

/// What somebody said, in blocks.
pub(super) struct Utterance {
    pub(super) role: String,
    pub(super) direction: Direction,
    pub(super) name: Option<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) finish_reason: Option<String>,
    /// What else the message says.
    pub(super) rest: Vec<(String, Json)>,
}

impl Utterance {
    pub(super) fn of(role: String, direction: Direction, blocks: Vec<Block>) -> Self {
        Self {
            role,
            direction,
            name: None,
            blocks,
            finish_reason: None,
            rest: Vec::new(),
        }
    }

    /// As a message of the transcript.
    pub(super) fn said(self) -> Said {
        let hashed: Vec<_> = self.blocks.iter().filter_map(Block::hashed).collect();
        // Where nothing is left to tell it by, all of it does.
        let identity = (!hashed.is_empty() && !self.blocks.iter().all(Block::is_plain))
            .then(|| identity::sha256_of_objects(hashed));
        Said {
            message_id: None,
            parent_message_id: None,
            direction: Some(self.direction),
            role: self.role,
            name: self.name,
            parts: parts_of(self.blocks),
            identity,
            alternative: false,
            finish_reason: self.finish_reason,
            metadata: with_extra(Json::empty_object(), self.rest),
        }
    }
}

/// The parts of blocks that make no message.
pub(super) fn parts_of(blocks: Vec<Block>) -> Vec<Part> {
    blocks.into_iter().map(|block| block.part).collect()
}

impl Block {
    /// A part of a type that is ours: its keys, and then whatever else the block says, which is not hashed.
    pub(super) fn new<const N: usize>(
        kind: &str,
        keys: [(&str, Option<Json>); N],
        rest: Vec<(String, Json)>,
    ) -> Self {
        let mut entries = vec![("type".to_owned(), Json::from(kind))];
        let told = |(key, value): (&str, Option<Json>)| Some((key.to_owned(), value?));
        entries.extend(keys.into_iter().filter_map(told));
        if rest.is_empty() {
            return Self::all(Json::Object(entries));
        }
        let hashed = Hashed::First(entries.len());
        let taken = |(key, _): &(String, Json)| entries.iter().any(|(ours, _)| ours == key);
        if rest.iter().any(taken) {
            entries.push(("extra".to_owned(), Json::Object(rest)));
        } else {
            entries.extend(rest);
        }
        Self {
            hashed,
            ..Self::all(Json::Object(entries))
        }
    }

    /// A `text` part. An empty one says nothing.
    pub(super) fn text(content: String, rest: Vec<(String, Json)>) -> Self {
        let is_empty = content.is_empty();
        let block = Self::new("text", [("content", Some(Json::String(content)))], rest);
        if is_empty { block.unhashed() } else { block }
    }

    /// A `reasoning` part.
    pub(super) fn reasoning(content: Option<String>, rest: Vec<(String, Json)>) -> Self {
        Self::new("reasoning", [("content", content.map(Json::String))], rest).unhashed()
    }

    /// A `tool_call` part. No arguments and an empty object of them are the same call.
    pub(super) fn tool_call(
        id: Option<String>,
        name: Option<String>,
        arguments: Option<Json>,
        rest: Vec<(String, Json)>,
    ) -> Self {
        let (id, name) = (id.map(Json::String), name.map(Json::String));
        let is_bare = arguments.as_ref().is_some_and(Json::is_empty);
        let keys = [id.is_some(), name.is_some()];
        let before = 1 + keys.into_iter().filter(|told| *told).count();
        let keys = [("id", id), ("name", name), ("arguments", arguments)];
        let block = Self::new("tool_call", keys, rest);
        if is_bare {
            let hashed = Hashed::First(before);
            return Self { hashed, ..block };
        }
        block
    }

    /// A `tool_call_response` part: one text is a text, whether it came as one or in a block.
    pub(super) fn tool_response(
        id: Option<String>,
        response: Vec<Self>,
        rest: Vec<(String, Json)>,
    ) -> Self {
        let id = id.map(Json::String);
        let block = |response, rest| {
            let keys = [("id", id.clone()), ("response", response)];
            Self::new("tool_call_response", keys, rest)
        };
        let object = |entries: &[(String, Json)]| Json::Object(entries.to_vec());
        let hashed = (!response.iter().all(Self::is_plain)).then(|| {
            let hashed = response.iter().filter_map(Self::hashed).map(object);
            block(answered(hashed.collect()), Vec::new())
        });
        let parts = response.into_iter().map(Self::into_json).collect();
        match hashed {
            None => block(answered(parts), rest),
            Some(hashed) => block(Some(Json::Array(parts)), rest).hashed_as(hashed),
        }
    }

    /// Bytes that an address holds itself (`data:`), or where they are.
    pub(super) fn at(modality: &str, address: String, rest: Vec<(String, Json)>) -> Self {
        let modality = Some(Json::from(modality));
        let inside = address
            .strip_prefix("data:")
            .and_then(|inside| inside.split_once(";base64,"));
        match inside {
            Some((mime_type, bytes)) => {
                let mime_type = (!mime_type.is_empty()).then(|| Json::from(mime_type));
                let keys = [
                    ("mime_type", mime_type),
                    ("modality", modality),
                    ("content", Some(Json::from(bytes))),
                ];
                Self::new("blob", keys, rest)
            }
            None => Self::new(
                "uri",
                [("modality", modality), ("uri", Some(Json::String(address)))],
                rest,
            ),
        }
    }

    /// A file by its id at the provider, or as bytes, with or without a `data:` before them.
    pub(super) fn file(
        modality: &str,
        id: Option<String>,
        bytes: Option<String>,
        mut rest: Vec<(String, Json)>,
    ) -> Self {
        let modality_of = Some(Json::from(modality));
        match (id, bytes) {
            (None, Some(bytes)) if bytes.starts_with("data:") => Self::at(modality, bytes, rest),
            (None, bytes) => {
                let keys = [
                    ("modality", modality_of),
                    ("content", bytes.map(Json::String)),
                ];
                Self::new("blob", keys, rest)
            }
            (Some(id), bytes) => {
                rest.extend(bytes.map(|bytes| ("content".to_owned(), Json::String(bytes))));
                let keys = [
                    ("modality", modality_of),
                    ("file_id", Some(Json::String(id))),
                ];
                Self::new("file", keys, rest)
            }
        }
    }

    /// A block of a type that has no part of its own, as it is.
    pub(super) fn other(raw: &Raw<'_>, room: usize) -> Result<Self, AdaptError> {
        // One level is left for a part made around a value.
        let part = parts::part(Json::keep(raw, room.saturating_sub(1))?);
        let mut hashed = Hashed::All;
        if part.json().get(CACHE_MARK).is_some() {
            let entries = part.entries().iter();
            let unmarked = entries.filter(|(key, _)| key != CACHE_MARK);
            hashed = Hashed::Only(unmarked.cloned().collect());
        }
        Ok(Self { part, hashed })
    }

    /// The part.
    pub(super) fn into_json(self) -> Json {
        self.part.into_json()
    }

    /// The same part, which is not hashed.
    pub(super) fn unhashed(self) -> Self {
        Self {
            hashed: Hashed::Nothing,
            ..self
        }
    }

    /// The same part, told by another one.
    pub(super) fn hashed_as(self, other: Self) -> Self {
        let hashed = match other.into_json() {
            Json::Object(entries) => Hashed::Only(entries),
            _ => Hashed::All,
        };
        Self { hashed, ..self }
    }

    /// Whether nothing of it is left out.
    fn is_plain(&self) -> bool {
        matches!(self.hashed, Hashed::All)
    }

    fn all(json: Json) -> Self {
        let part = Part::from_json(json).unwrap_or_else(Part::of_value);
        Self {
            part,
            hashed: Hashed::All,
        }
    }

    fn hashed(&self) -> Option<&[(String, Json)]> {
        match &self.hashed {
            Hashed::All => Some(self.part.entries()),
            Hashed::First(keys) => self.part.entries().get(..*keys),
            Hashed::Only(entries) => Some(entries),
            Hashed::Nothing => None,
        }
    }
}

/// The mark of Anthropic's clients that a cache ends behind a block. It moves on with every turn.
const CACHE_MARK: &str = "cache_control";

/// The type of a part that is any JSON, which a tool of Bedrock may answer.
pub(super) const JSON: &str = "json";

/// What a tool answered: one text or value, if that is all.
fn answered(mut parts: Vec<Json>) -> Option<Json> {
    if let [Json::Object(entries)] = parts.as_mut_slice()
        && let [(_, Json::String(kind)), (key, value)] = entries.as_mut_slice()
        && matches!(
            (kind.as_str(), key.as_str()),
            ("text", "content") | (JSON, JSON)
        )
    {
        return Some(std::mem::replace(value, Json::Null));
    }
    (!parts.is_empty()).then_some(Json::Array(parts))
}

/// Whether a value is there and is a string.
pub(super) fn is_text(raw: Option<&Raw<'_>>) -> bool {
    raw.is_some_and(|raw| raw.kind() == Kind::String)
}

/// The content of a message: a text, a block, or an array of both.
pub(super) fn content(
    fields: &mut Fields<'_>,
    key: &str,
    block: Reader,
) -> Result<Vec<Block>, AdaptError> {
    const ACCEPTED: &str = "a string, or an array of content blocks";
    match fields.raw(key) {
        None => Ok(Vec::new()),
        Some(raw) => match raw.kind() {
            Kind::Number | Kind::Bool => Err(fields.invalid(key, &raw, ACCEPTED)),
            _ => blocks(raw, PART_DEPTH, block),
        },
    }
}

/// What a tool answered, within the part that is made of it: as [`content`], but anything goes.
pub(super) fn response(
    fields: &mut Fields<'_>,
    key: &str,
    room: usize,
    block: Reader,
) -> Result<Vec<Block>, AdaptError> {
    match fields.raw(key) {
        None => Ok(Vec::new()),
        Some(raw) => blocks(raw, room.saturating_sub(2), block),
    }
}

fn blocks(raw: Raw<'_>, room: usize, block: Reader) -> Result<Vec<Block>, AdaptError> {
    let one = |raw: Raw<'_>| match raw.kind() {
        Kind::Null => Ok(Vec::new()),
        Kind::String => Ok(vec![Block::text(raw.decoded()?, Vec::new())]),
        Kind::Object if room >= DEEP_ENOUGH => block(raw, room),
        _ => Ok(vec![Block::other(&raw, room)?]),
    };
    match raw.kind() {
        Kind::String if raw.text() == "\"\"" => Ok(Vec::new()),
        Kind::Array => {
            let mut all = Vec::new();
            for item in raw.into_items()? {
                all.extend(one(item)?);
            }
            Ok(all)
        }
        _ => one(raw),
    }
}

/// Arguments of a tool call. Some providers write them as JSON text, and models do not always write JSON: then it is kept
/// as the text that it is.
pub(super) fn arguments(
    fields: &mut Fields<'_>,
    key: &str,
    room: usize,
) -> Result<Option<Json>, AdaptError> {
    let room = room.saturating_sub(1);
    let Some(raw) = fields.raw(key) else {
        return Ok(None);
    };
    if raw.kind() != Kind::String {
        return Ok(Some(Json::keep(&raw, room)?));
    }
    let text = raw.decoded()?;
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(parsed(&text, room).unwrap_or(Json::String(text))))
}

/// Only an array or object, and only one that needs no repair.
fn parsed(text: &str, room: usize) -> Option<Json> {
    let is_nested = text.trim_start().starts_with(['{', '[']);
    if !is_nested || !sanitize::clean(text.as_bytes()).sanitized().is_clean() {
        return None;
    }
    Json::keep(&Raw::read(text).ok()?, room).ok()
}
