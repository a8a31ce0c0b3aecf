//! The expanding notation of promqltest and of rule unit tests: `1+2x5 _ stale NaN 3x2 {{...}}`.

mod histogram;

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;

pub use histogram::text as histogram_text;

use crate::error::ParseError;
use crate::parse::parse_metric;
use crate::source::stale_marker;

/// How many values one series may expand to.
pub(crate) const MAX_VALUES: usize = 10_000_000;

/// One value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// `_`
    Missing,
    /// A number, or the stale marker.
    Float(f64),
    /// `{{...}}`, a native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<Histogram>,
        /// Whether it was written what is known of resets.
        hint_is_given: bool,
    },
}

/// Reads `metric{label="value"} values...`.
///
/// # Errors
/// With line and column in `text`.
pub fn parse_series(text: &str) -> Result<(Labels, Vec<Point>), ParseError> {
    let (labels, rest) = parse_metric(text)?;
    let offset = text.len() - rest.len();
    let values = parse_values(rest).map_err(|(at, message)| ParseError {
        position: crate::ast::Position::of(text, offset + at),
        message,
    })?;
    Ok((labels, values))
}

/// Reads values alone; an error comes with its byte offset.
///
/// # Errors
/// Where a value is none.
pub fn parse_values(text: &str) -> Result<Vec<Point>, (usize, String)> {
    let mut points = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        // A comment ends the values.
        if at == text.len() || text[at..].starts_with('#') {
            return Ok(points);
        }
        let length = item_length(&text[at..]).map_err(|message| (at, message))?;
        item(&text[at..at + length], &mut points).map_err(|message| (at, message))?;
        if points.len() > MAX_VALUES {
            return Err((at, format!("more than {MAX_VALUES} values in one series")));
        }
        at += length;
    }
}

/// An item ends at white space outside of `{{...}}`.
fn item_length(text: &str) -> Result<usize, String> {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("{{") {
            at += rest.find("}}").ok_or("unterminated histogram, expected }}")? + 2;
        } else {
            match rest.chars().next() {
                Some(c) if !c.is_whitespace() => at += c.len_utf8(),
                _ => break,
            }
        }
    }
    Ok(at)
}

fn item(text: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let bad =
        || format!("bad value {text:?}: expected a number, _, stale, {{{{...}}}} or a series such as 1+2x5");
    if text.starts_with("{{") {
        return histograms(text, points).map_err(|message| message.unwrap_or_else(bad));
    }
    if text == "stale" {
        points.push(Point::Float(stale_marker()));
        return Ok(());
    }
    let (head, times) = match text.rsplit_once('x') {
        Some((head, times)) => (head, Some(times.parse::<usize>().map_err(|_| bad())?)),
        _ => (text, None),
    };
    if times.is_some_and(|times| times > MAX_VALUES) {
        return Err(format!("bad value {text:?}: more than {MAX_VALUES} repetitions"));
    }
    if head == "_" {
        points.extend(std::iter::repeat_n(Point::Missing, times.unwrap_or(1)));
        return Ok(());
    }
    let Some(times) = times else {
        points.push(Point::Float(number(head).ok_or_else(bad)?));
        return Ok(());
    };
    let (start, step) = match step_sign(head) {
        Some(sign) => {
            let step = number(&head[sign + 1..]).ok_or_else(bad)?;
            let start = number(&head[..sign]).ok_or_else(bad)?;
            (
                start,
                if head.as_bytes()[sign] == b'-' {
                    -step
                } else {
                    step
                },
            )
        }
        None => (number(head).ok_or_else(bad)?, 0.0),
    };
    let mut value = start;
    for _ in 0..=times {
        points.push(Point::Float(value));
        value += step;
    }
    Ok(())
}

fn number(text: &str) -> Option<f64> {
    crate::parse::number(text)
}

/// Where the sign between start and step stands: not first, not behind an exponent.
fn step_sign(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (1..bytes.len())
        .find(|&i| matches!(bytes[i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E' | b'+' | b'-'))
}

/// `{{...}}`, `{{...}}x3` or `{{...}}+{{...}}x3`; an error without a message is one of the form.
fn histograms(text: &str, points: &mut Vec<Point>) -> Result<(), Option<String>> {
    let split = |text: &str| text.find("}}").map(|end| end + 2).ok_or(None);
    let (first, rest) = text.split_at(split(text)?);
    let first = histogram::parse(first)?;
    let (step, rest) = match rest.as_bytes().first() {
        Some(sign @ (b'+' | b'-')) => {
            let (step, rest) = rest[1..].split_at(split(&rest[1..])?);
            (Some((histogram::parse(step)?, *sign == b'-')), rest)
        }
        _ => (None, rest),
    };
    let times = match (rest, &step) {
        ("", None) => 0,
        _ => rest
            .strip_prefix('x')
            .and_then(|times| times.parse::<usize>().ok())
            .ok_or(None)?,
    };
    if times > MAX_VALUES {
        return Err(Some(format!(
            "bad value {text:?}: more than {MAX_VALUES} repetitions"
        )));
    }
    let hint_is_given = step
        .as_ref()
        .map_or(first.hint_is_given, |(step, _)| step.hint_is_given);
    let mut histogram = Arc::new(first.histogram);
    for index in 0..=times {
        points.push(Point::Histogram {
            histogram: Arc::clone(&histogram),
            hint_is_given,
        });
        if let Some((step, is_falling)) = step.as_ref().filter(|_| index < times) {
            histogram = Arc::new(histogram::next(&histogram, &step.histogram, *is_falling)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<f64> {
        let points = parse_values(text).expect("values");
        points
            .iter()
            .map(|p| {
                if let Point::Float(value) = p {
                    *value
                } else {
                    f64::NAN
                }
            })
            .collect()
    }

    #[test]
    fn expands() {
        assert_eq!(floats("1+2x3"), [1.0, 3.0, 5.0, 7.0]);
        assert_eq!(floats("-2-3x2 5"), [-2.0, -5.0, -8.0, 5.0]);
        assert_eq!(floats("0x2"), [0.0, 0.0, 0.0]);
        assert_eq!(floats("1e2-1e1x1"), [100.0, 90.0]);
        assert_eq!(
            parse_values("_x2").expect("values"),
            [Point::Missing, Point::Missing]
        );
        assert_eq!(
            parse_values("{{count:1 sum:2}}+{{count:1}}x2")
                .expect("values")
                .len(),
            3
        );
        assert_eq!(floats("1 2 # 3"), [1.0, 2.0]);
        assert!(parse_values("1 2 q").is_err_and(|(at, _)| at == 4));
        let (labels, values) = parse_series(r#"a{b="c d"} 1 2"#).expect("a series");
        assert_eq!((labels.to_string().as_str(), values.len()), (r#"a{b="c d"}"#, 2));
    }
}
