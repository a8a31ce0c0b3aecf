//! How fast remote write is read.

use mainstay_ingest::remote_write::{Request, SeriesCache, Version, decompress};
use prost::Message;

use crate::prompb::{self, series, symbols, v2};

/// `cargo test --release -p mainstay-ingest -- --ignored --nocapture how_fast`
#[test]
#[ignore = "prints a figure; run it in release"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn how_fast() {
    const SERIES: usize = 2000;
    let names = ["__name__", "cell", "instance", "job", "method", "path", "status"];
    let value = |index: usize, name: &str| match name {
        "__name__" => "http_requests_total".to_owned(),
        "cell" => format!("cell-{}", index % 7),
        "instance" => format!("10.0.{}.{}:9100", index / 250, index % 250),
        "job" => "payments-gateway".to_owned(),
        "method" => ["GET", "POST"][index % 2].to_owned(),
        "path" => format!("/v1/payments/{}", index % 40),
        _ => "200".to_owned(),
    };
    let mut v1 = prompb::WriteRequest::default();
    let mut v2 = v2::Request {
        symbols: symbols(&[""]),
        timeseries: Vec::new(),
    };
    for index in 0..SERIES {
        let pairs: Vec<(&str, String)> = names.map(|name| (name, value(index, name))).into();
        let mut refs = Vec::new();
        for text in pairs.iter().flat_map(|(name, value)| [*name, value.as_str()]) {
            let at = v2
                .symbols
                .iter()
                .position(|held| held == text)
                .unwrap_or_else(|| {
                    v2.symbols.push(text.to_owned());
                    v2.symbols.len() - 1
                });
            refs.push(u32::try_from(at).expect("few"));
        }
        let sample = (1_700_000_000_000, index as f64 * 1.5);
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        v1.timeseries.push(series(&pairs, &[sample]));
        v2.timeseries.push(v2::TimeSeries {
            labels_refs: refs,
            samples: vec![v2::Sample {
                value: sample.1,
                timestamp: sample.0,
                start_timestamp: 0,
            }],
            ..Default::default()
        });
    }
    for (version, body) in [
        (Version::V1, v1.encode_to_vec()),
        (Version::V2, v2.encode_to_vec()),
    ] {
        let packed = snap::raw::Encoder::new().compress_vec(&body).expect("packs");
        let mut cache: SeriesCache<u32> = SeriesCache::new(100_000);
        let (mut buffer, mut batch) = (Vec::new(), Vec::new());
        let mut best = [f64::MAX; 2];
        for _ in 0..300 {
            batch.clear();
            let start = std::time::Instant::now();
            decompress(&packed, 1 << 24, &mut buffer).expect("unpacks");
            let unpacked = std::time::Instant::now();
            let request = Request::parse(version, &buffer).expect("reads");
            for series in request.series() {
                let series = series.expect("reads");
                let key = series.key().expect("good");
                let id = match cache.get(key) {
                    Some(id) => id,
                    None => {
                        let id = u32::try_from(cache.len()).expect("few");
                        series.labels().expect("good");
                        cache.insert(key, id);
                        id
                    }
                };
                for sample in series.samples() {
                    let sample = sample.expect("reads");
                    batch.push((id, sample.t_ms, sample.value));
                }
            }
            let end = std::time::Instant::now();
            let per_sample = |from: std::time::Instant, to: std::time::Instant| {
                (to - from).as_nanos() as f64 / SERIES as f64
            };
            best[0] = best[0].min(per_sample(start, unpacked));
            best[1] = best[1].min(per_sample(unpacked, end));
        }
        assert_eq!(batch.len(), SERIES);
        println!(
            "{version:?}: {:.1} ns per sample to unpack, {:.1} ns to read and look up ({} bytes, {} packed)",
            best[0],
            best[1],
            body.len(),
            packed.len()
        );
    }
}
