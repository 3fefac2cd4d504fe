//! An event of Bedrock `AgentCore` Memory, as `CreateEvent` takes it and `ListEvents` gives it.

use super::blocks::{Block, Utterance};
use super::envelope::{Told, assemble};
use super::{AdaptError, Adapter, Arrival, EXTRA_DEPTH, Fields};
use crate::capture::{Capture, Direction, History, Shape};
use crate::instant;
use crate::json::{Json, MAX_DEPTH, Raw};

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `memoryId`, `actorId` and `payload`",
    recognises: |event| {
        ["memoryId", "actorId", "payload"]
            .iter()
            .all(|key| event.mentions(key))
    },
    adapt,
};

fn adapt(mut event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    let mut told = Told {
        event_id: event.id("clientToken")?,
        conversation_id: event.id("sessionId")?,
        user_id: event.id("actorId")?,
        time: event
            .peek("eventTimestamp")
            .and_then(|raw| match raw.string() {
                Some(text) => instant::parse(&text),
                None => instant::parse_unix_seconds(raw.text()),
            }),
        history: Some(History::Delta),
        ..Told::default()
    };
    if told.event_id.is_none() {
        told.event_id = event.id("eventId")?;
    }
    let payload = event
        .items("payload")?
        .ok_or_else(|| event.missing("payload", "an array"))?;
    let mut others = Vec::new();
    for (path, raw) in payload {
        let mut item = Fields::read(&path, raw)?;
        match item.fields("conversational")? {
            Some(conversational) => {
                let mut message = message(conversational)?;
                message.rest.extend(item.told_rest(EXTRA_DEPTH)?);
                told.said.push(message.said());
            }
            None => others.push(Json::Object(item.told_rest(EXTRA_DEPTH - 2)?)),
        }
    }
    if !others.is_empty() {
        told.extra.push(("payload".to_owned(), Json::Array(others)));
    }
    Ok(vec![assemble(event, arrival, Shape::AgentCore, told)?])
}

fn message(mut fields: Fields<'_>) -> Result<Utterance, AdaptError> {
    let given = fields
        .text("role")?
        .ok_or_else(|| fields.missing("role", "a string that is not empty"))?;
    let role = match given.as_str() {
        "USER" | "ASSISTANT" | "TOOL" => given.to_ascii_lowercase(),
        _ => given,
    };
    let direction = match role.as_str() {
        "assistant" => Direction::Output,
        _ => Direction::Input,
    };
    let mut blocks = Vec::new();
    let is_text = |raw: &Raw<'_>| raw.get("text").is_some_and(|text| text.string().is_some());
    if fields.peek("content").is_some_and(is_text)
        && let Some(mut content) = fields.fields("content")?
    {
        let text = content.peek_text("text").unwrap_or_default();
        content.raw("text");
        blocks.push(Block::text(text, content.told_rest(MAX_DEPTH - 2)?));
    } else if let Some(raw) = fields.raw("content") {
        blocks.push(Block::other(&raw, MAX_DEPTH)?);
    }
    let rest = fields.told_rest(EXTRA_DEPTH)?;
    Ok(Utterance {
        rest,
        ..Utterance::of(role, direction, blocks)
    })
}
