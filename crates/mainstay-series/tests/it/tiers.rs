//! What is kept beyond the retention of samples tells of windows, bit for bit, what the samples would have told.

use std::collections::BTreeMap;

use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Labels, Matcher, STALE_NAN, Summary, is_stale};
use mainstay_series::{Options, Resolution, Sample, Store, Windows};

use crate::windows::shown;
use crate::{HOUR_MS, MINUTE_MS, environment, labels, open_with};

const DAY_MS: i64 = 24 * HOUR_MS;

fn options() -> Options {
    Options {
        retention_ms: DAY_MS,
        retention_5m_ms: 3 * DAY_MS,
        retention_1h_ms: 60 * DAY_MS,
        max_held_wal_bytes: 1 << 20,
        ..Options::default()
    }
}

/// Every sample that was ever accepted, by series.
type Model = BTreeMap<Labels, Vec<(i64, f64)>>;

fn all() -> [Matcher; 1] {
    [Matcher::equal("__name__", "x")]
}

/// The width of the slices by which a time is known; 1 of samples.
fn width_at(resolution: &Resolution, t_ms: i64) -> i64 {
    let tier = resolution.records.iter().find(|(until_ms, _)| t_ms < *until_ms);
    tier.map_or(1, |(_, width_ms)| *width_ms)
}

/// The samples of the model as the store can still tell them apart: runs of one slice, day and tier.
fn runs(samples: &[(i64, f64)], resolution: &Resolution) -> Vec<Vec<(i64, f64)>> {
    let slice = |t_ms: i64| {
        let width_ms = width_at(resolution, t_ms);
        (width_ms, t_ms.div_euclid(DAY_MS), (t_ms - 1).div_euclid(width_ms))
    };
    samples
        .chunk_by(|a, b| slice(a.0) == slice(b.0))
        .map(<[_]>::to_vec)
        .collect()
}

/// What windows must give: every run whose last sample is inside counts, and counts whole.
fn by_rule(model: &Model, resolution: &Resolution, begin_ms: i64, end_ms: i64) -> Vec<(Labels, String)> {
    let summary = |samples: &[(i64, f64)]| {
        let mut inside = Vec::new();
        for mut run in runs(samples, resolution) {
            run.retain(|sample| !is_stale(sample.1));
            if run
                .last()
                .is_some_and(|last| last.0 > begin_ms && last.0 <= end_ms)
            {
                inside.extend(run);
            }
        }
        Summary::of_all(&inside)
    };
    let told =
        |(labels, samples): (&Labels, &Vec<(i64, f64)>)| Some((labels.clone(), shown(&summary(samples)?)));
    model.iter().filter_map(told).collect()
}

/// What a scan over every sample gives.
fn by_scan(model: &Model, begin_ms: i64, end_ms: i64) -> Vec<(Labels, String)> {
    let exact = Resolution::default();
    by_rule(model, &exact, begin_ms, end_ms)
}

fn told(store: &Store, windows: &mut Windows, end_ms: i64) -> Vec<(Labels, String)> {
    let mut found = Vec::new();
    let answered = store
        .windows(windows, end_ms, |labels, summary| {
            found.push(((**labels).clone(), shown(summary)));
        })
        .expect("readable");
    assert!(answered, "there are only numbers");
    found
}

struct Stream {
    labels: Labels,
    counter: f64,
    kind: u64,
}

impl Stream {
    fn next(&mut self, entropy: &SeededEntropy) -> f64 {
        match (self.kind, entropy.below(100)) {
            (_, 0) => STALE_NAN,
            (0, 1) | (1, 1..=20) => {
                self.counter = 0.0;
                0.0
            }
            (0 | 1, _) => {
                self.counter += entropy.below(20) as f64;
                self.counter
            }
            (2, 1) => f64::NAN,
            (_, roll) => roll as f64 / 8.0 - 3.0,
        }
    }
}

