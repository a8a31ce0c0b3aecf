//! When the counts began that samples go on with: per sample, through log, files and restarts.

use std::collections::BTreeMap;

use mainstay_kernel::testing::SeededEntropy;
use mainstay_series::{Sample, Store};

use crate::{MINUTE_MS, labels, open, series};

fn known(store: &Store, min_ms: i64, max_ms: i64) -> Vec<(i64, i64)> {
    let of = labels(&[("__name__", "a")]);
    store.starts(&of, min_ms, max_ms).expect("readable")
}

fn append(store: &Store, t_ms: i64, start_ms: Option<i64>, now_ms: i64) {
    let series = series(store, "a");
    store.set_start(series, t_ms, start_ms).expect("set");
    let sample = Sample {
        series,
        t_ms,
        value: 1.0,
    };
    assert_eq!(store.append(&[sample], now_ms).expect("appended").stored, 1);
}

#[test]
fn every_sample_keeps_its_start_whatever_comes_late_and_whatever_breaks_between() {
    for seed in 0..8 {
        let entropy = SeededEntropy::new(seed);
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = open(dir.path());
        let mut expected: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        let mut now_ms = 1_000 * MINUTE_MS;
        let mut start_ms = None;
        for step in 0..400 {
            now_ms += MINUTE_MS;
            start_ms = match entropy.below(12) {
                0 => None,
                1 => Some(now_ms - entropy.below(90) as i64 * 1_000),
                2 => Some(now_ms + 5),
                _ => start_ms,
            };
            append(&store, now_ms, start_ms, now_ms);
            expected.insert(now_ms, start_ms);
            if entropy.below(10) == 0 {
                let late_ms = now_ms - 1 - entropy.below(500) as i64 * 1_000;
                let late = [None, start_ms, Some(late_ms - 7)][entropy.below(3) as usize];
                if !expected.contains_key(&late_ms) && late_ms > 1_001 * MINUTE_MS {
                    append(&store, late_ms, late, now_ms);
                    expected.insert(late_ms, late);
                }
            }
            match entropy.below(50) {
                0 => drop(store.flush(now_ms - 20 * MINUTE_MS).expect("flushed")),
                1 => {
                    drop(store);
                    store = open(dir.path());
                }
                _ => {}
            }
            let of_sample = |(t_ms, start_ms): (&i64, &Option<i64>)| Some((*t_ms, (*start_ms)?));
            let all: Vec<_> = expected.iter().filter_map(of_sample).collect();
            assert_eq!(known(&store, i64::MIN, i64::MAX), all, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_start_that_stays_costs_nothing_and_one_that_always_changes_is_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    append(&store, MINUTE_MS, Some(5), MINUTE_MS);
    let before = store.last_lsn();
    for at in 2..100 {
        append(&store, at * MINUTE_MS, Some(5), at * MINUTE_MS);
    }
    assert_eq!(
        store.last_lsn().get() - before.get(),
        98,
        "a frame for each sample, none for its start"
    );
    assert_eq!(known(&store, 0, i64::MAX).len(), 99);

    for at in 100..2_000 {
        append(&store, at * MINUTE_MS, Some((at - 1) * MINUTE_MS), at * MINUTE_MS);
    }
    // The oldest are not known any more, and the newest are what they were.
    let found = known(&store, 0, i64::MAX);
    assert_eq!(found.len(), 1_024);
    assert!(found.iter().all(|(t_ms, start_ms)| *start_ms == t_ms - MINUTE_MS));
    assert_eq!(found.last(), Some(&(1_999 * MINUTE_MS, 1_998 * MINUTE_MS)));
}
