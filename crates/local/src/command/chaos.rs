//! `rotation-chaos` and `capture-chaos`: what goes wrong at random, and every promise that it breaks.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{print, progress};
use crate::chaos::rotation::Strategy;
use crate::chaos::{Report, Runs, Told, capture, rotation};
use crate::{Error, StackOptions};

/// Between two lines about how far it is: for somebody who watches, and for a log.
const WATCHED: Duration = Duration::from_secs(3);
const UNWATCHED: Duration = Duration::from_secs(30);

/// What may be chosen.
#[derive(Args, Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// how many runs
    #[arg(long, default_value_t = 300)]
    runs: u64,
    /// the seed of the first run, as a violation names it; otherwise a random one
    #[arg(long)]
    seed: Option<u64>,
    /// how many runs at a time
    #[arg(long, default_value_t = 12)]
    players: usize,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategies {
    SingleUser,
    AlternatingUsers,
    Both,
}

pub(super) async fn rotations(
    options: StackOptions,
    numbers: Numbers,
    strategies: Strategies,
) -> Result<ExitCode, Error> {
    let strategy = match strategies {
        Strategies::SingleUser => Some(Strategy::SingleUser),
        Strategies::AlternatingUsers => Some(Strategy::AlternatingUsers),
        Strategies::Both => None,
    };
    let runs = numbers.begin();
    let told = |told: Told<'_>| progress(&line(&told, runs.runs));
    end(&rotation::run(options, runs, strategy, told).await?)
}

pub(super) async fn captures(options: StackOptions, numbers: Numbers) -> Result<ExitCode, Error> {
    let runs = numbers.begin();
    let told = |told: Told<'_>| progress(&line(&told, runs.runs));
    end(&capture::run(options, runs, told).await?)
}

impl Numbers {
    /// Chooses what nobody has chosen, and says so.
    fn begin(self) -> Runs {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
        progress(&format!("{} runs from SEED={seed} on", self.runs));
        Runs {
            seed,
            runs: self.runs,
            players: self.players,
            silence: if stderr().is_terminal() {
                WATCHED
            } else {
                UNWATCHED
            },
        }
    }
}

fn end(report: &Report) -> Result<ExitCode, Error> {
    print(&format!("{report}\n"))?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn line(told: &Told<'_>, runs: u64) -> String {
    match told {
        Told::Violation(violation) => violation.to_string(),
        Told::Report(report) => format!(
            "{:>6.1} s  {} of {runs} runs, {} violations",
            report.elapsed.as_secs_f64(),
            report.runs,
            report.violations.len()
        ),
    }
}
