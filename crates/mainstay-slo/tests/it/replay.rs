//! Replay is the engine itself: what it tells is what a live engine told, and in order of time as many events are counted
//! as in order of arrival.

use std::sync::Arc;

use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, Ratio, Severity};
use mainstay_slo::replay::whatif::with_targets;
use mainstay_slo::replay::{Batch, Course, Outcome, Replay, Sample, Source, TICK_MS, run_in_shards};
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::{
    Counters, Events, Marked, RawSample, Settings, SliDefinition, SloCatalog, SloEngine, SloError,
};

use crate::fixture::{T0, at, catalog, indicator, labels, objective, slo};
use crate::streams::{Stream, seeds, stream};

/// The samples of a stream in order of time, some at a time.
struct InTime<'a> {
    stream: &'a Stream,
    /// Series, time, value, created time.
    samples: Vec<(usize, i64, f64, Option<i64>)>,
    next: usize,
    at_once: usize,
}

impl<'a> InTime<'a> {
    fn new(stream: &'a Stream, at_once: usize) -> Self {
        let all = stream.batches.iter().flatten();
        let mut samples: Vec<_> = all
            .map(|one| (one.series, one.t_ms, one.value, one.created_ms))
            .collect();
        samples.sort_by_key(|one| one.1);
        Self {
            stream,
            samples,
            next: 0,
            at_once,
        }
    }

    fn last_ms(&self) -> i64 {
        self.samples.last().map_or(T0, |one| one.1)
    }
}

impl Source for InTime<'_> {
    type Error = SloError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, SloError> {
        let end = self.samples.len().min(self.next + self.at_once);
        for (series, t_ms, value, created_ms) in &self.samples[self.next..end] {
            let series = batch.series(&Arc::new(self.stream.series[*series].clone()));
            batch.push(Sample {
                series,
                t_ms: *t_ms,
                value: *value,
                created_ms: *created_ms,
            });
        }
        let more = end > self.next;
        self.next = end;
        Ok(more)
    }
}

fn the_catalog() -> SloCatalog {
    catalog(indicator(&["cell", "tenant"]), objective(&["cell"]))
}

fn course(to_ms: i64) -> Course {
    Course {
        counted_from: at(T0),
        judged_from: at(T0),
        to: at(to_ms),
        tick_ms: TICK_MS,
    }
}

#[test]
fn a_replay_says_what_an_engine_that_is_fed_by_hand_says() {
    for seed in seeds(25) {
        let stream = stream(seed);
        let mut source = InTime::new(&stream, 37);
        let to_ms = source.last_ms() + 600_000;
        let mut engine = SloEngine::new(the_catalog(), stream.settings, at(T0));
        let (mut told, mut budgets, mut samples) = (Vec::new(), Vec::new(), source.samples.iter().peekable());
        for now_ms in (T0..=to_ms).step_by(10_000) {
            while let Some((series, t_ms, value, created_ms)) = samples.next_if(|one| one.1 <= now_ms) {
                engine.count(&RawSample {
                    labels: &stream.series[*series],
                    t_ms: *t_ms,
                    value: *value,
                    created_ms: *created_ms,
                });
            }
            let evaluation = engine.evaluate(at(now_ms));
            told.extend(evaluation.alerts);
            budgets.extend(evaluation.budgets);
        }
        let replay = Replay::new(the_catalog(), stream.settings, course(to_ms));
        let (replayed, outcome) = replay.run(&mut source, |_| ()).expect("no failure");
        assert!(
            replayed.to_bytes() == engine.to_bytes(),
            "seed {seed}: the states differ"
        );
        let begun = told.iter().filter(|one| one.firing).count();
        assert_eq!(
            outcome.pages.len() + outcome.blind.len(),
            begun,
            "seed {seed}: alerts"
        );
        let ended = told.len() - begun;
        let over = |to: Option<_>| usize::from(to.is_some());
        let pages: usize = outcome.pages.iter().map(|page| over(page.to)).sum();
        let blind: usize = outcome.blind.iter().map(|one| over(one.to)).sum();
        assert_eq!(pages + blind, ended, "seed {seed}: alerts that end");
        let changes: Vec<_> = outcome.budgets.iter().map(|one| one.change.clone()).collect();
        assert_eq!(changes, budgets, "seed {seed}");
    }
}

