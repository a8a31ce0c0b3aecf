//! Who is woken, and for what: every failure of the fleet is paged once, and an ordinary quarter pages nobody.

mod fleet;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::AlertCommand;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::Clock as _;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_plane::telemetry::Judged;
use mainstay_plane::{Command, Telemetry};
use mainstay_slo::Settings;

use crate::bench::{Bench, payments};
use fleet::{Failure, Fleet, Trouble};

/// The payments catalog but for the objective of finished payments, of which no stream tells here.
fn catalog() -> Arc<Catalog> {
    let documents = payments();
    let texts = documents
        .files()
        .filter(|(name, _)| *name != "slo/payment-success.yaml" && !name.starts_with("compat/"))
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let (documents, mut diagnostics) = Documents::from_texts(texts.collect::<Vec<_>>());
    Arc::new(Catalog::build(documents, &mut diagnostics))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by its environment"
)]
fn is_full() -> bool {
    std::env::var_os("MAINSTAY_FULL").is_some()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by its environment"
)]
fn seed() -> u64 {
    let given = std::env::var("MAINSTAY_SEED").ok();
    given.map_or(20_260_302, |text| {
        text.parse().expect("MAINSTAY_SEED is a number")
    })
}

struct Watch {
    bench: Bench,
    telemetry: Telemetry,
    fleet: Fleet,
    _directory: tempfile::TempDir,
}

impl Watch {
    fn new(seed: u64) -> Self {
        let catalog = catalog();
        let bench = Bench::over(catalog.clone());
        let directory = tempfile::tempdir().expect("a directory");
        let judged = Judged::of(&catalog, &mut Diagnostics::new());
        let opened = Telemetry::open(directory.path(), judged, Settings::default(), bench.clock.clone());
        Self {
            fleet: Fleet::new(&catalog, seed),
            telemetry: opened.expect("it opens").0,
            bench,
            _directory: directory,
        }
    }

    fn now(&self) -> Timestamp {
        self.bench.clock.now()
    }

    /// Lets time pass in scrapes `seconds` apart.
    fn pass(&mut self, minutes: i64, seconds: u32, trouble: Option<Trouble>) {
        let until = self.now() + SignedDuration::from_mins(minutes);
        while self.now() < until {
            self.bench
                .clock
                .advance(SignedDuration::from_secs(i64::from(seconds)));
            let now = self.now();
            self.fleet.step(&self.telemetry, seconds, now, trouble);
            let found = self.telemetry.evaluate(now);
            assert_eq!(found.failures, [""; 0]);
            if !found.observations.is_empty() {
                let seen = AlertCommand::Observe(found.observations);
                self.bench.submit(Command::Alert(seen));
            }
            self.bench.work();
        }
    }

    /// How often each kind of event happened.
    fn happened(&self, kind: &str) -> usize {
        self.bench.kinds().iter().filter(|one| *one == kind).count()
    }

    /// The titles of incidents, for a failure's report.
    fn titles(&self) -> Vec<String> {
        futures::executor::block_on(self.bench.plane.look(|states| {
            let all = states.incidents.all();
            all.map(|incident| format!("{} {} ({})", incident.severity, incident.title, incident.scope))
                .collect()
        }))
    }
}

/// The fleet fails at random places: each outage declares one incident and pages once, which is sent anew only if it turns
/// out to be worse. What is no outage does neither.
fn each_pages(failures: &[Failure], expected: usize) {
    let seed = seed();
    let chance = SeededEntropy::new(seed);
    let runs = if is_full() { 10 } else { 1 };
    let (mut outages, mut paged, mut worsened, mut wrong) = (0, 0, 0, Vec::new());
    for _ in 0..runs {
        for failure in failures {
            let seed = chance.below(u64::MAX);
            let mut watch = Watch::new(seed);
            let cell = usize::try_from(chance.below(watch.fleet.cells() as u64)).expect("few");
            let bank = usize::try_from(chance.below(watch.fleet.banks(cell) as u64)).expect("few");
            watch.pass(6, 30, None);
            let before = watch.happened("incident.declared");
            let trouble = Trouble {
                failure: *failure,
                cell,
                bank,
                since: watch.now(),
            };
            watch.pass(16, 15, Some(trouble));
            let incidents = watch.happened("incident.declared");
            let superseded = watch.happened("oncall.superseded");
            let pages = watch.happened("oncall.opened") - superseded;
            println!(
                "{failure:?}: {incidents} incident(s), {pages} page(s), {superseded} made worse, {:?}",
                watch.titles()
            );
            if (before, incidents, pages) != (0, expected, expected) {
                wrong.push(format!("{failure:?} of seed {seed} in cell {cell}, bank {bank}"));
            }
            outages += expected;
            paged += pages;
            worsened += superseded;
        }
    }
    println!(
        "seed {seed}: {outages} outages, {paged} pages, {worsened} of them sent anew because it was worse"
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_outage_of_a_cell_is_one_page() {
    each_pages(&Failure::OF_A_CELL, 1);
}

#[test]
fn every_outage_of_several_cells_is_one_page() {
    each_pages(&Failure::OF_SEVERAL, 1);
}

#[test]
fn what_is_no_outage_pages_nobody() {
    each_pages(&Failure::NO_OUTAGE, 0);
}

/// Ordinary days of the whole fleet.
#[test]
fn an_ordinary_quarter_wakes_nobody_more_than_once() {
    let seed = seed();
    // A quarter takes a quarter of an hour in a release build.
    let hours = if is_full() { 90 * 24 } else { 3 };
    let mut watch = Watch::new(seed);
    for hour in 0..hours {
        watch.pass(60, 60, None);
        if hour % 6 == 5 {
            watch.telemetry.checkpoint().expect("the disk works");
        }
    }
    let pages = watch.happened("oncall.opened");
    println!(
        "seed {seed}: {hours} ordinary hours of the fleet, {pages} page(s): {:?}",
        watch.titles()
    );
    assert!(pages <= 1, "{:?}", watch.titles());
}
