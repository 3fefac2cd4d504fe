//! Where SQL may stand: in `store` and `aurora`, whose tests prepare every statement, and in what sets up tests.

use crate::Violation;
use crate::checkout::{TextFile, has_extension};
use crate::source::{Literal, Source, words};

/// Their statements are prepared by `tests/e2e/statements.rs`.
const PREPARED: [&str; 2] = ["store", "aurora"];

const HOMES: [&str; 3] = ["store", "aurora", "local"];

/// SQL text, and calls that send some: a text that is put together may look like anything.
fn strangers(source: &Source) -> Vec<Violation> {
    if source.crate_name().is_none_or(|name| HOMES.contains(&name)) {
        return Vec::new();
    }
    let texts = source.literals.iter();
    let texts = texts
        .filter(|literal| !source.is_test(literal.line) && is_statement(&literal.text))
        .map(|literal| literal.line);
    let calls = source
        .lines()
        .filter(|(line, code)| !source.is_test(*line) && sends(code));
    let mut lines: Vec<_> = texts.chain(calls.map(|(line, _)| line)).collect();
    lines.sort_unstable();
    lines.dedup();
    let violation = |line| Violation::new(&source.path, line, "SQL belongs to `store` or `aurora`");
    lines.into_iter().map(violation).collect()
}

/// Whether a line calls what the driver sends a statement with.
fn sends(code: &str) -> bool {
    const CALLS: [&str; 15] = [
        "batch_execute",
        "copy_in",
        "copy_out",
        "execute",
        "execute_typed",
        "prepare",
        "prepare_typed",
        "query",
        "query_one",
        "query_opt",
        "query_raw",
        "query_typed",
        "query_typed_one",
        "query_typed_opt",
        "simple_query",
    ];
    words(code).any(|(place, word)| {
        let is_called_with = code[place + word.len()..]
            .strip_prefix('(')
            .is_some_and(|rest| !rest.starts_with(')'));
        CALLS.contains(&word) && code[..place].ends_with('.') && is_called_with
    })
}

/// SQL files outside of `store` and `aurora`.
fn strange_file(file: &TextFile) -> Option<Violation> {
    let home = PREPARED
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/{name}/")));
    let allowed = home || file.path.starts_with("tests/") || !has_extension(&file.path, "sql");
    (!allowed).then(|| Violation::new(&file.path, 1, "SQL files belong to `store` or `aurora`"))
}

/// Statements of `store` and `aurora` that the test which prepares them does not know: each is a constant, whose name
/// stands in a list called `STATEMENTS…` of its crate.
fn unprepared(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in PREPARED {
        let files: Vec<_> = sources
            .iter()
            .filter(|source| source.crate_name() == Some(name))
            .collect();
        let listed: Vec<_> = files.iter().flat_map(|source| listed(source)).collect();
        for source in files {
            let in_a_file =
                |text: &str| has_extension(text, "sql") && !text.contains("migrations/");
            // What is written out is a sentence about a statement.
            let is_written_out = |line| {
                source
                    .lines()
                    .any(|(number, code)| number == line && code.contains("write!("))
            };
            let literals = source.literals.iter().filter(|literal| {
                !source.is_test(literal.line)
                    && !is_written_out(literal.line)
                    && (is_statement(&literal.text) || in_a_file(&literal.text))
            });
            for literal in literals {
                let constant = constant_of(source, literal);
                if !constant.is_some_and(|constant| listed.contains(&constant)) {
                    let rule = "make it a constant and put that into `STATEMENTS`, so that a test prepares it";
                    violations.push(Violation::new(&source.path, literal.line, rule));
                }
            }
        }
    }
    violations
}

/// The name of the constant that a literal is the value of.
fn constant_of<'a>(source: &'a Source, literal: &Literal) -> Option<&'a str> {
    let declared = |line: usize| {
        let code = source.code.get(line.checked_sub(1)?)?;
        let (_, name) = code.split_once("const ")?;
        Some(name.split_once(':')?.0)
    };
    declared(literal.line).or_else(|| declared(literal.line - 1))
}

/// The words of every list called `STATEMENTS…`.
fn listed(source: &Source) -> impl Iterator<Item = &str> {
    let mut within = false;
    let lines = source.code.iter().filter(move |line| {
        within |= line.contains("const STATEMENTS");
        let is_listed = within;
        within &= !line.contains("];");
        is_listed
    });
    lines.flat_map(|line| words(line).map(|(_, word)| word))
}

