//! Prometheus' protobuf format, encoded by somebody else's protobuf.

use mainstay_ingest::exposition::{Format, HistogramForm, Item, parse};
use mainstay_kernel::SampleValue;
use prost::Message;

use crate::client_model::{self, Metric, MetricFamily};

fn read(body: &[u8], form: HistogramForm) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    parse(body, Format::Protobuf, form, |item| {
        lines.push(match item {
            Item::Type { family, kind } => format!("type {family} {kind:?}"),
            Item::Help { .. } => return,
            Item::Unit { family, unit } => format!("unit {family} {unit}"),
            Item::Created {
                family,
                labels,
                created_ms,
            } => format!("created {family} {labels:?} {created_ms}"),
            Item::Sample(sample) => {
                let exemplars: Vec<String> = sample
                    .exemplars
                    .iter()
                    .map(|e| format!(" # {:?} {} {:?}", e.labels, e.value, e.timestamp_ms))
                    .collect();
                let value = match &sample.value {
                    SampleValue::Float(value) => value.to_string(),
                    SampleValue::Histogram(h) => format!(
                        "{:?} {} {} {} {} {:?} {:?} {:?} {:?}",
                        h.reset_hint,
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
                let (metric, labels, t_ms) = (sample.metric, sample.labels, sample.timestamp_ms);
                format!("{metric} {labels:?} {value} {t_ms:?}{}", exemplars.concat())
            }
        });
    })
    .map_err(|error| error.to_string())?;
    Ok(lines)
}

const BEFORE: [&str; 18] = [
    "type requests_total Counter",
    r#"created requests [("code", "200"), ("a", "é\n")] 900001"#,
    r#"requests_total [("code", "200"), ("a", "é\n")] 42.5 None # [("trace_id", "t1")] 1 Some(1000500)"#,
    "type temperature Gauge",
    "temperature [] -3.25 None",
    "type size Summary",
    r#"created size [("x", "1")] 800000"#,
    r#"size_count [("x", "1")] 4 None"#,
    r#"size_sum [("x", "1")] 10.5 None"#,
    r#"size [("x", "1"), ("quantile", "0.5")] 2 None"#,
    r#"size [("x", "1"), ("quantile", "1.0")] 4 None"#,
    "type classic Histogram",
    "classic_count [] 5 None",
    "classic_sum [] 12 None",
    r#"classic_bucket [("le", "1.0")] 2 None # [("trace_id", "t2")] 0.5 None"#,
    r#"classic_bucket [("le", "1e+07")] 4 None"#,
    r#"classic_bucket [("le", "+Inf")] 5 None"#,
    "type native Histogram",
];
const CREATED: &str = r#"created native [("x", "1")] 700000"#;
const NATIVE: &str = r#"native [("x", "1")] Unknown 3 10 7.5 2 [(-3, 2), (4, 1)] [3.0, 2.0, 2.0] [(0, 1)] [1.0] None # [("trace_id", "t3")] 0.9 Some(1001000)"#;
const CLASSIC: [&str; 4] = [
    r#"native_count [("x", "1")] 10 None"#,
    r#"native_sum [("x", "1")] 7.5 None"#,
    r#"native_bucket [("x", "1"), ("le", "1.0")] 6 None"#,
    r#"native_bucket [("x", "1"), ("le", "+Inf")] 10 None"#,
];

#[test]
fn every_kind_in_the_form_that_is_wanted() {
    let body = client_model::exposition();
    let expected = |rest: &[&'static str]| [&BEFORE[..], &[CREATED], rest].concat();
    assert_eq!(
        read(&body, HistogramForm::Native).expect("reads"),
        expected(&[NATIVE])
    );
    assert_eq!(
        read(&body, HistogramForm::Classic).expect("reads"),
        expected(&CLASSIC)
    );
    let both: Vec<&str> = [NATIVE].into_iter().chain(CLASSIC).collect();
    assert_eq!(read(&body, HistogramForm::Both).expect("reads"), expected(&both));
}

#[test]
fn refusals_name_the_family() {
    let refusal = |family: MetricFamily| {
        let mut body = client_model::exposition();
        body.extend(family.encode_length_delimited_to_vec());
        read(&body, HistogramForm::Native).expect_err("refused")
    };
    assert_eq!(
        refusal(MetricFamily::default()),
        "metric family 6: it has no name"
    );
    let family = |label| MetricFamily {
        name: "x".to_owned(),
        metric: vec![Metric {
            label,
            ..Metric::default()
        }],
        ..MetricFamily::default()
    };
    assert_eq!(
        refusal(family(client_model::labels(&[
            ("a", "1"),
            ("b", "1"),
            ("a", "2")
        ]))),
        "metric family 6: the label a stands twice"
    );
    assert_eq!(
        refusal(family(client_model::labels(&[("", "1")]))),
        "metric family 6: a label has an empty name"
    );
    let kind = MetricFamily {
        r#type: 9,
        ..family(Vec::new())
    };
    assert_eq!(refusal(kind), "metric family 6: 9 is no type of a metric");
    let mut native = client_model::families().remove(4);
    if let Some(histogram) = &mut native.metric[0].histogram {
        histogram.sample_count = 11;
    }
    assert_eq!(
        refusal(native),
        "metric family 6: a histogram's buckets hold 10 observations and its count is 11"
    );
    let body = client_model::exposition();
    let cut = read(&body[..body.len() - 1], HistogramForm::Native).expect_err("cut short");
    assert_eq!(cut, "metric family 5: the protobuf message ends within a field");
    assert_eq!(read(&[], HistogramForm::Native), Ok(Vec::new()));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0u8..), 1..8)
    ) {
        let mut body = client_model::exposition();
        for (at, byte) in changes {
            let index = at.index(body.len());
            body[index] = byte;
        }
        let _ = read(&body, HistogramForm::Both);
    }
}
