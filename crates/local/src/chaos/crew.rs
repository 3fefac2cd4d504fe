//! Those who play, several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Played, Report, Runs, Told, Violation};
use crate::{Error, Stack, background, canary};

/// A game on a stack.
pub(super) trait Game: Send + Sync + 'static {
    /// Who plays one run after the other.
    type Player: Send;
    /// What happens in one run.
    type Script: std::fmt::Display + Send + Sync;

    /// Where it is played.
    fn stack(&self) -> &Stack;
    /// One more who plays.
    fn enter(&self, number: usize) -> impl Future<Output = Result<Self::Player, Error>> + Send;
    /// What happens in the run of this seed.
    fn script(&self, seed: u64) -> Self::Script;
    /// Plays to the end, or to the first broken promise. Behind one the player is of no further use: what runs of it may go on
    /// for a while.
    fn play(
        player: &mut Self::Player,
        script: &Self::Script,
    ) -> impl Future<Output = Result<Played, Error>> + Send;
    /// What plays the run of this script again.
    fn command(script: &Self::Script) -> String;
}

/// Plays all runs.
pub(super) async fn play<G: Game>(
    game: G,
    runs: Runs,
    told: impl Fn(Told<'_>),
) -> Result<Report, Error> {
    let started = Instant::now();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let company = Arc::new(Company {
        game,
        runs,
        next_run: AtomicU64::new(0),
        next_player: AtomicUsize::new(0),
    });
    let mut players = JoinSet::new();
    for _ in 0..runs.players {
        let playing = play_on(Arc::clone(&company), tell.clone());
        players.spawn_on(playing, background::handle());
    }
    drop(tell);
    let mut report = Report::default();
    let mut ticks = tokio::time::interval(runs.silence);
    loop {
        tokio::select! {
            biased;
            Some((played, violation)) = heard.recv() => {
                if let Some(violation) = report.add(played, violation) {
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
    let stack = company.game.stack();
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
struct Company<G> {
    game: G,
    runs: Runs,
    next_run: AtomicU64,
    next_player: AtomicUsize,
}

impl<G: Game> Company<G> {
    async fn player(&self) -> Result<G::Player, Error> {
        let number = self.next_player.fetch_add(1, Ordering::Relaxed);
        self.game.enter(number).await
    }

    fn script(&self) -> Option<(u64, G::Script)> {
        let number = self.next_run.fetch_add(1, Ordering::Relaxed);
        let seed = self.runs.seed.wrapping_add(number);
        (number < self.runs.runs).then(|| (seed, self.game.script(seed)))
    }
}

async fn play_on<G: Game>(
    company: Arc<Company<G>>,
    tell: mpsc::UnboundedSender<(Played, Option<Violation>)>,
) -> Result<(), Error> {
    let mut player = company.player().await?;
    while let Some((seed, script)) = company.script() {
        let mut outcome = G::play(&mut player, &script).await?;
        let violation = outcome.violation.take().map(|what| Violation {
            seed,
            what,
            script: script.to_string(),
            command: G::command(&script),
        });
        if violation.is_some() {
            player = company.player().await?;
        }
        // Nobody hears it who has met an error elsewhere.
        let _ = tell.send((outcome, violation));
    }
    Ok(())
}
