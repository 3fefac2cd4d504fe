//! `OpenAI`'s Responses.
//!
//! What an assistant says is a list of items (reasoning, calls, messages). The items in a row are one message here, since
//! clients send some of them again and some not: only the message as a whole is recognised.

use super::blocks::{self, Block, Utterance};
use super::envelope::Told;
use super::pair::{self, Provider};
use super::{AdaptError, Adapter, EXTRA_DEPTH, Fields};
use crate::capture::{Direction, History, Shape};
use crate::identity::bounded_id;
use crate::instant;
use crate::json::{Json, Kind, MAX_DEPTH, Raw};
use crate::usage::Usage;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "of OpenAI Responses",
    recognises: |event| PROVIDER.recognises(event),
    adapt: |event, arrival| PROVIDER.adapt(event, arrival),
};

pub(super) const PROVIDER: Provider = Provider {
    shape: Shape::OpenAiResponses,
    name: "openai",
    answered: |response| pair::says(response, "object", "response"),
    request,
    response,
};

fn request(mut request: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.request_model = request.text("model")?;
    refer(&request, told);
    told.system_instructions =
        blocks::parts_of(blocks::content(&mut request, "instructions", block)?);
    if let Some(Kind::Array) = request.peek("input").map(Raw::kind) {
        let items = request.items("input")?.unwrap_or_default();
        said(items, Direction::Input, told)?;
    } else {
        let content = blocks::content(&mut request, "input", block)?;
        if !content.is_empty() {
            let question = Utterance::of("user".to_owned(), Direction::Input, content);
            told.said.push(question.said());
        }
    }
    told.keep("request", request)
}

fn response(mut response: Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    response.raw("object");
    told.response_id = response.text("id")?;
    told.response_model = response.text("model")?;
    told.time = response
        .peek("created_at")
        .and_then(|raw| instant::parse_unix_seconds(raw.text()));
    told.error = response.json("error", MAX_DEPTH)?;
    told.count(&mut response, Usage::read_openai_responses)?;
    refer(&response, told);
    let items = response.items("output")?.unwrap_or_default();
    let calls = items.iter().any(|(_, item)| {
        pair::says(item, "type", "function_call") || pair::says(item, "type", "custom_tool_call")
    });
    said(items, Direction::Output, told)?;
    let incomplete = response
        .peek("incomplete_details")
        .and_then(|details| details.get("reason")?.string());
    told.finish_reasons
        .extend(match response.peek_text("status").as_deref() {
            Some("completed") if calls => Some("tool_call".to_owned()),
            Some("completed") => Some("stop".to_owned()),
            Some("failed") => Some("error".to_owned()),
            Some("incomplete") => incomplete.or(Some("incomplete".to_owned())),
            _ => None,
        });
    told.keep("response", response)
}

/// What a side says of the conversation. One that the provider keeps, or an earlier response that this one follows, means
/// that only what is new was sent.
fn refer(side: &Fields<'_>, told: &mut Told) {
    let conversation = side.peek("conversation");
    let id = conversation.and_then(|named| named.string().or_else(|| named.get("id")?.string()));
    let id = id.filter(|id| !id.is_empty());
    if id.is_some() || side.has("previous_response_id") {
        told.history = Some(History::Delta);
    }
    told.conversation_id = id.map(|id| bounded_id(&id)).or(told.conversation_id.take());
}

/// An item, and whether it is a message and not one of the other things that an assistant does.
struct Item {
    blocks: Utterance,
    is_message: bool,
}

