//! The published test scripts of Prometheus over the store of samples: through log, memory, files and a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};
use mainstay_plane::telemetry::StoreSamples;
use mainstay_promql::{MemorySamples, Samples, Series, SourceError, promqltest};
use mainstay_series::{HistogramSample, Options, Sample, Store};

/// Samples in a directory that goes with them.
struct Stored {
    _dir: tempfile::TempDir,
    samples: StoreSamples,
}

impl Samples for Stored {
    fn select(&self, matchers: &[Matcher], min: i64, max: i64) -> Result<Vec<Series>, SourceError> {
        self.samples.select(matchers, min, max)
    }

    fn starts(&self, labels: &Labels, min: i64, max: i64) -> Result<Vec<(i64, i64)>, SourceError> {
        self.samples.starts(labels, min, max)
    }
}

fn open(dir: &Path) -> Store {
    let options = Options {
        out_of_order_ms: i64::MAX / 4,
        future_ms: i64::MAX / 4,
        retention_ms: i64::MAX / 4,
        ..Options::default()
    };
    Store::open(dir, options).expect("opens").0
}

/// What a script loaded, each series' samples in two requests; the first half of all is in files.
fn stored(loaded: &MemorySamples) -> Box<dyn Samples> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let mut newest_ms = 0;
    let all: Vec<_> = loaded.all().collect();
    for (series, _) in &all {
        let times = series.samples.iter().map(|held| held.0);
        newest_ms = times
            .chain(series.histograms.iter().map(|held| held.0))
            .fold(newest_ms, i64::max);
    }
    let half_ms = newest_ms / 2;
    for later in [false, true] {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (held, starts) in &all {
            let series = store.series_ref(&held.labels).expect("a series");
            let start = |t_ms: i64| {
                let at = starts.binary_search_by_key(&t_ms, |start| start.0).ok()?;
                Some(starts[at].1)
            };
            let mut times = Vec::new();
            for (t_ms, value) in &held.samples {
                if (*t_ms > half_ms) == later {
                    times.push(*t_ms);
                    floats.push(Sample {
                        series,
                        t_ms: *t_ms,
                        value: *value,
                    });
                }
            }
            for (t_ms, value) in &held.histograms {
                if (*t_ms > half_ms) == later {
                    times.push(*t_ms);
                    histograms.push(HistogramSample {
                        series,
                        t_ms: *t_ms,
                        value: Arc::clone(value),
                    });
                }
            }
            times.sort_unstable();
            for t_ms in times {
                store.set_start(series, t_ms, start(t_ms)).expect("set");
            }
        }
        let appended = store.append(&floats, newest_ms).expect("appended");
        assert_eq!(appended.stored, floats.len());
        let appended = store.append_histograms(&histograms, newest_ms).expect("appended");
        assert_eq!(appended.stored, histograms.len());
        if !later {
            store.flush(half_ms + 1).expect("flushed");
        }
    }
    drop(store);
    let store = open(dir.path());
    Box::new(Stored {
        _dir: dir,
        samples: StoreSamples::new(Arc::new(store)),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the published data is"
)]
fn published() -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    let path = root.join("promql");
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("MAINSTAY_CONFORMANCE_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "no conformance data at {}", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

#[test]
fn published_scripts_pass_over_the_store_as_over_memory() {
    let Some(folder) = published() else { return };
    for (name, expected) in [
        ("start_timestamps", 26),
        ("native_histograms", 522),
        ("selectors", 31),
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.test"))).expect("a script");
        let report = promqltest::run_over(&text, stored).expect("readable");
        for finding in &report.failed {
            eprintln!("{name}: {finding}");
        }
        assert_eq!((report.passed, report.failed.len()), (expected, 0), "{name}");
    }
}
