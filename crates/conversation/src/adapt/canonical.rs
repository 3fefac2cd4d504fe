//! The canonical event `llm.capture/1`.
//!
//! Required are `schema`, `conversation_id` and `messages` or `implementations`; all else may be absent or `null`.
//! `history` is `full` by default, because that is what LLM clients have: they send all that was said with every call.
//! An archived object is such an event as well, with a `_meta` of ours, and gives the same capture again.

use super::envelope::{Extra, finish_reasons, history, keep_rest, metadata, trace};
use super::{AdaptError, Adapter, Arrival, DEFAULT_TENANT, EXTRA_DEPTH, Fields, parts, user_id};
use crate::capture::{Capture, Direction, History, Implementation, Shape};
use crate::identity::{self, Chain, Taken};
use crate::json::{Json, MAX_DEPTH};
use crate::object::Meta;
use crate::transcript::{Exchange, Said, messages};
use crate::usage::{Usage, finish_reason};

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `schema` `llm.capture/1`",
    recognises: |event| {
        event
            .peek_text("schema")
            .is_some_and(|schema| schema.starts_with("llm.capture/"))
    },
    adapt,
};

fn adapt(mut event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    event.word("schema", &[("llm.capture/1", ())], "`llm.capture/1`")?;
    let mut extra = Extra::new();
    let meta = meta(&mut event, &mut extra)?;
    refuse_claim_check(&mut event)?;

    let tenant_id = event
        .id("tenant_id")?
        .unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    let conversation_id = event
        .id("conversation_id")?
        .ok_or_else(|| event.missing("conversation_id", "a string that is not empty"))?;
    let own_event_id = event.id("event_id")?;
    let response_id = event.text("response_id")?;
    let event_id = arrival
        .place
        .event_id(own_event_id, response_id.as_deref())?;
    let history = history(&mut event)?.unwrap_or(History::Full);
    let provider = event.text("provider")?;
    let request_model = event.text("request_model")?;
    let response_model = event.text("response_model")?;
    let finish_reasons = finish_reasons(event.texts("finish_reasons")?, &mut extra);
    let usage = usage(&mut event, &mut extra)?;

    let said = event.items("messages")?;
    let made = event.items("implementations")?;
    if said.is_none() && made.is_none() {
        return Err(event.missing("messages", "an array of messages, or `implementations`"));
    }
    let said = said
        .unwrap_or_default()
        .into_iter()
        .map(|(path, raw)| message(Fields::read(&path, raw)?))
        .collect::<Result<Vec<_>, AdaptError>>()?;
    let mut taken = Taken::default();
    let implementations = made
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(ordinal, (path, raw))| {
            let default_id = identity::implementation_id(&event_id, ordinal);
            implementation(Fields::read(&path, raw)?, default_id, &mut taken)
        })
        .collect::<Result<_, AdaptError>>()?;
    let exchange = Exchange {
        model: response_model.as_deref().or(request_model.as_deref()),
        provider: provider.as_deref(),
        finish_reasons: &finish_reasons,
        usage,
    };
    let messages = messages(
        said,
        Chain::new(&tenant_id, &conversation_id, &event_id, history).keyed(arrival.place.key),
        &exchange,
    );

    Ok(vec![Capture {
        tenant_id,
        conversation_id,
        event_id,
        user_id: user_id(&mut event)?,
        occurred_at: arrival.place.occurred_at(event.instant("occurred_at")?),
        sequence: event.sequence("sequence")?,
        history,
        operation: event.text("operation")?,
        provider,
        request_model,
        response_model,
        response_id,
        finish_reasons,
        error: event.json("error", MAX_DEPTH)?,
        usage,
        system_instructions: event.parts("system_instructions")?,
        messages,
        implementations,
        context: event.object("context")?,
        tags: event.texts("tags")?,
        trace: trace(&mut event, &mut extra)?,
        shape: meta.shape.unwrap_or(Shape::Canonical),
        source: arrival.place.delivery.source,
        sanitized: arrival.sanitized.and(meta.sanitized),
        metadata: metadata(event, extra)?,
        media: Vec::new(),
        redaction: meta.redaction,
        fingerprint: meta.fingerprint.unwrap_or_default(),
    }])
}

