//! Payments counted by the time at which they began.

use mainstay_kernel::Labels;
use mainstay_slo::completion::{Completion, CompletionBatch, CompletionEvent};
use mainstay_slo::floor::TrafficFloor;
use mainstay_slo::{
    AlertCause, Counts, Events, Settings, SliDefinition, SloCatalog, SloEngine, Status, StatusValue,
};

use crate::fixture::{T0, at, indicator, labels, objective, slo};
use crate::openslo::load;

fn catalog() -> SloCatalog {
    let text = "stream: payments\ndeadline: 5s\nrejected: AC04, AM04";
    let payments = SliDefinition {
        events: Events::Completion(Completion::parse(text).expect("sound")),
        ..indicator(&["tenant", "cell"])
    };
    SloCatalog::new(vec![payments], vec![objective(&["tenant"])]).expect("sound")
}

fn engine() -> SloEngine {
    SloEngine::new(catalog(), Settings::default(), at(T0))
}

fn batch(events: Vec<CompletionEvent>) -> CompletionBatch {
    CompletionBatch {
        stream: "payments".to_owned(),
        sender: "/cell-5/outbox".to_owned(),
        events,
    }
}

fn begun(payment: u64, tenant: &str, at_ms: i64) -> CompletionEvent {
    CompletionEvent::Initiated {
        payment: payment.to_string(),
        at_ms,
        deadline_ms: None,
        kind: None,
        labels: labels(&[("tenant", tenant), ("cell", "cell-5")]),
    }
}

fn ended(payment: u64, at_ms: i64, state: &str, reason: Option<&str>) -> CompletionEvent {
    CompletionEvent::Finished {
        payment: payment.to_string(),
        at_ms,
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
    }
}

fn heartbeat(at_ms: i64) -> CompletionEvent {
    CompletionEvent::Heartbeat {
        at_ms,
        labels: labels(&[("cell", "cell-5")]),
    }
}

fn status(engine: &SloEngine, tenant: &str, now_ms: i64) -> Status {
    let group = labels(&[("tenant", tenant)]);
    engine.status(&slo(), &group, at(now_ms)).expect("there")
}

#[test]
fn cohorts_are_judged_at_their_deadline_and_shown_with_what_is_apart() {
    let mut engine = engine();
    let events = vec![
        begun(1, "bank-1", T0 + 1_000),
        begun(2, "bank-1", T0 + 1_000),
        begun(3, "bank-1", T0 + 12_000),
        begun(4, "bank-2", T0 + 1_000),
        ended(1, T0 + 3_000, "COMPLETED", None),
        ended(2, T0 + 3_000, "REJECTED", Some("AM04")),
        ended(4, T0 + 3_000, "FAILED", Some("AB03")),
    ];
    assert!(engine.on_completions(1, &batch(events)));
    assert!(
        !engine.on_completions(1, &batch(vec![begun(9, "bank-1", T0)])),
        "counted before"
    );
    let now_ms = T0 + 13_000;
    let one = status(&engine, "bank-1", now_ms);
    assert_eq!(one.budget.counts, Counts { bad: 0, total: 1 });
    let apart = one.completion.expect("it counts payments");
    assert_eq!((apart.pending, apart.rejected, apart.late), (1, 1, 0));
    assert_eq!(
        status(&engine, "bank-2", now_ms).budget.counts,
        Counts { bad: 1, total: 1 }
    );

    engine.on_completions(2, &batch(vec![heartbeat(T0 + 17_000)]));
    let one = status(&engine, "bank-1", T0 + 17_000);
    assert_eq!(one.budget.counts, Counts { bad: 1, total: 2 });
    let apart = one.completion.expect("it counts payments");
    assert_eq!((apart.pending, apart.rejected, apart.late), (0, 1, 1));
    // In the slice in which it began, not in the one in which it was found late.
    let window = |from_ms, to_ms| {
        let group = labels(&[("tenant", "bank-1")]);
        engine
            .window("api", &group, from_ms, to_ms)
            .expect("there")
            .counts
    };
    assert_eq!(window(T0, T0 + 10_000), Counts { bad: 0, total: 1 });
    assert_eq!(window(T0 + 10_000, T0 + 20_000), Counts { bad: 1, total: 1 });
    let whole = engine
        .window("api", &Labels::new(), T0, T0 + 20_000)
        .expect("there");
    assert_eq!(whole.counts, Counts { bad: 2, total: 3 });
    assert!(whole.doubt.is_none());
}

