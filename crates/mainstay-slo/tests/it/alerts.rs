//! Burn-rate and blindness alerts: when they fire, when they do not, when they are over.

use mainstay_kernel::Severity;
use mainstay_kernel::fact::BudgetState;
use mainstay_slo::{AlertCause, Evaluation, RawSample, Settings, StatusValue};

use crate::fixture::Cell;

fn fast_burn(evaluation: &Evaluation, firing: bool) -> bool {
    evaluation.alerts.iter().any(|alert| {
        alert.firing == firing
            && matches!(alert.cause, AlertCause::Burn(pair) if pair.severity == Severity::P0)
    })
}

/// Ticks until the fast pair does what is wanted; how long that took, in milliseconds.
fn until(cell: &mut Cell, firing: bool, good: u64, bad: u64, most_ticks: u32) -> i64 {
    let start_ms = cell.now_ms;
    for _ in 0..most_ticks {
        if fast_burn(&cell.tick(good, bad), firing) {
            return cell.now_ms - start_ms;
        }
    }
    panic!("nothing happened in {most_ticks} ticks");
}

/// When the hour's errors cross 14.4 times the budget, in milliseconds after they began: `base` and `bad` per
/// million events, flat traffic, a whole hour of history.
fn closed_form_ms(base: i64, bad: i64) -> i64 {
    3_600_000 * (7_200 - base) / (bad - base)
}

#[test]
fn the_specifications_outage_pages_one_tick_after_the_closed_form() {
    // 10,000 requests per tick, 0.01 % of them bad, then 15 %: 2 min 51 s.
    let crossed_ms = closed_form_ms(100, 150_000);
    assert_eq!(crossed_ms / 1_000, 170);
    let mut cell = Cell::new(Settings::default());
    for _ in 0..400 {
        assert!(cell.tick(9_999, 1).alerts.is_empty());
    }
    let fired_ms = until(&mut cell, true, 8_500, 1_500, 60);
    assert!(
        fired_ms > crossed_ms && fired_ms <= crossed_ms + 10_000,
        "fired after {fired_ms} ms"
    );
}

#[test]
fn a_total_outage_pages_within_half_a_minute() {
    let crossed_ms = closed_form_ms(100, 1_000_000);
    let mut cell = Cell::new(Settings::default());
    for _ in 0..400 {
        cell.tick(9_999, 1);
    }
    let fired_ms = until(&mut cell, true, 0, 10_000, 60);
    assert!(
        fired_ms > crossed_ms && fired_ms <= crossed_ms + 10_000,
        "fired after {fired_ms} ms"
    );
    assert_eq!(fired_ms, 30_000);
}

#[test]
fn the_alert_carries_its_counts_and_is_over_when_the_short_window_is() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..400 {
        cell.tick(1_000, 0);
    }
    let mut fired = Evaluation::default();
    for _ in 0..60 {
        fired = cell.tick(0, 1_000);
        if fast_burn(&fired, true) {
            break;
        }
    }
    let alert = &fired.alerts[0];
    let label = |name: &str| alert.alert.labels.get(name).unwrap_or_default().to_owned();
    assert_eq!(
        [
            "alertname",
            "slo",
            "cell",
            "priority",
            "severity",
            "long_window",
            "short_window",
            "team"
        ]
        .map(label),
        [
            "SloBurnRate",
            "api-availability",
            "cell-5",
            "P0",
            "critical",
            "1h",
            "5m",
            "payments"
        ]
    );
    let note = |name: &str| alert.alert.annotations.get(name).unwrap_or_default().to_owned();
    assert_eq!(
        [note("long_bad"), note("long_total")],
        ["3000".to_owned(), "360000".to_owned()]
    );
    assert_eq!(note("runbook"), "bad-deploy");
    assert_eq!(alert.alert.fingerprint, alert.alert.labels.fingerprint());
    assert_eq!(
        cell.engine
            .firing()
            .iter()
            .filter(|other| other.alert == alert.alert)
            .count(),
        1
    );

    // Three bad ticks stay in the 5 minutes for 30 ticks after the first good one.
    let over_ms = until(&mut cell, false, 1_000, 0, 60);
    assert_eq!(over_ms, 300_000);
    assert!(
        cell.engine
            .firing()
            .iter()
            .all(|alert| alert.severity != Severity::P0)
    );
}

#[test]
fn a_single_failure_never_pages() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..30 {
        assert!(cell.tick(1, 0).alerts.is_empty());
    }
    for _ in 0..4 {
        assert!(cell.tick(0, 1).alerts.is_empty(), "fewer than five bad events");
    }
    assert!(fast_burn(&cell.tick(0, 1), true));
}

