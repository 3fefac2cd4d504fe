//! Names that must be known elsewhere: environment variables by their documentation, sample events by those who use them,
//! files by the pages that link to them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::checkout::{self, TextFile};
use crate::source::Source;
use crate::{Violation, demand_none};

/// The reference page of the deployed programs' environment; a test of `startup` keeps it equal to the code.
const REFERENCE: &str = "docs/environment.md";

/// Variables that others define: the AWS SDK and the Lambda runtime, PostgreSQL, the system, cargo.
const FOREIGN: [&str; 7] = ["AWS_", "_HANDLER", "PG", "CARGO_", "RUST_", "PATH", "HOME"];

/// Names in backticks in a Markdown page.
fn documented(page: &str) -> BTreeSet<&str> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| is_variable(name))
        .collect()
}

fn is_variable(text: &str) -> bool {
    text.len() > 2
        && text.contains('_')
        && text.starts_with(|character: char| character.is_ascii_uppercase())
        && text.chars().all(|character| {
            character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_'
        })
}

/// Names of variables that a Rust file reads or sets and nobody has documented.
fn undocumented(source: &Source, known: &BTreeSet<&str>) -> Vec<Violation> {
    let touches_environment = |line: usize| {
        let code = source.code.get(line - 1).map_or("", String::as_str);
        code.contains("env") || code.contains("Variable")
    };
    source
        .literals
        .iter()
        .filter(|literal| !source.is_test(literal.line) && touches_environment(literal.line))
        .filter(|literal| is_variable(&literal.text) && !known.contains(literal.text.as_str()))
        .filter(|literal| {
            !FOREIGN
                .iter()
                .any(|prefix| literal.text.starts_with(prefix))
        })
        .map(|literal| {
            Violation::new(
                &source.path,
                literal.line,
                format!("document `{}` in {REFERENCE}", literal.text),
            )
        })
        .collect()
}

/// Variables that the template hands to a function and that no function reads.
fn unread_in_template(template: &TextFile, known: &BTreeSet<&str>) -> Vec<Violation> {
    template
        .text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.trim_start().split_once(':')?.0)))
        .filter(|(_, name)| is_variable(name) && !known.contains(name))
        .map(|(line, name)| {
            Violation::new(
                &template.path,
                line,
                format!("no function reads `{name}` ({REFERENCE})"),
            )
        })
        .collect()
}

/// Sample events that neither a test nor the demo names.
fn unused_events<'a>(events: impl Iterator<Item = &'a str>, sources: &[Source]) -> Vec<Violation> {
    let named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        sources
            .iter()
            .flat_map(|source| &source.literals)
            .any(|literal| literal.text.ends_with(name))
    };
    events
        .filter(|path| !named(path))
        .map(|path| {
            Violation::new(
                path,
                1,
                "name this event in a test or in the demo, or remove it",
            )
        })
        .collect()
}

/// Links of a Markdown page to files that are not there.
fn broken_links(page: &TextFile, exists: impl Fn(&Path) -> bool) -> Vec<Violation> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        let targets = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            if !exists(&folder.join(target)) {
                violations.push(Violation::new(
                    &page.path,
                    index + 1,
                    format!("no such file: {target}"),
                ));
            }
        }
    }
    violations
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let root = checkout::root();
    let pages = checkout::text_files()
        .into_iter()
        .filter(|file| checkout::has_extension(&file.path, "md"));
    demand_none(pages.flat_map(|page| broken_links(&page, |path| root.join(path).exists())));
}

#[test]
fn every_environment_variable_is_documented() {
    let reference = checkout::read(REFERENCE);
    let known = documented(&reference);
    assert!(known.contains("DB_HOST"), "no variables in {REFERENCE}");
    // The tests' own variables are between them and the local stack.
    demand_none(
        checkout::rust_files()
            .iter()
            .filter(|source| source.path.starts_with("crates/"))
            .flat_map(|source| undocumented(source, &known)),
    );
}

#[test]
fn the_template_sets_only_variables_that_are_read() {
    let reference = checkout::read(REFERENCE);
    let template = TextFile {
        path: "template.yaml".to_owned(),
        text: checkout::read("template.yaml"),
    };
    demand_none(unread_in_template(&template, &documented(&reference)));
}

#[test]
fn every_sample_event_is_used() {
    let files = checkout::text_files();
    let events = files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| path.starts_with("events/") && checkout::has_extension(path, "json"));
    demand_none(unused_events(events, &checkout::rust_files()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    #[test]
    fn documented_names_are_those_in_backticks() {
        let page = "| `DB_HOST` | `AURORA_ENDPOINT` | `none` | DB_PORT |";
        assert_eq!(
            documented(page),
            BTreeSet::from(["DB_HOST", "AURORA_ENDPOINT"])
        );
    }

    #[test]
    fn an_undocumented_variable_is_found() {
        let text = r#"
            let host = environment.value("DB_HOST");
            let port = environment.value("DB_PORT");
            let outcome = "NOT_A_VARIABLE";
            command.env("PGHOST", host).env("AWS_REGION", region);
        "#;
        let source = Source::scan("crates/cli/src/exec.rs", text);
        demand_lines(&undocumented(&source, &BTreeSet::from(["DB_HOST"])), &[3]);
    }

    #[test]
    fn a_variable_of_the_template_that_nobody_reads_is_found() {
        let text = "Variables:\n  DB_HOST: !Ref Host\n  DB_PROT: '1'\n".to_owned();
        let template = TextFile {
            path: "template.yaml".to_owned(),
            text,
        };
        demand_lines(
            &unread_in_template(&template, &BTreeSet::from(["DB_HOST"])),
            &[3],
        );
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text = "see [one](one.md#part), [two](../two.md)\n[web](https://example.com/three.md) [here](#part)\n[four](four.md)";
        let page = TextFile {
            path: "docs/page.md".to_owned(),
            text: text.to_owned(),
        };
        let exists =
            |path: &Path| [Path::new("docs/one.md"), Path::new("docs/../two.md")].contains(&path);
        demand_lines(&broken_links(&page, exists), &[3]);
    }

    #[test]
    fn an_event_that_nobody_names_is_found() {
        let test = Source::scan("tests/e2e/main.rs", r#"invoke("events/used.json")"#);
        let found = unused_events(
            ["events/used.json", "events/left-over.json"].into_iter(),
            &[test],
        );
        assert_eq!(
            found,
            [Violation::new(
                "events/left-over.json",
                1,
                "name this event in a test or in the demo, or remove it"
            )]
        );
    }
}
