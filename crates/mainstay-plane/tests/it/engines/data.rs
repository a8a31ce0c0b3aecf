//! Eighty minutes of the demo service that the published queries ask about, with everything that telemetry has: counters
//! that begin again, gaps, stale markers, series that end, and scrapes on and off the full second.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::STALE_NAN;
use mainstay_series::{Options, Row, Store};

/// 2025-01-15 10:00:00 UTC, on a full hour.
pub(crate) const START_MS: i64 = 1_736_935_200_000;
/// Every five seconds.
pub(crate) const STEP_MS: i64 = 5_000;
const STEPS: i64 = 960;
/// The last scrape of the first instance.
pub(crate) const END_MS: i64 = START_MS + (STEPS - 1) * STEP_MS;
/// When each instance is scraped after the full five seconds.
pub(crate) const PHASES_MS: [i64; 3] = [0, 1_234, 2_500];

/// A series, and its value at each step; `None` is a scrape without it.
struct Shape {
    labels: Labels,
    instance: usize,
    value: fn(i64, f64) -> Option<f64>,
    /// Tells series of one metric apart.
    seed: f64,
}

/// A store with all of it, and how many samples that is.
pub(crate) fn store(dir: &Path) -> (Arc<Store>, u64) {
    let store = open(dir);
    let count = (0..STEPS)
        .step_by(AT_ONCE)
        .map(|step| append(&store, step..step + AT_ONCE as i64))
        .sum();
    (store, count)
}

/// How many steps are appended at once.
const AT_ONCE: usize = 12;

pub(crate) fn open(dir: &Path) -> Arc<Store> {
    let (store, _) = Store::open(&dir.join("series"), Options::default()).expect("a store");
    Arc::new(store)
}

/// Appends what is scraped in these steps.
pub(crate) fn append(store: &Store, steps: Range<i64>) -> u64 {
    let shapes = shapes();
    let mut rows = Vec::new();
    for step in steps {
        for shape in &shapes {
            let Some(value) = (shape.value)(step, shape.seed) else {
                continue;
            };
            rows.push(Row {
                labels: &shape.labels,
                created_ms: None,
                t_ms: START_MS + step * STEP_MS + PHASES_MS[shape.instance],
                value,
            });
        }
    }
    let appended = store.append_rows(&rows, END_MS).expect("appended");
    assert_eq!(appended.stored, rows.len());
    rows.len() as u64
}

/// A number that looks like chance, of at most `digits` decimal digits.
fn noise(step: i64, seed: f64, modulus: u64) -> f64 {
    let mixed = (step as u64)
        .wrapping_add((seed * 1_000.0) as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 33) % modulus) as f64
}

/// A counter in steps of a quarter, which begins again now and then.
fn counter(step: i64, seed: f64) -> Option<f64> {
    let life = 300 + (seed * 7.0) as i64 % 61;
    let age = step % life;
    Some((age as f64) * (1.0 + seed) + noise(step, seed, 4) / 4.0)
}

fn gauge(step: i64, seed: f64) -> Option<f64> {
    Some(1_000_000.0 * (seed + 1.0) + noise(step, seed, 100_000))
}

fn falling(step: i64, seed: f64) -> Option<f64> {
    Some(50_000_000.0 - 1_024.0 * step as f64 * (seed + 1.0))
}

fn batch(step: i64, seed: f64) -> Option<f64> {
    let run = step - step % (40 + seed as i64 * 7);
    Some((START_MS / 1_000 + run * 5) as f64)
}

/// There for two minutes in three, and marked as gone when it goes.
fn intermittent(step: i64, _: f64) -> Option<f64> {
    match step % 36 {
        0..24 => Some((step % 36) as f64),
        24 => Some(STALE_NAN),
        _ => None,
    }
}

/// Ends for good in the middle, with a marker.
fn ending(step: i64, seed: f64) -> Option<f64> {
    match step {
        0..STOP => counter(step, seed),
        STOP => Some(STALE_NAN),
        _ => None,
    }
}
const STOP: i64 = 955;

/// Twenty scrapes in a row do not come, without a word.
fn gappy(step: i64, seed: f64) -> Option<f64> {
    if (880..900).contains(&step) {
        None
    } else {
        counter(step, seed)
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (instance, port) in ["10000", "10001", "10002"].into_iter().enumerate() {
        let mut add = |name: &str, extra: &[(&str, &str)], seed: f64, value| {
            let address = format!("demo.promlabs.com:{port}");
            let pairs = [("__name__", name), ("instance", &*address), ("job", "demo")];
            shapes.push(Shape {
                labels: pairs.iter().chain(extra).copied().collect(),
                instance,
                value,
                seed: seed + instance as f64,
            });
        };
        for (index, kind) in ["buffers", "cached", "free", "used"].into_iter().enumerate() {
            add(
                "demo_memory_usage_bytes",
                &[("type", kind)],
                index as f64 * 3.0,
                gauge,
            );
        }
        add("demo_num_cpus", &[], 0.0, |_, _| Some(4.0));
        for (index, mode) in ["idle", "system", "user"].into_iter().enumerate() {
            add(
                "demo_cpu_usage_seconds_total",
                &[("mode", mode)],
                index as f64 * 3.0,
                counter,
            );
        }
        add("demo_disk_usage_bytes", &[], 0.0, falling);
        add("demo_disk_total_bytes", &[], 0.0, |_, _| Some(2.0e11));
        add("demo_batch_last_success_timestamp_seconds", &[], 0.0, batch);
        add("demo_intermittent_metric", &[], 0.0, intermittent);
        add("demo_ended_total", &[], 0.0, ending);
        add("demo_gappy_total", &[], 0.0, gappy);
        for (method, base) in [("GET", 1.0), ("POST", 4.0)] {
            let labels = [("method", method), ("path", "/api/foo"), ("status", "200")];
            add(
                "demo_api_request_duration_seconds_count",
                &labels,
                base * 6.0,
                counter,
            );
            add(
                "demo_api_request_duration_seconds_sum",
                &labels,
                base * 2.0,
                counter,
            );
            for (index, le) in ["0.001", "0.01", "0.1", "1", "10", "+Inf"]
                .into_iter()
                .enumerate()
            {
                let labels = [labels[0], labels[1], labels[2], ("le", le)];
                let name = "demo_api_request_duration_seconds_bucket";
                // Each bucket has all of the one below it: the same resets, a larger slope.
                add(name, &labels, base + index as f64 * 61.0, counter);
            }
        }
    }
    shapes
}
