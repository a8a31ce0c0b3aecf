//! What becomes of alerts of rules when the process ends and another begins: nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertCommand, AlertEvent, AlertState as Journaled, Alerts, Observation};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, EventId, Labels, Matcher, is_stale};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_rules::{ActiveAlert, AlertState};
use mainstay_series::Row;
use mainstay_slo::Settings;

const STEP_S: i64 = 15;

/// A rule file with one group, evaluated every 15 s.
fn rules(rules: &str) -> String {
    format!("groups:\n- name: test\n  interval: 15s\n  rules:\n{rules}")
}

fn waiting() -> String {
    rules("  - {alert: Long, expr: queue > 10, for: 5m}\n")
}

/// A process that is killed and started again, the journal's alerts, and the clock on the wall.
struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    catalog: Catalog,
    journal: Journaled,
    entropy: SeededEntropy,
    telemetry: Option<Telemetry>,
    /// All that began and ended.
    told: Vec<String>,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("a timestamp");
        let mut bench = Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(start)),
            catalog: catalog(rules),
            journal: Journaled::default(),
            entropy: SeededEntropy::new(3),
            telemetry: None,
            told: Vec::new(),
        };
        bench.start();
        bench
    }

    fn telemetry(&self) -> &Telemetry {
        self.telemetry.as_ref().expect("started")
    }

    fn start(&mut self) {
        let judged = Judged::of(&self.catalog, &mut Diagnostics::new());
        let opened = Telemetry::open(self.dir.path(), judged, Settings::default(), self.clock.clone());
        let (telemetry, _) = opened.expect("it opens");
        let ended = telemetry.adopt(&self.journal, self.clock.now());
        self.telemetry = Some(telemetry);
        self.observe(ended);
    }

    /// Ends the process without a word.
    fn kill(&mut self) {
        self.telemetry = None;
    }

    fn restart(&mut self) {
        self.kill();
        self.start();
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Fifteen seconds later: a scrape that finds the queue so long, if it finds it, and an evaluation.
    fn found(&self, queue: Option<f64>) -> Vec<Observation> {
        self.wait(STEP_S);
        let labels = Labels::from_iter([("__name__", "queue"), ("cell", "cell-5")]);
        if let Some(value) = queue {
            let row = Row {
                labels: &labels,
                created_ms: None,
                t_ms: self.now_ms(),
                value,
            };
            self.telemetry().append(&[row]).expect("the disk works");
        }
        let found = self.telemetry().evaluate(self.clock.now());
        assert_eq!(found.failures, [""; 0]);
        found.observations
    }

    /// [`Self::found`], and what was found is journaled. Gives what began and ended.
    fn step(&mut self, queue: Option<f64>) -> Vec<String> {
        let found = self.found(queue);
        self.observe(found)
    }

    fn observe(&mut self, observations: Vec<Observation>) -> Vec<String> {
        let now = self.clock.now();
        let command = AlertCommand::Observe(observations);
        let routing = &self.catalog.response.routing;
        let events = Alerts::decide(&self.journal, routing, command, now).expect("few");
        let mut told = Vec::new();
        for event in &events {
            let meta = Meta {
                id: EventId::generate(now, &self.entropy),
                at: now,
                actor: Actor::machine("test"),
                cause: None,
            };
            Alerts::apply(&mut self.journal, event, &meta);
            match event {
                AlertEvent::Started { alert, .. } => {
                    told.push(format!("{} since {}", alert.name(), alert.starts_at))
                }
                AlertEvent::Ended { ended_at, .. } => told.push(format!("over at {ended_at}")),
                _ => {}
            }
        }
        self.told.extend_from_slice(&told);
        told
    }

    fn alerts(&self) -> Vec<ActiveAlert> {
        let groups = self
            .telemetry()
            .rule_groups(|group, _| group.alerts().cloned().collect::<Vec<_>>());
        groups.into_iter().flatten().collect()
    }

    /// The one alert.
    fn alert(&self) -> ActiveAlert {
        let alerts = self.alerts();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        alerts[0].clone()
    }

    /// The values that series of this name have had since `from_ms`, a stale marker as "stale", by what they say of the
    /// state.
    fn values(&self, name: &str, from_ms: i64) -> BTreeMap<String, Vec<String>> {
        let matchers = [Matcher::equal("__name__", name)];
        let found = self
            .telemetry()
            .store()
            .select(&matchers, from_ms, i64::MAX, 1_000_000);
        let shown = |value: f64| {
            if is_stale(value) {
                "stale".to_owned()
            } else {
                value.to_string()
            }
        };
        let series = found.expect("the disk works").into_iter().map(|series| {
            let state = series.labels.get("alertstate").unwrap_or_default().to_owned();
            (
                state,
                series.samples.iter().map(|(_, value)| shown(*value)).collect(),
            )
        });
        series.collect()
    }
}

