//! How fast `turnkeep replay` rebuilds an empty database from a local S3.

use std::io::Write as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Parser;
use conversation::{Delivery, Document, Layout, adapt, sanitize};
use serde_json::Value;

use crate::events::Shape;
use crate::run::{machine, progress};
use crate::setting::{Home, Setting};

const EXAMPLES: &str = "\
Examples:
  make replay-rate                 # 20 000 events of 2 KiB, below a minute
  make replay-rate EVENTS=100000";

/// measures how many events a second `turnkeep replay` brings from a local S3 into an empty database
#[derive(Debug, Parser)]
#[command(name = "turnkeep-replay-rate", version, max_term_width = 120, after_help = EXAMPLES)]
struct Arguments {
    /// how many events the archive has
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    /// bytes of an event
    #[arg(long, default_value_t = 2048)]
    bytes: usize,
    /// objects that are read at a time
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// what is promised: fewer events a second are a failure; 0 promises nothing
    #[arg(long, default_value_t = 1000)]
    at_least: u64,
}

/// Reads the command line, measures and prints. Fails if it is slower than promised, or if an event is missing afterwards.
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
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        progress("starting PostgreSQL and the AWS API");
        let setting = Setting::start().await?;
        let home = setting.home("replay").await?;
        fill(&setting, &home, arguments)?;
        progress(&format!("replaying {} events", arguments.events));
        let concurrency = arguments.concurrency.to_string();
        let first = replay(&setting, &home, &concurrency)?;
        let (events, messages) = setting.rows(&home).await?;
        let expected = i64::try_from(arguments.events)?;
        ensure!(
            (events, messages) == (expected, 2 * expected),
            "{events} events and {messages} messages instead of {expected} and twice that"
        );
        let again = replay(&setting, &home, &concurrency)?;
        let of = |replayed: &Value, name: &str| replayed[name].as_u64().unwrap_or_default();
        let rate = of(&first, "events_per_second");
        let text = format!(
            "{}\n{} events of {} bytes into an empty database: {} ms, {rate} events/s\n\
             the same again, all of them there already: {} ms, {} events/s\n",
            machine(setting.stack.server().version, false)?.line(),
            arguments.events,
            arguments.bytes,
            of(&first, "elapsed_ms"),
            of(&again, "elapsed_ms"),
            of(&again, "events_per_second"),
        );
        std::io::stdout().write_all(text.as_bytes())?;
        if rate < arguments.at_least {
            progress(&format!("slower than {} events/s", arguments.at_least));
        }
        Ok(rate >= arguments.at_least)
    })
}

/// Puts what capture would have put.
fn fill(setting: &Setting, home: &Home, arguments: &Arguments) -> Result<()> {
    let shape = Shape {
        batch: None,
        bytes: arguments.bytes,
    };
    for number in 0..arguments.events {
        let text = shape.payload(number);
        let clean = sanitize::clean(text.as_bytes());
        for capture in adapt::captures(Document::read(&clean)?, &Delivery::direct(None))? {
            let object = capture.object(Layout::Turn);
            let checksum = BASE64.encode(object.sha256);
            setting
                .s3
                .put(&home.bucket, &object.key, object.body, checksum);
        }
    }
    Ok(())
}

fn replay(setting: &Setting, home: &Home, concurrency: &str) -> Result<Value> {
    let arguments = ["replay", "--json", "--concurrency", concurrency];
    let ran = Command::new(setting.binary("turnkeep"))
        .args(arguments)
        .env_clear()
        .envs(setting.of_command(home))
        .output()
        .context("run turnkeep")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "turnkeep {arguments:?}: {said}");
    serde_json::from_slice(&ran.stdout).context("read the report of turnkeep replay")
}
