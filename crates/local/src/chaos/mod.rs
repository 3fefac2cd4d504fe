//! Rotations that are cut, delayed, killed, repeated and doubled at random, and what must hold all the same.
//!
//! Each run is a script, made of its seed (`script`), on a secret and passwords of its own (`scene`); the release binary
//! speaks with PostgreSQL and with the API through proxies of its player (`play`). After each act, and wherever a flight
//! stands still, the database has to accept `AWSCURRENT` or `AWSPENDING`, and of alternating users `AWSCURRENT` itself, or
//! what it accepted at first while nothing has happened; at the end a normal rotation has to succeed, and both users to
//! share their tables (`promise`). Seeds count up from the first, so that a run is repeated by its seed and its strategy.

mod play;
mod promise;
mod report;
mod scene;
mod script;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::canary;
use crate::{Database, Error, Stack, StackOptions, background};
use play::{Played, Player};
pub use report::{Report, Violation};
use script::Script;

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    /// The seed of the first run.
    pub seed: u64,
    /// How many runs.
    pub runs: u64,
    /// How many of them at a time.
    pub players: usize,
    /// By which strategy; without one each run's seed chooses.
    pub strategy: Option<Strategy>,
    /// How long the caller hears nothing, at most.
    pub silence: Duration,
}

/// How a rotation changes the password, as `ROTATION_STRATEGY` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one user changes its own.
    SingleUser,
    /// The master sets that of the user which is not current.
    AlternatingUsers,
}

/// What the caller hears while it goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// How far it is.
    Report(&'a Report),
    /// A promise was broken this moment.
    Violation(&'a Violation),
}

/// Plays on a stack of its own.
///
/// # Errors
/// If the stack fails; what the runs find is in the report.
pub async fn run(
    options: StackOptions,
    chaos: Chaos,
    told: impl Fn(Told<'_>),
) -> Result<Report, Error> {
    let stack = Arc::new(Stack::start(options).await?);
    let database = stack.database("chaos").await?;
    let started = Instant::now();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let company = Arc::new(Company {
        stack: Arc::clone(&stack),
        database,
        chaos,
        next_run: AtomicU64::new(0),
        next_player: AtomicUsize::new(0),
    });
    let mut players = JoinSet::new();
    for _ in 0..chaos.players {
        let playing = play_on(Arc::clone(&company), tell.clone());
        players.spawn_on(playing, background::handle());
    }
    drop(tell);
    let mut report = Report::default();
    let mut ticks = tokio::time::interval(chaos.silence);
    loop {
        tokio::select! {
            biased;
            Some((script, played)) = heard.recv() => {
                if let Some(violation) = report.add(&script, played) {
                    told(Told::Violation(violation));
                }
            }
            joined = players.join_next() => match joined {
                None => break,
                Some(Ok(played)) => played?,
                Some(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
            },
            _ = ticks.tick() => {
                report.elapsed = started.elapsed();
                told(Told::Report(&report));
            }
        }
    }
    stack.end()?;
    for function in stack.functions().names() {
        for line in stack.functions().log(&function) {
            let sink = format!("the log of {function}");
            report.leaks.extend(canary::search(&sink, &line.text));
        }
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

/// What the players share.
struct Company {
    stack: Arc<Stack>,
    database: Database,
    chaos: Chaos,
    next_run: AtomicU64,
    next_player: AtomicUsize,
}

impl Company {
    async fn player(&self) -> Result<Player, Error> {
        let number = self.next_player.fetch_add(1, Ordering::Relaxed);
        Player::enter(&self.stack, &self.database, number).await
    }

    fn script(&self) -> Option<Script> {
        let number = self.next_run.fetch_add(1, Ordering::Relaxed);
        let seed = self.chaos.seed.wrapping_add(number);
        (number < self.chaos.runs).then(|| Script::of(seed, self.chaos.strategy))
    }
}

async fn play_on(
    company: Arc<Company>,
    tell: mpsc::UnboundedSender<(Script, Played)>,
) -> Result<(), Error> {
    let mut player = company.player().await?;
    while let Some(script) = company.script() {
        let outcome = player.play(&script).await?;
        if outcome.violation.is_some() {
            player = company.player().await?;
        }
        // Nobody hears it who has met an error elsewhere.
        let _ = tell.send((script, outcome));
    }
    Ok(())
}

impl Strategy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::SingleUser, Self::AlternatingUsers];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SingleUser => "single-user",
            Self::AlternatingUsers => "alternating-users",
        })
    }
}
