//! OTLP metrics: the same request in both encodings, and what it becomes.

use mainstay_ingest::SeriesSample;
use mainstay_ingest::otlp::{OtlpBatch, OtlpEncoding, OtlpError, OtlpSettings, read};
use mainstay_kernel::SampleValue;
use proptest::prelude::*;
use prost::Message;

use crate::otlp_messages::{
    Any, AnyValue, Buckets, Data, Exemplar, Exponential, ExponentialPoint, Histogram, HistogramPoint,
    KeyValue, List, Metric, Number, PartialSuccess, Quantile, Request, Resource, ResourceMetrics, Response,
    ScopeMetrics, Sum, Summary, SummaryPoint,
};

const SECOND: u64 = 1_000_000_000;
const CUMULATIVE: i32 = 2;

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::Text(value.to_owned()))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
    }
}

fn request(metrics: Vec<Metric>) -> Request {
    Request {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "gateway"),
                    text("service.namespace", "payments"),
                    text("service.instance.id", "i-1"),
                    text("k8s.pod.name", "p-7"),
                ],
            }),
            scope_metrics: vec![ScopeMetrics { metrics }],
        }],
    }
}

fn every_kind() -> Request {
    let exemplar = |value, trace: &[u8]| Exemplar {
        filtered_attributes: vec![text("user", "u1")],
        time: 9 * SECOND,
        as_double: Some(value),
        span_id: vec![1, 2],
        trace_id: trace.to_vec(),
    };
    request(vec![
        metric(
            "http.server.requests",
            "{request}",
            Data::Sum(Sum {
                data_points: vec![
                    Number {
                        attributes: vec![
                            text("http.method", "GET"),
                            text("http-method", "POST"),
                            pair("retries", Any::Int(-3)),
                            pair("cached", Any::Bool(true)),
                            pair("weight", Any::Double(1.5)),
                            pair(
                                "zones",
                                Any::List(List {
                                    values: vec![
                                        AnyValue {
                                            value: Some(Any::Text("a".to_owned())),
                                        },
                                        AnyValue {
                                            value: Some(Any::Int(2)),
                                        },
                                    ],
                                }),
                            ),
                        ],
                        start: 5 * SECOND,
                        time: 10 * SECOND,
                        as_int: Some(42),
                        exemplars: vec![exemplar(1.0, &[0xab, 0xcd])],
                        ..Number::default()
                    },
                    Number {
                        time: 11 * SECOND,
                        flags: 1,
                        ..Number::default()
                    },
                ],
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
        ),
        metric(
            "cpu.utilization",
            "1",
            Data::Gauge(Sum {
                data_points: vec![Number {
                    start: SECOND,
                    time: 10 * SECOND,
                    as_double: Some(0.25),
                    ..Number::default()
                }],
                ..Sum::default()
            }),
        ),
        metric(
            "latency",
            "ms",
            Data::Histogram(Histogram {
                data_points: vec![HistogramPoint {
                    start: 5 * SECOND,
                    time: 10 * SECOND,
                    count: 6,
                    sum: Some(12.5),
                    bucket_counts: vec![1, 2, 3],
                    explicit_bounds: vec![0.5, 10.0],
                    exemplars: vec![exemplar(7.0, &[1]), exemplar(99.0, &[2])],
                }],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        metric(
            "size",
            "By",
            Data::Exponential(Exponential {
                data_points: vec![ExponentialPoint {
                    start: 5 * SECOND,
                    time: 10 * SECOND,
                    count: 13,
                    sum: Some(8.0),
                    scale: 2,
                    zero_count: 2,
                    positive: Some(Buckets {
                        offset: -1,
                        bucket_counts: vec![0, 4, 0, 1, 0, 0, 0, 0, 3],
                    }),
                    negative: Some(Buckets {
                        offset: 3,
                        bucket_counts: vec![3],
                    }),
                    ..ExponentialPoint::default()
                }],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        metric(
            "old",
            "",
            Data::Summary(Summary {
                data_points: vec![SummaryPoint {
                    time: 10 * SECOND,
                    count: 3,
                    sum: 4.5,
                    quantile_values: vec![Quantile {
                        quantile: 0.99,
                        value: 4.0,
                    }],
                }],
            }),
        ),
    ])
}

/// The same, as a collector writes it.
const EVERY_KIND: &str = r#"{"resourceMetrics": [{"unknown": 1, "resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "gateway"}}, {"key": "service.namespace", "value": {"stringValue": "payments"}},
    {"key": "service.instance.id", "value": {"stringValue": "i-1"}}, {"key": "k8s.pod.name", "value": {"stringValue": "p-7"}}]},
  "scopeMetrics": [{"scope": {"name": "x"}, "metrics": [
    {"name": "http.server.requests", "unit": "{request}", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
      {"attributes": [{"key": "http.method", "value": {"stringValue": "GET"}}, {"key": "http-method", "value": {"stringValue": "POST"}},
        {"key": "retries", "value": {"intValue": "-3"}}, {"key": "cached", "value": {"boolValue": true}},
        {"key": "weight", "value": {"doubleValue": 1.5}},
        {"key": "zones", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 2}]}}}],
       "startTimeUnixNano": "5000000000", "timeUnixNano": "10000000000", "asInt": "42", "exemplars": [
        {"filteredAttributes": [{"key": "user", "value": {"stringValue": "u1"}}], "timeUnixNano": "9000000000", "asDouble": 1,
         "spanId": "0102", "traceId": "abcd"}]},
      {"timeUnixNano": 11000000000, "flags": 1}]}},
    {"name": "cpu.utilization", "unit": "1", "gauge": {"dataPoints": [
      {"startTimeUnixNano": "1000000000", "timeUnixNano": "10000000000", "asDouble": 0.25}]}},
    {"name": "latency", "unit": "ms", "histogram": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [
      {"startTimeUnixNano": "5000000000", "timeUnixNano": "10000000000", "count": "6", "sum": 12.5, "bucketCounts": ["1", "2", 3],
       "explicitBounds": [0.5, 10], "exemplars": [
        {"filteredAttributes": [{"key": "user", "value": {"stringValue": "u1"}}], "timeUnixNano": "9000000000", "asDouble": 7.0,
         "spanId": "0102", "traceId": "01"},
        {"filteredAttributes": [{"key": "user", "value": {"stringValue": "u1"}}], "timeUnixNano": "9000000000", "asDouble": 99.0,
         "spanId": "0102", "traceId": "02"}]}]}},
    {"name": "size", "unit": "By", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
      {"startTimeUnixNano": "5000000000", "timeUnixNano": "10000000000", "count": "13", "sum": 8, "scale": 2, "zeroCount": "2",
       "positive": {"offset": -1, "bucketCounts": ["0", "4", "0", "1", "0", "0", "0", "0", "3"]},
       "negative": {"offset": 3, "bucketCounts": ["3"]}}]}},
    {"name": "old", "summary": {"dataPoints": [
      {"timeUnixNano": "10000000000", "count": "3", "sum": 4.5, "quantileValues": [{"quantile": 0.99, "value": 4}]}]}}]}]}]}"#;

