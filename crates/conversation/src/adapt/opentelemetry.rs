//! OpenTelemetry by its GenAI conventions: attributes as they are, in `attributes` of one span or log record, or a batch of
//! OTLP in JSON.
//!
//! Few who send it set `gen_ai.conversation.id`. Then other names of the same thing are tried, and at last the trace is the
//! conversation.

mod otlp;

use super::envelope::{Extra, Told, assemble};
use super::fields::texts;
use super::{AdaptError, Adapter, Arrival, EXTRA_DEPTH, Fields, parts, with_extra};
use crate::capture::{Capture, Direction, Part, Shape, Trace};
use crate::identity::{Place, bounded_id};
use crate::instant;
use crate::json::{Json, Kind, Raw};
use crate::sanitize::{self, Sanitized};
use crate::transcript::Said;
use crate::usage::{Usage, finish_reason};

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `gen_ai.*` attributes, `resourceSpans` or `resourceLogs`",
    recognises: |event| {
        otlp::BATCHES
            .iter()
            .any(|(batch, ..)| event.mentions(batch))
            || event.names().any(is_ours)
            || event.peek("attributes").is_some_and(has_ours)
    },
    adapt,
};

/// Where a conversation may be named, in the order in which it is looked for.
const CONVERSATIONS: [&str; 9] = [
    "gen_ai.conversation.id",
    "session.id",
    "conversation.id",
    "conversation_id",
    "session_id",
    "thread_id",
    "langfuse.session.id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.session_id",
];

/// Where a user may be named.
const USERS: [&str; 3] = ["user.id", "enduser.id", "langfuse.user.id"];

fn is_ours(attribute: &str) -> bool {
    attribute.starts_with("gen_ai.")
}

/// Whether attributes, as an object or as OTLP's list, are of the GenAI conventions.
fn has_ours(attributes: &Raw<'_>) -> bool {
    let named = |item: &Raw<'_>| item.get("key").and_then(Raw::string);
    let listed = |item| named(item).is_some_and(|name| is_ours(&name));
    attributes
        .entries()
        .unwrap_or_default()
        .iter()
        .any(|(name, _)| is_ours(name))
        || attributes.items().unwrap_or_default().iter().any(listed)
}

fn adapt(event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    if !otlp::BATCHES.iter().any(|(batch, ..)| event.has(batch)) {
        return Ok(vec![record(event, arrival, Extra::new())?]);
    }
    let records = otlp::records(event)?;
    let several = records.len() > 1;
    records
        .into_iter()
        .enumerate()
        .map(|(position, (fields, shared))| {
            let place = Place {
                record: several.then_some(position),
                ..arrival.place
            };
            let arrival = Arrival { place, ..*arrival };
            record(fields, &arrival, shared)
        })
        .collect()
}

/// One span or log record.
fn record(
    mut event: Fields<'_>,
    arrival: &Arrival<'_>,
    extra: Extra,
) -> Result<Capture, AdaptError> {
    let mut told = Told {
        extra,
        ..Told::default()
    };
    let path = event.path_of("attributes");
    match event.raw("attributes") {
        None => attributes(&mut event, &mut told)?,
        Some(raw) => {
            let listed = (raw.kind() == Kind::Array).then(|| otlp::plain(&raw));
            let raw = match &listed {
                Some(text) => Raw::read(text)?,
                None => raw,
            };
            let mut fields = Fields::read(&path, raw)?;
            attributes(&mut fields, &mut told)?;
            // An attribute without a value is one all the same.
            let rest = fields.rest(EXTRA_DEPTH - 1)?;
            if !rest.is_empty() {
                told.extra
                    .push(("attributes".to_owned(), Json::Object(rest)));
            }
        }
    }
    told.trace = trace(&event);
    told.time = time(&event);
    if told.response_id.is_none() || event.mentions("endTimeUnixNano") {
        told.event_id = event_id(&told.trace, &event);
    }
    if told.conversation_id.is_none() {
        told.conversation_id = told.trace.trace_id.as_deref().map(bounded_id);
    }
    assemble(event, arrival, Shape::OpenTelemetry, told)
}

