//! Signs of life on standard error while something takes its time.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::output::say;

/// What may pass before the first line, and between two lines about the same wait.
const FIRST: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(5);

/// Waits for `work`, and tells what it waits for once that takes longer than two seconds.
pub(crate) async fn watch<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut ticks = interval_at(started + FIRST, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut work = Box::pin(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = ticks.tick() => say(&format!("{}  waiting for {what}", stamp(started.elapsed()))),
        }
    }
}

/// Returns a time since the start in a column of its own: seconds with a tenth.
pub(crate) fn stamp(elapsed: Duration) -> String {
    format!("{:>6.1} s", elapsed.as_secs_f64())
}

/// Tells how far something has come, at most once a second.
pub(crate) struct Meter {
    started: Instant,
    told: Instant,
}

impl Meter {
    const EVERY: Duration = Duration::from_secs(1);

    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            told: now,
        }
    }

    /// Tells it, unless it was told a moment ago.
    pub(crate) fn tell(&mut self, sentence: impl FnOnce(Duration) -> String) {
        let now = Instant::now();
        if now - self.told >= Self::EVERY {
            self.told = now;
            let elapsed = now - self.started;
            say(&format!("{}  {}", stamp(elapsed), sentence(elapsed)));
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How many a second that is, to the whole one.
pub(crate) fn per_second(number: usize, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    u64::try_from(number)
        .unwrap_or(u64::MAX)
        .saturating_mul(1000)
        / milliseconds
}
