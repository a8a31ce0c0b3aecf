//! kill -9 at random moments. The test starts its own program as a child that appends, flushes and counts; the child
//! says on its standard output what was acknowledged; the parent kills it and looks at what it left.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use mainstay_kernel::testing::SeededEntropy;
use mainstay_segment::write_atomic;
use mainstay_series::{Lsn, Options, Sample, Store};

use crate::{MINUTE_MS, environment, held, open_with, series};

const DIRECTORY: &str = "MAINSTAY_TEST_CRASH_DIR";
const NAMES: [&str; 3] = ["a", "b", "c"];

fn options() -> Options {
    let mut options = Options {
        block_ms: 10 * MINUTE_MS,
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

/// A quarter of the runs: 20 in all, 500 in the full tier.
fn kill_and_look(quarter: u64) {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let runs: u64 = if full { 125 } else { 5 };
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed)
        + quarter;
    println!("seed {seed}, {runs} runs");
    let entropy = SeededEntropy::new(seed);
    let mut dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for run in 0..runs {
        if run % 25 == 0 {
            // What piled up must not make the later runs slow.
            dir = tempfile::tempdir().expect("a directory");
            acknowledged = 0;
        }
        let kill_after = entropy.below(60);
        acknowledged = one_run(dir.path(), kill_after, acknowledged);
        look(
            dir.path(),
            acknowledged,
            &format!("seed {seed}, run {run}, killed after {kill_after}"),
        );
    }
    assert!(acknowledged > 0, "the child got to append");
}

fn look(dir: &Path, acknowledged: i64, context: &str) {
    let (store, recovery) = Store::open(dir, options()).expect("opens after a crash");
    assert!(
        recovery.wal.corrupt_segments.is_empty() && recovery.corrupt_blocks.is_empty(),
        "{context}"
    );
    assert_eq!(recovery.orphan_records, 0, "{context}");
    let mut total = 0;
    for name in NAMES {
        let found = held(&store, name);
        total += found.len();
        assert!(
            found.len() as i64 >= acknowledged,
            "{context}: {} of {acknowledged}",
            found.len()
        );
        for (number, sample) in (0..).zip(&found) {
            assert_eq!(
                *sample,
                (number * MINUTE_MS, value_at(number).to_bits()),
                "{context}"
            );
        }
    }
    let (position, counted) = read_counter(dir);
    let mut count = counted;
    store
        .replay_since(position, |_| count += 1)
        .expect("the counter's frames are kept");
    assert_eq!(count, total, "{context}: each accepted sample counts once");
}

/// Lets a child append until it has acknowledged so many batches, then kills it; gives the number acknowledged in all.
fn one_run(dir: &Path, kill_after: u64, before: i64) -> i64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = before;
    let mut seen = 0;
    // After the kill the rest is read too: what had been said was acknowledged.
    while let Some(Ok(line)) = lines.next() {
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged = number.parse().expect("a number");
            seen += 1;
        }
        if seen == kill_after {
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

/// Appends one sample per series and minute for ever, flushing beside it, and counts as a consumer of the log would.
fn append_for_ever(dir: &Path) -> ! {
    let store = open_with(dir, options());
    let (position, mut count) = read_counter(dir);
    store.hold("counter", position).expect("held");
    let caught_up = store.replay_since(position, |_| count += 1).expect("kept");
    let mut position = caught_up;
    let mut number = held(&store, NAMES[0]).len() as i64;
    let refs = NAMES.map(|name| series(&store, name));
    let now_ms = AtomicI64::new(number * MINUTE_MS);
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
            let t_ms = number * MINUTE_MS;
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
            println!("acknowledged {number}");
            std::io::stdout().flush().expect("the parent reads");
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