fn attributes(fields: &mut Fields<'_>, told: &mut Told) -> Result<(), AdaptError> {
    told.operation = fields.text("gen_ai.operation.name")?;
    told.provider = fields.text("gen_ai.provider.name")?;
    if told.provider.is_none() {
        // Its name until version 1.37 of the conventions.
        told.provider = fields.text("gen_ai.system")?;
    }
    told.conversation_id = CONVERSATIONS
        .iter()
        .find_map(|name| fields.id_or_leave(name));
    told.user_id = USERS.iter().find_map(|name| fields.id_or_leave(name));
    told.request_model = fields.text("gen_ai.request.model")?;
    told.response_model = fields.text("gen_ai.response.model")?;
    told.response_id = fields.text("gen_ai.response.id")?;
    let error = fields.json("error.type", EXTRA_DEPTH)?;
    told.error = error.map(|kind| Json::object([("type", kind)]));
    told.usage = Usage {
        input_tokens: count(
            fields,
            &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
        )?,
        output_tokens: count(
            fields,
            &[
                "gen_ai.usage.output_tokens",
                "gen_ai.usage.completion_tokens",
            ],
        )?,
        cache_read_input_tokens: count(fields, &["gen_ai.usage.cache_read.input_tokens"])?,
        cache_creation_input_tokens: count(fields, &["gen_ai.usage.cache_creation.input_tokens"])?,
        reasoning_output_tokens: count(fields, &["gen_ai.usage.reasoning.output_tokens"])?,
    };
    let mut sanitized = Sanitized::default();
    let reasons = opened(
        fields,
        "gen_ai.response.finish_reasons",
        &mut sanitized,
        texts,
    )?;
    told.finish_reasons = reasons.unwrap_or_default();
    let system = opened(
        fields,
        "gen_ai.system_instructions",
        &mut sanitized,
        |_, raw| parts::of_client(&raw),
    )?;
    told.system_instructions = system.unwrap_or_default();
    for (name, direction) in [
        ("gen_ai.input.messages", Direction::Input),
        ("gen_ai.output.messages", Direction::Output),
    ] {
        let said = opened(fields, name, &mut sanitized, |path, raw| {
            messages(path, raw, direction)
        })?;
        told.said.extend(said.unwrap_or_default());
    }
    told.sanitized = sanitized;
    Ok(())
}

/// The value of an attribute, which many write as JSON text. Text that is no JSON (limits of SDKs cut it) is a text.
fn opened<T>(
    fields: &mut Fields<'_>,
    name: &str,
    sanitized: &mut Sanitized,
    read: impl FnOnce(&str, Raw<'_>) -> Result<T, AdaptError>,
) -> Result<Option<T>, AdaptError> {
    let path = fields.path_of(name);
    let Some(raw) = fields.raw(name) else {
        return Ok(None);
    };
    if raw.kind() == Kind::String {
        let text = raw.decoded()?;
        let clean = sanitize::clean(text.as_bytes());
        if clean.text().trim_start().starts_with(['[', '{'])
            && let Ok(inner) = Raw::read(clean.text())
        {
            *sanitized = sanitized.and(clean.sanitized());
            return read(&path, inner).map(Some);
        }
    }
    read(&path, raw).map(Some)
}

fn messages(path: &str, raw: Raw<'_>, direction: Direction) -> Result<Vec<Said>, AdaptError> {
    let role = match direction {
        Direction::Input => "user",
        Direction::Output => "assistant",
    };
    let one = |path: &str, raw: Raw<'_>, position| match raw.kind() {
        Kind::Object => message(Fields::read(path, raw)?, role, direction, position),
        _ => Ok(said(
            role.to_owned(),
            direction,
            position,
            parts::of_client(&raw)?,
        )),
    };
    if raw.kind() != Kind::Array {
        return Ok(vec![one(path, raw, 0)?]);
    }
    raw.into_items()?
        .into_iter()
        .enumerate()
        .map(|(position, item)| one(&format!("{path}[{position}]"), item, position))
        .collect()
}