#[test]
fn the_order_of_arrival_changes_no_count() {
    let mut compared = 0;
    for seed in seeds(5) {
        let mut stream = stream(seed);
        // So long that nothing is too late.
        stream.settings.lateness.window_ms *= 3;
        let mut live = SloEngine::new(the_catalog(), stream.settings, at(T0));
        for position in 0..stream.batches.len() {
            crate::recount::feed(&mut live, &stream, position);
        }
        // Of two values for one instant the first one holds, and in order of time none is the first.
        if live.ingested().too_late > 0 || live.ingested().conflict > 0 {
            continue;
        }
        let mut source = InTime::new(&stream, 1_000);
        let to_ms = source.last_ms();
        let replay = Replay::new(the_catalog(), stream.settings, course(to_ms));
        let (replayed, _) = replay.run(&mut source, |_| ()).expect("no failure");
        let groups: Vec<Labels> = live.groups("api").cloned().collect();
        for group in &groups {
            for back_ms in [60_000, 3_600_000, to_ms - T0] {
                let window = |engine: &SloEngine| {
                    let window = engine.window("api", group, to_ms - back_ms, to_ms)?;
                    Some((window.counted, window.counts))
                };
                assert_eq!(
                    window(&replayed),
                    window(&live),
                    "seed {seed}, {group}, {back_ms}"
                );
            }
        }
        compared += 1;
    }
    assert!(compared > 5, "only {compared} streams were compared");
}

/// Traffic of one cell for one indicator: 100 requests per second, of which `bad` of a thousand fail between two instants.
struct Traffic {
    names: Vec<String>,
    next_ms: i64,
    to_ms: i64,
    trouble_ms: (i64, i64),
    dark_ms: (i64, i64),
    sums: (u64, u64),
}

impl Traffic {
    fn new(names: &[String], to_ms: i64) -> Self {
        Self {
            names: names.to_vec(),
            next_ms: T0,
            to_ms,
            trouble_ms: (T0 + 6 * 3_600_000, T0 + 6 * 3_600_000 + 35 * 60_000),
            dark_ms: (T0 + 10 * 3_600_000, T0 + 10 * 3_600_000 + 10 * 60_000),
            sums: (0, 0),
        }
    }
}

impl Source for Traffic {
    type Error = SloError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, SloError> {
        let t_ms = self.next_ms;
        if t_ms > self.to_ms {
            return Ok(false);
        }
        self.next_ms += 15_000;
        let is_bad = t_ms > self.trouble_ms.0 && t_ms <= self.trouble_ms.1;
        self.sums.0 += if is_bad { 1_275 } else { 1_500 };
        self.sums.1 += if is_bad { 225 } else { 0 };
        if t_ms > self.dark_ms.0 && t_ms <= self.dark_ms.1 {
            return Ok(true);
        }
        for name in &self.names {
            for (code, value) in [("200", self.sums.0), ("500", self.sums.1)] {
                let series = labels(&[("__name__", name), ("cell", "cell-5"), ("code", code)]);
                let series = batch.series(&Arc::new(series));
                batch.push(Sample {
                    series,
                    t_ms,
                    value: value as f64,
                    created_ms: Some(T0),
                });
            }
        }
        Ok(true)
    }
}

/// `count` indicators, each of its own metric and with an objective.
fn many(count: usize) -> (SloCatalog, Vec<String>) {
    let names: Vec<String> = (0..count)
        .map(|index| format!("requests_{index}_total"))
        .collect();
    let mut indicators = Vec::new();
    let mut objectives = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
        let one = SliDefinition {
            name: format!("api-{index}"),
            events: Events::Counters(Counters {
                marked: Marked::Bad,
                marked_by: selectors(&format!("{name}{{code=\"500\"}}")),
                total: selectors(name),
            }),
            ..indicator(&["cell"])
        };
        let mut promise = objective(&["cell"]);
        promise.id = format!("slo-{index}").parse().expect("a name");
        promise.sli.clone_from(&one.name);
        indicators.push(one);
        objectives.push(promise);
    }
    (SloCatalog::new(indicators, objectives).expect("sound"), names)
}

fn replayed(catalog: &SloCatalog, names: &[String], parts: usize) -> Outcome {
    let to_ms = T0 + 12 * 3_600_000;
    run_in_shards(
        catalog,
        Settings::default(),
        course(to_ms),
        parts,
        |_| Ok::<_, SloError>(Traffic::new(names, to_ms)),
        |_, _| (),
    )
    .expect("no failure")
}

