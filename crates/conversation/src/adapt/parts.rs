//! Message parts from content that is not in the canonical shape.

use super::AdaptError;
use crate::capture::Part;
use crate::json::{Json, MAX_DEPTH, Raw};

/// What a client has at hand: a text, or content parts in the manner of its provider. An empty one says nothing.
pub(super) fn of_client(raw: &Raw<'_>) -> Result<Vec<Part>, AdaptError> {
    // One level is left for a part made around a value.
    Ok(match Json::keep(raw, MAX_DEPTH - 1)? {
        Json::Null => Vec::new(),
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::Array(items) => items.into_iter().map(part).collect(),
        empty if empty.is_empty() => Vec::new(),
        other => vec![part(other)],
    })
}

/// One part of it.
pub(super) fn part(json: Json) -> Part {
    match json {
        Json::String(text) => Part::text(text),
        Json::Number(number) => Part::text(number),
        Json::Object(entries) => text_part(entries),
        other => Part::of_value(other),
    }
}

/// A part that names its text `text`, as `OpenAI`, Anthropic and Bedrock do; any other object is kept as it is.
fn text_part(mut entries: Vec<(String, Json)>) -> Part {
    let position = |name: &str| entries.iter().rposition(|(key, _)| key == name);
    let (kind, text, content) = (position("type"), position("text"), position("content"));
    let is_text = match kind.and_then(|kind| entries.get(kind)) {
        None => true,
        Some((_, kind)) => kind.as_str() == Some("text"),
    };
    if is_text
        && content.is_none()
        && let Some((key, Json::String(_))) = text.and_then(|text| entries.get_mut(text))
    {
        "content".clone_into(key);
        if kind.is_none() {
            entries.insert(0, ("type".to_owned(), Json::from("text")));
        }
    }
    Part::from_json(Json::Object(entries)).unwrap_or_else(Part::of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: &str) {
        let parts = of_client(&Raw::read(content).expect("JSON")).expect("parts");
        assert_eq!(Part::array(&parts).to_string(), expected);
    }

    #[test]
    fn content_of_every_provider_becomes_parts() {
        check(r#""hi""#, r#"[{"type":"text","content":"hi"}]"#);
        check("42", r#"[{"type":"text","content":"42"}]"#);
        check(
            r#"["a","b"]"#,
            r#"[{"type":"text","content":"a"},{"type":"text","content":"b"}]"#,
        );
        check(
            r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]"#,
            r#"[{"type":"text","content":"a","cache_control":{"type":"ephemeral"}}]"#,
        );
        check(r#"[{"text":"a"}]"#, r#"[{"type":"text","content":"a"}]"#);
        check(
            r#"[{"type":"image_url","image_url":{"url":"u"}}]"#,
            r#"[{"type":"image_url","image_url":{"url":"u"}}]"#,
        );
        check(
            r#"[{"type":"text","text":"a","content":"b"}]"#,
            r#"[{"type":"text","text":"a","content":"b"}]"#,
        );
        check(
            r#"[{"toolUse":{"name":"f"}}]"#,
            r#"[{"type":"value","value":{"toolUse":{"name":"f"}}}]"#,
        );
        check(
            r#"[["a"],true]"#,
            r#"[{"type":"value","value":["a"]},{"type":"value","value":true}]"#,
        );
        check(r#"{"type":1}"#, r#"[{"type":"value","value":{"type":1}}]"#);
    }

    #[test]
    fn empty_content_says_nothing() {
        for empty in [r#""""#, "[]", "{}", "null"] {
            check(empty, "[]");
        }
    }
}
