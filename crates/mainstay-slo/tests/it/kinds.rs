//! The kinds of OpenSLO objectives beside occurrences of counters: what becomes of their documents, and what OpenSLO's own
//! explanations say they amount to.

use jiff::Timestamp;
use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, SloId};
use mainstay_slo::{
    Budgeting, Counts, Events, RawSample, Settings, SloCatalog, SloEngine, Status, StatusValue, Unit, spec,
};

use crate::fixture::{T0, at, labels};

const MINUTE_MS: i64 = 60_000;
const MILLION: u64 = 1_000_000;

fn load(text: &str) -> (SloCatalog, Diagnostics) {
    let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", text)]);
    let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
    (catalog, diagnostics)
}

fn loaded(text: &str) -> SloCatalog {
    let (catalog, diagnostics) = load(text);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    catalog
}

/// A document of one SLO; `indicator` and `objectives` are its lines, indented by two.
fn slo(method: &str, indicator: &str, window: &str, objectives: &str) -> String {
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: shop, annotations: {{mainstay/group-by: cell}}}}\nspec:\n  \
         service: web-shop\n{indicator}  timeWindow: [{window}]\n  budgetingMethod: {method}\n  objectives:\n{objectives}"
    )
}

const TWO_WEEKS: &str = "{duration: 2w, isRolling: true}";

fn inline(spec: &str) -> String {
    format!("  indicator: {{metadata: {{name: one}}, spec: {spec}}}\n")
}

fn ratio(query: &str) -> String {
    inline(&format!(
        "{{ratioMetric: {{counter: true, good: {}, total: {}}}}}",
        source(&format!("{query}{{code=\"200\"}}")),
        source(query)
    ))
}

fn source(query: &str) -> String {
    format!("{{metricSource: {{type: Prometheus, spec: {{query: '{query}'}}}}}}")
}

/// One series per name, and a reading of all of them at each step.
struct Shop {
    engine: SloEngine,
    series: Vec<(Labels, f64)>,
    now_ms: i64,
    position: u64,
}

impl Shop {
    fn new(catalog: SloCatalog, interval_ms: i64, names: &[(&str, &str)]) -> Self {
        let settings = Settings {
            scrape_interval_ms: interval_ms,
            ..Settings::default()
        };
        let series = names.iter().map(|(name, code)| {
            let one = labels(&[("__name__", name), ("code", code), ("cell", "cell-1")]);
            (one, 0.0)
        });
        Self {
            engine: SloEngine::new(catalog, settings, at(T0)),
            series: series.collect(),
            now_ms: T0,
            position: 0,
        }
    }

    /// The values are read, `ms` after the last time.
    fn read(&mut self, ms: i64, values: &[f64]) {
        self.now_ms += ms;
        self.position += 1;
        for (series, value) in self.series.iter_mut().zip(values) {
            series.1 = *value;
        }
        let samples = self.series.iter().map(|(labels, value)| RawSample {
            labels,
            t_ms: self.now_ms,
            value: *value,
            created_ms: Some(T0),
        });
        assert!(self.engine.on_samples(self.position, samples), "a new position");
    }

    /// A step of `ms` in which counters grow.
    fn grow(&mut self, ms: i64, more: &[f64]) {
        let values: Vec<f64> = self
            .series
            .iter()
            .zip(more)
            .map(|(one, more)| one.1 + more)
            .collect();
        self.read(ms, &values);
    }

    fn now(&self) -> Timestamp {
        at(self.now_ms)
    }

    fn status(&self, slo: &str) -> Status {
        let group = labels(&[("cell", "cell-1")]);
        let slo = SloId::new(slo).expect("a name");
        self.engine
            .status(&slo, &group, self.now())
            .expect("the objective")
    }
}

