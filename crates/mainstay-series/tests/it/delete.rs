//! What was deleted is gone: from answers at once, from files once they are clean, and it does not come back.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::{Histogram, Labels, Matcher};
use mainstay_series::{Deleted, HistogramSample, Options, Sample, SeriesError, Store};

use crate::golden::copy;
use crate::{HOUR_MS, MINUTE_MS, held, labels, open, open_with};

/// A label and a value that nothing else in the files looks like.
pub(crate) const MARKER: &str = "customer-4711-erase-me";
const VALUE_BITS: u64 = 0x4321_dead_beef_cafe;

pub(crate) fn name(name: &str) -> Vec<Matcher> {
    vec![Matcher::equal("__name__", name)]
}

pub(crate) fn append(store: &Store, of: &Labels, times_ms: impl Iterator<Item = i64>, value: f64) {
    let series = store.series_ref(of).expect("a series");
    let batch: Vec<Sample> = times_ms.map(|t_ms| Sample { series, t_ms, value }).collect();
    let now_ms = batch.last().map_or(0, |last| last.t_ms);
    let appended = store.append(&batch, now_ms).expect("appended");
    assert_eq!(appended.stored, batch.len());
}

/// Ten hours of two series, one sample a minute; all but the last are in files.
fn filled(dir: &Path) -> Store {
    let store = open(dir);
    for of in [
        labels(&[("__name__", "kept")]),
        labels(&[("__name__", "gone"), ("who", MARKER)]),
    ] {
        append(
            &store,
            &of,
            (1..600).map(|at| at * MINUTE_MS),
            f64::from_bits(VALUE_BITS),
        );
    }
    store.flush(8 * HOUR_MS).expect("flushed");
    assert!(store.stats().blocks > 3 && store.stats().head_samples > 100);
    store
}

/// What is left when the process is killed: the files as they are.
fn killed(dir: &Path) -> (tempfile::TempDir, Store) {
    let left = tempfile::tempdir().expect("a directory");
    copy(dir, left.path());
    let store = open(left.path());
    (left, store)
}

/// The files below a directory in which the bytes are found.
pub(crate) fn files_with(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("listable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path)
            .expect("readable")
            .windows(bytes.len())
            .any(|part| part == bytes)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_part_goes_from_memory_and_files_and_stays_away_after_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    let (min_ms, max_ms) = (3 * HOUR_MS + 7, 9 * HOUR_MS);
    let before = held(&store, "gone");
    let deleted = store.delete(&[name("gone")], min_ms, max_ms).expect("deleted");
    let left: Vec<_> = before
        .iter()
        .filter(|sample| sample.0 < min_ms || sample.0 > max_ms)
        .copied()
        .collect();
    assert_eq!(
        deleted,
        Deleted {
            series: 1,
            samples: 360
        }
    );
    assert_eq!(held(&store, "gone"), left);
    assert_eq!(held(&store, "kept"), before);
    let (_left, after) = killed(dir.path());
    assert_eq!(held(&after, "gone"), left);
    assert_eq!(held(&after, "kept"), before);
}

#[test]
fn a_kill_between_the_log_and_the_list_of_deletions_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.delete(&[name("gone")], 0, 2 * HOUR_MS).expect("deleted");
    let list = dir.path().join("tombstones");
    let first = fs::read(&list).expect("there");
    store
        .delete(&[name("gone")], 5 * HOUR_MS, 7 * HOUR_MS)
        .expect("deleted");
    let left = held(&store, "gone");
    fs::write(&list, first).expect("written");
    let (_one, after) = killed(dir.path());
    assert_eq!(held(&after, "gone"), left);
    fs::remove_file(&list).expect("removed");
    let (_two, after) = killed(dir.path());
    assert_eq!(held(&after, "gone"), left);
}