#[test]
fn an_incident_pages_freezes_and_ends() {
    let (catalog, names) = many(1);
    let outcome = replayed(&catalog, &names, 1);
    // 15 % against 14.4 × 0.05 % of six hours without a failure: crossed when 0.72 % of the last hour is bad, 2 min 53 s after
    // the beginning; samples come every 15 s and judgements every 10 s.
    let begun_ms = T0 + 6 * 3_600_000;
    let first = outcome
        .pages
        .iter()
        .find(|page| page.pair.severity == Severity::P0)
        .expect("a page");
    let after_ms = first.from.as_millisecond() - begun_ms;
    assert!((172_800..=172_800 + 25_000).contains(&after_ms), "{after_ms}");
    assert_eq!(first.group, labels(&[("cell", "cell-5")]));
    let ended_ms = first.to.expect("it is over").as_millisecond();
    assert!(ended_ms > begun_ms + 35 * 60_000 && ended_ms < begun_ms + 45 * 60_000);
    // 31,500 bad of what was counted until then: more than its twentieth of a percent.
    assert_eq!(outcome.freezes.len(), 1);
    assert_eq!(
        outcome.freezes[0].to, None,
        "twelve hours of traffic do not make up for it"
    );
    assert!(
        outcome
            .budgets
            .iter()
            .any(|one| one.change.to == BudgetState::Exhausted && one.at == outcome.freezes[0].from)
    );
    // Two minutes without samples alert, the first sample after ten minutes ends it.
    let dark_ms = T0 + 10 * 3_600_000;
    let blind = &outcome.blind[0];
    assert_eq!(blind.from.as_millisecond(), dark_ms + 120_000);
    assert_eq!(blind.to.map(|to| to.as_millisecond()), Some(dark_ms + 620_000));
    let end = &outcome.standings[0];
    assert_eq!(end.budget.counts.bad, 140 * 225);
    assert_eq!(end.budget.counts.total, (12 * 240 + 1) * 1_500);
    assert_eq!(
        end.unknown_ms,
        30 * 86_400_000 - 12 * 3_600_000 + 615_000,
        "before the first sample, and the dark"
    );
}

#[test]
fn parts_side_by_side_say_what_one_engine_says() {
    let (catalog, names) = many(5);
    let whole = replayed(&catalog, &names, 1);
    assert_eq!(whole.standings.len(), 5);
    for parts in [2, 3, 5, 9] {
        assert_eq!(replayed(&catalog, &names, parts), whole, "{parts} parts");
    }
}

#[test]
fn another_target_is_judged_as_if_the_catalog_had_it() {
    let (catalog, names) = many(2);
    let ratio = |text: &str| text.parse::<Ratio>().expect("a ratio");
    let targets = [ratio("99%"), ratio("99.95%"), ratio("99.99%"), ratio("90%")];
    let (judged, variants) =
        with_targets(&catalog, Some(&"slo-1".parse().expect("a name")), &targets).expect("targets");
    let ids: Vec<&str> = variants.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["slo-1", "slo-1#90", "slo-1#99", "slo-1#99.99"]);
    assert_eq!(judged.indicators().len(), 1);
    // 14.4 × 10 % is more than everything.
    assert_eq!(variants[1].unreachable.len(), 1);
    let together = replayed(&judged, &names, 1);
    for variant in &variants {
        let mut own = catalog.objectives()[1].clone();
        own.target = variant.target;
        own.burn.pairs.retain(|pair| !variant.unreachable.contains(pair));
        let alone = SloCatalog::new(vec![catalog.indicators()[1].clone()], vec![own]).expect("sound");
        let alone = replayed(&alone, &names, 1);
        let instants = |outcome: &Outcome, id: &str| -> Vec<_> {
            let pages = outcome.pages.iter().filter(|page| page.slo.as_str() == id);
            pages.map(|page| (page.from, page.to, page.pair)).collect()
        };
        assert_eq!(
            instants(&together, variant.id.as_str()),
            instants(&alone, "slo-1"),
            "{}",
            variant.id
        );
        let budget = |outcome: &Outcome, id: &str| {
            let standing = outcome.standings.iter().find(|one| one.slo.as_str() == id);
            standing.map(|standing| (standing.budget, standing.state))
        };
        assert_eq!(
            budget(&together, variant.id.as_str()),
            budget(&alone, "slo-1"),
            "{}",
            variant.id
        );
    }
    let unknown = with_targets(&catalog, Some(&slo()), &targets);
    assert!(matches!(unknown, Err(SloError::UnknownSlo(_))));
    assert!(matches!(
        with_targets(&catalog, None, &[Ratio::ONE]),
        Err(SloError::BadTarget { .. })
    ));
}