/// Whether a text starts as an SQL statement does. Prose starts a sentence with some of the same words, so one word counts
/// only in capitals, and two or more in any case.
fn is_statement(text: &str) -> bool {
    const ONE: [&str; 18] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE",
        "TRUNCATE", "WITH", "LISTEN", "NOTIFY", "MERGE", "COPY", "EXPLAIN", "SHOW", "VALUES",
    ];
    const TWO: [(&str, &[&str]); 10] = [
        (
            "select",
            &[
                "*",
                "1",
                "count(*)",
                "coalesce",
                "current_user",
                "exists",
                "now()",
                "pg_sleep",
                "version()",
            ],
        ),
        ("insert", &["into"]),
        ("delete", &["from"]),
        (
            "create",
            &[
                "table",
                "role",
                "user",
                "schema",
                "index",
                "unique",
                "extension",
                "database",
                "function",
                "or",
            ],
        ),
        (
            "alter",
            &["table", "role", "user", "system", "database", "default"],
        ),
        (
            "drop",
            &[
                "table", "role", "user", "schema", "index", "owned", "database",
            ],
        ),
        ("truncate", &["table"]),
        (
            "set",
            &["role", "local", "statement_timeout", "search_path"],
        ),
        ("reset", &["role", "all"]),
        ("lock", &["table"]),
    ];
    let mut words = text.split_whitespace();
    let (Some(first), Some(second)) = (words.next(), words.next()) else {
        return false;
    };
    let second = second.trim_end_matches([',', ';']).to_lowercase();
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    let update_set =
        is(first, "update") && words.clone().next().is_some_and(|word| is(word, "set"));
    let reads = is(first, "select") || is(first, "with") && text.to_lowercase().contains(" as (");
    let select_from = reads && words.any(|word| is(word, "from"));
    let function = second
        .split_once('(')
        .is_some_and(|(name, _)| name.starts_with("pg_"));
    ONE.contains(&first)
        || is(first, "select") && function
        || select_from
        || update_set
        || TWO
            .iter()
            .any(|(verb, objects)| is(first, verb) && objects.contains(&second.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkout, demand_lines, demand_none};

    #[test]
    fn sql_stands_only_in_store_and_aurora() {
        demand_none(checkout::rust_files().iter().flat_map(strangers));
        demand_none(checkout::text_files().iter().filter_map(strange_file));
    }

    #[test]
    fn every_statement_is_one_that_a_test_prepares() {
        let sources = checkout::rust_files();
        assert!(
            sources
                .iter()
                .flat_map(listed)
                .any(|word| word == "SET_PASSWORD"),
            "the lists are not found"
        );
        demand_none(unprepared(&sources));
    }

    #[test]
    fn the_rule_finds_statements_and_no_prose() {
        let text = r##"
            client.query("select count(*) from messages", &[]);
            client.execute(r#"
                INSERT INTO messages VALUES ($1)"#, &[]);
            client.execute("update messages set role = 'x'", &[]);
            client.batch_execute("SET ROLE turnkeep_owner; RESET ROLE", &[]);
            println!("update the secret, then set the label");
            println!("create the secret first, with care (and nothing else) from here");
            let text = format!("{SELECT} {columns}");
            client.simple_query(&text);
            let query = uri.query().map(|query| query(1));
            let lock = "select pg_advisory_lock(1)";
            let tree = "with t as (select 1) select * from t";
            #[cfg(test)]
            mod tests { const IN_A_TEST: &str = "SELECT 1"; fn f() { client.query("SELECT 1", &[]) } }
        "##;
        demand_lines(
            &strangers(&Source::scan("crates/capture/src/lib.rs", text)),
            &[2, 3, 5, 6, 10, 12, 13],
        );
        for path in ["crates/store/src/lib.rs", "tests/e2e/main.rs"] {
            demand_lines(&strangers(&Source::scan(path, text)), &[]);
        }
    }

    #[test]
    fn an_sql_file_in_another_place_is_found() {
        let is_found = |path: &str| {
            let text = "SELECT 1".to_owned();
            strange_file(&TextFile {
                path: path.to_owned(),
                text,
            })
            .is_some()
        };
        assert!(is_found("crates/capture/src/ingest.sql"));
        assert!(is_found("docs/repair.sql"));
        assert!(!is_found("crates/store/sql/ingest.sql"));
        assert!(!is_found("tests/e2e/original.sql"));
        assert!(!is_found("crates/capture/src/lib.rs"));
    }

    #[test]
    fn a_statement_that_no_test_prepares_is_found() {
        let text = r#"
            pub const STATEMENTS: &[(&str, &str)] = &[
                ("one", ONE),
                ("file", FILE),
            ];
            const ONE: &str = "SELECT 1 FROM a";
            const FORGOTTEN: &str =
                "SELECT 2 FROM a";
            const FILE: &str = include_str!("../sql/ingest.sql");
            const OTHER_FILE: &str = include_str!("../sql/other.sql");
            const MIGRATION: &str = include_str!("../migrations/0001_original.sql");
            fn f() { client.query("SELECT 3 FROM a", &[]); }
            fn g() { write!(f, "create role {name}"); }
        "#;
        let sources = ["crates/store/src/lib.rs", "crates/capture/src/lib.rs"]
            .map(|path| Source::scan(path, text));
        demand_lines(&unprepared(&sources), &[8, 10, 12]);
    }
}
