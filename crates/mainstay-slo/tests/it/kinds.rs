//! The kinds of OpenSLO objectives beside occurrences of counters: what becomes of their documents.

use jiff::Timestamp;
use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, SloId};
use mainstay_slo::{
    Budgeting, Counts, Events, RawSample, Settings, SloCatalog, SloEngine, Status, StatusValue, Unit, spec,
};

use crate::fixture::{T0, at, labels};

pub(crate) const MINUTE_MS: i64 = 60_000;

pub(crate) fn load(text: &str) -> (SloCatalog, Diagnostics) {
    let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", text)]);
    let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
    (catalog, diagnostics)
}

pub(crate) fn loaded(text: &str) -> SloCatalog {
    let (catalog, diagnostics) = load(text);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    catalog
}

/// A document of one SLO; `indicator` and `objectives` are its lines, indented by two.
pub(crate) fn slo(method: &str, indicator: &str, window: &str, objectives: &str) -> String {
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: shop, annotations: {{mainstay/group-by: cell}}}}\nspec:\n  \
         service: web-shop\n{indicator}  timeWindow: [{window}]\n  budgetingMethod: {method}\n  objectives:\n{objectives}"
    )
}

pub(crate) const TWO_WEEKS: &str = "{duration: 2w, isRolling: true}";

fn inline(spec: &str) -> String {
    format!("  indicator: {{metadata: {{name: one}}, spec: {spec}}}\n")
}

pub(crate) fn ratio(query: &str) -> String {
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
pub(crate) struct Shop {
    pub(crate) engine: SloEngine,
    series: Vec<(Labels, f64)>,
    pub(crate) now_ms: i64,
    position: u64,
}

impl Shop {
    pub(crate) fn new(catalog: SloCatalog, interval_ms: i64, names: &[(&str, &str)]) -> Self {
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
    pub(crate) fn grow(&mut self, ms: i64, more: &[f64]) {
        let values: Vec<f64> = self
            .series
            .iter()
            .zip(more)
            .map(|(one, more)| one.1 + more)
            .collect();
        self.read(ms, &values);
    }

    pub(crate) fn now(&self) -> Timestamp {
        at(self.now_ms)
    }

    pub(crate) fn status(&self, slo: &str) -> Status {
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
    let threshold = "    - {target: 0.9, op: lt, value: 5}\n";
    let (catalog, diagnostics) = load(&slo("Occurrences", &expression, TWO_WEEKS, threshold));
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    let sampled: Vec<_> = catalog.recordings().collect();
    assert!(
        matches!(sampled.as_slice(), [(metric, "sum(queue_depth)")] if metric.starts_with("mainstay:sampled:")),
        "{sampled:?}"
    );
    let broken = inline(&format!("{{thresholdMetric: {}}}", source("sum(queue_depth")));
    let (catalog, diagnostics) = load(&slo("Occurrences", &broken, TWO_WEEKS, threshold));
    let said = diagnostics.render_short();
    assert!(
        catalog.objectives().is_empty() && said.contains("parse error"),
        "{said}"
    );
    let templated = inline(&format!(
        "{{thresholdMetric: {}}}",
        source("sum(rate(shed_total[{{.window}}]))")
    ));
    let (catalog, diagnostics) = load(&slo("Occurrences", &templated, TWO_WEEKS, threshold));
    let sampled: Vec<_> = catalog.recordings().map(|(_, expression)| expression).collect();
    assert_eq!(sampled, ["sum(rate(shed_total[5m]))"]);
    let said = diagnostics.render_short();
    assert!(!diagnostics.has_errors() && said.contains("read as 5m"), "{said}");
    let (catalog, diagnostics) = load(&composite().replace("      value: 500\n", ""));
    assert_eq!(catalog.objectives().len(), 1, "the other member");
    assert!(
        diagnostics
            .render_short()
            .contains("only 1 of its 2 objectives are")
    );
    assert!(failures.is_empty(), "{failures}");
}
