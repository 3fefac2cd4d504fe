//! Events in the shapes of providers, as their clients send them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{any_json, bytes, id, object, part, text, with};

/// An exchange in any shape that is neither canonical nor legacy.
pub(super) fn event() -> impl Strategy<Value = Value> {
    prop_oneof![
        pair(openai_chat()),
        pair(openai_responses()),
        pair(anthropic()),
        pair(converse()),
        bedrock_log(),
        opentelemetry(),
        agentcore(),
        text_of_a_user(),
    ]
}

/// Request and response in an envelope.
fn pair(sides: BoxedStrategy<(Value, Value)>) -> BoxedStrategy<Value> {
    (
        sides,
        option::of(id()),
        option::of(id()),
        object(any_json()),
        object(any_json()),
    )
        .prop_map(
            |((request, response), conversation_id, user_id, context, unknown)| {
                with(
                    unknown,
                    json!({
                        "conversation_id": conversation_id, "user_id": user_id, "context": context,
                        "request": request, "response": response,
                    }),
                )
            },
        )
        .boxed()
}

/// An object that is `fields` and whatever else.
///
/// Boxed, as are the others: types of strategies that hold each other whole take more than a thread's stack.
fn some(fields: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    (fields.boxed(), object(any_json()))
        .prop_map(|(fields, rest)| with(rest, fields))
        .boxed()
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        "https://[a-z]{1,9}",
        bytes().prop_map(|bytes| format!("data:image/png;base64,{bytes}")),
        text()
    ]
}

/// Where a provider has bytes, and a client perhaps something else.
fn data() -> impl Strategy<Value = String> {
    prop_oneof![text(), bytes()]
}

/// Arguments of a call as their text: JSON, or what a model makes of it.
fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        object(any_json()).prop_map(|arguments| Value::String(json!(arguments).to_string())),
        text().prop_map(Value::String),
        any_json(),
    ]
}

fn content(block: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![
        text().prop_map(Value::from),
        Just(Value::Null),
        vec(block.clone(), 0..4).prop_map(Value::from),
        vec(prop_oneof![block, any_json()], 0..3).prop_map(Value::from),
    ]
    .boxed()
}

fn openai_block() -> BoxedStrategy<Value> {
    some(prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        (address(), text()).prop_map(|(url, detail)| json!({"type": "image_url", "image_url": {"url": url, "detail": detail}})),
        data().prop_map(|data| json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})),
        (address(), option::of(id()), text()).prop_map(
            |(data, id, name)| json!({"type": "file", "file": {"file_id": id, "file_data": data, "filename": name}})
        ),
        text().prop_map(|text| json!({"type": "refusal", "refusal": text})),
        (text(), any_json()).prop_map(|(kind, value)| json!({"type": kind, "text": value})),
    ])
}

