//! The runs as tables and as JSON, and what must hold.

use load::{Latency, PerTurn, Plan, Policy, Run, Strategy, Summary};
use serde::Serialize;

use crate::figures::{Machine, aligned};

/// By how many milliseconds more a connect of the session may take at the 99th percentile if it meets a gap.
const LONGER_AT_P99: f64 = 150.0;

/// All runs, and where they took place.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) connectors: u16,
    pub(crate) runs: Vec<Done>,
}

/// A run that is over.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    #[serde(flatten)]
    plan: Plan,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<String>,
    figures: Summary,
}

impl Done {
    pub(crate) fn of(run: &Run) -> Self {
        Self {
            plan: run.plan,
            elapsed_seconds: run.elapsed.as_secs_f64(),
            first_failure: run.first_failure.clone(),
            figures: Summary::of(run),
        }
    }

    /// What is not as it should be.
    fn problems(&self) -> Vec<String> {
        let figures = &self.figures;
        let is_noticed = self.plan.strategy == Strategy::SingleUser && !self.plan.pause.is_zero();
        let mut problems = Vec::new();
        match self.plan.policy {
            Policy::Session => {
                if figures.failed > 0 {
                    let first = self.first_failure.as_deref().unwrap_or_default();
                    problems.push(format!(
                        "{} connects failed, the first with: {first}",
                        figures.failed
                    ));
                }
                let longer = figures.longer_at_p99();
                // What cannot be told is no pass.
                if longer.is_none_or(|longer| longer > LONGER_AT_P99) {
                    problems.push(format!(
                        "a connect takes {} longer at p99 if it meets a gap; the limit is {LONGER_AT_P99} ms",
                        shown(longer)
                    ));
                }
                if is_noticed && figures.logins_in_gap.pending == 0 {
                    problems
                        .push("no login was by AWSPENDING, so that nothing is shown".to_owned());
                }
            }
            Policy::RefreshOnce => {
                if is_noticed && figures.failed_in_gap == 0 {
                    problems.push("no connect failed, so that nothing is shown".to_owned());
                }
            }
        }
        let named = problems.into_iter();
        named
            .map(|problem| format!("{}: {problem}", self.plan))
            .collect()
    }

    /// What became of connects.
    fn row(&self) -> [String; 12] {
        let figures = &self.figures;
        let p50 = |latency: Option<Latency>| shown(latency.map(|latency| latency.p50_ms));
        let p99 = |latency: Option<Latency>| shown(latency.map(|latency| latency.p99_ms));
        let percent = figures.failed_in_gap_percent();
        [
            self.plan.to_string(),
            self.plan.rotations.to_string(),
            p50(figures.gap),
            figures.connects.to_string(),
            figures.failed.to_string(),
            figures.connects_in_gap.to_string(),
            percent.map_or_else(String::new, |percent| format!("{percent:.1} %")),
            p50(figures.outside),
            p50(figures.in_gap),
            p99(figures.outside),
            p99(figures.in_gap),
            shown(figures.longer_at_p99()),
        ]
    }

    /// What it took.
    fn cost(&self) -> [String; 6] {
        let figures = &self.figures;
        let per_turn = |count: PerTurn| format!("{:.1}, at most {}", count.mean, count.most);
        [
            self.plan.to_string(),
            figures.logins.current.to_string(),
            figures.logins.pending.to_string(),
            figures.logins.previous.to_string(),
            per_turn(figures.refused),
            per_turn(figures.reads),
        ]
    }
}

