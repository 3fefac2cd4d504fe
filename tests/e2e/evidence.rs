//! What a test's system wrote down, and what of it the test has announced.
//!
//! Two rules hold for every [`System`](crate::system::System), and are checked when it is dropped. No canary is in a log, a
//! reply or an output (`local::canary`). And a function warns of nothing and reports no error but what the test announced:
//! a line that nobody announced is a defect that nobody looked at, and an announcement that does not come true is a test
//! that does not do what it says.

use std::sync::{Mutex, PoisonError};

use local::canary::{self, Find};
use local::lambda::LogLine;
use serde_json::Value;

/// What a test has seen and announced so far.
#[derive(Default)]
pub struct Evidence {
    /// By the name of the sink.
    seen: Mutex<Vec<(String, String)>>,
    announced: Mutex<Vec<Announcement>>,
}

/// A warning or an error that a test provokes.
#[derive(Clone)]
struct Announcement {
    /// What its line contains.
    fragment: String,
    /// Why it may be missing all the same.
    unless: Option<String>,
}

impl Evidence {
    /// Keeps a reply or an output for the search.
    pub fn saw(&self, sink: impl Into<String>, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push((sink.into(), text));
    }

    /// Announces a warning or an error by a part of its line.
    pub fn announce(&self, fragment: &str, unless: Option<&str>) {
        let announcement = Announcement {
            fragment: fragment.to_owned(),
            unless: unless.map(str::to_owned),
        };
        let announced = self.announced.lock();
        announced
            .unwrap_or_else(PoisonError::into_inner)
            .push(announcement);
    }

    /// What is wrong with what was seen and with the logs of the functions, each by its name.
    pub fn problems(&self, logs: &[(String, Vec<LogLine>)]) -> Vec<String> {
        let announced = self.announced.lock();
        let announced = announced.unwrap_or_else(PoisonError::into_inner);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = unannounced(logs, &announced);
        let finds = seen
            .iter()
            .flat_map(|(sink, text)| canary::search(sink, text));
        problems.extend(finds.map(|find| find.to_string()));
        let finds = logs
            .iter()
            .flat_map(|(function, lines)| in_log(function, lines));
        problems.extend(finds.map(|find| find.to_string()));
        problems
    }
}

fn in_log(function: &str, lines: &[LogLine]) -> Vec<Find> {
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    canary::search(&format!("the log of {function}"), &texts.join("\n"))
}

/// Lines that were not announced, and announcements that did not come true.
fn unannounced(logs: &[(String, Vec<LogLine>)], announced: &[Announcement]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut came = vec![false; announced.len()];
    for (function, lines) in logs {
        for loud in loud(lines) {
            let mut expected = false;
            for (announcement, came) in announced.iter().zip(&mut came) {
                if loud.contains(&announcement.fragment) {
                    (*came, expected) = (true, true);
                }
            }
            if !expected {
                problems.push(format!("{function} wrote what was not announced: {loud}"));
            }
        }
    }
    let missing = announced.iter().zip(came);
    problems.extend(
        missing
            .filter(|(announcement, came)| !came && announcement.unless.is_none())
            .map(|(announcement, _)| {
                format!(
                    "announced, but no warning or error has it: {}",
                    announcement.fragment
                )
            }),
    );
    problems
}

/// Warnings, errors and whatever did not come through the log: a panic, or the last words of a program. Such lines are one
/// as long as no other comes between them.
fn loud(lines: &[LogLine]) -> Vec<String> {
    let mut loud: Vec<String> = Vec::new();
    let mut words: Vec<(&str, String)> = Vec::new();
    for line in lines {
        let at = words.iter().position(|(stream, _)| *stream == line.stream);
        match volume(&line.text) {
            Volume::Words => match at {
                Some(at) => words[at].1.extend(["\n", &line.text]),
                None => words.push((&line.stream, line.text.clone())),
            },
            volume => {
                loud.extend(at.map(|at| words.swap_remove(at).1));
                if matches!(volume, Volume::Loud) {
                    loud.push(line.text.clone());
                }
            }
        }
    }
    loud.extend(words.into_iter().map(|(_, words)| words));
    loud
}

enum Volume {
    Quiet,
    Loud,
    /// Not a line of the log.
    Words,
}

