//! Rotations that are cut, delayed, killed, repeated and doubled at random, and what must hold all the same.
//!
//! Each run is a script, made of its seed (`script`), on a secret and a password of its own; the release binary speaks
//! with PostgreSQL and with the API through proxies of its player (`play`). After each act the database has to accept
//! `AWSCURRENT` or `AWSPENDING`, or what it accepted at first while nothing has happened; at the end a normal rotation has
//! to succeed. Seeds count up from the first, so that a run is repeated by its seed alone.

mod play;
mod script;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::canary::{self, Find};
use crate::lock::lock;
use crate::{Error, Stack, StackOptions, background};
use play::Player;
use script::Script;

/// How many violations end it: the first ones say enough.
const ENOUGH: usize = 3;

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    /// The seed of the first run.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// How many of them at a time.
    pub players: usize,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Runs that were played.
    pub runs: u64,
    /// Invocations of the function, those of the normal rotations at the end left out.
    pub invocations: u64,
    /// Processes that were killed.
    pub killed: u64,
    /// How often a flight was disturbed, kills included.
    pub troubles: u64,
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
    /// What is wrong, after which act.
    pub what: String,
    /// All that happened in the run.
    pub script: String,
}

/// Plays on a stack of its own.
///
/// # Errors
/// If the stack does not start; what the runs find is in the report.
pub async fn run(options: StackOptions, chaos: Chaos, told: impl Fn(u64)) -> Result<Report, Error> {
    let stack = Arc::new(Stack::start(options).await?);
    let database = stack.database("chaos").await?;
    let started = Instant::now();
    let report = Arc::new(Mutex::new(Report::default()));
    let next = Arc::new(AtomicU64::new(0));
    let mut players = JoinSet::new();
    for number in 0..chaos.players {
        let player = Player::enter(&stack, &database, number).await?;
        let (report, next) = (Arc::clone(&report), Arc::clone(&next));
        let playing = play_on(player, chaos, next, report);
        players.spawn_on(playing, background::handle());
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            joined = players.join_next() => match joined {
                None => break,
                Some(Ok(played)) => played?,
                Some(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
            },
            _ = ticks.tick() => told(lock(&report).runs),
        }
    }
    stack.end()?;
    let mut report = std::mem::take(&mut *lock(&report));
    for function in stack.functions().names() {
        for line in stack.functions().log(&function) {
            let sink = format!("the log of {function}");
            report.leaks.extend(canary::search(&sink, &line.text));
        }
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

async fn play_on(
    player: Player,
    chaos: Chaos,
    next: Arc<AtomicU64>,
    report: Arc<Mutex<Report>>,
) -> Result<(), Error> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= chaos.runs || lock(&report).violations.len() >= ENOUGH {
            return Ok(());
        }
        let script = Script::of(chaos.seed.wrapping_add(number));
        let outcome = player.play(&script).await?;
        let mut all = lock(&report);
        all.runs += 1;
        all.invocations += outcome.invocations;
        all.killed += outcome.killed;
        all.troubles += outcome.troubles;
        for error in outcome.errors {
            *all.errors.entry(error).or_default() += 1;
        }
        all.violations
            .extend(outcome.violation.map(|what| Violation {
                seed: script.seed,
                what,
                script: script.to_string(),
            }));
    }
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.leaks.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            write!(
                f,
                "violation: {}\n{}repeat it: make rotation-chaos RUNS=1 SEED={}\n\n",
                violation.what, violation.script, violation.seed
            )?;
        }
        for leak in &self.leaks {
            writeln!(f, "{leak}")?;
        }
        writeln!(
            f,
            "{} runs in {:.1} s: {} invocations, {} disturbed, {} processes killed, {} violations",
            self.runs,
            self.elapsed.as_secs_f64(),
            self.invocations,
            self.troubles,
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
