//! What a person could miss of an event in its object and in the media that this names.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::tree;
use crate::capture::Capture;
use crate::json::{Json, Raw};
use crate::layout::Layout;
use crate::sanitize::clean;

/// All strings and numbers, and the keys that lead to any: what a person could miss.
fn leaves(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Null => {}
        Json::Bool(truth) => found.push(truth.to_string()),
        Json::Number(text) | Json::String(text) => found.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                let before = found.len();
                leaves(value, found);
                if found.len() > before {
                    found.push(key.clone());
                }
            }
        }
    }
}

/// All keys, those that lead to nothing too: OTLP writes keys as values.
fn keys(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                found.push(key.clone());
                keys(value, found);
            }
        }
        _ => {}
    }
}

/// What an event says, and neither its object nor its media do.
pub(super) fn lost(event: &str, capture: &Capture, layout: Layout) -> Vec<String> {
    let cleaned = clean(event.as_bytes());
    let object = capture.object(layout);
    let (mut said, mut kept) = (Vec::new(), Vec::new());
    leaves(&tree(cleaned.text()), &mut said);
    let object = tree(std::str::from_utf8(&object.body).expect("UTF-8"));
    leaves(&object, &mut kept);
    keys(&object, &mut kept);
    kept.extend(capture.media.iter().map(|media| BASE64.encode(&media.body)));
    let texts: Vec<_> = kept
        .iter()
        .filter_map(|leaf| inside(leaf))
        .flatten()
        .collect();
    let kept: HashSet<_> = kept.into_iter().chain(texts).collect();
    said.retain(|leaf| !is_kept(leaf, &kept));
    said
}

fn is_kept(leaf: &str, kept: &HashSet<String>) -> bool {
    if leaf.is_empty() || kept.contains(leaf) || TRANSLATED.contains(&leaf) {
        return true;
    }
    if let Some((_, bytes)) = leaf
        .strip_prefix("data:")
        .and_then(|inside| inside.split_once(";base64,"))
    {
        return kept.contains(bytes);
    }
    inside(leaf).is_some_and(|inside| inside.iter().all(|leaf| is_kept(leaf, kept)))
}

/// The leaves of an array or object that came as text, or is kept as one.
fn inside(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let cleaned = clean(text.as_bytes());
    let raw = Raw::read(cleaned.text()).ok()?;
    let mut found = Vec::new();
    leaves(&Json::keep(&raw, usize::MAX).ok()?, &mut found);
    Some(found)
}

/// Keys and words that others have and for which we have our own.
const TRANSLATED: &[&str] = &[
    // Ours and the original's.
    "user_input",
    "assistant_output",
    "text",
    "user",
    "body",
    // Everybody's.
    "request",
    "response",
    "messages",
    "content",
    "system",
    "input",
    "output",
    "message",
    "created",
    "model",
    "type",
    "finish_reason",
    "stop_reason",
    "stopReason",
    "index",
    "name",
    "id",
    // Of OpenAI's Chat Completions.
    "object",
    "chat.completion",
    "choices",
    "function",
    "custom",
    "tool_calls",
    "function_call",
    "tool_call_id",
    "refusal",
    "reasoning_content",
    "audio",
    "data",
    "image_url",
    "url",
    "input_audio",
    "format",
    "wav",
    "file",
    "file_data",
    // Of OpenAI's Responses.
    "arguments",
    "instructions",
    "output_text",
    "input_text",
    "input_image",
    "input_file",
    "file_url",
    "call_id",
    "function_call_output",
    "summary",
    "summary_text",
    "reasoning_text",
    "reasoning",
    // Of Anthropic's Messages.
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "server_tool_use",
    "media_type",
    "base64",
    "source",
    "image",
    "document",
    // Of Bedrock.
    "modelId",
    "bytes",
    "s3Location",
    "toolUse",
    "toolUseId",
    "toolResult",
    "json",
    "reasoningContent",
    "reasoningText",
    "citationsContent",
    "video",
    "schemaType",
    "ModelInvocationLog",
    "requestId",
    "inputBodyJson",
    "outputBodyJson",
    "errorCode",
    // Of OpenTelemetry.
    "attributes",
    "resourceSpans",
    "scopeSpans",
    "spans",
    "key",
    "value",
    "values",
    "stringValue",
    "boolValue",
    "intValue",
    "doubleValue",
    "arrayValue",
    "kvlistValue",
    "gen_ai.operation.name",
    "gen_ai.system",
    "gen_ai.conversation.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "error.type",
    // Of AgentCore.
    "actorId",
    "sessionId",
    "clientToken",
    "payload",
    "conversational",
    "USER",
    "ASSISTANT",
];
