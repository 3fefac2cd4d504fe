//! `OpenAI`'s Responses.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::history::{Client, check_again, ids, read};
use super::{one, refused, said, summary};

const CLIENTS: [Client; 2] = [
    Client {
        name: "Responses, the items as they came",
        asks: |text| json!({"role": "user", "content": text}),
        answers: |text| json!([{"type": "reasoning", "id": "rs_1", "summary": []}, output(text)]),
        again: |text, _| output(text),
        event: responses,
    },
    Client {
        name: "Responses, the text alone",
        asks: |text| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}),
        answers: |text| json!([{"type": "web_search_call", "id": "ws_1", "status": "completed"}, output(text)]),
        again: |text, _| json!({"role": "assistant", "content": text}),
        event: responses,
    },
];

fn output(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]})
}

fn responses(history: &[Value], answer: &Value, call: usize) -> Value {
    json!({"conversation_id": "c", "request": {"model": "m", "input": history},
        "response": {"id": format!("r-{call}"), "object": "response", "status": "completed", "output": answer}})
}

#[test]
fn clients_that_send_the_history_again_add_only_what_is_new() {
    CLIENTS.iter().for_each(Client::keeps_the_laws);
}

#[test]
fn responses_are_recognised_however_they_are_sent_again() {
    let call = |id: Value, arguments: &str| json!({"type": "function_call", "id": id, "call_id": "t", "name": "f", "arguments": arguments, "status": "completed"});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "g"});
    let answer = json!([reasoning, output("b"), call(json!("fc_1"), "{\"k\":1}")]);
    check_again(
        responses,
        &answer,
        &[
            reasoning.clone(),
            output("b"),
            call(json!("fc_1"), "{\"k\":1}"),
        ],
    );
    check_again(
        responses,
        &answer,
        &[output("b"), call(Value::Null, "{ \"k\": 1 }")],
    );
    check_again(
        responses,
        &answer,
        &[
            json!({"role": "assistant", "content": "b"}),
            json!({"type": "function_call", "call_id": "t", "name": "f", "arguments": {"k": 1}}),
        ],
    );
}

#[test]
fn what_follows_an_earlier_response_is_only_what_is_new() {
    let event = |request: Value, conversation: Value| {
        read(
            &json!({"request": request, "response": {"id": "r", "object": "response", "conversation": conversation, "output": [output("a")]}}),
        )
    };
    let full = event(json!({"input": "q"}), Value::Null);
    assert_eq!(full.history.as_str(), "full");
    let follows = event(
        json!({"input": "q", "previous_response_id": "r-0"}),
        Value::Null,
    );
    assert_eq!(follows.history.as_str(), "delta");
    assert_eq!(ids(&follows), ["r-0", "r-1"]);
    let kept = event(json!({"input": "q"}), json!({"id": "conv_1"}));
    assert_eq!(
        (kept.history.as_str(), kept.conversation_id.as_str()),
        ("delta", "conv_1")
    );
}

