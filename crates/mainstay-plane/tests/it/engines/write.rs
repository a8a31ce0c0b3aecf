//! Remote write out: what leaves is what was stored, and it arrives whoever stops meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::exposition::MetricKind;
use mainstay_ingest::remote_write::{Request, Version, decompress};
use mainstay_kernel::STALE_NAN;
use mainstay_kernel::histogram::{BucketSpan, ResetHint};
use mainstay_kernel::{Histogram, Labels, MatchOp, Matcher};
use mainstay_plane::telemetry::StoreSamples;
use mainstay_plane::telemetry::remote::{RemoteSamples, StoreLog};
use mainstay_promql::{SampleValue, Samples};
use mainstay_remote::write::{Entry, Families, Metadata, Protocol, Sender, encode, encode_metadata};
use mainstay_series::Store;
use tokio::runtime::Handle;

use super::data::{self, END_MS};
use super::peer::{FROM_THE_BEGINNING, Kind, Peer, send_everything, sender};
use super::raw::{bits, hide_stale_markers};

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_arrives_whoever_stops_meanwhile() {
    for kind in Kind::ALL {
        let Some(mut peer) = Peer::start(kind).await else {
            continue;
        };
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(place.path().join("place"), FROM_THE_BEGINNING).expect("written");
        let mut side = Side::open(place.path(), &peer);
        let mut retries = 0;
        for round in 0..30 {
            data::append(&side.store, round * 10..round * 10 + 10);
            // For a moment only: it is stopped wherever it stands.
            side.run_for(Duration::from_millis(15 * (round as u64 % 4))).await;
            match round {
                8 => peer.stop(),
                14 => peer.go().await,
                _ => {}
            }
            if round % 5 == 3 {
                retries += side.sender.tally().retries;
                side.close().await;
                side = Side::open(place.path(), &peer);
            }
        }
        assert!(retries > 0, "the receiver was down");
        send_everything(&side.sender, &side.log, &side.store).await;
        peer.show_everything().await;
        let everything = [Matcher::new("__name__", MatchOp::Matches, "demo.+").expect("a matcher")];
        let ours = StoreSamples::new(Arc::clone(&side.store));
        let theirs = RemoteSamples::new(peer.client(), kind.dialect(), Handle::current());
        let mut wanted = ours.select(&everything, -1, END_MS).expect("the store reads");
        let mut found = theirs.select(&everything, -1, END_MS).expect("it answers");
        if kind == Kind::Prometheus {
            hide_stale_markers(&mut wanted);
            hide_stale_markers(&mut found);
        }
        assert!(bits(&found) == bits(&wanted), "{kind:?} has something else");
    }
}

/// Our side: a store and a sender of its log, both of which can go and come back.
struct Side {
    store: Arc<Store>,
    log: Arc<StoreLog>,
    sender: Sender,
}

impl Side {
    fn open(place: &Path, peer: &Peer) -> Self {
        let store = data::open(place);
        let log = StoreLog::open(Arc::clone(&store), "peer", place.join("place"));
        let log = Arc::new(log.expect("a place"));
        // Small batches, so that there are many places to be stopped at.
        let sender = sender(peer.receiver(), Arc::clone(&log), Protocol::V2, 700);
        Self { store, log, sender }
    }

    /// Lets go of everything; a read of the log that was under way may take a moment to end.
    async fn close(self) {
        let Self { store, log, sender } = self;
        drop((log, sender));
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    }

    async fn run_for(&self, time: Duration) {
        if let Ok(ended) = tokio::time::timeout(time, self.sender.run()).await {
            panic!("{ended:?}");
        }
    }
}

