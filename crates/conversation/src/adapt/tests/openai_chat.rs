//! `OpenAI`'s Chat Completions.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::history::{Client, check_again, ids, read};
use super::{one, refused, said, summary};

const CLIENTS: [Client; 2] = [
    Client {
        name: "Chat Completions, the message as it came",
        asks: |text| json!({"role": "user", "content": text}),
        answers: |text| json!({"role": "assistant", "content": text, "refusal": null, "annotations": [{"type": "url_citation"}]}),
        again: |text, _| json!({"role": "assistant", "content": text, "refusal": null, "annotations": [{"type": "url_citation"}]}),
        event: chat,
    },
    Client {
        name: "Chat Completions, the text in a part",
        asks: |text| json!({"role": "user", "content": [{"type": "text", "text": text}]}),
        answers: |text| json!({"role": "assistant", "content": text, "reasoning_content": "hm", "annotations": []}),
        again: |text, _| json!({"role": "assistant", "content": [{"type": "text", "text": text}]}),
        event: chat,
    },
];

fn chat(history: &[Value], answer: &Value, call: usize) -> Value {
    json!({"conversation_id": "c", "request": {"model": "m", "messages": history},
        "response": {"id": format!("r-{call}"), "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": answer}]}})
}

#[test]
fn clients_that_send_the_history_again_add_only_what_is_new() {
    CLIENTS.iter().for_each(Client::keeps_the_laws);
}

#[test]
fn chat_completions_are_recognised_however_they_are_sent_again() {
    let call = |arguments: Value| json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let with = |content: Value, arguments: Value| json!({"role": "assistant", "content": content, "tool_calls": [call(arguments)]});
    let answer = with(Value::Null, json!("{\"k\": 1, \"l\": [2.0]}"));
    for content in [Value::Null, json!(""), json!([])] {
        check_again(
            chat,
            &answer,
            &[with(content.clone(), json!("{\"l\":[2],\"k\":1}"))],
        );
        check_again(chat, &answer, &[with(content, json!({"k": 1, "l": [2]}))]);
    }
    check_again(
        chat,
        &answer,
        &[
            json!({"role": "assistant", "tool_calls": [call(json!({"k": 1, "l": [2]}))], "refusal": null}),
        ],
    );
    // No arguments, in every spelling.
    for spelling in [json!("{}"), json!(""), json!({}), Value::Null] {
        check_again(
            chat,
            &with(Value::Null, json!("{}")),
            &[with(Value::Null, spelling)],
        );
    }
    let text = |content: Value| json!({"role": "assistant", "content": content});
    check_again(
        chat,
        &text(json!("b")),
        &[text(json!([{"type": "text", "text": "b"}]))],
    );
    check_again(
        chat,
        &text(json!("b")),
        &[json!({"role": "assistant", "content": "b", "reasoning_content": "hm"})],
    );
    let refusal = json!({"role": "assistant", "content": null, "refusal": "no"});
    check_again(
        chat,
        &refusal,
        &[text(json!([{"type": "refusal", "refusal": "no"}]))],
    );
    let spoken = json!({"role": "assistant", "content": null, "audio": {"id": "audio_1", "data": "UklG", "transcript": "olá", "expires_at": 1}});
    check_again(
        chat,
        &spoken,
        &[json!({"role": "assistant", "audio": {"id": "audio_1"}})],
    );
}

#[test]
fn an_answer_of_several_choices_is_several_branches() {
    let question = json!({"role": "user", "content": "q"});
    let choice = |index, text| json!({"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": text}});
    let event = json!({"conversation_id": "c", "request": {"messages": [question]},
        "response": {"object": "chat.completion", "choices": [choice(0, "a"), choice(1, "b")]}});
    let both = read(&event);
    let chosen = read(&chat(
        &[question, json!({"role": "assistant", "content": "b"})],
        &json!({"role": "assistant", "content": "c"}),
        2,
    ));
    assert_eq!(ids(&chosen)[1], ids(&both)[2]);
    assert_eq!(
        both.messages[2].parent_message_id,
        both.messages[1].parent_message_id
    );
}

