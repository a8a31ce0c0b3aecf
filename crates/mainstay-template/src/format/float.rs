//! Floats as Go's `strconv` writes them.

/// Digits of a finite float, as `d.ddd` without the point, and its decimal exponent.
fn digits(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn special(value: f64) -> Option<String> {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        return None;
    };
    Some(text.to_owned())
}

fn exponent(sign: &str, digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1.min(digits.len()));
    let point = if rest.is_empty() { "" } else { "." };
    let minus = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{minus}{:02}", exponent.abs())
}

/// `%g`: the shortest that reads back, or so many significant digits.
pub(crate) fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    let (mut digits, power, at_most) = match precision {
        None => {
            let (digits, power) = digits(&format!("{value:e}"));
            // Where no precision was asked for, Go judges by 6 digits.
            (digits, power, 6)
        }
        Some(precision) => {
            let wanted = precision.max(1);
            let (digits, power) = digits(&format!("{value:.*e}", wanted - 1));
            (digits, power, wanted)
        }
    };
    while digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
    }
    if power < -4 || i64::from(power) >= i64::try_from(at_most).unwrap_or(i64::MAX) {
        return exponent(sign, &digits, power);
    }
    let text = if power < 0 {
        let zeros = "0".repeat(usize::try_from(-power - 1).unwrap_or(0));
        format!("0.{zeros}{digits}")
    } else {
        let whole = usize::try_from(power).unwrap_or(0) + 1;
        if digits.len() <= whole {
            format!("{digits:0<whole$}")
        } else {
            format!("{}.{}", &digits[..whole], &digits[whole..])
        }
    };
    format!("{sign}{text}")
}

/// `%e`, `%f`, `%g` and their capitals.
pub(super) fn formatted(value: f64, verb: char, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let text = match verb {
        'f' | 'F' => format!("{value:.*}", precision.unwrap_or(6)),
        'e' | 'E' => {
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let (digits, power) = digits(&format!("{:.*e}", precision.unwrap_or(6), value.abs()));
            exponent(sign, &digits, power)
        }
        _ => general(value, precision),
    };
    if matches!(verb, 'E' | 'G') {
        text.to_uppercase()
    } else {
        text
    }
}
