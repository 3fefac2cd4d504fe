//! How it went, for a person to read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Played;
use crate::canary::Find;

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs that were played.
    pub runs: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Invocations of the function while it was disturbed; those afterwards, in which all must end well, left out.
    pub invocations: u64,
    /// How often something was disturbed.
    pub troubles: u64,
    /// Connections that were reset for it.
    pub cut: u64,
    /// Processes that were killed for it.
    pub killed: u64,
    /// How often each error was the answer, by its type.
    pub errors: BTreeMap<String, u64>,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Passwords and what was said, in what the functions wrote.
    pub leaks: Vec<Find>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// What is wrong, and when it was seen.
    pub what: String,
    /// All that happens in the run.
    pub script: String,
    /// What plays the same run again.
    pub command: String,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.leaks.is_empty()
    }

    /// Adds a run; its violation.
    pub(super) fn add(
        &mut self,
        played: Played,
        violation: Option<Violation>,
    ) -> Option<&Violation> {
        self.runs += 1;
        *self.kinds.entry(played.kind).or_default() += 1;
        self.invocations += played.invocations;
        self.troubles += played.troubles;
        self.cut += played.cut;
        self.killed += played.killed;
        for error in played.errors {
            *self.errors.entry(error).or_default() += 1;
        }
        self.violations.push(violation?);
        self.violations.last()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            script,
            command,
            ..
        } = self;
        write!(f, "violation: {what}\n{script}repeat it: {command}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "violation: {}: {}", violation.command, violation.what)?;
        }
        for leak in &self.leaks {
            writeln!(f, "{leak}")?;
        }
        writeln!(
            f,
            "{} runs ({}) in {:.1} s: {} invocations, {} disturbed, {} connections cut, {} processes killed, {} violations",
            self.runs,
            listed(&self.kinds),
            self.elapsed.as_secs_f64(),
            self.invocations,
            self.troubles,
            self.cut,
            self.killed,
            self.violations.len()
        )?;
        write!(f, "errors: {}", listed(&self.errors))
    }
}

fn listed(counts: &BTreeMap<impl fmt::Display, u64>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_with_what_repeats_it_and_makes_the_report_unclean() {
        let violation = Violation {
            seed: 7,
            what: "nobody gets in".to_owned(),
            script: "1. createSecret\n".to_owned(),
            command: "make rotation-chaos RUNS=1 SEED=7".to_owned(),
        };
        let played = || Played {
            kind: "single-user",
            ..Played::default()
        };
        let mut report = Report::default();
        assert!(report.add(played(), None).is_none() && report.is_clean());
        let told = report.add(played(), Some(violation)).unwrap().to_string();
        for text in [told, report.to_string()] {
            assert!(
                text.contains("make rotation-chaos RUNS=1 SEED=7")
                    && text.contains("nobody gets in"),
                "{text}"
            );
        }
        assert!(!report.is_clean());
        assert_eq!((report.runs, report.kinds["single-user"]), (2, 2));
    }
}
