//! OTLP in JSON: what its batches hold, and its way of writing values.

use std::borrow::Cow;

use super::has_ours;
use crate::adapt::envelope::Extra;
use crate::adapt::{AdaptError, EXTRA_DEPTH, Fields};
use crate::json::{Json, Kind, Raw};

/// A batch's key, the key of what one scope sent, and the key of its records.
pub(super) const BATCHES: [(&str, &str, &str); 2] = [
    ("resourceSpans", "scopeSpans", "spans"),
    ("resourceLogs", "scopeLogs", "logRecords"),
];

/// The records of a batch that are of the GenAI conventions, each with what it shares with others. A batch holds all that a
/// program did; what else is in it was said by nobody.
pub(super) fn records(mut event: Fields<'_>) -> Result<Vec<(Fields<'_>, Extra)>, AdaptError> {
    let mut records = Vec::new();
    for (resources, scopes, items) in BATCHES {
        for (path, raw) in event.items(resources)?.unwrap_or_default() {
            let mut resource = Fields::read(&path, raw)?;
            let scoped = resource.items(scopes)?.unwrap_or_default();
            let about = described(resource, "resource", resources)?;
            for (path, raw) in scoped {
                let mut scope = Fields::read(&path, raw)?;
                let told = scope.items(items)?.unwrap_or_default();
                let by = described(scope, "scope", scopes)?;
                for (path, raw) in told {
                    if raw.get("attributes").is_some_and(has_ours) {
                        let shared: Extra = about.iter().chain(&by).cloned().collect();
                        records.push((Fields::read(&path, raw)?, shared));
                    }
                }
            }
        }
    }
    if records.is_empty() {
        return Err(AdaptError::Invalid {
            field: event.path_of("resourceSpans"),
            found: "no record with `gen_ai.*` attributes",
            accepted: "spans or log records of OpenTelemetry's GenAI conventions, at least one",
        });
    }
    // What the sender put beside the batches belongs to each.
    let beside = event.told_rest(EXTRA_DEPTH)?;
    for (_, shared) in &mut records {
        shared.extend(beside.iter().cloned());
    }
    Ok(records)
}

/// Resource or scope, with its attributes as an object; and under the name of their `list` what else stands beside it, such as
/// the `schemaUrl`.
fn described(mut fields: Fields<'_>, key: &str, list: &str) -> Result<Extra, AdaptError> {
    let mut extra = Extra::new();
    if let Some(mut about) = fields.fields_or_leave(key)? {
        let mut all = match about.raw("attributes") {
            Some(raw) if raw.kind() == Kind::Array => {
                let text = plain(&raw);
                Fields::read(key, Raw::read(&text)?)?.rest(EXTRA_DEPTH - 1)?
            }
            Some(raw) => vec![("attributes".to_owned(), Json::keep(&raw, EXTRA_DEPTH - 1)?)],
            None => Vec::new(),
        };
        all.extend(about.told_rest(EXTRA_DEPTH - 1)?);
        if !all.is_empty() {
            extra.push((key.to_owned(), Json::Object(all)));
        }
    }
    let beside = fields.told_rest(EXTRA_DEPTH - 1)?;
    if !beside.is_empty() {
        extra.push((list.to_owned(), Json::Object(beside)));
    }
    Ok(extra)
}

/// A list of keys and values as the text of the object that it stands for.
pub(super) fn plain(attributes: &Raw<'_>) -> String {
    let mut out = String::with_capacity(attributes.text().len());
    object(attributes.items().unwrap_or_default(), &mut out);
    out
}

fn object(items: &[Raw<'_>], out: &mut String) {
    out.push('{');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let key = item.get("key").filter(|key| key.kind() == Kind::String);
        let is_pair = item.entries().is_some_and(|entries| entries.len() <= 2);
        match (key, item.get("value")) {
            (Some(key), Some(told)) if is_pair => {
                out.push_str(key.text());
                out.push(':');
                value(told, out);
            }
            // Nobody knows what it is; it is kept all the same.
            _ => {
                out.push_str("\"\":");
                out.push_str(item.text());
            }
        }
    }
    out.push('}');
}

/// A value in its wrapper, which says its type.
fn value(raw: &Raw<'_>, out: &mut String) {
    let mut told = raw
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|(_, value)| value.kind() != Kind::Null);
    let (Some((kind, inner)), None) = (told.next(), told.next()) else {
        out.push_str(if raw.text() == "{}" {
            "null"
        } else {
            raw.text()
        });
        return;
    };
    let values = inner.get("values").and_then(Raw::items);
    match (kind.as_ref(), values) {
        ("intValue", _) => out.push_str(&number(inner)),
        ("stringValue" | "boolValue" | "doubleValue" | "bytesValue", _) => {
            out.push_str(inner.text());
        }
        ("arrayValue", Some(items)) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                value(item, out);
            }
            out.push(']');
        }
        ("kvlistValue", Some(items)) => object(items, out),
        _ => out.push_str(raw.text()),
    }
}

/// A whole number, which comes as a string, since JavaScript could not hold it.
fn number<'a>(raw: &Raw<'a>) -> Cow<'a, str> {
    match raw.string() {
        Some(text)
            if text
                .parse::<i64>()
                .is_ok_and(|number| number.to_string() == text) =>
        {
            Cow::Owned(text)
        }
        _ => Cow::Borrowed(raw.text()),
    }
}
