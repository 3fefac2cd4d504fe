//! `OpenAI`'s Chat Completions, which many other servers speak as well.

use super::blocks::{self, Block, Utterance};
use super::envelope::Told;
use super::pair::{self, Provider};
use super::{AdaptError, Adapter, EXTRA_DEPTH, Fields};
use crate::capture::{Direction, Shape};
use crate::instant;
use crate::json::{Json, MAX_DEPTH, Raw};
use crate::transcript::Said;
use crate::usage::{Usage, finish_reason};

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `request` and `response` of OpenAI Chat",
    recognises: |event| PROVIDER.recognises(event),
    adapt: |event, arrival| PROVIDER.adapt(event, arrival),
};

pub(super) const PROVIDER: Provider = Provider {
    shape: Shape::OpenAiChat,
    name: "openai",
    answered: |response| pair::says(response, "object", "chat.completion"),
    request,
    response,
};

fn request(mut request: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.request_model = request.text("model")?;
    let messages = request
        .items("messages")?
        .ok_or_else(|| request.missing("messages", "an array of messages"))?;
    for (path, raw) in messages {
        let fields = Fields::read(&path, raw)?;
        let role = fields.peek_text("role");
        if role.is_none_or(|role| role.is_empty()) {
            return Err(fields.missing("role", "a string that is not empty"));
        }
        told.said.push(message(fields, Direction::Input)?.said());
    }
    told.keep("request", request)
}

fn response(mut response: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    response.raw("object");
    told.response_id = response.text("id")?;
    told.response_model = response.text("model")?;
    told.time = response
        .peek("created")
        .and_then(|raw| instant::parse_unix_seconds(raw.text()));
    told.count(&mut response, Usage::read_openai_chat)?;
    let mut choices = Vec::new();
    for (path, raw) in response.items("choices")?.unwrap_or_default() {
        let mut choice = Fields::read(&path, raw)?;
        let reason = choice.text("finish_reason")?;
        if let Some(fields) = choice.fields("message")? {
            let mut answer = message(fields, Direction::Output)?;
            answer.finish_reason = reason
                .as_deref()
                .map(|given| finish_reason(given).to_owned());
            // Several choices are several answers to the same question.
            let alternative = told
                .said
                .last()
                .is_some_and(|said| said.direction == Some(Direction::Output));
            told.said.push(Said {
                alternative,
                ..answer.said()
            });
        }
        told.finish_reasons.extend(reason);
        choices.push(Json::Object(choice.told_rest(EXTRA_DEPTH - 2)?));
    }
    told.keep("response", response)?;
    if choices.iter().any(|choice| !choice.is_empty()) {
        told.extra
            .push(("choices".to_owned(), Json::Array(choices)));
    }
    Ok(())
}

fn message(mut fields: Fields<'_>, direction: Direction) -> Result<Utterance, AdaptError> {
    let role = fields
        .text("role")?
        .unwrap_or_else(|| "assistant".to_owned());
    let mut said = Vec::new();
    // Not OpenAI's, but of many who speak its language.
    for key in ["reasoning_content", "reasoning"] {
        let thought = fields.text_or_leave(key);
        said.extend(thought.map(|text| Block::reasoning(Some(text), Vec::new())));
    }
    let content = blocks::content(&mut fields, "content", block)?;
    if matches!(role.as_str(), "tool" | "function") {
        let id = fields.text_or_leave("tool_call_id");
        said.push(Block::tool_response(id, content, Vec::new()));
    } else {
        said.extend(content);
    }
    said.extend(fields.text_or_leave("refusal").map(refusal));
    if let Some(audio) = fields.fields_or_leave("audio")? {
        said.push(spoken(audio)?);
    }
    for (path, raw) in fields.items("tool_calls")?.unwrap_or_default() {
        said.push(tool_call(Fields::read(&path, raw)?)?);
    }
    if let Some(call) = fields.fields_or_leave("function_call")? {
        said.push(called(call, None, "arguments", Vec::new())?);
    }
    Ok(Utterance {
        name: fields.text("name")?,
        rest: fields.told_rest(EXTRA_DEPTH)?,
        ..Utterance::of(role, direction, said)
    })
}

fn refusal(content: String) -> Block {
    let keys = [("content", Some(Json::String(content)))];
    Block::new("refusal", keys, Vec::new())
}

