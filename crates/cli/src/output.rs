//! What a verb prints: reports on standard output, everything else on standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::failure::Failure;

/// What a verb found or did, for a person and for a program.
pub(crate) trait Report: Serialize {
    /// The lines a person reads.
    fn text(&self) -> String;

    /// The word a program branches on.
    fn outcome(&self) -> &'static str {
        "ok"
    }
}

/// Where reports go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document on one line instead of text.
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Document<'a, T> {
    outcome: &'static str,
    #[serde(flatten)]
    report: &'a T,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: String,
    hint: Option<&'a str>,
}

impl Output {
    /// Prints a report on standard output.
    pub(crate) fn report(self, report: &impl Report) -> io::Result<()> {
        let text = if self.json {
            document(report.outcome(), report)?
        } else {
            report.text()
        };
        write(&text)
    }

    /// Prints a failure: one line and the next step on standard error, and with `--json` a document on standard output.
    pub(crate) fn failure(self, failure: &Failure) {
        say(&format!("turnkeep: {}", failure.message()));
        if let Some(hint) = failure.hint() {
            say(&format!("next: {hint}"));
        }
        self.failure_document(failure);
    }

    /// Prints what `--json` promises of a failure, where it was asked for.
    pub(crate) fn failure_document(self, failure: &Failure) {
        if self.json {
            let fields = ErrorFields {
                code: failure.code(),
                message: failure.message(),
                hint: failure.hint(),
            };
            // What cannot be written, the exit code still says.
            let _ = document("failed", &ErrorDocument { error: fields })
                .map_err(io::Error::from)
                .and_then(|text| write(&text));
        }
    }
}

/// Prints a line on standard error; nobody reading it is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(line));
}

/// Returns rows of a name and a value with the values in one column.
pub(crate) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let value = printable(value);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:width$}  {value}");
    }
    text
}

/// Returns text without the control characters with which a value or a log line could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect()
}

pub(crate) fn document(
    outcome: &'static str,
    report: &impl Serialize,
) -> serde_json::Result<String> {
    Ok(serde_json::to_string(&Document { outcome, report })? + "\n")
}

/// Writes to standard output; a reader that has read enough is no failure.
fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column_and_cannot_steer_a_terminal() {
        let rows = [
            ("host", "db".to_owned()),
            ("username", "a\u{1b}[2Jb\nc".to_owned()),
        ];
        insta::assert_snapshot!(table(&rows), @r"
        host      db
        username  a�[2Jb�c
        ");
    }

    #[test]
    fn a_document_is_one_line_that_starts_with_its_outcome() {
        #[derive(Serialize)]
        struct Found {
            host: &'static str,
        }
        assert_eq!(
            document("ok", &Found { host: "a\nb" }).unwrap(),
            "{\"outcome\":\"ok\",\"host\":\"a\\nb\"}\n"
        );
    }
}
