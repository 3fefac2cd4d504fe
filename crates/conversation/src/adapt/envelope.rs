//! The keys of ours that may stand round an exchange of any shape, and the capture that is made of both.

use time::OffsetDateTime;

use super::{AdaptError, Arrival, DEFAULT_TENANT, EXTRA_DEPTH, Fields, user_id, with_extra};
use crate::capture::{Capture, History, Part, Shape, Trace};
use crate::identity::{self, Chain};
use crate::json::{Json, MAX_DEPTH};
use crate::sanitize::Sanitized;
use crate::transcript::{Exchange, Said, messages};
use crate::usage::{self, Usage};

/// Keys that are kept though no field of [`Capture`] is made of them, and where they came from.
pub(super) type Extra = Vec<(String, Json)>;

/// What an exchange says in a shape that is not ours. What the envelope says goes before it.
#[derive(Default)]
pub(super) struct Told {
    pub(super) event_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) time: Option<OffsetDateTime>,
    /// `full` by default, as clients of models send it.
    pub(super) history: Option<History>,
    pub(super) operation: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) request_model: Option<String>,
    pub(super) response_model: Option<String>,
    pub(super) response_id: Option<String>,
    /// In the provider's words.
    pub(super) finish_reasons: Vec<String>,
    pub(super) error: Option<Json>,
    pub(super) usage: Usage,
    pub(super) system_instructions: Vec<Part>,
    pub(super) said: Vec<Said>,
    pub(super) context: Option<Json>,
    pub(super) trace: Trace,
    /// What had to be repaired in JSON that came as text.
    pub(super) sanitized: Sanitized,
    pub(super) extra: Extra,
}

impl Told {
    /// Keeps what is left of an object under `key`.
    pub(super) fn keep(&mut self, key: &str, fields: Fields<'_>) -> Result<(), AdaptError> {
        let rest = fields.told_rest(EXTRA_DEPTH - 1)?;
        if !rest.is_empty() {
            self.extra.push((key.to_owned(), Json::Object(rest)));
        }
        Ok(())
    }

