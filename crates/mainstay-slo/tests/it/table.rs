//! The published comparison: what the best-known tools get wrong, counted. `mainstay-plane` gives the same streams to a real
//! Prometheus.

pub(crate) mod cases;

use mainstay_kernel::Labels;
use mainstay_slo::{RawSample, Settings, SloEngine, Status, StatusValue};

use crate::fixture::{at, engine, slo};
use cases::{BEGIN_MS, Case, END_MS};

const STEP_MS: i64 = 30_000;

fn settings() -> Settings {
    Settings {
        scrape_interval_ms: STEP_MS,
        ..Settings::default()
    }
}

/// Counts a case to its end; `told` says whether counters tell when they began.
fn counted(case: &Case, told: bool) -> Status {
    let mut engine: SloEngine = engine(&[], &[], settings());
    for (position, (t_ms, course, value)) in cases::in_order([case]).into_iter().enumerate() {
        let sample = RawSample {
            labels: &course.labels,
            t_ms,
            value: value as f64,
            created_ms: told.then_some(course.created_ms),
        };
        engine.on_samples(position as u64 + 1, [sample]);
    }
    assert_eq!(
        BEGIN_MS,
        crate::fixture::T0,
        "the engine counts from the beginning on"
    );
    engine
        .status(&slo(), &Labels::new(), at(END_MS))
        .expect("the objective is there")
}

fn spent(status: &Status, decimals: u32) -> String {
    status.budget.spent_share().expect("fits").percent(decimals)
}

/// The counts are the truth to the last event, and the budget spent is what was published.
fn is_true(case: &Case, share: &str, decimals: u32) -> Status {
    let status = counted(case, true);
    let counts = status.budget.counts;
    assert_eq!((counts.bad, counts.total), case.truth, "{}", case.name);
    assert_eq!(spent(&status, decimals), share, "{}", case.name);
    assert!(status.doubt.is_none(), "{}: {:?}", case.name, status.doubt);
    status
}

#[test]
fn the_outage_spends_what_it_cost_by_the_hour_of_the_day() {
    // Averages of averages say 44.3 % for both.
    is_true(&cases::outage("peak", STEP_MS, 15), "64.2%", 1);
    is_true(&cases::outage("trough", STEP_MS, 3), "24.4%", 1);
}

#[test]
fn first_errors_ever_spend_what_they_are() {
    // Averages of averages say 163 %, and freeze the releases.
    let status = is_true(&cases::first_errors(STEP_MS), "0.46%", 2);
    assert_eq!(status.value, StatusValue::Ok);
}

#[test]
fn a_stretch_without_traffic_is_no_hole() {
    // NaN until day 33 elsewhere.
    let status = is_true(&cases::no_traffic(STEP_MS), "0.00%", 2);
    assert_eq!(status.value, StatusValue::Ok);
    assert_eq!(status.unknown_ms, 0, "all of it was seen");
}

#[test]
fn errors_of_pods_that_come_and_go_are_all_counted() {
    // `increase` loses the first of every pod.
    let case = cases::deploys(4 * STEP_MS);
    let status = is_true(&case, "0.20%", 2);
    assert_eq!(status.budget.counts.bad, 1_397);
}

#[test]
fn without_start_times_what_may_be_missing_has_a_bound() {
    let case = cases::deploys(4 * STEP_MS);
    let status = counted(&case, false);
    let (bad, doubt) = (status.budget.counts.bad, status.doubt);
    assert!(bad < 1_397);
    assert!(
        bad + doubt.missed_marked >= 1_397,
        "counted {bad}, at most {} more",
        doubt.missed_marked
    );
    let firsts: u64 = case
        .courses
        .iter()
        .filter(|course| course.labels.get("code") == Some("500"))
        .filter_map(|course| course.points.first())
        .map(|(_, first)| first)
        .sum();
    assert_eq!(
        doubt.missed_marked, firsts,
        "and no wider than what was first seen"
    );
}
