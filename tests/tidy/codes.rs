//! The operator's page knows every error code and finding that the rotation function has, and no other.

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

/// Codes that the page explains: the first cell of every row of its part, each with its line.
fn explained(page: &str) -> BTreeMap<&str, usize> {
    let mut within = false;
    let mut found = BTreeMap::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("## ") {
            within = line == PART;
        }
        let cell = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        if let Some(code) = cell.filter(|_| within) {
            found.insert(code, index + 1);
        }
    }
    found
}

fn violations(page: &TextFile, sources: &[Source]) -> Vec<Violation> {
    let explained = explained(&page.text);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

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
