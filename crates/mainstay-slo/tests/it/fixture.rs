//! A small catalog and the words to feed an engine with.

use jiff::Timestamp;
use mainstay_kernel::{Labels, SloId};
use mainstay_slo::burn::BurnPolicy;
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::window::{Duration, Window};
use mainstay_slo::{
    BudgetPolicy, Budgeting, Counters, Evaluation, Events, Gauge, Marked, Member, Objective, Op, Promise,
    RawSample, Settings, Share, SliDefinition, SloCatalog, SloEngine, Threshold,
};

/// 2025-01-15T00:00:00Z: the day of the specification's outage.
pub(crate) const T0: i64 = 1_736_899_200_000;

pub(crate) fn at(t_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(t_ms).expect("in range")
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

pub(crate) fn slo() -> SloId {
    SloId::new("api-availability").expect("a name")
}

/// 5xx of `requests_total` by cell and tenant.
pub(crate) fn indicator(group_by: &[&str]) -> SliDefinition {
    let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
    SliDefinition {
        name: "api".to_owned(),
        events: Events::Counters(Counters {
            marked: Marked::Bad,
            marked_by: selectors(r#"sum(rate(requests_total{code=~"5.."}[5m]))"#),
            total: selectors("requests_total"),
        }),
        group_by: group_by.iter().map(|label| (*label).to_owned()).collect(),
        source: "pod".to_owned(),
        witness: None,
    }
}

/// The same series as a gauge, each sample held against a threshold.
pub(crate) fn gauge(group_by: &[&str], good: Threshold) -> SliDefinition {
    SliDefinition {
        name: "queue".to_owned(),
        events: Events::Gauge(Gauge {
            sampled: None,
            gauges: parse_event_count("requests_total").expect("a selector").selectors,
            good,
        }),
        ..indicator(group_by)
    }
}

/// The same series as a finished ratio.
pub(crate) fn share(group_by: &[&str], marked: Marked) -> SliDefinition {
    SliDefinition {
        name: "ratio".to_owned(),
        events: Events::Share(Share {
            sampled: None,
            shares: parse_event_count("requests_total").expect("a selector").selectors,
            marked,
        }),
        ..indicator(group_by)
    }
}

pub(crate) fn objective(group_by: &[&str]) -> Objective {
    Objective {
        id: slo(),
        display_name: "API availability".to_owned(),
        description: "requests that the gateway answers".to_owned(),
        service: None,
        sli: "api".to_owned(),
        budgeting: Budgeting::Occurrences,
        target: "99.95%".parse().expect("a target"),
        window: Window::Rolling(Duration::parse("30d").expect("a duration")),
        group_by: group_by.iter().map(|label| (*label).to_owned()).collect(),
        promise: Promise::Objective,
        budget: BudgetPolicy::default(),
        burn: BurnPolicy::workbook(),
        labels: labels(&[("team", "payments")]),
        runbook: Some("bad-deploy".to_owned()),
        traffic_floor: None,
        probes: None,
    }
}

pub(crate) fn catalog(indicator: SliDefinition, objective: Objective) -> SloCatalog {
    SloCatalog::new(vec![indicator], vec![objective]).expect("a sound catalog")
}

/// The same series counted, sampled and taken as ratios, by events and by slices, and a composite of two of these.
pub(crate) fn all_kinds() -> SloCatalog {
    let group_by = ["cell", "tenant"];
    let slices = Budgeting::Timeslices {
        width_ms: 60_000,
        target: "97.5%".parse().expect("a share"),
    };
    let shares = Budgeting::RatioTimeslices { width_ms: 1_800_000 };
    let queue = gauge(&group_by, Threshold::new(Op::Lt, 200.0).expect("a number"));
    let ratio = share(&group_by, Marked::Good);
    let member = |sli: &SliDefinition, budgeting, weight| Member {
        sli: sli.name.clone(),
        budgeting,
        weight,
    };
    let api = indicator(&group_by);
    let journey = SliDefinition {
        name: "journey".to_owned(),
        events: Events::Composite(vec![
            member(&api, slices, 2),
            member(&queue, Budgeting::Occurrences, 1),
        ]),
        ..indicator(&["cell"])
    };
    let objectives = [
        ("api", slices),
        ("api", shares),
        ("queue", Budgeting::Occurrences),
        ("queue", slices),
        ("ratio", Budgeting::Occurrences),
        ("ratio", shares),
        ("journey", Budgeting::Occurrences),
    ];
    let objectives = objectives
        .into_iter()
        .enumerate()
        .map(|(index, (sli, budgeting))| Objective {
            id: SloId::new(format!("one-{index}")).expect("a name"),
            sli: sli.to_owned(),
            budgeting,
            target: "90%".parse().expect("a target"),
            burn: BurnPolicy::off(),
            ..objective(&["cell"])
        });
    SloCatalog::new(vec![api, queue, ratio, journey], objectives.collect()).expect("a sound catalog")
}

/// An engine with one availability objective, judged by `judged_by`, that counts from `T0` on.
pub(crate) fn engine(group_by: &[&str], judged_by: &[&str], settings: Settings) -> SloEngine {
    SloEngine::new(
        catalog(indicator(group_by), objective(judged_by)),
        settings,
        at(T0),
    )
}

/// Two counters of one cell, good and bad requests, and a clock that ticks every 10 s.
pub(crate) struct Cell {
    pub(crate) engine: SloEngine,
    pub(crate) now_ms: i64,
    good: (Labels, u64),
    bad: (Labels, u64),
    position: u64,
}

impl Cell {
    pub(crate) fn new(settings: Settings) -> Self {
        let series =
            |code: &str| labels(&[("__name__", "requests_total"), ("cell", "cell-5"), ("code", code)]);
        Self {
            engine: engine(&["cell"], &["cell"], settings),
            now_ms: T0,
            good: (series("200"), 0),
            bad: (series("503"), 0),
            position: 0,
        }
    }

    /// One tick: 10 s pass, so many requests happen, the counters are read and the objective is judged.
    pub(crate) fn tick(&mut self, good: u64, bad: u64) -> Evaluation {
        self.now_ms += 10_000;
        self.good.1 += good;
        self.bad.1 += bad;
        self.position += 1;
        let sample = |series: &'_ (Labels, u64)| series.1 as f64;
        let (good, bad) = (sample(&self.good), sample(&self.bad));
        let samples = [(&self.good.0, good), (&self.bad.0, bad)];
        let samples = samples.map(|(labels, value)| RawSample {
            labels,
            t_ms: self.now_ms,
            value,
            created_ms: Some(T0),
        });
        assert!(self.engine.on_samples(self.position, samples), "a new position");
        self.engine.evaluate(at(self.now_ms))
    }

    /// 10 s pass and nothing is read.
    pub(crate) fn blind_tick(&mut self) -> Evaluation {
        self.now_ms += 10_000;
        self.engine.evaluate(at(self.now_ms))
    }

    pub(crate) fn status(&self) -> mainstay_slo::Status {
        let group = labels(&[("cell", "cell-5")]);
        self.engine
            .status(&slo(), &group, at(self.now_ms))
            .expect("the objective is there")
    }
}
