use proptest::prelude::*;

use super::*;
use crate::adapt::captures_of;
use crate::delivery::Delivery;
use crate::json::Raw;
use crate::layout::Layout;

/// Bytes that no Base64 writes without `+` and `/`.
fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|position| [0xfb, 0xff, 0xbf][position % 3])
        .collect()
}

fn event(parts: &str) -> String {
    format!(
        r#"{{"schema":"llm.capture/1","conversation_id":"c","event_id":"e","tenant_id":"t/1","messages":[{{"role":"user","parts":{parts}}}]}}"#
    )
}

fn captured(event: &str) -> Capture {
    let captures = captures_of(event.as_bytes(), &Delivery::direct(None));
    captures.expect("a known shape").remove(0)
}

fn parts(capture: &Capture) -> String {
    Part::array(&capture.messages[0].parts).to_string()
}

/// `part`, with `TEXT` for these bytes, becomes `expected`, with `NAME` for what names them.
#[track_caller]
fn check(part: &str, text: &str, expected: &str) {
    let bytes = bytes(MEDIA_MIN_BYTES);
    let capture = captured(&event(&format!("[{}]", part.replace("TEXT", text))));
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let name = format!(
        r#""media":"media/v1/t=t_1_6196f6412a3a2900/sha256/{}/{}/{sha256}","sha256":"{sha256}","bytes":8192"#,
        &sha256[..2],
        &sha256[2..4]
    );
    let shown = parts(&capture).replace(&name, "NAME");
    assert_eq!(shown, format!("[{expected}]"));
    let [object] = capture.media.as_slice() else {
        panic!("{} media", capture.media.len());
    };
    assert!(name.contains(&object.key));
    assert!(object.is_named_by_content());
    assert_eq!(object.body, bytes);
    assert_eq!(object.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
}

/// `part`, with `TEXT` for this text, stays as it is.
#[track_caller]
fn check_stays(part: &str, text: &str) {
    let part = part.replace("TEXT", text);
    let capture = captured(&event(&format!("[{part}]")));
    assert_eq!(parts(&capture), format!("[{part}]"));
    assert!(capture.media.is_empty());
}

#[test]
fn bytes_become_an_object_wherever_a_part_has_them() {
    let text = STANDARD.encode(bytes(MEDIA_MIN_BYTES));
    check(
        r#"{"type":"blob","mime_type":"image/png","modality":"image","content":"TEXT","transcript":"a cat"}"#,
        &text,
        r#"{"type":"blob","mime_type":"image/png","modality":"image","content":{NAME,"mime_type":"image/png","encoding":"base64"},"transcript":"a cat"}"#,
    );
    check(
        r#"{"type":"uri","modality":"image","uri":"data:image/png;x=y;base64,TEXT"}"#,
        &text,
        r#"{"type":"uri","modality":"image","uri":{NAME,"mime_type":"image/png","encoding":"base64","prefix":"data:image/png;x=y;base64,"}}"#,
    );
    check(
        r#"{"type":"blob","content":"data:;base64,TEXT"}"#,
        &text,
        r#"{"type":"blob","content":{NAME,"encoding":"base64","prefix":"data:;base64,"}}"#,
    );
    // Of MCP, within what a tool answered.
    check(
        r#"{"type":"tool_call_response","id":"t","response":[{"type":"image","data":"TEXT","mimeType":"image/gif"}]}"#,
        &text,
        r#"{"type":"tool_call_response","id":"t","response":[{"type":"image","data":{NAME,"mime_type":"image/gif","encoding":"base64"},"mimeType":"image/gif"}]}"#,
    );
    check(
        r#"{"type":"image_generation_call","result":"TEXT"}"#,
        &text,
        r#"{"type":"image_generation_call","result":{NAME,"encoding":"base64"}}"#,
    );
    check(
        r#"{"type":"value","value":{"images":["TEXT","TEXT"]}}"#,
        &text,
        r#"{"type":"value","value":{"images":[{NAME,"encoding":"base64"},{NAME,"encoding":"base64"}]}}"#,
    );
}

#[test]
fn every_shape_has_its_media_apart() {
    let text = STANDARD.encode(bytes(MEDIA_MIN_BYTES));
    for (request, response) in [
        (
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{text}"}}}}]}}]}}"#
            ),
            r#"{"id":"r","object":"chat.completion","choices":[]}"#,
        ),
        (
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"input_audio","input_audio":{{"data":"{text}","format":"wav"}}}}]}}]}}"#
            ),
            r#"{"id":"r","object":"chat.completion","choices":[]}"#,
        ),
        (
            format!(
                r#"{{"input":[{{"role":"user","content":[{{"type":"input_file","file_data":"data:application/pdf;base64,{text}"}}]}}]}}"#
            ),
            r#"{"id":"r","object":"response","output":[]}"#,
        ),
        (
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"tool_result","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{text}"}}}}]}}]}}]}}"#
            ),
            r#"{"id":"r","type":"message","content":[]}"#,
        ),
        (
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"image":{{"format":"png","source":{{"bytes":"{text}"}}}}}}]}}]}}"#
            ),
            r#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}"#,
        ),
        (
            format!(
                r#"{{"system":[{{"image":{{"format":"png","source":{{"bytes":"{text}"}}}}}}],"messages":[]}}"#
            ),
            r#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}"#,
        ),
    ] {
        let capture = captured(&format!(
            r#"{{"conversation_id":"c","request":{request},"response":{response}}}"#
        ));
        let object = capture.object(Layout::Turn);
        assert_eq!(capture.media.len(), 1, "{request}");
        assert!(object.body.len() < 2000, "{}", object.body.len());
    }
}

