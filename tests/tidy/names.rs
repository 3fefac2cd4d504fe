//! Names that must be known elsewhere: environment variables by their documentation, sample events by those who use them,
//! files by the pages that link to them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::checkout::{self, TextFile};
use crate::source::{Source, words};
use crate::{Violation, demand_none};

/// The reference page of the deployed programs' environment; a test of `startup` keeps it equal to the code.
const REFERENCE: &str = "docs/environment.md";

/// Variables that others define (the AWS SDK and the Lambda runtime, PostgreSQL, moto, the system, cargo), and those between the
/// local stack and the tests.
const FOREIGN: [&str; 12] = [
    "AWS_",
    "_HANDLER",
    "PG",
    "CARGO_",
    "RUST_",
    "PATH",
    "HOME",
    "LC_ALL",
    "MOTO_",
    "OUT_DIR",
    "PYTHON",
    "TURNKEEP_LOCAL_",
];

/// The parts that the reference page speaks of, and variables that `startup` reads for them.
const PARTS: [&str; 3] = ["capture", "rotation", "cli"];
const READ_BY_STARTUP: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_LEVEL",
    "AWS_REGION",
];

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

/// Names of variables that a Rust file reads or sets and nobody has documented, and ways past `startup::environment`.
fn undocumented(source: &Source, known: &BTreeSet<&str>) -> Vec<Violation> {
    let code = |line: usize| {
        source
            .code
            .get(line.wrapping_sub(1))
            .map_or("", String::as_str)
    };
    // A call may have its arguments on lines of their own.
    let touches_environment = |line: usize| {
        let before = code(line - 1).trim_end();
        let call = if before.ends_with(['(', '=']) {
            before
        } else {
            ""
        };
        let call = format!("{call}{}", code(line)).to_lowercase();
        call.contains("env") || call.contains("variable")
    };
    let names = source
        .literals
        .iter()
        .filter(|literal| touches_environment(literal.line))
        .filter(|literal| is_variable(&literal.text) && !known.contains(literal.text.as_str()))
        .filter(|literal| {
            !FOREIGN
                .iter()
                .any(|prefix| literal.text.starts_with(prefix))
        })
        .map(|literal| {
            (
                literal.line,
                format!("document `{}` in {REFERENCE}", literal.text),
            )
        });
    let ways_past = source
        .lines()
        .filter(|(_, code)| {
            makes_a_variable(&source.path, code) || reads_by_clap(&source.path, code)
        })
        .map(|(line, _)| {
            (
                line,
                "variables are constants of `startup::environment`".to_owned(),
            )
        });
    names
        .chain(ways_past)
        .filter(|(line, _)| !source.is_test(*line))
        .map(|(line, rule)| Violation::new(&source.path, line, rule))
        .collect()
}

fn makes_a_variable(path: &str, code: &str) -> bool {
    path != "crates/startup/src/environment.rs" && code.contains("Variable {")
}

/// Whether a line is part of an attribute by which `clap` reads the environment; the local stack's own command may.
fn reads_by_clap(path: &str, code: &str) -> bool {
    !path.starts_with("crates/local/")
        && !code.trim_start().starts_with("use ")
        && words(code).any(|(place, word)| {
            let after = code[place + word.len()..].trim_start();
            word == "env" && after.starts_with(['=', ',', ')'])
        })
}

/// Rows of the reference page whose column `read by` is not what the crates' code says.
fn misattributed(page: &str, sources: &[Source]) -> Vec<Violation> {
    let names_it = |part: &str, variable: &str| {
        let files = sources
            .iter()
            .filter(|source| source.crate_name() == Some(part));
        files.into_iter().any(|source| {
            let mut product = source.lines().filter(|(line, _)| !source.is_test(*line));
            product.any(|(_, code)| words(code).any(|(_, word)| word == variable))
        })
    };
    let rows = page.lines().enumerate().filter_map(|(index, line)| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((index + 1, name, cells.nth(1)?))
    });
    rows.filter(|(_, name, _)| !READ_BY_STARTUP.contains(name))
        .filter_map(|(line, name, documented)| {
            let readers = PARTS.into_iter().filter(|part| names_it(part, name));
            let readers = readers.collect::<Vec<_>>().join(", ");
            (readers != documented)
                .then(|| Violation::new(REFERENCE, line, format!("`{name}` is read by: {readers}")))
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
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let named: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| &source.literals)
        .map(|literal| last(&literal.text))
        .collect();
    events
        .filter(|path| !named.contains(&last(path)))
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
fn the_reference_names_those_who_read_a_variable() {
    demand_none(misattributed(
        &checkout::read(REFERENCE),
        &checkout::rust_files(),
    ));
}

#[test]
fn the_template_sets_only_variables_that_are_read() {
    let reference = checkout::read(REFERENCE);
    for path in ["stack/capture.yaml", "stack/rotation.yaml"] {
        let template = TextFile {
            path: path.to_owned(),
            text: checkout::read(path),
        };
        assert!(
            template.text.contains("Variables:"),
            "{path} defines no function"
        );
        demand_none(unread_in_template(&template, &documented(&reference)));
    }
}

#[test]
fn every_sample_event_is_used() {
    let files = checkout::text_files();
    let events = files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| path.starts_with("events/") && *path != "events/README.md");
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
            command.env(
                "DB_NAME", name);
            #[arg(long, env)]
            #[arg(long, env = PORT)]
            use std::{env, fs};
            let odd = Variable { name: NAME, ..DB_HOST };
            const DB_USER_VARIABLE: &str = "DB_USER";
        "#;
        let source = Source::scan("crates/cli/src/exec.rs", text);
        let mut found = undocumented(&source, &BTreeSet::from(["DB_HOST"]));
        found.sort_by_key(|violation| violation.line);
        demand_lines(&found, &[3, 7, 8, 9, 11, 12]);
    }

    #[test]
    fn a_reader_that_the_reference_does_not_know_is_found() {
        let page = "| name | also | read by |\n|---|---|---|\n| `DB_HOST` | - | capture, cli |\n| `DB_PORT` | - | rotation |\n\
            | `OLD` | - | capture |\n";
        let sources = [
            Source::scan(
                "crates/capture/src/config.rs",
                "reader.host(&environment::DB_HOST);",
            ),
            Source::scan("crates/cli/src/settings.rs", "host(&DB_HOST); // OLD"),
            Source::scan("crates/cli/src/port.rs", "port(&DB_PORT);"),
            Source::scan(
                "crates/rotation/src/config.rs",
                "port(&DB_PORT);\n#[cfg(test)]\nmod tests {\n DB_HOST\n}",
            ),
        ];
        demand_lines(&misattributed(page, &sources), &[4, 5]);
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
        let text = r#"invoke("events/used.json", "not-left-over.json"); // "left-over.json""#;
        let source = Source::scan("tests/e2e/main.rs", text);
        let found = unused_events(
            ["events/used.json", "events/left-over.json"].into_iter(),
            &[source],
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