fn catalog(rules: &str) -> Catalog {
    let (documents, mut diagnostics) = Documents::from_texts([("rules.yml".to_owned(), rules.to_owned())]);
    Catalog::build(documents, &mut diagnostics)
}

#[test]
fn a_pending_alert_fires_to_the_second_over_a_restart() {
    let mut bench = Bench::new(&waiting());
    bench.step(Some(0.0));
    for _ in 0..10 {
        assert_eq!(bench.step(Some(50.0)), [""; 0]);
    }
    let before = bench.alert();
    assert_eq!(before.state, AlertState::Pending);
    bench.kill();
    // Half a minute: an evaluation is missed.
    bench.wait(2 * STEP_S);
    bench.start();
    assert_eq!(bench.alert(), before, "to the last field");
    let due_ms = before.active_at_ms + 5 * 60_000;
    loop {
        let told = bench.step(Some(50.0));
        let alert = bench.alert();
        assert_eq!(alert.active_at_ms, before.active_at_ms);
        if let [told] = told.as_slice() {
            let at = Timestamp::from_millisecond(due_ms).expect("a time");
            assert_eq!(*told, format!("Long since {at}"));
            break;
        }
        assert!(bench.now_ms() < due_ms + STEP_S * 1_000, "it fires too late");
    }
}

/// Killed after every single evaluation, before or after the journal heard of it: what the journal says began and ended is
/// what it says of a process that nobody disturbed.
#[test]
fn a_kill_at_any_time_is_not_noticed() {
    let queue = |step: usize| match step {
        0..=9 | 45..=49 | 90.. => 0.0,
        _ => 50.0,
    };
    let run = |killed: bool| {
        let mut bench = Bench::new(&rules(
            "  - {alert: Long, expr: queue > 10, for: 5m, keep_firing_for: 2m}\n  - {alert: Any, expr: queue > 10}\n",
        ));
        for step in 0..160 {
            if killed && step % 3 == 0 {
                // What was found is lost before it is journaled.
                let _ = bench.found(Some(queue(step)));
                bench.restart();
                let again = bench.telemetry().evaluate(bench.clock.now()).observations;
                bench.observe(again);
            } else {
                bench.step(Some(queue(step)));
                if killed {
                    bench.restart();
                }
            }
        }
        let alerts = bench.alerts();
        (bench.told, alerts)
    };
    let undisturbed = run(false);
    // One: Any, twice on and off; Long once, for the pause is shorter than it is kept firing.
    assert_eq!(undisturbed.0.len(), 6, "{undisturbed:?}");
    assert_eq!(run(true), undisturbed);
}