#[test]
fn what_lies_before_the_first_judgement_is_counted_and_says_nothing() {
    let (catalog, names) = many(1);
    let to_ms = T0 + 12 * 3_600_000;
    let late = Course {
        judged_from: at(T0 + 8 * 3_600_000 + 1),
        ..course(to_ms)
    };
    let replay = Replay::new(catalog.clone(), Settings::default(), late);
    let mut source = Traffic::new(&names, to_ms);
    let (_, outcome) = replay.run(&mut source, |_| ()).expect("no failure");
    let whole = replayed(&catalog, &names, 1);
    assert_eq!(outcome.standings[0].budget, whole.standings[0].budget);
    assert_eq!(
        outcome.freezes[0].from,
        at(T0 + 8 * 3_600_000 + 10_000),
        "frozen when judging began"
    );
}

/// What is kept of the counts says in hindsight what a replay says, to the width of its slices.
#[test]
fn the_kept_counts_say_what_a_replay_says() {
    let (catalog, names) = many(1);
    let to_ms = T0 + 12 * 3_600_000;
    let ratio = |text: &str| text.parse::<Ratio>().expect("a ratio");
    let targets = [ratio("99.95%"), ratio("99.9%"), ratio("99%"), ratio("90%")];
    let (judged, variants) = with_targets(&catalog, None, &targets).expect("targets");
    let outcome = replayed(&judged, &names, 1);
    let replay = Replay::new(catalog, Settings::default(), course(to_ms));
    let (engine, _) = replay
        .run(&mut Traffic::new(&names, to_ms), |_| ())
        .expect("no failure");
    let (id, group) = ("slo-0".parse().expect("a name"), labels(&[("cell", "cell-5")]));
    let what_if = engine
        .what_if(&id, &group, &targets, T0 - 10_000, to_ms)
        .expect("targets")
        .expect("it is there");
    let mut compared = 0;
    for (target, found) in targets.iter().zip(&what_if.targets) {
        let variant = variants
            .iter()
            .find(|variant| variant.target == *target)
            .expect("judged");
        let standing = outcome
            .standings
            .iter()
            .find(|one| one.slo == variant.id)
            .expect("judged");
        assert_eq!(found.budget, standing.budget);
        let replayed: Vec<_> = outcome
            .pages
            .iter()
            .filter(|page| page.slo == variant.id)
            .collect();
        let pages: Vec<_> = found
            .pages
            .iter()
            .filter(|page| !variant.unreachable.contains(&page.pair))
            .collect();
        assert_eq!(pages.len(), replayed.len(), "{target}");
        for page in &replayed {
            let same = pages
                .iter()
                .find(|one| one.pair == page.pair)
                .expect("the same pair");
            let off_ms = (same.from_ms - page.from.as_millisecond()).abs();
            assert!(off_ms <= same.within_ms, "{target}: {off_ms} ms");
            assert_eq!(same.to_ms.is_some(), page.to.is_some());
            compared += 1;
        }
    }
    assert!(compared > 8, "{compared}");
    assert!(engine.what_if(&id, &group, &[Ratio::ONE], T0, to_ms).is_err());
    assert_eq!(engine.what_if(&slo(), &group, &targets, T0, to_ms), Ok(None));
}

#[test]
fn what_belongs_together_is_replayed_together() {
    use mainstay_slo::sli::Member;
    use mainstay_slo::{Budgeting, Events, SloCatalog, replay};
    let named = |name: &str| {
        let mut one = crate::fixture::indicator(&[]);
        one.name = name.to_owned();
        one
    };
    let mut whole = named("whole");
    let member = |sli: &str| Member {
        sli: sli.to_owned(),
        budgeting: Budgeting::Occurrences,
        weight: 1,
    };
    whole.events = Events::Composite(vec![member("b"), member("d")]);
    let indicators = vec![
        named("a"),
        named("b"),
        named("c"),
        named("d"),
        whole,
        named("probes"),
    ];
    let about = |sli: &str, probes: Option<&str>| {
        let mut one = crate::fixture::objective(&[]);
        one.id = sli.parse().expect("a name");
        one.sli = sli.to_owned();
        one.probes = probes.map(str::to_owned);
        one
    };
    let objectives = vec![about("a", Some("probes")), about("c", None), about("whole", None)];
    let catalog = SloCatalog::new(indicators, objectives).expect("sound");
    for parts in 1..8 {
        let divided = replay::split(&catalog, parts).expect("every part is sound");
        let all: usize = divided.iter().map(|part| part.indicators().len()).sum();
        assert_eq!((divided.len(), all), (parts.min(6), 6));
        assert_eq!(
            divided.iter().map(|part| part.objectives().len()).sum::<usize>(),
            3
        );
    }
    let only = "whole".parse().expect("a name");
    let (alone, _) =
        replay::whatif::with_targets(&catalog, Some(&only), &[]).expect("it can be judged alone");
    assert_eq!(alone.indicators().len(), 3, "it and what it is made of");
}
