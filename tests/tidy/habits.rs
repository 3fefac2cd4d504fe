//! Habits of the house, line by line.

use crate::checkout::{self, TextFile};
use crate::source::Source;
use crate::{Violation, demand_none};

/// How long a file may be before it should become two.
const LINES: usize = 450;

/// Files that are longer than [`LINES`], each with the reason why one file reads better than two.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files of tests that may sleep: those whose subject is the passing of time.
const SLEEPERS: &[(&str, &str)] = &[];

fn length(source: &Source) -> Option<Violation> {
    let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    // What follows the last line break is no line.
    let lines = source.code.len() - 1;
    (lines > LINES && !excused).then(|| {
        Violation::new(
            &source.path,
            LINES,
            format!("{lines} lines are two subjects: split the file"),
        )
    })
}

/// An error printed by `%error` or inside a text loses its causes; `startup::report` prints the whole chain.
fn half_printed_errors(source: &Source) -> Vec<Violation> {
    const SIGILS: [&str; 5] = ["%err,", "%err)", "%error,", "%error)", "%e,"];
    let sigil = source.lines().filter(|(line, code)| {
        let spaced = format!("{code})");
        !source.is_test(*line) && SIGILS.iter().any(|sigil| spaced.contains(sigil))
    });
    let sigil = sigil.map(|(line, _)| {
        Violation::new(
            &source.path,
            line,
            "log the whole chain of causes, not `%error`",
        )
    });
    let in_text = source.literals.iter().filter(|literal| {
        let code = |line: usize| {
            line.checked_sub(1)
                .and_then(|index| source.code.get(index))
                .map_or("", String::as_str)
        };
        let message_of_an_error = code(literal.line).contains("#[error(")
            || code(literal.line - 1).trim_end().ends_with("#[error(");
        message_of_an_error
            && ["{source}", "{source:", "{cause}"]
                .iter()
                .any(|field| literal.text.contains(field))
    });
    let in_text = in_text.map(|literal| {
        Violation::new(
            &source.path,
            literal.line,
            "an error tells its own sentence; its source tells the next",
        )
    });
    sigil.chain(in_text).collect()
}

fn sleeping_tests(source: &Source) -> Vec<Violation> {
    if SLEEPERS.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let sleeps = |code: &str| code.contains("sleep(") || code.contains("sleep_until(");
    source
        .lines()
        .filter(|(line, code)| source.is_test(*line) && sleeps(code))
        .map(|(line, _)| {
            Violation::new(
                &source.path,
                line,
                "wait for the condition, with a deadline, instead of sleeping",
            )
        })
        .collect()
}

/// `#[expect]` goes when its reason has gone; `#[allow]` stays for ever.
fn silenced_lints(source: &Source) -> Vec<Violation> {
    source
        .lines()
        .filter(|(_, code)| code.contains("#[allow(") || code.contains("#![allow("))
        .map(|(line, _)| {
            Violation::new(
                &source.path,
                line,
                "`#[expect(…, reason = \"…\")]` instead of `#[allow]`",
            )
        })
        .collect()
}

/// Notes to oneself and paths of one's own machine; the fixtures of this file are the one place for both.
fn leftovers(file: &TextFile) -> Vec<Violation> {
    const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
    if file.path == "tests/tidy/habits.rs" {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let is_word = |word: &str| {
            line.split(|character: char| !character.is_alphanumeric() && character != '_')
                .any(|part| part == word)
        };
        if MARKS.iter().any(|mark| is_word(mark)) && !line.contains("issues/") {
            violations.push(Violation::new(
                &file.path,
                index + 1,
                "finish it, or name the issue that will",
            ));
        }
        if names_a_home(line) {
            violations.push(Violation::new(
                &file.path,
                index + 1,
                "a path of one machine",
            ));
        }
    }
    violations
}

/// Whether a line has a path below somebody's home.
fn names_a_home(line: &str) -> bool {
    let below = |homes: &str| {
        let paths = line.split(homes).skip(1);
        paths
            .filter_map(|rest| rest.split([' ', '"', '`', ')']).next())
            .any(|rest| rest.contains('/'))
    };
    line.contains("/root/") || below("/home/") || below("/Users/")
}

