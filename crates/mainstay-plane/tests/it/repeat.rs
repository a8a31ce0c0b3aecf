//! A recorded run repeated: random scrapes, restarts of pods, samples that come late or twice, a process that is killed at
//! any moment, another catalog. Replayed from what is on the disk, every judgement says what it said, and the counts are the
//! same to the last bit; from the samples in order of time, as many events are counted.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertState, Observation};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::fact::BudgetStateChanged;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Clock, Labels};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::{Judged, Repeated, StoreSource, repeat_run};
use mainstay_series::{Options, Row, Store};
use mainstay_slo::replay::{Course, Replay, TICK_MS};
use mainstay_slo::{Evaluation, Settings, SloCatalog};

use crate::bench::payments;

/// The objectives of the payments catalog; in the second edition with another target.
fn catalog(edition: usize) -> Catalog {
    let documents = payments();
    let files = documents
        .files()
        .filter(|(name, _)| !name.starts_with("rules/") && !name.starts_with("compat/"));
    let texts = files.map(|(name, text)| {
        let text = match edition {
            0 => text.to_owned(),
            _ => text.replace("target: 0.9995", "target: 0.999"),
        };
        (name.to_owned(), text)
    });
    let (documents, mut diagnostics) = Documents::from_texts(texts.collect::<Vec<_>>());
    Catalog::build(documents, &mut diagnostics)
}

fn objectives(catalog: &Catalog) -> SloCatalog {
    mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut Diagnostics::new())
}

/// What was told at an instant.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    at: Timestamp,
    alerts: Vec<Observation>,
    budgets: Vec<BudgetStateChanged>,
}

/// One pod of the gateway: the counters of its answers.
struct Pod {
    name: String,
    cell: String,
    ok: u64,
    failed: u64,
    created_ms: Option<i64>,
}

impl Pod {
    fn series(&self, status: &str) -> Labels {
        let pairs = [
            ("__name__", "http_requests_total"),
            ("job", "api-gateway"),
            ("instance", &self.name),
            ("cell", &self.cell),
            ("tenant", "STD-021"),
            ("status", status),
        ];
        pairs.into_iter().collect()
    }
}

