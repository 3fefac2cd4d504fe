//! Tasks that open connections without pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use local::wait;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Connect;
use crate::client::{Client, Counts};
use crate::clock::Clock;

/// More than a connect takes on a machine that is busy with other things, where each of many waits for all before it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Connectors at work; they end with this value.
pub(crate) struct Connectors {
    shared: Arc<Shared>,
    /// How many connects each of them has ended.
    ended: Vec<Arc<AtomicU64>>,
    tasks: JoinSet<Notes>,
}

struct Shared {
    client: Client,
    clock: Clock,
    stop: AtomicBool,
    failed: AtomicU64,
}

/// What one or all of them have noted.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) connects: Vec<Connect>,
    /// When a connect failed first, and why.
    pub(crate) failure: Option<(Duration, String)>,
}

impl Connectors {
    pub(crate) fn start(number: usize, client: Client, clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            client,
            clock,
            stop: AtomicBool::new(false),
            failed: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        let ended = (0..number).map(|_| {
            let ended = Arc::new(AtomicU64::new(0));
            tasks.spawn(connect_on(Arc::clone(&shared), Arc::clone(&ended)));
            ended
        });
        Self {
            ended: ended.collect(),
            shared,
            tasks,
        }
    }

    /// Waits until every one of them has ended so many connects more.
    pub(crate) async fn connect(&self, times: u64, patience: Duration) -> Result<()> {
        let goals: Vec<_> = self.count().into_iter().map(|one| one + times).collect();
        wait::until("connects of every connector", patience, async || {
            let ended = self.count();
            let done = ended.iter().zip(&goals).all(|(ended, goal)| ended >= goal);
            done.then_some(())
        })
        .await?;
        Ok(())
    }

    /// How many connects have ended, and how many of them have failed.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let ended = self.count().iter().sum();
        (ended, self.shared.failed.load(Ordering::Relaxed))
    }

    pub(crate) fn counts(&self) -> Counts {
        self.shared.client.counts()
    }

    /// Lets the last connects end.
    pub(crate) async fn stop(mut self) -> Result<Notes> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Notes::default();
        while let Some(notes) = self.tasks.join_next().await {
            let notes = notes?;
            all.connects.extend(notes.connects);
            let failures = [all.failure, notes.failure];
            all.failure = failures.into_iter().flatten().min();
        }
        all.connects.sort_by_key(|connect| connect.started);
        Ok(all)
    }

    fn count(&self) -> Vec<u64> {
        let ended = self.ended.iter();
        ended.map(|ended| ended.load(Ordering::Relaxed)).collect()
    }
}

async fn connect_on(shared: Arc<Shared>, ended: Arc<AtomicU64>) -> Notes {
    let mut notes = Notes::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let started = shared.clock.now();
        let attempt = shared.client.connect(Instant::now() + DEADLINE).await;
        let now = shared.clock.now();
        let outcome = attempt.outcome.map_err(|failure| {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            let reason = failure.reason;
            notes
                .failure
                .get_or_insert_with(|| (now, format!("{reason:#}")));
            failure.code
        });
        notes.connects.push(Connect {
            started,
            ended: now,
            outcome,
            refused: attempt.refused,
        });
        ended.fetch_add(1, Ordering::Relaxed);
    }
    notes
}
