//! Remote write, encoded by somebody else's protobuf.

use mainstay_ingest::remote_write::{HistogramRefusal, RemoteWriteError, Request, SeriesCache, Version};
use mainstay_kernel::histogram::{BucketSpan, HistogramError, ResetHint};
use mainstay_kernel::{Histogram, Labels};
use prost::Message;

use crate::prompb::{self, Count, ZeroCount, label, series, symbols, v2};

/// A whole histogram: 12 observations of which 2 are in the zero bucket, 3 and 1 are positive, 6 negative.
pub(crate) fn whole() -> prompb::Histogram {
    prompb::Histogram {
        count: Some(Count::Int(12)),
        sum: -7.5,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::Int(2)),
        negative_spans: vec![prompb::BucketSpan {
            offset: -2,
            length: 1,
        }],
        negative_deltas: vec![6],
        positive_spans: vec![
            prompb::BucketSpan { offset: 0, length: 1 },
            prompb::BucketSpan { offset: 4, length: 1 },
        ],
        positive_deltas: vec![3, -2],
        reset_hint: 1,
        timestamp: 1234,
        ..prompb::Histogram::default()
    }
}

fn whole_as_read() -> Histogram {
    let span = |offset, length| BucketSpan { offset, length };
    Histogram {
        reset_hint: ResetHint::Reset,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 12.0,
        sum: -7.5,
        positive_spans: vec![span(0, 1), span(4, 1)],
        positive_buckets: vec![3.0, 1.0],
        negative_spans: vec![span(-2, 1)],
        negative_buckets: vec![6.0],
        custom_values: Vec::new(),
    }
}

/// Everything a request says, a line each.
pub(crate) fn lines(version: Version, body: &[u8]) -> Vec<String> {
    let request = match Request::parse(version, body) {
        Ok(request) => request,
        Err(error) => return vec![format!("refused: {error}")],
    };
    let mut lines = Vec::new();
    for series in request.series() {
        let series = match series {
            Ok(series) => series,
            Err(error) => {
                lines.push(format!("refused: {error}"));
                continue;
            }
        };
        let labels = match series.key().and_then(|_| series.labels()) {
            Ok(labels) => labels.to_string(),
            Err(error) => format!("wrong: {error}"),
        };
        lines.push(format!("{labels} {:?}", series.counts()));
        for sample in series.samples() {
            lines.push(match sample {
                Ok(sample) => format!("  {} @{} {:?}", sample.value, sample.t_ms, sample.start_ms),
                Err(error) => format!("  refused: {error}"),
            });
        }
        for histogram in series.histograms() {
            lines.push(match histogram {
                Ok(sample) => format!("  {:?} {:?}", sample.histogram, sample.start_ms),
                Err(error) => format!("  wrong: {error}"),
            });
        }
        for exemplar in series.exemplars() {
            lines.push(match exemplar {
                Ok(exemplar) => format!("  # {} {} {:?}", exemplar.labels, exemplar.value, exemplar.t_ms),
                Err(error) => format!("  wrong: {error}"),
            });
        }
        match series.metadata() {
            Ok(None) => {}
            Ok(Some(metadata)) => lines.push(format!("  {metadata:?}")),
            Err(error) => lines.push(format!("  wrong: {error}")),
        }
    }
    lines.extend(request.metadata().map(|metadata| format!("{metadata:?}")));
    lines
}

