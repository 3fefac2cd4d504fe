//! How long to pause.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// With less time than this left, another try has no chance.
const LEAST: Duration = Duration::from_millis(20);

/// The pause of `round` (from 0), doubling up to one second, of which `jitter` (0 to 1) takes away up
/// to a half so that clients that failed together do not come back together.
///
/// Never more than half of what `remains` until the deadline, so that there is time for another try
/// afterwards; `None` if there would be none.
pub(crate) fn pause(round: u32, jitter: f64, remains: Duration) -> Option<Duration> {
    if remains < 2 * LEAST {
        return None;
    }
    let full = FIRST
        .saturating_mul(2_u32.saturating_pow(round))
        .min(LONGEST);
    Some(full.mul_f64(1.0 - jitter / 2.0).min(remains / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn pauses_double_up_to_one_second() {
        let full = |round| pause(round, 0.0, LONG).unwrap().as_millis();
        assert_eq!(
            [0, 1, 2, 3, 4, 60].map(full),
            [100, 200, 400, 800, 1000, 1000]
        );
    }

    #[test]
    fn jitter_takes_away_up_to_a_half() {
        assert_eq!(pause(0, 1.0, LONG), Some(Duration::from_millis(50)));
        assert_eq!(pause(0, 0.5, LONG), Some(Duration::from_millis(75)));
    }

    #[test]
    fn there_is_time_for_another_try_or_no_pause() {
        let pause = |remains| pause(9, 0.0, Duration::from_millis(remains));
        assert_eq!(pause(1000), Some(Duration::from_millis(500)));
        assert_eq!(pause(40), Some(Duration::from_millis(20)));
        assert_eq!(pause(39), None);
        assert_eq!(pause(0), None);
    }
}