#[track_caller]
fn check_chat(message: &str, expected: &str) {
    let event = format!(
        r#"{{"request":{{"messages":[{message}]}},"response":{{"object":"chat.completion","choices":[]}}}}"#
    );
    assert_eq!(said(&one(&event)), expected);
}

#[test]
fn every_message_of_chat_completions_has_its_parts() {
    for nothing in ["null", "\"\"", "[]"] {
        check_chat(
            &format!(r#"{{"role":"assistant","content":{nothing}}}"#),
            "assistant []",
        );
    }
    check_chat(
        r#"{"role":"user","name":"ana","content":"q"}"#,
        r#"user ana [{"type":"text","content":"q"}]"#,
    );
    check_chat(
        r#"{"role":"developer","content":"d"}"#,
        r#"developer [{"type":"text","content":"d"}]"#,
    );
    check_chat(
        r#"{"role":"tool","tool_call_id":"t","content":"r"}"#,
        r#"tool [{"type":"tool_call_response","id":"t","response":"r"}]"#,
    );
    check_chat(
        r#"{"role":"tool","tool_call_id":"t","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
        r#"tool [{"type":"tool_call_response","id":"t","response":[{"type":"text","content":"a"},{"type":"text","content":"b"}]}]"#,
    );
    check_chat(
        r#"{"role":"assistant","content":"c","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"k\":1}","strict":true},"index":0}]}"#,
        r#"assistant [{"type":"text","content":"c"},{"type":"tool_call","id":"t","name":"f","arguments":{"k":1},"index":0,"strict":true}]"#,
    );
    check_chat(
        r#"{"role":"assistant","tool_calls":[{"id":"t","type":"custom","custom":{"name":"f","input":"x = 1"}}]}"#,
        r#"assistant [{"type":"tool_call","id":"t","name":"f","arguments":"x = 1","extra":{"type":"custom"}}]"#,
    );
    check_chat(
        r#"{"role":"assistant","function_call":{"name":"f","arguments":"{"}}"#,
        r#"assistant [{"type":"tool_call","name":"f","arguments":"{"}]"#,
    );
    check_chat(
        r#"{"role":"assistant","reasoning_content":"hm","content":"a","refusal":"no"}"#,
        r#"assistant [{"type":"reasoning","content":"hm"},{"type":"text","content":"a"},{"type":"refusal","content":"no"}]"#,
    );
    check_chat(
        r#"{"role":"assistant","audio":{"id":"a1","data":"UklG","transcript":"olá","expires_at":9}}"#,
        r#"assistant [{"type":"blob","modality":"audio","content":"UklG","transcript":"olá","expires_at":9,"id":"a1"}]"#,
    );
    check_chat(
        r#"{"role":"assistant","audio":{"id":"a1"}}"#,
        r#"assistant [{"type":"file","modality":"audio","file_id":"a1"}]"#,
    );
}

#[test]
fn every_content_part_of_chat_completions_is_a_part() {
    let check = |part: &str, expected: &str| {
        check_chat(
            &format!(r#"{{"role":"user","content":[{part}]}}"#),
            &format!("user [{expected}]"),
        );
    };
    check(r#""bare""#, r#"{"type":"text","content":"bare"}"#);
    check(
        r#"{"type":"image_url","image_url":{"url":"https://x.example/i.png","detail":"low"}}"#,
        r#"{"type":"uri","modality":"image","uri":"https://x.example/i.png","detail":"low"}"#,
    );
    check(
        r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}"#,
        r#"{"type":"blob","mime_type":"image/png","modality":"image","content":"iVBO"}"#,
    );
    check(
        r#"{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}}"#,
        r#"{"type":"blob","mime_type":"audio/wav","modality":"audio","content":"UklG"}"#,
    );
    check(
        r#"{"type":"file","file":{"file_id":"file-1","filename":"a.pdf"}}"#,
        r#"{"type":"file","modality":"document","file_id":"file-1","filename":"a.pdf"}"#,
    );
    check(
        r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE"}}"#,
        r#"{"type":"blob","mime_type":"application/pdf","modality":"document","content":"JVBE"}"#,
    );
    // Whatever is not as it should be stays as it came.
    check(r#"{"type":"text","text":5}"#, r#"{"type":"text","text":5}"#);
    check(
        r#"{"type":"video_url","video_url":{"url":"u"}}"#,
        r#"{"type":"video_url","video_url":{"url":"u"}}"#,
    );
    check(
        r#"{"type":"text","text":"a","content":"b"}"#,
        r#"{"type":"text","content":"a","extra":{"content":"b"}}"#,
    );
    check("7", r#"{"type":"text","content":"7"}"#);
}

#[test]
fn arguments_that_would_need_repair_stay_text() {
    for arguments in [
        r#"{\"a\":\"\\u0000\"}"#,
        r#"{\"a\":\"\\ud83d\"}"#,
        "[1",
        "42",
    ] {
        let event = format!(
            r#"{{"request":{{"messages":[{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":"{arguments}"}}}}]}}]}},"response":{{"object":"chat.completion"}}}}"#
        );
        assert!(
            said(&one(&event)).contains(&format!(r#""arguments":"{arguments}""#)),
            "{arguments}"
        );
    }
}

#[test]
fn chat_completions_event() {
    let capture = one(
        r#"{"tenant_id":"acme","user_id":"u","request":{"model":"m","metadata":{"conversation_id":"c"},"messages":[{"role":"user","content":"q","mood":"good"}],"seed":7},
            "response":{"id":"chatcmpl-1","object":"chat.completion","model":"m-1","created":1795429800,"choices":[
                {"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"a"},"logprobs":{"content":[1]}},
                {"index":1,"finish_reason":"length","message":{"content":"b"}}],
            "usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}}"#,
    );
    assert_snapshot!(summary(&capture), @r#"
    conversations/v1/t=acme/dt=2026-11-23/c=c/103000000-chatcmpl-1.json
    openai_chat c user=u history=full model=m-1 nul=0 surrogate=0
    0 input user h:54a558ca <- - finish=- [] "q"
    1 output assistant h:3d293cd1 <- h:54a558ca finish=tool_call [] "a"
    2 output assistant h:d6fc2258 <- h:54a558ca finish=length [input_tokens=3 output_tokens=1 cache_read_input_tokens=2] "b"
    context={} metadata={"extra":{"request":{"metadata":{"conversation_id":"c"},"seed":7},"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":2}},"response":{"created":1795429800},"choices":[{"index":0,"logprobs":{"content":[1]}},{"index":1}],"finish_reasons":["tool_calls","length"]}}
    "#);
    assert_snapshot!(capture.messages[0].metadata.to_string(), @r#"{"extra":{"mood":"good"}}"#);
    assert_eq!(capture.provider.as_deref(), Some("openai"));
    assert_eq!(capture.operation.as_deref(), Some("chat"));
}

#[test]
fn what_is_no_chat_completion_is_told_by_path() {
    let chat = |request: &str, response: &str| {
        format!(r#"{{"request":{request},"response":{{"object":"chat.completion",{response}}}}}"#)
    };
    refused(
        &chat("null", r#""id":"r""#),
        "invalid `request`: found nothing; accepted: the request that the `response` answers",
    );
    refused(
        &chat("{}", r#""id":"r""#),
        "invalid `request.messages`: found nothing; accepted: an array of messages",
    );
    refused(
        &chat(r#"{"messages":[{"content":"q"}]}"#, r#""id":"r""#),
        "invalid `request.messages[0].role`: found nothing; accepted: a string that is not empty",
    );
    refused(
        &chat(
            r#"{"messages":[{"role":"user","content":7}]}"#,
            r#""id":"r""#,
        ),
        "invalid `request.messages[0].content`: found a number; accepted: a string, or an array of content blocks",
    );
    refused(
        &chat(r#"{"messages":[]}"#, r#""choices":[{"message":"a"}]"#),
        "invalid `response.choices[0].message`: found a string; accepted: an object",
    );
    refused(
        &chat(r#"{"messages":[]}"#, r#""usage":{"prompt_tokens":"3"}"#),
        "invalid `response.usage.prompt_tokens`: found a string; accepted: a whole number from 0 to 2147483647",
    );
}
