//! Damage anywhere: of any file of a store, at any byte. Nothing panics, nothing wrong is read, the damage is named, and
//! what is in other files is served.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_kernel::Matcher;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_series::{Options, Recovery, Sample, SeriesError, Store};

use crate::{HOUR_MS, MINUTE_MS, environment, open_with, series};

const NAMES: [&str; 3] = ["a", "b", "c"];
const MINUTES: i64 = 500;
/// What was flushed is in block files of two hours, the rest in the log only.
const FLUSHED_MS: i64 = 6 * HOUR_MS;

fn options() -> Options {
    let mut options = Options::default();
    options.wal.segment_bytes = 2048;
    options
}

fn value_at(name: usize, minute: i64) -> f64 {
    // Of many digits, so that samples take more room than what is said about them.
    ((minute * 3 + name as i64) as f64).sqrt()
}

fn fill(dir: &Path) {
    let store = open_with(dir, options());
    let refs = NAMES.map(|name| series(&store, name));
    for minute in 0..MINUTES {
        let t_ms = minute * MINUTE_MS;
        let batch: Vec<Sample> = refs
            .iter()
            .enumerate()
            .map(|(name, series)| Sample {
                series: *series,
                t_ms,
                value: value_at(name, minute),
            })
            .collect();
        store.append(&batch, t_ms).expect("appended");
    }
    store.flush(FLUSHED_MS).expect("flushed");
}

/// The files of a store, in order of their paths from its directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("series.idx")];
    for folder in ["blocks", "wal"] {
        let entries = fs::read_dir(dir.join(folder)).expect("listable");
        found.extend(entries.map(|entry| Path::new(folder).join(entry.expect("an entry").file_name())));
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for folder in ["blocks", "wal"] {
        fs::create_dir_all(to.join(folder)).expect("made");
    }
    for file in files(from) {
        fs::copy(from.join(&file), to.join(&file)).expect("copied");
    }
}

/// Damages a file in some way and says how.
fn damage(path: &Path, entropy: &SeededEntropy) -> String {
    let mut bytes = fs::read(path).expect("readable");
    let at = entropy.below(bytes.len() as u64) as usize;
    let told = match entropy.below(6) {
        0..=2 => {
            let bit = entropy.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} flipped")
        }
        3 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        4 => {
            let end = bytes.len().min(at + 16);
            bytes[at..end].fill(0);
            format!("zeros from {at} to {end}")
        }
        _ => {
            let end = bytes.len().min(at + 64);
            bytes[at..end].fill_with(|| entropy.below(256).to_le_bytes()[0]);
            format!("noise from {at} to {end}")
        }
    };
    fs::write(path, bytes).expect("writable");
    told
}

/// Reads a series in a span: how many samples there are. None may have another value than was written.
fn read(store: &Store, name: usize, span: (i64, i64), context: &str) -> Result<usize, SeriesError> {
    let matcher = Matcher::equal("__name__", NAMES[name]);
    let selected = store.select(&[matcher], span.0 - 1, span.1 - 1, usize::MAX)?;
    let samples: Vec<(i64, f64)> = selected.into_iter().flat_map(|series| series.samples).collect();
    for (t_ms, value) in &samples {
        let written = value_at(name, t_ms / MINUTE_MS);
        assert_eq!(value.to_bits(), written.to_bits(), "{context}");
    }
    Ok(samples.len())
}

/// Whether the report of the opening names the file, or says that a torn end was cut from the log.
fn is_told(recovery: &Recovery, file: &Path) -> bool {
    let path = file.display().to_string();
    let of_log = file.starts_with("wal");
    recovery.damage.iter().any(|damage| damage.contains(&path))
        || (of_log && recovery.wal.truncated_bytes + recovery.wal.removed_segments > 0)
}

#[test]
fn damage_anywhere_is_named_and_contained() {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    let runs = if full { 3_000 } else { 100 };
    println!("MAINSTAY_SEED={seed}, {runs} runs");
    let entropy = SeededEntropy::new(seed);
    let whole = tempfile::tempdir().expect("a directory");
    fill(whole.path());
    let all = files(whole.path());
    assert_eq!(all.iter().filter(|file| file.starts_with("blocks")).count(), 3);
    for run in 0..runs {
        let dir = tempfile::tempdir().expect("a directory");
        copy(whole.path(), dir.path());
        let file = &all[entropy.below(all.len() as u64) as usize];
        let before = fs::read(dir.path().join(file)).expect("readable");
        let how = damage(&dir.path().join(file), &entropy);
        let context = format!("seed {seed}, run {run}: {}, {how}", file.display());
        let unchanged = fs::read(dir.path().join(file)).expect("readable") == before;
        let (store, recovery) = match Store::open(dir.path(), options()) {
            Ok(opened) => opened,
            Err(error) => panic!("{context}: {error}"),
        };
        let mut told = is_told(&recovery, file);
        let mut lost = 0;
        for name in 0..NAMES.len() {
            for (block, from_ms) in (0..).zip((0..FLUSHED_MS).step_by(2 * HOUR_MS as usize)) {
                let count = match read(&store, name, (from_ms, from_ms + 2 * HOUR_MS), &context) {
                    Ok(count) => count,
                    Err(error) => {
                        let names_it = error.to_string().contains(&file.display().to_string());
                        assert!(error.is_damage() && names_it, "{context}: {error}");
                        told = true;
                        0
                    }
                };
                // Blocks are numbered in order of their spans.
                let own = *file == Path::new("blocks").join(format!("{:020}.block", block + 1));
                assert!(own || count == 120, "{context}: {count} of another file");
                lost += 120 - count;
            }
            let in_log = read(&store, name, (FLUSHED_MS, i64::MAX), &context).expect("nothing but memory");
            let count = (MINUTES - FLUSHED_MS / MINUTE_MS) as usize;
            assert!(
                file.starts_with("wal") || in_log == count,
                "{context}: {in_log} of the log"
            );
            lost += count - in_log;
        }
        // Nothing tells a log that was cut between two frames of its end from one that ended there.
        let newest = all.iter().filter(|file| file.starts_with("wal")).max();
        let is_ended_early = how.starts_with("cut") && Some(file) == newest;
        assert!(
            told || unchanged || lost == 0 || is_ended_early,
            "{context}: {lost} samples lost, and nobody said so"
        );
        let index = file == Path::new("series.idx");
        assert!(
            !index || lost == 0,
            "{context}: everything is in blocks and log too"
        );
        // It goes on.
        let a = series(&store, "a");
        let next = Sample {
            series: a,
            t_ms: MINUTES * MINUTE_MS,
            value: 1.0,
        };
        let appended = store.append(&[next], next.t_ms).expect("appended");
        assert_eq!(appended.stored, 1, "{context}");
        // Nor does damage stop maintenance, if only of what is sound.
        store.maintain(100 * HOUR_MS).expect("maintained");
    }
}
