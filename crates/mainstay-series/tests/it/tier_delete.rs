//! Deleting what only records know any more: a record goes whole if any of its samples may be meant, and stays away.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Histogram;
use mainstay_series::{Deleted, HistogramSample, Sample, Store, Windows};

use crate::delete::{MARKER, append, files_with, name};
use crate::golden::copy;
use crate::tier_files::{DAY_MS, START_MS, fill, options, tier_files, whole};
use crate::windows::shown;
use crate::{HOUR_MS, MINUTE_MS, held, labels, open_with, series};

/// Six days: the first two are known by the hour, then two by five minutes, then two by samples.
fn filled(dir: &Path) -> (Store, i64) {
    let store = open_with(dir, options());
    let end_ms = fill(&store, 6);
    assert_eq!(store.maintain(end_ms).expect("maintained").days_condensed, 6);
    assert_eq!(tier_files(dir).len(), 4);
    (store, end_ms)
}

/// What is left when the process is killed: the files as they are.
fn killed(dir: &Path) -> (tempfile::TempDir, Store) {
    let left = tempfile::tempdir().expect("a directory");
    copy(dir, left.path());
    let store = open_with(left.path(), options());
    (left, store)
}

/// The first and the last sample that one thing held stands for, by its last one: there is a sample every 2 minutes.
/// Slices end with the hour, and so does not a day: its first sample is alone in a slice of the day before.
fn extent(last_ms: i64) -> (i64, i64) {
    let day_ms = last_ms - last_ms.rem_euclid(DAY_MS);
    let width_ms = match (day_ms - START_MS) / DAY_MS {
        0 | 1 => HOUR_MS,
        2 | 3 => 5 * MINUTE_MS,
        _ => 1,
    };
    let slice_ms = (last_ms - 1) - (last_ms - 1).rem_euclid(width_ms);
    let step_ms = 2 * MINUTE_MS;
    let first_ms = (slice_ms.div_euclid(step_ms) + 1) * step_ms;
    (first_ms.max(day_ms), last_ms)
}

fn shown_of(store: &Store, name: &str, end_ms: i64) -> Option<String> {
    whole(store, name, end_ms).as_ref().map(shown)
}

fn samples_of(held: &[(i64, u64)]) -> i64 {
    let of_one = |(last_ms, _): &(i64, u64)| {
        let (first_ms, last_ms) = extent(*last_ms);
        (last_ms - first_ms) / (2 * MINUTE_MS) + 1
    };
    held.iter().map(of_one).sum()
}