#[test]
fn a_1_0_request_reads_as_it_was_written() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let mut first = series(
        &[("__name__", "up"), ("job", "a"), ("zone", "é")],
        &[(1000, 1.5), (-5, -0.25), (2000, stale)],
    );
    first.exemplars = vec![prompb::Exemplar {
        labels: vec![label("trace_id", "abc"), label("a", "1")],
        value: 7.0,
        timestamp: 99,
    }];
    let mut second = series(&[("__name__", "latency")], &[]);
    second.histograms = vec![whole()];
    let body = prompb::WriteRequest {
        timeseries: vec![first, second],
        metadata: vec![prompb::MetricMetadata {
            r#type: 3,
            metric_family_name: "latency".to_owned(),
            help: "How long".to_owned(),
            unit: "seconds".to_owned(),
        }],
    }
    .encode_to_vec();
    assert_eq!(
        lines(Version::V1, &body),
        [
            r#"up{job="a", zone="é"} [3, 0, 1]"#.to_owned(),
            "  1.5 @1000 None".to_owned(),
            "  -0.25 @-5 None".to_owned(),
            "  NaN @2000 None".to_owned(),
            r#"  # {a="1", trace_id="abc"} 7 Some(99)"#.to_owned(),
            "latency [0, 1, 0]".to_owned(),
            format!("  {:?} None", whole_as_read()),
            r#"Ok(Metadata { family: "latency", kind: Histogram, help: "How long", unit: "seconds" })"#
                .to_owned(),
        ]
    );
    let request = Request::parse(Version::V1, &body).expect("reads");
    let value = request
        .series()
        .next()
        .expect("a series")
        .expect("reads")
        .samples()
        .nth(2)
        .expect("a sample")
        .expect("reads")
        .value;
    assert_eq!(value.to_bits(), stale.to_bits(), "the stale marker survives");
}

#[test]
fn label_sets_are_taken_and_refused_as_prometheus_does() {
    let mut bad_text = series(&[("__name__", "x"), ("a", "??")], &[(1, 1.0)]).encode_to_vec();
    let at = bad_text.windows(2).position(|pair| pair == b"??").expect("there");
    bad_text[at] = 0xff;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("b", "2"), ("__name__", "x"), ("a", "1")], r#"x{a="1", b="2"}"#),
        (&[("__name__", "x"), ("a", "")], "x"),
        (
            &[("__name__", "any text"), ("a.b c", "1")],
            r#"any text{a.b c="1"}"#,
        ),
        (
            &[("__name__", "x"), ("a", "1"), ("a", "1")],
            "wrong: the label a stands twice in a series",
        ),
        (
            &[("__name__", "x"), ("a", ""), ("a", "1")],
            "wrong: the label a stands twice in a series",
        ),
        (
            &[("__name__", "x"), ("", "1")],
            "wrong: a label has an empty name",
        ),
        (&[("a", "1")], r#"wrong: a series has no metric name: {a="1"}"#),
        (&[("__name__", "")], "wrong: a series has no metric name: {}"),
    ];
    for (labels, expected) in cases {
        let body = prompb::WriteRequest {
            timeseries: vec![series(labels, &[(1, 1.0)])],
            ..Default::default()
        };
        assert_eq!(
            lines(Version::V1, &body.encode_to_vec())[0],
            format!("{expected} [1, 0, 0]"),
            "{labels:?}"
        );
    }
    let mut body = vec![0x0a, u8::try_from(bad_text.len()).expect("short")];
    body.extend(bad_text);
    assert_eq!(
        lines(Version::V1, &body)[0],
        "wrong: a label or symbol is not UTF-8 [1, 0, 0]"
    );
}

