//! Numbers as Go prints them: the fewest digits that read back as the same number, and of two such texts that are as
//! near the one that ends in an even digit.

use std::fmt::Write as _;

/// A value as Prometheus writes it into results: without an exponent, except where the number is very large or very
/// small.
pub fn result(out: &mut String, value: f64) {
    let size = value.abs();
    if value.is_finite() && size > 0.0 && !(1e-6..1e21).contains(&size) {
        exponential(out, value);
    } else {
        plain(out, value);
    }
}

/// A number without an exponent (Go's `%f` with precision -1).
pub fn plain(out: &mut String, value: f64) {
    /// Below this no float that is whole has a shorter text than its digits.
    const WHOLE: f64 = 1e16;
    let size = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if size < WHOLE && value.trunc() == value && (size > 0.0 || value.is_sign_positive()) {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
        let whole = value as i64;
        out.push_str(itoa::Buffer::new().format(whole));
    } else if size == 0.0 {
        out.push_str("-0");
    } else if (1e-5..WHOLE).contains(&size) {
        // What is written there has no exponent.
        out.push_str(zmij::Buffer::new().format_finite(value));
    } else {
        spread(out, value);
    }
}

/// The fewest digits that tell a number, without zeros at either end, and where the point stands in them.
struct Digits {
    digits: String,
    /// How many digits stand before the point: `0.0012` has -2.
    point: i32,
}

impl Digits {
    fn of(value: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value.abs());
        let (number, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let leading = all.len() - digits.len();
        let small = |length: usize| i32::try_from(length).unwrap_or_default();
        Self {
            digits: digits.trim_end_matches('0').to_owned(),
            point: small(whole.len()) - small(leading) + exponent.parse::<i32>().unwrap_or_default(),
        }
    }
}

/// A finite number that is not zero, without an exponent.
fn spread(out: &mut String, value: f64) {
    let Digits { digits, point } = Digits::of(value);
    if value < 0.0 {
        out.push('-');
    }
    let before = usize::try_from(point).unwrap_or_default();
    match digits.split_at_checked(before) {
        None => {
            out.push_str(&digits);
            out.extend(std::iter::repeat_n('0', before - digits.len()));
        }
        Some((whole, fraction)) => {
            out.push_str(if whole.is_empty() { "0" } else { whole });
            if !fraction.is_empty() {
                out.push('.');
                out.extend(std::iter::repeat_n(
                    '0',
                    usize::try_from(-point).unwrap_or_default(),
                ));
                out.push_str(fraction);
            }
        }
    }
}

/// A finite number with an exponent of two digits at least (Go's `%e` with precision -1): `1e-07`, `1.5e+100`.
pub fn exponential(out: &mut String, value: f64) {
    let Digits { digits, point } = Digits::of(value);
    if value.is_sign_negative() {
        out.push('-');
    }
    let Some((first, rest)) = digits.split_at_checked(1) else {
        out.push_str("0e+00");
        return;
    };
    let point_before = if rest.is_empty() { "" } else { "." };
    let exponent = point - 1;
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "{first}{point_before}{rest}e{sign}{:02}", exponent.abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    /// The numbers are what Debian's Prometheus 2.42 answers; see also the test beside it.
    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (-1.5e-300, "-1.5e-300"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e100, "1.5e+100"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1.234_5e-6, "0.0000012345"),
            (-1.2e-5, "-0.000012"),
            (667_082_108_456_853.0 + 0.25, "667082108456853.2"),
            (667_082_108_456_853.0 + 0.75, "667082108456853.8"),
            (1.5e20, "150000000000000000000"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| result(out, value)), expected);
        }
    }

    #[test]
    fn numbers_read_back_and_have_no_exponent_where_none_belongs() {
        // Numbers of every size and with every count of digits.
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let digits = 10_f64.powi((bits % 17) as i32);
            for value in [
                f64::from_bits(bits),
                (f64::from_bits((bits >> 12) | 0x3ff0_0000_0000_0000) * digits).round() / digits,
                (bits >> 40) as f64 / digits,
            ] {
                let text = written(|out| result(out, value));
                if value.is_finite() {
                    let read: f64 = text.parse().expect("a number");
                    assert_eq!(read.to_bits(), value.to_bits(), "{text}");
                    let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
                    assert_eq!(plain, !text.contains('e'), "{text}");
                    // Of two texts that are as short and as near, the other may be chosen.
                    assert!(!plain || text.len() == value.to_string().len(), "{text}");
                }
            }
        }
    }

    #[test]
    fn plain_numbers_have_no_exponent() {
        for (value, expected) in [
            (1e21, "1000000000000000000000"),
            (-1.5e-7, "-0.00000015"),
            (0.25, "0.25"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(written(|out| plain(out, value)), expected);
        }
    }

    #[test]
    fn exponents_have_two_digits() {
        for (value, expected) in [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (-0.25, "-2.5e-01"),
            (1_234.5, "1.2345e+03"),
            (1e100, "1e+100"),
            (1e-7, "1e-07"),
        ] {
            assert_eq!(written(|out| exponential(out, value)), expected);
        }
    }
}
