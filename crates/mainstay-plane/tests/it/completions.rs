//! What is told of payments over crashes: before and after every write, nothing is lost and nothing counts twice.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{Clock, Labels, SloId};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_plane::telemetry::completions::CompletionsError;
use mainstay_slo::Settings;
use mainstay_slo::completion::{CompletionBatch, CompletionEvent};

use crate::bench::payments;

const START: &str = "2026-03-02T10:00:00Z";

struct Bench {
    clock: Arc<ManualClock>,
    catalog: Catalog,
    start_ms: i64,
}

impl Bench {
    fn new() -> Self {
        let catalog = Catalog::build(payments(), &mut Diagnostics::new());
        let start: Timestamp = START.parse().expect("a timestamp");
        Self {
            clock: Arc::new(ManualClock::at(start)),
            catalog,
            start_ms: start.as_millisecond(),
        }
    }

    fn open(&self, dir: &Path) -> Telemetry {
        let judged = Judged::of(&self.catalog, &mut Diagnostics::new());
        let opened = Telemetry::open(dir, judged, Settings::default(), self.clock.clone());
        opened.expect("it opens").0
    }

    /// Ten payments of one second, of which some fail and one is told of only later.
    fn batch(&self, second: i64) -> CompletionBatch {
        let at_ms = self.start_ms + second * 1_000;
        let labels: Labels = [("tenant", "STD-021"), ("cell", "cell-5")].into_iter().collect();
        let mut events = Vec::new();
        for number in 0..10 {
            events.push(CompletionEvent::Initiated {
                payment: format!("{second}-{number}"),
                at_ms,
                deadline_ms: None,
                kind: None,
                labels: labels.clone(),
            });
            let (state, reason) = match number {
                0 => ("FAILED", None),
                1 => ("REJECTED", Some("AM04")),
                _ => ("COMPLETED", None),
            };
            let second = if number == 9 { second - 1 } else { second };
            events.push(CompletionEvent::Finished {
                payment: format!("{second}-{number}"),
                at_ms: at_ms + 200,
                state: state.to_owned(),
                reason: reason.map(str::to_owned),
            });
        }
        CompletionBatch {
            stream: "payments".to_owned(),
            sender: "/payments/cell-5".to_owned(),
            events,
        }
    }

    /// Bad, all, pending, rejected.
    fn counted(&self, telemetry: &Telemetry) -> [u64; 4] {
        let slo = SloId::new("payment-success-30d").expect("a name");
        let group: Labels = [("tenant", "STD-021"), ("cell", "cell-5")].into_iter().collect();
        let slos = telemetry.slos();
        let status = slos
            .status(&slo, &group, self.clock.now())
            .expect("the catalog has it");
        let apart = status.completion.expect("it counts payments");
        let counts = status.budget.counts;
        [counts.bad, counts.total, apart.pending, apart.rejected]
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn newest_segment(dir: &Path) -> std::path::PathBuf {
    let log = dir.join("completions");
    let files = std::fs::read_dir(log)
        .expect("the log")
        .map(|entry| entry.expect("an entry").path());
    files.max().expect("a segment")
}

#[test]
fn a_kill_before_or_after_any_write_neither_loses_nor_doubles_a_payment() {
    let bench = Bench::new();
    let root = tempfile::tempdir().expect("a directory");
    let (mut expected, mut states) = (Vec::new(), Vec::new());
    {
        let dir = root.path().join("whole");
        let telemetry = bench.open(&dir);
        for second in 1..=6 {
            let before = root.path().join(format!("before-{second}"));
            copy(&dir, &before);
            bench.clock.advance(SignedDuration::from_secs(1));
            telemetry
                .take_completions(&[bench.batch(second)])
                .expect("the disk works");
            let after = root.path().join(format!("after-{second}"));
            copy(&dir, &after);
            // The disk as it is when the counts are written and the log is not cut yet, and when it is.
            if second % 2 == 0 {
                telemetry.checkpoint().expect("the disk works");
                let checkpoint = root.path().join(format!("checkpoint-{second}"));
                copy(&dir, &checkpoint);
                let uncut = root.path().join(format!("uncut-{second}"));
                copy(&after, &uncut);
                std::fs::copy(checkpoint.join("counts.slo"), uncut.join("counts.slo")).expect("a copy");
                states.extend([(checkpoint, second, second), (uncut, second, second)]);
            }
            expected.push(bench.counted(&telemetry));
            states.extend([(before, second - 1, second), (after, second, second)]);
        }
    }
    assert_eq!(
        expected[5],
        [6, 53, 1, 6],
        "one of each second fails, the last one's is not told yet"
    );
    for (dir, holds, sent) in states {
        let telemetry = bench.open(&dir);
        if let Some(index) = usize::try_from(holds)
            .ok()
            .and_then(|holds: usize| holds.checked_sub(1))
        {
            assert_eq!(bench.counted(&telemetry), expected[index], "{}", dir.display());
        }
        // The sender got no answer: it tells the last two again, and then goes on.
        for second in (sent - 1).max(1)..=6 {
            telemetry
                .take_completions(&[bench.batch(second)])
                .expect("the disk works");
        }
        assert_eq!(bench.counted(&telemetry), expected[5], "{}", dir.display());
    }
}

#[test]
fn a_half_written_batch_was_never_answered_and_is_told_again() {
    let bench = Bench::new();
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("whole");
    let (before, after) = {
        let telemetry = bench.open(&dir);
        telemetry
            .take_completions(&[bench.batch(1)])
            .expect("the disk works");
        let before = (
            std::fs::metadata(newest_segment(&dir)).expect("there").len(),
            bench.counted(&telemetry),
        );
        telemetry
            .take_completions(&[bench.batch(2)])
            .expect("the disk works");
        (before, bench.counted(&telemetry))
    };
    let whole = std::fs::metadata(newest_segment(&dir)).expect("there").len();
    for length in (before.0..whole).step_by(97) {
        let torn = root.path().join(format!("torn-{length}"));
        copy(&dir, &torn);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(newest_segment(&torn))
            .expect("there");
        file.set_len(length).expect("cut");
        let telemetry = bench.open(&torn);
        assert_eq!(bench.counted(&telemetry), before.1, "cut to {length}");
        telemetry
            .take_completions(&[bench.batch(2)])
            .expect("the disk works");
        assert_eq!(bench.counted(&telemetry), after, "cut to {length}");
    }
}

#[test]
fn a_copy_holds_what_was_told_and_an_event_of_the_future_is_refused() {
    let bench = Bench::new();
    let root = tempfile::tempdir().expect("a directory");
    let telemetry = bench.open(&root.path().join("one"));
    telemetry
        .take_completions(&[bench.batch(1), bench.batch(2)])
        .expect("the disk works");
    let copied = root.path().join("copy");
    telemetry.backup(&copied).expect("a copy");
    assert_eq!(bench.counted(&bench.open(&copied)), bench.counted(&telemetry));
    let refused = telemetry.take_completions(&[bench.batch(3), bench.batch(601)]);
    assert!(
        matches!(refused, Err(CompletionsError::Ahead { ahead_ms: 601_200 })),
        "{refused:?}"
    );
    assert_eq!(
        bench.counted(&bench.open(&copied)),
        bench.counted(&telemetry),
        "none of them counts"
    );
}