#[test]
fn records_that_a_range_touches_go_whole_and_everything_else_stays_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, end_ms) = filled(dir.path());
    let (before, other) = (held(&store, "a"), held(&store, "b"));
    let other_whole = shown_of(&store, "b", end_ms);
    assert_eq!(samples_of(&before), 6 * 720, "the test knows what is held");
    let mut moving = Windows::new(name("a"), 100 * DAY_MS);
    store
        .windows(&mut moving, end_ms - MINUTE_MS, |_, _| ())
        .expect("readable");

    // It begins within a record of an hour and ends within one of five minutes.
    let (min_ms, max_ms) = (
        START_MS + 20 * HOUR_MS + 30 * MINUTE_MS,
        START_MS + 2 * DAY_MS + 3 * HOUR_MS + 3 * MINUTE_MS,
    );
    let would = store
        .would_delete(&[name("a")], min_ms, max_ms)
        .expect("readable");
    let deleted = store.delete(&[name("a")], min_ms, max_ms).expect("deleted");
    let left: Vec<(i64, u64)> = before
        .iter()
        .filter(|(last_ms, _)| extent(*last_ms).0 > max_ms || *last_ms < min_ms)
        .copied()
        .collect();
    let gone = (before.len() - left.len()) as u64;
    assert_eq!(
        gone,
        4 + 25 + 1 + 3 * 12 + 1,
        "the records at both edges with the rest"
    );
    assert_eq!(
        (deleted, would),
        (
            Deleted {
                series: 1,
                samples: gone
            },
            deleted
        )
    );

    let right = |store: &Store| {
        assert!(held(store, "a") == left);
        let known = whole(store, "a", end_ms).expect("there");
        assert_eq!(known.count.cast_signed(), samples_of(&left));
        let inside = store
            .select(&name("a"), min_ms - 1, max_ms, usize::MAX)
            .expect("readable");
        assert!(inside.is_empty(), "{inside:?}");
        assert!(held(store, "b") == other);
        assert_eq!(shown_of(store, "b", end_ms), other_whole);
        assert_eq!(store.series(&name("a"), i64::MIN, i64::MAX).len(), 1);
        shown(&known)
    };
    let known = right(&store);
    let mut moved = None;
    store
        .windows(&mut moving, end_ms, |_, summary| moved = Some(summary.clone()))
        .expect("readable");
    assert_eq!(moved.as_ref().map(shown).as_ref(), Some(&known));
    let (_killed, after) = killed(dir.path());
    assert_eq!(right(&after), known);

    // What is hidden stays away as days become coarser, and as files are written anew.
    after.maintain(end_ms + 2 * DAY_MS).expect("maintained");
    assert_eq!(shown_of(&after, "a", end_ms).as_ref(), Some(&known));
    assert_eq!(shown_of(&after, "b", end_ms), other_whole);
    let list = dir.path().join("tombstones");
    let before = fs::read(&list).expect("there");
    let cleaned = store.clean_tombstones().expect("cleaned");
    assert_eq!(cleaned.files, 3, "two days of hours and one of five minutes");
    assert_eq!(right(&store), known);
    let (_killed, after) = killed(dir.path());
    assert_eq!(right(&after), known);
    after.maintain(end_ms + 2 * DAY_MS).expect("maintained");
    assert_eq!(shown_of(&after, "a", end_ms).as_ref(), Some(&known));
    assert_eq!(after.clean_tombstones().expect("clean").files, 0);
    // Killed when the files were written anew, and the list was not yet.
    fs::write(&list, before).expect("written");
    let (_killed, after) = killed(dir.path());
    assert_eq!(right(&after), known);
}

#[test]
fn a_deletion_of_samples_leaves_no_trace_in_the_records_made_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, end_ms) = filled(dir.path());
    let from_ms = START_MS + 4 * DAY_MS + HOUR_MS;
    store
        .delete(&[name("a")], from_ms + MINUTE_MS, from_ms + 21 * MINUTE_MS)
        .expect("deleted");
    let (known, other) = (shown_of(&store, "a", end_ms), shown_of(&store, "b", end_ms));
    for days in [1, 2, 4] {
        store.maintain(end_ms + days * DAY_MS).expect("maintained");
        let (_killed, after) = killed(dir.path());
        for store in [&store, &after] {
            assert_eq!(shown_of(store, "a", end_ms), known, "{days} days later");
            assert_eq!(shown_of(store, "b", end_ms), other, "{days} days later");
        }
    }
    let resolution = store.resolution(from_ms, end_ms).records;
    assert_eq!(resolution.first().map(|tier| tier.1), Some(HOUR_MS));
    assert_eq!(store.clean_tombstones().expect("clean").files, 0);
}

#[test]
fn a_series_deleted_over_all_tiers_is_named_nowhere_and_cleaning_takes_its_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let of = labels(&[("__name__", "gone"), ("who", MARKER)]);
    for day in 0..6 {
        let times = (1..=144).map(|at| START_MS + day * DAY_MS + at * 10 * MINUTE_MS);
        append(&store, &of, times, 0.1);
    }
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    let traces = || -> Vec<String> {
        let mut found = files_with(&dir.path().join("tiers"), MARKER.as_bytes());
        found.extend(files_with(&dir.path().join("blocks"), MARKER.as_bytes()));
        let index = files_with(dir.path(), MARKER.as_bytes());
        found.extend(index.into_iter().filter(|file| file.ends_with("series.idx")));
        found
    };
    assert_eq!(files_with(&dir.path().join("tiers"), MARKER.as_bytes()).len(), 4);
    let others = [held(&store, "a"), held(&store, "b")];
    store
        .delete(&[name("gone")], i64::MIN, i64::MAX)
        .expect("deleted");
    let nowhere = |store: &Store| {
        assert!(held(store, "gone").is_empty());
        assert!(whole(store, "gone", end_ms).is_none());
        assert_eq!(store.series(&name("gone"), i64::MIN, i64::MAX), []);
        assert_eq!(store.label_values("__name__", &[]), ["a", "b"]);
        assert_eq!(store.stats().series, 2);
        assert!([held(store, "a"), held(store, "b")] == others, "others stay");
    };
    nowhere(&store);
    let (left, after) = killed(dir.path());
    nowhere(&after);
    drop(after);
    // Files name it still; a lost index must not bring it back.
    fs::write(left.path().join("series.idx"), b"damaged").expect("written");
    nowhere(&open_with(left.path(), options()));
    assert!(!traces().is_empty(), "files do not change until they are cleaned");
    store.clean_tombstones().expect("cleaned");
    assert_eq!(traces(), [""; 0]);
    nowhere(&store);
    nowhere(&killed(dir.path()).1);
}

