use mainstay_ingest::exposition::{Format, HistogramForm, Item, ParseError};

/// Reads as a scrape without native histograms does.
fn parse(body: &[u8], format: Format, on_item: impl FnMut(Item<'_>)) -> Result<(), ParseError> {
    mainstay_ingest::exposition::parse(body, format, HistogramForm::Classic, on_item)
}

/// Every item on a line of its own.
fn read(text: &str, format: Format) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    parse(text.as_bytes(), format, |item| {
        lines.push(match item {
            Item::Type { family, kind } => format!("type {family} {kind:?}"),
            Item::Help { family, help } => format!("help {family} {help:?}"),
            Item::Unit { family, unit } => format!("unit {family} {unit}"),
            Item::Created {
                family,
                labels,
                created_ms,
            } => format!("created {family} {labels:?} {created_ms}"),
            Item::Sample(sample) => {
                let exemplar = sample
                    .exemplars
                    .first()
                    .map(|e| format!(" # {:?} {} {:?}", e.labels, e.value, e.timestamp_ms));
                format!(
                    "{} {:?} {} {:?} {:?} of {}{}",
                    sample.metric,
                    sample.labels,
                    sample.value,
                    sample.timestamp_ms,
                    sample.kind,
                    sample.family,
                    exemplar.unwrap_or_default()
                )
            }
        });
    })
    .map_err(|error| error.to_string())?;
    Ok(lines)
}

#[test]
fn text_format_as_prometheus_documents_it() {
    let text = r#"# HELP http_requests_total The total number of \\ HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="+Inf"} 144320
	http_request_duration_seconds_sum   53423
http_request_duration_seconds_created 1.5e9
http_requests_created { method = "post" , code = "200" } 1600000000.5
# TYPE x_created gauge
x_created 5
"#;
    let expected = [
        r#"help http_requests_total "The total number of \\ HTTP requests.""#,
        "type http_requests_total Counter",
        r#"http_requests_total [("method", "post"), ("code", "200")] 1027 Some(1395066363000) Counter of http_requests"#,
        r#"http_requests_total [("method", "post"), ("code", "400")] 3 Some(1395066363000) Counter of http_requests"#,
        r#"msdos_file_access_time_seconds [("path", "C:\\DIR\\FILE.TXT"), ("error", "Cannot find file:\n\"FILE.TXT\"")] 1458255915 None Unknown of msdos_file_access_time_seconds"#,
        "metric_without_timestamp_and_labels [] 12.47 None Unknown of metric_without_timestamp_and_labels",
        r#"something_weird [("problem", "division by zero")] inf Some(-3982045) Unknown of something_weird"#,
        "type http_request_duration_seconds Histogram",
        r#"http_request_duration_seconds_bucket [("le", "+Inf")] 144320 None Histogram of http_request_duration_seconds"#,
        "http_request_duration_seconds_sum [] 53423 None Histogram of http_request_duration_seconds",
        "created http_request_duration_seconds [] 1500000000000",
        r#"created http_requests [("method", "post"), ("code", "200")] 1600000000500"#,
        "type x_created Gauge",
        "x_created [] 5 None Gauge of x_created",
    ];
    assert_eq!(read(text, Format::Text).expect("reads"), expected);
}

#[test]
fn openmetrics_with_all_that_it_has() {
    let text = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds He\\\"lp\n\
        a_seconds_total{x=\"1\"} 2 1.5 # {trace_id=\"t\"} 0.5 1.25\na_seconds_created{x=\"1\"} 1.001 1.5\n# EOF\n";
    let expected = [
        "type a_seconds Counter",
        "unit a_seconds seconds",
        r#"help a_seconds "He\"lp""#,
        r#"a_seconds_total [("x", "1")] 2 Some(1500) Counter of a_seconds # [("trace_id", "t")] 0.5 Some(1250)"#,
        r#"created a_seconds [("x", "1")] 1001"#,
    ];
    assert_eq!(read(text, Format::OpenMetrics).expect("reads"), expected);
}

