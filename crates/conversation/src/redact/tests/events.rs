//! Events as a whole: what is stored of them, and under which ids.

use super::*;
use crate::adapt::{captures, captures_keyed};
use crate::capture::Capture;
use crate::delivery::Delivery;
use crate::sanitize::clean;
use crate::{Document, Layout};

const CANARY: &str = "ana.canary@example.com";

fn delivery() -> Delivery {
    Delivery::direct(Some("request-1"))
}

fn unredacted(event: &str) -> Capture {
    let cleaned = clean(event.as_bytes());
    let document = Document::read(&cleaned).expect("JSON");
    captures(document, &delivery()).expect("an event").remove(0)
}

fn keyed(redactor: &Redactor, event: &str) -> Capture {
    let cleaned = clean(event.as_bytes());
    let document = Document::read(&cleaned).expect("JSON");
    let captures = captures_keyed(document, &delivery(), redactor.key());
    captures.expect("an event").remove(0)
}

fn stored(redactor: &Redactor, event: &str) -> Capture {
    redactor.capture(keyed(redactor, event))
}

fn body(capture: &Capture, layout: Layout) -> String {
    String::from_utf8(capture.object(layout).body).expect("UTF-8")
}

/// An event that says the canary wherever somebody may have written.
fn spoken() -> String {
    let text = format!(r#""to {CANARY}""#);
    format!(
        r#"{{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1","user_id":"u-1","history":"full",
        "operation":{text},"provider":{text},"request_model":{text},"response_model":{text},"finish_reasons":[{text}],
        "error":{{"message":{text}}},"system_instructions":[{{"type":"text","content":{text}}}],
        "messages":[
          {{"role":"user","name":{text},"parts":[{{"type":"text","content":{text},{text}:[[{text}]]}}],"note":{text}}},
          {{"role":{text},"finish_reason":{text},"direction":"output","metadata":{{"k":{text}}},"parts":[
            {{"type":"tool_call","id":"t","name":{text},"arguments":{{{text}:1,"q":"{{\"m\":\"\\u0061na.canary\\u0040example.com\"}}"}}}},
            {{"type":"tool_call_response","id":"t","response":{{"card":4111111111111111}}}},
            {{"type":{text},"x":{text}}}]}}],
        "implementations":[{{"file_path":{text},"type":{text},"functionality":{text},"code_snippet":{text},"language":{text},"y":{text}}}],
        "context":{{{text}:{text}}},"metadata":{{"k":{text}}},"tags":[{text}],"unknown":{{"k":{text}}}}}"#
    )
}

#[test]
fn nothing_that_was_written_is_left() {
    for mode in ["mask", "hash", "drop"] {
        let redactor = redactor(mode);
        let capture = stored(&redactor, &spoken());
        for layout in [Layout::Turn, Layout::Legacy] {
            let body = body(&capture, layout);
            assert!(!body.contains("canary"), "{mode}: {body}");
            assert!(!body.contains("4111"), "{mode}: {body}");
        }
        let rows: Vec<_> = capture
            .messages
            .iter()
            .map(|message| {
                format!(
                    "{:?}{:?}{}",
                    message.model,
                    message.provider,
                    message.content().0
                )
            })
            .collect();
        assert!(!rows.concat().contains("canary"), "{mode}: {rows:?}");
    }
}

#[test]
fn the_object_says_what_was_done() {
    insta::assert_snapshot!(
        body(
            &stored(
                &redactor("mask"),
                r#"{"schema":"llm.capture/1","event_id":"e-1","conversation_id":"c-1","user_id":"ana@example.com","messages":[
                    {"role":"user","content":"a@b.co or 4111 1111 1111 1111"}],"context":{"a@b.co":1,"c@d.co":2}}"#
            ),
            Layout::Turn
        ),
        @r##"{"schema":"llm.capture/1","event_id":"e-1","tenant_id":"default","conversation_id":"c-1","user_id":"ana@example.com","history":"full","messages":[{"message_id":"h:4d292a1e6f72afe405d177bb40e21e8b5998091d95ddc22b7f2560337b7c81af","direction":"input","role":"user","parts":[{"type":"text","content":"[email] or [card]"}]}],"context":{"[email]":1,"[email]#2":2},"_meta":{"schema":"turnkeep.capture/1","shape":"canonical","policy":"mask-683da7f1","redactions":{"card":1,"email":3},"fingerprint":"c2fcedbc04510e4d091608c52269ee4e68bceb0f33ca7e0ee252cdc5b94399f8"}}"##
    );
}