fn openai_message() -> BoxedStrategy<Value> {
    let call = some((id(), id(), arguments()).prop_map(
        |(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
    ));
    let custom = (id(), text()).prop_map(
        |(id, input)| json!({"id": id, "type": "custom", "custom": {"name": "f", "input": input}}),
    );
    let calls = vec(prop_oneof![call, custom], 0..3);
    let extras = (
        option::of(text()),
        option::of(text()),
        option::of(any_json()),
    );
    let assistant = (content(openai_block()), calls, extras).prop_map(|(content, calls, (refusal, reasoning, audio))| {
        json!({"role": "assistant", "content": content, "tool_calls": calls, "refusal": refusal, "reasoning_content": reasoning,
            "audio": audio.map(|other| json!({"id": "audio_1", "data": "UklG", "transcript": "olá", "expires_at": other}))})
    });
    some(prop_oneof![
        (content(openai_block()), option::of(id()))
            .prop_map(|(content, name)| json!({"role": "user", "content": content, "name": name})),
        content(openai_block())
            .prop_map(|content| json!({"role": "developer", "content": content})),
        (id(), content(openai_block())).prop_map(
            |(id, content)| json!({"role": "tool", "tool_call_id": id, "content": content})
        ),
        assistant,
    ])
}

fn openai_chat() -> BoxedStrategy<(Value, Value)> {
    let request = some(
        vec(openai_message(), 0..4)
            .prop_map(|messages| json!({"model": "m", "messages": messages})),
    );
    let choice = some((openai_message(), 0..3).prop_map(
        |(message, index)| json!({"index": index, "finish_reason": "tool_calls", "message": message, "logprobs": null}),
    ));
    let response = some((vec(choice, 0..3), id(), any::<u16>()).prop_map(|(choices, id, count)| {
        json!({"id": id, "object": "chat.completion", "created": 1_795_429_800, "choices": choices,
            "usage": {"prompt_tokens": count, "completion_tokens": 7, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}})
    }));
    (request, response).boxed()
}

fn openai_responses() -> BoxedStrategy<(Value, Value)> {
    let block = || {
        some(prop_oneof![
            text().prop_map(|text| json!({"type": "output_text", "text": text, "annotations": []})),
            address()
                .prop_map(|url| json!({"type": "input_image", "image_url": url, "detail": "auto"})),
            (id(), text()).prop_map(
                |(id, name)| json!({"type": "input_file", "file_id": id, "filename": name})
            ),
        ])
    };
    let item = || {
        some(prop_oneof![
            content(block()).prop_map(|content| json!({"type": "message", "id": "msg_1", "role": "assistant", "content": content})),
            content(block()).prop_map(|content| json!({"role": "user", "content": content})),
            (id(), arguments()).prop_map(|(id, arguments)| json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": arguments})),
            (id(), content(block())).prop_map(|(id, output)| json!({"type": "function_call_output", "call_id": id, "output": output})),
            vec(text(), 0..3).prop_map(|texts| {
                let summary: Vec<_> = texts.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
                json!({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"})
            }),
            (prop_oneof!["web_search_call", "item_reference", "computer_call_output", "[a-z]{3,9}"], id())
                .prop_map(|(kind, id)| json!({"type": kind, "id": id})),
        ])
    };
    let input = prop_oneof![
        text().prop_map(Value::from),
        vec(item(), 0..4).prop_map(Value::from)
    ];
    let request = some((input, content(block())).prop_map(
        |(input, instructions)| json!({"model": "m", "input": input, "instructions": instructions}),
    ));
    let conversation = option::of(id());
    let response = some((vec(item(), 0..4), conversation, any_json()).prop_map(|(output, conversation, error)| {
        json!({"id": "resp_1", "object": "response", "status": "completed", "output": output, "error": error,
            "conversation": conversation.map(|id| json!({"id": id})),
            "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2, "total_tokens": 5}})
    }));
    (request, response).boxed()
}

fn anthropic_block() -> BoxedStrategy<Value> {
    let source = prop_oneof![
        data().prop_map(|data| json!({"type": "base64", "media_type": "image/webp", "data": data})),
        address().prop_map(|url| json!({"type": "url", "url": url})),
        text().prop_map(|data| json!({"type": "text", "media_type": "text/x", "data": data})),
        any_json(),
    ];
    let leaf = some(prop_oneof![
        (text(), any_json()).prop_map(|(text, citations)| json!({"type": "text", "text": text, "citations": citations})),
        text().prop_map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})),
        (source, text()).prop_map(|(source, title)| json!({"type": "document", "source": source, "title": title})),
        text().prop_map(|text| json!({"type": "thinking", "thinking": text, "signature": "sig"})),
        text().prop_map(|data| json!({"type": "redacted_thinking", "data": data})),
        (id(), arguments()).prop_map(|(id, input)| json!({"type": "tool_use", "id": id, "name": "f", "input": input})),
        (id(), any_json()).prop_map(|(id, input)| json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": input})),
        (id(), any_json()).prop_map(|(id, content)| json!({"type": "web_search_tool_result", "tool_use_id": id, "content": content})),
        (text(), any_json()).prop_map(|(kind, value)| json!({"type": kind, "source": value})),
    ]);
    let result = (id(), content(leaf.clone()), any::<bool>()).prop_map(
        |(id, content, failed)| json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": failed}),
    );
    prop_oneof![3 => leaf, 1 => some(result)].boxed()
}

fn anthropic() -> BoxedStrategy<(Value, Value)> {
    let message = || {
        some(
            (content(anthropic_block()), prop_oneof!["user", "assistant"])
                .prop_map(|(content, role)| json!({"role": role, "content": content})),
        )
    };
    let request = some((vec(message(), 0..4), content(anthropic_block())).prop_map(
        |(messages, system)| json!({"model": "m", "system": system, "messages": messages}),
    ));
    let response = some((content(anthropic_block()), id(), any::<u16>()).prop_map(|(content, id, count)| {
        json!({"id": id, "type": "message", "role": "assistant", "model": "n", "content": content, "stop_reason": "tool_use",
            "usage": {"input_tokens": count, "output_tokens": 1, "cache_read_input_tokens": 2, "service_tier": "standard"}})
    }));
    (request, response).boxed()
}

fn converse_block() -> BoxedStrategy<Value> {
    let source = prop_oneof![
        data().prop_map(|bytes| json!({"bytes": bytes})),
        id().prop_map(|owner| json!({"s3Location": {"uri": "s3://b/k", "bucketOwner": owner}})),
        text().prop_map(|text| json!({"text": text})),
        any_json(),
    ]
    .boxed();
    let leaf = prop_oneof![
        text().prop_map(|text| json!({"text": text})),
        (source.clone(), object(any_json())).prop_map(|(source, rest)| json!({"image": with(rest, json!({"format": "png", "source": source}))})),
        (source, text()).prop_map(|(source, name)| json!({"document": {"format": "csv", "name": name, "source": source}})),
        (id(), any_json()).prop_map(|(id, input)| json!({"toolUse": {"toolUseId": id, "name": "f", "input": input}})),
        text().prop_map(|text| json!({"reasoningContent": {"reasoningText": {"text": text, "signature": "sig"}}})),
        (vec(text(), 0..3), any_json()).prop_map(|(texts, citations)| {
            let content: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
            json!({"citationsContent": {"content": content, "citations": citations}})
        }),
        Just(json!({"cachePoint": {"type": "default"}})),
        (text(), any_json()).prop_map(|(kind, value)| json!({kind: value})),
        (text(), any_json()).prop_map(|(kind, value)| json!({"text": null, kind: value})),
        any_json(),
    ]
    .boxed();
    let answer = prop_oneof![
        leaf.clone(),
        any_json().prop_map(|value| json!({"json": value}))
    ];
    let result = (id(), vec(answer, 0..3), object(any_json())).prop_map(
        |(id, content, rest)| json!({"toolResult": with(rest, json!({"toolUseId": id, "status": "success", "content": content}))}),
    );
    prop_oneof![3 => leaf, 1 => result].boxed()
}

fn converse() -> BoxedStrategy<(Value, Value)> {
    let message = |role: &'static str| {
        some(
            vec(converse_block(), 0..4)
                .prop_map(move |content| json!({"role": role, "content": content})),
        )
    };
    let request = some((vec(prop_oneof![message("user"), message("assistant")], 0..4), vec(converse_block(), 0..2)).prop_map(
        |(messages, system)| json!({"modelId": "m", "system": system, "messages": messages}),
    ));
    let response = some((message("assistant"), any::<u16>()).prop_map(|(message, count)| {
        json!({"output": {"message": message}, "stopReason": "tool_use", "metrics": {"latencyMs": 9},
            "usage": {"inputTokens": count, "outputTokens": 1, "totalTokens": 4, "cacheReadInputTokens": 5}})
    }));
    (request, response).boxed()
}

fn bedrock_log() -> BoxedStrategy<Value> {
    let bodies = prop_oneof![
        converse(),
        anthropic(),
        openai_chat(),
        (any_json(), any_json()),
        converse().prop_map(|(request, _)| (request, Value::Null)),
    ];
    let operation = prop_oneof!["Converse", "ConverseStream", "InvokeModel"];
    let event = (bodies, operation, id(), option::of(id())).prop_map(|((request, response), operation, id, conversation)| {
        json!({"schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-11-23T10:00:00Z", "accountId": "1",
            "requestId": id, "operation": operation, "modelId": "m-1", "requestMetadata": {"conversation_id": conversation},
            "input": {"inputContentType": "application/json", "inputBodyJson": request, "inputTokenCount": 3},
            "output": {"outputContentType": "application/json", "outputBodyJson": response, "outputTokenCount": 1}})
    });
    some(event)
}

/// Attributes as a map, as JSON in text where that is usual, or as OTLP lists them.
fn opentelemetry() -> BoxedStrategy<Value> {
    let messages = |reason: Option<&'static str>| {
        let message = some(
            (vec(part(), 0..3), prop_oneof!["user", "assistant"]).prop_map(
                move |(parts, role)| json!({"role": role, "parts": parts, "finish_reason": reason}),
            ),
        );
        prop_oneof![3 => vec(message, 0..3).prop_map(Value::from), 1 => text().prop_map(Value::from)]
    };
    let attributes = some((messages(None), messages(Some("end_turn")), option::of(id()), any::<bool>()).prop_map(
        |(input, output, conversation, as_text)| {
            let written = |value: Value| if as_text && !value.is_string() { value.to_string().into() } else { value };
            json!({"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.conversation.id": conversation,
                "gen_ai.response.finish_reasons": written(json!(["stop"])), "gen_ai.usage.input_tokens": 3,
                "gen_ai.input.messages": written(input), "gen_ai.output.messages": written(output), "error.type": "timeout"})
        },
    ))
    .boxed();
    let record = some(Just(json!({"name": "chat m", "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "endTimeUnixNano": "1795429800005000000", "status": {"code": 2}}))).boxed();
    prop_oneof![
        attributes.clone(),
        (attributes.clone(), record.clone()).prop_map(|(attributes, record)| {
            with(record.as_object().cloned().unwrap_or_default(), json!({"attributes": attributes}))
        }),
        (attributes, record, object(any_json())).prop_map(|(attributes, mut record, resource)| {
            record["attributes"] = listed(&attributes);
            let resource = json!({"attributes": listed(&Value::Object(resource)), "droppedAttributesCount": 4});
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "opentelemetry"}, "spans": [record]}]}]})
        }),
    ]
    .boxed()
}

