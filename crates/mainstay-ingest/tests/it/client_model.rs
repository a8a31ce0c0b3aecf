//! The messages of Prometheus' protobuf exposition format, for an encoder that is not ours: declared from the published
//! schema (`io/prometheus/client/metrics.proto`).

use prost::Message;

use crate::prompb::BucketSpan;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Gauge {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "2")]
    pub(crate) exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    pub(crate) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Quantile {
    #[prost(double, tag = "1")]
    pub(crate) quantile: f64,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(uint64, tag = "1")]
    pub(crate) sample_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) quantile: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    pub(crate) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(crate) sample_count: u64,
    #[prost(double, tag = "4")]
    pub(crate) sample_count_float: f64,
    #[prost(double, tag = "2")]
    pub(crate) sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) bucket: Vec<Bucket>,
    #[prost(message, optional, tag = "15")]
    pub(crate) created_timestamp: Option<Timestamp>,
    #[prost(sint32, tag = "5")]
    pub(crate) schema: i32,
    #[prost(double, tag = "6")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(crate) zero_count: u64,
    #[prost(message, repeated, tag = "9")]
    pub(crate) negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "10")]
    pub(crate) negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub(crate) positive_delta: Vec<i64>,
    #[prost(message, repeated, tag = "16")]
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, tag = "1")]
    pub(crate) cumulative_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    pub(crate) summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<Histogram>,
    #[prost(int64, tag = "6")]
    pub(crate) timestamp_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) help: String,
    #[prost(int32, tag = "3")]
    pub(crate) r#type: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| LabelPair {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(pair).collect()
}

/// A family of each kind, as a client library exposes them.
pub(crate) fn families() -> Vec<MetricFamily> {
    let family = |name: &str, r#type, metric| MetricFamily {
        name: name.to_owned(),
        help: format!("About {name}."),
        r#type,
        metric,
        unit: String::new(),
    };
    let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let exemplar = |trace: &str, value, timestamp| Exemplar {
        label: labels(&[("trace_id", trace)]),
        value,
        timestamp,
    };
    let span = |offset, length| BucketSpan { offset, length };
    vec![
        family(
            "requests_total",
            0,
            vec![Metric {
                label: labels(&[("code", "200"), ("a", "é\n")]),
                counter: Some(Counter {
                    value: 42.5,
                    exemplar: Some(exemplar("t1", 1.0, at(1000, 500_000_000))),
                    created_timestamp: at(900, 1_000_000),
                }),
                ..Metric::default()
            }],
        ),
        family(
            "temperature",
            1,
            vec![Metric {
                gauge: Some(Gauge { value: -3.25 }),
                ..Metric::default()
            }],
        ),
        family(
            "size",
            2,
            vec![Metric {
                label: labels(&[("x", "1")]),
                summary: Some(Summary {
                    sample_count: 4,
                    sample_sum: 10.5,
                    quantile: vec![
                        Quantile {
                            quantile: 0.5,
                            value: 2.0,
                        },
                        Quantile {
                            quantile: 1.0,
                            value: 4.0,
                        },
                    ],
                    created_timestamp: at(800, 0),
                }),
                ..Metric::default()
            }],
        ),
        family(
            "classic",
            4,
            vec![Metric {
                histogram: Some(Histogram {
                    sample_count: 5,
                    sample_sum: 12.0,
                    bucket: vec![
                        Bucket {
                            cumulative_count: 2,
                            upper_bound: 1.0,
                            exemplar: Some(exemplar("t2", 0.5, None)),
                        },
                        Bucket {
                            cumulative_count: 4,
                            upper_bound: 1e7,
                            exemplar: None,
                        },
                    ],
                    ..Histogram::default()
                }),
                ..Metric::default()
            }],
        ),
        family(
            "native",
            4,
            vec![Metric {
                label: labels(&[("x", "1")]),
                histogram: Some(Histogram {
                    sample_count: 10,
                    sample_count_float: 0.0,
                    sample_sum: 7.5,
                    bucket: vec![Bucket {
                        cumulative_count: 6,
                        upper_bound: 1.0,
                        exemplar: None,
                    }],
                    created_timestamp: at(700, 0),
                    schema: 3,
                    zero_threshold: 0.001,
                    zero_count: 2,
                    negative_span: vec![span(0, 1)],
                    negative_delta: vec![1],
                    positive_span: vec![span(-3, 2), span(4, 1)],
                    positive_delta: vec![3, -1, 0],
                    exemplars: vec![exemplar("t3", 0.9, at(1001, 0)), exemplar("t4", 0.9, None)],
                }),
                ..Metric::default()
            }],
        ),
    ]
}

/// The families as they are sent.
pub(crate) fn exposition() -> Vec<u8> {
    families()
        .iter()
        .flat_map(MetricFamily::encode_length_delimited_to_vec)
        .collect()
}
