//! Traffic that falls away, probes from outside, and what is said of events that never arrived.

use mainstay_kernel::{Labels, Severity};
use mainstay_slo::engine::{Outside, Reach};
use mainstay_slo::floor::TrafficFloor;
use mainstay_slo::{
    AlertCause, Counters, Counts, Evaluation, Events, RawSample, Settings, SloCatalog, SloEngine, Status,
};

use crate::fixture::{T0, at, indicator, labels, objective, slo};

const WEEK_MS: i64 = 7 * 86_400_000;

/// One cell's requests and the probes that try to reach it, read together.
struct Watched {
    engine: SloEngine,
    now_ms: i64,
    requests: (Labels, u64),
    probes: [(Labels, u64); 2],
    position: u64,
}

impl Watched {
    fn new(floor: Option<TrafficFloor>, scrape_interval_ms: i64) -> Self {
        let probes = mainstay_slo::SliDefinition {
            name: "probes".to_owned(),
            events: Events::Counters(Counters {
                marked: mainstay_slo::Marked::Bad,
                marked_by: selectors("probes_failed_total"),
                total: selectors("probes_total"),
            }),
            ..indicator(&["cell"])
        };
        let mut promise = objective(&["cell"]);
        promise.traffic_floor = floor;
        promise.probes = Some("probes".to_owned());
        let catalog = SloCatalog::new(vec![indicator(&["cell"]), probes], vec![promise]).expect("sound");
        let settings = Settings {
            scrape_interval_ms,
            ..Settings::default()
        };
        let series = |name: &str| labels(&[("__name__", name), ("cell", "cell-5"), ("code", "200")]);
        Self {
            engine: SloEngine::new(catalog, settings, at(T0)),
            now_ms: T0,
            requests: (series("requests_total"), 0),
            probes: [(series("probes_total"), 0), (series("probes_failed_total"), 0)],
            position: 0,
        }
    }

    fn advance(&mut self, step_ms: i64, requests: Option<u64>, probes: u64, failed: u64) -> Evaluation {
        self.now_ms += step_ms;
        self.position += 1;
        self.probes[0].1 += probes;
        self.probes[1].1 += failed;
        self.requests.1 += requests.unwrap_or(0);
        let all = requests.map(|_| &self.requests).into_iter().chain(&self.probes);
        let samples = all.map(|(labels, value)| RawSample {
            labels,
            t_ms: self.now_ms,
            value: *value as f64,
            created_ms: Some(T0),
        });
        self.engine.on_samples(self.position, samples);
        self.engine.evaluate(at(self.now_ms))
    }

    /// Weeks of the same traffic a minute, without an alert.
    fn weeks(&mut self, weeks: i64, a_minute: u64) {
        for _ in 0..weeks * WEEK_MS / 60_000 {
            let evaluation = self.advance(60_000, Some(a_minute), 4, 0);
            assert_eq!(evaluation.alerts, [], "at {}", self.now_ms);
        }
    }

    fn status(&self) -> Status {
        let group = labels(&[("cell", "cell-5")]);
        self.engine
            .status(&slo(), &group, at(self.now_ms))
            .expect("there")
    }

    fn counted(&self) -> Counts {
        self.status().budget.counts
    }
}

fn selectors(query: &str) -> Vec<mainstay_slo::selector::Selector> {
    mainstay_slo::selector::parse_event_count(query)
        .expect("a count")
        .selectors
}

fn causes(evaluation: &Evaluation) -> Vec<(AlertCause, bool)> {
    let alerts = evaluation.alerts.iter();
    alerts.map(|alert| (alert.cause, alert.firing)).collect()
}

#[test]
fn a_drop_to_a_tenth_pages_within_two_minutes_and_a_tick() {
    let mut cell = Watched::new(Some(TrafficFloor::Auto), 60_000);
    // Two known weeks are enough to know what is usual, an hour before them included.
    cell.weeks(3, 120);
    for _ in 0..60 {
        assert_eq!(cell.advance(10_000, Some(20), 1, 0).alerts, []);
    }
    let dropped_ms = cell.now_ms;
    let low = loop {
        let evaluation = cell.advance(10_000, Some(2), 1, 0);
        if !evaluation.alerts.is_empty() {
            break evaluation;
        }
        assert!(
            cell.now_ms < dropped_ms + 130_000,
            "two minutes and a tick are over"
        );
    };
    assert_eq!(causes(&low), [(AlertCause::TrafficLow, true)]);
    let alert = &low.alerts[0];
    assert_eq!(alert.alert.labels.get("alertname"), Some("SloTrafficLow"));
    assert_eq!(alert.severity, Severity::P1);
    let traffic = cell.status().traffic.expect("it has a floor");
    assert!(traffic.is_low());
    let text = alert.alert.annotations.get("description").expect("words");
    assert!(text.contains(&format!("{} events", traffic.seen)), "{text}");
    assert_eq!(cell.engine.firing()[0].alert, alert.alert);

    // A restart neither forgets it nor raises it again.
    let catalog = SloCatalog::new(
        cell.engine.indicators().cloned().collect(),
        cell.engine.objectives().cloned().collect(),
    );
    let bytes = cell.engine.to_bytes();
    let settings = Settings {
        scrape_interval_ms: 60_000,
        ..Settings::default()
    };
    let read = SloEngine::from_bytes(&bytes, catalog.expect("sound"), settings, at(cell.now_ms));
    cell.engine = read.expect("its own bytes");
    assert_eq!(cell.advance(10_000, Some(2), 1, 0).alerts, []);

    let over = (0..30)
        .map(|_| cell.advance(10_000, Some(20), 1, 0))
        .find(|evaluation| !evaluation.alerts.is_empty())
        .expect("it is over");
    assert_eq!(causes(&over), [(AlertCause::TrafficLow, false)]);
}

