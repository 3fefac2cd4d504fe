//! One run: everything that is measured, in its order.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use anyhow::Result;
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::figures::{Figure, Figures, Machine, Unit};
use crate::setting::Setting;
use crate::{original, rotation, start, warm};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Starts of each program.
    pub(crate) starts: usize,
    /// Processes of each program among which the invocations of a case are divided.
    pub(crate) rounds: usize,
    /// By what the numbers of invocations are divided.
    divisor: usize,
}

/// What a function's zip weighs, and may and should at most: what `tools/package/zip.py sizes` tells.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Size {
    bytes: u32,
    limit: u32,
    goal: u32,
}

impl Effort {
    /// Enough for medians that two runs agree on.
    pub(crate) const FULL: Self = Self {
        starts: 31,
        rounds: 9,
        divisor: 1,
    };
    /// Enough to see that it runs.
    pub(crate) const QUICK: Self = Self {
        starts: 5,
        rounds: 1,
        divisor: 10,
    };

    pub(crate) fn of(self, invocations: usize) -> usize {
        invocations / self.divisor
    }
}

/// Measures everything.
///
/// # Errors
/// If a part of the stack does not start, or a measured program does not do its work.
pub(crate) async fn all(effort: Effort, sizes: &BTreeMap<String, Size>) -> Result<Figures> {
    let (setting, mut figures) = begin(effort).await?;
    progress("starts");
    start::measure(&setting, effort, &mut figures).await?;
    warm::measure(&setting, effort, &mut figures).await?;
    original::measure(&setting, effort, &mut figures).await?;
    // Last, because those before log in with the password that it replaces.
    rotation::measure(&setting, effort, &mut figures).await?;
    for (function, size) in sizes {
        let name = format!("size, {function}.zip");
        let figure = Figure::new(&name, Unit::Bytes, size.bytes.into());
        figures.add(figure.limited(size.limit.into(), size.goal.into()));
    }
    Ok(figures)
}

/// Measures only what a large batch needs of memory.
///
/// # Errors
/// As [`all`].
pub(crate) async fn memory(effort: Effort) -> Result<Figures> {
    let (setting, mut figures) = begin(effort).await?;
    warm::large_batch(&setting, effort, &mut figures).await?;
    Ok(figures)
}

async fn begin(effort: Effort) -> Result<(Setting, Figures)> {
    progress("starting PostgreSQL, the AWS API and a stub S3");
    let setting = Setting::start().await?;
    let figures = Figures {
        machine: machine(setting.stack.server().version, effort.divisor > 1)?,
        figures: Vec::new(),
    };
    Ok((setting, figures))
}

/// Where this program runs.
#[expect(
    clippy::disallowed_methods,
    reason = "a run is told from others by its day"
)]
pub(crate) fn machine(postgresql: u32, quick: bool) -> Result<Machine> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    // A checkout without git is measured all the same.
    let version = described.map_or_else(|_| Vec::new(), |described| described.stdout);
    Ok(Machine {
        date: OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day]"))?,
        processor: processor.to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
        postgresql,
        version: String::from_utf8_lossy(&version).trim().to_owned(),
        quick,
    })
}

/// Says what goes on, to the person.
pub(crate) fn progress(line: &str) {
    // Nobody may be reading any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}