struct Run {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    entropy: SeededEntropy,
    catalogs: [Catalog; 2],
    pods: Vec<Pod>,
    /// Samples on their way: when they arrive, and what they are.
    under_way: Vec<(i64, Labels, Option<i64>, i64, f64)>,
    told: Vec<Told>,
    /// By which edition of the catalog each start and change judged.
    editions: Vec<usize>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let start: Timestamp = "2026-03-02T10:00:03.217Z".parse().expect("a timestamp");
        let mut run = Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::at(start)),
            entropy: SeededEntropy::new(seed),
            catalogs: [catalog(0), catalog(1)],
            pods: Vec::new(),
            under_way: Vec::new(),
            told: Vec::new(),
            editions: Vec::new(),
        };
        run.start_pod();
        run.start_pod();
        run
    }

    fn one_in(&self, n: u64) -> bool {
        self.entropy.below(n) == 0
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    fn start_pod(&mut self) {
        let says_created = !self.one_in(3);
        self.pods.push(Pod {
            name: format!("gateway-{}", self.entropy.below(1 << 20)),
            cell: format!("cell-{}", self.entropy.below(2)),
            ok: 0,
            failed: 0,
            created_ms: says_created.then(|| self.now_ms()),
        });
    }

    fn open(&mut self, edition: usize) -> Telemetry {
        let path: &Path = self.dir.path();
        let judged = Judged::of(&self.catalogs[edition], &mut Diagnostics::new());
        let (telemetry, _) =
            Telemetry::open(path, judged, Settings::default(), self.clock.clone()).expect("it opens");
        self.editions.push(edition);
        telemetry
    }

    /// Five seconds pass: counters are read, samples arrive, now and then something is judged.
    fn step(&mut self, telemetry: &Telemetry, is_bad: bool) {
        let passed = 4_000 + self.entropy.below(2_000);
        self.clock
            .advance(SignedDuration::from_millis(i64::try_from(passed).expect("short")));
        let now_ms = self.now_ms();
        if self.one_in(30) {
            self.start_pod();
        }
        if self.one_in(30) && self.pods.len() > 1 {
            self.pods.remove(0);
        }
        for index in 0..self.pods.len() {
            let (restarts, is_missed, is_late, is_repeated) =
                (self.one_in(40), self.one_in(12), self.one_in(10), self.one_in(15));
            let (ok, failed) = (
                self.entropy.below(300),
                self.entropy.below(if is_bad { 90 } else { 2 }),
            );
            let late_ms = i64::try_from(self.entropy.below(60_000)).expect("short");
            let pod = &mut self.pods[index];
            if restarts {
                (pod.ok, pod.failed) = (0, 0);
                pod.created_ms = pod.created_ms.map(|_| now_ms - 500);
            }
            pod.ok += ok;
            pod.failed += failed;
            if is_missed {
                continue;
            }
            let arrives_ms = if is_late { now_ms + late_ms } else { now_ms };
            for (status, value) in [("200", pod.ok), ("500", pod.failed)] {
                let times_ms = [Some(arrives_ms), is_repeated.then_some(arrives_ms + 7_000)];
                for arrives_ms in times_ms.into_iter().flatten() {
                    let sample = (
                        arrives_ms,
                        pod.series(status),
                        pod.created_ms,
                        now_ms,
                        value as f64,
                    );
                    self.under_way.push(sample);
                }
            }
        }
        self.deliver(telemetry);
        if !self.one_in(4) {
            self.judge(telemetry);
        }
    }

    /// What has arrived by now, in several requests.
    fn deliver(&mut self, telemetry: &Telemetry) {
        let now_ms = self.now_ms();
        let (arrived, under_way): (Vec<_>, Vec<_>) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|sample| sample.0 <= now_ms);
        self.under_way = under_way;
        for request in arrived.chunks(3) {
            let rows: Vec<Row<'_>> = request
                .iter()
                .map(|(_, labels, created_ms, t_ms, value)| Row {
                    labels,
                    created_ms: *created_ms,
                    t_ms: *t_ms,
                    value: *value,
                })
                .collect();
            telemetry.append(&rows).expect("the disk works");
        }
    }

    fn judge(&mut self, telemetry: &Telemetry) {
        let at = self.clock.now();
        let found = telemetry.evaluate(at);
        assert_eq!(found.failures, [""; 0]);
        self.told.push(Told {
            at,
            alerts: found.observations,
            budgets: found.budgets,
        });
    }
}

/// Some minutes of random life. Gives the counts at its end, too.
fn live(seed: u64) -> (Run, Vec<u8>) {
    let mut run = Run::new(seed);
    let mut edition = 0;
    let mut telemetry = run.open(edition);
    for step in 0..240 {
        run.step(&telemetry, (60..120).contains(&step));
        if run.one_in(20) {
            telemetry.checkpoint().expect("the disk works");
        }
        if run.one_in(25) {
            // Killed: what it knew is what is on the disk.
            drop(telemetry);
            if run.one_in(3) {
                run.clock.advance(SignedDuration::from_secs(150));
            }
            telemetry = run.open(edition);
            // The journal heard of everything, or, now and then, of nothing.
            let over = telemetry.adopt(&AlertState::default(), run.clock.now());
            drop(over);
        }
        if step == 150 {
            edition = 1;
            let now = run.clock.now();
            let gone =
                telemetry.reconfigure(Judged::of(&run.catalogs[edition], &mut Diagnostics::new()), now);
            run.editions.push(edition);
            run.told.push(Told {
                at: now,
                alerts: gone,
                budgets: Vec::new(),
            });
            // What was in force before is not on the disk: what came after the last checkpoint would be judged anew by this.
            telemetry.checkpoint().expect("the disk works");
        }
    }
    let bytes = telemetry.slos().to_bytes();
    drop(telemetry);
    (run, bytes)
}

