//! Native histograms in results.

use mainstay_kernel::histogram::Histogram;
use mainstay_promql::histogram::{Bucket, buckets};

use super::json;

/// `[seconds, {"count", "sum", "buckets"}]`.
pub(super) fn point(out: &mut String, at_ms: i64, histogram: &Histogram) {
    out.push('[');
    json::seconds(out, at_ms);
    out.push(',');
    object(out, histogram);
    out.push(']');
}

/// `{"count", "sum", "buckets": [[rule, lower, upper, count], …]}`: the populated buckets from the lowest to the highest.
/// The rule says which bounds belong to a bucket.
fn object(out: &mut String, histogram: &Histogram) {
    let quoted = |out: &mut String, value| {
        out.push('"');
        json::float(out, value);
        out.push('"');
    };
    out.push_str("{\"count\":");
    quoted(out, histogram.count);
    out.push_str(",\"sum\":");
    quoted(out, histogram.sum);
    let populated = buckets(histogram)
        .into_iter()
        .filter(|bucket| bucket.count != 0.0);
    let mut before = ",\"buckets\":[[";
    for bucket in populated {
        out.push_str(before);
        before = ",[";
        out.push(rule(&bucket));
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(',');
            quoted(out, value);
        }
        out.push(']');
    }
    out.push_str(if before == ",[" { "]}" } else { "}" });
}

/// 0 open on the left, 1 open on the right, 2 open on both sides, 3 closed on both sides.
fn rule(bucket: &Bucket) -> char {
    match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => '0',
        (true, false) => '1',
        (false, false) => '2',
        (true, true) => '3',
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

    use super::*;

    fn written(histogram: &Histogram) -> serde_json::Value {
        histogram.validate().expect("a histogram");
        let mut out = String::new();
        point(&mut out, 1_500, histogram);
        serde_json::from_str(&out).expect("it is JSON")
    }

    fn span(offset: i32, length: u32) -> BucketSpan {
        BucketSpan { offset, length }
    }

    #[test]
    fn negative_zero_and_positive_buckets_in_order() {
        let histogram = Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 12.5,
            sum: -7.25,
            positive_spans: vec![span(0, 2), span(1, 1)],
            positive_buckets: vec![1.0, 0.0, 4.0],
            negative_spans: vec![span(1, 2)],
            negative_buckets: vec![2.0, 3.5],
            ..Histogram::default()
        };
        assert_eq!(
            written(&histogram),
            serde_json::json!([1.5, {
                "count": "12.5",
                "sum": "-7.25",
                "buckets": [
                    [1, "-2", "-1.414213562373095", "3.5"],
                    [1, "-1.414213562373095", "-1", "2"],
                    [3, "-0.001", "0.001", "2"],
                    [0, "0.7071067811865475", "1", "1"],
                    [0, "2", "2.82842712474619", "4"],
                ],
            }])
        );
    }

    #[test]
    fn buckets_with_bounds_of_their_own() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 6.0,
            sum: f64::NAN,
            positive_spans: vec![span(0, 3)],
            positive_buckets: vec![1.0, 2.0, 3.0],
            custom_values: vec![0.5, 10.0],
            ..Histogram::default()
        };
        assert_eq!(
            written(&histogram),
            serde_json::json!([1.5, {
                "count": "6",
                "sum": "NaN",
                "buckets": [[3, "-Inf", "0.5", "1"], [0, "0.5", "10", "2"], [0, "10", "+Inf", "3"]],
            }])
        );
    }

    #[test]
    fn without_a_populated_bucket_there_is_no_list() {
        let histogram = Histogram {
            positive_spans: vec![span(0, 1)],
            positive_buckets: vec![0.0],
            ..Histogram::default()
        };
        assert_eq!(
            written(&histogram),
            serde_json::json!([1.5, {"count": "0", "sum": "0"}])
        );
    }
}
