//! Budgeting methods beside occurrences: what OpenSLO's own explanations say they amount to, and when they page.

use mainstay_kernel::fact::BudgetState;
use mainstay_slo::{Counts, Status, StatusValue, Unit};

use crate::kinds::{MINUTE_MS, Shop, TWO_WEEKS, load, loaded, ratio, slo};

const MILLION: u64 = 1_000_000;

/// OpenSLO's explanation of its budgeting methods: 24,000 requests a day, 99 % of which succeed; an attack leaves 1 %. Two
/// weeks, 95 %.
fn attacked(method: &str, slice: &str, attack_minutes: i64) -> Status {
    let objective = format!("    - {{target: 0.95{slice}}}\n");
    let catalog = loaded(&slo(method, &ratio("requests_total"), TWO_WEEKS, &objective));
    let mut shop = Shop::new(
        catalog,
        MINUTE_MS,
        &[("requests_total", "200"), ("requests_total", "500")],
    );
    for minute in 1..=20_160 {
        let (good, bad) = if minute <= attack_minutes {
            (1.0, 99.0)
        } else {
            (99.0, 1.0)
        };
        shop.grow(MINUTE_MS, &[good, bad]);
    }
    shop.status("shop")
}

#[test]
fn an_attack_spends_time_slices_in_16_hours_and_48_minutes() {
    let slice = ", timeSliceTarget: 0.95, timeSliceWindow: 1m";
    let status = attacked("Timeslices", slice, 16 * 60 + 48);
    assert_eq!(status.budget.unit, Unit::Slices { width_ms: MINUTE_MS });
    assert_eq!(
        status.budget.counts,
        Counts {
            bad: 1_008,
            total: 20_160
        }
    );
    assert_eq!((status.budget.allowed(), status.budget.remaining()), (1_008, 0));
    assert_eq!(status.state, BudgetState::Exhausted);
    assert_eq!(status.value, StatusValue::Ok, "nothing is left, but it is kept");
    assert_eq!(
        attacked("Timeslices", slice, 16 * 60 + 49).value,
        StatusValue::Breached
    );
}

#[test]
fn an_attack_spends_ratio_slices_in_13_hours_and_43_minutes() {
    let slice = ", timeSliceWindow: 1m";
    let status = attacked("RatioTimeslices", slice, 13 * 60 + 42);
    // (20,160 − n) × 1 % + n × 99 % = 5 % of 20,160: n = 822.86 minutes.
    assert_eq!(status.budget.counts.total, 20_160 * MILLION);
    assert_eq!(
        status.budget.counts.bad,
        (822 * 990_000) + (20_160 - 822) * 10_000
    );
    assert_eq!(status.value, StatusValue::Ok);
    assert_eq!(
        attacked("RatioTimeslices", slice, 13 * 60 + 43).value,
        StatusValue::Breached
    );
}

#[test]
fn a_calendar_week_of_minutes_has_its_budget_from_the_start() {
    // OpenSLO's treatment of low traffic: 10,080 minutes at 99.95 % are 5 minutes and 2.4 seconds.
    let window = "{duration: 1w, calendar: {startTime: '2025-01-15 00:00:00', timeZone: UTC}}";
    let catalog = loaded(&slo(
        "Timeslices",
        &ratio("requests_total"),
        window,
        "    - {target: 0.9995, timeSliceTarget: 0.95, timeSliceWindow: 1m}\n",
    ));
    let mut shop = Shop::new(
        catalog,
        15_000,
        &[("requests_total", "200"), ("requests_total", "500")],
    );
    // A minute in which nobody comes is good, one in which the only one is turned away is bad.
    for step in 0..8 {
        shop.grow(15_000, &[0.0, if step == 5 { 1.0 } else { 0.0 }]);
    }
    let budget = shop.status("shop").budget;
    assert_eq!(budget.counts, Counts { bad: 1, total: 2 });
    assert_eq!(
        (budget.to_come, budget.allowed(), budget.remaining()),
        (10_078, 5, 4)
    );
    assert_eq!(
        budget.minutes().map(|minutes| minutes.to_string()),
        Some("5.04".to_owned())
    );
    assert_eq!(
        budget.spent_minutes().map(|minutes| minutes.to_string()),
        Some("1".to_owned())
    );
    assert_eq!(shop.status("shop").value, StatusValue::Ok, "four more may be bad");
    // Ten minutes in which nobody looks are neither.
    shop.grow(10 * MINUTE_MS, &[0.0, 0.0]);
    let budget = shop.status("shop").budget;
    assert_eq!(
        budget.counts,
        Counts { bad: 1, total: 3 },
        "only the minute of the sample"
    );
    assert_eq!(budget.counts.total + budget.to_come, 10_080 - 9);
}

