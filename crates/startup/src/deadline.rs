//! The moment at which a handler must have answered.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// What a handler keeps back of its time, so that the service gets the reason and not a timeout.
pub const MARGIN: Duration = Duration::from_millis(500);

/// Returns the moment at which work for this invocation must be over: the invocation's deadline less [`MARGIN`].
///
/// An invocation that is already past it gets the present moment, so that the first wait fails with its own reason.
#[expect(
    clippy::disallowed_methods,
    reason = "the Runtime API gives the deadline as wall-clock time; only this function compares it"
)]
pub fn of(context: &lambda_runtime::Context) -> Instant {
    Instant::now() + left(context.deadline(), SystemTime::now())
}

/// A deadline within a day of 1970 is a duration: `cargo lambda watch` sends one in the header's place, and no invocation
/// lasts longer than 15 minutes.
fn left(deadline: SystemTime, now: SystemTime) -> Duration {
    const DAY: Duration = Duration::from_hours(24);
    let since_epoch = deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let left = if since_epoch < DAY {
        since_epoch
    } else {
        deadline.duration_since(now).unwrap_or_default()
    };
    left.saturating_sub(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_kept_back_and_never_goes_below_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        assert_eq!(
            left(now + Duration::from_secs(3), now),
            Duration::from_millis(2_500)
        );
        assert_eq!(left(now + Duration::from_millis(100), now), Duration::ZERO);
        assert_eq!(left(now - Duration::from_secs(9), now), Duration::ZERO);
    }

    #[test]
    fn a_deadline_of_cargo_lambda_watch_is_a_duration() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let ten_minutes = SystemTime::UNIX_EPOCH + Duration::from_mins(10);
        assert_eq!(left(ten_minutes, now), Duration::from_millis(599_500));
    }
}
