//! What the pages say of the checkout is so: the tests and the verbs that they name exist.

use std::collections::BTreeSet;

use crate::checkout::{self, TextFile, has_extension};
use crate::source::Source;
use crate::{Violation, demand_none};

/// Pages in which a name in backticks that reads like a test's is one.
const NAME_TESTS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// The page with the table of invariants, each of which names what keeps it.
const INVARIANTS: &str = "ARCHITECTURE.md";

/// Every function of the sources, tests among them, with the path of its file below `tests/e2e` before it as the test
/// runner has it: `store::order::a_hundred_orders_give_the_same_rows`.
fn functions(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources {
        let module = source
            .path
            .strip_prefix("tests/e2e/")
            .and_then(|path| path.strip_suffix(".rs"))
            .map_or(String::new(), |path| path.replace('/', "::") + "::");
        for (_, code) in source.lines() {
            let names = code.split("fn ").skip(1);
            found.extend(names.map(|rest| format!("{module}{}", word(rest))));
        }
    }
    found
}

fn word(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The texts in backticks of a line.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a text is a sentence in snake case, as the house names its tests.
fn reads_like_a_test(text: &str) -> bool {
    text.matches('_').count() >= 2
        && text.chars().all(|character| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_'
        })
}

fn is_function(name: &str, functions: &BTreeSet<String>) -> bool {
    functions
        .iter()
        .any(|known| known == name || known.ends_with(&format!("::{name}")))
}

/// Tests that a page names and that are gone.
fn unknown_tests(page: &TextFile, functions: &BTreeSet<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        let named = code_spans(line).filter(|text| reads_like_a_test(text));
        for name in named.filter(|name| !is_function(name, functions)) {
            let rule = format!("there is no such test: {name}");
            violations.push(Violation::new(&page.path, index + 1, rule));
        }
    }
    violations
}

/// Invariants whose row names neither a test nor a file that keeps them.
fn unkept_invariants(
    page: &TextFile,
    functions: &BTreeSet<String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let rows = page.text.lines().enumerate().filter_map(|(index, line)| {
        let (_, kept_by) = line.strip_prefix("| **")?.split_once(" | ")?;
        Some((index + 1, kept_by))
    });
    rows.filter(|(_, kept_by)| {
        !code_spans(kept_by).any(|text| is_function(text, functions) || exists(text))
    })
    .map(|(line, _)| Violation::new(&page.path, line, "name the test that keeps this invariant"))
    .collect()
}

/// Commands of a page: what stands in backticks, and the lines of a code block.
fn commands(page: &TextFile) -> Vec<(usize, &str)> {
    let mut is_block = false;
    let mut found = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            found.push((index + 1, line));
        } else {
            found.extend(code_spans(line).map(|span| (index + 1, span)));
        }
    }
    found
}

/// `make VERB` in a page for which the Makefile has no rule, and `test(NAME)` in its `TESTS` that no test is called by.
fn unknown_verbs(page: &TextFile, makefile: &str, functions: &BTreeSet<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (line, command) in commands(page) {
        let Some((_, arguments)) = command.split_once("make ") else {
            continue;
        };
        let verb = arguments
            .split_whitespace()
            .find(|argument| !argument.starts_with('-') && !argument.contains('='));
        let verb = verb.map_or("", |verb| {
            verb.trim_matches(|character: char| !character.is_ascii_lowercase())
        });
        if !verb.is_empty()
            && !makefile
                .lines()
                .any(|rule| rule.starts_with(&format!("{verb}:")))
        {
            let rule = format!("the Makefile has no verb `{verb}`");
            violations.push(Violation::new(&page.path, line, rule));
        }
        let filters = command
            .split("test(")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        for (filter, _) in filters {
            if !functions.iter().any(|name| name.contains(filter)) {
                let rule = format!("no test has this in its name: {filter}");
                violations.push(Violation::new(&page.path, line, rule));
            }
        }
    }
    violations
}

fn pages() -> impl Iterator<Item = TextFile> {
    checkout::text_files()
        .into_iter()
        .filter(|file| has_extension(&file.path, "md"))
}

#[test]
fn every_test_that_a_page_names_exists() {
    let functions = functions(&checkout::rust_files());
    let pages: Vec<_> = pages()
        .filter(|page| NAME_TESTS.contains(&page.path.as_str()))
        .collect();
    assert_eq!(pages.len(), NAME_TESTS.len(), "a page of the list is gone");
    demand_none(
        pages
            .iter()
            .flat_map(|page| unknown_tests(page, &functions)),
    );
}

#[test]
fn every_invariant_names_what_keeps_it() {
    let page = TextFile {
        path: INVARIANTS.to_owned(),
        text: checkout::read(INVARIANTS),
    };
    let root = checkout::root();
    let functions = functions(&checkout::rust_files());
    assert!(
        page.text.contains("\n| **"),
        "no invariants in {INVARIANTS}"
    );
    demand_none(unkept_invariants(&page, &functions, |path| {
        root.join(path).is_file()
    }));
}

#[test]
fn every_command_that_a_page_names_exists() {
    let makefile = checkout::read("Makefile");
    let functions = functions(&checkout::rust_files());
    demand_none(pages().flat_map(|page| unknown_verbs(&page, &makefile, &functions)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    fn page(text: &str) -> TextFile {
        TextFile {
            path: "PAGE.md".to_owned(),
            text: text.to_owned(),
        }
    }

    fn known() -> BTreeSet<String> {
        let text =
            "async fn an_event_is_kept() {}\nproptest! { fn a_key_is_short(key in id()) {} }";
        functions(&[Source::scan("tests/e2e/store/order.rs", text)])
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        let text = "`an_event_is_kept` and `a_key_is_short`\n`an_event_was_kept`\n`snake_case`, `Not_A_Test`, a_bare_name";
        demand_lines(&unknown_tests(&page(text), &known()), &[2]);
    }

    #[test]
    fn an_invariant_that_nothing_keeps_is_found() {
        let text = "| invariant | kept by |\n| **One.** `a_key_is_short` | care |\n| **Two** | `an_event_is_kept` |\n| **Three** | `deny.toml` |\n| **Four** | `gone.toml` |";
        let exists = |path: &str| path == "deny.toml";
        demand_lines(&unkept_invariants(&page(text), &known(), exists), &[2, 5]);
    }

    #[test]
    fn a_verb_or_a_filter_that_is_gone_is_found() {
        let makefile = "test: tools\n\ttrue\ne2e:\n";
        let text = "`make test`, `make e2e TESTS='test(order::an_event)'`\nto make sure, `make tests`\n```console\n$ make -s e2e   # make it so\n$ make deploy\n```\n`make e2e TESTS='test(event) or test(orders)'`";
        demand_lines(&unknown_verbs(&page(text), makefile, &known()), &[2, 5, 7]);
    }
}
