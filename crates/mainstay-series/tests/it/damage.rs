use std::fs;
use std::path::{Path, PathBuf};

use mainstay_series::{Options, Sample, SeriesError, Store};

use crate::{HOUR_MS, MINUTE_MS, held, open, series};

fn filled(dir: &Path) -> Vec<(i64, u64)> {
    let store = open(dir);
    let a = series(&store, "a");
    for minute in 0..300 {
        let t_ms = minute * MINUTE_MS;
        store
            .append(
                &[Sample {
                    series: a,
                    t_ms,
                    value: 0.25,
                }],
                t_ms,
            )
            .expect("appended");
    }
    store.flush(4 * HOUR_MS).expect("flushed");
    held(&store, "a")
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .expect("listable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[at] ^= 0x40;
    fs::write(path, bytes).expect("writable");
}

#[test]
fn a_damaged_block_is_named_and_the_rest_is_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = filled(dir.path());
    let block = files(&dir.path().join("blocks"), "block").remove(0);
    let len = fs::read(&block).expect("readable").len();
    flip(&block, len - 40);
    let (store, recovery) = Store::open(dir.path(), Options::default()).expect("opens");
    assert!(recovery.damage[0].contains(&format!("{} is damaged at byte", block.display())));
    assert_eq!(recovery.corrupt_blocks, [block]);
    assert_eq!(held(&store, "a"), all[120..]);
}

#[test]
fn damaged_samples_are_an_error_never_a_wrong_answer() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    flip(&files(&dir.path().join("blocks"), "block")[0], 10);
    let store = open(dir.path());
    let refused = store.select(&[], i64::MIN, i64::MAX, 1000).expect_err("damaged");
    assert!(matches!(refused, SeriesError::Segment(_)), "{refused}");
    let later = store
        .select(&[], 2 * HOUR_MS, i64::MAX, 1000)
        .expect("other spans are sound");
    assert_eq!(later[0].samples.len(), 179);
}

/// A day whose files cannot be merged, for one is damaged, keeps no other day from being merged, and is told once.
#[test]
fn a_damaged_day_is_not_merged_and_the_others_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let a = series(&store, "a");
    for quarter in 0..4 * 72 {
        let t_ms = quarter * 15 * MINUTE_MS;
        let sample = Sample {
            series: a,
            t_ms,
            value: 0.5,
        };
        store.append(&[sample], t_ms).expect("appended");
    }
    store.flush(72 * HOUR_MS).expect("flushed");
    let damaged = files(&dir.path().join("blocks"), "block").remove(3);
    flip(&damaged, 10);
    let done = store.maintain(74 * HOUR_MS).expect("maintained");
    assert_eq!(done.blocks_merged, 2);
    let [told] = &done.damage[..] else {
        panic!("{:?}", done.damage)
    };
    assert!(told.contains(&damaged.display().to_string()), "{told}");
    assert_eq!(store.stats().blocks, 12 + 2);
    assert_eq!(store.maintain(74 * HOUR_MS).expect("maintained").damage.len(), 0);
    let rest = store
        .select(&[], 8 * HOUR_MS - 1, i64::MAX, 1000)
        .expect("everything else is sound");
    assert_eq!(rest[0].samples.len(), 4 * 64);
}

#[test]
fn a_lost_series_index_is_rebuilt_from_blocks_and_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = filled(dir.path());
    flip(&dir.path().join("series.idx"), 3);
    let (store, recovery) = Store::open(dir.path(), Options::default()).expect("opens");
    assert!(recovery.index_rebuilt);
    assert_eq!(held(&store, "a"), all);
    let a = series(&store, "a");
    assert_eq!(store.stats().series, 1);
    let next = Sample {
        series: a,
        t_ms: 300 * MINUTE_MS,
        value: 1.0,
    };
    assert_eq!(
        store.append(&[next], 300 * MINUTE_MS).expect("appended").stored,
        1
    );
}

/// Where block files cannot be written, samples stay readable in memory and in the log, and the next pass succeeds.
#[test]
fn a_flush_that_fails_loses_nothing_and_is_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let a = series(&store, "a");
    let append = |minute: i64| {
        let sample = Sample {
            series: a,
            t_ms: minute * MINUTE_MS,
            value: 0.5,
        };
        assert_eq!(
            store
                .append(&[sample], minute * MINUTE_MS)
                .expect("appended")
                .stored,
            1
        );
    };
    (0..300).for_each(append);
    let all = held(&store, "a");
    let (blocks, away) = (dir.path().join("blocks"), dir.path().join("away"));
    fs::rename(&blocks, &away).expect("moved");
    for _ in 0..2 {
        store.flush(2 * HOUR_MS).expect_err("nowhere to write");
        assert_eq!(held(&store, "a"), all);
    }
    append(300);
    fs::rename(&away, &blocks).expect("moved back");
    let done = store.flush(4 * HOUR_MS).expect("flushed");
    assert_eq!(done.blocks_written, 2);
    let all = held(&store, "a");
    assert_eq!(all.len(), 301);
    assert_eq!(store.stats().head_samples, 61);
    drop(store);
    assert_eq!(held(&open(dir.path()), "a"), all);
}

/// The log is gone; what a consumer had passed is not given out again as a position.
#[test]
fn positions_stay_ahead_of_a_lost_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let a = series(&store, "a");
    let append = |store: &Store, minute: i64| {
        let sample = Sample {
            series: a,
            t_ms: minute * MINUTE_MS,
            value: 0.5,
        };
        store.append(&[sample], minute * MINUTE_MS).expect("appended").lsn
    };
    let passed = (0..100)
        .map(|minute| append(&store, minute))
        .last()
        .expect("some");
    store.hold("slo", passed).expect("held");
    store.flush(HOUR_MS).expect("flushed");
    drop(store);
    fs::remove_dir_all(dir.path().join("wal")).expect("removed");
    let store = open(dir.path());
    assert_eq!(held(&store, "a").len(), 60);
    append(&store, 100);
    let mut seen = 0;
    store.replay_since(passed, |_| seen += 1).expect("replayed");
    assert_eq!(seen, 1);
}
