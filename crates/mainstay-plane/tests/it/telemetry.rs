//! Telemetry over a crash: counts are exact, and what fires goes on firing.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertState, Alerts, Observation};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, EventId, Labels};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_series::Row;
use mainstay_slo::Settings;

use crate::bench::payments;

/// Two rules of one name that differ in a label, and need time to fire.
const RULES: &str = "groups:
- name: test
  interval: 15s
  rules:
  - alert: QueueLong
    expr: queue_length > 10
    for: 5m
    labels: {priority: P2}
  - alert: QueueLong
    expr: queue_length > 100
    for: 5m
    labels: {priority: P1}
";

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    alerts: AlertState,
    catalog: Catalog,
    entropy: SeededEntropy,
    good: f64,
    bad: f64,
}

impl Bench {
    fn new() -> Self {
        let documents = payments();
        let files = documents
            .files()
            .filter(|(name, _)| !name.starts_with("rules/") && !name.starts_with("compat/"))
            // Nobody tells of payments here: that is an alert of its own.
            .filter(|(name, _)| *name != "slo/payment-success.yaml");
        let mut texts: Vec<(String, String)> = files
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        texts.push(("rules/test.yml".to_owned(), RULES.to_owned()));
        let (documents, mut diagnostics) = Documents::from_texts(texts);
        let catalog = Catalog::build(documents, &mut diagnostics);
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("a timestamp");
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(start)),
            alerts: AlertState::default(),
            catalog,
            entropy: SeededEntropy::new(1),
            good: 0.0,
            bad: 0.0,
        }
    }

    fn open(&self) -> Telemetry {
        let path: &Path = self.dir.path();
        let judged = Judged::of(&self.catalog, &mut Diagnostics::new());
        let (telemetry, _) =
            Telemetry::open(path, judged, Settings::default(), self.clock.clone()).expect("it opens");
        telemetry
    }

    /// Fifteen seconds of traffic, of which `failing` of a hundred requests fail, and a queue; then an evaluation, whose
    /// findings go to the alerts. Gives how many alerts began or ended.
    fn step(&mut self, telemetry: &Telemetry, failing: f64, queue: f64) -> usize {
        self.clock.advance(SignedDuration::from_secs(15));
        self.good += 100.0 - failing;
        self.bad += failing;
        let t_ms = self.clock.now().as_millisecond();
        let series = |status: &str| {
            let pairs = [
                ("__name__", "http_requests_total"),
                ("job", "api-gateway"),
                ("cell", "cell-5"),
                ("tenant", "STD-021"),
                ("status", status),
            ];
            Labels::from_iter(pairs)
        };
        let (ok, error) = (series("200"), series("500"));
        let length = Labels::from_iter([("__name__", "queue_length"), ("cell", "cell-5")]);
        let row = |labels, value| Row {
            labels,
            created_ms: None,
            t_ms,
            value,
        };
        let rows = [row(&ok, self.good), row(&error, self.bad), row(&length, queue)];
        telemetry.append(&rows).expect("the disk works");
        let found = telemetry.evaluate(self.clock.now());
        assert_eq!(found.failures, [""; 0]);
        self.take(found.observations)
    }

    fn take(&mut self, observations: Vec<Observation>) -> usize {
        let now = self.clock.now();
        let command = mainstay_alert::AlertCommand::Observe(observations);
        let events = Alerts::decide(&self.alerts, &self.catalog.response.routing, command, now).expect("few");
        for event in &events {
            let meta = Meta {
                id: EventId::generate(now, &self.entropy),
                at: now,
                actor: Actor::machine("test"),
                cause: None,
            };
            Alerts::apply(&mut self.alerts, event, &meta);
        }
        let turns = events.iter().filter(|event| {
            matches!(
                event,
                mainstay_alert::AlertEvent::Started { .. } | mainstay_alert::AlertEvent::Ended { .. }
            )
        });
        turns.count()
    }

    fn firing(&self) -> Vec<String> {
        let line = |active: &mainstay_alert::ActiveAlert| {
            let labels = &active.alert.labels;
            format!(
                "{} {}",
                active.alert.name(),
                labels.get("priority").unwrap_or_default()
            )
        };
        let mut names: Vec<String> = self.alerts.firing().map(line).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn counts(&self, telemetry: &Telemetry) -> Vec<(u64, u64)> {
        let slos = telemetry.slos();
        let (from, to) = (0, self.clock.now().as_millisecond());
        let counts = slos.objectives().map(|objective| {
            let window = slos.window(&objective.sli, &Labels::new(), from, to);
            window.map_or((0, 0), |window| (window.counts.bad, window.counts.total))
        });
        counts.collect()
    }
}