/// What the model said aloud. The next request names it by its id alone.
fn spoken(mut audio: Fields<'_>) -> Result<Block, AdaptError> {
    let id = audio.text_or_leave("id").map(Json::String);
    let bytes = audio.text_or_leave("data").map(Json::String);
    let transcript = audio.text_or_leave("transcript").map(Json::String);
    let mut rest = audio.told_rest(MAX_DEPTH - 2)?;
    let modality = || Some(Json::from("audio"));
    if bytes.is_none() {
        rest.extend(transcript.map(|words| ("transcript".to_owned(), words)));
        let keys = [("modality", modality()), ("file_id", id)];
        return Ok(Block::new("file", keys, rest));
    }
    let named = id.clone().map(|id| {
        let keys = [("modality", modality()), ("file_id", Some(id))];
        Block::new("file", keys, Vec::new())
    });
    rest.extend(id.map(|id| ("id".to_owned(), id)));
    let keys = [
        ("modality", modality()),
        ("content", bytes),
        ("transcript", transcript),
    ];
    let block = Block::new("blob", keys, rest);
    Ok(match named {
        Some(named) => block.hashed_as(named),
        None => block,
    })
}

fn tool_call(mut call: Fields<'_>) -> Result<Block, AdaptError> {
    let id = call.text_or_leave("id");
    let kind = call.peek_text("type");
    let (key, input) = match kind.as_deref() {
        Some("custom") => ("custom", "input"),
        _ => ("function", "arguments"),
    };
    let function = call.fields_or_leave(key)?;
    if kind.as_deref() == Some("function") {
        call.raw("type");
    }
    let rest = call.told_rest(MAX_DEPTH - 2)?;
    match function {
        Some(function) => called(function, id, input, rest),
        None => Ok(Block::tool_call(id, None, None, rest)),
    }
}

/// Name and arguments of a call, and what else stands beside them.
fn called(
    mut function: Fields<'_>,
    id: Option<String>,
    input: &str,
    mut rest: Vec<(String, Json)>,
) -> Result<Block, AdaptError> {
    let name = function.text_or_leave("name");
    let arguments = blocks::arguments(&mut function, input, MAX_DEPTH)?;
    rest.extend(function.told_rest(MAX_DEPTH - 2)?);
    Ok(Block::tool_call(id, name, arguments, rest))
}

/// A content part.
fn block(raw: Raw<'_>, room: usize) -> Result<Vec<Block>, AdaptError> {
    let kind = raw.get("type").and_then(Raw::string).unwrap_or_default();
    let is_known = match kind.as_str() {
        "text" | "refusal" => blocks::is_text(raw.get(&kind)),
        "image_url" => raw
            .get("image_url")
            .is_some_and(|image| blocks::is_text(Some(image)) || blocks::is_text(image.get("url"))),
        "input_audio" => raw
            .get("input_audio")
            .is_some_and(|audio| blocks::is_text(audio.get("data"))),
        "file" => raw.get("file").is_some_and(|file| {
            blocks::is_text(file.get("file_id")) || blocks::is_text(file.get("file_data"))
        }),
        _ => false,
    };
    if !is_known {
        return Ok(vec![Block::other(&raw, room)?]);
    }
    let room = room.saturating_sub(2);
    let mut fields = Fields::read("", raw)?;
    fields.raw("type");
    let inner = fields.fields_or_leave(&kind)?;
    let said = fields.text_or_leave(&kind).unwrap_or_default();
    let mut rest = fields.told_rest(room)?;
    let Some(mut inner) = inner else {
        return Ok(vec![match kind.as_str() {
            "text" => Block::text(said, rest),
            "refusal" => Block::new("refusal", [("content", Some(Json::String(said)))], rest),
            _ => Block::at("image", said, rest),
        }]);
    };
    Ok(vec![match kind.as_str() {
        "image_url" => {
            let address = inner.text_or_leave("url").unwrap_or_default();
            rest.extend(inner.told_rest(room)?);
            Block::at("image", address, rest)
        }
        "input_audio" => {
            let bytes = inner.text_or_leave("data").map(Json::String);
            let format = inner.text_or_leave("format");
            let mime_type = format.map(|format| Json::String(format!("audio/{format}")));
            rest.extend(inner.told_rest(room)?);
            let modality = Some(Json::from("audio"));
            let keys = [
                ("mime_type", mime_type),
                ("modality", modality),
                ("content", bytes),
            ];
            Block::new("blob", keys, rest)
        }
        _ => {
            let (id, bytes) = (
                inner.text_or_leave("file_id"),
                inner.text_or_leave("file_data"),
            );
            rest.extend(inner.told_rest(room)?);
            Block::file("document", id, bytes, rest)
        }
    }])
}