/// An object as OTLP writes it.
fn listed(object: &Value) -> Value {
    let pairs = object.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| json!({"key": key, "value": wrapped(value)}))
        .collect()
}

fn wrapped(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({"boolValue": value}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": value}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(_) => json!({"stringValue": value}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(wrapped).collect::<Vec<_>>()}})
        }
        Value::Object(_) => json!({"kvlistValue": {"values": listed(value)}}),
    }
}

fn agentcore() -> BoxedStrategy<Value> {
    let item = prop_oneof![
        3 => some((prop_oneof!["USER", "ASSISTANT", "OTHER"], text()).prop_map(
            |(role, text)| json!({"conversational": {"role": role, "content": {"text": text}}})
        )),
        1 => any_json().prop_map(|blob| json!({"blob": blob})),
    ];
    some((vec(item, 0..4), id(), id(), id()).prop_map(|(payload, actor, session, token)| {
        json!({"memoryId": "mem-0123456789", "actorId": actor, "sessionId": session, "clientToken": token,
            "eventTimestamp": 1_763_892_000.123, "payload": payload})
    }))
}

fn text_of_a_user() -> BoxedStrategy<Value> {
    let said = some((any_json(), any_json(), object(any_json())).prop_map(
        |(said, user, metadata)| json!({"text": said, "user": user, "metadata": metadata, "timestamp": "2026-11-23T10:00:00"}),
    ))
    .prop_filter("recognised", |said| said.get("text").is_some() && said.get("user").is_some())
    .boxed();
    prop_oneof![
        said.clone(),
        said.clone()
            .prop_map(|body| json!({"body": body, "httpMethod": "POST"})),
        said.prop_map(|body| json!({"body": body.to_string(), "httpMethod": "POST"})),
    ]
    .boxed()
}

