//! The operator's pages know every error code, finding and metric that the functions have, and no other.

use std::collections::BTreeMap;

use crate::checkout::{self, TextFile};
use crate::source::{Literal, Source};
use crate::{Violation, demand_none};

/// The page, and its part with the tables of codes.
const PAGE: &str = "docs/rotation.md";
const PART: &str = "## Error codes";

/// Where codes are given: their errors reach the caller of the function.
const GIVES_CODES: [&str; 4] = [
    "crates/rotation/src/",
    "crates/aurora/src/",
    "crates/secrets/src/password/",
    "crates/store/src/migrate/",
];

/// The page of the capture function, and its parts with the tables of codes and of metrics.
const CAPTURE_PAGE: &str = "docs/capture.md";
const METRICS: &str = "## Metrics and log lines";

/// Where the capture function's codes are given, and where its metrics are.
const CAPTURE_CODES: &str = "crates/capture/src/error.rs";
const CAPTURE_METRICS: &str = "crates/capture/src/report.rs";

/// Names in capitals that are none.
const NO_CODES: [&str; 1] = ["OUT_DIR"];

/// Names that are AWS's own.
const AWS: &str = "crates/secrets/src/error.rs";

/// Whether a text is a name in capitals; a single word is one only where codes are given.
fn is_code(text: &str, words: usize) -> bool {
    let parts: Vec<_> = text.split('_').collect();
    let capitals = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|character| character.is_ascii_uppercase() || character.is_ascii_digit())
    };
    parts.len() >= words
        && parts.iter().all(capitals)
        && text.starts_with(|first: char| first.is_ascii_uppercase())
}

/// The lines of every `fn code`, each up to the end of its body.
fn in_code_functions(source: &Source, line: usize) -> bool {
    let mut within = false;
    for (number, code) in source.lines() {
        within |= code.contains("fn code(");
        if number == line {
            return within;
        }
        within &= code != "    }";
    }
    false
}

/// Codes that a file gives, each with its line.
fn given(source: &Source) -> Vec<(&str, usize)> {
    if !GIVES_CODES.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let is_given = |literal: &&Literal| {
        let words = if in_code_functions(source, literal.line) {
            1
        } else {
            2
        };
        !source.is_test(literal.line)
            && is_code(&literal.text, words)
            && !NO_CODES.contains(&literal.text.as_str())
    };
    let literals = source.literals.iter().filter(is_given);
    literals
        .map(|literal| (literal.text.as_str(), literal.line))
        .collect()
}

/// Names that a part of a page explains: the first cell of every row, each with its line.
fn explained<'a>(page: &'a str, part: &str) -> BTreeMap<&'a str, usize> {
    let mut within = false;
    let mut found = BTreeMap::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("## ") {
            within = line == part;
        }
        let cell = line.strip_prefix("| `").filter(|_| within);
        let cell = cell.and_then(|rest| rest.split(" |").next());
        for name in cell.into_iter().flat_map(|cell| cell.split("`, `")) {
            found.insert(name.trim_end_matches('`'), index + 1);
        }
    }
    found
}

/// Names that `source` gives and `part` does not explain, and the other way round.
fn unequal(
    page: &TextFile,
    part: &str,
    source: &Source,
    is_name: fn(&str) -> bool,
) -> Vec<Violation> {
    let explained = explained(&page.text, part);
    let literals = source.literals.iter();
    let given = literals.filter(|literal| !source.is_test(literal.line) && is_name(&literal.text));
    let given: BTreeMap<&str, usize> = given
        .map(|literal| (literal.text.as_str(), literal.line))
        .collect();
    let missing = given
        .iter()
        .filter(|(name, _)| !explained.contains_key(*name));
    let missing = missing.map(|(name, line)| {
        let rule = format!("say in {} what `{name}` means", page.path);
        Violation::new(&source.path, *line, rule)
    });
    let gone = explained
        .iter()
        .filter(|(name, _)| !given.contains_key(*name));
    let gone = gone.map(|(name, line)| {
        let rule = format!("nothing in {} gives `{name}`", source.path);
        Violation::new(&page.path, *line, rule)
    });
    missing.chain(gone).collect()
}

