//! The words of a message as one text, for people, for search and for readers of the original's `content` column.

use std::borrow::Cow;

use crate::capture::Part;
use crate::json::Json;

/// How many bytes of a message's words go into `content`: 1 MiB. The object in S3 and `parts` keep all of them.
pub const CONTENT_MAX_BYTES: usize = 1024 * 1024;

/// The words of `parts`, a line break between parts, and whether they had to be cut.
///
/// Words are: the content of `text` and `compaction` parts, the transcript of a `blob`, name and arguments of a tool
/// call, the response of a tool, and the `content` of a part of unknown type. Reasoning was said to nobody and is left
/// out; so are media, which are not words.
///
/// Borrowed from a part that alone has words, as nearly every message's: they are most of what a batch holds.
pub(crate) fn flatten(parts: &[Part]) -> (Cow<'_, str>, bool) {
    let mut content = Cow::Borrowed("");
    for words in parts.iter().filter_map(words) {
        if content.is_empty() {
            content = words;
        } else {
            let content = content.to_mut();
            content.push('\n');
            content.push_str(&words);
        }
        if content.len() > CONTENT_MAX_BYTES {
            let end = content.floor_char_boundary(CONTENT_MAX_BYTES);
            match &mut content {
                Cow::Borrowed(content) => *content = content.get(..end).unwrap_or_default(),
                Cow::Owned(content) => content.truncate(end),
            }
            return (content, true);
        }
    }
    (content, false)
}

fn words(part: &Part) -> Option<Cow<'_, str>> {
    let part_json = part.json();
    let words = match part.kind() {
        "reasoning" | "file" | "uri" => return None,
        "blob" => Cow::Borrowed(part_json.get("transcript")?.as_str()?),
        "tool_call" => call(part_json.get("name"), part_json.get("arguments")),
        "server_tool_call" => call(part_json.get("name"), part_json.get("server_tool_call")),
        // The documentation of OpenTelemetry writes `result` where its schema says `response`.
        "tool_call_response" => text(
            part_json
                .get("response")
                .or_else(|| part_json.get("result"))?,
        ),
        "server_tool_call_response" => text(part_json.get("server_tool_call_response")?),
        // Some clients name it as their provider does.
        _ => text(part_json.get("content").or_else(|| part_json.get("text"))?),
    };
    (!words.is_empty()).then_some(words)
}

fn call<'a>(name: Option<&'a Json>, arguments: Option<&'a Json>) -> Cow<'a, str> {
    let name = name.map(text).unwrap_or_default();
    match arguments.map(text) {
        Some(arguments) if !arguments.is_empty() => Cow::Owned(format!("{name} {arguments}")),
        _ => name,
    }
}

fn text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        Json::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{MAX_DEPTH, Raw};

    fn part(json: &str) -> Part {
        let raw = Raw::read(json).expect("JSON");
        Part::from_json(Json::keep(&raw, MAX_DEPTH).expect("a value")).expect("a part")
    }

    #[track_caller]
    fn check(parts: &[&str], expected: &str) {
        let parts: Vec<_> = parts.iter().map(|json| part(json)).collect();
        assert_eq!(flatten(&parts), (Cow::Borrowed(expected), false));
    }

    #[test]
    fn words_of_every_kind_of_part() {
        check(&[], "");
        check(
            &[
                r#"{"type":"text","content":"a"}"#,
                r#"{"type":"text","content":"b"}"#,
            ],
            "a\nb",
        );
        check(
            &[
                r#"{"type":"reasoning","content":"hm"}"#,
                r#"{"type":"text","content":"b"}"#,
            ],
            "b",
        );
        check(
            &[r#"{"type":"tool_call","id":"t","name":"get","arguments":{"k":1}}"#],
            r#"get {"k":1}"#,
        );
        check(&[r#"{"type":"tool_call","name":"now"}"#], "now");
        check(
            &[r#"{"type":"tool_call_response","id":"t","response":"sunny"}"#],
            "sunny",
        );
        check(
            &[r#"{"type":"tool_call_response","id":"t","result":{"c":21}}"#],
            r#"{"c":21}"#,
        );
        check(
            &[r#"{"type":"server_tool_call","name":"search","server_tool_call":{"type":"web"}}"#],
            r#"search {"type":"web"}"#,
        );
        check(
            &[r#"{"type":"blob","modality":"audio","content":"AAAA","transcript":"olá"}"#],
            "olá",
        );
        check(
            &[r#"{"type":"blob","modality":"image","content":"AAAA"}"#],
            "",
        );
        check(
            &[r#"{"type":"uri","modality":"image","uri":"s3://b/k"}"#],
            "",
        );
        check(&[r#"{"type":"compaction","content":"so far"}"#], "so far");
        check(
            &[
                r#"{"type":"refusal","content":"no"}"#,
                r#"{"type":"citation","url":"u"}"#,
            ],
            "no",
        );
    }

    #[test]
    fn long_content_is_cut_between_characters_and_marked() {
        let long = Part::text("é".repeat(CONTENT_MAX_BYTES));
        let parts = [Part::text("x".to_owned()), long];
        let (content, truncated) = flatten(&parts);
        assert!(truncated);
        assert_eq!(content.len(), CONTENT_MAX_BYTES);
        let fits = Part::text("e".repeat(CONTENT_MAX_BYTES));
        let fits = [fits];
        let (content, truncated) = flatten(&fits);
        assert_eq!((content.len(), truncated), (CONTENT_MAX_BYTES, false));
        let long = [Part::text("é".repeat(CONTENT_MAX_BYTES))];
        let (content, truncated) = flatten(&long);
        assert_eq!((content.len(), truncated), (CONTENT_MAX_BYTES, true));
    }

    #[test]
    fn the_words_of_one_part_are_not_copied() {
        let parts = [
            part(r#"{"type":"reasoning","content":"hm"}"#),
            part(r#"{"type":"text","content":"b"}"#),
        ];
        assert!(matches!(flatten(&parts), (Cow::Borrowed("b"), false)));
    }
}
