//! Items of a DynamoDB table as plain JSON.

use conversation::Raw;

/// Where an item may have the event, if it is not the event itself: as a map, or as a text in JSON.
const EVENT: &str = "event";

/// The event that an item is or has; `None` for what is no item.
///
/// A table that holds more than events, such as an outbox, puts the event beside its keys.
pub(super) fn event(item: &Raw<'_>) -> Option<String> {
    let attribute = item.get(EVENT).and_then(|event| event.entries()?.first());
    match attribute {
        Some((kind, text)) if kind == "S" => text.string(),
        Some((kind, map)) if kind == "M" => plain_map(map),
        _ => plain_map(item),
    }
}

/// A map of attributes as an object.
fn plain_map(map: &Raw<'_>) -> Option<String> {
    let mut out = String::new();
    write_map(map, &mut out)?;
    Some(out)
}

fn write_map(map: &Raw<'_>, out: &mut String) -> Option<()> {
    out.push('{');
    for (position, (name, attribute)) in map.entries()?.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(name).ok()?);
        out.push(':');
        write(attribute, out)?;
    }
    out.push('}');
    Some(())
}

/// Writes what an attribute says. Its depth is bounded by that of what was read.
fn write(attribute: &Raw<'_>, out: &mut String) -> Option<()> {
    let [(kind, value)] = attribute.entries()? else {
        return None;
    };
    match kind.as_ref() {
        "M" => return write_map(value, out),
        "L" => return write_list(value, out, write),
        "NS" => return write_list(value, out, number),
        "N" => return number(value, out),
        "NULL" => out.push_str("null"),
        // A binary value stays in Base64.
        "S" | "B" | "BOOL" | "SS" | "BS" => out.push_str(value.text()),
        _ => return None,
    }
    Some(())
}

fn write_list(
    list: &Raw<'_>,
    out: &mut String,
    item: fn(&Raw<'_>, &mut String) -> Option<()>,
) -> Option<()> {
    out.push('[');
    for (position, value) in list.items()?.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        item(value, out)?;
    }
    out.push(']');
    Some(())
}

/// A number, which DynamoDB writes as a text so that no digit is lost.
fn number(value: &Raw<'_>, out: &mut String) -> Option<()> {
    let digits = value.string()?;
    let is_json = digits.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && Raw::read(&digits).is_ok();
    out.push_str(if is_json { &digits } else { value.text() });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(item: &str, expected: &str) {
        assert_eq!(
            event(&Raw::read(item).unwrap()).as_deref(),
            Some(expected),
            "{item}"
        );
    }

    #[test]
    fn attributes_say_what_they_say_in_json() {
        check(
            r#"{"s":{"S":"a \"b\" é"},"n":{"N":"12345678901234567890123456789012345678"},"d":{"N":"-1.50"},"t":{"BOOL":true},
                "z":{"NULL":true},"b":{"B":"AAE="}}"#,
            r#"{"s":"a \"b\" é","n":12345678901234567890123456789012345678,"d":-1.50,"t":true,"z":null,"b":"AAE="}"#,
        );
        check(
            r#"{"m":{"M":{"l":{"L":[{"S":"x"},{"M":{}},{"L":[]}]}}},"ss":{"SS":["a","b"]},"ns":{"NS":["1","2"]},"bs":{"BS":["AA=="]}}"#,
            r#"{"m":{"l":["x",{},[]]},"ss":["a","b"],"ns":[1,2],"bs":["AA=="]}"#,
        );
        check(
            r#"{"n":{"N":"Infinity"},"a\"":{"S":""}}"#,
            r#"{"n":"Infinity","a\"":""}"#,
        );
        check("{}", "{}");
    }

    #[test]
    fn an_item_may_have_the_event_beside_its_keys() {
        check(
            r#"{"pk":{"S":"c-1"},"event":{"S":"{\"user_input\":\"q\"}"}}"#,
            r#"{"user_input":"q"}"#,
        );
        check(
            r#"{"pk":{"S":"c-1"},"event":{"M":{"user_input":{"S":"q"}}}}"#,
            r#"{"user_input":"q"}"#,
        );
        check(r#"{"event":{"N":"7"}}"#, r#"{"event":7}"#);
    }

    #[test]
    fn what_is_no_item_is_no_event() {
        for item in [
            "[]",
            r#"{"a":1}"#,
            r#"{"a":{"S":"x","N":"1"}}"#,
            r#"{"a":{"X":1}}"#,
            r#"{"a":{"N":1}}"#,
        ] {
            assert_eq!(event(&Raw::read(item).unwrap()), None, "{item}");
        }
    }
}