fn is_capture_code(text: &str) -> bool {
    text.starts_with("Capture.")
}

/// The names of the embedded metric format, and no word of the log.
fn is_metric(text: &str) -> bool {
    let letters = text
        .chars()
        .all(|character| character.is_ascii_alphanumeric());
    letters && text.starts_with(|first: char| first.is_ascii_uppercase())
}

fn violations(page: &TextFile, sources: &[Source]) -> Vec<Violation> {
    let explained = explained(&page.text, PART);
    let mut known = Vec::new();
    let mut violations = Vec::new();
    for source in sources {
        for (code, line) in given(source) {
            known.push(code);
            if !explained.contains_key(code) {
                let rule = format!("say in {PAGE} what `{code}` means and what to do about it");
                violations.push(Violation::new(&source.path, line, rule));
            }
        }
        if source.path == AWS {
            known.extend(source.literals.iter().map(|literal| literal.text.as_str()));
        }
    }
    for (code, line) in explained {
        if !known.contains(&code) {
            let rule = format!("nothing gives this code any more: `{code}`");
            violations.push(Violation::new(&page.path, line, rule));
        }
    }
    violations
}

#[test]
fn every_code_is_explained_to_the_operator() {
    let page = TextFile {
        path: PAGE.to_owned(),
        text: checkout::read(PAGE),
    };
    assert!(page.text.contains(PART), "no part {PART:?} in {PAGE}");
    demand_none(violations(&page, &checkout::rust_files()));
}

#[test]
fn every_code_and_metric_of_captures_is_explained() {
    let page = TextFile {
        path: CAPTURE_PAGE.to_owned(),
        text: checkout::read(CAPTURE_PAGE),
    };
    let codes = Source::scan(CAPTURE_CODES, &checkout::read(CAPTURE_CODES));
    let metrics = Source::scan(CAPTURE_METRICS, &checkout::read(CAPTURE_METRICS));
    let mut violations = unequal(&page, PART, &codes, is_capture_code);
    violations.extend(unequal(&page, METRICS, &metrics, is_metric));
    demand_none(violations);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    #[test]
    fn a_metric_without_a_row_and_a_row_without_a_metric_are_found() {
        let text =
            "metrics.count(\"Stored\", 1);\nmetrics.count(\"Lost\", 1);\nline = \"not one\";";
        let page = TextFile {
            path: CAPTURE_PAGE.to_owned(),
            text: format!("{METRICS}\n| `Stored`, `Gone` | x |\n## Else\n| `Other` | x |"),
        };
        let source = Source::scan(CAPTURE_METRICS, text);
        demand_lines(&unequal(&page, METRICS, &source, is_metric), &[2, 2]);
    }

    #[test]
    fn a_code_without_a_row_and_a_row_without_a_code_are_found() {
        let text = "\
pub fn code(&self) -> &str {
        match self {
            Self::A => \"EXPLAINED\",
            Self::B => \"NOT_EXPLAINED\",
        }
    }
fn other() {
    let label = \"AWSCURRENT\";
    finding(\"ALSO_MISSING\");
}
#[cfg(test)]
mod tests {
    const X: &str = \"ONLY_TESTED\";
}";
        let errors = "match code { \"ResourceNotFoundException\" => x }";
        let sources = [
            Source::scan("crates/rotation/src/error.rs", text),
            Source::scan("crates/capture/src/error.rs", text),
            Source::scan(AWS, errors),
        ];
        let page = "| `EXPLAINED_ELSEWHERE` |\n## Error codes\n| `EXPLAINED` | x |\n| `ResourceNotFoundException` | x |\n| `GONE` | x |\n## More\n| `DB_HOST` | x |";
        let page = TextFile {
            path: PAGE.to_owned(),
            text: page.to_owned(),
        };
        demand_lines(&violations(&page, &sources), &[4, 9, 5]);
    }
}
