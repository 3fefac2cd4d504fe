//! How it went, for a person to read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Strategy;
use super::play::Played;
use super::script::Script;
use crate::canary::Find;

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs that were played.
    pub runs: u64,
    /// Those of alternating users among them.
    pub alternating: u64,
    /// Invocations of the function, those of the normal rotations at the end left out.
    pub invocations: u64,
    /// How often a flight was disturbed.
    pub troubles: u64,
    /// Connections that were reset for it.
    pub cut: u64,
    /// Processes that were killed for it.
    pub killed: u64,
    /// How often each error was the answer, by its type.
    pub errors: BTreeMap<String, u64>,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Passwords in what the functions wrote.
    pub leaks: Vec<Find>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// Its strategy.
    pub strategy: Strategy,
    /// What is wrong, and when it was seen.
    pub what: String,
    /// All that happens in the run.
    pub script: String,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.leaks.is_empty()
    }

    /// Adds a run; its violation.
    pub(super) fn add(&mut self, script: &Script, played: Played) -> Option<&Violation> {
        self.runs += 1;
        self.alternating += u64::from(script.strategy == Strategy::AlternatingUsers);
        self.invocations += played.invocations;
        self.troubles += played.troubles;
        self.cut += played.cut;
        self.killed += played.killed;
        for error in played.errors {
            *self.errors.entry(error).or_default() += 1;
        }
        let violation = Violation {
            seed: script.seed,
            strategy: script.strategy,
            what: played.violation?,
            script: script.to_string(),
        };
        self.violations.push(violation);
        self.violations.last()
    }
}

impl Violation {
    /// What plays the same run again.
    pub fn command(&self) -> String {
        format!(
            "make rotation-chaos RUNS=1 SEED={} STRATEGY={}",
            self.seed, self.strategy
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, script, .. } = self;
        write!(
            f,
            "violation: {what}\n{script}repeat it: {}",
            self.command()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "violation: {}: {}", violation.command(), violation.what)?;
        }
        for leak in &self.leaks {
            writeln!(f, "{leak}")?;
        }
        writeln!(
            f,
            "{} runs, {} of them of alternating users, in {:.1} s: {} invocations, {} disturbed, {} connections cut, \
             {} processes killed, {} violations",
            self.runs,
            self.alternating,
            self.elapsed.as_secs_f64(),
            self.invocations,
            self.troubles,
            self.cut,
            self.killed,
            self.violations.len()
        )?;
        let errors: Vec<String> = self
            .errors
            .iter()
            .map(|(error, count)| format!("{error} {count}"))
            .collect();
        write!(f, "errors: {}", errors.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_with_what_repeats_it_and_makes_the_report_unclean() {
        let script = Script::of(7, Some(Strategy::AlternatingUsers));
        let played = Played {
            violation: Some("nobody gets in".to_owned()),
            ..Played::default()
        };
        let mut report = Report::default();
        assert!(report.add(&script, Played::default()).is_none() && report.is_clean());
        let told = report.add(&script, played).unwrap().to_string();
        let command = "make rotation-chaos RUNS=1 SEED=7 STRATEGY=alternating-users";
        for text in [told, report.to_string()] {
            assert!(
                text.contains(command) && text.contains("nobody gets in"),
                "{text}"
            );
        }
        assert!(!report.is_clean());
        assert_eq!((report.runs, report.alternating), (2, 2));
    }
}
