//! The files of tiers: crashes between their making and the removal of what they stand for, damage, old versions,
//! options that change.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Matcher, STALE_NAN, Summary};
use mainstay_series::{Options, Sample, Store, Windows};

use crate::windows::shown;
use crate::{HOUR_MS, MINUTE_MS, environment, held, open_with, series};

pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
pub(crate) const START_MS: i64 = 20_000 * DAY_MS;

pub(crate) fn options() -> Options {
    Options {
        retention_ms: DAY_MS,
        retention_5m_ms: 3 * DAY_MS,
        retention_1h_ms: 90 * DAY_MS,
        ..Options::default()
    }
}

/// What is known of the series of this name over everything that was ever kept.
pub(crate) fn whole(store: &Store, name: &str, now_ms: i64) -> Option<Summary> {
    let mut windows = Windows::new(vec![Matcher::equal("__name__", name)], 100 * DAY_MS);
    let mut found = None;
    let answered = store.windows(&mut windows, now_ms, |_, summary| found = Some(summary.clone()));
    assert!(answered.expect("readable"));
    found
}

fn whole_shown(store: &Store, now_ms: i64) -> Option<String> {
    whole(store, "a", now_ms).as_ref().map(shown)
}

/// `days` of samples every 2 minutes of a counter that falls once a day and a gauge that goes stale at times, flushed
/// but not condensed.
pub(crate) fn fill(store: &Store, days: i64) -> i64 {
    let end_ms = START_MS + days * DAY_MS;
    let (a, b) = (series(store, "a"), series(store, "b"));
    for day in 0..days {
        let samples: Vec<Sample> = (1..=720)
            .flat_map(|step| {
                let t_ms = START_MS + day * DAY_MS + step * 2 * MINUTE_MS;
                let count = f64::from(i32::try_from(step * 7).expect("small"));
                let gauge = if step % 100 == 0 {
                    STALE_NAN
                } else {
                    f64::from(i32::try_from(step % 17).expect("small")) / 4.0
                };
                [(a, count), (b, gauge)].map(|(series, value)| Sample { series, t_ms, value })
            })
            .collect();
        store
            .append(&samples, START_MS + (day + 1) * DAY_MS)
            .expect("appended");
    }
    store.flush(end_ms - HOUR_MS).expect("flushed");
    end_ms
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listable") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

pub(crate) fn tier_files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir.join("tiers"))
        .expect("listable")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

#[test]
fn a_crash_between_the_new_file_and_the_old_ones_counts_nothing_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = dir.path().join("before");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    let all = whole_shown(&store, end_ms);
    copy(&dir.path().join("blocks"), &before);
    let done = store.maintain(end_ms).expect("maintained");
    assert!(done.days_condensed > 0 && done.damage.is_empty(), "{done:?}");
    assert_eq!(whole_shown(&store, end_ms), all);
    let selected = held(&store, "a");
    drop(store);
    // The old files are back, as if they had never been removed.
    copy(&before, &dir.path().join("blocks"));
    let store = open_with(dir.path(), options());
    assert_eq!(whole_shown(&store, end_ms), all);
    assert_eq!(held(&store, "a"), selected);
    store.maintain(end_ms).expect("maintained");
    assert_eq!(whole_shown(&store, end_ms), all);
    drop(store);
    // The new files never came to be.
    copy(&before, &dir.path().join("blocks"));
    tier_files(dir.path())
        .iter()
        .for_each(|path| fs::remove_file(path).expect("removed"));
    let store = open_with(dir.path(), options());
    assert_eq!(whole_shown(&store, end_ms), all);
    store.maintain(end_ms).expect("maintained");
    assert_eq!(whole_shown(&store, end_ms), all);
}

#[test]
fn while_days_are_condensed_every_answer_is_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    let all = whole_shown(&store, end_ms);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(whole_shown(&store, end_ms), all);
                asked += 1;
            }
            asked
        });
        store.maintain(end_ms).expect("maintained");
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("every answer is whole") > 0);
    });
    assert_eq!(store.resolution(START_MS, end_ms).records.len(), 2);
}

