//! Bedrock's model invocation log.

use insta::assert_snapshot;

use super::{one, refused, said, summary};
use crate::adapt::{Document, captures};
use crate::delivery::Delivery;
use crate::usage::Usage;

fn log(operation: &str, input: &str, output: &str) -> String {
    format!(
        r#"{{"schemaType":"ModelInvocationLog","timestamp":"2026-11-23T10:00:00Z","requestId":"q1","operation":"{operation}","modelId":"m",
            "input":{{"inputBodyJson":{input},"inputTokenCount":3,"cacheReadInputTokenCount":2}},"output":{{"outputBodyJson":{output},"outputTokenCount":1}}}}"#
    )
}

#[test]
fn a_logged_body_is_read_by_its_interface() {
    let check = |operation: &str, input: &str, output: &str, expected: &[&str]| {
        let capture = one(&log(operation, input, output));
        assert_eq!(
            said(&capture).lines().collect::<Vec<_>>(),
            expected,
            "{input} {output}"
        );
        assert_eq!(
            (capture.conversation_id.as_str(), capture.event_id.as_str()),
            ("q1", "q1")
        );
    };
    let turn = [
        r#"user [{"type":"text","content":"q"}]"#,
        r#"assistant [{"type":"text","content":"a"}]"#,
    ];
    let converse = r#"{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"end_turn"}"#;
    check(
        "Converse",
        r#"{"messages":[{"role":"user","content":[{"text":"q"}]}]}"#,
        converse,
        &turn,
    );
    check(
        "InvokeModel",
        r#"{"messages":[{"role":"user","content":[{"text":"q"}]}]}"#,
        converse,
        &turn,
    );
    check(
        "InvokeModel",
        r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"q"}]}"#,
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#,
        &turn,
    );
    check(
        "InvokeModel",
        r#"{"messages":[{"role":"user","content":"q"}]}"#,
        r#"{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"a"}}]}"#,
        &turn,
    );
    // A call that failed has no answer.
    check(
        "ConverseStream",
        r#"{"messages":[{"role":"user","content":[{"text":"q"}]}]}"#,
        "null",
        &turn[..1],
    );
    check(
        "InvokeModel",
        r#"{"anthropic_version":"x","messages":[{"role":"user","content":"q"}]}"#,
        "null",
        &turn[..1],
    );
    check(
        "InvokeModel",
        r#"{"messages":[{"role":"user","content":"q"}]}"#,
        "null",
        &turn[..1],
    );
    // Nobody's interface.
    check(
        "InvokeModel",
        r#"{"inputText":"q"}"#,
        r#"{"results":[{"outputText":"a"}]}"#,
        &[
            r#"user [{"type":"value","value":{"inputText":"q"}}]"#,
            r#"assistant [{"type":"value","value":{"results":[{"outputText":"a"}]}}]"#,
        ],
    );
    check(
        "InvokeModelWithResponseStream",
        r#"{"messages":"odd"}"#,
        r#"[{"type":"message_stop"}]"#,
        &[
            r#"user [{"type":"value","value":{"messages":"odd"}}]"#,
            r#"assistant [{"type":"message_stop"}]"#,
        ],
    );
}