#[test]
fn labels_that_do_not_stand_together_are_one_set_all_the_same() {
    let first = series(&[("__name__", "x"), ("a", "1")], &[]).encode_to_vec();
    let sample = series(&[], &[(5, 2.5)]).encode_to_vec();
    let last = series(&[("b", "2")], &[]).encode_to_vec();
    let message = [first, sample, last].concat();
    let mut body = vec![0x0a, u8::try_from(message.len()).expect("short")];
    body.extend(message);
    assert_eq!(
        lines(Version::V1, &body),
        [r#"x{a="1", b="2"} [1, 0, 0]"#, "  2.5 @5 None"]
    );
}

#[test]
fn a_2_0_request_reads_as_it_was_written() {
    let sample = |value, timestamp, start_timestamp| v2::Sample {
        value,
        timestamp,
        start_timestamp,
    };
    let body = v2::Request {
        symbols: symbols(&[
            "", "__name__", "up", "job", "a", "How long", "seconds", "trace_id",
        ]),
        timeseries: vec![
            v2::TimeSeries {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![sample(1.5, 1000, 0), sample(2.5, 2000, 900)],
                exemplars: vec![v2::Exemplar {
                    labels_refs: vec![7, 4],
                    value: 3.0,
                    timestamp: 0,
                }],
                metadata: Some(v2::Metadata {
                    r#type: 1,
                    help_ref: 5,
                    unit_ref: 6,
                }),
                created_timestamp: 500,
                ..Default::default()
            },
            v2::TimeSeries {
                labels_refs: vec![1, 2],
                histograms: vec![
                    prompb::Histogram {
                        start_timestamp: 77,
                        ..whole()
                    },
                    prompb::Histogram {
                        count: Some(Count::Float(5.5)),
                        sum: 9.0,
                        schema: -53,
                        positive_spans: vec![prompb::BucketSpan { offset: 1, length: 2 }],
                        positive_counts: vec![1.5, 4.0],
                        custom_values: vec![1.0, 2.0],
                        ..Default::default()
                    },
                ],
                ..Default::default()
            },
        ],
    }
    .encode_to_vec();
    let custom = Histogram {
        schema: -53,
        count: 5.5,
        sum: 9.0,
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_buckets: vec![1.5, 4.0],
        custom_values: vec![1.0, 2.0],
        ..Histogram::default()
    };
    assert_eq!(
        lines(Version::V2, &body),
        [
            r#"up{job="a"} [2, 0, 1]"#.to_owned(),
            "  1.5 @1000 Some(500)".to_owned(),
            "  2.5 @2000 Some(900)".to_owned(),
            r#"  # {trace_id="a"} 3 None"#.to_owned(),
            r#"  Metadata { family: "", kind: Counter, help: "How long", unit: "seconds" }"#.to_owned(),
            "up [0, 2, 0]".to_owned(),
            format!("  {:?} Some(77)", whole_as_read()),
            format!("  {custom:?} None"),
        ]
    );
}

#[test]
fn a_2_0_request_is_held_to_its_rules() {
    let with = |symbols: Vec<String>, labels_refs: Vec<u32>, samples: usize| {
        let request = v2::Request {
            symbols,
            timeseries: vec![v2::TimeSeries {
                labels_refs,
                samples: vec![v2::Sample::default(); samples],
                ..Default::default()
            }],
        };
        lines(Version::V2, &request.encode_to_vec())[0].clone()
    };
    let good = || symbols(&["", "__name__", "x"]);
    assert_eq!(with(good(), vec![1, 2], 1), "x [1, 0, 0]");
    assert_eq!(
        with(symbols(&["__name__", "x"]), vec![0, 1], 1),
        "refused: the first symbol must be the empty string"
    );
    assert_eq!(
        with(good(), vec![1, 2, 1], 2),
        "wrong: a series has 3 label references: expected an even number [2, 0, 0]"
    );
    assert_eq!(
        with(good(), vec![1, 3], 1),
        "wrong: a reference to symbol 3 of 3 [1, 0, 0]"
    );
    assert_eq!(
        with(good(), vec![1, 2], 0),
        "wrong: a series has neither a sample nor a histogram [0, 0, 0]"
    );
    // The message of the other version has nothing that this one knows.
    let other = prompb::WriteRequest {
        timeseries: vec![series(&[("__name__", "x")], &[(1, 1.0)])],
        ..Default::default()
    };
    assert_eq!(
        lines(Version::V2, &other.encode_to_vec()),
        ["refused: the first symbol must be the empty string"]
    );
    assert_eq!(lines(Version::V2, &[]), [""; 0]);
}

#[test]
fn histograms_that_are_none_are_refused_one_by_one() {
    let refusal = |histogram: prompb::Histogram| {
        let mut of = series(&[("__name__", "x")], &[]);
        of.histograms = vec![histogram, whole()];
        let body = prompb::WriteRequest {
            timeseries: vec![of],
            ..Default::default()
        }
        .encode_to_vec();
        let request = Request::parse(Version::V1, &body).expect("reads");
        let series = request.series().next().expect("one").expect("reads");
        let mut histograms = series.histograms();
        let refused = histograms.next().expect("one");
        let next = histograms.next().expect("another").expect("reads");
        assert_eq!(next.histogram, whole_as_read(), "what follows is read");
        refused.map(|sample| sample.histogram.count)
    };
    let with_count = |count: u64, zero: u64, sum: f64| prompb::Histogram {
        count: Some(Count::Int(count)),
        zero_count: Some(ZeroCount::Int(zero)),
        sum,
        ..Default::default()
    };
    let invalid = |error: HistogramError| RemoteWriteError::from(HistogramRefusal::from(error));
    let exact = 1u64 << 53;
    assert_eq!(
        refusal(with_count(exact, exact, 1.0)),
        Ok(9_007_199_254_740_992.0)
    );
    assert_eq!(
        refusal(with_count(exact + 1, exact + 1, 1.0)),
        Err(HistogramRefusal::CountTooLarge.into())
    );
    assert_eq!(
        refusal(with_count(3, 2, 1.0)),
        Err(HistogramRefusal::CountMismatch { buckets: 2, count: 3 }.into())
    );
    assert_eq!(
        refusal(with_count(3, 2, f64::NAN)),
        Ok(3.0),
        "an observation of NaN"
    );
    assert_eq!(
        refusal(with_count(2, 3, f64::NAN)),
        Err(HistogramRefusal::CountMismatch { buckets: 3, count: 2 }.into())
    );
    let schema = prompb::Histogram { schema: 9, ..whole() };
    assert_eq!(refusal(schema), Err(invalid(HistogramError::Schema(9))));
    let negative = prompb::Histogram {
        positive_deltas: vec![3, -5],
        ..whole()
    };
    assert_eq!(refusal(negative), Err(invalid(HistogramError::NegativeCount)));
    let spans = prompb::Histogram {
        positive_deltas: vec![3, -2, 0],
        count: Some(Count::Int(13)),
        ..whole()
    };
    assert!(matches!(
        refusal(spans),
        Err(RemoteWriteError::Histogram(HistogramRefusal::Invalid(
            HistogramError::Spans(_)
        )))
    ));
    let overflow = prompb::Histogram {
        positive_deltas: vec![i64::MAX, i64::MAX],
        ..whole()
    };
    assert_eq!(refusal(overflow), Err(HistogramRefusal::CountTooLarge.into()));
}

#[test]
fn a_known_label_set_is_not_decoded_again() {
    let jobs = ["a", "b", "a"];
    let v1 = prompb::WriteRequest {
        timeseries: jobs
            .map(|job| series(&[("__name__", "x"), ("job", job)], &[(1, 1.0)]))
            .into(),
        ..Default::default()
    };
    // The same label sets with symbols numbered otherwise, request for request.
    let v2 = |texts: &[&str], refs: [[u32; 4]; 3]| {
        let series = |labels_refs: [u32; 4]| v2::TimeSeries {
            labels_refs: labels_refs.into(),
            samples: vec![v2::Sample::default()],
            ..Default::default()
        };
        v2::Request {
            symbols: symbols(texts),
            timeseries: refs.map(series).into(),
        }
        .encode_to_vec()
    };
    let mut cache: SeriesCache<usize> = SeriesCache::new(100);
    let mut known: Vec<Labels> = Vec::new();
    let mut found = Vec::new();
    for (version, body) in [
        (Version::V1, v1.encode_to_vec()),
        (Version::V1, v1.encode_to_vec()),
        (
            Version::V2,
            v2(
                &["", "__name__", "x", "job", "a", "b"],
                [[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 4]],
            ),
        ),
        (
            Version::V2,
            v2(
                &["", "b", "a", "job", "__name__", "x"],
                [[4, 5, 3, 2], [4, 5, 3, 1], [4, 5, 3, 2]],
            ),
        ),
    ] {
        for series in Request::parse(version, &body).expect("reads").series() {
            let series = series.expect("reads");
            let key = series.key().expect("good");
            let id = cache.get(key).unwrap_or_else(|| {
                known.push(series.labels().expect("good"));
                cache.insert(key, known.len() - 1);
                known.len() - 1
            });
            found.push(known[id].get("job").expect("has one").to_owned());
        }
    }
    assert_eq!(
        found,
        ["a", "b", "a", "a", "b", "a", "a", "b", "a", "a", "b", "a"]
    );
    assert_eq!(known.len(), 4, "each set once in each version");
}