#[test]
fn each_tier_goes_with_its_retention_and_is_not_made_if_it_is_not_wanted() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    let names = || -> Vec<String> {
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        tier_files(dir.path()).iter().filter_map(name).collect()
    };
    let (hours, minutes) = (
        ["1h-20000.tier", "1h-20001.tier"],
        ["5m-20002.tier", "5m-20003.tier"],
    );
    assert_eq!(names(), [hours, minutes].concat());
    let reached = store.resolution(START_MS, end_ms);
    let until = |day: i64| START_MS + day * DAY_MS;
    assert_eq!(reached.records, [(until(2), HOUR_MS), (until(4), 5 * MINUTE_MS)]);
    assert_eq!(reached.kept_ms, None);
    assert_eq!(
        store.resolution(end_ms - 91 * DAY_MS, end_ms).kept_ms,
        Some(90 * DAY_MS)
    );
    assert_eq!(store.resolution(until(4), end_ms).records, []);
    drop(store);
    // Without hours, they go when the minutes go.
    let fewer = Options {
        retention_5m_ms: 3 * DAY_MS,
        retention_1h_ms: 0,
        ..options()
    };
    let store = open_with(dir.path(), fewer);
    store.maintain(end_ms).expect("maintained");
    assert_eq!(names(), ["5m-20003.tier"]);
    let later_ms = end_ms + 100 * DAY_MS;
    store.maintain(later_ms).expect("maintained");
    assert_eq!(names(), [] as [&str; 0]);
    assert_eq!(whole_shown(&store, later_ms), None);
    assert_eq!(store.stats().series, 0, "what is gone has no series");
}

#[test]
fn damage_to_a_file_of_a_tier_is_named_and_contained() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    let truth = whole_shown(&store, end_ms);
    drop(store);
    let path = tier_files(dir.path()).pop().expect("a file");
    let sound = fs::read(&path).expect("readable");
    let all = [Matcher::equal("__name__", "a")];
    // Every hundredth byte, and what is around the end.
    let ends = sound.len() - 60..sound.len();
    for at in (0..sound.len()).step_by(97).chain(ends) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).expect("written");
        let (store, recovery) = match Store::open(dir.path(), options()) {
            Ok(opened) => opened,
            // A version that is not known is refused whole.
            Err(error) => {
                assert!(error.to_string().contains("version"), "{at}: {error}");
                continue;
            }
        };
        let other = store.select(&all, START_MS, START_MS + 3 * DAY_MS - 1, usize::MAX);
        assert!(other.is_ok_and(|found| found.len() == 1), "other days are served");
        let mut windows = Windows::new(all.to_vec(), 100 * DAY_MS);
        let mut found = None;
        let told = store.windows(&mut windows, end_ms, |_, summary| found = Some(shown(summary)));
        let read = store.select(&all, i64::MIN, i64::MAX, usize::MAX);
        if recovery.corrupt_blocks.is_empty() {
            // What is damaged may be of the other series, or lie where nobody reads; never is it believed.
            assert!(told.is_err() || found == truth, "{at}: {found:?}");
            for error in [told.err(), read.err()].into_iter().flatten() {
                assert!(error.to_string().contains("5m-20003.tier"), "{at}: {error}");
            }
        } else {
            assert_eq!(recovery.corrupt_blocks, std::slice::from_ref(&path), "{at}");
            assert!(told.is_ok() && read.is_ok());
        }
        drop(store);
    }
}

#[test]
fn a_damaged_day_of_samples_is_condensed_but_for_what_is_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 2);
    drop(store);
    let block = dir.path().join("blocks/00000000000000000001.block");
    let mut bytes = fs::read(&block).expect("readable");
    bytes[2] ^= 0x40;
    fs::write(&block, bytes).expect("written");
    let store = open_with(dir.path(), options());
    let done = store.maintain(end_ms + DAY_MS + HOUR_MS).expect("maintained");
    assert_eq!(done.damage.len(), 1);
    assert!(done.damage[0].contains(&*block.display().to_string()), "{done:?}");
    assert_eq!(done.days_condensed, 2);
    let b = whole(&store, "b", end_ms).expect("a series");
    assert_eq!(b.first.0, START_MS + 2 * MINUTE_MS, "the other series is whole");
    let a = whole(&store, "a", end_ms).expect("a series");
    assert!(a.first.0 >= START_MS + 2 * HOUR_MS && a.last.0 == end_ms, "{a:?}");
}

#[test]
fn a_lost_series_index_does_not_have_the_log_count_again_what_records_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), options());
    let end_ms = fill(&store, 6);
    store.maintain(end_ms).expect("maintained");
    let (all, selected) = (whole_shown(&store, end_ms), held(&store, "a"));
    drop(store);
    fs::write(dir.path().join("series.idx"), b"damaged").expect("written");
    let (store, recovery) = Store::open(dir.path(), options()).expect("opens");
    assert!(recovery.index_rebuilt);
    assert_eq!(whole_shown(&store, end_ms), all);
    assert!(held(&store, "a") == selected, "nothing else is read");
}