#[test]
fn blindness_holds_what_burns_and_pages_by_itself() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..100 {
        cell.tick(1_000, 0);
    }
    until(&mut cell, true, 0, 1_000, 60);
    assert_eq!(cell.status().value, StatusValue::Breached);
    let state = cell.status().state;
    let mut blind_after = None;
    for tick in 1..=120 {
        let evaluation = cell.blind_tick();
        assert!(evaluation.budgets.is_empty());
        for alert in evaluation.alerts {
            assert_eq!(
                alert.cause,
                AlertCause::Blind,
                "no burn alert begins or ends in the dark"
            );
            assert!(alert.firing && alert.severity.pages());
            assert_eq!(blind_after.replace(tick), None, "once");
        }
    }
    assert_eq!(blind_after, Some(12), "two minutes after the last sample");
    let status = cell.status();
    assert_eq!((status.value, status.state), (StatusValue::Unknown, state));
    assert_eq!(status.blind_since_ms, Some(cell.now_ms - 1_200_000));

    // Good again, and seen: the blindness is over at once, the gap stays on record.
    let evaluation = cell.tick(120_000, 0);
    assert!(
        evaluation
            .alerts
            .iter()
            .any(|alert| alert.cause == AlertCause::Blind && !alert.firing)
    );
    assert_eq!(cell.status().value, StatusValue::Breached);
    let before_counting_ms = 30 * 86_400_000 - (cell.now_ms - crate::fixture::T0);
    assert_eq!(cell.status().unknown_ms, before_counting_ms + 10_000 + 1_210_000);
}

#[test]
fn silence_without_requests_is_no_recovery() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..100 {
        cell.tick(1_000, 0);
    }
    until(&mut cell, true, 0, 1_000, 60);
    for _ in 0..60 {
        assert!(
            !fast_burn(&cell.tick(0, 0), false),
            "nobody was served in these ten minutes"
        );
    }
    until(&mut cell, false, 100, 0, 60);
}

#[test]
fn budget_states_are_said_once() {
    let mut cell = Cell::new(Settings::default());
    assert!(
        cell.tick(1_000_000, 0).budgets.is_empty(),
        "healthy from the start is no news"
    );
    let mut said = Vec::new();
    for _ in 0..60 {
        said.extend(
            cell.tick(0, 10)
                .budgets
                .into_iter()
                .map(|change| (change.from, change.to, change.bad)),
        );
    }
    use BudgetState::{Critical, Exhausted, Healthy, Warning};
    // 500 of a million: more than 250 is a warning, more than 400 critical, 500 is all.
    assert_eq!(
        said,
        [
            (Healthy, Warning, 260),
            (Warning, Critical, 410),
            (Critical, Exhausted, 510)
        ]
    );
    assert_eq!(cell.status().budget.remaining(), 500 - 600);
    assert_eq!(cell.status().value, StatusValue::Breached);
}

#[test]
fn a_catalog_without_an_objective_ends_its_alerts() {
    let mut cell = Cell::new(Settings::default());
    cell.tick(1_000, 0);
    until(&mut cell, true, 0, 1_000, 60);
    let firing = cell.engine.firing();
    let ended = cell.engine.reconfigure(
        mainstay_slo::SloCatalog::default(),
        crate::fixture::at(cell.now_ms),
    );
    assert!(!firing.is_empty());
    assert_eq!(ended.alerts.len(), firing.len());
    assert!(ended.alerts.iter().all(|alert| !alert.firing));
}

#[test]
fn alerts_that_the_journal_knows_are_not_raised_again() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..100 {
        cell.tick(1_000, 0);
    }
    let mut forgetful = cell.engine.clone();
    until(&mut cell, true, 0, 1_000, 60);
    let known: Vec<_> = cell
        .engine
        .firing()
        .into_iter()
        .map(|alert| alert.alert)
        .collect();
    assert!(forgetful.adopt_firing(&known).is_empty());
    let taken: Vec<_> = forgetful
        .firing()
        .into_iter()
        .map(|alert| (alert.alert.fingerprint, alert.alert.starts_at))
        .collect();
    let before: Vec<_> = known
        .iter()
        .map(|alert| (alert.fingerprint, alert.starts_at))
        .collect();
    assert_eq!(taken, before);
}

#[test]
fn an_objective_that_nothing_was_ever_seen_of_is_blind() {
    let mut engine = crate::fixture::engine(&["cell"], &["cell"], Settings::default());
    let start_ms = crate::fixture::T0;
    let at = |ms: i64| crate::fixture::at(start_ms + ms);
    assert!(engine.evaluate(at(110_000)).alerts.is_empty());
    let [alert] = &engine.evaluate(at(120_000)).alerts[..] else {
        panic!("one alert")
    };
    assert!(alert.firing && alert.cause == AlertCause::Blind);
    assert_eq!(alert.alert.labels.get("slo"), Some("api-availability"));
    assert!(engine.evaluate(at(130_000)).alerts.is_empty(), "said once");
    assert_eq!(engine.firing()[0].alert, alert.alert);

    let series = crate::fixture::labels(&[
        ("__name__", "requests_total"),
        ("cell", "cell-1"),
        ("code", "200"),
    ]);
    let sample = RawSample {
        labels: &series,
        t_ms: start_ms + 135_000,
        value: 1.0,
        created_ms: None,
    };
    engine.on_samples(1, [sample]);
    let [over] = &engine.evaluate(at(140_000)).alerts[..] else {
        panic!("one alert")
    };
    assert!(!over.firing && over.alert.fingerprint == alert.alert.fingerprint);
}

