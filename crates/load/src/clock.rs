//! One scale for what this process measures and for what servers date.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

/// Counts from the moment at which it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    date: OffsetDateTime,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "servers date what they do, and this is where their dates meet our clock"
    )]
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
            date: OffsetDateTime::now_utc(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The moment that a server on this machine calls `date`; zero for what was before the start.
    pub(crate) fn of(&self, date: OffsetDateTime) -> Duration {
        (date - self.date).try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_the_start() {
        let clock = Clock::start();
        let later = Duration::from_millis(1500);
        assert_eq!(clock.of(clock.date + later), later);
        assert_eq!(clock.of(clock.date - later), Duration::ZERO);
    }
}