fn volume(line: &str) -> Volume {
    const LAMBDA: [&str; 3] = ["START RequestId: ", "END RequestId: ", "REPORT RequestId: "];
    if let Ok(Value::Object(fields)) = serde_json::from_str(line) {
        return match fields.get("level").and_then(Value::as_str) {
            Some("INFO" | "DEBUG" | "TRACE") => Volume::Quiet,
            None if fields.contains_key("_aws") => Volume::Quiet,
            _ => Volume::Loud,
        };
    }
    // The text format begins a line with the level.
    let level = line.split_whitespace().next().unwrap_or_default();
    let quiet = ["", "INFO", "DEBUG", "TRACE"].contains(&level)
        || LAMBDA.iter().any(|own| line.starts_with(own));
    match level {
        _ if quiet => Volume::Quiet,
        "WARN" | "ERROR" => Volume::Loud,
        _ => Volume::Words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn log(lines: &[&str]) -> Vec<(String, Vec<LogLine>)> {
        let lines = lines.iter().map(|text| {
            let (stream, text) = text.split_once("> ").unwrap_or(("one", text));
            LogLine {
                at: OffsetDateTime::UNIX_EPOCH,
                stream: stream.to_owned(),
                text: text.to_owned(),
            }
        });
        vec![("example".to_owned(), lines.collect())]
    }

    /// Expects as many problems as there are words, each with its word.
    #[track_caller]
    fn check(lines: &[&str], announced: &[(&str, Option<&str>)], words: &[&str]) {
        let evidence = Evidence::default();
        for (fragment, unless) in announced {
            evidence.announce(fragment, *unless);
        }
        let problems = evidence.problems(&log(lines));
        assert_eq!(problems.len(), words.len(), "{problems:#?}");
        for (problem, word) in problems.iter().zip(words) {
            assert!(problem.contains(word), "no {word:?} in: {problem}");
        }
    }

    const WARNING: &str =
        r#"{"level":"WARN","fields":{"error_code":"A.B","message":"item failed"}}"#;

    #[test]
    fn harmless_lines_need_no_announcement() {
        let lines = [
            "START RequestId: 1 Version: $LATEST",
            r#"{"level":"INFO","fields":{"message":"an ERROR in words"}}"#,
            r#"{"_aws":{"Timestamp":1},"Failed":0}"#,
            " INFO invocation handled",
            "",
            "END RequestId: 1",
            "REPORT RequestId: 1 Duration: 1 ms",
        ];
        check(&lines, &[], &[]);
    }

    #[test]
    fn what_was_not_announced_is_a_problem() {
        check(&[WARNING], &[], &["A.B"]);
        check(&[r#"{"level":"ERROR","fields":{}}"#], &[], &["ERROR"]);
        check(&["WARN hyper: lost"], &[], &["hyper"]);
        check(&[r#"{"message":"of no level"}"#], &[], &["no level"]);
        check(
            &["INIT_REPORT Phase: init Status: error"],
            &[],
            &["INIT_REPORT"],
        );
        check(&[WARNING], &[("A.C", Some("a race"))], &["A.B"]);
    }

    #[test]
    fn a_panic_is_one_problem_for_each_environment() {
        let lines = [
            "one> thread 'main' panicked at src/lib.rs:1:",
            "two> thread 'main' panicked at src/lib.rs:2:",
            "one> index out of bounds",
            "two> END RequestId: 2",
            "two> Error: later",
        ];
        check(&lines, &[], &["src/lib.rs:2", "out of bounds", "later"]);
        check(&lines, &[("panicked at", None)], &["later"]);
    }

    #[test]
    fn an_announcement_has_to_come_true_unless_it_may_fail_to() {
        check(&[WARNING, WARNING], &[("A.B", None)], &[]);
        check(&[], &[("A.B", None)], &["announced, but"]);
        check(&[], &[("A.B", Some("it may be killed before"))], &[]);
        check(&[WARNING], &[("A.B", None), ("item failed", None)], &[]);
    }

    #[test]
    fn a_canary_is_found_in_a_log_a_metric_and_a_reply() {
        let password = format!(r#"{{"_aws":{{}},"user":"{}"}}"#, canary::PASSWORD);
        let text = format!(r#"{{"level":"INFO","event":"{}"}}"#, canary::said("hello"));
        check(
            &[&password, &text],
            &[],
            &["the log of example, line 1", "the log of example, line 2"],
        );
        let evidence = Evidence::default();
        evidence.saw("a reply", canary::said("hello").as_bytes());
        let problems = evidence.problems(&[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("a reply, line 1"), "{problems:?}");
    }
}