#[test]
fn a_silent_stream_is_blindness_and_no_outage_of_payments() {
    let mut engine = engine();
    engine.on_completions(
        1,
        &batch(
            (0..100)
                .map(|payment| begun(payment, "bank-1", T0 + 1_000))
                .collect(),
        ),
    );
    let mut alerts = Vec::new();
    for tick in 1..=60 {
        let found = engine.evaluate(at(T0 + tick * 10_000)).alerts;
        alerts.extend(found.into_iter().map(|alert| (alert.cause, alert.firing, tick)));
    }
    // Heard of at 1 s: more than two minutes later with the tick of 130 s.
    assert_eq!(alerts, [(AlertCause::Blind, true, 13)]);
    let now_ms = T0 + 600_000;
    let dark = status(&engine, "bank-1", now_ms);
    assert_eq!(dark.value, StatusValue::Unknown);
    assert_eq!(dark.budget.counts, Counts::default());
    assert_eq!(dark.completion.map(|apart| apart.pending), Some(100));
    // An idle tenant whose sender is alive is seen.
    engine.on_completions(2, &batch(vec![heartbeat(now_ms)]));
    let over = engine.evaluate(at(now_ms + 1_000)).alerts;
    assert!(
        over.iter()
            .any(|alert| alert.cause == AlertCause::Blind && !alert.firing)
    );
    assert!(
        over.iter()
            .any(|alert| matches!(alert.cause, AlertCause::Burn(_)) && alert.firing),
        "what was told now is judged: a hundred payments never ended"
    );
}

/// Batches of a stream with everything in it that is told twice, late or never.
fn stream() -> Vec<CompletionBatch> {
    let mut batches = Vec::new();
    for step in 0..200_u64 {
        let now_ms = T0 + i64::try_from(step).expect("small") * 1_000;
        let mut events = vec![begun(
            step,
            if step % 3 == 0 { "bank-1" } else { "bank-2" },
            now_ms,
        )];
        if step >= 4 && step % 7 > 0 {
            let payment = step - if step % 5 == 0 { 4 } else { 2 };
            let (state, reason) = match step % 11 {
                0 => ("FAILED", Some("TM01")),
                1 => ("REJECTED", Some("AC04")),
                _ => ("COMPLETED", None),
            };
            events.push(ended(payment, now_ms - 300, state, reason));
        }
        if step % 10 == 0 {
            events.push(heartbeat(now_ms));
        }
        batches.push(batch(events));
    }
    batches
}

#[test]
fn a_crash_before_or_after_any_write_neither_loses_nor_doubles_a_payment() {
    let log = stream();
    let mut whole = engine();
    for (position, batch) in (1..).zip(&log) {
        whole.on_completions(position, batch);
    }
    let expected = whole.to_bytes();
    for crash in 0..log.len() {
        // A checkpoint somewhere before; the log is read again from its beginning, or from anywhere before the checkpoint.
        let checkpoint = crash / 2;
        let mut before = engine();
        for (position, batch) in (1..).zip(&log).take(checkpoint) {
            before.on_completions(position, batch);
        }
        let bytes = before.to_bytes();
        let read = SloEngine::from_bytes(&bytes, catalog(), Settings::default(), at(T0));
        let mut after = read.expect("its own bytes");
        for (position, batch) in (1..).zip(&log) {
            let is_new = after.on_completions(position, batch);
            assert_eq!(is_new, position > checkpoint as u64);
        }
        assert_eq!(after.to_bytes(), expected, "crash at {crash}");
    }
}

