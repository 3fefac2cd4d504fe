//! Anthropic's Messages, from Anthropic or from Bedrock's `InvokeModel`.

pub(super) mod stream;

use super::blocks::{self, Block, Utterance};
use super::envelope::Told;
use super::pair::{self, Provider};
use super::{AdaptError, Adapter, EXTRA_DEPTH, Fields};
use crate::capture::{Direction, Shape};
use crate::json::{Json, Raw};
use crate::usage::Usage;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "of Anthropic",
    recognises: |event| PROVIDER.recognises(event),
    adapt: |event, arrival| PROVIDER.adapt(event, arrival),
};

pub(super) const PROVIDER: Provider = Provider {
    shape: Shape::Anthropic,
    name: "anthropic",
    answered: |response| pair::says(response, "type", "message"),
    request,
    response,
};

fn request(mut request: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.request_model = request.text("model")?;
    told.system_instructions = blocks::parts_of(blocks::content(&mut request, "system", block)?);
    let messages = request
        .items("messages")?
        .ok_or_else(|| request.missing("messages", "an array of messages"))?;
    for (path, raw) in messages {
        let mut fields = Fields::read(&path, raw)?;
        let role = fields
            .text("role")?
            .ok_or_else(|| fields.missing("role", "a string that is not empty"))?;
        let content = blocks::content(&mut fields, "content", block)?;
        let rest = fields.told_rest(EXTRA_DEPTH)?;
        told.said.push(
            Utterance {
                rest,
                ..Utterance::of(role, Direction::Input, content)
            }
            .said(),
        );
    }
    told.keep("request", request)
}

fn response(mut response: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    response.raw("type");
    told.response_id = response.text("id")?;
    told.response_model = response.text("model")?;
    told.finish_reasons.extend(response.text("stop_reason")?);
    told.count(&mut response, Usage::read_anthropic)?;
    let role = response
        .text("role")?
        .unwrap_or_else(|| "assistant".to_owned());
    let content = blocks::content(&mut response, "content", block)?;
    told.said
        .push(Utterance::of(role, Direction::Output, content).said());
    told.keep("response", response)
}

/// A content block.
fn block(raw: Raw<'_>, room: usize) -> Result<Vec<Block>, AdaptError> {
    let kind = raw.get("type").and_then(Raw::string).unwrap_or_default();
    let is_known = match kind.as_str() {
        "text" => blocks::is_text(raw.get("text")),
        "image" | "document" => raw
            .get("source")
            .is_some_and(|source| source.entries().is_some()),
        "thinking" | "redacted_thinking" | "tool_use" | "tool_result" | "server_tool_use"
        | "mcp_tool_use" => true,
        other => other.ends_with("_tool_result"),
    };
    if !is_known {
        return Ok(vec![Block::other(&raw, room)?]);
    }
    let deep = room.saturating_sub(2);
    let mut fields = Fields::read("", raw)?;
    fields.raw("type");
    Ok(vec![match kind.as_str() {
        "text" => {
            let text = fields.peek_text("text").unwrap_or_default();
            fields.raw("text");
            Block::text(text, fields.told_rest(deep)?)
        }
        "thinking" => {
            let thought = fields.text_or_leave("thinking");
            Block::reasoning(thought, fields.told_rest(deep)?)
        }
        "redacted_thinking" => Block::reasoning(None, fields.told_rest(deep)?),
        "tool_use" => {
            let (id, name) = (fields.text_or_leave("id"), fields.text_or_leave("name"));
            let input = blocks::arguments(&mut fields, "input", room)?;
            Block::tool_call(id, name, input, fields.told_rest(deep)?)
        }
        "tool_result" => {
            let id = fields.text_or_leave("tool_use_id");
            let content = blocks::response(&mut fields, "content", room, block)?;
            Block::tool_response(id, content, fields.told_rest(deep)?)
        }
        "image" | "document" => media(&kind, fields, deep)?,
        "server_tool_use" | "mcp_tool_use" => server_call(&kind, fields, deep)?,
        _ => server_response(&kind, fields, deep)?,
    }])
}

/// A tool that the provider runs itself. Clients that keep only what was said do not send it again.
fn server_call(kind: &str, mut fields: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let id = fields.text_or_leave("id").map(Json::String);
    let name = fields.text_or_leave("name").map(Json::String);
    let mut call = vec![(
        "type".to_owned(),
        name.clone().unwrap_or_else(|| Json::from(kind)),
    )];
    call.extend(
        fields
            .json("input", deep)?
            .map(|input| ("input".to_owned(), input)),
    );
    let keys = [
        ("id", id),
        ("name", name),
        ("server_tool_call", Some(Json::Object(call))),
    ];
    Ok(Block::new("server_tool_call", keys, fields.told_rest(deep)?).unhashed())
}

fn server_response(kind: &str, mut fields: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let id = fields.text_or_leave("tool_use_id").map(Json::String);
    let mut response = vec![("type".to_owned(), Json::from(kind))];
    let content = fields.json("content", deep)?;
    response.extend(content.map(|content| ("content".to_owned(), content)));
    let keys = [
        ("id", id),
        ("server_tool_call_response", Some(Json::Object(response))),
    ];
    Ok(Block::new("server_tool_call_response", keys, fields.told_rest(deep)?).unhashed())
}

/// An image or document, wherever its `source` has it.
fn media(modality: &str, mut fields: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let Some(mut source) = fields.fields("source")? else {
        return Ok(Block::new(modality, [], fields.told_rest(deep)?));
    };
    let mut rest = fields.told_rest(deep)?;
    let kind = source.peek_text("type").unwrap_or_default();
    let key = match kind.as_str() {
        "base64" | "text" => "data",
        "url" => "url",
        "file" => "file_id",
        _ => "",
    };
    let Some(value) = source.text_or_leave(key) else {
        rest.push((
            "source".to_owned(),
            Json::Object(source.told_rest(deep.saturating_sub(1))?),
        ));
        return Ok(Block::new(modality, [], rest));
    };
    source.raw("type");
    let mime_type = source.text_or_leave("media_type").map(Json::String);
    rest.extend(source.told_rest(deep)?);
    let modality_of = Some(Json::from(modality));
    Ok(match key {
        "url" => Block::at(modality, value, rest),
        "file_id" => {
            let keys = [
                ("mime_type", mime_type),
                ("modality", modality_of),
                ("file_id", Some(Json::String(value))),
            ];
            Block::new("file", keys, rest)
        }
        // A document of words is words.
        _ if kind == "text" => {
            let keys = [
                ("content", Some(Json::String(value))),
                ("mime_type", mime_type),
            ];
            Block::new("text", keys, rest)
        }
        _ => {
            let keys = [
                ("mime_type", mime_type),
                ("modality", modality_of),
                ("content", Some(Json::String(value))),
            ];
            Block::new("blob", keys, rest)
        }
    })
}