#[test]
fn an_alert_that_is_only_kept_firing_ends_when_it_would_have() {
    let mut bench = Bench::new(&rules(
        "  - {alert: Long, expr: queue > 10, keep_firing_for: 5m}\n",
    ));
    for queue in [50.0, 50.0, 0.0, 0.0] {
        bench.step(Some(queue));
    }
    let kept_since_ms = bench.alert().keep_firing_since_ms.expect("kept firing");
    for _ in 0..8 {
        bench.restart();
        assert_eq!(bench.step(Some(0.0)), [""; 0]);
        assert_eq!(bench.alert().keep_firing_since_ms, Some(kept_since_ms));
    }
    bench.kill();
    bench.wait(600);
    bench.start();
    // Over for longer than it is kept, but nothing is known before everything is scraped again.
    assert_eq!(bench.step(Some(0.0)), [""; 0]);
    for _ in 0..3 {
        bench.step(Some(0.0));
    }
    assert_eq!(bench.alert().state, AlertState::Resolved);
}

/// Nothing was scraped for longer than `for`, and longer than a query looks back. What was pending is judged by the first
/// scrape: it fires at once if it holds, it is forgotten if it does not; what fired neither ends nor begins in between.
#[test]
fn an_outage_longer_than_for() {
    for holds in [true, false] {
        let mut bench = Bench::new(&(waiting() + "  - {alert: Any, expr: queue > 10}\n"));
        for _ in 0..10 {
            bench.step(Some(50.0));
        }
        let before = bench.alerts();
        bench.kill();
        bench.wait(1_200);
        bench.start();
        assert_eq!(bench.step(None), [""; 0], "nothing scraped yet says nothing");
        assert_eq!(bench.alerts(), before);
        for _ in 0..3 {
            bench.step(Some(if holds { 50.0 } else { 0.0 }));
        }
        let alerts = bench.alerts();
        let firing = bench.journal.firing().count();
        if holds {
            assert_eq!((firing, bench.told.len()), (2, 2), "{:?}", bench.told);
            assert_eq!(alerts[0].active_at_ms, before[0].active_at_ms);
            let fired_at_ms = alerts[0].fired_at_ms.expect("it fires");
            assert!(
                bench.now_ms() - fired_at_ms < 3 * STEP_S * 1_000,
                "by the first scrape"
            );
        } else {
            assert_eq!(firing, 0, "{:?}", bench.told);
            assert!(
                alerts.iter().all(|alert| alert.state == AlertState::Resolved),
                "{alerts:?}"
            );
        }
    }
}

/// The end of an alert is on the disk but not in the journal: it is told when it was, however long it is ago.
#[test]
fn an_end_that_the_journal_never_heard_of() {
    let mut bench = Bench::new(&rules("  - {alert: Any, expr: queue > 10}\n"));
    bench.step(Some(50.0));
    bench.step(Some(50.0));
    bench.step(Some(0.0));
    let lost = bench.found(Some(0.0));
    let ended_at = lost.iter().find_map(|alert| alert.ended_at).expect("it ended");
    bench.kill();
    bench.wait(3_600);
    let journal = bench.journal.clone();
    bench.start();
    assert_eq!(bench.journal.firing().count(), 0);
    bench.kill();
    bench.journal = journal;
    let judged = Judged::of(&bench.catalog, &mut Diagnostics::new());
    let opened = Telemetry::open(bench.dir.path(), judged, Settings::default(), bench.clock.clone());
    let ended = opened
        .expect("it opens")
        .0
        .adopt(&bench.journal, bench.clock.now());
    assert_eq!(
        ended.iter().map(|alert| alert.ended_at).collect::<Vec<_>>(),
        [Some(ended_at)]
    );
}

/// Without the file, the journal is believed: what it says fires goes on firing.
#[test]
fn without_its_file_what_the_journal_knows_goes_on() {
    let mut bench = Bench::new(&waiting());
    for _ in 0..25 {
        bench.step(Some(50.0));
    }
    assert_eq!(bench.journal.firing().count(), 1);
    let fired_at_ms = bench.alert().fired_at_ms;
    bench.kill();
    let file = bench.dir.path().join("alerts.state");
    let mut bytes = std::fs::read(&file).expect("it was written");
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).expect("the disk works");
    bench.start();
    assert_eq!(
        std::fs::read(file.with_extension("damaged")).expect("put aside"),
        bytes
    );
    assert_eq!(
        (bench.alert().state, bench.alert().fired_at_ms),
        (AlertState::Firing, fired_at_ms)
    );
    for _ in 0..4 {
        assert_eq!(bench.step(Some(50.0)), [""; 0], "neither raised again nor ended");
    }
}