/// What is installed comes from the registry that the machine is configured for: no file of ours names another.
fn pinned_sources(file: &TextFile) -> Vec<Violation> {
    const CRATES: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    const OPTIONS: [&str; 5] = [
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--trusted-host",
        "://",
    ];
    let is_lock = file.path.ends_with("Cargo.lock");
    let is_requirements = file.path.starts_with("tools/requirements");
    file.text
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            is_lock && line.starts_with("source = ") && *line != CRATES
                || is_requirements && OPTIONS.iter().any(|option| line.contains(option))
        })
        .map(|(index, _)| {
            Violation::new(&file.path, index + 1, "no registry but the machine's own")
        })
        .collect()
}

#[test]
fn no_file_is_too_long() {
    let sources = checkout::rust_files();
    demand_none(sources.iter().filter_map(length));
    for (path, reason) in LONG_FILES {
        let long = sources
            .iter()
            .any(|source| source.path == *path && source.code.len() - 1 > LINES);
        assert!(
            long,
            "no longer too long, take it out of `LONG_FILES`: {path} ({reason})"
        );
    }
}

#[test]
fn errors_are_printed_with_their_causes() {
    demand_none(checkout::rust_files().iter().flat_map(half_printed_errors));
}

#[test]
fn tests_wait_instead_of_sleeping() {
    let sources = checkout::rust_files();
    demand_none(sources.iter().flat_map(sleeping_tests));
    for (path, reason) in SLEEPERS {
        assert!(
            sources.iter().any(|source| source.path == *path),
            "gone, take it out of `SLEEPERS`: {path} ({reason})"
        );
    }
}

#[test]
fn lints_are_expected_and_not_allowed() {
    demand_none(checkout::rust_files().iter().flat_map(silenced_lints));
}

#[test]
fn nothing_is_left_over() {
    demand_none(checkout::text_files().iter().flat_map(leftovers));
}

#[test]
fn no_file_names_a_registry() {
    demand_none(checkout::text_files().iter().flat_map(pinned_sources));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand_lines;

    fn product(text: &str) -> Source {
        Source::scan("crates/capture/src/lib.rs", text)
    }

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_file_too_long_is_found() {
        assert!(length(&product(&"\n".repeat(LINES + 1))).is_some());
        assert!(length(&product(&"\n".repeat(LINES))).is_none());
    }

    #[test]
    fn an_error_without_its_causes_is_found() {
        let text = r#"
            warn!(error = %err, "x");
            warn!(%error);
            warn!(share = 10 %errors, id = %event_id);
            #[error("cannot read: {source}")]
            #[error(
                "cannot write: {source}")]
            #[error("unknown source: {name}")]
            println!("from {source}");
        "#;
        demand_lines(&half_printed_errors(&product(text)), &[2, 3, 5, 7]);
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let text = "fn pause() { sleep(JITTER).await; }\n#[cfg(test)]\nmod tests {\n  thread::sleep(SECOND);\n}";
        demand_lines(&sleeping_tests(&product(text)), &[4]);
    }

    #[test]
    fn a_lint_silenced_for_ever_is_found() {
        let text = "#![allow(dead_code)]\n#[expect(dead_code, reason = \"x\")]\n// #[allow(in_a_comment)]\n#[allow(unused)]";
        demand_lines(&silenced_lints(&product(text)), &[1, 4]);
    }

    #[test]
    fn leftovers_are_found() {
        let text = "one\n// TODO later\nA_TODO_LIST\n# FIXME: issues/12\ncd /home/me/x\nis_ours(\"/home/turnkeep-x\")\n";
        demand_lines(&leftovers(&file("Makefile", text)), &[2, 5]);
    }

    #[test]
    fn a_registry_of_ones_own_is_found() {
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://example.com/x\"\n";
        demand_lines(&pinned_sources(&file("Cargo.lock", lock)), &[2]);
        let requirements = "--index-url x\nmoto==5\nmoto @ https://example.com/moto.whl\n";
        demand_lines(
            &pinned_sources(&file("tools/requirements.txt", requirements)),
            &[1, 3],
        );
    }
}
