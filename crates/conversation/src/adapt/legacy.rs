//! The bare object of the `IaL` capture function: one turn of two texts.
//!
//! Its defaults apply to explicit `null` as well. Besides its fields an event may bring `event_id`, `tenant_id` and
//! `occurred_at` (or `timestamp`); in any form that is not understood they are kept like every other unknown key,
//! because the original took no notice of them.

use time::OffsetDateTime;

use super::{
    AdaptError, Adapter, Arrival, DEFAULT_TENANT, EXTRA_DEPTH, Fields, parts, user_id, with_extra,
};
use crate::capture::{Capture, Direction, History, Implementation, Shape, Trace};
use crate::identity::{self, Chain, bounded_id};
use crate::instant;
use crate::json::{Json, MAX_DEPTH};
use crate::transcript::{Exchange, Said, messages};
use crate::usage::Usage;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `user_input`, `assistant_output` or `implementations`",
    recognises: |event| {
        ["user_input", "assistant_output", "implementations"]
            .iter()
            .any(|key| event.mentions(key))
    },
    adapt,
};

fn adapt(mut event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    let own_event_id = event.id_or_leave("event_id");
    let event_id = arrival.place.event_id(own_event_id, None)?;
    let tenant_id = event
        .id_or_leave("tenant_id")
        .unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    let conversation_id = match event.peek_text("conversation_id").as_deref() {
        // The original would store an empty id; nobody could have meant it.
        Some("") => None,
        _ => event.id("conversation_id")?,
    }
    .unwrap_or_else(|| identity::conversation_id(&event_id));

    let user = said(
        &mut event,
        "user_input",
        "user",
        Direction::Input,
        &event_id,
    )?;
    let assistant = said(
        &mut event,
        "assistant_output",
        "assistant",
        Direction::Output,
        &event_id,
    )?;
    let answer_id = assistant
        .as_ref()
        .and_then(|answer| answer.message_id.clone());
    let implementations = event
        .items("implementations")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(ordinal, (path, raw))| {
            let id = identity::implementation_id(&event_id, ordinal);
            implementation(Fields::read(&path, raw)?, id, answer_id.clone())
        })
        .collect::<Result<_, AdaptError>>()?;
    let chain = Chain::new(&tenant_id, &conversation_id, &event_id, History::Delta);
    let messages = messages(
        user.into_iter().chain(assistant).collect(),
        chain,
        &Exchange::default(),
    );

    Ok(vec![Capture {
        tenant_id,
        conversation_id,
        event_id,
        user_id: user_id(&mut event)?,
        occurred_at: arrival.place.occurred_at(occurred_at(&mut event)),
        sequence: None,
        history: History::Delta,
        operation: None,
        provider: None,
        request_model: None,
        response_model: None,
        response_id: None,
        finish_reasons: Vec::new(),
        error: None,
        usage: Usage::default(),
        system_instructions: Vec::new(),
        messages,
        implementations,
        context: context(&mut event)?,
        tags: Vec::new(),
        trace: Trace::default(),
        shape: Shape::Legacy,
        source: arrival.place.delivery.source,
        sanitized: arrival.sanitized,
        metadata: with_extra(Json::empty_object(), event.rest(EXTRA_DEPTH)?),
        media: Vec::new(),
        redaction: None,
        fingerprint: [0; 32],
    }])
}

/// One side of the turn; an empty text is not a message.
fn said(
    event: &mut Fields<'_>,
    key: &str,
    role: &str,
    direction: Direction,
    event_id: &str,
) -> Result<Option<Said>, AdaptError> {
    let Some(raw) = event.raw(key) else {
        return Ok(None);
    };
    let parts = parts::of_client(&raw)?;
    Ok((!parts.is_empty()).then(|| Said {
        message_id: Some(bounded_id(&format!("{event_id}-{role}"))),
        parent_message_id: None,
        direction: Some(direction),
        role: role.to_owned(),
        name: None,
        parts,
        identity: None,
        alternative: false,
        finish_reason: None,
        // As the original wrote it; old readers ask for it.
        metadata: Json::object([("source", Json::from(key))]),
    }))
}

fn implementation(
    mut fields: Fields<'_>,
    implementation_id: String,
    message_id: Option<String>,
) -> Result<Implementation, AdaptError> {
    let implementation_type = fields
        .text_of_any("type")?
        .unwrap_or_else(|| Implementation::UNKNOWN_TYPE.to_owned());
    Ok(Implementation {
        implementation_id,
        message_id,
        file_path: fields.text_of_any("file_path")?,
        implementation_type,
        functionality: fields.text_of_any("functionality")?,
        code_snippet: fields.text_of_any("code_snippet")?,
        language: fields.text_of_any("language")?,
        content_sha256: [0; 32],
        metadata: with_extra(Json::empty_object(), fields.rest(EXTRA_DEPTH)?),
    }
    .sealed())
}

/// The producer's context; the original stored whatever it was given.
fn context(event: &mut Fields<'_>) -> Result<Json, AdaptError> {
    // One level is left for an object made around another value.
    Ok(match event.json("context", MAX_DEPTH - 1)? {
        None => Json::empty_object(),
        Some(object @ Json::Object(_)) => object,
        Some(other) => Json::object([("value", other)]),
    })
}

/// Python writes times without a zone and means UTC.
fn occurred_at(event: &mut Fields<'_>) -> Option<OffsetDateTime> {
    ["occurred_at", "timestamp"].into_iter().find_map(|key| {
        let text = event.peek_text(key)?;
        let instant = instant::parse(&text).or_else(|| instant::parse_naive(&text))?;
        event.raw(key);
        Some(instant)
    })
}
