//! Bedrock's Converse.

use super::blocks::{self, Block, Utterance};
use super::envelope::Told;
use super::pair::Provider;
use super::{AdaptError, Adapter, EXTRA_DEPTH, Fields};
use crate::capture::{Direction, Shape};
use crate::json::{Json, Kind, Raw};
use crate::usage::Usage;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "of Bedrock Converse",
    recognises: |event| PROVIDER.recognises(event),
    adapt: |event, arrival| PROVIDER.adapt(event, arrival),
};

pub(super) const PROVIDER: Provider = Provider {
    shape: Shape::Converse,
    name: "aws.bedrock",
    answered: |response| {
        let message = response
            .get("output")
            .and_then(|output| output.get("message"));
        message.is_some() && response.get("stopReason").is_some()
    },
    request,
    response,
};

fn request(mut request: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.request_model = request.text("modelId")?;
    told.system_instructions = blocks::parts_of(blocks::content(&mut request, "system", block)?);
    let messages = request
        .items("messages")?
        .ok_or_else(|| request.missing("messages", "an array of messages"))?;
    for (path, raw) in messages {
        let fields = Fields::read(&path, raw)?;
        told.said.push(message(fields, Direction::Input)?.said());
    }
    told.keep("request", request)
}

fn response(mut response: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.finish_reasons.extend(response.text("stopReason")?);
    told.count(&mut response, Usage::read_converse)?;
    if let Some(mut output) = response.fields("output")? {
        if let Some(fields) = output.fields("message")? {
            told.said.push(message(fields, Direction::Output)?.said());
        }
        told.keep("output", output)?;
    }
    told.keep("response", response)
}

fn message(mut fields: Fields<'_>, direction: Direction) -> Result<Utterance, AdaptError> {
    let role = fields
        .text("role")?
        .ok_or_else(|| fields.missing("role", "a string that is not empty"))?;
    let content = blocks::content(&mut fields, "content", block)?;
    let rest = fields.told_rest(EXTRA_DEPTH)?;
    Ok(Utterance {
        rest,
        ..Utterance::of(role, direction, content)
    })
}

/// A content block: an object with one key, which says what its value is.
fn block(raw: Raw<'_>, room: usize) -> Result<Vec<Block>, AdaptError> {
    let Some((kind, is_text)) = member(&raw) else {
        return Ok(vec![Block::other(&raw, room)?]);
    };
    let is_known = match kind.as_str() {
        "text" => is_text,
        "image" | "document" | "video" | "audio" | "toolUse" | "toolResult"
        | "reasoningContent" | "citationsContent" => raw
            .get(&kind)
            .is_some_and(|value| value.entries().is_some()),
        _ => false,
    };
    let deep = room.saturating_sub(2);
    let mut fields = Fields::read("", raw)?;
    if !is_known {
        let value = fields.json(&kind, deep)?;
        let block = Block::new(&kind, [(kind.as_str(), value)], fields.told_rest(deep)?);
        // It marks where a cache ends, and moves on with every turn.
        return Ok(vec![if kind == "cachePoint" {
            block.unhashed()
        } else {
            block
        }]);
    }
    if is_text {
        let text = fields.peek_text("text").unwrap_or_default();
        return Ok(vec![Block::text(text, Vec::new())]);
    }
    let Some(mut value) = fields.fields(&kind)? else {
        return Ok(Vec::new());
    };
    Ok(match kind.as_str() {
        "toolUse" => {
            let (id, name) = (
                value.text_or_leave("toolUseId"),
                value.text_or_leave("name"),
            );
            let input = blocks::arguments(&mut value, "input", room)?;
            vec![Block::tool_call(id, name, input, value.told_rest(deep)?)]
        }
        "toolResult" => {
            let id = value.text_or_leave("toolUseId");
            let content = blocks::response(&mut value, "content", room, answer)?;
            vec![Block::tool_response(id, content, value.told_rest(deep)?)]
        }
        "reasoningContent" => vec![reasoning(value, deep)?],
        "citationsContent" => cited(value, deep)?,
        modality => vec![media(modality, value, deep)?],
    })
}