#[test]
fn a_slice_that_is_not_over_counts_for_nothing() {
    let catalog = loaded(&slo(
        "Timeslices",
        &ratio("requests_total"),
        TWO_WEEKS,
        "    - {target: 0.9, timeSliceTarget: 0.5, timeSliceWindow: 5m}\n",
    ));
    let mut shop = Shop::new(
        catalog,
        10_000,
        &[("requests_total", "200"), ("requests_total", "500")],
    );
    for step in 1..=60 {
        shop.grow(10_000, &[0.0, 1.0]);
        let budget = shop.status("shop").budget;
        assert_eq!(budget.counts.total, step / 30, "after {step} steps");
    }
    assert_eq!(
        shop.status("shop")
            .budget
            .spent_minutes()
            .map(|spent| spent.to_string()),
        Some("10".to_owned())
    );
}

#[test]
fn a_bad_minute_of_one_failure_does_not_page_and_an_outage_does_at_its_first_minute() {
    let mut text = slo(
        "Timeslices",
        &ratio("requests_total"),
        "{duration: 30d, isRolling: true}",
        "    - {target: 0.9995, timeSliceTarget: 0.95, timeSliceWindow: 1m}\n",
    );
    text.push_str(
        "  alertPolicies:\n    - kind: AlertPolicy\n      metadata: {name: fast}\n      spec:\n        alertWhenBreaching: true\n        \
         conditions:\n          - kind: AlertCondition\n            metadata: {name: fast, annotations: {mainstay/short-window: 5m}}\n            \
         spec: {severity: critical, condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 0m}}\n        \
         notificationTargets: []\n",
    );
    let mut shop = Shop::new(
        loaded(&text),
        10_000,
        &[("requests_total", "200"), ("requests_total", "500")],
    );
    let fired = |shop: &mut Shop, good: f64, bad: f64| {
        shop.grow(10_000, &[good, bad]);
        let evaluation = shop.engine.evaluate(shop.now());
        evaluation.alerts.into_iter().next()
    };
    for step in 0..720 {
        let bad = if step == 360 { 1.0 } else { 0.0 };
        assert_eq!(fired(&mut shop, 0.0, bad), None, "one failure among none");
    }
    let broken_at = shop.now_ms;
    let alert = loop {
        if let Some(alert) = fired(&mut shop, 0.0, 1.0) {
            break alert;
        }
        assert!(shop.now_ms < broken_at + 10 * MINUTE_MS, "it must fire");
    };
    assert_eq!(
        shop.now_ms - broken_at,
        MINUTE_MS,
        "with the end of the first bad minute"
    );
    let description = alert.alert.annotations.get("description").expect("words");
    assert!(
        description.contains("1 of 60 minutes were bad in the last 1h and 1 of 5 minutes"),
        "{description}"
    );
}

#[test]
fn an_alert_needs_windows_that_hold_a_slice() {
    let mut text = slo(
        "RatioTimeslices",
        &ratio("requests_total"),
        TWO_WEEKS,
        "    - {target: 0.99, timeSliceWindow: 1h}\n",
    );
    text.push_str(
        "  alertPolicies:\n    - kind: AlertPolicy\n      metadata: {name: fast}\n      spec:\n        conditions:\n          - kind: AlertCondition\n            \
         metadata: {name: fast}\n            spec: {severity: critical, condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}}\n",
    );
    let (catalog, diagnostics) = load(&text);
    assert!(catalog.objectives().is_empty());
    let found = diagnostics.render_short();
    assert!(
        found.contains("alerts on a window of 5m, which is shorter than its time slices of 1h"),
        "{found}"
    );
}
