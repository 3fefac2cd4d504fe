//! The one place that reads the clock; everything that decides takes the time as a value.

use time::OffsetDateTime;

/// The time now, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "servers and logs are the edge: they stamp what happens"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Seconds since 1970 with milliseconds, as AWS's JSON protocols carry a time.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^52"
)]
pub(crate) fn epoch_seconds(at: OffsetDateTime) -> f64 {
    epoch_millis(at) as f64 / 1000.0
}

/// Milliseconds since 1970.
pub(crate) fn epoch_millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