#[test]
fn ids_stay() {
    let redactor = redactor("mask");
    let event = format!(
        r#"{{"schema":"llm.capture/1","event_id":"{CANARY}","conversation_id":"{CANARY}","tenant_id":"{CANARY}","user_id":"{CANARY}",
        "response_id":"{CANARY}","trace":{{"trace_id":"{CANARY}"}},"implementations":[{{"implementation_id":"{CANARY}"}}],
        "messages":[{{"message_id":"{CANARY}","role":"user","parts":[]}}]}}"#
    );
    let (before, after) = (keyed(&redactor, &event), stored(&redactor, &event));
    assert_eq!(after.tenant_id, CANARY);
    assert_eq!(after.user_id.as_deref(), Some(CANARY));
    assert_eq!(after.messages[0].message_id, CANARY);
    assert_eq!(after.implementations[0].implementation_id, CANARY);
    assert_eq!(
        (
            &after.event_id,
            &after.conversation_id,
            &after.response_id,
            &after.trace
        ),
        (
            &before.event_id,
            &before.conversation_id,
            &before.response_id,
            &before.trace
        )
    );
}

#[test]
fn hashes_of_what_is_not_stored_have_a_key() {
    let event = r#"{"schema":"llm.capture/1","conversation_id":"c","messages":[{"role":"user","content":"a@b.co"}]}"#;
    let plain = unredacted(event);
    let one = stored(&redactor("mask"), event);
    let other = stored(&redactor_with_key("mask", b'x'), event);
    let ids = |capture: &Capture| (capture.messages[0].message_id.clone(), capture.fingerprint);
    assert_ne!(ids(&plain).0, ids(&one).0);
    assert_ne!(ids(&one).0, ids(&other).0);
    assert_ne!(ids(&plain).1, ids(&one).1);
    assert_ne!(ids(&one).1, ids(&other).1);
    assert_eq!(
        ids(&one),
        ids(&stored(&redactor("drop"), event)),
        "whatever the policy is"
    );
    assert_ne!(
        one.messages[0].content_sha256,
        plain.messages[0].content_sha256
    );
    let masked = unredacted(&event.replace("a@b.co", "[email]"));
    assert_eq!(
        one.messages[0].content_sha256, masked.messages[0].content_sha256,
        "of what is stored"
    );
}

#[test]
fn a_history_that_is_sent_again_is_found_again() {
    let redactor = redactor("mask");
    let turn = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let event = |turns: &[String]| {
        format!(
            r#"{{"schema":"llm.capture/1","conversation_id":"c","messages":[{}]}}"#,
            turns.join(",")
        )
    };
    let turns = [
        turn("user", "I am a@b.co"),
        turn("assistant", "hello a@b.co"),
        turn("user", "I am c@d.co"),
    ];
    let ids = |turns: &[String]| -> Vec<String> {
        let capture = stored(&redactor, &event(turns));
        capture
            .messages
            .into_iter()
            .map(|message| message.message_id)
            .collect()
    };
    assert_eq!(ids(&turns)[..2], ids(&turns[..2])[..]);
    let edited = [turn("user", "I am c@d.co"), turns[1].clone()];
    assert_ne!(
        ids(&edited)[0],
        ids(&turns)[0],
        "the same when masked, and not the same message"
    );
}

#[test]
fn an_archived_object_gives_the_same_capture_again() {
    for mode in ["mask", "hash", "drop"] {
        let redactor = redactor(mode);
        let capture = stored(&redactor, &spoken());
        let again = unredacted(&body(&capture, Layout::Turn));
        assert!(
            again == capture,
            "{mode}: {}\n{}",
            body(&again, Layout::Turn),
            body(&capture, Layout::Turn)
        );
        let twice = stored(&redactor, &body(&capture, Layout::Turn));
        assert_eq!(
            body(&twice, Layout::Turn),
            body(&capture, Layout::Turn),
            "{mode}"
        );
    }
}

#[test]
fn keys_that_become_the_same_are_told_apart() {
    let event = r#"{"schema":"llm.capture/1","conversation_id":"c","messages":[],"context":{"a@b.co":1,"[email]":2,"c@d.co":3,"n":{"e@f.co":4}}}"#;
    let capture = stored(&redactor("mask"), event);
    assert_eq!(
        capture.context.to_string(),
        r#"{"[email]#2":1,"[email]":2,"[email]#3":3,"n":{"[email]":4}}"#
    );
}