fn run(seed: u64, hours: i64) {
    let entropy = SeededEntropy::new(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open_with(dir.path(), options());
    let mut model = Model::new();
    let mut streams: Vec<Stream> = Vec::new();
    let begin_ms = 20_000 * DAY_MS + entropy.below(24) as i64 * HOUR_MS;
    let mut now_ms = begin_ms;
    let ranges = [HOUR_MS, DAY_MS, 4 * DAY_MS, 12 * DAY_MS];
    let new = || ranges.map(|range_ms| Windows::new(all().to_vec(), range_ms));
    let mut kept = new();
    while now_ms < begin_ms + hours * HOUR_MS {
        if streams.len() < 5 && entropy.below(300) == 0 || streams.is_empty() {
            streams.push(Stream {
                labels: labels(&[("__name__", "x"), ("n", &streams.len().to_string())]),
                counter: 0.0,
                kind: entropy.below(4),
            });
        }
        now_ms += match entropy.below(1_000) {
            0 => entropy.below(30) as i64 * HOUR_MS,
            1..=5 => 10 * MINUTE_MS,
            // Times on the edges of slices are frequent.
            _ => 2 * MINUTE_MS - now_ms.rem_euclid(MINUTE_MS),
        };
        let mut batch = Vec::new();
        for stream in &mut streams {
            let late_ms = match entropy.below(60) {
                0 => entropy.below(600) as i64 * 1_000,
                1..=3 => continue,
                4..=20 => entropy.below(3) as i64,
                _ => 0,
            };
            batch.push((stream.labels.clone(), now_ms - late_ms, stream.next(&entropy)));
        }
        // Two samples of one time would be told apart by their order: there are none.
        batch.retain(|(labels, t_ms, _)| {
            let samples = model.entry(labels.clone()).or_default();
            samples.binary_search_by_key(t_ms, |held| held.0).is_err()
        });
        let samples: Vec<Sample> = batch
            .iter()
            .map(|(labels, t_ms, value)| Sample {
                series: store.series_ref(labels).expect("a series"),
                t_ms: *t_ms,
                value: *value,
            })
            .collect();
        assert_eq!(
            store.append(&samples, now_ms).expect("appended").stored,
            batch.len()
        );
        for (labels, t_ms, value) in batch {
            let samples = model.entry(labels).or_default();
            let at = samples.partition_point(|held| held.0 < t_ms);
            samples.insert(at, (t_ms, value));
        }
        match entropy.below(600) {
            0..=10 => {
                store.maintain(now_ms).expect("maintained");
            }
            21 => {
                drop(store);
                store = open_with(dir.path(), options());
                kept = new();
            }
            26..=27 => delete(&store, &mut model, (begin_ms, now_ms), &entropy),
            22..=25 => look(&store, &model, &mut kept, &ranges, (begin_ms, now_ms), &entropy),
            _ => {}
        }
    }
    store.maintain(now_ms).expect("maintained");
    look(&store, &model, &mut kept, &ranges, (begin_ms, now_ms), &entropy);
    let reached = store.resolution(begin_ms - 1, now_ms).records;
    assert_eq!(reached.len(), 2, "seed {seed}: both tiers were reached");
}

/// Deletes a part of one series, and of the model every run that has a sample there.
fn delete(store: &Store, model: &mut Model, (begin_ms, now_ms): (i64, i64), entropy: &SeededEntropy) {
    let reached = store.resolution(i64::MIN, now_ms);
    let stream = entropy.below(model.len() as u64) as usize;
    let Some((labels, samples)) = model.iter_mut().nth(stream) else {
        return;
    };
    let any = |from_ms: i64| from_ms + entropy.below((now_ms - from_ms + 1) as u64) as i64;
    let min_ms = any(begin_ms);
    // Often it lies within a record, and seldom is it more than a day.
    let max_ms = min_ms + entropy.below([1, HOUR_MS, DAY_MS][entropy.below(3) as usize] as u64) as i64;
    let kept = |run: &Vec<(i64, f64)>| {
        // What a record knows begins with its first number.
        let first = run.iter().find(|sample| !is_stale(sample.1)).or(run.last());
        let last = run.last().filter(|last| is_stale(last.1));
        let last = last.or(run.iter().rev().find(|sample| !is_stale(sample.1)));
        !first
            .zip(last)
            .is_some_and(|(first, last)| first.0 <= max_ms && last.0 >= min_ms)
    };
    *samples = runs(samples, &reached)
        .into_iter()
        .filter(kept)
        .flatten()
        .collect();
    let selector: Vec<Matcher> = labels
        .iter()
        .map(|(name, value)| Matcher::equal(name, value))
        .collect();
    store.delete(&[selector], min_ms, max_ms).expect("deleted");
    if entropy.below(3) == 0 {
        store.clean_tombstones().expect("cleaned");
    }
}

fn look(
    store: &Store,
    model: &Model,
    kept: &mut [Windows],
    ranges: &[i64],
    (begin_ms, now_ms): (i64, i64),
    entropy: &SeededEntropy,
) {
    let reached = store.resolution(i64::MIN, now_ms);
    for (windows, range_ms) in kept.iter_mut().zip(ranges) {
        assert_eq!(
            told(store, windows, now_ms),
            by_rule(model, &reached, now_ms - range_ms, now_ms),
            "{range_ms} ms up to now, {now_ms}"
        );
    }
    let mut exact = 0;
    for _ in 0..12 {
        let any = |from_ms: i64| from_ms + entropy.below((now_ms - from_ms + 1) as u64) as i64;
        let snap = |t_ms: i64| t_ms - t_ms.rem_euclid(width_at(&reached, t_ms));
        let (mut from_ms, mut to_ms) = (any(begin_ms), any(begin_ms));
        if from_ms > to_ms {
            (from_ms, to_ms) = (to_ms, from_ms);
        }
        if entropy.below(2) == 0 {
            (from_ms, to_ms) = (snap(from_ms), snap(to_ms));
        }
        let mut windows = Windows::new(all().to_vec(), to_ms - from_ms);
        let found = told(store, &mut windows, to_ms);
        assert_eq!(
            found,
            by_rule(model, &reached, from_ms, to_ms),
            "{from_ms} {to_ms}"
        );
        if snap(from_ms) == from_ms && snap(to_ms) == to_ms {
            exact += 1;
            assert_eq!(
                found,
                by_scan(model, from_ms, to_ms),
                "snapped, {from_ms} {to_ms}"
            );
        }
        // It goes on from there as it begins anew.
        let later_ms = any(to_ms);
        assert_eq!(
            told(store, &mut windows, later_ms),
            by_rule(model, &reached, later_ms - (to_ms - from_ms), later_ms),
            "moved on from {to_ms} to {later_ms} over {} ms",
            to_ms - from_ms
        );
        let selected: Vec<(Labels, Vec<(i64, u64)>)> = store
            .select(&all(), from_ms, to_ms, usize::MAX)
            .expect("readable")
            .into_iter()
            .map(|series| {
                let bits = |sample: &(i64, f64)| (sample.0, sample.1.to_bits());
                (
                    (*series.labels).clone(),
                    series.samples.iter().map(bits).collect(),
                )
            })
            .collect();
        assert_eq!(selected, lasts(model, &reached, from_ms, to_ms));
    }
    assert!(exact > 0);
}

/// What a selection must give: of every run its last sample, and the stale marker that it ends with.
fn lasts(
    model: &Model,
    resolution: &Resolution,
    begin_ms: i64,
    end_ms: i64,
) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let of_run = |run: Vec<(i64, f64)>| {
        let stale = run.last().copied().filter(|last| is_stale(last.1));
        let last = run.iter().rev().copied().find(|sample| !is_stale(sample.1));
        last.into_iter().chain(stale)
    };
    let of_series = |(labels, samples): (&Labels, &Vec<(i64, f64)>)| {
        let lasts: Vec<(i64, u64)> = runs(samples, resolution)
            .into_iter()
            .flat_map(of_run)
            .filter(|sample| sample.0 > begin_ms && sample.0 <= end_ms)
            .map(|sample| (sample.0, sample.1.to_bits()))
            .collect();
        (!lasts.is_empty()).then(|| (labels.clone(), lasts))
    };
    model.iter().filter_map(of_series).collect()
}

#[test]
fn windows_over_all_tiers_are_what_a_scan_over_all_samples_gives() {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    let runs = if full { 60 } else { 2 };
    println!("seed {seed}, {runs} runs");
    for run_number in 0..runs {
        run(seed + run_number, 24 * 6);
    }
}
