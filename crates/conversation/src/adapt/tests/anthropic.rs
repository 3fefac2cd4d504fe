//! Anthropic's Messages.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::history::{Client, check_again, ids, read};
use super::{one, refused, said, summary};
use crate::capture::Part;

const CLIENTS: [Client; 2] = [
    Client {
        name: "Messages, the text alone",
        asks: |text| json!({"role": "user", "content": text}),
        answers: |text| json!([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": text, "citations": [{"url": "u"}]}]),
        again: |text, _| json!({"role": "assistant", "content": text}),
        event: anthropic,
    },
    Client {
        name: "Messages, with a mark on the last message",
        asks: |text| json!({"role": "user", "content": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]}),
        answers: |text| json!([{"type": "text", "text": text}]),
        again: |text, call| match call % 2 {
            0 => json!({"role": "assistant", "content": [{"type": "text", "text": text}]}),
            _ => {
                json!({"role": "assistant", "content": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]})
            }
        },
        event: anthropic,
    },
];

fn anthropic(history: &[Value], answer: &Value, call: usize) -> Value {
    json!({"conversation_id": "c", "request": {"model": "m", "system": format!("It is call {call}."), "messages": history},
        "response": {"id": format!("r-{call}"), "type": "message", "role": "assistant", "content": answer, "stop_reason": "end_turn"}})
}

#[test]
fn clients_that_send_the_history_again_add_only_what_is_new() {
    CLIENTS.iter().for_each(Client::keeps_the_laws);
}

#[test]
fn messages_are_recognised_however_they_are_sent_again() {
    let mark = json!({"type": "ephemeral"});
    let answer = json!([
        {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "b", "citations": [{"url": "u"}]}, {"type": "tool_use", "id": "t", "name": "f", "input": {"k": 1}},
    ]);
    let said = |content: Value| json!({"role": "assistant", "content": content});
    check_again(anthropic, &answer, &[said(answer.clone())]);
    check_again(
        anthropic,
        &answer,
        &[said(
            json!([{"type": "text", "text": "b"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"k": 1}}]),
        )],
    );
    check_again(
        anthropic,
        &answer,
        &[said(
            json!([{"type": "text", "text": "b", "citations": null}, {"type": "tool_use", "id": "t", "name": "f", "input": {"k": 1.0}, "cache_control": mark}]),
        )],
    );
}

/// A tool's answer is one message, in whatever form and with whatever marks it is sent again.
#[test]
fn what_a_tool_answered_is_recognised_again() {
    let mark = json!({"type": "ephemeral"});
    let result = |content: Value, mark: Value| {
        let block = json!({"type": "tool_result", "tool_use_id": "t", "content": content, "cache_control": mark});
        read(&anthropic(
            &[json!({"role": "user", "content": [block]})],
            &json!([]),
            1,
        ))
    };
    let plain = result(json!("r"), Value::Null);
    for again in [
        result(json!("r"), mark.clone()),
        result(json!([{"type": "text", "text": "r"}]), Value::Null),
        result(
            json!([{"type": "text", "text": "r", "cache_control": mark}]),
            mark.clone(),
        ),
    ] {
        assert_eq!(ids(&again), ids(&plain));
    }
    assert_ne!(ids(&result(json!("other"), Value::Null))[0], ids(&plain)[0]);
}

#[track_caller]
fn check_anthropic(block: &str, expected: &str) {
    let event = format!(
        r#"{{"request":{{"messages":[]}},"response":{{"type":"message","content":[{block}]}}}}"#
    );
    assert_eq!(
        said(&one(&event)),
        format!("assistant [{expected}]"),
        "{block}"
    );
}

#[test]
fn every_block_of_anthropic_is_a_part() {
    check_anthropic(
        r#"{"type":"text","text":"a","citations":null}"#,
        r#"{"type":"text","content":"a"}"#,
    );
    check_anthropic(
        r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#,
        r#"{"type":"text","content":"a","cache_control":{"type":"ephemeral"}}"#,
    );
    check_anthropic(
        r#"{"type":"thinking","thinking":"hm","signature":"s"}"#,
        r#"{"type":"reasoning","content":"hm","signature":"s"}"#,
    );
    check_anthropic(
        r#"{"type":"redacted_thinking","data":"x"}"#,
        r#"{"type":"reasoning","data":"x"}"#,
    );
    check_anthropic(
        r#"{"type":"tool_use","id":"t","name":"f","input":{"k":1}}"#,
        r#"{"type":"tool_call","id":"t","name":"f","arguments":{"k":1}}"#,
    );
    check_anthropic(
        r#"{"type":"tool_result","tool_use_id":"t","content":"r","is_error":true}"#,
        r#"{"type":"tool_call_response","id":"t","response":"r","is_error":true}"#,
    );
    check_anthropic(
        r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]}"#,
        r#"{"type":"tool_call_response","id":"t","response":[{"type":"text","content":"r"},{"type":"blob","mime_type":"image/png","modality":"image","content":"iVBO"}]}"#,
    );
    check_anthropic(
        r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}"#,
        r#"{"type":"server_tool_call","id":"s","name":"web_search","server_tool_call":{"type":"web_search","input":{"query":"q"}}}"#,
    );
    check_anthropic(
        r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[{"url":"u"}]}"#,
        r#"{"type":"server_tool_call_response","id":"s","server_tool_call_response":{"type":"web_search_tool_result","content":[{"url":"u"}]}}"#,
    );
    check_anthropic(
        r#"{"type":"image","source":{"type":"url","url":"https://x.example/i"}}"#,
        r#"{"type":"uri","modality":"image","uri":"https://x.example/i"}"#,
    );
    check_anthropic(
        r#"{"type":"document","title":"d","source":{"type":"file","file_id":"f"}}"#,
        r#"{"type":"file","modality":"document","file_id":"f","title":"d"}"#,
    );
    check_anthropic(
        r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}}"#,
        r#"{"type":"text","content":"words","mime_type":"text/plain"}"#,
    );
    check_anthropic(
        r#"{"type":"document","source":{"type":"content","content":"x"}}"#,
        r#"{"type":"document","source":{"type":"content","content":"x"}}"#,
    );
    check_anthropic(
        r#"{"type":"container_upload","file_id":"f"}"#,
        r#"{"type":"container_upload","file_id":"f"}"#,
    );
    check_anthropic(
        r#"{"type":"image","source":"x"}"#,
        r#"{"type":"image","source":"x"}"#,
    );
}

#[test]
fn messages_event() {
    let capture = one(
        r#"{"conversation_id":"c","request":{"model":"m","system":"s","messages":[{"role":"user","content":"q"}]},"response":{"id":"msg_1","type":"message","model":"m-1","role":"assistant",
            "content":[{"type":"text","text":"a"}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":5,"cache_creation_input_tokens":7}}}"#,
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=default/dt=undated/c=c/msg_1.json
    anthropic c user=- history=full model=m-1 nul=0 surrogate=0
    0 input user h:9a06993e <- - finish=- [] "q"
    1 output assistant h:9b47c76a <- h:9a06993e finish=length [input_tokens=15 output_tokens=1 cache_read_input_tokens=5 cache_creation_input_tokens=7] "a"
    context={} metadata={"extra":{"usage":{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":5,"cache_creation_input_tokens":7},"finish_reasons":["max_tokens"]}}
    "#);
    assert_eq!(capture.system_instructions, [Part::text("s".to_owned())]);
}

#[test]
fn what_is_no_message_is_told_by_path() {
    refused(
        r#"{"request":{"messages":{}},"response":{"type":"message"}}"#,
        "invalid `request.messages`: found an object; accepted: an array",
    );
}