#[test]
fn a_dark_part_makes_the_whole_unknown_until_it_is_retired() {
    let mut engine = crate::fixture::engine(&["cell"], &[], Settings::default());
    let series = ["cell-1", "cell-2"].map(|cell| {
        crate::fixture::labels(&[("__name__", "requests_total"), ("cell", cell), ("code", "200")])
    });
    let (start_ms, whole) = (crate::fixture::T0, mainstay_kernel::Labels::new());
    let mut values = Vec::new();
    for step in 1..=600_i64 {
        let t_ms = start_ms + step * 10_000;
        // cell-2 goes dark after 100 steps.
        let seen = if step <= 100 { 2 } else { 1 };
        let samples = series[..seen].iter().map(|labels| RawSample {
            labels,
            t_ms,
            value: step as f64,
            created_ms: Some(start_ms),
        });
        engine.on_samples(step.unsigned_abs(), samples);
        let now = crate::fixture::at(t_ms);
        values.push(
            engine
                .status(&crate::fixture::slo(), &whole, now)
                .expect("there")
                .value,
        );
    }
    // Unknown once the gap is longer than three scrapes of 15 s, and until it is an hour old.
    let unknown: Vec<usize> = (1..=600)
        .filter(|step| values[step - 1] == StatusValue::Unknown)
        .collect();
    assert_eq!(
        (unknown.first(), unknown.last(), unknown.len()),
        (Some(&105), Some(&460), 356)
    );
    let now = crate::fixture::at(start_ms + 6_000_000);
    let status = engine.status(&crate::fixture::slo(), &whole, now).expect("there");
    assert_eq!(
        status.unknown_ms,
        30 * 86_400_000 - 6_000_000 + 10_000 + 3_600_000
    );
}

#[test]
fn grouping_by_one_label_more_keeps_what_was_counted() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..50 {
        cell.tick(1_000, 0);
    }
    until(&mut cell, true, 0, 1_000, 60);
    let before = cell.status();
    let firing = cell.engine.firing();
    let catalog = crate::fixture::catalog(
        crate::fixture::indicator(&["tenant", "cell"]),
        crate::fixture::objective(&["cell"]),
    );
    let ended = cell.engine.reconfigure(catalog, crate::fixture::at(cell.now_ms));
    assert!(ended.alerts.is_empty(), "nothing ends");
    assert_eq!(cell.status(), before);
    assert_eq!(cell.engine.firing(), firing);
    cell.tick(7, 0);
    assert_eq!(cell.status().budget.counts.total, before.budget.counts.total + 7);
}

#[test]
fn a_burn_down_ends_at_the_status() {
    let mut cell = Cell::new(Settings::default());
    for _ in 0..50 {
        cell.tick(990, 10);
    }
    let (now, group) = (
        crate::fixture::at(cell.now_ms),
        crate::fixture::labels(&[("cell", "cell-5")]),
    );
    let points = cell.engine.burn_down(&crate::fixture::slo(), &group, now, 30);
    assert_eq!(points.len(), 30);
    assert_eq!(points[29], (cell.now_ms, cell.status().budget.counts));
    assert!(points.is_sorted_by_key(|(_, counts)| counts.total) && points[0].1.total == 0);
}

#[test]
fn a_cell_that_was_taken_down_is_no_blindness() {
    let mut cell = Cell::new(Settings::default());
    cell.tick(1_000, 0);
    let group = crate::fixture::labels(&[("cell", "cell-5")]);
    let blind = |evaluation: &Evaluation| {
        evaluation
            .alerts
            .iter()
            .map(|alert| alert.firing)
            .collect::<Vec<_>>()
    };
    let dark: Vec<bool> = (0..15).flat_map(|_| blind(&cell.blind_tick())).collect();
    assert_eq!(dark, [true]);
    assert!(
        cell.engine.retire("api", &group)
            && !cell.engine.retire("api", &group.clone().with("cell", "cell-6"))
    );
    let after: Vec<bool> = (0..100).flat_map(|_| blind(&cell.blind_tick())).collect();
    assert_eq!(after, [false], "its alert ends, and none begins");
    assert_eq!(cell.status().value, StatusValue::Unknown);
    cell.tick(1_000, 0);
    assert_eq!(cell.status().value, StatusValue::Ok, "it is back");
}