#[test]
fn a_sender_that_repeats_itself_after_a_lost_answer_changes_nothing() {
    let (mut once, mut twice) = (engine(), engine());
    let mut position = 0;
    for batch in stream() {
        position += 1;
        once.on_completions(position, &batch);
        twice.on_completions(2 * position, &batch);
        twice.on_completions(2 * position + 1, &batch);
    }
    let counts = |engine: &SloEngine| {
        ["bank-1", "bank-2"].map(|tenant| {
            let status = status(engine, tenant, T0 + 200_000);
            let apart = status.completion.expect("it counts payments");
            (status.budget.counts, apart.pending, apart.rejected, apart.late)
        })
    };
    assert_eq!(counts(&once), counts(&twice));
    let [(one, ..), (two, ..)] = counts(&once);
    assert!(one.bad > 0 && two.bad > 0 && one.total + two.total > 150);
}

#[test]
fn other_groups_keep_what_they_count() {
    let mut engine = engine();
    for (position, batch) in (1..).zip(stream()) {
        engine.on_completions(position, &batch);
    }
    let before = engine.window("api", &Labels::new(), T0, T0 + 200_000);
    let coarser = SliDefinition {
        group_by: vec!["cell".to_owned()],
        ..engine.indicators().next().expect("one").clone()
    };
    let catalog = SloCatalog::new(vec![coarser], vec![objective(&["cell"])]).expect("sound");
    engine.reconfigure(catalog, at(T0 + 200_000));
    assert_eq!(engine.window("api", &Labels::new(), T0, T0 + 200_000), before);
    // What was pending is judged in the groups of now.
    engine.on_completions(1_000, &batch(vec![heartbeat(T0 + 300_000)]));
    let group = labels(&[("cell", "cell-5")]);
    let status = engine.status(&slo(), &group, at(T0 + 300_000)).expect("there");
    assert_eq!(status.completion.map(|apart| apart.pending), Some(0));
}

const PAYMENTS: &str = r#"apiVersion: openslo/v1
kind: SLI
metadata:
  name: payments
  annotations:
    mainstay/completion: |
      stream: payments
      deadline: 5s
spec:
  ratioMetric:
    counter: true
    good: {metricSource: {spec: {query: ended_total}}}
    total: {metricSource: {spec: {query: begun_total}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: probes}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {spec: {query: sum by (cell) (probes_failed_total)}}}
    total: {metricSource: {spec: {query: sum by (cell) (probes_total)}}}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: payments
  annotations:
    mainstay/group-by: tenant, cell
    mainstay/traffic-floor: 120 per minute
    mainstay/probes: probes
spec:
  service: payment-service
  indicatorRef: payments
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.995}]
"#;

#[test]
fn completions_floors_and_probes_are_read_from_annotations() {
    let (catalog, diagnostics) = load(PAYMENTS);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    let [payments, probes] = catalog.indicators() else {
        panic!("two indicators: {catalog:?}")
    };
    let Events::Completion(completion) = &payments.events else {
        panic!("a completion: {payments:?}")
    };
    assert_eq!(
        (completion.stream.as_str(), completion.deadline_ms),
        ("payments", 5_000)
    );
    assert_eq!(
        (probes.name.as_str(), &probes.group_by[..]),
        ("probes", &["cell".to_owned()][..])
    );
    let [objective] = catalog.objectives() else {
        panic!("one objective")
    };
    assert_eq!(objective.traffic_floor, Some(TrafficFloor::PerMinute(120)));
    assert_eq!(objective.probes.as_deref(), Some("probes"));

    for (right, wrong, named) in [
        ("deadline: 5s", "deadlien: 5s", "deadlien"),
        ("deadline: 5s", "deadline: soon", "soon"),
        ("120 per minute", "a lot", "a lot"),
        ("mainstay/probes: probes", "mainstay/probes: prods", "prods"),
    ] {
        let (_, diagnostics) = load(&PAYMENTS.replace(right, wrong));
        let text = diagnostics.render_short();
        assert!(
            text.contains("slo.yaml:") && text.contains(named),
            "{wrong}: {text}"
        );
        assert!(diagnostics.has_errors(), "{wrong}: {text}");
    }
}