#[test]
fn every_kind_is_read() {
    let catalog = loaded(&slo(
        "Timeslices",
        &inline(&format!(
            "{{thresholdMetric: {}}}",
            source("queue_depth{queue=\"in\"}")
        )),
        TWO_WEEKS,
        "    - {displayName: Good, op: lt, value: 500, target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}\n    \
         - {displayName: Fair, op: lte, value: 2e3, target: 0.999, timeSliceTarget: 1, timeSliceWindow: 1h}\n",
    ));
    let texts: Vec<String> = catalog
        .objectives()
        .iter()
        .map(|one| format!("{} of {} by {:?}", one.id, one.sli, one.budgeting))
        .collect();
    assert_eq!(
        texts,
        [
            "shop/good of shop/one < 500 by Timeslices { width_ms: 300000, target: 19/20 }",
            "shop/fair of shop/one <= 2000 by Timeslices { width_ms: 3600000, target: 1/1 }",
        ]
    );
    assert!(catalog.indicators().iter().all(|sli| sli.group_by == ["cell"]));

    let raw = format!(
        "{{ratioMetric: {{rawType: failure, raw: {}}}}}",
        source("job:errors:ratio")
    );
    let catalog = loaded(&slo(
        "Occurrences",
        &inline(&raw),
        TWO_WEEKS,
        "    - {target: 0.9}\n",
    ));
    assert!(catalog.indicators()[0].events.are_sampled());

    let catalog = loaded(&slo(
        "RatioTimeslices",
        &ratio("requests_total"),
        TWO_WEEKS,
        "    - {target: 0.9, timeSliceWindow: 1m}\n",
    ));
    let ratio_slices = Budgeting::RatioTimeslices { width_ms: MINUTE_MS };
    assert_eq!(catalog.objectives()[0].budgeting, ratio_slices);
}

const COMPOSITE: &str = "    - displayName: Answers
      indicator: {metadata: {name: api}, spec: {ratioMetric: {counter: true, good: GOOD, total: TOTAL}}}
      target: 0.99
      compositeWeight: 0.5
    - displayName: Queue
      indicator: {metadata: {name: queue}, spec: {thresholdMetric: DEPTH}}
      op: lt
      value: 500
      target: 0.9
";

fn composite() -> String {
    let objectives = COMPOSITE
        .replace("GOOD", &source("requests_total{code=\"200\"}"))
        .replace("TOTAL", &source("requests_total"))
        .replace("DEPTH", &source("queue_depth"));
    slo("Occurrences", "", TWO_WEEKS, &objectives)
}

