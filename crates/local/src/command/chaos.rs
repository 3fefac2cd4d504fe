//! `chaos`: rotations with random faults, and every promise that one breaks.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{print, progress};
use crate::chaos::{self, Chaos, Strategy, Told};
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
    /// by which strategy; of both, each run's seed chooses
    #[arg(long, value_enum, default_value_t = Strategies::Both)]
    strategy: Strategies,
    /// how many runs at a time
    #[arg(long, default_value_t = 12)]
    players: usize,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Strategies {
    SingleUser,
    AlternatingUsers,
    Both,
}

pub(super) async fn run(options: StackOptions, numbers: Numbers) -> Result<ExitCode, Error> {
    let seed = numbers
        .seed
        .unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    progress(&format!("{} runs from SEED={seed} on", numbers.runs));
    let chaos = Chaos {
        seed,
        runs: numbers.runs,
        players: numbers.players,
        strategy: match numbers.strategy {
            Strategies::SingleUser => Some(Strategy::SingleUser),
            Strategies::AlternatingUsers => Some(Strategy::AlternatingUsers),
            Strategies::Both => None,
        },
        silence: if stderr().is_terminal() {
            WATCHED
        } else {
            UNWATCHED
        },
    };
    let report = chaos::run(options, chaos, |told| progress(&line(&told, numbers.runs))).await?;
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
