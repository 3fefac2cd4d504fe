//! The command line of `turnkeep-rotation-load`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use load::{Plan, Policy, Run, Setting, Strategy};
use local::StackOptions;

use super::report::{Done, Report};
use super::timeline;
use crate::run::{machine, progress};

const EXAMPLES: &str = "\
Examples:
  make rotation-load                  # everything, some twenty minutes
  make rotation-load QUICK=1          # a tenth of the rotations and no long ones, two minutes
  make rotation-load ROTATIONS=50
  make rotation-load-store            # keep the last run's picture in docs/";

/// A gap that a client notices; the picture shows it.
const SECOND: Duration = Duration::from_secs(1);
/// As long as a function takes that has to be started again and again.
const LONG: Duration = Duration::from_secs(30);
/// How many rotations with a long gap there are.
const LONG_ROTATIONS: usize = 2;

/// opens connections without pause through real rotations, and counts those that fail
#[derive(Debug, Parser)]
#[command(name = "turnkeep-rotation-load", version, max_term_width = 120, after_help = EXAMPLES)]
struct Arguments {
    /// how many rotations each run of the session has; one with a gap of 30 s has two
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    rotations: u16,
    /// how many connectors open connections at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=64))]
    connectors: u16,
    /// a tenth of the rotations, and no gap of 30 s
    #[arg(long)]
    quick: bool,
    /// the folder for figures.json and timeline.svg
    #[arg(long, value_name = "FOLDER", default_value = "target/rotation-load")]
    output: PathBuf,
}

/// Reads the command line, runs, prints and writes. Fails if what is promised does not hold.
pub fn run() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failed) => {
            progress(&format!("error: {failed:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (report, picture) = runtime.block_on(all(arguments))?;
    let figures = serde_json::to_string_pretty(&report)? + "\n";
    write(&arguments.output.join("figures.json"), &figures)?;
    if let Some(picture) = picture {
        write(&arguments.output.join("timeline.svg"), &picture)?;
    }
    std::io::stdout().write_all(report.text().as_bytes())?;
    let problems = report.problems();
    for problem in &problems {
        progress(&format!("not as promised: {problem}"));
    }
    Ok(problems.is_empty())
}

/// All runs, and the picture of a rotation under both policies.
async fn all(arguments: &Arguments) -> Result<(Report, Option<String>)> {
    progress("starting PostgreSQL and the AWS API");
    let setting = Setting::start(StackOptions::from_environment()?).await?;
    let mut report = Report {
        machine: machine(setting.stack().server().version, arguments.quick)?,
        connectors: arguments.connectors,
        runs: Vec::new(),
    };
    let mut shown: Vec<Run> = Vec::new();
    for plan in plans(arguments) {
        progress(&format!("{plan}: {} rotations", plan.rotations));
        let run = load::run(&setting, plan, progress)
            .await
            .with_context(|| plan.to_string())?;
        report.runs.push(Done::of(&run));
        if (plan.strategy, plan.pause) == (Strategy::SingleUser, SECOND) {
            shown.push(run);
        }
    }
    Ok((report, timeline::draw(&shown)))
}

fn plans(arguments: &Arguments) -> Vec<Plan> {
    let rotations = usize::from(arguments.rotations);
    let kinds: &[(Duration, usize)] = if arguments.quick {
        let tenth = rotations.div_ceil(10);
        &[(Duration::ZERO, tenth), (SECOND, tenth)]
    } else {
        &[
            (Duration::ZERO, rotations),
            (SECOND, rotations),
            (LONG, LONG_ROTATIONS),
        ]
    };
    let mut plans = Vec::new();
    for strategy in Strategy::ALL {
        for (pause, rotations) in kinds {
            for (policy, rotations) in [
                (Policy::Session, *rotations),
                // Only to be set beside it.
                (Policy::RefreshOnce, rotations.div_ceil(10)),
            ] {
                plans.push(Plan {
                    strategy,
                    policy,
                    connectors: usize::from(arguments.connectors),
                    rotations,
                    pause: *pause,
                });
            }
        }
    }
    plans
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    progress(&format!("written to {}", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_policies_meet_every_kind_of_gap() {
        let full = plans(&Arguments::parse_from(["turnkeep-rotation-load"]));
        let shown = |plan: &Plan| format!("{plan}: {}", plan.rotations);
        let shown: Vec<_> = full.iter().map(shown).collect();
        assert_eq!(
            shown.get(..6).unwrap(),
            [
                "single user, 0 s, session: 200",
                "single user, 0 s, refresh once: 20",
                "single user, 1 s, session: 200",
                "single user, 1 s, refresh once: 20",
                "single user, 30 s, session: 2",
                "single user, 30 s, refresh once: 1",
            ]
        );
        assert_eq!(full.len(), 12);
        let quick = ["turnkeep-rotation-load", "--quick", "--rotations", "5"];
        let quick = plans(&Arguments::parse_from(quick));
        assert_eq!(quick.len(), 8);
        assert!(quick.iter().all(|plan| plan.rotations == 1));
    }
}