#[test]
fn a_series_goes_with_its_only_record_though_its_newest_sample_was_not_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let from_ms = START_MS + 10 * HOUR_MS;
    append(
        &store,
        &labels(&[("__name__", "short")]),
        (1..30).map(|at| from_ms + at * 2 * MINUTE_MS),
        1.0,
    );
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    assert_eq!(held(&store, "short").len(), 1);
    store
        .delete(&[name("short")], from_ms, from_ms + 20 * MINUTE_MS)
        .expect("deleted");
    let (_killed, after) = killed(dir.path());
    for store in [&store, &after] {
        assert!(held(store, "short").is_empty());
        assert_eq!(store.label_values("__name__", &[]), ["a", "b"]);
    }
}

#[test]
fn a_file_of_which_all_was_deleted_goes_and_what_it_stood_for_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    let blocks = dir.path().join("blocks");
    let old = tempfile::tempdir().expect("a directory");
    copy(&blocks, old.path());
    store.maintain(end_ms).expect("maintained");
    drop(store);
    // Killed before the finer files were removed.
    copy(old.path(), &blocks);
    let store = open_with(dir.path(), options());
    let until_ms = START_MS + 4 * DAY_MS;
    let left: Vec<_> = held(&store, "a")
        .into_iter()
        .filter(|held| held.0 > until_ms)
        .collect();
    store
        .delete(&[name("a"), name("b")], START_MS, until_ms)
        .expect("deleted");
    assert!(held(&store, "a") == left);
    store.clean_tombstones().expect("cleaned");
    assert!(tier_files(dir.path()).is_empty());
    let (killed, after) = killed(dir.path());
    for store in [&store, &after] {
        assert!(held(store, "a") == left);
        assert_eq!(whole(store, "a", end_ms).expect("there").count, left.len() as u64);
    }
    // Days to come are condensed as ever.
    let known = shown_of(&after, "a", end_ms);
    after.maintain(end_ms + 2 * DAY_MS).expect("maintained");
    assert_eq!(shown_of(&after, "a", end_ms), known);
    assert_eq!(tier_files(killed.path()).len(), 2);
    after
        .delete(&[name("a"), name("b")], i64::MIN, i64::MAX)
        .expect("deleted");
    after.clean_tombstones().expect("cleaned");
    assert_eq!((after.stats().blocks, after.stats().series), (0, 0));
    drop(after);
    let empty = open_with(killed.path(), options());
    assert_eq!(empty.stats().series, 0);
    let sample = Sample {
        series: series(&empty, "a"),
        t_ms: end_ms,
        value: 1.0,
    };
    assert_eq!(empty.append(&[sample], end_ms).expect("appended").stored, 1);
    assert_eq!(held(&empty, "a").len(), 1);
}

#[test]
fn a_kill_between_the_log_and_the_list_of_deletions_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, end_ms) = filled(dir.path());
    let hours = |from: i64, to: i64| (START_MS + from * HOUR_MS, START_MS + to * HOUR_MS);
    let delete = |(min_ms, max_ms)| store.delete(&[name("a")], min_ms, max_ms).expect("deleted");
    delete(hours(3, 5));
    let list = dir.path().join("tombstones");
    let first = fs::read(&list).expect("there");
    delete(hours(30, 53));
    delete(hours(80, 120));
    let (left, known) = (held(&store, "a"), shown_of(&store, "a", end_ms));
    for list_bytes in [Some(first), None] {
        match list_bytes {
            Some(bytes) => fs::write(&list, bytes).expect("written"),
            None => fs::remove_file(&list).expect("removed"),
        }
        let (killed, after) = killed(dir.path());
        assert!(held(&after, "a") == left);
        assert_eq!(shown_of(&after, "a", end_ms), known);
        assert!(after.clean_tombstones().expect("cleaned").files > 3);
        drop(after);
        assert!(held(&open_with(killed.path(), options()), "a") == left);
    }
}

