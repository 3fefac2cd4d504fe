//! What the reference function gets from Python: `int()` and `repr()`.

use serde_json::Value;

use crate::DocumentError;

/// `int(text)`: white space around it, a sign, and single underscores between digits are allowed.
pub(crate) fn integer(text: &str) -> Result<i64, DocumentError> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let well_formed = digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    well_formed
        .then(|| trimmed.replace('_', "").parse().ok())
        .flatten()
        .ok_or_else(|| {
            DocumentError::Value(format!(
                "invalid literal for int() with base 10: {}",
                repr(text)
            ))
        })
}

/// `int(value)` of a JSON value; fractions are cut off, `true` is 1.
pub(crate) fn integer_value(value: &Value) -> Result<i64, DocumentError> {
    match value {
        Value::String(text) => integer(text),
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text
                .split_once('.')
                .map_or(text.as_str(), |(whole, _)| whole);
            integer(whole)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(DocumentError::Value(
            "int() argument must be a string or a number".to_owned(),
        )),
    }
}

/// `repr(text)`: in single quotes, or in double quotes if it contains single and no double ones.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => quoted.extend(['\\', quote]),
            _ if character.is_ascii_control() => {
                quoted.extend(format!("\\x{:02x}", u32::from(character)).chars());
            }
            _ => quoted.push(character),
        }
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_takes_what_python_takes() {
        for (text, expected) in [
            ("32", 32),
            (" 32\n", 32),
            ("+7", 7),
            ("-7", -7),
            ("007", 7),
            ("5_432", 5432),
        ] {
            assert_eq!(integer(text), Ok(expected), "{text:?}");
        }
        for text in [
            "", " ", "abc", "3.5", "1__0", "_1", "1_", "+", "0x10", "1e3",
        ] {
            let error = integer(text).unwrap_err();
            assert_eq!(
                error.reference_message(),
                format!("invalid literal for int() with base 10: '{text}'")
            );
            assert_eq!(error.error_type(), "ValueError");
        }
    }

    #[test]
    fn int_of_a_json_value() {
        for (json, expected) in [
            ("5432", 5432),
            ("5432.9", 5432),
            ("\"5432\"", 5432),
            ("true", 1),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(integer_value(&value), Ok(expected), "{json}");
        }
        for json in ["null", "[1]", "{}", "1e300"] {
            let value = serde_json::from_str(json).unwrap();
            assert!(integer_value(&value).is_err(), "{json}");
        }
    }

    #[test]
    fn repr_quotes_as_python_does() {
        for (text, expected) in [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("both ' and \"", "'both \\' and \"'"),
            ("a\\b\n\u{1}", "'a\\\\b\\n\\x01'"),
        ] {
            assert_eq!(repr(text), expected);
        }
    }
}