fn of(request: &Request) -> OtlpBatch {
    read(
        &request.encode_to_vec(),
        OtlpEncoding::Protobuf,
        &OtlpSettings::default(),
    )
    .expect("reads")
}

/// A line each, without `job` and `instance`, which all of them have.
fn lines(samples: &[SeriesSample]) -> Vec<String> {
    let line = |sample: &SeriesSample| {
        assert_eq!(sample.labels.get("job"), Some("payments/gateway"));
        assert_eq!(sample.labels.get("instance"), Some("i-1"));
        let own = sample.labels.filtered(|name| name != "job" && name != "instance");
        let value = match &sample.value {
            value if value.is_stale() => "stale".to_owned(),
            SampleValue::Float(value) => value.to_string(),
            SampleValue::Histogram(h) => format!(
                "{} {} {} {} {:?} {:?} {:?} {:?}",
                h.schema,
                h.count,
                h.sum,
                h.zero_count,
                h.positive_spans
                    .iter()
                    .map(|s| (s.offset, s.length))
                    .collect::<Vec<_>>(),
                h.positive_buckets,
                h.negative_spans
                    .iter()
                    .map(|s| (s.offset, s.length))
                    .collect::<Vec<_>>(),
                h.negative_buckets
            ),
        };
        let since = sample
            .created_ms
            .map(|ms| format!(" since {ms}"))
            .unwrap_or_default();
        let exemplars: Vec<String> = sample
            .exemplars
            .iter()
            .map(|e| format!(" # {} {} {:?}", e.labels, e.value, e.t_ms))
            .collect();
        format!("{own} {value} @{}{since}{}", sample.t_ms, exemplars.concat())
    };
    samples.iter().map(line).collect()
}