/// Killed at every point between what was stored, what was counted and what was kept: the counts are those of a run
/// that nobody disturbed.
#[test]
fn no_sample_is_lost_or_counted_twice() {
    let run = |disturbed: bool| {
        let mut bench = Bench::new();
        let mut telemetry = bench.open();
        for step in 0..40 {
            bench.step(&telemetry, if step % 7 == 0 { 3.0 } else { 0.0 }, 0.0);
            if disturbed && step % 5 == 2 {
                telemetry.checkpoint().expect("the disk works");
            }
            if disturbed && step % 3 == 1 {
                // Gone without a word: sometimes right after a checkpoint, sometimes long after one.
                drop(telemetry);
                telemetry = bench.open();
            }
        }
        bench.counts(&telemetry)
    };
    let undisturbed = run(false);
    assert!(
        undisturbed.iter().any(|(bad, total)| *bad > 0 && *total > 3_000),
        "{undisturbed:?}"
    );
    assert_eq!(run(true), undisturbed);
}

/// A clock by which everything takes a second.
struct SlowClock(Arc<ManualClock>);

impl Clock for SlowClock {
    fn now(&self) -> Timestamp {
        self.0.advance(SignedDuration::from_secs(1));
        self.0.now()
    }
}

/// Counts that take long to write are written seldom: the log has what the file lacks.
#[test]
fn a_checkpoint_that_takes_long_is_not_taken_all_the_time() {
    let mut bench = Bench::new();
    let open = |bench: &Bench| {
        let judged = Judged::of(&bench.catalog, &mut Diagnostics::new());
        let clock = Arc::new(SlowClock(bench.clock.clone()));
        Telemetry::open(bench.dir.path(), judged, Settings::default(), clock)
            .expect("it opens")
            .0
    };
    let kept = |bench: &Bench| std::fs::read(bench.dir.path().join("counts.slo")).expect("counts");
    let telemetry = open(&bench);
    let at_first = kept(&bench);
    bench.step(&telemetry, 3.0, 0.0);
    bench.step(&telemetry, 3.0, 0.0);
    telemetry.maintain().expect("the disk works");
    assert!(kept(&bench) == at_first, "it waits");
    let counts = bench.counts(&telemetry);
    assert!(counts.iter().any(|(bad, _)| *bad > 0), "{counts:?}");
    drop(telemetry);
    let telemetry = open(&bench);
    assert_eq!(bench.counts(&telemetry), counts);
    let after_crash = kept(&bench);
    bench.step(&telemetry, 3.0, 0.0);
    bench.clock.advance(SignedDuration::from_hours(1));
    telemetry.maintain().expect("the disk works");
    assert!(kept(&bench) != after_crash, "its time has come");
}

/// The catalog's burn alert and both rules of one name fire; a new process takes them over and nothing begins or ends,
/// although the rules need five minutes to fire by themselves. What is over then is said to be over.
#[test]
fn what_fires_is_neither_raised_again_nor_forgotten() {
    let mut bench = Bench::new();
    let mut telemetry = bench.open();
    for _ in 0..30 {
        bench.step(&telemetry, 50.0, 500.0);
    }
    let firing = bench.firing();
    assert!(firing.contains(&"QueueLong P1".to_owned()), "{firing:?}");
    assert!(firing.contains(&"QueueLong P2".to_owned()), "{firing:?}");
    assert!(
        firing.iter().any(|name| !name.starts_with("QueueLong")),
        "a burn alert: {firing:?}"
    );
    for _ in 0..3 {
        drop(telemetry);
        telemetry = bench.open();
        let strangers = telemetry.adopt(&bench.alerts, bench.clock.now());
        assert_eq!(strangers, [], "all of them are somebody's");
        for _ in 0..4 {
            assert_eq!(
                bench.step(&telemetry, 50.0, 500.0),
                0,
                "nothing begins, nothing ends"
            );
        }
    }
    // One of the two rules no longer holds: exactly its alert ends.
    drop(telemetry);
    telemetry = bench.open();
    telemetry.adopt(&bench.alerts, bench.clock.now());
    for _ in 0..4 {
        bench.step(&telemetry, 50.0, 50.0);
    }
    let firing = bench.firing();
    assert!(!firing.contains(&"QueueLong P1".to_owned()), "{firing:?}");
    assert!(firing.contains(&"QueueLong P2".to_owned()), "{firing:?}");
}

#[test]
fn what_no_rule_answers_for_any_more_is_ended() {
    let mut bench = Bench::new();
    let telemetry = bench.open();
    for _ in 0..30 {
        bench.step(&telemetry, 0.0, 500.0);
    }
    drop(telemetry);
    let files = bench.catalog.documents.files();
    let texts: Vec<(String, String)> = files
        .map(|(name, text)| {
            (
                name.to_owned(),
                text.replace("alert: QueueLong", "alert: QueueVeryLong"),
            )
        })
        .collect();
    let (documents, mut diagnostics) = Documents::from_texts(texts);
    bench.catalog = Catalog::build(documents, &mut diagnostics);
    let telemetry = bench.open();
    let over = telemetry.adopt(&bench.alerts, bench.clock.now());
    assert_eq!(over.len(), 2);
    assert_eq!(bench.take(over), 2);
    assert!(!bench.firing().iter().any(|name| name.starts_with("QueueLong")));
}