impl Report {
    /// What is not as it should be, a line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.runs.iter().flat_map(Done::problems).collect()
    }

    /// The tables, in Markdown, so that they can stand in a page as they are.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![
            [
                "run",
                "rotations",
                "gap",
                "connects",
                "failed",
                "met a gap",
                "failed of these",
                "p50 outside",
                "p50 in a gap",
                "p99 outside",
                "p99 in a gap",
                "more at p99",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.runs.iter().map(Done::row));
        let mut costs = vec![
            [
                "run",
                "AWSCURRENT",
                "AWSPENDING",
                "AWSPREVIOUS",
                "refused logins a rotation",
                "reads of the secret a rotation",
            ]
            .map(str::to_owned),
        ];
        costs.extend(self.runs.iter().map(Done::cost));
        format!(
            "{}, {} connectors\n\n{}\nLogins by the label that the version had at that moment, and what a rotation cost all \
             connectors together:\n\n{}",
            self.machine.line(),
            self.connectors,
            aligned(&rows),
            aligned(&costs)
        )
    }
}

/// Milliseconds, for people; nothing where there is no figure.
fn shown(milliseconds: Option<f64>) -> String {
    milliseconds.map_or_else(String::new, |value| {
        if value.abs() < 1000.0 {
            format!("{value:.0} ms")
        } else {
            format!("{:.2} s", value / 1000.0)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use load::{ByStage, PerTurn};

    use super::*;

    fn done(policy: Policy, failed: usize, pending: usize, longer: f64) -> Done {
        let latency = |p50_ms, p99_ms| Some(Latency { p50_ms, p99_ms });
        let plan = Plan {
            strategy: Strategy::SingleUser,
            policy,
            connectors: 32,
            rotations: 2,
            pause: Duration::from_secs(1),
        };
        Done {
            plan,
            elapsed_seconds: 3.0,
            first_failure: (failed > 0).then(|| "refused".to_owned()),
            figures: Summary {
                connects: 1000,
                failed,
                connects_in_gap: 500,
                failed_in_gap: failed,
                gap: latency(1040.0, 1100.0),
                in_gap: latency(20.0, 50.0 + longer),
                outside: latency(20.0, 50.0),
                logins: ByStage {
                    current: 600,
                    pending,
                    previous: 0,
                },
                logins_in_gap: ByStage {
                    current: 0,
                    pending,
                    previous: 0,
                },
                refused: PerTurn { mean: 1.5, most: 2 },
                reads: PerTurn { mean: 2.0, most: 2 },
            },
        }
    }

    #[track_caller]
    fn check(done: &Done, expected: &[&str]) {
        let problems = done.problems();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn what_is_promised_of_the_session_is_held_against_it() {
        use Policy::{RefreshOnce, Session};
        check(&done(Session, 0, 400, 150.0), &[]);
        check(
            &done(Session, 3, 400, 20.0),
            &["single user, 1 s, session: 3 connects failed, the first with: refused"],
        );
        check(&done(Session, 0, 400, 151.0), &["151 ms longer at p99"]);
        check(&done(Session, 0, 0, 0.0), &["AWSPENDING"]);
        check(&done(RefreshOnce, 300, 0, 900.0), &[]);
        check(&done(RefreshOnce, 0, 0, 0.0), &["nothing is shown"]);
    }

    #[test]
    fn the_tables_show_every_run() {
        let report = Report {
            machine: Machine::default(),
            connectors: 32,
            runs: vec![
                done(Policy::Session, 0, 400, 25.0),
                done(Policy::RefreshOnce, 450, 0, 0.0),
            ],
        };
        let text = report.text();
        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "| single user, 1 s, session | 2 | 1.04 s | 1000 | 0 | 500 | 0.0 % |",
            "| 50 ms | 75 ms | 25 ms |",
            "| single user, 1 s, refresh once | 2 | 1.04 s | 1000 | 450 | 500 | 90.0 % |",
            "| single user, 1 s, session | 600 | 400 | 0 | 1.5, at most 2 | 2.0, at most 2 |",
        ] {
            assert!(squeezed.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn the_figures_say_of_which_run_they_are() {
        let done = serde_json::to_value(done(Policy::RefreshOnce, 450, 0, 0.0)).unwrap();
        assert_eq!(done["strategy"], "single-user");
        assert_eq!(done["policy"], "refresh-once");
        assert_eq!(done["pause_seconds"], 1.0);
        assert_eq!(done["figures"]["failed_in_gap"], 450);
    }
}
