//! Sorting.

use std::cmp::Ordering;

use crate::statistics::nan_last;

use super::Sample;

/// By value; NaN comes last either way. Histograms have no order: they go.
pub(super) fn by_value(samples: &mut Vec<Sample>, descending: bool) {
    samples.retain(|sample| sample.value.float().is_some());
    samples.sort_by(|a, b| {
        let value = |sample: &Sample| sample.value.float().unwrap_or(f64::NAN);
        let (a, b) = (value(a), value(b));
        let order = nan_last(a, b);
        if descending && !a.is_nan() && !b.is_nan() {
            order.reverse()
        } else {
            order
        }
    });
}

/// By the values of labels in natural order, then by all labels.
pub(super) fn by_labels(samples: &mut [Sample], names: &[&[u8]], descending: bool) {
    samples.sort_by(|a, b| {
        let by_name = names.iter().map(|name| {
            let value = |sample: &Sample| {
                std::str::from_utf8(name)
                    .ok()
                    .and_then(|name| sample.labels.get(name))
                    .unwrap_or_default()
                    .to_owned()
            };
            natural(&value(a), &value(b))
        });
        let order = by_name
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
}

/// Runs of digits compare as numbers, everything else as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (run_a, rest_a) = first_run(a);
        let (run_b, rest_b) = first_run(b);
        if run_a.is_empty() || run_b.is_empty() {
            return run_a.len().cmp(&run_b.len());
        }
        let are_digits = [run_a, run_b]
            .iter()
            .all(|run| run.starts_with(|c: char| c.is_ascii_digit()));
        let order = if are_digits {
            let (number_a, number_b) = (run_a.trim_start_matches('0'), run_b.trim_start_matches('0'));
            number_a
                .len()
                .cmp(&number_b.len())
                .then_with(|| number_a.cmp(number_b))
        } else {
            run_a.cmp(run_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn first_run(text: &str) -> (&str, &str) {
    let is_digit = |c: char| c.is_ascii_digit();
    let starts_with_digit = text.starts_with(is_digit);
    let end = text
        .find(|c| is_digit(c) != starts_with_digit)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_count_as_numbers() {
        assert_eq!(natural("4m5", "4m600"), Ordering::Less);
        assert_eq!(natural("4m1000", "4m600"), Ordering::Greater);
        assert_eq!(natural("1.11.3", "1.2.3"), Ordering::Greater);
        assert_eq!(natural("a", "a"), Ordering::Equal);
        assert_eq!(natural("", "a"), Ordering::Less);
    }
}
