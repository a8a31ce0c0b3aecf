//! kill -9 at random moments. The test starts its own program as a child that appends, flushes and counts; the child
//! says on its standard output what was acknowledged; the parent kills it and looks at what it left.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use mainstay_kernel::testing::SeededEntropy;
use mainstay_segment::write_atomic;
use mainstay_series::{Lsn, Options, Sample, Store};

use crate::{HOUR_MS, MINUTE_MS, environment, held, open_with, series};

const DIRECTORY: &str = "MAINSTAY_TEST_CRASH_DIR";
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Between two samples of a series. Small spans beside it, so that a run goes through flushes, merges of whole days and
/// retention.
const STEP_MS: i64 = 10 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const BLOCK_MS: i64 = 3 * STEP_MS;
const RETENTION_MS: i64 = 36 * HOUR_MS;

fn options() -> Options {
    let mut options = Options {
        block_ms: BLOCK_MS,
        retention_ms: RETENTION_MS,
        // Files are to be removed here; those that become records are killed in `tier_files`.
        retention_5m_ms: 0,
        retention_1h_ms: 0,
        ..Options::default()
    };
    options.wal.segment_bytes = 4096;
    options
}

fn value_at(number: i64) -> f64 {
    f64::from(i32::try_from(number).expect("few")) / 8.0
}

/// Not a test by itself: what the tests below start.
#[test]
fn child() {
    if let Some(dir) = environment(DIRECTORY) {
        append_for_ever(Path::new(&dir));
    }
}

/// Several tests, so that they run beside each other and none takes long.
#[test]
fn kill_9_loses_nothing_acknowledged_and_counts_nothing_twice_a() {
    kill_and_look(0);
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_counts_nothing_twice_b() {
    kill_and_look(1);
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_counts_nothing_twice_c() {
    kill_and_look(2);
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_counts_nothing_twice_d() {
    kill_and_look(3);
}

/// When a child is killed: so long after it said this word for the n-th time.
struct Kill {
    word: &'static str,
    nth: u64,
    after: Duration,
}

impl Kill {
    /// While samples come in, while a span is flushed, or while a day is merged and retention does its part.
    fn at_random(entropy: &SeededEntropy) -> Self {
        let (word, nth) = match entropy.below(3) {
            0 => ("acknowledged", entropy.below(60)),
            1 => ("span", 1 + entropy.below(12)),
            _ => ("day", 1),
        };
        let after = Duration::from_micros(entropy.below(5_000));
        Self { word, nth, after }
    }
}

/// What the runs of one test came to.
#[derive(Default)]
struct Seen {
    /// Kills while a block file, or the series index, was being written; merges and removals that children finished.
    blocks_cut: usize,
    indexes_cut: usize,
    merged: usize,
    removed: usize,
    acknowledged: i64,
    recoveries: Vec<Duration>,
}

/// A quarter of the runs: 20 in all, 500 in the full tier.
fn kill_and_look(quarter: u64) {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let runs: u64 = if full { 125 } else { 5 };
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed)
        + quarter;
    println!("MAINSTAY_SEED={}, {runs} runs", seed - quarter);
    let entropy = SeededEntropy::new(seed);
    let mut seen = Seen::default();
    let mut dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for run in 0..runs {
        if run % 25 == 0 {
            // What piled up must not make the later runs slow.
            dir = tempfile::tempdir().expect("a directory");
            seen.acknowledged += acknowledged;
            acknowledged = 0;
        }
        let kill = Kill::at_random(&entropy);
        acknowledged = one_run(dir.path(), &kill, acknowledged, &mut seen);
        seen.blocks_cut += usize::from(has_temporary(&dir.path().join("blocks")));
        seen.indexes_cut += usize::from(has_temporary(dir.path()));
        let Kill { word, nth, after } = kill;
        let context = format!("seed {seed}, run {run}, killed {after:?} after {word:?} number {nth}");
        let opened_in = look(dir.path(), acknowledged, &context);
        seen.recoveries.push(opened_in);
    }
    seen.acknowledged += acknowledged;
    assert!(seen.acknowledged > 0, "the child got to append");
    if full {
        let everywhere = [seen.blocks_cut, seen.indexes_cut, seen.merged, seen.removed];
        assert!(everywhere.iter().all(|count| *count > 0), "{everywhere:?}");
    }
    seen.recoveries.sort_unstable();
    println!(
        "{runs} kills ({} in a block file, {} in the index; {} merges and {} removals were gone through), {} samples \
         acknowledged, each found again; recovery {:?} at least, {:?} in the middle, {:?} at most",
        seen.blocks_cut,
        seen.indexes_cut,
        seen.merged,
        seen.removed,
        seen.acknowledged * NAMES.len() as i64,
        seen.recoveries[0],
        seen.recoveries[seen.recoveries.len() / 2],
        seen.recoveries[seen.recoveries.len() - 1],
    );
}

fn has_temporary(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return false;
    };
    let named = |name: &OsStr| Path::new(name).extension().is_some_and(|end| end == "tmp");
    entries.flatten().any(|entry| named(&entry.file_name()))
}

/// Opens what a kill left and checks it; gives how long the opening took.
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
fn look(dir: &Path, acknowledged: i64, context: &str) -> Duration {
    let since = Instant::now();
    let (store, recovery) = Store::open(dir, options()).expect("opens after a crash");
    let opened_in = since.elapsed();
    assert!(
        recovery.wal.corrupt_segments.is_empty() && recovery.corrupt_blocks.is_empty(),
        "{context}"
    );
    assert_eq!(recovery.orphan_records, 0, "{context}");
    let mut accepted = 0;
    for name in NAMES {
        let found = held(&store, name);
        let last = found.last().map_or(0, |sample| sample.0 / STEP_MS + 1);
        accepted += usize::try_from(last).expect("positive");
        assert!(last >= acknowledged, "{context}: {last} of {acknowledged}");
        let first = found.first().map_or(0, |sample| sample.0 / STEP_MS);
        let oldest_kept = (last - 1) - RETENTION_MS / STEP_MS;
        assert!(
            first <= oldest_kept.max(0),
            "{context}: {first} is the oldest, {last} the newest"
        );
        let expected = (first..last).map(|number| (number * STEP_MS, value_at(number).to_bits()));
        assert!(found.into_iter().eq(expected), "{context}: gaps, or other values");
    }
    let (position, counted) = read_counter(dir);
    let mut count = counted;
    store
        .replay_since(position, |_| count += 1)
        .expect("the counter's frames are kept");
    assert_eq!(count, accepted, "{context}: each accepted sample counts once");
    opened_in
}

/// Lets a child append until its time has come, then kills it; gives the number of batches acknowledged in all.
fn one_run(dir: &Path, kill: &Kill, before: i64, seen: &mut Seen) -> i64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = before;
    let (mut said, mut killed) = (0, false);
    // After the kill the rest is read too: what had been said was acknowledged.
    while let Some(Ok(line)) = lines.next() {
        let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number = || number.parse().expect("a number");
        match word {
            "acknowledged" => acknowledged = number(),
            "merged" => seen.merged += number() as usize,
            "removed" => seen.removed += number() as usize,
            _ => {}
        }
        said += u64::from(word == kill.word);
        if said >= kill.nth && !killed {
            killed = true;
            #[expect(clippy::disallowed_methods, reason = "the moment of the kill is what varies")]
            std::thread::sleep(kill.after);
            child.kill().expect("killed");
        }
    }
    child.wait().expect("gone");
    acknowledged
}

