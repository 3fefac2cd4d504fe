//! Numbers as text: no digit is lost to a double.

/// The same text for every spelling of the same value: `1`, `1.0` and `10e-1` are `1`, `100` is `1e2`.
///
/// A number whose exponent does not fit 64 bits stays as it is.
pub(super) fn canonical(number: &str) -> String {
    by_value(number).unwrap_or_else(|| number.to_owned())
}

/// Whether PostgreSQL's `numeric` takes it, with a wide margin.
pub(super) fn fits_numeric(number: &str) -> bool {
    const LIMIT: usize = 400;
    let (_, exponent) = split(number);
    number.len() <= LIMIT
        && exponent.is_some_and(|exponent| exponent.unsigned_abs() <= LIMIT as u64)
}

fn by_value(number: &str) -> Option<String> {
    let (mantissa, exponent) = split(number);
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", mantissa),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{whole}{fraction}");
    let all = all.trim_start_matches('0');
    let digits = all.trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let shift = i64::try_from(all.len() - digits.len())
        .ok()?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let exponent = exponent?.checked_add(shift)?;
    Some(if exponent == 0 {
        format!("{sign}{digits}")
    } else {
        format!("{sign}{digits}e{exponent}")
    })
}

/// The part before the exponent, and the exponent; `None` if that does not fit.
fn split(number: &str) -> (&str, Option<i64>) {
    match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()),
        None => (number, Some(0)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(number: &str, expected: &str) {
        assert_eq!(canonical(number), expected);
    }

    #[test]
    fn spellings_of_one_value_are_one_text() {
        for one in ["1", "1.0", "1e0", "10e-1", "0.1E1", "1e+0", "1.000"] {
            check(one, "1");
        }
        for zero in [
            "0",
            "-0",
            "0.00",
            "0e5",
            "-0.0e-9",
            "0e99999999999999999999",
        ] {
            check(zero, "0");
        }
        check("100", "1e2");
        check("-1200.50", "-12005e-1");
        check(
            "123456789012345678901234567890",
            "12345678901234567890123456789e1",
        );
        check("0.1", "1e-1");
        check("1e99999999999999999999", "1e99999999999999999999");
    }

    proptest! {
        #[test]
        fn distinct_values_stay_distinct(left: i64, right: i64) {
            prop_assert_eq!(canonical(&left.to_string()) == canonical(&right.to_string()), left == right);
        }

        #[test]
        fn the_value_is_kept(value in any::<f64>().prop_filter("JSON", |value| value.is_finite())) {
            let canonical: f64 = canonical(&format!("{value:e}")).parse().expect("a number");
            // There is one zero, whatever its sign.
            prop_assert_eq!(canonical.to_bits(), (value + 0.0).to_bits());
        }
    }
}