fn message(mut fields: Fields<'_>) -> Result<Said, AdaptError> {
    let mut extra = Extra::new();
    let words = [
        (Direction::Input.as_str(), Direction::Input),
        (Direction::Output.as_str(), Direction::Output),
    ];
    let role = fields
        .text("role")?
        .ok_or_else(|| fields.missing("role", "a string that is not empty"))?;
    let says_nothing = fields.mentions("parts") || fields.mentions("content");
    let parts = if fields.has("parts") {
        fields.parts("parts")?
    } else if let Some(content) = fields.raw("content") {
        // What most clients have at hand.
        parts::of_client(&content)?
    } else if says_nothing {
        Vec::new()
    } else {
        return Err(fields.missing("parts", "an array of message parts"));
    };
    let given_reason = fields.text("finish_reason")?;
    let canonical_reason = given_reason
        .as_deref()
        .map(|given| finish_reason(given).to_owned());
    if canonical_reason != given_reason {
        extra.extend(given_reason.map(|given| ("finish_reason".to_owned(), Json::String(given))));
    }
    Ok(Said {
        message_id: fields.id("message_id")?,
        parent_message_id: fields.id("parent_message_id")?,
        direction: fields.word("direction", &words, "`input` or `output`")?,
        role,
        name: fields.text("name")?,
        parts,
        identity: None,
        alternative: false,
        finish_reason: canonical_reason,
        metadata: metadata(fields, extra)?,
    })
}

fn implementation(
    mut fields: Fields<'_>,
    default_id: String,
    taken: &mut Taken,
) -> Result<Implementation, AdaptError> {
    Ok(Implementation {
        implementation_id: taken.unused(&fields.id("implementation_id")?.unwrap_or(default_id)),
        message_id: fields.id("message_id")?,
        file_path: fields.text("file_path")?,
        implementation_type: fields
            .text("type")?
            .unwrap_or_else(|| Implementation::UNKNOWN_TYPE.to_owned()),
        functionality: fields.text("functionality")?,
        code_snippet: fields.text("code_snippet")?,
        language: fields.text("language")?,
        content_sha256: [0; 32],
        metadata: metadata(fields, Extra::new())?,
    }
    .sealed())
}

/// A provider's own object is kept whole, since its counts may have been added up.
fn usage(event: &mut Fields<'_>, extra: &mut Extra) -> Result<Usage, AdaptError> {
    let whole = event.peek_json("usage", EXTRA_DEPTH)?;
    let Some(mut fields) = event.fields("usage")? else {
        return Ok(Usage::default());
    };
    let is_canonical = !Usage::is_a_providers(&fields);
    let usage = Usage::read(&mut fields)?;
    let kept = if is_canonical {
        Some(Json::Object(fields.rest(EXTRA_DEPTH - 1)?))
    } else {
        whole
    };
    extra.extend(
        kept.filter(|kept| !kept.is_empty())
            .map(|kept| ("usage".to_owned(), kept)),
    );
    Ok(usage)
}

fn meta(event: &mut Fields<'_>, extra: &mut Extra) -> Result<Meta, AdaptError> {
    let Some(mut fields) = event.fields_if(Meta::KEY, Meta::is_ours)? else {
        return Ok(Meta::default());
    };
    let meta = Meta::read(&mut fields)?;
    keep_rest(Meta::KEY, fields, extra)?;
    Ok(meta)
}

/// Storing the reference in place of what it refers to would acknowledge a turn that is not kept.
fn refuse_claim_check(event: &mut Fields<'_>) -> Result<(), AdaptError> {
    match event.raw("body_ref") {
        None => Ok(()),
        Some(raw) => Err(event.invalid(
            "body_ref",
            &raw,
            "`null`, with the `messages` in the event itself: this version fetches none from elsewhere",
        )),
    }
}
