//! Where SQL may stand: in `store` and `aurora`, whose tests prepare every statement, and in what sets up tests.

use crate::Violation;
use crate::source::Source;

const HOMES: [&str; 3] = ["store", "aurora", "local"];

fn check(source: &Source) -> Vec<Violation> {
    if source.crate_name().is_none_or(|name| HOMES.contains(&name)) {
        return Vec::new();
    }
    source
        .literals
        .iter()
        .filter(|literal| !source.is_test(literal.line) && is_statement(&literal.text))
        .map(|literal| {
            Violation::new(
                &source.path,
                literal.line,
                "SQL text belongs to `store` or `aurora`",
            )
        })
        .collect()
}

/// Whether a text starts as an SQL statement does. Prose starts a sentence with some of the same words, so one word counts
/// only in capitals, and two or more in any case.
fn is_statement(text: &str) -> bool {
    const ONE: [&str; 12] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE",
        "TRUNCATE", "WITH", "LISTEN",
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
    let select_from = is(first, "select") && words.any(|word| is(word, "from"));
    ONE.contains(&first)
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
        demand_none(checkout::rust_files().iter().flat_map(check));
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
            println!("create the secret first");
            #[cfg(test)]
            mod tests { const IN_A_TEST: &str = "SELECT 1"; }
        "##;
        demand_lines(
            &check(&Source::scan("crates/capture/src/lib.rs", text)),
            &[2, 3, 5, 6],
        );
        demand_lines(&check(&Source::scan("crates/store/src/lib.rs", text)), &[]);
        demand_lines(&check(&Source::scan("tests/e2e/main.rs", text)), &[]);
    }
}
