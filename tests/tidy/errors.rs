//! No error is printed without its causes.
//!
//! The rules know errors by the names they are given here, not by their types: that is enough to catch a habit.

use std::collections::BTreeSet;

use crate::source::{Literal, Source, words};
use crate::{Violation, checkout, demand_none};

/// What a caught error is called. A field that holds a text made of one has another name.
const ERRORS: [&str; 9] = [
    "cause", "e", "err", "error", "failure", "refusal", "refused", "source", "trouble",
];

/// Files that turn an error into a text without its causes, each with the reason why none is lost.
const CAUSES_KEPT: &[(&str, &str)] = &[
    (
        "crates/aurora/src/login.rs",
        "its `cause` is the chain of a driver's error, without what may hold data; the other is a name that is none",
    ),
    (
        "crates/capture/src/error.rs",
        "what the sender is told ends with the nearest cause; the log has the whole chain",
    ),
    (
        "crates/capture/src/item.rs",
        "what makes an input unreadable has no causes",
    ),
    (
        "crates/cli/src/access.rs",
        "the operating system's refusal has no causes",
    ),
    (
        "crates/cli/src/function.rs",
        "where a JSON text stops making sense has no causes",
    ),
    (
        "crates/cli/src/commands/exec.rs",
        "the operating system's refusal has no causes",
    ),
    (
        "crates/conversation/src/layout.rs",
        "its `source` is where an event comes from",
    ),
    (
        "crates/startup/src/config.rs",
        "the operating system's refusal has no causes",
    ),
    ("crates/startup/src/report.rs", "it walks the chain"),
];

/// An error that is printed by itself (`%error`, `?error`, `"{error}"`) loses its causes; `startup::report::chain` prints
/// them all, on one line and without what is private.
fn half_printed_errors(source: &Source) -> Vec<Violation> {
    let code = source.code.join("\n");
    let literals = |from: usize, to: usize| {
        let within = move |literal: &&Literal| (from..=to).contains(&literal.line);
        source.literals.iter().filter(within)
    };
    let mut lines = BTreeSet::new();
    for (start, call) in log_calls(&code) {
        let first = line_at(&code, start);
        let last = line_at(&code, start + call.len());
        let bare = words(call)
            .filter(|(place, word)| ERRORS.contains(word) && is_bare(call, *place, word));
        lines.extend(bare.map(|(place, _)| line_at(&code, start + place)));
        let in_text = literals(first, last).filter(|literal| shows_an_error(&literal.text));
        lines.extend(in_text.map(|literal| literal.line));
    }
    let instrumented = source.lines().filter(|(_, code)| {
        code.contains("instrument(") && words(code).any(|(_, word)| word == "err")
    });
    lines.extend(instrumented.map(|(line, _)| line));
    let logged = lines
        .into_iter()
        .filter(|line| !source.is_test(*line))
        .map(|line| {
            Violation::new(
                &source.path,
                line,
                "log the whole chain of causes, not the error by itself",
            )
        });
    logged.chain(causes_in_messages(source)).collect()
}