fn message(
    mut fields: Fields<'_>,
    role: &str,
    direction: Direction,
    position: usize,
) -> Result<Said, AdaptError> {
    let role = fields.text("role")?.unwrap_or_else(|| role.to_owned());
    let key = if fields.has("parts") {
        "parts"
    } else {
        "content"
    };
    let parts = match fields.raw(key) {
        Some(raw) => parts::of_client(&raw)?,
        None => Vec::new(),
    };
    let name = fields.text("name")?;
    let given = fields.text("finish_reason")?;
    let reason = given
        .as_deref()
        .map(|given| finish_reason(given).to_owned());
    let mut extra = Extra::new();
    if reason != given {
        extra.extend(given.map(|given| ("finish_reason".to_owned(), Json::String(given))));
    }
    extra.extend(fields.rest(EXTRA_DEPTH)?);
    Ok(Said {
        name,
        finish_reason: reason,
        metadata: with_extra(Json::empty_object(), extra),
        ..said(role, direction, position, parts)
    })
}

fn said(role: String, direction: Direction, position: usize, parts: Vec<Part>) -> Said {
    Said {
        message_id: None,
        parent_message_id: None,
        direction: Some(direction),
        role,
        name: None,
        parts,
        identity: None,
        // Several answers are several choices.
        alternative: direction == Direction::Output && position > 0,
        finish_reason: None,
        metadata: Json::empty_object(),
    }
}

/// A count under the first of its names; a number in a string is one.
fn count(fields: &mut Fields<'_>, names: &[&str]) -> Result<Option<i32>, AdaptError> {
    for name in names {
        let text = fields
            .peek_text(name)
            .and_then(|text| text.parse::<i32>().ok());
        if let Some(count) = text.filter(|count| *count >= 0) {
            fields.raw(name);
            return Ok(Some(count));
        }
        if fields.has(name) {
            return fields.count(name);
        }
    }
    Ok(None)
}

/// The ids of a span as OTLP, SDKs and log exporters write them; they stay where they are.
fn trace(event: &Fields<'_>) -> Trace {
    let context = |name| event.peek("context")?.get(name)?.string();
    let id = |camel, snake| {
        let own = event.peek_text(camel).or_else(|| event.peek_text(snake));
        own.or_else(|| context(snake)).filter(|id| !id.is_empty())
    };
    Trace {
        trace_id: id("traceId", "trace_id"),
        span_id: id("spanId", "span_id"),
    }
}

/// When it ended, or else was noted.
fn time(event: &Fields<'_>) -> Option<time::OffsetDateTime> {
    let nanos = [
        "endTimeUnixNano",
        "timeUnixNano",
        "observedTimeUnixNano",
        "startTimeUnixNano",
    ];
    let nanos = nanos.iter().find_map(|name| {
        let raw = event.peek(name)?;
        let text = raw.string();
        instant::parse_unix_nanos(text.as_deref().unwrap_or(raw.text()))
    });
    let texts = ["end_time", "timestamp", "time", "start_time"];
    nanos.or_else(|| {
        texts
            .iter()
            .find_map(|name| instant::parse(&event.peek_text(name)?))
    })
}

/// A span is known by its ids, wherever and in whatever batch it comes; a log record within it by its time as well.
fn event_id(trace: &Trace, event: &Fields<'_>) -> Option<String> {
    let (trace_id, span_id) = (trace.trace_id.as_deref()?, trace.span_id.as_deref()?);
    let number = |name| {
        let raw: &Raw<'_> = event.peek(name)?;
        Some(raw.string().unwrap_or_else(|| raw.text().to_owned()))
    };
    Some(bounded_id(&match number("timeUnixNano") {
        Some(noted) => format!("{trace_id}-{span_id}-{noted}"),
        None => format!("{trace_id}-{span_id}"),
    }))
}