#[test]
fn a_group_that_is_idle_at_this_hour_is_left_alone() {
    let mut cell = Watched::new(Some(TrafficFloor::Auto), 60_000);
    cell.weeks(3, 0);
    assert_eq!(cell.status().traffic.map(|traffic| traffic.least), Some(0));
    // One that has a request now and then neither.
    let mut quiet = Watched::new(Some(TrafficFloor::Auto), 60_000);
    quiet.weeks(3, 2);
    for _ in 0..60 {
        assert_eq!(quiet.advance(60_000, Some(0), 4, 0).alerts, []);
    }
}

#[test]
fn a_floor_that_was_written_down_needs_no_history() {
    let mut cell = Watched::new(Some(TrafficFloor::PerMinute(60)), 15_000);
    for _ in 0..60 {
        assert_eq!(cell.advance(10_000, Some(12), 1, 0).alerts, []);
    }
    let low = (1..=13).find(|_| !cell.advance(10_000, Some(0), 1, 0).alerts.is_empty());
    assert_eq!(
        low,
        Some(3),
        "12 a tick are 72 a minute: less than 120 in two minutes"
    );
}

#[test]
fn probes_tell_an_outage_from_a_quiet_hour() {
    let mut cell = Watched::new(None, 15_000);
    for _ in 0..60 {
        cell.advance(10_000, Some(20), 1, 0);
    }
    for _ in 0..60 {
        assert_eq!(
            cell.advance(10_000, Some(0), 1, 0).alerts,
            [],
            "nobody comes, everybody could"
        );
    }
    assert_eq!(
        cell.status().outside.map(|outside| outside.reach),
        Some(Reach::Reachable)
    );
    let unreachable = (1..=12)
        .map(|_| cell.advance(10_000, Some(0), 1, 1))
        .find(|evaluation| !evaluation.alerts.is_empty())
        .expect("within two minutes");
    assert_eq!(causes(&unreachable), [(AlertCause::Unreachable, true)]);
    assert_eq!(unreachable.alerts[0].severity, Severity::P0);
    assert_eq!(
        unreachable.alerts[0].alert.labels.get("alertname"),
        Some("SloUnreachable")
    );
    assert!(matches!(
        cell.status().outside,
        Some(Outside {
            reach: Reach::Unreachable,
            probes: Counts { bad: 1.., .. }
        })
    ));
    let over = (0..20)
        .map(|_| cell.advance(10_000, Some(0), 1, 0))
        .find(|evaluation| !evaluation.alerts.is_empty())
        .expect("it is over");
    assert_eq!(causes(&over), [(AlertCause::Unreachable, false)]);
}

#[test]
fn failing_probes_say_what_blindness_hides() {
    let mut cell = Watched::new(None, 15_000);
    for _ in 0..60 {
        cell.advance(10_000, Some(20), 1, 0);
    }
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(causes(&cell.advance(10_000, None, 1, 1)));
    }
    seen.sort_by_key(|(cause, _)| *cause == AlertCause::Blind);
    assert_eq!(seen, [(AlertCause::Unreachable, true), (AlertCause::Blind, true)]);
}

#[test]
fn losses_are_estimated_apart_from_the_counts() {
    let mut cell = Watched::new(None, 60_000);
    cell.weeks(2, 120);
    let before = cell.counted();
    assert_eq!(cell.status().lost.map(|lost| lost.events), Some(0));
    // Ten minutes without a request, all probes fail; then ten of which half fail and half the requests arrive.
    for _ in 0..10 {
        cell.advance(60_000, Some(0), 4, 4);
    }
    for _ in 0..10 {
        cell.advance(60_000, Some(60), 4, 2);
    }
    let lost = cell.status().lost.expect("it has probes");
    assert_eq!(
        (lost.events, lost.failing_ms, lost.unusual_ms),
        (1_200 + 600, 20 * 60_000, 0)
    );
    let after = cell.counted();
    assert_eq!(
        (after.bad, after.total),
        (before.bad, before.total + 600),
        "no count knows of them"
    );
    for _ in 0..600 {
        cell.advance(60_000, Some(120), 4, 0);
    }
    let lost = cell.status().lost.expect("it has probes");
    assert_eq!(lost.events, 1_800, "minutes or slices, the estimate stays");
}
