//! `chaos`: rotations with random faults, until one breaks a promise.

use std::process::ExitCode;

use clap::Args;

use super::{print, progress};
use crate::chaos::{self, Chaos};
use crate::{Error, StackOptions};

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

pub(super) async fn run(options: StackOptions, numbers: Numbers) -> Result<ExitCode, Error> {
    let seed = numbers
        .seed
        .unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    progress(&format!("{} runs from SEED={seed} on", numbers.runs));
    let chaos = Chaos {
        seed,
        runs: numbers.runs,
        players: numbers.players,
    };
    let report = chaos::run(options, chaos, |runs| progress(&format!("{runs} runs"))).await?;
    print(&format!("{report}\n"))?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