#[test]
fn every_kind_in_both_encodings() {
    let batch = of(&every_kind());
    assert_eq!(
        lines(&batch.samples),
        [
            r#"http_server_requests_total{cached="true", http_method="POST;GET", retries="-3", weight="1.5", zones="[\"a\",2]"} 42 @10000 since 5000 # {span_id="0102", trace_id="abcd", user="u1"} 1 Some(9000)"#,
            "http_server_requests_total stale @11000",
            "cpu_utilization_ratio 0.25 @10000",
            "latency_milliseconds_sum 12.5 @10000 since 5000",
            "latency_milliseconds_count 6 @10000 since 5000",
            r#"latency_milliseconds_bucket{le="0.5"} 1 @10000 since 5000"#,
            r#"latency_milliseconds_bucket{le="10"} 3 @10000 since 5000 # {span_id="0102", trace_id="01", user="u1"} 7 Some(9000)"#,
            r#"latency_milliseconds_bucket{le="+Inf"} 6 @10000 since 5000 # {span_id="0102", trace_id="02", user="u1"} 99 Some(9000)"#,
            "size_bytes 2 13 8 2 [(1, 3), (4, 1)] [4.0, 0.0, 1.0, 3.0] [(4, 1)] [3.0] @10000 since 5000",
            "old_sum 4.5 @10000",
            "old_count 3 @10000",
            r#"old{quantile="0.99"} 4 @10000"#,
            r#"target_info{k8s_pod_name="p-7"} 1 @11000"#,
        ]
    );
    assert_eq!(
        (batch.rejected, batch.response(OtlpEncoding::Protobuf)),
        (0, Vec::new())
    );
    let json = read(
        EVERY_KIND.as_bytes(),
        OtlpEncoding::Json,
        &OtlpSettings::default(),
    )
    .expect("reads");
    assert_eq!(json, batch);
    assert_eq!(json.response(OtlpEncoding::Json), b"{}");
    let settings = OtlpSettings {
        promote_resource_attributes: vec!["k8s.pod.name".to_owned()],
        keep_identifying_resource_attributes: true,
    };
    let promoted = read(EVERY_KIND.as_bytes(), OtlpEncoding::Json, &settings).expect("reads");
    let lines = lines(&promoted.samples);
    assert_eq!(
        lines[2],
        r#"cpu_utilization_ratio{k8s_pod_name="p-7"} 0.25 @10000"#
    );
    assert_eq!(
        lines[12],
        r#"target_info{k8s_pod_name="p-7", service_instance_id="i-1", service_name="gateway", service_namespace="payments"} 1 @11000"#
    );
}

