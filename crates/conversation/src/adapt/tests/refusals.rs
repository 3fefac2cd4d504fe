//! What is refused, and in which words.

use super::read;

#[track_caller]
pub(super) fn refused(event: &str, expected: &str) {
    let error = read(event).expect_err("an error");
    assert_eq!(error.to_string(), expected);
}

/// A canonical event with one more field.
#[track_caller]
fn refused_field(field: &str, expected: &str) {
    refused(
        &format!(r#"{{"schema":"llm.capture/1","conversation_id":"c","messages":[],{field}}}"#),
        expected,
    );
}

#[test]
fn what_is_not_json_is_told_by_its_position() {
    refused("", "not JSON: line 1, column 0");
    refused("{\n\"secret\": tru", "not JSON: line 2, column 13");
    refused(r#"{"a":1} {"b":2}"#, "not JSON: line 1, column 9");
    refused(r#"{"a":"\q"}"#, "not JSON: line 1, column 8");
}

#[test]
fn unknown_shapes_are_told_without_their_content() {
    let accepted = "an object with `schema` `llm.capture/1`, with `user_input`, `assistant_output` or `implementations`, with \
                    `text` and `user`, with `schemaType` `ModelInvocationLog`, with `gen_ai.*` attributes, `resourceSpans` or \
                    `resourceLogs`, with `request` and `response` of OpenAI Chat, of OpenAI Responses, of Anthropic, of Bedrock \
                    Converse, with `memoryId`, `actorId` and `payload`, or an array of such objects";
    for (event, found) in [
        (r#""my secret""#, "a string"),
        ("42", "a number"),
        ("null", "null"),
        ("[]", "an empty array"),
        ("{}", "an empty object"),
        ("[1]", "a number"),
        (
            r#"{"my secret is":1,"detail-type":"x"}"#,
            "an object with `detail-type` and 1 more",
        ),
        (
            r#"{"conversation_id":"c","messages":[]}"#,
            "an object with `conversation_id`, `messages`",
        ),
        (r#"{"schema":"other/1"}"#, "an object with `schema`"),
    ] {
        refused(
            event,
            &format!("unknown event shape: found {found}; accepted: {accepted}"),
        );
    }
}

#[test]
fn invalid_fields_are_told_by_path_and_kind() {
    refused(
        r#"{"schema":"llm.capture/2"}"#,
        "invalid `schema`: found another string; accepted: `llm.capture/1`",
    );
    refused(
        r#"{"schema":"llm.capture/1","messages":[]}"#,
        "invalid `conversation_id`: found nothing; accepted: a string that is not empty",
    );
    refused(
        r#"{"schema":"llm.capture/1","conversation_id":"c"}"#,
        "invalid `messages`: found nothing; accepted: an array of messages, or `implementations`",
    );
    refused_field(
        r#""conversation_id":42"#,
        "invalid `conversation_id`: found a number; accepted: a string that is not empty",
    );
    refused_field(
        r#""event_id":"""#,
        "invalid `event_id`: found an empty string; accepted: a string that is not empty",
    );
    refused_field(
        r#""history":"partial""#,
        "invalid `history`: found another string; accepted: `full` or `delta`",
    );
    refused_field(
        r#""occurred_at":"2026-11-23T10:00:00""#,
        "invalid `occurred_at`: found another string; accepted: a time with its zone as in RFC 3339, for example \
         `2026-11-23T10:00:00.123Z`",
    );
    refused_field(
        r#""usage":{"input_tokens":-1}"#,
        "invalid `usage.input_tokens`: found another number; accepted: a whole number from 0 to 2147483647",
    );
    refused_field(
        r#""usage":{"output_tokens":"12"}"#,
        "invalid `usage.output_tokens`: found a string; accepted: a whole number from 0 to 2147483647",
    );
    refused_field(
        r#""context":[]"#,
        "invalid `context`: found an array; accepted: an object",
    );
    refused_field(
        r#""tags":["a",1]"#,
        "invalid `tags[1]`: found a number; accepted: a string",
    );
    refused_field(
        r#""messages":[{"role":"user","parts":[]},{"parts":[]}]"#,
        "invalid `messages[1].role`: found nothing; accepted: a string that is not empty",
    );
    refused_field(
        r#""messages":[{"role":"user","text":"hi"}]"#,
        "invalid `messages[0].parts`: found nothing; accepted: an array of message parts",
    );
    refused_field(
        r#""messages":[{"role":"user","parts":[{"text":"hi"}]}]"#,
        "invalid `messages[0].parts[0]`: found an object without one; accepted: an object with a string `type`",
    );
    refused_field(
        r#""messages":["hi"]"#,
        "invalid `messages[0]`: found a string; accepted: an object",
    );
    refused_field(
        r#""body_ref":{"bucket":"b","key":"k"}"#,
        "invalid `body_ref`: found an object; accepted: `null`, with the `messages` in the event itself: this version \
         fetches none from elsewhere",
    );
    refused(
        r#"[{"user_input":"a"},{"schema":"llm.capture/1","conversation_id":"c","messages":{}}]"#,
        "invalid `[1].messages`: found an object; accepted: an array",
    );
    refused(
        r#"{"user_input":"a","implementations":[1]}"#,
        "invalid `implementations[0]`: found a number; accepted: an object",
    );
}