/// Our receiver reads what our sender writes, in both versions.
#[test]
fn what_is_encoded_is_decoded() {
    let labels = |name: &str| {
        Arc::new(Labels::from_iter([
            ("__name__", name),
            ("job", "a"),
            ("le", "0.5"),
        ]))
    };
    let (floats, histograms) = (labels("floats"), labels("histograms"));
    let entry = |labels: &Arc<Labels>, t_ms, value| Entry {
        labels: Arc::clone(labels),
        created_ms: Some(1_000),
        t_ms,
        value,
    };
    let whole = Histogram {
        reset_hint: ResetHint::NotReset,
        schema: -3,
        zero_threshold: 1e-128,
        zero_count: 2.0,
        count: 20.0,
        sum: -7.5,
        positive_spans: vec![
            BucketSpan {
                offset: -4,
                length: 2,
            },
            BucketSpan { offset: 3, length: 1 },
        ],
        positive_buckets: vec![5.0, 1.0, 9.0],
        negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
        negative_buckets: vec![3.0],
        custom_values: Vec::new(),
    };
    let fractions = Histogram {
        count: 20.5,
        positive_buckets: vec![5.25, 1.0, 9.25],
        reset_hint: ResetHint::Gauge,
        ..whole.clone()
    };
    let custom = Histogram {
        schema: -53,
        count: 7.0,
        positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
        positive_buckets: vec![4.0, 0.0, 3.0],
        custom_values: vec![0.5, 1.0],
        sum: STALE_NAN,
        ..Histogram::default()
    };
    let numbers = [0.0, -0.0, 1.5, f64::NEG_INFINITY, STALE_NAN, f64::NAN, 5e-324];
    let mut entries: Vec<Entry> = Vec::new();
    for (index, value) in numbers.into_iter().enumerate() {
        entries.push(entry(&floats, index as i64 - 2, SampleValue::Float(value)));
    }
    let shapes = [whole, fractions, custom];
    for (index, value) in shapes.iter().enumerate() {
        entries.push(entry(
            &histograms,
            i64::MAX - index as i64,
            SampleValue::Histogram(Arc::new(value.clone())),
        ));
    }
    for (protocol, version) in [(Protocol::V1, Version::V1), (Protocol::V2, Version::V2)] {
        let external = Labels::from_iter([("cell", "x"), ("job", "not this")]);
        let known = [("floats", 2), ("histograms", 3)].map(|(family, kind)| Metadata {
            family: family.to_owned(),
            kind,
            help: format!("About {family}."),
            unit: "s".to_owned(),
        });
        let body = encode(&entries, &external, protocol, &Families::new(known.clone()));
        let mut message = Vec::new();
        decompress(&body, 1 << 20, &mut message).expect("snappy");
        let request = Request::parse(version, &message).expect("a request");
        let series: Vec<_> = request.series().map(|series| series.expect("a series")).collect();
        assert_eq!(series.len(), 2);
        assert_eq!(
            series[0].labels().expect("labels").to_string(),
            r#"floats{cell="x", job="a", le="0.5"}"#
        );
        let found: Vec<(i64, u64)> = series[0]
            .samples()
            .map(|sample| sample.expect("a sample"))
            .map(|sample| (sample.t_ms, sample.value.to_bits()))
            .collect();
        let wanted = numbers.iter().enumerate();
        let wanted: Vec<(i64, u64)> = wanted
            .map(|(index, value)| (index as i64 - 2, value.to_bits()))
            .collect();
        assert_eq!(found, wanted);
        let found: Vec<_> = series[1]
            .histograms()
            .map(|sample| sample.expect("a histogram"))
            .collect();
        assert_eq!(found.len(), shapes.len());
        // 1.0 says apart what is known of metrics.
        let mut apart = Vec::new();
        decompress(&encode_metadata(&known), 1 << 20, &mut apart).expect("snappy");
        let apart = Request::parse(Version::V1, &apart).expect("a request");
        let said: Vec<_> = match version {
            Version::V1 => apart.metadata().map(|said| said.expect("metadata")).collect(),
            Version::V2 => series
                .iter()
                .map(|series| series.metadata().expect("metadata").expect("it says some"))
                .collect(),
        };
        let said: Vec<_> = said
            .iter()
            .map(|said| (said.kind, said.help, said.unit))
            .collect();
        assert_eq!(
            said,
            [
                (MetricKind::Gauge, "About floats.", "s"),
                (MetricKind::Histogram, "About histograms.", "s")
            ]
        );
        for (index, (found, wanted)) in found.iter().zip(&shapes).enumerate() {
            assert_eq!(found.t_ms, i64::MAX - index as i64);
            assert!(found.histogram.same_bits(wanted), "{:?}", found.histogram);
        }
    }
}
