//! Inputs that hold several events: an array, or JSON Lines.

use conversation::{Document, Raw, Sanitized, sanitize};

/// What stands in an input, in its order.
pub(super) struct Part {
    pub(super) text: Vec<u8>,
    /// What had to be repaired in it before the parts could be told apart.
    pub(super) repaired: Sanitized,
}

/// Takes an array or lines apart; `None` for what is one event or none.
///
/// Lines are those of an input that is not JSON as a whole, if the first or the second of them is an object by itself: one
/// broken line does not make another thing of the others.
pub(super) fn split(input: &[u8]) -> Option<Vec<Part>> {
    let clean = sanitize::clean(input);
    if let Ok(document) = Document::read(&clean) {
        let items = document.root().items()?;
        let part = |item: &Raw<'_>| Part {
            text: item.text().into(),
            repaired: clean.repaired_in(item.text()),
        };
        return (!items.is_empty()).then(|| items.iter().map(part).collect());
    }
    let lines = input.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.filter(|line| !line.trim_ascii().is_empty()).collect();
    let is_object = |line: &&[u8]| {
        let clean = sanitize::clean(line);
        Raw::read(clean.text()).is_ok_and(|line| line.entries().is_some())
    };
    (lines.len() > 1 && lines.iter().take(2).any(is_object)).then(|| {
        let part = |line: &[u8]| Part {
            text: line.to_vec(),
            repaired: Sanitized::default(),
        };
        lines.into_iter().map(part).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &[&str]) {
        let parts = split(input.as_bytes()).unwrap_or_default();
        let parts: Vec<_> = parts
            .iter()
            .map(|part| std::str::from_utf8(&part.text).unwrap())
            .collect();
        assert_eq!(parts, expected, "{input}");
    }

    #[test]
    fn an_array_and_lines_are_taken_apart() {
        check(r#"[{"a":1}, 7 ]"#, &[r#"{"a":1}"#, "7"]);
        check("[{}]", &["{}"]);
        check("{\"a\":1}\r\n\n{\"a\":2}\n", &["{\"a\":1}\r", "{\"a\":2}"]);
        check("broken\n{}\n{\"cut", &["broken", "{}", "{\"cut"]);
    }

    #[test]
    fn one_event_is_left_alone() {
        for input in [
            "{\n\"a\": 1\n}",
            "{}\n",
            "[]",
            "no JSON",
            "{\n\"cut\": \n",
            "",
        ] {
            check(input, &[]);
        }
    }
}
