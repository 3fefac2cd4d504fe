//! Habits of the house, line by line.

use crate::checkout::{self, TextFile};
use crate::source::{Source, words};
use crate::{Violation, demand_none};

/// How long a file may be before it should become two.
const LINES: usize = 450;

/// Files that are longer than [`LINES`], each with the reason why one file reads better than two.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files of tests that may sleep: those whose subject is the passing of time.
const SLEEPERS: &[(&str, &str)] = &[];

fn length(file: &TextFile) -> Option<Violation> {
    let excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let lines = file.text.lines().count();
    (lines > LINES && is_written(file) && !excused).then(|| {
        Violation::new(
            &file.path,
            LINES,
            format!("{lines} lines are two subjects: split the file"),
        )
    })
}

/// Whether a person writes the file line by line; data, locks and pages may be as long as they are.
fn is_written(file: &TextFile) -> bool {
    ["rs", "sql", "py", "sh"]
        .iter()
        .any(|extension| checkout::has_extension(&file.path, extension))
}

/// What passes time; under another name, its own is still in the `use`.
const PAUSES: [&str; 7] = [
    "sleep",
    "sleep_ms",
    "sleep_until",
    "interval",
    "interval_at",
    "park_timeout",
    "recv_timeout",
];

fn sleeping_tests(source: &Source) -> Vec<Violation> {
    if SLEEPERS.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    source
        .lines()
        .filter(|(line, code)| {
            source.is_test(*line) && words(code).any(|(_, word)| PAUSES.contains(&word))
        })
        .map(|(line, _)| {
            Violation::new(
                &source.path,
                line,
                "wait for the condition, with a deadline, instead of sleeping",
            )
        })
        .collect()
}

/// `#[expect]` goes when its reason has gone; `#[allow]` stays for ever, also inside `#[cfg_attr]`.
fn silenced_lints(source: &Source) -> Vec<Violation> {
    let is_attribute = |code: &str| {
        words(code).any(|(place, word)| {
            let before = code[..place].trim_end();
            word == "allow"
                && code[place + word.len()..].trim_start().starts_with('(')
                && (before.is_empty() || before.ends_with(['[', ',', '(']))
        })
    };
    source
        .lines()
        .filter(|(_, code)| is_attribute(code))
        .map(|(line, _)| {
            Violation::new(
                &source.path,
                line,
                "`#[expect(…, reason = \"…\")]` instead of `#[allow]`",
            )
        })
        .collect()
}

/// What the manifest of the workspace allows has its reason in a comment above; several may share one.
fn lints_allowed_without_reason(manifest: &TextFile) -> Vec<Violation> {
    let mut section = "";
    let mut reasoned = false;
    let mut violations = Vec::new();
    for (index, line) in manifest.text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        let allows = section.contains("lints") && line.contains("\"allow\"");
        if allows && !reasoned {
            let rule = "say in a comment above why this lint is allowed";
            violations.push(Violation::new(&manifest.path, index + 1, rule));
        }
        reasoned = line.starts_with('#') || allows && reasoned;
    }
    violations
}

/// Lints that a build file turns off on the compiler's command line.
fn lints_turned_off(file: &TextFile) -> Vec<Violation> {
    const FLAGS: [&str; 5] = [
        "-A clippy",
        "-Aclippy",
        "-A warnings",
        "-Awarnings",
        "--cap-lints",
    ];
    let builds = ["Makefile", ".cargo/", ".ci/", "tools/"];
    if !builds.iter().any(|part| file.path.starts_with(part)) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| FLAGS.iter().any(|flag| line.contains(flag)))
        .map(|(index, _)| {
            Violation::new(
                &file.path,
                index + 1,
                "a lint is set in Cargo.toml, with its reason",
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
    let files = checkout::text_files();
    demand_none(files.iter().filter_map(length));
    for (path, reason) in LONG_FILES {
        let long = files
            .iter()
            .any(|file| file.path == *path && file.text.lines().count() > LINES);
        assert!(
            long,
            "no longer too long, take it out of `LONG_FILES`: {path} ({reason})"
        );
    }
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
    let files = checkout::text_files();
    demand_none(files.iter().flat_map(lints_turned_off));
    let manifests = files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"));
    demand_none(manifests.flat_map(lints_allowed_without_reason));
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
        let long = |path: &str, lines: usize| length(&file(path, &"\n".repeat(lines))).is_some();
        assert!(long("crates/store/src/lib.rs", LINES + 1));
        assert!(long("crates/store/sql/ingest.sql", LINES + 1));
        assert!(!long("crates/store/src/lib.rs", LINES));
        assert!(!long("Cargo.lock", LINES + 1));
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let text = "fn pause() { sleep(JITTER).await; }\n#[cfg(test)]\nmod tests {\n  thread::sleep(SECOND);\n  \
            use tokio::time::{sleep as rest, timeout};\n  let ticks = time::interval(SECOND);\n  \
            let sleeper = pg_sleep(); // sleep(1)\n}";
        demand_lines(&sleeping_tests(&product(text)), &[4, 5, 6]);
    }

    #[test]
    fn a_lint_silenced_for_ever_is_found() {
        let text = "#![allow(dead_code)]\n#[expect(dead_code, reason = \"x\")]\n// #[allow(in_a_comment)]\n\
            #[allow(unused)]\n#[cfg_attr(test, allow(unused))]\n#[cfg_attr(\n    test,\n    allow(unused)\n)]\n\
            policy.allow(unused); policy::allow(unused); fn allow(unused: u8) {}";
        demand_lines(&silenced_lints(&product(text)), &[1, 4, 5, 8]);
    }

    #[test]
    fn a_lint_turned_off_elsewhere_is_found() {
        let manifest = "[workspace.lints.clippy]\ntodo = \"warn\"\n# Why.\none = \"allow\"\n\
            two = { level = \"allow\", priority = 1 }\nthree = \"warn\"\nfour = \"allow\"\n[package]\nname = \"allow\"\n";
        demand_lines(
            &lints_allowed_without_reason(&file("Cargo.toml", manifest)),
            &[7],
        );
        let flags = "[build]\nrustflags = [\"-Awarnings\"]\n";
        demand_lines(&lints_turned_off(&file(".cargo/config.toml", flags)), &[2]);
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