#[test]
fn what_is_damaged_in_a_tier_is_deleted_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, end_ms) = filled(dir.path());
    let (a, b) = (held(&store, "a"), held(&store, "b"));
    let other = shown_of(&store, "b", end_ms);
    let day_ms = START_MS + 2 * DAY_MS;
    let file = dir
        .path()
        .join("tiers")
        .join(format!("5m-{}.tier", day_ms / DAY_MS));
    let mut bytes = fs::read(&file).expect("readable");
    // The records of the first series come first.
    bytes[2] ^= 0x40;
    fs::write(&file, bytes).expect("written");
    let of_a = |min_ms, max_ms| store.delete(&[name("a")], min_ms, max_ms);
    // Which of its records lie in a part of the day, nobody can say.
    let error = of_a(day_ms + HOUR_MS, day_ms + 2 * HOUR_MS).expect_err("damaged");
    assert!(error.to_string().contains("5m-20002.tier"), "{error}");
    assert!(held(&store, "b") == b);
    // All of a series can go unread.
    let (_killed, after) = killed(dir.path());
    after.delete(&[name("a")], i64::MIN, i64::MAX).expect("deleted");
    after.clean_tombstones().expect("cleaned");
    assert!(held(&after, "a").is_empty() && held(&after, "b") == b);
    // A day further on it is of no account.
    of_a(day_ms + DAY_MS + HOUR_MS, day_ms + DAY_MS + 2 * HOUR_MS).expect("deleted");
    // The whole day can go unread, and then everything is sound again.
    of_a(day_ms, day_ms + DAY_MS - 1).expect("deleted");
    let left: Vec<_> = a
        .into_iter()
        .filter(|(last_ms, _)| {
            let (first_ms, last_ms) = extent(*last_ms);
            let apart = |min_ms: i64, max_ms: i64| first_ms > max_ms || last_ms < min_ms;
            apart(day_ms, day_ms + DAY_MS - 1)
                && apart(day_ms + DAY_MS + HOUR_MS, day_ms + DAY_MS + 2 * HOUR_MS)
        })
        .collect();
    assert!(held(&store, "a") == left);
    store.clean_tombstones().expect("cleaned");
    let (_killed, after) = killed(dir.path());
    for store in [&store, &after] {
        assert!(held(store, "a") == left);
        assert!(held(store, "b") == b);
        assert_eq!(shown_of(store, "b", end_ms), other);
    }
}

#[test]
fn native_histograms_that_were_kept_of_records_go_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let h = series(&store, "h");
    let batch: Vec<HistogramSample> = (1..=720)
        .map(|at| HistogramSample {
            series: h,
            t_ms: START_MS + at * 2 * MINUTE_MS,
            value: Arc::new(Histogram::default()),
        })
        .collect();
    store
        .append_histograms(&batch, START_MS + DAY_MS)
        .expect("appended");
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    let times = |store: &Store| -> Vec<i64> {
        let found = store
            .select(&name("h"), i64::MIN, i64::MAX, usize::MAX)
            .expect("readable");
        let times = found.iter().flat_map(|series| &series.histograms);
        times.map(|held| held.0).collect()
    };
    let before = times(&store);
    assert_eq!(before.len(), 48 + 1, "the first and the last of every hour");
    let (min_ms, max_ms) = (START_MS + 5 * HOUR_MS + MINUTE_MS, START_MS + 9 * HOUR_MS);
    store.delete(&[name("h")], min_ms, max_ms).expect("deleted");
    let left: Vec<i64> = before
        .into_iter()
        .filter(|t_ms| *t_ms < min_ms || *t_ms > max_ms)
        .collect();
    assert_eq!(times(&store), left);
    store.clean_tombstones().expect("cleaned");
    let (_killed, after) = killed(dir.path());
    assert_eq!(times(&after), left);
}