fn said(
    items: Vec<(String, Raw<'_>)>,
    direction: Direction,
    told: &mut Told,
) -> Result<(), AdaptError> {
    let mut open: Option<Item> = None;
    for (path, raw) in items {
        let next = item(&path, raw, direction)?;
        match &mut open {
            Some(item) if item.takes(&next) => item.extend(next),
            _ => told
                .said
                .extend(open.replace(next).map(|item| item.blocks.said())),
        }
    }
    told.said.extend(open.map(|item| item.blocks.said()));
    Ok(())
}

impl Item {
    /// Two messages stay two.
    fn takes(&self, next: &Self) -> bool {
        let assistants = self.blocks.role == "assistant" && next.blocks.role == "assistant";
        assistants && !(self.is_message && next.is_message)
    }

    fn extend(&mut self, next: Self) {
        self.is_message |= next.is_message;
        self.blocks.blocks.extend(next.blocks.blocks);
        self.blocks.rest.extend(next.blocks.rest);
    }
}

fn item(path: &str, raw: Raw<'_>, direction: Direction) -> Result<Item, AdaptError> {
    let kind = raw.get("type").and_then(Raw::string).unwrap_or_default();
    let other = |role: &str, blocks| Item {
        blocks: Utterance::of(role.to_owned(), direction, blocks),
        is_message: false,
    };
    let deep = MAX_DEPTH - 2;
    Ok(match kind.as_str() {
        "message" | "" => {
            let mut fields = Fields::read(path, raw)?;
            if kind == "message" {
                fields.raw("type");
            }
            let role = fields
                .text("role")?
                .ok_or_else(|| fields.missing("role", "a string that is not empty"))?;
            let content = blocks::content(&mut fields, "content", block)?;
            let rest = fields.told_rest(EXTRA_DEPTH)?;
            Item {
                blocks: Utterance {
                    rest,
                    ..Utterance::of(role, direction, content)
                },
                is_message: true,
            }
        }
        "function_call" | "custom_tool_call" => {
            let mut fields = Fields::read(path, raw)?;
            let key = if kind == "function_call" {
                "arguments"
            } else {
                "input"
            };
            if kind == "function_call" {
                fields.raw("type");
            }
            let (id, name) = (
                fields.text_or_leave("call_id"),
                fields.text_or_leave("name"),
            );
            let arguments = blocks::arguments(&mut fields, key, MAX_DEPTH)?;
            other(
                "assistant",
                vec![Block::tool_call(
                    id,
                    name,
                    arguments,
                    fields.told_rest(deep)?,
                )],
            )
        }
        "function_call_output" | "custom_tool_call_output" => {
            let mut fields = Fields::read(path, raw)?;
            if kind == "function_call_output" {
                fields.raw("type");
            }
            let id = fields.text_or_leave("call_id");
            let output = blocks::response(&mut fields, "output", MAX_DEPTH, block)?;
            other(
                "tool",
                vec![Block::tool_response(id, output, fields.told_rest(deep)?)],
            )
        }
        "reasoning" => other("assistant", reasoning(Fields::read(path, raw)?)?),
        kind if kind.ends_with("_output") => other("tool", vec![Block::other(&raw, MAX_DEPTH)?]),
        "mcp_approval_response" => other("user", vec![Block::other(&raw, MAX_DEPTH)?]),
        kind => {
            let block = Block::other(&raw, MAX_DEPTH)?;
            // Clients that keep only what was said do not send it again.
            let by_provider = SERVER_ITEMS.contains(&kind);
            other(
                "assistant",
                vec![if by_provider { block.unhashed() } else { block }],
            )
        }
    })
}

/// What the provider does by itself.
const SERVER_ITEMS: [&str; 6] = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
];

/// One part for each text of a reasoning item; what else it says stays with the first.
fn reasoning(mut item: Fields<'_>) -> Result<Vec<Block>, AdaptError> {
    item.raw("type");
    let mut texts = Vec::new();
    for key in ["summary", "content"] {
        let is_plain = |part: &Raw<'_>| {
            let is_whole = part.entries().is_some_and(|entries| entries.len() == 2);
            let kind = part.get("type").and_then(Raw::string).unwrap_or_default();
            is_whole
                && matches!(kind.as_str(), "summary_text" | "reasoning_text")
                && blocks::is_text(part.get("text"))
        };
        let plain = item
            .peek(key)
            .and_then(Raw::items)
            .is_some_and(|parts| parts.iter().all(is_plain));
        if plain {
            let parts = item.items(key)?.unwrap_or_default();
            texts.extend(
                parts
                    .iter()
                    .filter_map(|(_, part)| part.get("text")?.string()),
            );
        }
    }
    let mut rest = item.told_rest(MAX_DEPTH - 2)?;
    if texts.is_empty() {
        return Ok(vec![Block::reasoning(None, rest)]);
    }
    let thought = |text| Block::reasoning(Some(text), std::mem::take(&mut rest));
    Ok(texts.into_iter().map(thought).collect())
}

/// A content part of a message.
fn block(raw: Raw<'_>, room: usize) -> Result<Vec<Block>, AdaptError> {
    let kind = raw.get("type").and_then(Raw::string).unwrap_or_default();
    let is_known = match kind.as_str() {
        "input_text" | "output_text" | "text" => blocks::is_text(raw.get("text")),
        "refusal" => blocks::is_text(raw.get("refusal")),
        "input_image" => {
            blocks::is_text(raw.get("image_url")) || blocks::is_text(raw.get("file_id"))
        }
        "input_file" => ["file_id", "file_data", "file_url"]
            .iter()
            .any(|key| blocks::is_text(raw.get(key))),
        _ => false,
    };
    if !is_known {
        return Ok(vec![Block::other(&raw, room)?]);
    }
    let deep = room.saturating_sub(2);
    let mut fields = Fields::read("", raw)?;
    fields.raw("type");
    Ok(vec![match kind.as_str() {
        "refusal" => {
            let said = fields.text_or_leave("refusal").map(Json::String);
            Block::new("refusal", [("content", said)], fields.told_rest(deep)?)
        }
        "input_image" | "input_file" => media(&kind, fields, deep)?,
        _ => {
            let text = fields.peek_text("text").unwrap_or_default();
            fields.raw("text");
            Block::text(text, fields.told_rest(deep)?)
        }
    }])
}

/// An image or file: where it is, or its id, or its bytes.
fn media(kind: &str, mut fields: Fields<'_>, deep: usize) -> Result<Block, AdaptError> {
    let (modality, key) = match kind {
        "input_image" => ("image", "image_url"),
        _ => ("document", "file_url"),
    };
    if let Some(address) = fields.text_or_leave(key) {
        return Ok(Block::at(modality, address, fields.told_rest(deep)?));
    }
    let id = fields.text_or_leave("file_id");
    let bytes = fields.text_or_leave("file_data");
    Ok(Block::file(modality, id, bytes, fields.told_rest(deep)?))
}