/// To make the files of a new version: run with `MAINSTAY_WRITE_GOLDEN_TIERS` naming an empty directory.
#[test]
fn version_1_is_read() {
    if let Some(dir) = environment("MAINSTAY_WRITE_GOLDEN_TIERS") {
        let store = open_with(Path::new(&dir), options());
        let end_ms = fill(&store, 4);
        store.maintain(end_ms + 2 * DAY_MS).expect("maintained");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiers-v1");
    copy(&golden.join("tiers"), &dir.path().join("tiers"));
    fs::copy(golden.join("series.idx"), dir.path().join("series.idx")).expect("copied");
    let (store, recovery) = Store::open(dir.path(), options()).expect("opens");
    assert!(recovery.corrupt_blocks.is_empty() && !recovery.index_rebuilt);
    let other = tempfile::tempdir().expect("a directory");
    let samples = open_with(other.path(), options());
    let end_ms = fill(&samples, 4);
    assert_eq!(store.resolution(START_MS, end_ms).records.len(), 2);
    for name in ["a", "b"] {
        let [golden, now] =
            [&store, &samples].map(|store| whole(store, name, end_ms - 1).as_ref().map(shown));
        assert!(golden.is_some());
        assert_eq!(golden, now, "{name}");
    }
}

const CRASH_DIRECTORY: &str = "MAINSTAY_TEST_TIER_CRASH_DIR";
/// Between two samples of the child.
const STEP_MS: i64 = 10 * MINUTE_MS;

/// Not a test by itself: what the test below starts.
#[test]
fn child() {
    if let Some(dir) = environment(CRASH_DIRECTORY) {
        append_for_ever(Path::new(&dir));
    }
}

fn number(t_ms: i64) -> i64 {
    (t_ms - START_MS) / STEP_MS
}

fn append_for_ever(dir: &Path) -> ! {
    let store = open_with(dir, options());
    let a = series(&store, "a");
    let newest = whole(&store, "a", START_MS + 95 * DAY_MS).map(|known| known.last.0);
    let mut t_ms = newest.map_or(START_MS, |newest_ms| newest_ms + STEP_MS);
    let now_ms = AtomicI64::new(t_ms);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                store
                    .maintain(now_ms.load(Ordering::Relaxed))
                    .expect("maintained");
                std::thread::yield_now();
            }
        });
        loop {
            let value = f64::from(i32::try_from(number(t_ms)).expect("few"));
            let sample = Sample {
                series: a,
                t_ms,
                value,
            };
            assert_eq!(store.append(&[sample], t_ms).expect("appended").stored, 1);
            println!("acknowledged {}", number(t_ms));
            std::io::stdout().flush().expect("the parent reads");
            now_ms.store(t_ms, Ordering::Relaxed);
            t_ms += STEP_MS;
        }
    })
}

#[test]
fn kill_9_while_days_are_condensed_loses_nothing_and_counts_nothing_twice() {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    println!("seed {seed}");
    let entropy = SeededEntropy::new(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = -1;
    for run in 0..if full { 60 } else { 12 } {
        let kill_after = 40 + entropy.below(80);
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "tier_files::child", "--nocapture"])
            .env(CRASH_DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse::<i64>().expect("a number");
                seen += 1;
            }
            if seen == kill_after {
                child.kill().expect("killed");
            }
        }
        child.wait().expect("gone");
        let (store, recovery) = Store::open(dir.path(), options()).expect("opens after a crash");
        assert!(recovery.corrupt_blocks.is_empty(), "run {run}");
        let known = whole(&store, "a", START_MS + 95 * DAY_MS).expect("samples");
        let last = number(known.last.0);
        assert!(last >= acknowledged, "run {run}: {last} of {acknowledged}");
        // Every sample from 0 to the last, each once.
        assert_eq!(known.count.cast_signed(), last + 1, "run {run}");
        let sum = f64::from(i32::try_from(last * (last + 1) / 2).expect("small"));
        assert_eq!(known.exact_sum(), Some(sum), "run {run}");
        assert_eq!((known.resets.len(), known.changes.cast_signed()), (0, last));
    }
    assert!(
        tier_files(dir.path()).len() > 3,
        "seed {seed}: days were condensed"
    );
}
