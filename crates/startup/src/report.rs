//! How an error is printed where it is handled.

use std::error::Error;

/// Returns an error and all its causes, joined by `: `, on one line.
///
/// Of each cause only the first line is taken: PostgreSQL's `DbError` prints DETAIL and HINT on further lines, and
/// DETAIL quotes rows, which hold conversation text. A cause that repeats the sentence before it is left out.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut sentences: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let sentence = error.to_string();
        let line = sentence.lines().next().unwrap_or_default();
        if sentences.last().is_none_or(|last| !last.ends_with(line)) {
            sentences.push(line.to_owned());
        }
        cause = error.source();
    }
    sentences.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{sentence}")]
    struct Link {
        sentence: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(sentence: &'static str, source: Option<Link>) -> Link {
        Link {
            sentence,
            source: source.map(Box::new),
        }
    }

    #[track_caller]
    fn check(error: &Link, expected: &str) {
        assert_eq!(chain(error), expected);
    }

    #[test]
    fn causes_follow_each_other() {
        check(
            &link("a", Some(link("b", Some(link("c", None))))),
            "a: b: c",
        );
        check(&link("alone", None), "alone");
    }

    #[test]
    fn detail_of_the_server_is_not_printed() {
        check(
            &link(
                "db error",
                Some(link(
                    "ERROR: no\nDETAIL: Failing row contains (private)",
                    None,
                )),
            ),
            "db error: ERROR: no",
        );
    }

    #[test]
    fn a_repeated_sentence_is_printed_once() {
        check(
            &link("connect failed: refused", Some(link("refused", None))),
            "connect failed: refused",
        );
    }
}
