//! What the store alone costs, without HTTP and without decoding: CPU time per sample, bytes per sample in files, memory
//! per series, and windows of 30 days: over samples, and over samples and records of 5 minutes. Run with `cargo bench -p mainstay-series`; figures are of the machine it runs on.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the clock"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Labels, Matcher};
use mainstay_series::{Options, Sample, SeriesRef, Store, Windows};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The beginning of all streams.
const BEGIN_MS: i64 = 20_000 * DAY_MS;

/// CPU time of this process so far, in microseconds.
fn cpu_us() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("a process");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: f64 = [11, 12]
        .iter()
        .map(|at| fields[*at].parse::<f64>().expect("ticks"))
        .sum();
    ticks * 10_000.0
}

fn rss_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("a process");
    let pages: f64 = statm
        .split_whitespace()
        .nth(1)
        .expect("pages")
        .parse()
        .expect("a number");
    pages * 4096.0
}

fn labels(at: usize) -> Labels {
    let pairs = [
        ("__name__", format!("http_requests_{}_total", at % 50)),
        ("cell", format!("cell-{}", at % 7)),
        ("instance", format!("10.0.{}.{}:9090", at / 250 % 250, at % 250)),
        ("job", "payments".to_owned()),
        ("method", ["GET", "POST", "PUT"][at % 3].to_owned()),
        ("path", format!("/api/v1/resource/{}", at / 50)),
        ("tenant", format!("tenant-{}", at % 31)),
    ];
    pairs.into_iter().collect()
}

struct Stream {
    name: &'static str,
    series: usize,
    steps: usize,
    /// Samples of one series in one batch.
    run: usize,
    step_ms: i64,
}

fn append(dir: &Path, stream: &Stream) -> (Store, Vec<SeriesRef>) {
    let options = Options {
        retention_ms: 400 * DAY_MS,
        ..Options::default()
    };
    let (store, _) = Store::open(dir, options).expect("opens");
    let entropy = SeededEntropy::new(1);
    let (rss_before, before) = (rss_bytes(), cpu_us());
    let refs: Vec<SeriesRef> = (0..stream.series)
        .map(|at| store.series_ref(&labels(at)).expect("a series"))
        .collect();
    let made = cpu_us();
    let mut counters = vec![0u64; stream.series];
    let mut maintained = BEGIN_MS;
    let mut spent = 0.0;
    let mut batch = Vec::new();
    for step in (0..stream.steps).step_by(stream.run) {
        for range in (0..stream.series).step_by(10_000) {
            batch.clear();
            for at in range..(range + 10_000).min(stream.series) {
                for run in 0..stream.run {
                    counters[at] += entropy.below(100);
                    batch.push(Sample {
                        series: refs[at],
                        t_ms: BEGIN_MS + (step + run) as i64 * stream.step_ms,
                        value: counters[at] as f64,
                    });
                }
            }
            let now_ms = batch.last().map_or(0, |sample| sample.t_ms);
            let began = cpu_us();
            store.append(&batch, now_ms).expect("appended");
            if now_ms - maintained > 5 * 60_000 {
                store.maintain(now_ms).expect("maintained");
                maintained = now_ms;
            }
            spent += cpu_us() - began;
        }
    }
    let samples = (stream.series * stream.steps) as f64;
    let stats = store.stats();
    println!(
        "{}: {:.3} us/sample, {:.2} us/new series, {:.2} M samples/CPU-s in all; {:.0} B/series in memory; {:.3} B/sample in {} blocks",
        stream.name,
        spent / samples,
        (made - before) / stream.series as f64,
        samples / (spent + made - before),
        (rss_bytes() - rss_before) / stream.series as f64,
        stats.block_bytes as f64 / stats.block_samples.max(1) as f64,
        stats.blocks,
    );
    (store, refs)
}

/// Windows of 30 days that end with the stream: from the files, and tick by tick.
fn windows(name: &str, store: &Store, refs: &[SeriesRef], end_ms: i64, step_ms: i64) {
    const COLD: u32 = 20;
    // Long enough for the samples at the beginning of windows to run out several times.
    const TICKS: i64 = 1_000;
    let new = || Windows::new(vec![Matcher::equal("job", "payments")], 30 * DAY_MS);
    let mut sum = 0.0;
    let began = cpu_us();
    for _ in 0..COLD {
        store
            .windows(&mut new(), end_ms, |_, summary| sum += summary.increase())
            .expect("readable");
    }
    let cold_ms = (cpu_us() - began) / 1_000.0 / f64::from(COLD);
    let mut windows = new();
    let mut spent = Duration::ZERO;
    for tick in 0..=TICKS {
        let t_ms = end_ms + tick * step_ms;
        if tick > 0 {
            let sample = |series: &SeriesRef| Sample {
                series: *series,
                t_ms,
                value: 1e9 + tick as f64,
            };
            let batch: Vec<Sample> = refs.iter().map(sample).collect();
            store.append(&batch, t_ms).expect("appended");
        }
        let began = Instant::now();
        store
            .windows(&mut windows, t_ms, |_, summary| sum += summary.increase())
            .expect("readable");
        if tick > 0 {
            spent += began.elapsed();
        }
    }
    println!(
        "{name}: window of 30 days over {} series: cold {cold_ms:.2} ms of CPU time, a tick {:.3} ms; {} bytes of windows, sum {sum}",
        windows.len(),
        spent.as_secs_f64() * 1_000.0 / TICKS as f64,
        windows.bytes(),
    );
}

/// The same with the older half of the window as records of 5 minutes.
fn condensed(dir: &Path, end_ms: i64, stream: &Stream, refs: &[SeriesRef]) {
    let options = Options {
        retention_ms: 15 * DAY_MS,
        ..Options::default()
    };
    let (store, _) = Store::open(dir, options).expect("opens");
    let began = cpu_us();
    let done = store.maintain(end_ms).expect("maintained");
    let spent_s = (cpu_us() - began) / 1e6;
    let files = fs::read_dir(dir.join("tiers")).expect("listable");
    let bytes: u64 = files
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
        .sum();
    let records = (stream.series * done.days_condensed) as i64 * DAY_MS / (5 * 60_000);
    println!(
        "{} condensed: {} days in {spent_s:.2} s of CPU time; {:.2} B/record of 5 minutes",
        stream.name,
        done.days_condensed,
        bytes as f64 / records as f64,
    );
    windows(
        &format!("{} condensed", stream.name),
        &store,
        refs,
        end_ms,
        stream.step_ms,
    );
}

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let streams = [
        Stream {
            name: "A",
            series: 2_000,
            steps: 5_000,
            run: 1,
            step_ms: 30_000,
        },
        Stream {
            name: "C",
            series: 150_000,
            steps: 40,
            run: 1,
            step_ms: 30_000,
        },
        Stream {
            name: "B",
            series: 500,
            steps: 86_400,
            run: 20,
            step_ms: 30_000,
        },
    ];
    for stream in streams.iter().filter(|stream| wanted(stream.name)) {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, refs) = append(dir.path(), stream);
        if stream.name != "B" {
            continue;
        }
        let end_ms = BEGIN_MS + (stream.steps as i64 - 1) * stream.step_ms;
        windows(stream.name, &store, &refs, end_ms, stream.step_ms);
        drop(store);
        condensed(dir.path(), end_ms + 1_000 * stream.step_ms, stream, &refs);
    }
}