/// The arguments of every call of a macro that logs, with their places in the code.
fn log_calls(code: &str) -> impl Iterator<Item = (usize, &str)> {
    const MACROS: [&str; 6] = ["debug", "error", "event", "info", "trace", "warn"];
    words(code).filter_map(|(place, word)| {
        let is_macro = MACROS.contains(&word.strip_suffix("_span").unwrap_or(word));
        let start = place + word.len() + 2;
        let call = code
            .get(start..)
            .filter(|_| is_macro && code[..start].ends_with("!("))?;
        let mut depth = 1_usize;
        let end = call.find(|character: char| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        Some((start, &call[..end.unwrap_or(call.len())]))
    })
}

/// Whether a word of a macro's arguments is an error that is printed as it is: neither the name of a field, nor asked for
/// something, nor handed to a function.
fn is_bare(call: &str, place: usize, word: &str) -> bool {
    let before = call[..place].trim_end_matches(['&', '*']);
    let after = call[place + word.len()..].trim_start();
    let names_a_field = after.starts_with('=') && !after.starts_with("==");
    let is_asked =
        after.starts_with('.') && !after.starts_with(".to_string(") || after.starts_with('(');
    let opened = before
        .strip_suffix('(')
        .and_then(|rest| rest.chars().next_back());
    let is_handed_on =
        opened.is_some_and(|character| character.is_alphanumeric() || character == '_');
    !(names_a_field || is_asked || is_handed_on)
}

/// Whether a format string prints a variable that holds an error.
fn shows_an_error(text: &str) -> bool {
    text.split('{').skip(1).any(|hole| {
        let name = hole.split(['}', ':']).next().unwrap_or_default();
        ERRORS.contains(&name)
    })
}

fn line_at(code: &str, place: usize) -> usize {
    code.get(..place).unwrap_or(code).matches('\n').count() + 1
}

/// Messages of error types that print their source: whoever prints the chain would print it twice.
fn causes_in_messages(source: &Source) -> impl Iterator<Item = Violation> {
    let code = |line: usize| {
        source
            .code
            .get(line.wrapping_sub(1))
            .map_or("", String::as_str)
    };
    let message = move |literal: &&Literal| {
        code(literal.line).contains("#[error(")
            || code(literal.line - 1).trim_end().ends_with("#[error(")
    };
    let prints_its_source = move |literal: &&Literal| {
        let unnamed = (literal.line..literal.line + 4)
            .map(code)
            .find(|line| line.contains("(#["))
            .is_some_and(|line| line.contains("#[source]") || line.contains("#[from]"));
        shows_an_error(&literal.text) || unnamed && literal.text.contains("{0")
    };
    source
        .literals
        .iter()
        .filter(message)
        .filter(prints_its_source)
        .map(|literal| {
            Violation::new(
                &source.path,
                literal.line,
                "an error tells its own sentence; its source tells the next",
            )
        })
}

/// `error.to_string()` and `format!("{error}")` in what is deployed: there a text goes into a log or to an operator.
fn texts_without_causes(source: &Source) -> Vec<Violation> {
    let is_deployed = source.crate_name().is_some_and(|name| name != "local");
    if !is_deployed || CAUSES_KEPT.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let rule = "keep the causes: `report::chain` or a `#[source]`; or say in `CAUSES_KEPT` why there are none";
    let violation = |line| Violation::new(&source.path, line, rule);
    printed_errors(source).into_iter().map(violation).collect()
}

/// The lines outside of tests that make a text of an error.
fn printed_errors(source: &Source) -> BTreeSet<usize> {
    let is_printed = |code: &str| {
        words(code).any(|(place, word)| {
            ERRORS.contains(&word) && code[place + word.len()..].starts_with(".to_string(")
        })
    };
    let in_code = source.lines().filter(|(_, code)| is_printed(code));
    let in_text = source
        .literals
        .iter()
        .filter(|literal| shows_an_error(&literal.text));
    let lines = in_code
        .map(|(line, _)| line)
        .chain(in_text.map(|literal| literal.line));
    lines.filter(|line| !source.is_test(*line)).collect()
}

#[test]
fn errors_are_printed_with_their_causes() {
    let sources = checkout::rust_files();
    demand_none(sources.iter().flat_map(half_printed_errors));
    demand_none(sources.iter().flat_map(texts_without_causes));
    for (path, reason) in CAUSES_KEPT {
        let prints = |source: &Source| source.path == *path && !printed_errors(source).is_empty();
        assert!(
            sources.iter().any(prints),
            "it prints none, take it out of `CAUSES_KEPT`: {path} ({reason})"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    fn product(text: &str) -> Source {
        Source::scan("crates/capture/src/lib.rs", text)
    }

    #[test]
    fn an_error_without_its_causes_is_found() {
        let text = r#"
            warn!(error = %err, "x");
            warn!(%error);
            warn!(share = 10 %errors, id = %event_id, source = batch.source());
            error!(error_code = error.code(), error = chain(error), cause = %shown(&cause), "x");
            tracing::error!(
                step,
                error = ?self.source,
                "the step failed: {error}"
            );
            if let Err(e) = done { tracing::debug!("not done: {e:?}"); }
            info!("not done: {}", failure);
            info!(error = error.to_string());
            let span = info_span!("work", error = tracing::field::display(&error), err);
            #[instrument(skip_all, err)]
            println!("from {source}");
        "#;
        demand_lines(
            &half_printed_errors(&product(text)),
            &[2, 3, 8, 9, 11, 12, 13, 14, 15],
        );
    }

    #[test]
    fn a_source_in_the_sentence_of_its_error_is_found() {
        let text = r#"
            #[error("cannot read: {source}")]
            #[error(
                "cannot write: {source}")]
            #[error("unknown source: {name}")]
            #[error("not read: {0}")]
            Read(#[source] io::Error),
            #[error("not a name: {0}")]
            Name(String),
        "#;
        demand_lines(&half_printed_errors(&product(text)), &[2, 4, 6]);
    }

    #[test]
    fn an_error_made_into_a_text_is_found_in_what_is_deployed() {
        let text = "let a = error.to_string();\nformat!(\"no: {refused:#}\");\nname.to_string();\nmap_err(|e| e.to_string());\n#[cfg(test)]\nmod tests {\n  error.to_string();\n}";
        demand_lines(&texts_without_causes(&product(text)), &[1, 2, 4]);
        let local = Source::scan("crates/local/src/lib.rs", text);
        demand_lines(&texts_without_causes(&local), &[]);
    }
}