#[track_caller]
fn check_items(items: &str, expected: &[&str]) {
    let event = format!(
        r#"{{"request":{{"input":[{items}]}},"response":{{"id":"r","object":"response","output":[]}}}}"#
    );
    assert_eq!(said(&one(&event)).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn items_in_a_row_of_an_assistant_are_one_message() {
    check_items(
        r#"{"role":"user","content":[{"type":"input_text","text":"q"},{"type":"input_image","image_url":"https://x.example/i"},{"type":"input_image","file_id":"f1"},{"type":"input_file","file_id":"f2","filename":"n"}]},
            {"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"a"}],"content":[{"type":"reasoning_text","text":"b"}],"encrypted_content":"g"},
            {"type":"message","id":"msg","role":"assistant","status":"completed","content":[{"type":"output_text","text":"t","annotations":[{"url":"u"}]},{"type":"refusal","refusal":"no"}]},
            {"type":"function_call","id":"fc","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"r"},
            {"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"},
            {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"r"}]},
            {"type":"message","role":"assistant","content":"one"},
            {"type":"message","role":"assistant","content":"two"}"#,
        &[
            r#"user [{"type":"text","content":"q"},{"type":"uri","modality":"image","uri":"https://x.example/i"},{"type":"file","modality":"image","file_id":"f1"},{"type":"file","modality":"document","file_id":"f2","filename":"n"}]"#,
            r#"assistant [{"type":"reasoning","content":"a","id":"rs","encrypted_content":"g"},{"type":"reasoning","content":"b"},{"type":"text","content":"t","annotations":[{"url":"u"}]},{"type":"refusal","content":"no"},{"type":"tool_call","id":"c1","name":"f","arguments":{},"extra":{"id":"fc"}}]"#,
            r#"tool [{"type":"tool_call_response","id":"c1","response":"r"}]"#,
            r#"assistant [{"type":"tool_call","id":"c2","name":"g","arguments":"x","extra":{"type":"custom_tool_call"}}]"#,
            r#"tool [{"type":"tool_call_response","id":"c2","response":"r","extra":{"type":"custom_tool_call_output"}}]"#,
            r#"assistant [{"type":"text","content":"one"}]"#,
            r#"assistant [{"type":"text","content":"two"}]"#,
        ],
    );
}

#[test]
fn items_of_other_types_are_kept_as_they_came() {
    check_items(
        r#"{"type":"web_search_call","id":"ws","action":{"query":"q"}},{"type":"computer_call_output","call_id":"c","output":{"type":"x"}},
            {"type":"mcp_approval_response","approve":true},{"type":"item_reference","id":"i"}"#,
        &[
            r#"assistant [{"type":"web_search_call","id":"ws","action":{"query":"q"}}]"#,
            r#"tool [{"type":"computer_call_output","call_id":"c","output":{"type":"x"}}]"#,
            r#"user [{"type":"mcp_approval_response","approve":true}]"#,
            r#"assistant [{"type":"item_reference","id":"i"}]"#,
        ],
    );
}

#[test]
fn a_status_is_a_finish_reason() {
    let check = |response: &str, expected: &str| {
        let capture = one(&format!(
            r#"{{"request":{{"input":"q"}},"response":{{"id":"r","object":"response",{response}}}}}"#
        ));
        assert_eq!(capture.finish_reasons, [expected]);
    };
    check(r#""status":"completed","output":[]"#, "stop");
    check(
        r#""status":"completed","output":[{"type":"function_call"}]"#,
        "tool_call",
    );
    check(
        r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#,
        "length",
    );
    check(
        r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#,
        "content_filter",
    );
    check(r#""status":"incomplete""#, "incomplete");
    check(r#""status":"failed","error":{"code":"x"}"#, "error");
}

#[test]
fn responses_event() {
    let capture = one(
        r#"{"request":{"model":"m","instructions":"brief","input":"q"},"response":{"id":"resp_1","object":"response","model":"m-1","created_at":1795429800.5,
            "status":"failed","error":{"code":"server_error"},"conversation":null,"output":[{"type":"message","id":"msg_1","role":"assistant","content":[]}],
            "usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":5}}}"#,
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=c-7a8babb8a11671dfe03c4a5e8f77c6db/103000500-resp_1.json
    openai_responses c-7a8babb8a11671dfe03c4a5e8f77c6db user=- history=full model=m-1 nul=0 surrogate=0
    0 input user h:71de7e45 <- - finish=- [] "q"
    1 output assistant h:13d809ca <- h:71de7e45 finish=error [input_tokens=3 output_tokens=2 cache_read_input_tokens=1 reasoning_output_tokens=1] ""
    context={} metadata={"extra":{"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":5},"response":{"created_at":1795429800.5,"status":"failed"}}}
    "#);
    assert_eq!(
        capture.error.as_ref().map(ToString::to_string).as_deref(),
        Some(r#"{"code":"server_error"}"#)
    );
    assert_eq!(capture.system_instructions.len(), 1);
}

#[test]
fn what_is_no_response_is_told_by_path() {
    refused(
        r#"{"request":{"input":7},"response":{"object":"response"}}"#,
        "invalid `request.input`: found a number; accepted: a string, or an array of content blocks",
    );
}
