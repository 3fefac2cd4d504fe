//! OpenTelemetry in its several ways to be written.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::history::Client;
use super::{one, read, refused, said, summary};
use crate::capture::Shape;

const ATTRIBUTES: &str = r#""gen_ai.operation.name":"chat","gen_ai.provider.name":"openai","gen_ai.conversation.id":"c","gen_ai.request.model":"m","gen_ai.response.id":"r","gen_ai.usage.input_tokens":3,"gen_ai.usage.output_tokens":"1","gen_ai.usage.cache_read.input_tokens":2,"server.port":443"#;
const INPUT: &str = r#"[{"role":"user","parts":[{"type":"text","content":"q"}]}]"#;
const OUTPUT: &str =
    r#"[{"role":"assistant","parts":[{"type":"text","content":"a"}],"finish_reason":"end_turn"}]"#;

/// As JSON text in JSON.
fn quoted(json: &str) -> String {
    Value::from(json).to_string()
}

#[test]
fn attributes_are_read_however_they_are_written() {
    let messages = format!(
        r#""gen_ai.input.messages":{INPUT},"gen_ai.output.messages":{OUTPUT},"gen_ai.response.finish_reasons":["end_turn"]"#
    );
    let texts = format!(
        r#""gen_ai.input.messages":{},"gen_ai.output.messages":{},"gen_ai.response.finish_reasons":{}"#,
        quoted(INPUT),
        quoted(OUTPUT),
        quoted(r#"["end_turn"]"#)
    );
    let pair = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{value}}}"#);
    let listed = [
        pair("gen_ai.operation.name", r#"{"stringValue":"chat"}"#),
        pair("gen_ai.provider.name", r#"{"stringValue":"openai"}"#),
        pair("gen_ai.conversation.id", r#"{"stringValue":"c"}"#),
        pair("gen_ai.request.model", r#"{"stringValue":"m"}"#),
        pair("gen_ai.response.id", r#"{"stringValue":"r"}"#),
        pair("gen_ai.usage.input_tokens", r#"{"intValue":"3"}"#),
        pair("gen_ai.usage.output_tokens", r#"{"intValue":1}"#),
        pair("gen_ai.usage.cache_read.input_tokens", r#"{"intValue":"2"}"#),
        pair("server.port", r#"{"intValue":"443"}"#),
        pair("gen_ai.response.finish_reasons", r#"{"arrayValue":{"values":[{"stringValue":"end_turn"}]}}"#),
        pair("gen_ai.input.messages", &format!(r#"{{"stringValue":{}}}"#, quoted(INPUT))),
        pair(
            "gen_ai.output.messages",
            r#"{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"role","value":{"stringValue":"assistant"}},
                {"key":"parts","value":{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"type","value":{"stringValue":"text"}},{"key":"content","value":{"stringValue":"a"}}]}}]}}},
                {"key":"finish_reason","value":{"stringValue":"end_turn"}}]}}]}}"#,
        ),
    ]
    .join(",");
    let flat = one(&format!("{{{ATTRIBUTES},{messages}}}"));
    assert_snapshot!(summary(&flat), @r#"
    conversations/v1/t=default/dt=undated/c=c/r.json
    opentelemetry c user=- history=full model=m nul=0 surrogate=0
    0 input user h:9a06993e <- - finish=- [] "q"
    1 output assistant h:9b47c76a <- h:9a06993e finish=stop [input_tokens=3 output_tokens=1 cache_read_input_tokens=2] "a"
    context={} metadata={"extra":{"finish_reasons":["end_turn"],"server.port":443}}
    "#);
    let mapped = one(&format!(r#"{{"attributes":{{{ATTRIBUTES},{messages}}}}}"#));
    let written = one(&format!(r#"{{"attributes":{{{ATTRIBUTES},{texts}}}}}"#));
    let list = one(&format!(r#"{{"attributes":[{listed}]}}"#));
    assert!(mapped == written && mapped == list);
    assert!(mapped.messages == flat.messages && mapped.usage == flat.usage);
}

#[test]
fn a_conversation_is_found_under_several_names_and_else_is_the_trace() {
    let check = |attribute: &str, expected: &str| {
        let event = format!(
            r#"{{"trace_id":"t1","span_id":"s1","attributes":{{"gen_ai.operation.name":"chat"{attribute}}}}}"#
        );
        assert_eq!(one(&event).conversation_id, expected);
    };
    check(r#","session.id":"s","gen_ai.conversation.id":"c""#, "c");
    check(r#","session.id":"s""#, "s");
    check(r#","thread_id":"th""#, "th");
    check(
        r#","traceloop.association.properties.session_id":"ts""#,
        "ts",
    );
    check(r#","session.id":7,"thread_id":"""#, "t1");
    check("", "t1");
    let own = one(r#"{"conversation_id":"own","attributes":{"gen_ai.conversation.id":"c"}}"#);
    assert_eq!(own.conversation_id, "own");
    assert!(
        own.metadata
            .to_string()
            .contains(r#""conversation_id":"c""#)
    );
    let none = one(r#"{"gen_ai.operation.name":"chat"}"#);
    assert!(none.conversation_id.starts_with("c-"));
}

#[test]
fn what_limits_have_cut_is_a_text() {
    let cut = one(
        r#"{"gen_ai.input.messages":"[{\"role\":\"user\",\"parts\":[{\"ty","gen_ai.output.messages":"bare"}"#,
    );
    let expected = "user [{\"type\":\"text\",\"content\":\"[{\\\"role\\\":\\\"user\\\",\\\"parts\\\":[{\\\"ty\"}]\nassistant [{\"type\":\"text\",\"content\":\"bare\"}]";
    assert_eq!(said(&cut), expected);
}

#[test]
fn broken_characters_in_json_text_are_repaired_and_counted() {
    let capture =
        one(r#"{"gen_ai.input.messages":"[{\"role\":\"user\",\"content\":\"a\\ud83d\\u0000\"}]"}"#);
    assert_eq!(capture.messages[0].content().0, "a\u{fffd}\u{fffd}");
    assert_eq!((capture.sanitized.nul, capture.sanitized.surrogate), (1, 1));
}

fn span(id: &str, attributes: &str) -> String {
    format!(
        r#"{{"traceId":"t1","spanId":"{id}","name":"chat","endTimeUnixNano":"1795429800000000000","attributes":[{attributes}]}}"#
    )
}

const OPERATION: &str = r#"{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}}"#;

#[test]
fn every_record_of_a_batch_is_a_capture() {
    let response = r#"{"key":"gen_ai.response.id","value":{"stringValue":"r1"}}"#;
    let log = |field: &str| format!(r#"{{"attributes":[{OPERATION},{response}]{field}}}"#);
    let event = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"svc"}}}}]}},"scopeSpans":[
            {{"scope":{{"name":"scope"}},"spans":[{},{},{}]}}]}}],
            "resourceLogs":[{{"scopeLogs":[{{"logRecords":[{},{},{{"attributes":[{OPERATION}],"timeUnixNano":"1795429800000000001"}}]}}]}}]}}"#,
        span("s1", &format!("{OPERATION},{response}")),
        span(
            "s2",
            r#"{"key":"http.request.method","value":{"stringValue":"GET"}}"#
        ),
        span("s3", OPERATION),
        log(""),
        log(r#","traceId":"t1","spanId":"s1","timeUnixNano":"1795429800000000001""#)
            .replace("r1", ""),
    );
    let captures = read(&event).expect("captures");
    let ids: Vec<_> = captures
        .iter()
        .map(|capture| capture.event_id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "t1-s1",
            "t1-s3",
            "r1",
            "t1-s1-1795429800000000001",
            "request-1#4"
        ]
    );
    assert_snapshot!(summary(&captures[1]), @r#"
    conversations/v1/t=default/dt=2026-11-23/c=t1/103000000-t1-s3.json
    opentelemetry t1 user=- history=full model=- nul=0 surrogate=0
    context={} metadata={"extra":{"resource":{"service.name":"svc"},"scope":{"name":"scope"},"traceId":"t1","spanId":"s3","name":"chat","endTimeUnixNano":"1795429800000000000"}}
    "#);
    assert!(
        captures
            .iter()
            .all(|capture| capture.shape == Shape::OpenTelemetry)
    );
    // In an array of batches, each record still has an id of its own.
    let undated = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{OPERATION}]}},{{"attributes":[{OPERATION}]}}]}}]}}]}}"#
    );
    let ids: Vec<_> = read(&format!("[{undated},{undated}]"))
        .expect("captures")
        .into_iter()
        .map(|capture| capture.event_id)
        .collect();
    assert_eq!(
        ids,
        [
            "request-1#0#0",
            "request-1#0#1",
            "request-1#1#0",
            "request-1#1#1"
        ]
    );
}