fn observation(alert: mainstay_slo::AlertTransition) -> Observation {
    Observation {
        labels: alert.alert.labels,
        annotations: alert.alert.annotations.with("mainstay_source", "slo"),
        starts_at: alert.alert.starts_at,
        ended_at: (!alert.firing).then_some(alert.at),
        believed_for_ms: None,
    }
}

fn again(run: &Run) -> (Repeated, Vec<Told>) {
    let mut told = Vec::new();
    let catalogs: Vec<SloCatalog> = run
        .editions
        .iter()
        .map(|edition| objectives(&run.catalogs[*edition]))
        .collect();
    let repeated = repeat_run(
        run.dir.path(),
        |number| catalogs[number].clone(),
        Settings::default(),
        |at, Evaluation { alerts, budgets }| {
            told.push(Told {
                at,
                alerts: alerts.into_iter().map(observation).collect(),
                budgets,
            });
        },
    );
    (
        repeated.expect("it can be read").expect("all of it is there"),
        told,
    )
}

#[test]
fn a_recorded_run_is_repeated_to_the_last_bit() {
    let (mut alerts, mut budgets, mut starts) = (0, 0, 0);
    for seed in 0..4 {
        let (run, bytes) = live(seed);
        let (repeated, told) = again(&run);
        for (again, live) in told.iter().zip(&run.told) {
            assert_eq!(again, live, "seed {seed}");
        }
        assert_eq!(told.len(), run.told.len(), "seed {seed}");
        assert!(
            repeated.slos.to_bytes() == bytes,
            "seed {seed}: the counts differ"
        );
        assert_eq!(
            repeated.is_equal,
            Some(true),
            "seed {seed}: the counts written down"
        );
        assert_eq!(repeated.starts + repeated.catalogs, run.editions.len());
        alerts += told.iter().map(|one| one.alerts.len()).sum::<usize>();
        budgets += told.iter().map(|one| one.budgets.len()).sum::<usize>();
        starts += repeated.starts;
    }
    assert!(
        alerts > 15 && budgets > 15 && starts > 20,
        "{alerts} alerts, {budgets} budgets, {starts} starts"
    );
}

/// The same samples in order of time, as a store keeps them: as many events in every group of every indicator. In the course
/// of a minute more or less that a late sample took, other things may have been told.
#[test]
fn from_the_samples_alone_as_many_events_are_counted() {
    let (run, _) = live(7);
    let (repeated, _) = again(&run);
    let (store, _) = Store::open(run.dir.path(), Options::default()).expect("it opens");
    // Half in memory, half in files.
    store
        .flush(repeated.to.as_millisecond() - 600_000)
        .expect("the disk works");
    let objectives = objectives(&run.catalogs[1]);
    let course = Course {
        counted_from: repeated.from,
        judged_from: repeated.from,
        to: run.clock.now(),
        tick_ms: TICK_MS,
    };
    let mut source = StoreSource::new(&store, &objectives, course);
    let replay = Replay::new(objectives.clone(), Settings::default(), course);
    let (slos, outcome) = replay.run(&mut source, |_| ()).expect("it can be read");
    assert_eq!(repeated.slos.ingested().too_late, 0);
    assert_eq!(outcome.ingested.counted, repeated.slos.ingested().counted);
    let to_ms = run.clock.now().as_millisecond();
    let mut groups = 0;
    for sli in objectives.indicators() {
        for group in slos.groups(&sli.name) {
            for back_ms in [60_000, 300_000, 3_600_000] {
                let counts = |slos: &mainstay_slo::SloEngine| {
                    let window = slos.window(&sli.name, group, to_ms - back_ms, to_ms)?;
                    Some((window.counted, window.counts))
                };
                assert_eq!(
                    counts(&slos),
                    counts(&repeated.slos),
                    "{} {group} {back_ms}",
                    sli.name
                );
            }
            groups += 1;
        }
    }
    assert!(groups >= 4 && !outcome.pages.is_empty(), "{groups} groups");
}
