//! `{{schema:1 count:3 sum:4.5 buckets:[1 2]}}`: a native histogram in a script.

use mainstay_kernel::histogram::{BucketSpan, Histogram, ResetHint};

use crate::format::general;
use crate::histogram::Tally;

/// A histogram, and whether the text says what is known of resets.
pub(super) struct Written {
    pub(super) histogram: Histogram,
    pub(super) hint_is_given: bool,
}

/// Reads `{{...}}`.
pub(super) fn parse(text: &str) -> Result<Written, String> {
    let inside = text
        .strip_prefix("{{")
        .and_then(|text| text.strip_suffix("}}"))
        .ok_or("expected {{...}}")?;
    let mut written = Written {
        histogram: Histogram::default(),
        hint_is_given: false,
    };
    let (mut offset, mut negative_offset) = (0, 0);
    let histogram = &mut written.histogram;
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once(':')
            .ok_or_else(|| format!("expected key:value in a histogram, found {rest:?}"))?;
        let (value, after) = value(after);
        rest = after.trim_start();
        let bad = || format!("bad value {value:?} for {key} of a histogram");
        let float = || crate::parse::number(value).ok_or_else(bad);
        let integer = || value.parse::<i32>().map_err(|_| bad());
        let floats = || {
            let inside = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            let items = inside.ok_or_else(bad)?.split_whitespace();
            items
                .map(|item| crate::parse::number(item).ok_or_else(bad))
                .collect::<Result<Vec<f64>, _>>()
        };
        match key {
            "schema" => histogram.schema = integer()?,
            "sum" => histogram.sum = float()?,
            "count" => histogram.count = float()?,
            "z_bucket" => histogram.zero_count = float()?,
            "z_bucket_w" => histogram.zero_threshold = float()?,
            "custom_values" => histogram.custom_values = floats()?,
            "buckets" => histogram.positive_buckets = floats()?,
            "offset" => offset = integer()?,
            "n_buckets" => histogram.negative_buckets = floats()?,
            "n_offset" => negative_offset = integer()?,
            "counter_reset_hint" => {
                written.hint_is_given = true;
                histogram.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(bad()),
                };
            }
            _ => {
                return Err(format!(
                    "unexpected {key:?} in a histogram, expected a key such as buckets:[5 10 7]"
                ));
            }
        }
    }
    histogram.positive_spans = spans(offset, &histogram.positive_buckets);
    histogram.negative_spans = spans(negative_offset, &histogram.negative_buckets);
    Ok(written)
}

/// The value behind a key, and what follows it; brackets hold blanks together.
fn value(text: &str) -> (&str, &str) {
    let end = if text.starts_with('[') {
        text.find(']').map_or(text.len(), |at| at + 1)
    } else {
        text.find(char::is_whitespace).unwrap_or(text.len())
    };
    text.split_at(end)
}

fn spans(offset: i32, buckets: &[f64]) -> Vec<BucketSpan> {
    match u32::try_from(buckets.len()) {
        Ok(length) if length > 0 => vec![BucketSpan { offset, length }],
        _ => Vec::new(),
    }
}

/// `histogram + step`, `histogram + 2 step` and so on: the next of a series. The step must be as fine.
pub(super) fn next(histogram: &Histogram, step: &Histogram, is_falling: bool) -> Result<Histogram, String> {
    if histogram.schema > step.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            step.schema, histogram.schema
        ));
    }
    let mut tally = Tally::of(histogram);
    let joined = if is_falling {
        tally.subtract(step)
    } else {
        tally.add(step)
    };
    joined.map_err(|_| "error combining histograms: exponential and custom buckets".to_owned())?;
    Ok(tally.finish())
}

/// A histogram as it is written in a script, without its empty buckets at either end.
#[must_use]
pub fn text(histogram: &Histogram) -> String {
    let compact = Tally::of(histogram).compact();
    let mut parts = Vec::new();
    let mut part = |key: &str, value: f64| {
        if value != 0.0 {
            parts.push(format!("{key}:{}", general(value)));
        }
    };
    part("schema", f64::from(compact.schema));
    part("count", compact.count);
    part("sum", compact.sum);
    part("z_bucket", compact.zero_count);
    part("z_bucket_w", compact.zero_threshold);
    let list = |key: &str, values: &[f64]| {
        let values: Vec<String> = values.iter().map(|value| general(*value)).collect();
        format!("{key}:[{}]", values.join(" "))
    };
    if compact.has_custom_buckets() {
        parts.push(list("custom_values", &compact.custom_values));
    }
    match compact.reset_hint {
        ResetHint::Unknown => {}
        ResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
        ResetHint::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
    }
    for (spans, buckets, offset_key, key) in [
        (
            &compact.positive_spans,
            &compact.positive_buckets,
            "offset",
            "buckets",
        ),
        (
            &compact.negative_spans,
            &compact.negative_buckets,
            "n_offset",
            "n_buckets",
        ),
    ] {
        let Some(first) = spans.first() else { continue };
        if first.offset != 0 {
            parts.push(format!("{offset_key}:{}", first.offset));
        }
        let mut filled = Vec::new();
        let mut counts = buckets.iter();
        for (index, span) in spans.iter().enumerate() {
            let gap = if index == 0 { 0 } else { span.offset.clamp(0, 1000) };
            filled.extend((0..gap).map(|_| 0.0));
            filled.extend(counts.by_ref().take(span.length as usize));
        }
        parts.push(list(key, &filled));
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let written = "{{schema:1 count:9 sum:-0.5 z_bucket:2 z_bucket_w:0.001 counter_reset_hint:gauge offset:-1 buckets:[1 0 2] n_offset:3 n_buckets:[4]}}";
        let read = parse(written).unwrap_or_else(|error| panic!("{error}"));
        assert!(read.hint_is_given);
        assert_eq!(text(&read.histogram), written);
        let custom = "{{schema:-53 count:3 custom_values:[1 2.5] buckets:[1 2]}}";
        assert_eq!(
            text(&parse(custom).unwrap_or_else(|error| panic!("{error}")).histogram),
            custom
        );
        for bad in ["{{schema}}", "{{schema:x}}", "{{buckets:[1 x]}}", "{{color:3}}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