#[test]
fn the_list_holds_when_the_log_has_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = Options::default();
    options.wal.segment_bytes = 4096;
    let store = open_with(dir.path(), options.clone());
    let of = labels(&[("__name__", "a")]);
    append(&store, &of, (1..300).map(|at| at * MINUTE_MS), 1.0);
    store.flush(4 * HOUR_MS).expect("flushed");
    store.delete(&[name("a")], HOUR_MS, 2 * HOUR_MS).expect("deleted");
    let left = held(&store, "a");
    for begin in [300, 900, 1500] {
        append(&store, &of, (begin..begin + 600).map(|at| at * MINUTE_MS), 1.0);
        append(
            &store,
            &labels(&[("__name__", "b")]),
            (begin..begin + 600).map(|at| at * MINUTE_MS),
            0.1,
        );
    }
    let freed = store.flush(36 * HOUR_MS).expect("flushed").wal_freed_bytes;
    assert!(freed > 0, "the log is shorter");
    drop(store);
    let store = open_with(dir.path(), options);
    assert_eq!(held(&store, "a")[..left.len()], left);
    // Merging days leaves it out for good.
    store.maintain(50 * HOUR_MS).expect("maintained");
    assert_eq!(held(&store, "a")[..left.len()], left);
    assert_eq!(store.clean_tombstones().expect("clean").files, 0);
}

#[test]
fn a_series_of_which_all_is_deleted_is_named_nowhere_and_can_be_written_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store
        .delete(&[name("gone")], i64::MIN, i64::MAX)
        .expect("deleted");
    let nowhere = |store: &Store| {
        assert_eq!(store.series(&name("gone"), i64::MIN, i64::MAX), []);
        assert_eq!(store.label_names(&[]), ["__name__"]);
        assert_eq!(store.label_values("__name__", &[]), ["kept"]);
        assert_eq!(store.label_values("who", &[]), [""; 0]);
        assert_eq!(store.stats().series, 1);
    };
    nowhere(&store);
    let (left, after) = killed(dir.path());
    nowhere(&after);
    drop(after);
    // Files name it still; a lost index must not bring it back.
    fs::remove_file(left.path().join("series.idx")).expect("removed");
    fs::write(left.path().join("series.idx"), b"damaged").expect("written");
    let (after, recovery) = Store::open(left.path(), Options::default()).expect("opens");
    assert!(recovery.index_rebuilt);
    nowhere(&after);

    // The same labels, the same times, other values.
    let of = labels(&[("__name__", "gone"), ("who", "another")]);
    append(&store, &of, (595..600).map(|at| at * MINUTE_MS), 2.0);
    assert_eq!(held(&store, "gone").len(), 5);
    let (_left, after) = killed(dir.path());
    assert_eq!(held(&after, "gone").len(), 5);
}

#[test]
fn what_comes_after_a_deletion_is_seen_whatever_its_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    let of = labels(&[("__name__", "gone"), ("who", MARKER)]);
    store
        .delete(&[name("gone")], 590 * MINUTE_MS, i64::MAX)
        .expect("deleted");
    append(&store, &of, (590..600).map(|at| at * MINUTE_MS), 7.0);
    let found = held(&store, "gone");
    assert_eq!(found.len(), 599);
    assert_eq!(found[598], (599 * MINUTE_MS, 7.0f64.to_bits()));
    assert_eq!(found[588].1, VALUE_BITS);
    store.flush(12 * HOUR_MS).expect("flushed");
    assert_eq!(held(&store, "gone"), found);
    let (_left, after) = killed(dir.path());
    assert_eq!(held(&after, "gone"), found);
}

#[test]
fn after_cleaning_no_byte_of_it_is_in_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let of = labels(&[("__name__", "gone"), ("who", MARKER)]);
    append(
        &store,
        &of,
        (1..600).map(|at| at * MINUTE_MS),
        f64::from_bits(VALUE_BITS),
    );
    append(
        &store,
        &labels(&[("__name__", "kept")]),
        (1..600).map(|at| at * MINUTE_MS),
        1.0,
    );
    store.flush(8 * HOUR_MS).expect("flushed");
    let traces = || {
        let value = VALUE_BITS.to_le_bytes();
        let mut found = files_with(&dir.path().join("blocks"), MARKER.as_bytes());
        found.extend(files_with(&dir.path().join("blocks"), &value));
        found.extend(files_with(&dir.path().join("blocks"), &VALUE_BITS.to_be_bytes()));
        found.extend(
            files_with(dir.path(), MARKER.as_bytes())
                .into_iter()
                .filter(|file| file.ends_with("series.idx")),
        );
        found
    };
    assert!(traces().len() > 4);
    store
        .delete(&[name("gone")], i64::MIN, i64::MAX)
        .expect("deleted");
    assert!(!traces().is_empty(), "files do not change until they are cleaned");
    let blocks = store.stats().blocks;
    assert_eq!(store.clean_tombstones().expect("cleaned").files, blocks);
    assert_eq!(traces(), [""; 0]);
    assert_eq!(held(&store, "kept").len(), 599);
    assert_eq!(store.clean_tombstones().expect("cleaned").files, 0);
    // The log lets it go with the samples that lie beside it.
    store.flush(12 * HOUR_MS).expect("flushed");
    let (_left, after) = killed(dir.path());
    assert_eq!(held(&after, "gone"), []);
}

