//! Waiting for a condition, with a deadline and a reason.

use std::fmt;
use std::time::{Duration, Instant};

/// A condition did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// What was awaited.
    pub what: String,
    /// How long.
    pub waited: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:.1} s in vain for: {}",
            self.waited.as_secs_f64(),
            self.what
        )
    }
}

impl std::error::Error for TimedOut {}

/// Asks `condition` until it answers with a value, at most for `deadline`.
///
/// The condition is asked at least twice, the last time at the deadline: a machine that stood still meanwhile does not
/// turn a true condition into a failure.
pub async fn until<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        let last = started.elapsed() >= deadline;
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if last {
            return Err(TimedOut {
                what: what.into(),
                waited: started.elapsed(),
            });
        }
        tokio::time::sleep(pause.min(deadline.saturating_sub(started.elapsed()))).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// As [`until`], for a thread without a runtime, such as one that drops a server.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime whose thread could be blocked"
)]
pub fn blocking_until<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let started = Instant::now();
    loop {
        let last = started.elapsed() >= deadline;
        if let Some(value) = condition() {
            return Ok(value);
        }
        if last {
            return Err(TimedOut {
                what: what.into(),
                waited: started.elapsed(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut asked = 0;
        let value = until("the third question", Duration::from_secs(5), async || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(value.await, Ok(3));
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_for() {
        let ended = until("godot", Duration::ZERO, async || None::<()>)
            .await
            .unwrap_err();
        assert_eq!(ended.to_string(), "waited 0.0 s in vain for: godot");
    }
}