#[test]
fn values_of_otlp_are_values() {
    let value = |json: &str| format!(r#"{{"key":"v","value":{json}}}"#);
    let check = |json: &str, expected: &str| {
        let event = format!(r#"{{"attributes":[{OPERATION},{}]}}"#, value(json));
        assert_eq!(
            one(&event).metadata.to_string(),
            format!(r#"{{"extra":{{"attributes":{{"v":{expected}}}}}}}"#)
        );
    };
    check(r#"{"stringValue":"é\"x"}"#, r#""é\"x""#);
    check(r#"{"intValue":"12"}"#, "12");
    check(r#"{"intValue":"0012"}"#, r#""0012""#);
    check(r#"{"intValue":12}"#, "12");
    check(r#"{"doubleValue":1.50}"#, "1.50");
    check(r#"{"doubleValue":"NaN"}"#, r#""NaN""#);
    check(r#"{"boolValue":false,"stringValue":null}"#, "false");
    check(r#"{"bytesValue":"AAE="}"#, r#""AAE=""#);
    check(
        r#"{"arrayValue":{"values":[{"intValue":"1"},{}]}}"#,
        "[1,null]",
    );
    check(
        r#"{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}"#,
        r#"{"k":true}"#,
    );
    check(r#"{"futureValue":1}"#, r#"{"futureValue":1}"#);
}

const CLIENTS: [Client; 1] = [Client {
    name: "OpenTelemetry",
    asks: |text| json!({"role": "user", "parts": [{"type": "text", "content": text}]}),
    answers: |text| json!({"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": text}], "finish_reason": "stop"}),
    again: |text, _| json!({"role": "assistant", "parts": [{"type": "text", "content": text}]}),
    event: opentelemetry,
}];

fn opentelemetry(history: &[Value], answer: &Value, call: usize) -> Value {
    let text = |value: Value| value.to_string();
    json!({"gen_ai.conversation.id": "c", "gen_ai.response.id": format!("r-{call}"),
        "gen_ai.input.messages": text(json!(history)), "gen_ai.output.messages": text(json!([answer]))})
}

#[test]
fn clients_that_send_the_history_again_add_only_what_is_new() {
    CLIENTS.iter().for_each(Client::keeps_the_laws);
}

#[test]
fn what_is_no_exchange_is_told_by_path() {
    refused(
        r#"{"attributes":{"gen_ai.request.model":7}}"#,
        "invalid `attributes.gen_ai.request.model`: found a number; accepted: a string",
    );
    refused(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET"}]}]}]}"#,
        "invalid `resourceSpans`: found no record with `gen_ai.*` attributes; accepted: spans or log records of OpenTelemetry's \
         GenAI conventions, at least one",
    );
}
