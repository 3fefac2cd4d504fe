//! The rules of the house that neither the compiler nor clippy knows, as tests over the files of the checkout.
//!
//! A rule is a function from a file (or from the workspace's crates) to its [`Violation`]s. It has two tests: one holds it
//! against the checkout, the other against a fixture that breaks it, so that a rule which finds nothing any more is noticed.
//! Nothing here starts a server or changes a file.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what only tests call"
)]

mod checkout;
mod codes;
mod crates;
mod errors;
mod habits;
mod names;
mod papers;
mod pure;
mod source;
mod statements;

use std::fmt;

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// Path from the root of the checkout.
    file: String,
    /// Counted from 1.
    line: usize,
    /// What the rule asks for.
    rule: String,
}

impl Violation {
    fn new(file: &str, line: usize, rule: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// Fails the test with every violation on a line of its own.
#[track_caller]
fn demand_none(violations: impl IntoIterator<Item = Violation>) {
    let lines: Vec<_> = violations
        .into_iter()
        .map(|violation| violation.to_string())
        .collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Checks a rule against a fixture: the lines on which it must find something, and no others.
#[track_caller]
fn demand_lines(violations: &[Violation], lines: &[usize]) {
    let found: Vec<_> = violations.iter().map(|violation| violation.line).collect();
    assert_eq!(found, lines, "{violations:#?}");
}
