//! What several targets share.

use std::sync::Arc;

use mainstay_ingest::otlp::{self, OtlpEncoding, OtlpSettings};
use mainstay_ingest::remote_write::{Request, Version};
use mainstay_kernel::Labels;
use mainstay_promql::notation::{Point, parse_series};
use mainstay_promql::{MemorySamples, SampleValue};

/// Reads everything that a message of remote write holds.
pub fn read_remote_write(version: Version, message: &[u8]) {
    let Ok(request) = Request::parse(version, message) else {
        return;
    };
    for series in request.series().map_while(Result::ok) {
        drop(series.key());
        drop(series.labels());
        drop(series.metadata());
        let _ = series.counts();
        series.samples().for_each(drop);
        series.histograms().for_each(drop);
        series.exemplars().for_each(drop);
    }
    request.metadata().for_each(drop);
}

/// Reads an OTLP request, with and without promoted attributes, and writes the answer.
pub fn read_otlp(body: &[u8], encoding: OtlpEncoding) {
    let promoting = OtlpSettings {
        promote_resource_attributes: vec!["service.name".to_owned(), "host.name".to_owned()],
        keep_identifying_resource_attributes: true,
    };
    for settings in [OtlpSettings::default(), promoting] {
        if let Ok(batch) = otlp::read(body, encoding, &settings) {
            drop(batch.response(encoding));
        }
    }
}

/// Numbers, gaps, stale markers, classic and native histograms: a sample a minute, for ten minutes.
#[must_use]
pub fn small_store() -> MemorySamples {
    let mut store = MemorySamples::new();
    for text in [
        r#"up{job="a",instance="1"} 1x10"#,
        r#"up{job="b",instance="2"} 1 0 _ stale 1 NaN Inf -Inf 0 1 1"#,
        r#"c{job="a",code="200"} 0+7x4 1+3x5"#,
        r#"c{job="a",code="500"} 0 1e300 1e308 0.5 3 4 5 6 7 8 9"#,
        r#"b{le="0.1"} 0+1x10"#,
        r#"b{le="1"} 0+2x10"#,
        r#"b{le="+Inf"} 0+3x10"#,
        r#"h{job="a"} {{schema:1 sum:3 count:8 z_bucket:1 z_bucket_w:0.01 buckets:[1 2 1] n_buckets:[1 2] offset:-1}}x5"#,
        r#"h{job="b"} {{schema:-53 sum:5 count:6 custom_values:[1 5] buckets:[1 2 3]}}x5"#,
        r#"m {{schema:0 count:1 sum:1 buckets:[1]}} 1 _ {{schema:3 count:2 sum:2 buckets:[1 1]}} 2 stale"#,
    ] {
        let (labels, points) = parse_series(text).expect("a series");
        let labels: Arc<Labels> = Arc::new(labels);
        for (at_ms, point) in (0..).step_by(60_000).zip(points) {
            match point {
                Point::Missing => {}
                Point::Float(value) => store.append(&labels, at_ms, value),
                Point::Histogram { histogram, .. } => {
                    store.append(&labels, at_ms, SampleValue::Histogram(histogram));
                }
            }
        }
    }
    store
}
