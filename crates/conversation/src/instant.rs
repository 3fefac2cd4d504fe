//! Instants as text, always in UTC.

use std::fmt::Write as _;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// Reads RFC 3339 with a zone; `None` if it is not that, or lies outside the years 1 to 9999 of UTC.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    in_range(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

/// Reads what Python's `datetime.utcnow().isoformat()` writes: no zone, and UTC meant.
pub(crate) fn parse_naive(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        version = 2,
        "[year]-[month]-[day][first [T] [ ]][hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    in_range(PrimitiveDateTime::parse(text, format).ok()?.assume_utc())
}

/// Milliseconds since 1970, as AWS gives times in text.
pub(crate) fn parse_unix_millis(text: &str) -> Option<OffsetDateTime> {
    let nanos = text
        .parse::<i64>()
        .ok()
        .map(|millis| i128::from(millis) * 1_000_000)?;
    in_range(OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?)
}

/// Seconds since 1970 with up to nine digits after the point, as JSON numbers of AWS and `OpenAI` are; or with an
/// exponent, as some encoders write large ones, to the millisecond.
pub(crate) fn parse_unix_seconds(text: &str) -> Option<OffsetDateTime> {
    if text.contains(['e', 'E']) {
        let seconds: f64 = text.parse().ok()?;
        return parse_unix_millis(&format!("{:.0}", seconds * 1000.0));
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = i128::from(seconds.parse::<u64>().ok()?);
    in_range(OffsetDateTime::from_unix_timestamp_nanos(seconds * 1_000_000_000 + nanos).ok()?)
}

/// Nanoseconds since 1970, as OpenTelemetry gives times; 0 is none.
pub(crate) fn parse_unix_nanos(text: &str) -> Option<OffsetDateTime> {
    let nanos = text.parse::<u64>().ok().filter(|nanos| *nanos > 0)?;
    in_range(OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).ok()?)
}

/// The same instant without the fraction of its second.
pub(crate) fn whole_second(instant: OffsetDateTime) -> OffsetDateTime {
    instant.replace_nanosecond(0).unwrap_or(instant)
}

/// `2026-11-23T10:00:00.123Z`: as many digits of a second as it has.
pub(crate) fn rfc3339(instant: OffsetDateTime) -> String {
    let mut text = format!("{}T{}", date(instant), clock(instant));
    let nanos = instant.nanosecond();
    if nanos > 0 {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ".{nanos:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
    text
}

/// `2026-11-23T10:00:00.123456` as Python writes it: no zone, and no fraction if it is zero.
pub(crate) fn naive(instant: OffsetDateTime) -> String {
    match instant.microsecond() {
        0 => format!("{}T{}", date(instant), clock(instant)),
        micros => format!("{}T{}.{micros:06}", date(instant), clock(instant)),
    }
}

/// `2026-11-23`
pub(crate) fn date(instant: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        instant.year(),
        u8::from(instant.month()),
        instant.day()
    )
}

/// `100000123`: hour, minute, second and milliseconds.
pub(crate) fn compact_clock(instant: OffsetDateTime) -> String {
    format!(
        "{:02}{:02}{:02}{:03}",
        instant.hour(),
        instant.minute(),
        instant.second(),
        instant.millisecond()
    )
}

fn clock(instant: OffsetDateTime) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        instant.hour(),
        instant.minute(),
        instant.second()
    )
}

fn in_range(instant: OffsetDateTime) -> Option<OffsetDateTime> {
    instant
        .checked_to_offset(UtcOffset::UTC)
        .filter(|instant| instant.year() >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(parse(text).map(rfc3339).as_deref(), expected, "{text}");
    }

    #[test]
    fn instants_are_normalised_to_utc() {
        check("2026-11-23T10:00:00Z", Some("2026-11-23T10:00:00Z"));
        check(
            "2026-11-23T07:00:00.120-03:00",
            Some("2026-11-23T10:00:00.12Z"),
        );
        check(
            "2026-11-23T10:00:00.123456789Z",
            Some("2026-11-23T10:00:00.123456789Z"),
        );
        check("2026-11-23T10:00:00", None);
        check("2026-11-23", None);
        check("1763892000", None);
        check("9999-12-31T23:59:59-01:00", None);
        check("0000-12-31T23:59:59Z", None);
    }

    #[test]
    fn pythons_times_are_utc() {
        let instant = parse_naive("2026-11-23T10:00:00.000120").expect("a time");
        assert_eq!(rfc3339(instant), "2026-11-23T10:00:00.00012Z");
        assert_eq!(naive(instant), "2026-11-23T10:00:00.000120");
        assert_eq!(
            parse_naive("2026-11-23 10:00:00").map(naive).as_deref(),
            Some("2026-11-23T10:00:00")
        );
    }

    #[test]
    fn numbers_of_seconds_and_nanoseconds_are_exact() {
        let seconds = |text: &str| parse_unix_seconds(text).map(rfc3339);
        let expected = |text: &str| Some(text.to_owned());
        assert_eq!(seconds("1795429800"), expected("2026-11-23T10:30:00Z"));
        assert_eq!(
            seconds("1795429800.123456789"),
            expected("2026-11-23T10:30:00.123456789Z")
        );
        assert_eq!(
            seconds("1.545084650987E9"),
            expected("2018-12-17T22:10:50.987Z")
        );
        for odd in [
            "",
            "-1",
            "1e300",
            "NaN",
            "1.0123456789",
            "1.x",
            "soon",
            "999999999999999",
        ] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
        let nanos = |text: &str| parse_unix_nanos(text).map(rfc3339);
        assert_eq!(
            nanos("1795429800000000001"),
            expected("2026-11-23T10:30:00.000000001Z")
        );
        assert_eq!((nanos("0"), nanos("-1")), (None, None));
    }

    #[test]
    fn sqs_times_are_milliseconds() {
        assert_eq!(
            parse_unix_millis("1763892000123").map(rfc3339).as_deref(),
            Some("2025-11-23T10:00:00.123Z")
        );
        assert_eq!(parse_unix_millis("soon"), None);
        assert_eq!(parse_unix_millis("9223372036854775807"), None);
    }
}