/// The one key of a tagged union, and whether its value is a text. Some clients write the other keys as `null`.
fn member(raw: &Raw<'_>) -> Option<(String, bool)> {
    let mut members = raw
        .entries()?
        .iter()
        .filter(|(_, value)| value.kind() != Kind::Null);
    let (key, value) = members.next()?;
    members
        .next()
        .is_none()
        .then(|| (key.clone().into_owned(), value.kind() == Kind::String))
}

/// A block of a tool's answer: as of a message, or any JSON.
fn answer(raw: Raw<'_>, room: usize) -> Result<Vec<Block>, AdaptError> {
    match member(&raw) {
        Some((kind, _)) if kind == blocks::JSON => {
            let value = Fields::read("", raw)?.json(&kind, room.saturating_sub(1))?;
            Ok(vec![Block::new(
                blocks::JSON,
                [(blocks::JSON, value)],
                Vec::new(),
            )])
        }
        _ => block(raw, room),
    }
}

fn reasoning(mut value: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let Some(mut thought) = value.fields_or_leave("reasoningText")? else {
        return Ok(Block::reasoning(None, value.told_rest(deep)?));
    };
    let text = thought.text_or_leave("text");
    let mut rest = thought.told_rest(deep)?;
    rest.extend(value.told_rest(deep)?);
    Ok(Block::reasoning(text, rest))
}

/// Texts with what they are based on, which stays with the first.
fn cited(mut value: Fields<'_>, deep: usize) -> Result<Vec<Block>, AdaptError> {
    let is_text = |item: &Raw<'_>| matches!(member(item), Some((kind, true)) if kind == "text");
    let texts = value.peek("content").and_then(Raw::items);
    if !texts.is_some_and(|items| !items.is_empty() && items.iter().all(is_text)) {
        return Ok(vec![Block::new(
            "citationsContent",
            [],
            value.told_rest(deep)?,
        )]);
    }
    let texts: Vec<_> = value
        .items("content")?
        .unwrap_or_default()
        .iter()
        .filter_map(|(_, item)| item.get("text")?.string())
        .collect();
    let mut rest = value.told_rest(deep)?;
    Ok(texts
        .into_iter()
        .map(|text| Block::text(text, std::mem::take(&mut rest)))
        .collect())
}

/// An image, document, video or audio, wherever its `source` has it.
fn media(modality: &str, mut value: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let format = value.text_or_leave("format");
    let mime_type = format
        .as_deref()
        .and_then(|format| mime_type(modality, format));
    let source = value.fields_or_leave("source")?;
    let mut rest = value.told_rest(deep)?;
    let format = ("format", format.map(Json::String));
    let mime_type = ("mime_type", mime_type.map(Json::String));
    let modality_of = ("modality", Some(Json::from(modality)));
    let Some(mut source) = source else {
        return Ok(Block::new(modality, [format], rest));
    };
    if let Some(bytes) = source.text_or_leave("bytes").map(Json::String) {
        rest.extend(source.told_rest(deep)?);
        let keys = [mime_type, modality_of, ("content", Some(bytes)), format];
        return Ok(Block::new("blob", keys, rest));
    }
    if let Some(words) = source.text_or_leave("text").map(Json::String) {
        rest.extend(source.told_rest(deep)?);
        let keys = [("content", Some(words)), mime_type, format];
        return Ok(Block::new("text", keys, rest));
    }
    if let Some(mut location) = source.fields_or_leave("s3Location")? {
        let uri = location.text_or_leave("uri").map(Json::String);
        rest.extend(location.told_rest(deep)?);
        rest.extend(source.told_rest(deep)?);
        let keys = [mime_type, modality_of, ("uri", uri), format];
        return Ok(Block::new("uri", keys, rest));
    }
    let source = source.told_rest(deep.saturating_sub(1))?;
    rest.push(("source".to_owned(), Json::Object(source)));
    Ok(Block::new(modality, [format], rest))
}

fn mime_type(modality: &str, format: &str) -> Option<String> {
    Some(match (modality, format) {
        ("document", "pdf") => "application/pdf".to_owned(),
        ("document", "txt") => "text/plain".to_owned(),
        ("document", "md") => "text/markdown".to_owned(),
        ("document", "csv" | "html") => format!("text/{format}"),
        ("document", _) => return None,
        (modality, format) => format!("{modality}/{format}"),
    })
}