#[test]
fn what_does_not_read_back_as_it_was_written_stays() {
    let part = r#"{"type":"blob","modality":"image","content":"TEXT"}"#;
    check_stays(part, &STANDARD.encode(bytes(MEDIA_MIN_BYTES - 1)));
    check_stays(
        part,
        &STANDARD.encode(bytes(MEDIA_MIN_BYTES)).replace('=', "=="),
    );
    check_stays(
        part,
        &STANDARD
            .encode(bytes(MEDIA_MIN_BYTES))
            .replacen('+', r"\n", 1),
    );
    // Both alphabets at once.
    check_stays(
        part,
        &STANDARD
            .encode(bytes(MEDIA_MIN_BYTES))
            .replacen('+', "-", 1),
    );
    // Two bytes leave two bits that stand for nothing.
    let loose = STANDARD
        .encode(vec![0; MEDIA_MIN_BYTES])
        .replace("A=", "B=");
    check_stays(part, &loose);
}

#[test]
fn each_way_to_write_base64_is_told() {
    let bytes = bytes(MEDIA_MIN_BYTES);
    for (encoding, engine) in &ENCODINGS {
        check(
            r#"{"type":"blob","content":"TEXT"}"#,
            &engine.encode(&bytes),
            &format!(r#"{{"type":"blob","content":{{NAME,"encoding":"{encoding}"}}}}"#),
        );
    }
}

#[test]
fn words_stay_words() {
    let long = "a".repeat(40_000);
    for part in [
        r#"{"type":"text","content":"TEXT"}"#,
        r#"{"type":"text","content":"t","data":"TEXT"}"#,
        r#"{"type":"reasoning","content":"TEXT"}"#,
        r#"{"type":"tool_call","name":"f","arguments":{"text":"TEXT"}}"#,
        r#"{"type":"tool_call_response","response":"TEXT"}"#,
        r#"{"type":"text","content":"data:text/plain;base64,TEXT"}"#,
        r#"{"type":"uri","uri":"https://host.example/TEXT"}"#,
    ] {
        check_stays(part, &long);
    }
}

#[test]
fn a_name_takes_a_level_of_its_own() {
    let text = STANDARD.encode(bytes(MEDIA_MIN_BYTES));
    // The part and its arguments are two levels.
    for (lists, expected) in [
        (MAX_DEPTH - 4, 1),
        (MAX_DEPTH - 3, 1),
        (MAX_DEPTH - 2, 0),
        (MAX_DEPTH, 0),
    ] {
        let nested = format!("{}\"{text}\"{}", "[".repeat(lists), "]".repeat(lists));
        let capture = captured(&event(&format!(
            r#"[{{"type":"tool_call","arguments":{{"data":{nested}}}}}]"#
        )));
        assert_eq!(capture.media.len(), expected, "{lists}");
        let object = capture.object(Layout::Turn);
        let again = captured(std::str::from_utf8(&object.body).expect("UTF-8"));
        assert_eq!(again.object(Layout::Turn), object, "{lists}");
    }
}

#[test]
fn a_message_is_the_same_with_its_media_and_without() {
    let sent = |content: &str| {
        let event = format!(
            r#"{{"schema":"llm.capture/1","conversation_id":"c","messages":[{{"role":"user","parts":[{{"type":"blob","content":"{content}"}}]}},{{"role":"assistant","content":"a"}}]}}"#
        );
        captured(&event)
    };
    let text = STANDARD.encode(bytes(MEDIA_MIN_BYTES));
    let capture = sent(&text);
    // As it was before anything was taken out: over the whole text.
    let part = Raw::read(&format!(r#"{{"type":"blob","content":"{text}"}}"#))
        .and_then(|raw| Json::keep(&raw, MAX_DEPTH))
        .expect("a part");
    let whole = identity::sha256([&part]);
    let mut chain = identity::Chain::new("default", "c", "e", crate::capture::History::Full);
    let link = identity::Link {
        given_id: None,
        given_parent: None,
        role: "user",
        parts: &[],
        content_sha256: whole,
        identity: None,
        alternative: false,
    };
    assert_eq!(capture.messages[0].message_id, chain.link(0, link).0);
    assert_ne!(
        capture.messages[0].content_sha256, whole,
        "that of what is stored"
    );
    let other = sent(&STANDARD.encode(bytes(MEDIA_MIN_BYTES + 1)));
    assert_ne!(capture.messages[0].message_id, other.messages[0].message_id);
    assert_ne!(capture.fingerprint, other.fingerprint);
}

#[test]
fn an_archived_capture_names_its_media_and_brings_none() {
    let text = STANDARD.encode(bytes(MEDIA_MIN_BYTES));
    let capture = captured(&event(&format!(
        r#"[{{"type":"blob","content":"{text}"}},{{"type":"tool_call","name":"f","arguments":{{"data":"{text}"}}}}]"#
    )));
    assert_eq!(capture.media.len(), 1);
    assert!(
        capture.messages[0].content().0.len() < 500,
        "media are no words"
    );
    let object = capture.object(Layout::Turn);
    let again = captured(std::str::from_utf8(&object.body).expect("UTF-8"));
    assert!(again.media.is_empty());
    assert_eq!(again.fingerprint, capture.fingerprint);
    assert!(again.messages == capture.messages);
    assert_eq!(again.object(Layout::Turn), object);
}

proptest! {
    #[test]
    fn what_is_taken_out_is_what_was_written(
        bytes in proptest::collection::vec(any::<u8>(), MEDIA_MIN_BYTES - 3..MEDIA_MIN_BYTES + 3),
        engine in 0..ENCODINGS.len(),
        damage in proptest::option::of((any::<prop::sample::Index>(), "[A-Za-z0-9+/=_-]")),
    ) {
        let mut text = ENCODINGS[engine].1.encode(&bytes);
        if let Some((place, character)) = damage {
            let place = place.index(text.len());
            text.replace_range(place..=place, &character);
        }
        let capture = captured(&event(&format!(r#"[{{"type":"blob","content":"{text}"}}]"#)));
        let content = capture.messages[0].parts[0].json().get("content").expect("content");
        let back = match content {
            Json::String(text) => text.clone(),
            name => {
                let [object] = capture.media.as_slice() else { panic!("not one object") };
                let encoding = name.get("encoding").and_then(Json::as_str);
                let engine = ENCODINGS.iter().find(|(name, _)| Some(*name) == encoding).expect("an encoding");
                engine.1.encode(&object.body)
            }
        };
        prop_assert_eq!(back, text);
    }
}