#[test]
fn what_cannot_be_taken_is_counted_and_told() {
    let points = |count| {
        vec![
            Number {
                time: SECOND,
                as_int: Some(1),
                ..Number::default()
            };
            count
        ]
    };
    let exponential = |point: ExponentialPoint| {
        Data::Exponential(Exponential {
            data_points: vec![point],
            aggregation_temporality: CUMULATIVE,
        })
    };
    let request = request(vec![
        metric(
            "delta",
            "",
            Data::Sum(Sum {
                data_points: points(3),
                aggregation_temporality: 1,
                is_monotonic: true,
            }),
        ),
        metric(
            "unsaid",
            "",
            Data::Sum(Sum {
                data_points: points(1),
                ..Sum::default()
            }),
        ),
        metric(
            "日本",
            "",
            Data::Gauge(Sum {
                data_points: points(1),
                ..Sum::default()
            }),
        ),
        metric(
            "coarse",
            "",
            exponential(ExponentialPoint {
                scale: -5,
                ..ExponentialPoint::default()
            }),
        ),
        metric(
            "wrong",
            "",
            exponential(ExponentialPoint {
                count: 3,
                ..ExponentialPoint::default()
            }),
        ),
        metric(
            "far",
            "",
            exponential(ExponentialPoint {
                count: 1,
                positive: Some(Buckets {
                    offset: i32::MAX,
                    bucket_counts: vec![1],
                }),
                ..ExponentialPoint::default()
            }),
        ),
        metric(
            "good",
            "",
            Data::Gauge(Sum {
                data_points: points(1),
                ..Sum::default()
            }),
        ),
    ]);
    let batch = of(&request);
    assert_eq!(
        lines(&batch.samples),
        ["good 1 @1000", r#"target_info{k8s_pod_name="p-7"} 1 @1000"#]
    );
    assert_eq!(batch.rejected, 8);
    let error_message =
        "delta_total: only cumulative sums and histograms can be taken, this one is a delta or does not say";
    let response = batch.response(OtlpEncoding::Protobuf);
    assert_eq!(
        Response::decode(response.as_slice()).expect("a response"),
        Response {
            partial_success: Some(PartialSuccess {
                rejected_data_points: 8,
                error_message: error_message.to_owned(),
            }),
        }
    );
    assert_eq!(
        String::from_utf8(batch.response(OtlpEncoding::Json)).expect("text"),
        format!(r#"{{"partialSuccess":{{"rejectedDataPoints":"8","errorMessage":"{error_message}"}}}}"#)
    );
}

#[test]
fn finer_histograms_are_made_coarser_without_losing_a_count() {
    let point = |offset, bucket_counts: Vec<u64>| ExponentialPoint {
        time: SECOND,
        count: bucket_counts.iter().sum(),
        scale: 10,
        positive: Some(Buckets {
            offset,
            bucket_counts,
        }),
        ..ExponentialPoint::default()
    };
    let histogram = |offset, counts| {
        let data = Data::Exponential(Exponential {
            data_points: vec![point(offset, counts)],
            aggregation_temporality: CUMULATIVE,
        });
        lines(&of(&request(vec![metric("h", "", data)])).samples)[0].clone()
    };
    // Scale 10 to 8: four in one. Those of -4 to -1 are (2^(-4/1024), 1], which Prometheus counts as 0.
    assert_eq!(
        histogram(-4, vec![1, 2, 3, 4]),
        "h 8 10 0 0 [(0, 1)] [10.0] [] [] @1000"
    );
    assert_eq!(
        histogram(-5, vec![9, 1, 2, 3, 4, 7]),
        "h 8 26 0 0 [(-1, 3)] [9.0, 10.0, 7.0] [] [] @1000"
    );
    assert_eq!(
        histogram(0, vec![1, 0, 0, 0, 0, 1]),
        "h 8 2 0 0 [(1, 2)] [1.0, 1.0] [] [] @1000"
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let refused =
        |body: &[u8], encoding| read(body, encoding, &OtlpSettings::default()).expect_err("refused");
    let body = every_kind().encode_to_vec();
    assert!(matches!(
        refused(&body[..body.len() - 1], OtlpEncoding::Protobuf),
        OtlpError::Malformed(_)
    ));
    let error = refused(b"{\"resourceMetrics\": 3}", OtlpEncoding::Json).to_string();
    assert!(error.contains("line 1 column 21"), "{error}");
    // Lists in lists, a hundred deep.
    let mut value = AnyValue {
        value: Some(Any::Bool(true)),
    };
    for _ in 0..100 {
        value = AnyValue {
            value: Some(Any::List(List { values: vec![value] })),
        };
    }
    let mut deep = every_kind();
    if let Some(resource) = &mut deep.resource_metrics[0].resource {
        resource.attributes.push(KeyValue {
            key: "deep".to_owned(),
            value: Some(value),
        });
    }
    assert_eq!(
        refused(&deep.encode_to_vec(), OtlpEncoding::Protobuf),
        OtlpError::TooDeep
    );
    assert_eq!(
        OtlpEncoding::of_content_type("application/json; charset=utf-8"),
        Some(OtlpEncoding::Json)
    );
    assert_eq!(OtlpEncoding::of_content_type("text/plain"), None);
}

proptest! {
    #[test]
    fn damage_never_panics(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut binary = every_kind().encode_to_vec();
        let mut json = EVERY_KIND.as_bytes().to_vec();
        for (at, byte) in changes {
            let index = at.index(binary.len());
            binary[index] = byte;
            let index = at.index(json.len());
            json[index] = byte;
        }
        let _ = read(&binary, OtlpEncoding::Protobuf, &OtlpSettings::default());
        let _ = read(&json, OtlpEncoding::Json, &OtlpSettings::default());
    }
}