#[test]
fn refusals_say_where_and_what_was_expected() {
    use Format::{OpenMetrics, Text};
    let cases = [
        (
            Text,
            "a 1\nb{x=\"é\",y} 1\n",
            "2:10: expected = after the label name y",
        ),
        (
            Text,
            "a{x=\"1\n",
            "1:6: expected a closing quote on the same line",
        ),
        (
            Text,
            "a 1 1.5\n",
            "1:5: expected a timestamp in whole milliseconds, not \"1.5\"",
        ),
        (
            Text,
            "a 0x10\n",
            "1:3: expected the value, a number, not \"0x10\"",
        ),
        (
            Text,
            "# TYPE a meter\n",
            "1:10: expected counter, gauge, histogram, summary or untyped, not \"meter\"",
        ),
        (Text, "a{x=\"1\",x=\"2\"} 1\n", "1:9: the label x stands twice"),
        (
            Text,
            "a{__name__=\"b\"} 1\n",
            "1:3: the label __name__ is the metric's name and stands before the brace",
        ),
        (OpenMetrics, "a 1\n", "2:1: expected # EOF at the end"),
        (
            OpenMetrics,
            "a  1\n# EOF\n",
            "1:3: expected the value, a number, not \"\"",
        ),
        (
            OpenMetrics,
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# EOF\n",
            "3:1: the histogram h that ends here has no bucket le=\"+Inf\" as its last",
        ),
        (
            OpenMetrics,
            "a 1\n# EOF\nb 1\n",
            "3:1: expected nothing after # EOF",
        ),
    ];
    for (format, text, expected) in cases {
        assert_eq!(read(text, format).expect_err(text), expected, "{text}");
    }
    let invalid = parse(b"a 1\nb \xff", Text, |_| {}).expect_err("not UTF-8");
    assert_eq!(invalid.to_string(), "2:3: not UTF-8");
}

/// Rules that the published cases above leave open.
#[test]
fn more_that_openmetrics_refuses() {
    let cases = [
        "a 1\n# EOFx",
        "a{a=1} 1\n# EOF\n",
        "a{a=\"1\",b=\"2\",} 1\n# EOF\n",
        "a{a=\"1\",a=\"1\"} 1\n# EOF\n",
        "a\n# EOF\n",
        "# HELP\n# EOF\n",
        "# TYPE a\n# EOF\n",
        "# TYPE x_u info\n# UNIT x_u u\n# EOF\n",
        "# UNIT a_s s\n# UNIT a_s s\n# EOF\n",
        "a.b 1\n# EOF\n",
        "a 1_2\n# EOF\n",
        "a 0b1\n# EOF\n",
        "a 1 1_2\n# EOF\n",
        "a 1 +Inf\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1# {} 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1 # {} 1 \n# EOF\n",
        "# TYPE a gauge\na 1 # {a=\"b\"} 1\n# EOF\n",
        "# TYPE a counter\na_created 1 # {a=\"b\"} 1\n# EOF\n",
        "# TYPE a stateset\na{a=\"bar\"} 2\n# EOF\n",
        "# TYPE a summary\na{quantile=\"foo\"} 0\n# EOF\n",
        "# TYPE a histogram\na_bucket 0\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 0\na_sum 0\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+INF\"} 0\n# EOF\n",
        "# TYPE a gauge\na 0 0\na 0\n# EOF\n",
        "# TYPE a gauge\na 0 1.1\na 0 1\n# EOF\n",
        "# TYPE a info\n# TYPE a counter\n# EOF\n",
        "a 1\r\n# EOF\r\n",
        "# EOF\n\n",
        "\n# EOF\n",
        "# HELP a x\n# TYPE b gauge\nb 1\na 1\n# EOF\n",
    ];
    for text in cases {
        read(text, Format::OpenMetrics).expect_err(text);
    }
    let good = [
        "# EOF\n",
        "# EOF",
        "# TYPE a stateset\na{a=\"bar\"} 0\na{a=\"foo\"} 1.0\n# EOF\n",
        "# TYPE a info\na_info{x=\"1\"} 1\na_info{x=\"2\"} 1\n# EOF\n",
        "a nan\nb +inf\nc 1.\nd .5\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 0 1\na_bucket{le=\"+Inf\"} 1 2\n# EOF\n",
        "# TYPE a info\na_info{a=\"1\"} 1 1\na_info{a=\"2\"} 1 0\n# EOF\n",
        "# TYPE a counter\na_total{foo=\"1\"} 1 000\na_total{foo=\"4\"} 1 12345678901234567890.1234567890\na_total{foo=\"5\"} 1 1.5e3\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"-1.0\"} 0\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"+Inf\"} 3\n# EOF\n",
        "# TYPE a counter\n# HELP a he\0lp\na_total{foo=\"b\0r\"} 1\n# EOF\n",
        "# TYPE a gauge\na{a=\"1\"} 1 0.0000000000\na{a=\"1\"} 2 0.0000000001\na{a=\"2\"} 4 0.0000000000\n# EOF\n",
        "# TYPE a counter\na_total{b=\"1\"} 1\na_created{b=\"1\"} 1\na_total{b=\"2\"} 1\n# EOF\n",
    ];
    for text in good {
        read(text, Format::OpenMetrics).expect(text);
    }
}

proptest::proptest! {
    #[test]
    fn noise_is_never_a_panic(noise in "[a-c#{}=\",\\\\ \n0-9ETYPOFHLU_.é-]{0,80}", bytes in proptest::collection::vec(0u8.., 0..60)) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let _ = parse(noise.as_bytes(), format, |_| {});
            let _ = parse(&bytes, format, |_| {});
        }
    }
}
