//! Bedrock's Converse.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::history::{Client, check_again};
use super::{one, refused, said, summary};
use crate::capture::Part;

const CLIENTS: [Client; 1] = [Client {
    name: "Converse, with a cache point on the last message",
    asks: |text| json!({"role": "user", "content": [{"text": text}, {"cachePoint": {"type": "default"}}]}),
    answers: |text| json!([{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": text}]),
    again: |text, call| match call % 2 {
        0 => json!({"role": "assistant", "content": [{"text": text}]}),
        _ => {
            json!({"role": "assistant", "content": [{"text": text}, {"cachePoint": {"type": "default"}}]})
        }
    },
    event: converse,
}];

fn converse(history: &[Value], answer: &Value, call: usize) -> Value {
    json!({"conversation_id": "c", "event_id": format!("r-{call}"),
        "request": {"modelId": "m", "system": [{"text": format!("It is call {call}.")}], "messages": history},
        "response": {"output": {"message": {"role": "assistant", "content": answer}}, "stopReason": "end_turn"}})
}

#[test]
fn clients_that_send_the_history_again_add_only_what_is_new() {
    CLIENTS.iter().for_each(Client::keeps_the_laws);
}

#[test]
fn converse_is_recognised_however_it_is_sent_again() {
    let answer = json!([
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"citationsContent": {"content": [{"text": "b"}], "citations": [{"title": "u"}]}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"k": 1}}},
    ]);
    let said = |content: Value| json!({"role": "assistant", "content": content});
    check_again(converse, &answer, &[said(answer.clone())]);
    check_again(
        converse,
        &answer,
        &[said(
            json!([{"text": "b"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {"k": 1}}}, {"cachePoint": {"type": "default"}}]),
        )],
    );
}

#[track_caller]
fn check_converse(block: &str, expected: &str) {
    let event = format!(
        r#"{{"request":{{"messages":[]}},"response":{{"output":{{"message":{{"role":"assistant","content":[{block}]}}}},"stopReason":"end_turn"}}}}"#
    );
    assert_eq!(
        said(&one(&event)),
        format!("assistant [{expected}]"),
        "{block}"
    );
}

#[test]
fn every_block_of_converse_is_a_part() {
    check_converse(r#"{"text":"a"}"#, r#"{"type":"text","content":"a"}"#);
    check_converse(
        r#"{"text":"a","image":null}"#,
        r#"{"type":"text","content":"a"}"#,
    );
    check_converse(
        r#"{"image":{"format":"png","source":{"bytes":"iVBO"}}}"#,
        r#"{"type":"blob","mime_type":"image/png","modality":"image","content":"iVBO","format":"png"}"#,
    );
    check_converse(
        r#"{"document":{"format":"pdf","name":"d","source":{"s3Location":{"uri":"s3://b/k","bucketOwner":"1"}}}}"#,
        r#"{"type":"uri","mime_type":"application/pdf","modality":"document","uri":"s3://b/k","format":"pdf","name":"d","bucketOwner":"1"}"#,
    );
    check_converse(
        r#"{"document":{"format":"docx","source":{"text":"words"}}}"#,
        r#"{"type":"text","content":"words","format":"docx"}"#,
    );
    check_converse(
        r#"{"toolUse":{"toolUseId":"t","name":"f","input":{"k":1}}}"#,
        r#"{"type":"tool_call","id":"t","name":"f","arguments":{"k":1}}"#,
    );
    check_converse(
        r#"{"toolResult":{"toolUseId":"t","status":"success","content":[{"json":{"k":1}}]}}"#,
        r#"{"type":"tool_call_response","id":"t","response":{"k":1},"status":"success"}"#,
    );
    check_converse(
        r#"{"toolResult":{"toolUseId":"t","content":[{"text":"r"}]}}"#,
        r#"{"type":"tool_call_response","id":"t","response":"r"}"#,
    );
    check_converse(
        r#"{"toolResult":{"toolUseId":"t","content":[{"text":"r"},{"json":[1]}]}}"#,
        r#"{"type":"tool_call_response","id":"t","response":[{"type":"text","content":"r"},{"type":"json","json":[1]}]}"#,
    );
    check_converse(
        r#"{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}}"#,
        r#"{"type":"reasoning","content":"hm","signature":"s"}"#,
    );
    check_converse(
        r#"{"reasoningContent":{"redactedContent":"x"}}"#,
        r#"{"type":"reasoning","redactedContent":"x"}"#,
    );
    check_converse(
        r#"{"citationsContent":{"content":[{"text":"a"},{"text":"b"}],"citations":[{"title":"u"}]}}"#,
        r#"{"type":"text","content":"a","citations":[{"title":"u"}]},{"type":"text","content":"b"}"#,
    );
    check_converse(
        r#"{"cachePoint":{"type":"default"}}"#,
        r#"{"type":"cachePoint","cachePoint":{"type":"default"}}"#,
    );
    check_converse(
        r#"{"guardContent":{"text":{"text":"g"}}}"#,
        r#"{"type":"guardContent","guardContent":{"text":{"text":"g"}}}"#,
    );
    // Not one key.
    check_converse(
        r#"{"text":"a","image":{}}"#,
        r#"{"type":"text","content":"a","image":{}}"#,
    );
    check_converse(
        r#"{"video":{},"image":{}}"#,
        r#"{"type":"value","value":{"video":{},"image":{}}}"#,
    );
    check_converse("{}", r#"{"type":"value","value":{}}"#);
}

#[test]
fn converse_event() {
    let capture = one(
        r#"{"conversation_id":"c","request":{"modelId":"m","system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"q"}]}]},
            "response":{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"guardrail_intervened",
            "usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4,"cacheReadInputTokens":5,"cacheWriteInputTokens":7},"metrics":{"latencyMs":9}}}"#,
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=default/dt=undated/c=c/request-1.json
    converse c user=- history=full model=m nul=0 surrogate=0
    0 input user h:9a06993e <- - finish=- [] "q"
    1 output assistant h:9b47c76a <- h:9a06993e finish=content_filter [input_tokens=15 output_tokens=1 cache_read_input_tokens=5 cache_creation_input_tokens=7] "a"
    context={} metadata={"extra":{"usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4,"cacheReadInputTokens":5,"cacheWriteInputTokens":7},"response":{"metrics":{"latencyMs":9}},"finish_reasons":["guardrail_intervened"]}}
    "#);
    assert_eq!(capture.system_instructions, [Part::text("s".to_owned())]);
}

#[test]
fn what_is_no_converse_is_told_by_path() {
    refused(
        r#"{"request":{"messages":[{"role":"user"}]},"response":{"output":{"message":{}},"stopReason":"end_turn"}}"#,
        "invalid `response.output.message.role`: found nothing; accepted: a string that is not empty",
    );
}
