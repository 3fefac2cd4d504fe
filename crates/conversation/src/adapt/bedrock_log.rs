//! A line of Bedrock's model invocation log, as CloudWatch Logs and S3 have it.

use super::envelope::{Told, assemble, first};
use super::pair::Provider;
use super::{
    AdaptError, Adapter, Arrival, Fields, anthropic, converse, openai_chat, openai_responses, parts,
};
use crate::capture::{Capture, Direction, Shape};
use crate::identity::bounded_id;
use crate::instant;
use crate::json::{Json, Kind, Raw};
use crate::transcript::Said;
use crate::usage::Usage;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `schemaType` `ModelInvocationLog`",
    recognises: |event| event.peek_text("schemaType").as_deref() == Some("ModelInvocationLog"),
    adapt,
};

/// Key of `requestMetadata` under which a caller names the conversation, unless the operator names another.
pub(super) const CONVERSATION_KEY: &str = "conversation_id";

/// Whose requests and responses are known as bodies.
const PROVIDERS: [&Provider; 4] = [
    &converse::PROVIDER,
    &anthropic::PROVIDER,
    &openai_chat::PROVIDER,
    &openai_responses::PROVIDER,
];

fn adapt(mut event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    event.raw("schemaType");
    let request_id = event.id("requestId")?;
    let named = |key| event.peek("requestMetadata")?.get(key)?.string();
    let named = |key| {
        named(key)
            .filter(|id| !id.is_empty())
            .map(|id| bounded_id(&id))
    };
    let mut told = Told {
        conversation_id: named(arrival.bedrock_conversation_key).or_else(|| request_id.clone()),
        user_id: named("user_id"),
        event_id: request_id,
        time: event
            .peek_text("timestamp")
            .and_then(|text| instant::parse(&text)),
        provider: Some("aws.bedrock".to_owned()),
        ..Told::default()
    };
    let operation = event.text("operation")?;
    let mut input = event.fields("input")?;
    let mut output = event.fields("output")?;
    let request = body(input.as_mut(), "inputBodyJson", "inputBodyS3Path")?;
    let response = body(output.as_mut(), "outputBodyJson", "outputBodyS3Path")?;
    let streamed = response.as_ref().and_then(anthropic::stream::response);
    let response = match &streamed {
        Some(text) => Some(Raw::read(text)?),
        None => response,
    };
    let answering = response.as_ref().and_then(|response| {
        PROVIDERS
            .into_iter()
            .find(|provider| (provider.answered)(response))
    });
    let asking = request
        .as_ref()
        .and_then(|request| asked(request, answering, operation.as_deref()));
    if asking.or(answering).is_some() {
        told.operation = Some("chat".to_owned());
    }
    if let Some(raw) = request {
        match asking {
            Some(provider) => {
                (provider.request)(Fields::read("input.inputBodyJson", raw)?, &mut told)?;
            }
            None => told.said.push(unknown("user", Direction::Input, &raw)?),
        }
    }
    if let Some(raw) = response {
        match answering {
            Some(provider) => {
                (provider.response)(Fields::read("output.outputBodyJson", raw)?, &mut told)?;
            }
            None => told
                .said
                .push(unknown("assistant", Direction::Output, &raw)?),
        }
    }
    told.usage = usage(told.usage, input.as_ref(), output.as_ref());
    told.request_model = first(
        event.text("modelId")?,
        told.request_model,
        "model",
        &mut told.extra,
    );
    told.error = event
        .json("errorCode", 0)?
        .map(|code| Json::object([("type", code)]));
    let operation = operation.map(|operation| ("operation".to_owned(), Json::String(operation)));
    told.extra.extend(operation);
    for (key, side) in [("input", input), ("output", output)] {
        if let Some(side) = side {
            told.keep(key, side)?;
        }
    }
    Ok(vec![assemble(event, arrival, Shape::BedrockLog, told)?])
}

/// What was sent or answered. A large one lies in a bucket and was read before: to store the reference in place of what it
/// refers to would acknowledge a turn that is not kept.
fn body<'a>(
    side: Option<&mut Fields<'a>>,
    key: &str,
    reference: &str,
) -> Result<Option<Raw<'a>>, AdaptError> {
    let Some(side) = side else {
        return Ok(None);
    };
    let body = side.raw(key);
    match side.peek(reference) {
        Some(raw) if body.is_none() && raw.kind() != Kind::Null => Err(side.invalid(
            reference,
            raw,
            "`s3://BUCKET/KEY` with the body, or the body in the event itself",
        )),
        _ => Ok(body),
    }
}

/// Whose request it is, if it is a conversation: that of who answered, or by the marks of its interface.
fn asked(
    request: &Raw<'_>,
    answering: Option<&'static Provider>,
    operation: Option<&str>,
) -> Option<&'static Provider> {
    let untyped = |content: &Raw<'_>| {
        let blocks = content.items().unwrap_or_default();
        blocks
            .iter()
            .any(|block| block.entries().is_some() && block.get("type").is_none())
    };
    if answering.is_some_and(|provider| provider.shape == Shape::OpenAiResponses) {
        return request.entries().and(answering);
    }
    let messages = request.get("messages")?.items()?;
    let by_marks = || {
        if operation.is_some_and(|operation| operation.starts_with("Converse")) {
            &converse::PROVIDER
        } else if request.get("anthropic_version").is_some() {
            &anthropic::PROVIDER
        } else if messages
            .iter()
            .filter_map(|message| message.get("content"))
            .any(untyped)
        {
            // Nova's own interface is that of Converse.
            &converse::PROVIDER
        } else {
            &openai_chat::PROVIDER
        }
    };
    Some(answering.unwrap_or_else(by_marks))
}

/// A body of no interface that is known here, whole.
fn unknown(role: &str, direction: Direction, raw: &Raw<'_>) -> Result<Said, AdaptError> {
    Ok(Said {
        message_id: None,
        parent_message_id: None,
        direction: Some(direction),
        role: role.to_owned(),
        name: None,
        parts: parts::of_client(raw)?,
        identity: None,
        alternative: false,
        finish_reason: None,
        metadata: Json::empty_object(),
    })
}

/// The counts of the body, and those of the log where it tells none. Both sides keep theirs as they came.
fn usage(told: Usage, input: Option<&Fields<'_>>, output: Option<&Fields<'_>>) -> Usage {
    let count = |side: Option<&Fields<'_>>, key| {
        let count: i32 = side?.peek(key)?.text().parse().ok()?;
        (count >= 0).then_some(count)
    };
    let output_tokens = told
        .output_tokens
        .or_else(|| count(output, "outputTokenCount"));
    if told.input_tokens.is_some() {
        return Usage {
            output_tokens,
            ..told
        };
    }
    Usage {
        input_tokens: count(input, "inputTokenCount"),
        output_tokens,
        cache_read_input_tokens: count(input, "cacheReadInputTokenCount"),
        cache_creation_input_tokens: count(input, "cacheWriteInputTokenCount"),
        reasoning_output_tokens: told.reasoning_output_tokens,
    }
    .with_cached_input()
}