/// Events with something deep wherever a shape has room for it.
pub(super) fn deep_events(deep: &str) -> Vec<String> {
    let pair = |object: &str, request: &str| {
        format!(
            r#"{{"conversation_id":"c","request":{request},"response":{{"id":"r","object":"{object}","x":{deep},"choices":[{{"x":{deep}}}],"usage":{{"x":{deep}}}}},"x":{deep}}}"#
        )
    };
    vec![
        pair(
            "chat.completion",
            &format!(
                r#"{{"messages":[{{"role":"user","content":[{deep},{{"type":"text","text":"t","x":{deep}}}],"x":{deep}}},
                {{"role":"assistant","tool_calls":[{{"x":{deep},"function":{{"arguments":{deep}}}}}]}}],"x":{deep}}}"#
            ),
        ),
        pair(
            "response",
            &format!(
                r#"{{"input":[{{"type":"y","x":{deep}}},{{"type":"function_call_output","output":[{{"x":{deep}}}]}}]}}"#
            ),
        ),
        format!(
            r#"{{"request":{{"messages":[{{"role":"user","content":[{{"type":"tool_result","x":{deep},"content":[{{"type":"image","source":{{"x":{deep}}}}}]}},
                {{"type":"server_tool_use","input":{deep},"id":{deep}}}]}}]}},"response":{{"type":"message","content":[]}}}}"#
        ),
        format!(
            r#"{{"request":{{"messages":[{{"role":"user","content":[{{"toolResult":{{"content":[{{"json":{deep}}},{{"x":{deep}}},{{"image":{{"source":{deep}}}}}]}}}},
                {{"guardContent":{deep}}}]}}]}},"response":{{"output":{{"message":{{"role":"assistant"}},"x":{deep}}},"stopReason":"x"}}}}"#
        ),
        format!(
            r#"{{"schemaType":"ModelInvocationLog","requestId":"r","errorCode":{deep},"input":{{"x":{deep},"inputBodyJson":{deep}}},"output":{{"outputBodyJson":{}}}}}"#,
            format_args!(r#"{{"y":[{deep}]}}"#)
        ),
        format!(
            r#"{{"attributes":{{"gen_ai.x":{deep},"error.type":{deep},"gen_ai.input.messages":[{{"role":"user","parts":[{deep}],"x":{deep}}}]}},"x":{deep}}}"#
        ),
        format!(
            r#"{{"memoryId":"m","actorId":"u","payload":[{{"blob":{deep}}},{{"conversational":{{"role":"USER","content":{deep},"x":{deep}}}}}]}}"#
        ),
        format!(r#"{{"text":{deep},"user":{deep},"metadata":{{"x":{deep}}}}}"#),
    ]
}
