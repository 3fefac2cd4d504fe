//! The command line of `turnkeep-bench`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde::de::DeserializeOwned;

use crate::compare;
use crate::figures::Figures;
use crate::run::{self, Effort, progress};

const EXAMPLES: &str = "\
Examples:
  make bench                              # all figures, a few minutes
  make bench QUICK=1                      # a tenth of the work, to see that it runs
  make bench-compare                      # the same, beside the stored run
  make bench-compare AGAINST=old.json     # beside another one
  make bench-store                        # keep the last run as the stored one";

/// measures what Turnkeep costs, beside the least that could do its work
#[derive(Debug, Parser)]
#[command(name = "turnkeep-bench", version, max_term_width = 120, after_help = EXAMPLES)]
struct Arguments {
    /// print this run beside an earlier one, by ratios
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// a tenth of the work
    #[arg(long)]
    quick: bool,
    /// only the peak memory of a batch of 6 MB, which asks no clock
    #[arg(long)]
    memory: bool,
    /// sizes of the functions' zips, as `tools/package/zip.py sizes` tells them
    #[arg(long, value_name = "FILE")]
    sizes: Option<PathBuf>,
    /// where the figures go, as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench/last.json")]
    output: PathBuf,
}

/// Reads the command line, measures, prints and writes. Fails if a figure exceeds its limit.
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
    // Before minutes of work, not after them.
    let earlier: Option<Figures> = match &arguments.against {
        Some(file) => Some(read(
            file,
            "the run to compare with (`make bench-store` keeps one)",
        )?),
        None => None,
    };
    let effort = if arguments.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let sizes = match &arguments.sizes {
        Some(file) => read(file, "the sizes")?,
        None => BTreeMap::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let figures = if arguments.memory {
        runtime.block_on(run::memory(effort))?
    } else {
        runtime.block_on(run::all(effort, &sizes))?
    };
    write(&figures, &arguments.output)?;
    let mut text = figures.machine.line() + "\n\n" + &figures.table();
    if let Some(earlier) = &earlier {
        text = text + "\n" + &compare::report(earlier, &figures);
    }
    std::io::stdout().write_all(text.as_bytes())?;
    progress(&format!("written to {}", arguments.output.display()));
    let exceeded: Vec<&str> = figures.exceeded().map(|it| it.name.as_str()).collect();
    if !exceeded.is_empty() {
        progress(&format!("over the limit: {}", exceeded.join("; ")));
    }
    Ok(exceeded.is_empty())
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("read {what}, {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} does not hold {what}", path.display()))
}

fn write(figures: &Figures, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