#[test]
fn a_composite_is_its_members_and_the_whole() {
    let catalog = loaded(&composite());
    let [answers, queue, whole] = catalog.objectives() else {
        panic!("two members and the whole: {catalog:?}")
    };
    assert_eq!(
        [answers, queue, whole].map(|one| one.id.as_str()),
        ["shop/answers", "shop/queue", "shop"]
    );
    // Weights 0.5 and 1 are 1 and 2: (0.99 + 2 × 0.9) / 3 = 0.93.
    assert_eq!(whole.target, "0.93".parse().expect("a target"));
    let definition = catalog.indicators().iter().find(|sli| sli.name == whole.sli);
    let Some(Events::Composite(members)) = definition.map(|sli| &sli.events) else {
        panic!("a composite")
    };
    assert_eq!(
        members.iter().map(|member| member.weight).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn a_composite_spends_by_weight_and_is_unknown_while_a_member_is() {
    let mut shop = Shop::new(
        loaded(&composite()),
        15_000,
        &[
            ("requests_total", "200"),
            ("requests_total", "500"),
            ("queue_depth", ""),
        ],
    );
    // 1 of 10 requests fails; 1 of 4 samples of the queue is too high.
    for step in 0..400 {
        shop.read(
            15_000,
            &[
                f64::from(step) * 9.0,
                f64::from(step),
                if step % 4 == 3 { 500.0 } else { 499.0 },
            ],
        );
        shop.engine.evaluate(shop.now());
    }
    let whole = shop.status("shop");
    assert_eq!(whole.budget.unit, Unit::Billionths);
    // (1 × 1/10 + 2 × 1/4) / 3 = 0.2, exactly.
    assert_eq!(
        whole.budget.counts,
        Counts {
            bad: 200_000_000,
            total: 1_000_000_000
        }
    );
    assert_eq!(whole.value, StatusValue::Breached, "0.07 may be bad");
    assert_eq!(whole.state, BudgetState::Exhausted);
    assert_eq!(
        shop.status("shop/queue").budget.counts,
        Counts { bad: 100, total: 400 }
    );
    // The queue is not read any more.
    shop.series.truncate(2);
    for _ in 0..4 {
        shop.grow(15_000, &[9.0, 1.0]);
        shop.engine.evaluate(shop.now());
    }
    let whole = shop.status("shop");
    assert_eq!(whole.value, StatusValue::Unknown);
    assert_eq!(whole.state, BudgetState::Exhausted, "blindness holds it");
    assert_ne!(shop.status("shop/answers").value, StatusValue::Unknown);
    assert!(
        shop.engine
            .status(&SloId::new("shop").expect("a name"), &Labels::new(), shop.now())
            .is_some()
    );
}

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

/// What is written, where it is found and with which words.
const DEFECTS: &[(&str, &str, &str)] = &[
    (
        "Timeslices / {target: 0.9, timeSliceWindow: 1m}",
        "error",
        "needs the key \"timeSliceTarget\"",
    ),
    (
        "Timeslices / {target: 0.9, timeSliceTarget: 0.9}",
        "error",
        "needs the key \"timeSliceWindow\"",
    ),
    (
        "RatioTimeslices / {target: 0.9}",
        "error",
        "needs the key \"timeSliceWindow\"",
    ),
    (
        "RatioTimeslices / {target: 0.9, timeSliceWindow: 1m, timeSliceTarget: 0.9}",
        "warning",
        "says nothing about RatioTimeslices",
    ),
    (
        "Occurrences / {target: 0.9, timeSliceWindow: 1m}",
        "warning",
        "says nothing about Occurrences",
    ),
    (
        "RatioTimeslices / {target: 0.9, timeSliceWindow: 2d}",
        "error",
        "whole minutes up to a day",
    ),
    (
        "Timeslices / {target: 0.9, timeSliceWindow: 1m, timeSliceTarget: 0}",
        "error",
        "no target of a time slice",
    ),
    (
        "Timeslices / {target: 0.9, timeSliceWindow: 1m, timeSliceTarget: 1.1}",
        "error",
        "no target of a time slice",
    ),
    (
        "Occurrences / {target: 0.9, compositeWeight: 2}",
        "warning",
        "says nothing where the SLO has one",
    ),
    (
        "Occurrences / {target: 0.9, compositeWeight: 0}",
        "error",
        "is no weight",
    ),
];

#[test]
fn keys_that_do_not_fit_are_found() {
    let mut failures = String::new();
    for (written, level, words) in DEFECTS {
        let (method, objective) = written.split_once(" / ").expect("a method and an objective");
        let text = slo(
            method,
            &ratio("requests_total"),
            TWO_WEEKS,
            &format!("    - {objective}\n"),
        );
        let (_, diagnostics) = load(&text);
        let found = diagnostics.render_short();
        let is_found = found.lines().any(|line| {
            line.contains(&format!(": {level}")) && line.contains(words) && line.starts_with("slo.yaml:10:")
        });
        if !is_found {
            failures.push_str(&format!("{written} should be a {level} ({words}):\n{found}\n"));
        }
    }
    for (written, level, words) in [
        ("{target: 0.9}", "warning", "does not say which"),
        ("{target: 0.9, op: lt, value: .nan}", "error", ""),
        ("{target: 0.9, op: less, value: 5}", "error", "none of the words"),
    ] {
        let threshold = inline(&format!("{{thresholdMetric: {}}}", source("queue_depth")));
        let (catalog, diagnostics) = load(&slo(
            "Occurrences",
            &threshold,
            TWO_WEEKS,
            &format!("    - {written}\n"),
        ));
        let found = diagnostics.render_short();
        if !(catalog.objectives().is_empty() && found.contains(level) && found.contains(words)) {
            failures.push_str(&format!("{written} should be a {level} ({words}):\n{found}\n"));
        }
    }
    let expression = inline(&format!("{{thresholdMetric: {}}}", source("sum(queue_depth)")));
    let (_, diagnostics) = load(&slo(
        "Occurrences",
        &expression,
        TWO_WEEKS,
        "    - {target: 0.9, op: lt, value: 5}\n",
    ));
    assert!(
        diagnostics
            .render_short()
            .contains("write the selector of one metric")
    );
    let (catalog, diagnostics) = load(&composite().replace("      value: 500\n", ""));
    assert_eq!(catalog.objectives().len(), 1, "the other member");
    assert!(
        diagnostics
            .render_short()
            .contains("only 1 of its 2 objectives are")
    );
    assert!(failures.is_empty(), "{failures}");
}