fn read_counter(dir: &Path) -> (Lsn, usize) {
    let Ok(text) = std::fs::read_to_string(dir.join("counter")) else {
        return (Lsn::ZERO, 0);
    };
    let (position, count) = text.split_once(' ').expect("two numbers");
    (
        Lsn::new(position.parse().expect("a number")),
        count.parse().expect("a number"),
    )
}

/// Appends one sample per series and step for ever, flushing, merging and removing beside it, and counts as a consumer of
/// the log would.
fn append_for_ever(dir: &Path) -> ! {
    let store = open_with(dir, options());
    let (position, mut count) = read_counter(dir);
    store.hold("counter", position).expect("held");
    let caught_up = store.replay_since(position, |_| count += 1).expect("kept");
    let mut position = caught_up;
    let mut number = held(&store, NAMES[0])
        .last()
        .map_or(0, |sample| sample.0 / STEP_MS + 1);
    let refs = NAMES.map(|name| series(&store, name));
    let now_ms = AtomicI64::new(number * STEP_MS);
    std::thread::scope(|scope| {
        scope.spawn(|| maintain_for_ever(&store, &now_ms));
        loop {
            let t_ms = number * STEP_MS;
            let batch = refs.map(|series| Sample {
                series,
                t_ms,
                value: value_at(number),
            });
            let appended = store.append(&batch, t_ms).expect("appended");
            assert_eq!(appended.stored, batch.len());
            number += 1;
            count += appended.stored;
            position = position.max(appended.lsn);
            say("acknowledged", number);
            if number % 3 == 0 {
                write_atomic(
                    &dir.join("counter"),
                    format!("{} {count}", position.get()).as_bytes(),
                )
                .expect("kept");
                store.hold("counter", position).expect("held");
            }
            now_ms.store(t_ms, Ordering::Relaxed);
        }
    })
}

/// Says when a span or a day is over, before the pass that flushes or merges it, and what passes did.
fn maintain_for_ever(store: &Store, now_ms: &AtomicI64) {
    let of = |now_ms: i64, span_ms: i64| (now_ms - BLOCK_MS / 2).div_euclid(BLOCK_MS) * BLOCK_MS / span_ms;
    let mut before_ms = now_ms.load(Ordering::Relaxed);
    loop {
        let now_ms = now_ms.load(Ordering::Relaxed);
        for (word, span_ms) in [("day", DAY_MS), ("span", BLOCK_MS)] {
            if of(now_ms, span_ms) > of(before_ms, span_ms) {
                say(word, of(now_ms, span_ms));
            }
        }
        before_ms = now_ms;
        let done = store.maintain(now_ms).expect("maintained");
        for (word, count) in [("merged", done.blocks_merged), ("removed", done.blocks_removed)] {
            if count > 0 {
                say(word, count as i64);
            }
        }
        std::thread::yield_now();
    }
}

fn say(word: &str, number: i64) {
    println!("{word} {number}");
    std::io::stdout().flush().expect("the parent reads");
}
