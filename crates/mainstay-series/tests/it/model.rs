//! The store against a model in plain maps: whatever comes in whatever order, through flushes, restarts and torn
//! tails, every sample gets the fate the rules say and reads back bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use mainstay_kernel::{Matcher, STALE_NAN};
use mainstay_series::{Options, Outcome, Sample, Store};
use proptest::prelude::*;

use crate::{MINUTE_MS, held, open_with, series};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// Time passes, then samples arrive: series, age in units of 30 s (negative: ahead), value.
    Append {
        passed_ms: i64,
        batch: Vec<(usize, i64, f64)>,
    },
    /// Everything older than this is flushed.
    Flush {
        age_ms: i64,
    },
    Maintain,
    /// What these series have between two ages, in units of 30 s, is deleted.
    Delete {
        names: Vec<usize>,
        ages: (i64, i64),
    },
    Clean,
    /// The store is closed, a crash's half-written frame is left behind, and it is opened again.
    Restart {
        torn: Vec<u8>,
    },
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0u32..500).prop_map(f64::from),
        2 => (0u32..5000).prop_map(|n| f64::from(n) / 1000.0),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![STALE_NAN, f64::NAN, -0.0, f64::INFINITY]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let age = prop_oneof![6 => Just(0i64), 3 => 0i64..24, 1 => -22i64..0];
    let batch = prop::collection::vec((0..NAMES.len(), age, value()), 1..40);
    prop_oneof![
        12 => (prop_oneof![4 => 0..2 * MINUTE_MS, 1 => 0..180 * MINUTE_MS], batch)
            .prop_map(|(passed_ms, batch)| Step::Append { passed_ms, batch }),
        1 => (0..60 * MINUTE_MS).prop_map(|age_ms| Step::Flush { age_ms }),
        1 => Just(Step::Maintain),
        2 => (prop::collection::vec(0..NAMES.len(), 1..3), delete_ages())
            .prop_map(|(names, ages)| Step::Delete { names, ages }),
        1 => Just(Step::Clean),
        2 => prop::collection::vec(any::<u8>(), 0..30).prop_map(|torn| Step::Restart { torn }),
    ]
}

fn delete_ages() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![
        1 => Just((1_000_000, -1_000_000)),
        3 => (0i64..24, 0i64..24).prop_map(|(first, further)| (first + further, first)),
        1 => (0i64..600, 0i64..600).prop_map(|(first, further)| (first + further, first)),
    ]
}

#[derive(Default)]
struct Model {
    held: BTreeMap<usize, BTreeMap<i64, u64>>,
}

impl Model {
    fn judge(&mut self, series: usize, t_ms: i64, value: f64, now_ms: i64) -> Outcome {
        let bits = value.to_bits();
        let held = self.held.entry(series).or_default();
        if t_ms > now_ms + 10 * MINUTE_MS {
            return Outcome::TooFarAhead;
        }
        match held.get(&t_ms) {
            Some(same) if *same == bits => return Outcome::Duplicate,
            Some(_) => return Outcome::OutOfOrder,
            None => {}
        }
        if held
            .keys()
            .next_back()
            .is_some_and(|newest| t_ms < newest - 10 * MINUTE_MS)
        {
            return Outcome::OutOfOrder;
        }
        held.insert(t_ms, bits);
        Outcome::Stored
    }
}

fn leave_torn_tail(dir: &Path, torn: &[u8]) {
    let mut segments: Vec<_> = fs::read_dir(dir.join("wal"))
        .expect("listable")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    segments.sort();
    let last = segments.pop().expect("a segment");
    let mut file = OpenOptions::new().append(true).open(last).expect("writable");
    // The length says more than there is, as when the machine stopped within a write.
    file.write_all(&1000u32.to_le_bytes())
        .and_then(|()| file.write_all(torn))
        .expect("written");
}

fn run(steps: &[Step], options: &Options) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open_with(dir.path(), options.clone());
    let mut model = Model::default();
    let mut now_ms = 1_000_000_000;
    for step in steps {
        match step {
            Step::Append { passed_ms, batch } => {
                now_ms += passed_ms;
                let mut samples = Vec::new();
                let mut expected = Vec::new();
                for (name, age, value) in batch {
                    let t_ms = now_ms - age * MINUTE_MS / 2;
                    samples.push(Sample {
                        series: series(&store, NAMES[*name]),
                        t_ms,
                        value: *value,
                    });
                    expected.push(model.judge(*name, t_ms, *value, now_ms));
                }
                let appended = store.append(&samples, now_ms).expect("appended");
                assert_eq!(appended.outcomes, expected);
            }
            Step::Flush { age_ms } => {
                store.flush(now_ms - age_ms).expect("flushed");
            }
            Step::Maintain => {
                store.maintain(now_ms).expect("maintained");
            }
            Step::Delete { names, ages } => {
                let (min_ms, max_ms) = (now_ms - ages.0 * MINUTE_MS / 2, now_ms - ages.1 * MINUTE_MS / 2);
                let selectors: Vec<_> = names
                    .iter()
                    .map(|name| vec![Matcher::equal("__name__", NAMES[*name])])
                    .collect();
                let told = store.would_delete(&selectors, min_ms, max_ms).expect("readable");
                let deleted = store.delete(&selectors, min_ms, max_ms).expect("deleted");
                assert_eq!(deleted, told);
                let mut samples = 0;
                let mut series = BTreeSet::new();
                for name in names {
                    let held = model.held.entry(*name).or_default();
                    let before = held.len();
                    held.retain(|t_ms, _| *t_ms < min_ms || *t_ms > max_ms);
                    if held.len() < before {
                        series.insert(name);
                        samples += (before - held.len()) as u64;
                    }
                }
                // A restart may find samples in the log and in a file: each is counted.
                assert_eq!(deleted.series, series.len() as u64);
                assert!(deleted.samples >= samples, "{deleted:?} of {samples}");
            }
            Step::Clean => {
                store.clean_tombstones().expect("cleaned");
            }
            Step::Restart { torn } => {
                drop(store);
                leave_torn_tail(dir.path(), torn);
                let (opened, recovery) = Store::open(dir.path(), options.clone()).expect("opens");
                assert_eq!(recovery.wal.truncated_bytes, torn.len() as u64 + 4);
                assert_eq!(
                    (recovery.orphan_records, recovery.wal.corrupt_segments.len()),
                    (0, 0)
                );
                store = opened;
            }
        }
    }
    for (index, name) in NAMES.iter().enumerate() {
        let expected: Vec<(i64, u64)> = model
            .held
            .remove(&index)
            .unwrap_or_default()
            .into_iter()
            .collect();
        let listed = store.series(&[Matcher::equal("__name__", *name)], i64::MIN, i64::MAX);
        assert_eq!(listed.len(), usize::from(!expected.is_empty()), "series {name}");
        assert_eq!(held(&store, name), expected, "series {name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]

    #[test]
    fn every_sample_gets_its_fate_and_reads_back_bit_for_bit(steps in prop::collection::vec(step(), 1..25)) {
        let mut options = Options::default();
        options.wal.segment_bytes = 2048;
        run(&steps, &options);
    }
}