#[test]
fn a_restart_with_other_rules() {
    let two = waiting() + "  - {record: twice, expr: queue * 2}\n";
    // A longer `for`: it is pending again, and over for those who were told. A shorter one: it fires at once.
    for (hold, told_after) in [("10m", "over at"), ("1m", "")] {
        let mut bench = Bench::new(&two);
        for _ in 0..25 {
            bench.step(Some(50.0));
        }
        let active_at_ms = bench.alert().active_at_ms;
        bench.kill();
        bench.catalog = catalog(&two.replace("for: 5m", &format!("for: {hold}")));
        bench.start();
        let told = bench.step(Some(50.0)).concat();
        assert!(
            told.starts_with(told_after) && told.is_empty() == told_after.is_empty(),
            "{told:?}"
        );
        assert_eq!(bench.alert().active_at_ms, active_at_ms);
    }
    // Renamed, removed, moved to another group: the first two end with their series, the third goes on.
    let renamed = two.replace("Long", "Longer").replace("twice", "double");
    let removed = rules("  - {record: other, expr: '1'}\n");
    let moved = two.replace("name: test", "name: elsewhere");
    for (text, goes_on) in [(renamed, false), (removed, false), (moved, true)] {
        let mut bench = Bench::new(&two);
        for _ in 0..25 {
            bench.step(Some(50.0));
        }
        let before = bench.alert();
        bench.kill();
        let killed_ms = bench.now_ms();
        bench.catalog = catalog(&text);
        bench.start();
        assert_eq!(bench.journal.firing().count(), usize::from(goes_on), "{text}");
        for _ in 0..4 {
            bench.step(Some(50.0));
        }
        let (alerts, recorded) = (
            bench.values("ALERTS", killed_ms),
            bench.values("twice", killed_ms),
        );
        if goes_on {
            assert_eq!(bench.alert().active_at_ms, before.active_at_ms);
            assert!(alerts["firing"].iter().all(|value| value == "1"), "{alerts:?}");
            assert!(recorded[""].iter().all(|value| value == "100"), "{recorded:?}");
        } else {
            assert_eq!(alerts["firing"], ["stale"], "{text}");
            assert_eq!(recorded[""], ["stale"], "{text}");
        }
    }
}

/// A group that is gone after the catalog was read again: its series end after two intervals, unless another has them.
#[test]
fn the_series_of_a_group_that_is_gone_end() {
    let text = waiting() + "  - {record: twice, expr: queue * 2}\n  - {record: same, expr: queue}\n";
    let mut bench = Bench::new(&text);
    for _ in 0..25 {
        bench.step(Some(50.0));
    }
    bench.catalog = catalog("groups: [{name: new, interval: 15s, rules: [{record: same, expr: queue + 0}]}]");
    let judged = Judged::of(&bench.catalog, &mut Diagnostics::new());
    let gone_ms = bench.now_ms();
    let ended = bench.telemetry().reconfigure(judged, bench.clock.now());
    assert_eq!(ended.len(), 1);
    bench.observe(ended);
    bench.step(Some(50.0));
    assert!(
        !bench
            .values("twice", gone_ms - 1)
            .values()
            .flatten()
            .any(|value| value == "stale")
    );
    // It is not forgotten over a restart.
    bench.restart();
    bench.step(Some(50.0));
    bench.step(Some(50.0));
    for name in ["twice", "ALERTS", "ALERTS_FOR_STATE"] {
        let values = bench.values(name, gone_ms - 1);
        assert!(
            values.values().flatten().any(|value| value == "stale"),
            "{name}: {values:?}"
        );
    }
    let values = bench.values("same", gone_ms - 1);
    assert!(
        !values.values().flatten().any(|value| value == "stale"),
        "{values:?}"
    );
}
