//! Raw samples, series and labels are the same whoever is asked.

use std::sync::Arc;

use mainstay_kernel::{Labels, MatchOp, Matcher};
use mainstay_plane::telemetry::StoreSamples;
use mainstay_plane::telemetry::remote::RemoteSamples;
use mainstay_promql::{Samples, Series, is_stale, parse_selector};
use mainstay_remote::RemoteError;
use mainstay_remote::query::Product;
use mainstay_series::Store;
use tokio::runtime::Handle;

use super::data::{self, END_MS, PHASES_MS, START_MS, STEP_MS};
use super::peer::{Kind, Peer};

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_gives_the_samples_that_were_sent() {
    let place = tempfile::tempdir().expect("a directory");
    let (store, count) = data::store(place.path());
    for kind in Kind::ALL {
        let Some(peer) = Peer::start(kind).await else {
            continue;
        };
        peer.take_all_of(&store, place.path(), count).await;
        check_engine(&peer).await;
        check_samples(&peer, &store);
        check_labels(&peer, &store).await;
        check_errors(&peer).await;
    }
}

async fn check_engine(peer: &Peer) {
    let engine = peer.client().engine().await.expect("it answers");
    let product = match peer.kind {
        Kind::Prometheus => Product::Prometheus,
        Kind::VictoriaMetrics => Product::VictoriaMetrics,
    };
    assert_eq!(
        (engine.product, engine.dialect),
        (product, peer.kind.dialect()),
        "{engine}"
    );
}

fn check_samples(peer: &Peer, store: &Arc<Store>) {
    let ours = StoreSamples::new(Arc::clone(store));
    let theirs = RemoteSamples::new(peer.client(), peer.kind.dialect(), Handle::current());
    let on_a_scrape = START_MS + 500 * STEP_MS;
    let mut samples = 0;
    for selector in [
        "demo_cpu_usage_seconds_total",
        r#"demo_memory_usage_bytes{type=~"free|used",instance!="demo.promlabs.com:10000"}"#,
        r#"{__name__=~"demo_(ended|gappy)_total"}"#,
        "demo_intermittent_metric",
        r#"demo_api_request_duration_seconds_bucket{le="+Inf",method!~"G.*"}"#,
        "nonexistent_metric",
    ] {
        let matchers = parse_selector(selector).expect("a selector");
        for (from_ms, to_ms) in [
            // Scrapes of the first instance stand on both edges, of the second on one, of nobody on either.
            (on_a_scrape - 60_000, on_a_scrape),
            (on_a_scrape - STEP_MS, on_a_scrape),
            (on_a_scrape + PHASES_MS[1], on_a_scrape + 60_000),
            (on_a_scrape + 1, on_a_scrape + 99_999),
            (on_a_scrape, on_a_scrape),
            (START_MS - 1, START_MS),
            (i64::MIN, END_MS + PHASES_MS[2]),
        ] {
            let mut wanted = ours.select(&matchers, from_ms, to_ms).expect("the store reads");
            if peer.kind == Kind::Prometheus {
                hide_stale_markers(&mut wanted);
            }
            let mut found = theirs.select(&matchers, from_ms, to_ms).expect("it answers");
            if peer.kind == Kind::Prometheus {
                // Where the markers are is not known.
                hide_stale_markers(&mut found);
            }
            assert_eq!(
                bits(&found),
                bits(&wanted),
                "{:?} {selector} ({from_ms}, {to_ms}]",
                peer.kind
            );
            samples += wanted.iter().map(|series| series.samples.len()).sum::<usize>();
        }
    }
    assert!(samples > 20_000, "{samples}");
}

/// What Prometheus' API shows.
pub(crate) fn hide_stale_markers(series: &mut Vec<Series>) {
    for series in &mut *series {
        series.samples.retain(|(_, value)| !is_stale(*value));
    }
    series.retain(|series| !series.samples.is_empty());
}

/// Series with the bits of their values.
pub(crate) fn bits(series: &[Series]) -> Vec<(String, Vec<(i64, u64)>)> {
    let of_one = |series: &Series| {
        let samples = series
            .samples
            .iter()
            .map(|(at_ms, value)| (*at_ms, value.to_bits()));
        (series.labels.to_string(), samples.collect())
    };
    series.iter().map(of_one).collect()
}

async fn check_labels(peer: &Peer, store: &Arc<Store>) {
    let client = peer.client();
    let (from, to) = (START_MS, END_MS + STEP_MS);
    let everything = [Matcher::new("__name__", MatchOp::Matches, "demo.+").expect("a matcher")];
    let cpus = [Matcher::equal("__name__", "demo_cpu_usage_seconds_total")];
    for matchers in [&everything, &cpus] {
        let wanted: Vec<Labels> = store
            .series(matchers, from - 1, to)
            .iter()
            .map(|labels| (**labels).clone())
            .collect();
        assert!(!wanted.is_empty());
        assert_eq!(client.series(matchers, from, to).await, Ok(wanted));
        let names = client.label_names(matchers, from, to).await;
        assert_eq!(names, Ok(store.label_names(matchers)));
        for name in ["mode", "instance", "le", "__name__"] {
            let values = client.label_values(name, matchers, from, to).await;
            assert_eq!(values, Ok(store.label_values(name, matchers)), "{name}");
        }
    }
}

async fn check_errors(peer: &Peer) {
    let client = peer.client();
    let refused = client.instant("sum(", END_MS).await.expect_err("no query");
    let RemoteError::Server {
        status, error_type, ..
    } = &refused
    else {
        panic!("{refused:?}");
    };
    let wanted = match peer.kind {
        Kind::Prometheus => (400, "bad_data"),
        Kind::VictoriaMetrics => (422, "422"),
    };
    assert_eq!((*status, &**error_type), wanted, "{refused}");
    let mut endpoint = peer.receiver();
    endpoint.url = peer.url("");
    endpoint.answer_max_bytes = 10_000;
    let small = mainstay_remote::query::Client::new(&endpoint).expect("an address");
    let matchers = [Matcher::equal("__name__", "demo_cpu_usage_seconds_total")];
    let limit_bytes = endpoint.answer_max_bytes;
    let too_large = small.raw(&matchers, START_MS, END_MS, peer.kind.dialect()).await;
    assert_eq!(too_large, Err(RemoteError::TooLarge { limit_bytes }));
}