#[track_caller]
fn check_before(before: &str, now: &str, layout: Layout) {
    let event = spoken();
    let now = redactor(now);
    let earlier = match before {
        "off" => unredacted(&event),
        policy => stored(&redactor(policy), &event),
    };
    let plain = keyed(&now, &event).fingerprint;
    let capture = stored(&now, &event);
    let object = earlier.object(layout);
    assert_ne!(object.body, capture.object(layout).body);
    let (archived, found) = capture
        .archived_before(plain, object.body.clone(), layout)
        .expect("the same event");
    assert_eq!(found, object);
    assert!(archived.fingerprint == earlier.fingerprint && archived.messages == earlier.messages);
    let other = event.replace("ana.canary", "bob.canary");
    let plain = keyed(&now, &other).fingerprint;
    let other = stored(&now, &other);
    assert!(
        other.archived_before(plain, object.body, layout).is_none(),
        "another event"
    );
    assert!(
        other
            .archived_before(plain, b"{}".to_vec(), layout)
            .is_none()
    );
    assert!(
        other
            .archived_before(plain, b"no JSON".to_vec(), layout)
            .is_none()
    );
}

#[test]
fn an_event_is_known_whatever_its_policy_was() {
    check_before("off", "mask", Layout::Turn);
    check_before("off", "hash", Layout::Legacy);
    check_before("mask", "hash", Layout::Turn);
    check_before("hash", "drop", Layout::Legacy);
    check_before("mask", r#"{"mode":"off"}"#, Layout::Turn);
    check_before(r#"{"mode":"off"}"#, "mask", Layout::Legacy);
}

#[test]
fn errors_name_no_field_that_is_one() {
    let redactor = redactor("mask");
    let cleaned = clean(br#"{"AKIAIOSFODNN7EXAMPLE":1,"hello":2}"#);
    let error =
        captures(Document::read(&cleaned).expect("JSON"), &delivery()).expect_err("no event");
    let error = redactor.error(error).to_string();
    assert!(
        error.contains("`[aws_access_key]`") && error.contains("`hello`"),
        "{error}"
    );
}

#[track_caller]
fn check_input(input: &[u8], expected: &[u8]) {
    let redactor = redactor("mask");
    let redacted = redactor.input(input, std::iter::empty());
    assert_eq!(
        String::from_utf8_lossy(&redacted.bytes),
        String::from_utf8_lossy(expected),
    );
    assert_eq!(redacted.redactions.total() > 0, input != expected);
}

#[test]
fn an_input_that_is_put_aside_is_redacted_however_broken() {
    check_input(b"no JSON", b"no JSON");
    check_input(br#"{"a": "ana@example.com", "#, br#"{"a": "[email]", "#);
    check_input(
        br#"{"a": "\u0061na\u0040example.com", "#,
        br#"{"a": "[email]", "#,
    );
    check_input(
        br#"{"a": "{\"b\":\"x\\nana\\u0040example.com"#,
        br#"{"a": "{\"b\":\"x\\n[email]"#,
    );
    check_input(b"\xff ana@example.com \xfe", b"\xff [email] \xfe");
    check_input(
        br#"{ "a" : "a@b.co", "n" : 4111111111111111 }"#,
        br#"{"a":"[email]","n":"[card]"}"#,
    );
    let wide: Vec<u8> = "to ana@example.com!"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check_input(&wide, b"t\0o\0 \0[email]!\0");
    // `{"m":"ana@example.com"}` and `{"m":"[email]"}`, whole and behind a path.
    check_input(b"eyJtIjoiYW5hQGV4YW1wbGUuY29tIn0=", b"eyJtIjoiW2VtYWlsXSJ9");
    check_input(
        b"{body: /x/eyJtIjoiYW5hQGV4YW1wbGUuY29tIn0",
        b"{body: /x/eyJtIjoiW2VtYWlsXSJ9",
    );
}

#[test]
fn an_input_of_one_tenant_is_redacted_by_its_policy() {
    let redactor = redactor(r#"{"mode":"off","tenants":{"loud":"mask","quiet":"off"}}"#);
    let by = |tenants: &[&str]| {
        let redacted = redactor.input(b"a@b.co", tenants.iter().copied());
        String::from_utf8(redacted.bytes).expect("UTF-8")
    };
    assert_eq!(by(&["quiet"]), "a@b.co");
    assert_eq!(by(&["loud"]), "[email]");
    assert_eq!(by(&[]), "[email]", "it may be anybody's");
    assert_eq!(by(&["quiet", "loud"]), "[email]");
}