#[test]
fn a_logged_stream_of_anthropic_is_read_as_what_it_adds_up_to() {
    let input = r#"{"anthropic_version":"x","messages":[{"role":"user","content":"q"}]}"#;
    let start = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let events = [
        start,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Ol"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"á"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"title":"t"}}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"k\":"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":25}}"#,
        r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"invocationLatency":9}}"#,
    ];
    let capture = one(&log(
        "InvokeModelWithResponseStream",
        input,
        &format!("[{}]", events.join(",")),
    ));
    let whole = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"Olá"},{"type":"tool_use","id":"t","name":"f","input":{"k":1}}]}"#;
    let answered = one(&log("InvokeModel", input, whole));
    assert_eq!(
        capture.messages[1].message_id,
        answered.messages[1].message_id
    );
    assert_eq!(
        said(&capture),
        r#"user [{"type":"text","content":"q"}]
assistant [{"type":"reasoning","content":"hm","signature":"s"},{"type":"text","content":"Olá","citations":[{"title":"t"}]},{"type":"tool_call","id":"t","name":"f","arguments":{"k":1}}]"#
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=q1/100000000-q1.json
    bedrock_log q1 user=- history=full model=m-1 nul=0 surrogate=0
    0 input user h:4d7c84c2 <- - finish=- [] "q"
    1 output assistant h:b28312dc <- h:4d7c84c2 finish=tool_call [input_tokens=3 output_tokens=25] "Olá\nf {\"k\":1}"
    context={} metadata={"extra":{"request":{"anthropic_version":"x"},"usage":{"input_tokens":3,"output_tokens":25},"response":{"stream":[{"usage":{"output_tokens":1}},{"amazon-bedrock-invocationMetrics":{"invocationLatency":9}}]},"operation":"InvokeModelWithResponseStream","input":{"inputTokenCount":3,"cacheReadInputTokenCount":2},"output":{"outputTokenCount":1},"finish_reasons":["tool_use"],"timestamp":"2026-11-23T10:00:00Z"}}
    "#);
    // With anything in it that is not known, a stream is kept whole.
    for odd in [
        r#"{"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":"x"}}"#,
        r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        start,
        "7",
    ] {
        let stream = format!("[{start},{odd}]");
        let kept = said(&one(&log("InvokeModelWithResponseStream", input, &stream)));
        assert!(
            kept.contains(r#"assistant [{"type":"message_start""#),
            "{odd}"
        );
    }
}

#[test]
fn the_log_counts_what_a_body_does_not() {
    let told = one(&log(
        "Converse",
        r#"{"messages":[]}"#,
        r#"{"output":{"message":{"role":"assistant"}},"stopReason":"end_turn"}"#,
    ));
    let expected = Usage {
        input_tokens: Some(5),
        output_tokens: Some(1),
        cache_read_input_tokens: Some(2),
        ..Usage::default()
    };
    assert_eq!(told.usage, expected);
    let body = r#"{"output":{"message":{"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":30,"outputTokens":10,"cacheReadInputTokens":4}}"#;
    assert_eq!(
        one(&log("Converse", r#"{"messages":[]}"#, body))
            .usage
            .input_tokens,
        Some(34)
    );
    assert_snapshot!(told.metadata.to_string(), @r#"{"extra":{"operation":"Converse","input":{"inputTokenCount":3,"cacheReadInputTokenCount":2},"output":{"outputTokenCount":1},"finish_reasons":["end_turn"],"timestamp":"2026-11-23T10:00:00Z"}}"#);
}

#[test]
fn a_body_that_was_not_fetched_is_refused() {
    refused(
        r#"{"schemaType":"ModelInvocationLog","input":{"inputBodyS3Path":"s3://b/k"}}"#,
        "invalid `input.inputBodyS3Path`: found a string; accepted: `s3://BUCKET/KEY` with the body, or the body in the event itself",
    );
}

#[test]
fn a_conversation_is_named_by_the_key_that_the_operator_says() {
    let line = r#"{"schemaType":"ModelInvocationLog","requestId":"q","requestMetadata":{"thread":"c-9","conversation_id":"c-1"}}"#;
    let clean = crate::sanitize::clean(line.as_bytes());
    let conversation = |document: Document<'_>| {
        let captures = captures(document, &Delivery::direct(None)).expect("captures");
        captures[0].conversation_id.clone()
    };
    let document = || Document::read(&clean).expect("JSON");
    assert_eq!(conversation(document()), "c-1");
    assert_eq!(
        conversation(document().with_bedrock_conversation_key("thread")),
        "c-9"
    );
    assert_eq!(
        conversation(document().with_bedrock_conversation_key("chat")),
        "q"
    );
}