    /// The counts of a provider, by its own rule. They are kept whole too, since they may have been added up.
    pub(super) fn count(
        &mut self,
        fields: &mut Fields<'_>,
        read: fn(&mut Fields<'_>) -> Result<Usage, AdaptError>,
    ) -> Result<(), AdaptError> {
        let whole = fields.peek_json("usage", EXTRA_DEPTH)?;
        if let Some(mut counts) = fields.fields("usage")? {
            self.usage = read(&mut counts)?;
            let whole = whole.filter(|whole| !whole.is_empty());
            self.extra
                .extend(whole.map(|whole| ("usage".to_owned(), whole)));
        }
        Ok(())
    }
}

/// The capture of an exchange that is told, in the envelope `event`.
pub(super) fn assemble(
    mut event: Fields<'_>,
    arrival: &Arrival<'_>,
    shape: Shape,
    told: Told,
) -> Result<Capture, AdaptError> {
    let mut extra = told.extra;
    let tenant_id = event
        .id("tenant_id")?
        .unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    let own_event_id = first(event.id("event_id")?, told.event_id, "event_id", &mut extra);
    let event_id = arrival
        .place
        .event_id(own_event_id, told.response_id.as_deref())?;
    let own_conversation_id = event.id("conversation_id")?;
    let conversation_id = first(
        own_conversation_id,
        told.conversation_id,
        "conversation_id",
        &mut extra,
    )
    .unwrap_or_else(|| identity::conversation_id(&event_id));
    let history = history(&mut event)?
        .or(told.history)
        .unwrap_or(History::Full);
    let operation = first(
        event.text("operation")?,
        told.operation,
        "operation",
        &mut extra,
    );
    let provider = first(
        event.text("provider")?,
        told.provider,
        "provider",
        &mut extra,
    );
    let finish_reasons = finish_reasons(told.finish_reasons, &mut extra);
    let exchange = Exchange {
        model: told
            .response_model
            .as_deref()
            .or(told.request_model.as_deref()),
        provider: provider.as_deref(),
        finish_reasons: &finish_reasons,
        usage: told.usage,
    };
    let chain =
        Chain::new(&tenant_id, &conversation_id, &event_id, history).keyed(arrival.place.key);
    let messages = messages(told.said, chain, &exchange);
    let own_trace = trace(&mut event, &mut extra)?;
    let trace = Trace {
        trace_id: first(
            own_trace.trace_id,
            told.trace.trace_id,
            "trace_id",
            &mut extra,
        ),
        span_id: first(own_trace.span_id, told.trace.span_id, "span_id", &mut extra),
    };
    let is_somebody = |user: &String| user != "anonymous";
    let told_user_id = told.user_id.filter(is_somebody);

    Ok(Capture {
        user_id: first(user_id(&mut event)?, told_user_id, "user_id", &mut extra),
        occurred_at: arrival
            .place
            .occurred_at(event.instant("occurred_at")?.or(told.time)),
        sequence: event.sequence("sequence")?,
        history,
        operation,
        provider,
        request_model: told.request_model,
        response_model: told.response_model,
        response_id: told.response_id,
        finish_reasons,
        error: first(
            event.json("error", MAX_DEPTH)?,
            told.error,
            "error",
            &mut extra,
        ),
        usage: told.usage,
        system_instructions: told.system_instructions,
        messages,
        implementations: Vec::new(),
        context: match told.context {
            Some(context) => context,
            None => event.object("context")?,
        },
        tags: event.texts("tags")?,
        trace,
        shape,
        source: arrival.place.delivery.source,
        sanitized: arrival.sanitized.and(told.sanitized),
        metadata: metadata(event, extra)?,
        media: Vec::new(),
        redaction: None,
        fingerprint: [0; 32],
        tenant_id,
        conversation_id,
        event_id,
    })
}

/// What the envelope says; else what the exchange says, which is kept where the envelope says something else.
pub(super) fn first<T: Into<Json> + PartialEq>(
    own: Option<T>,
    told: Option<T>,
    key: &str,
    extra: &mut Extra,
) -> Option<T> {
    if own.is_none() || own == told {
        return told;
    }
    extra.extend(told.map(|told| (key.to_owned(), told.into())));
    own
}

pub(super) fn history(event: &mut Fields<'_>) -> Result<Option<History>, AdaptError> {
    let words = [
        (History::Full.as_str(), History::Full),
        (History::Delta.as_str(), History::Delta),
    ];
    event.word("history", &words, "`full` or `delta`")
}

/// In our words; in the provider's too, where they say more.
pub(super) fn finish_reasons(given: Vec<String>, extra: &mut Extra) -> Vec<String> {
    let canonical: Vec<_> = given
        .iter()
        .map(|given| usage::finish_reason(given).to_owned())
        .collect();
    if canonical != given {
        let given = given.into_iter().map(Json::String).collect();
        extra.push(("finish_reasons".to_owned(), Json::Array(given)));
    }
    canonical
}

pub(super) fn trace(event: &mut Fields<'_>, extra: &mut Extra) -> Result<Trace, AdaptError> {
    let Some(mut fields) = event.fields("trace")? else {
        return Ok(Trace::default());
    };
    let trace = Trace {
        trace_id: fields.text("trace_id")?,
        span_id: fields.text("span_id")?,
    };
    keep_rest("trace", fields, extra)?;
    Ok(trace)
}

pub(super) fn keep_rest(
    key: &str,
    fields: Fields<'_>,
    extra: &mut Extra,
) -> Result<(), AdaptError> {
    let rest = fields.rest(EXTRA_DEPTH - 1)?;
    if !rest.is_empty() {
        extra.push((key.to_owned(), Json::Object(rest)));
    }
    Ok(())
}

pub(super) fn metadata(mut fields: Fields<'_>, mut extra: Extra) -> Result<Json, AdaptError> {
    let metadata = fields.object("metadata")?;
    extra.extend(fields.rest(EXTRA_DEPTH)?);
    Ok(with_extra(metadata, extra))
}