#[test]
fn native_histograms_go_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let series = store.series_ref(&labels(&[("__name__", "h")])).expect("a series");
    let batch: Vec<HistogramSample> = (1..300)
        .map(|at| HistogramSample {
            series,
            t_ms: at * MINUTE_MS,
            value: Arc::new(Histogram::default()),
        })
        .collect();
    store
        .append_histograms(&batch, 300 * MINUTE_MS)
        .expect("appended");
    store.flush(4 * HOUR_MS).expect("flushed");
    let deleted = store
        .delete(&[name("h")], 100 * MINUTE_MS, 280 * MINUTE_MS)
        .expect("deleted");
    assert_eq!(deleted.samples, 181);
    let times = |store: &Store| -> Vec<i64> {
        let found = store
            .select(&name("h"), i64::MIN, i64::MAX, usize::MAX)
            .expect("readable");
        found[0]
            .histograms
            .iter()
            .map(|held| held.0 / MINUTE_MS)
            .collect()
    };
    let left: Vec<i64> = (1..100).chain(281..300).collect();
    assert_eq!(times(&store), left);
    store.clean_tombstones().expect("cleaned");
    let (_left, after) = killed(dir.path());
    assert_eq!(times(&after), left);
}

#[test]
fn files_of_version_1_are_masked_and_cleaned_as_well() {
    let dir = tempfile::tempdir().expect("a directory");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1"),
        dir.path(),
    );
    let store = open(dir.path());
    let before = held(&store, "counter");
    let (min_ms, max_ms) = (50 * MINUTE_MS, 199 * MINUTE_MS);
    store.delete(&[name("counter")], min_ms, max_ms).expect("deleted");
    let left: Vec<_> = before
        .into_iter()
        .filter(|sample| sample.0 < min_ms || sample.0 > max_ms)
        .collect();
    assert_eq!(held(&store, "counter"), left);
    assert_eq!(store.clean_tombstones().expect("cleaned").files, 2);
    assert_eq!(held(&store, "counter"), left);
    assert_eq!(held(&store, "decimal").len(), 300);
}

#[test]
fn deletions_that_are_not_cleaned_take_a_limited_number_of_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        max_tombstone_bytes: 300,
        ..Options::default()
    };
    drop(filled(dir.path()));
    let store = open_with(dir.path(), options);
    let every = |hour: i64| store.delete(&[name("gone")], hour * HOUR_MS, hour * HOUR_MS + MINUTE_MS);
    let refused = (0..100).map(|at| every(at % 8)).find_map(Result::err);
    assert!(
        matches!(
            refused,
            Some(SeriesError::TooManyDeletions { limit_bytes: 300, .. })
        ),
        "{refused:?}"
    );
    let left = held(&store, "gone");
    store.clean_tombstones().expect("cleaned");
    assert_eq!(held(&store, "gone"), left);
    every(7).expect("there is room again");
}

#[test]
fn a_damaged_list_of_deletions_is_not_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.delete(&[name("gone")], 0, HOUR_MS).expect("deleted");
    drop(store);
    let list = dir.path().join("tombstones");
    let mut bytes = fs::read(&list).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&list, bytes).expect("written");
    let refused = Store::open(dir.path(), Options::default()).err();
    assert!(
        matches!(&refused, Some(SeriesError::Deletions { path }) if *path == list),
        "{refused:?}"
    );
}

#[test]
fn a_copy_knows_what_was_deleted() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.delete(&[name("gone")], HOUR_MS, i64::MAX).expect("deleted");
    let copy = tempfile::tempdir().expect("a directory");
    store.backup(copy.path()).expect("copied");
    let left = held(&store, "gone");
    assert_eq!(held(&open(copy.path()), "gone"), left);
}
