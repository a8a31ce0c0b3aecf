//! Histograms as Prometheus prints them.

use mainstay_kernel::histogram::Histogram;

use crate::format;

use super::bucket::{Bucket, negative, positive, zero};

/// `{count:3, sum:4.5, (1,2]:3}`: the text that `count_values` puts into a label. Empty buckets are left out.
#[must_use]
pub fn text(histogram: &Histogram) -> String {
    let mut below: Vec<Bucket> = negative(histogram).collect();
    below.reverse();
    let zero = std::iter::once(zero(histogram));
    let all = below.into_iter().chain(zero).chain(positive(histogram));
    let mut text = format!(
        "{{count:{}, sum:{}",
        format::general(histogram.count),
        format::general(histogram.sum)
    );
    for bucket in all.filter(|bucket| bucket.count != 0.0) {
        text.push_str(&format!(
            ", {}{},{}{}:{}",
            if bucket.lower_inclusive { '[' } else { '(' },
            format::general(bucket.lower),
            format::general(bucket.upper),
            if bucket.upper_inclusive { ']' } else { ')' },
            format::general(bucket.count)
        ));
    }
    text.push('}');
    text
}
