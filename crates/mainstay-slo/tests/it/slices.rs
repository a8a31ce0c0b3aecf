//! Gauges, finished ratios and time slices against a recount: it knows every sample that is to be accepted, and judges each
//! slice by itself.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::{
    Budgeting, Counts, Marked, Objective, Op, SliDefinition, SloCatalog, SloEngine, Threshold,
};

use crate::fixture::{T0, at, gauge, indicator, objective, share, slo};
use crate::recount::{feed, in_group, recount};
use crate::streams::{Stream, seeds, stream};

const MILLION: u64 = 1_000_000;

/// What a sample of a series adds at its time: bad and all.
type Added = (usize, i64, u64, u64);

/// What is read as events in a stream.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counters,
    Gauge,
    Share,
}

fn definition(kind: Kind) -> SliDefinition {
    let group_by = ["cell", "tenant"];
    match kind {
        Kind::Counters => indicator(&group_by),
        Kind::Gauge => gauge(&group_by, Threshold::new(Op::Lte, 200.0).expect("a number")),
        Kind::Share => share(&group_by, Marked::Good),
    }
}

/// Makes ratios of counters: tenths.
fn as_shares(mut stream: Stream) -> Stream {
    for sample in stream.batches.iter_mut().flatten() {
        if sample.value >= 1.0 {
            sample.value = (sample.value as u64 % 11) as f64 / 10.0;
        }
    }
    stream
}

/// Every event of a stream.
fn events(stream: &Stream, kind: Kind) -> Vec<Added> {
    if let Kind::Counters = kind {
        let bad = |series: usize| stream.series[series].get("code") == Some("500");
        return recount(stream)
            .into_iter()
            .map(|(series, t_ms, events, ..)| (series, t_ms, if bad(series) { events } else { 0 }, events))
            .collect();
    }
    let mut accepted: BTreeMap<usize, BTreeMap<i64, [u64; 2]>> = BTreeMap::new();
    for sample in stream.batches.iter().flatten() {
        let tenths = sample.value * 10.0;
        let amounts = match kind {
            _ if sample.value.is_nan() => continue,
            Kind::Share if !(0.0..=10.0).contains(&tenths) => continue,
            Kind::Share => [(10 - tenths.round() as u64) * MILLION / 10, MILLION],
            _ => [u64::from(sample.value > 200.0), 1],
        };
        let known = accepted.entry(sample.series).or_default();
        let newest = known.keys().next_back().copied();
        if newest.is_none_or(|newest| sample.t_ms > newest - stream.settings.lateness.window_ms) {
            known.entry(sample.t_ms).or_insert(amounts);
        }
    }
    let of_series = |(series, samples): (usize, BTreeMap<i64, [u64; 2]>)| {
        let added = samples
            .into_iter()
            .map(move |(t_ms, [bad, all])| (series, t_ms, bad, all));
        added.collect::<Vec<Added>>()
    };
    accepted.into_iter().flat_map(of_series).collect()
}

/// What each slice of a group counts as, by its end; a slice that was not seen is not there.
fn slices(added: &[Added], max_gap_ms: i64, budgeting: Budgeting) -> BTreeMap<i64, Counts> {
    let width_ms = budgeting.width_ms().expect("slices");
    let end = |t_ms: i64| (t_ms + width_ms - 1).div_euclid(width_ms) * width_ms;
    let mut seen: BTreeMap<i64, Counts> = BTreeMap::new();
    for (_, t_ms, bad, all) in added {
        let slice = seen.entry(end(*t_ms)).or_default();
        slice.bad += bad;
        slice.total += all;
    }
    let times: BTreeSet<i64> = added.iter().map(|(_, t_ms, ..)| *t_ms).collect();
    let times: Vec<i64> = times.into_iter().collect();
    for pair in times.windows(2) {
        if pair[1] - pair[0] <= max_gap_ms {
            let between = (end(pair[0])..end(pair[1])).step_by(width_ms as usize);
            between.for_each(|end| {
                seen.entry(end).or_default();
            });
        }
    }
    let judge = |events: Counts| match budgeting {
        Budgeting::Timeslices { target, .. } => {
            let good = u128::from(events.total - events.bad) * u128::from(target.denominator());
            let least = u128::from(events.total) * u128::from(target.numerator());
            Counts {
                bad: u64::from(good < least),
                total: 1,
            }
        }
        _ => Counts {
            bad: match events.total {
                0 => 0,
                total => (events.bad * MILLION).div_ceil(total),
            },
            total: MILLION,
        },
    };
    seen.into_iter()
        .map(|(end, events)| (end, judge(events)))
        .collect()
}

/// Checks events and slices of every group in a few windows.
fn check(seed: u64) {
    let entropy = SeededEntropy::new(seed ^ 0x51ce);
    let kind = [Kind::Counters, Kind::Gauge, Kind::Share][(seed % 3) as usize];
    let stream = match kind {
        Kind::Share => as_shares(stream(seed)),
        _ => stream(seed),
    };
    let width_ms = [20_000, 60_000, 120_000, 420_000, 1_800_000, 7_200_000][entropy.below(6) as usize];
    let target = ["1%", "90%", "97.5%", "1"][entropy.below(4) as usize];
    let methods = [
        Budgeting::Occurrences,
        Budgeting::Timeslices {
            width_ms,
            target: target.parse().expect("a share"),
        },
        Budgeting::RatioTimeslices { width_ms },
    ];
    let sli = definition(kind);
    let objectives = methods
        .into_iter()
        .enumerate()
        .map(|(index, budgeting)| Objective {
            id: format!("{}/{index}", slo()).parse_id(),
            sli: sli.name.clone(),
            budgeting,
            burn: mainstay_slo::burn::BurnPolicy::off(),
            ..objective(&["cell", "tenant"])
        });
    let catalog = SloCatalog::new(vec![sli.clone()], objectives.collect()).expect("a sound catalog");
    let mut engine = SloEngine::new(catalog, stream.settings, at(T0));
    for position in 0..stream.batches.len() {
        assert!(feed(&mut engine, &stream, position));
    }
    let added = events(&stream, kind);
    let Some(last_ms) = added.iter().map(|(_, t, ..)| *t).max() else {
        return;
    };
    let span = (last_ms - T0).unsigned_abs() + 60_000;
    let mut windows = vec![(T0 - 1_000_000, last_ms + 7_200_000)];
    for _ in 0..4 {
        let (a, b) = (entropy.below(span) as i64, entropy.below(span) as i64);
        windows.push((T0 + a.min(b), T0 + a.max(b)));
    }
    let groups: Vec<Labels> = engine.groups(&sli.name).cloned().collect();
    for group in &groups {
        let added: Vec<Added> = added
            .iter()
            .filter(|one| in_group(&stream.series[one.0], group))
            .copied()
            .collect();
        for (index, budgeting) in methods.into_iter().enumerate() {
            // What lies where: events at their time, slices at their end.
            let counted: Vec<(i64, Counts)> = match budgeting.width_ms() {
                None => added
                    .iter()
                    .map(|(_, t_ms, bad, total)| {
                        (
                            *t_ms,
                            Counts {
                                bad: *bad,
                                total: *total,
                            },
                        )
                    })
                    .collect(),
                Some(_) => slices(&added, stream.settings.max_gap_ms(), budgeting)
                    .into_iter()
                    .collect(),
            };
            let id = format!("{}/{index}", slo()).parse_id();
            for (from_ms, to_ms) in &windows {
                let window = engine
                    .objective_window(&id, group, *from_ms, *to_ms)
                    .expect("a group");
                let edges = window.counted;
                let inside = counted
                    .iter()
                    .filter(|(t_ms, _)| *t_ms > edges.start_ms && *t_ms <= edges.end_ms);
                let sum = inside.fold(Counts::default(), |sum, (_, one)| Counts {
                    bad: sum.bad + one.bad,
                    total: sum.total + one.total,
                });
                assert_eq!(
                    window.counts, sum,
                    "seed {seed}, {kind:?} by {budgeting:?}, {group}, {from_ms} to {to_ms}"
                );
            }
        }
    }
}

trait ParseId {
    fn parse_id(&self) -> mainstay_kernel::SloId;
}

impl ParseId for String {
    fn parse_id(&self) -> mainstay_kernel::SloId {
        mainstay_kernel::SloId::new(self.as_str()).expect("an id")
    }
}

#[test]
fn every_slice_of_counters_equals_a_recount() {
    seeds(1).filter(|seed| seed % 3 == 0).for_each(check);
}

#[test]
fn every_slice_of_gauges_equals_a_recount() {
    seeds(1).filter(|seed| seed % 3 == 1).for_each(check);
}

#[test]
fn every_slice_of_finished_ratios_equals_a_recount() {
    seeds(1).filter(|seed| seed % 3 == 2).for_each(check);
}

#[test]
fn the_random_streams_have_bad_good_and_unseen_slices() {
    let budgeting = Budgeting::Timeslices {
        width_ms: 60_000,
        target: "97.5%".parse().expect("a share"),
    };
    let (mut bad, mut good, mut unseen) = (0, 0, 0);
    for seed in 0..30 {
        let stream = stream(seed);
        let added = events(&stream, Kind::Counters);
        let slices = slices(&added, stream.settings.max_gap_ms(), budgeting);
        bad += slices.values().map(|slice| slice.bad).sum::<u64>();
        good += slices.values().filter(|slice| slice.bad == 0).count();
        let (first, last) = (slices.keys().next(), slices.keys().next_back());
        let all = (last.expect("slices") - first.expect("slices")) / 60_000 + 1;
        unseen += all as usize - slices.len();
    }
    assert!(bad > 100 && good > 100 && unseen > 100, "{bad} {good} {unseen}");
}

#[test]
fn slices_are_not_exported_as_rules_that_count_events() {
    let mut sliced = crate::fixture::objective(&[]);
    sliced.budgeting = mainstay_slo::Budgeting::Timeslices {
        width_ms: 60_000,
        target: "99%".parse().expect("a target"),
    };
    let catalog = crate::fixture::catalog(crate::fixture::indicator(&[]), sliced);
    let exported = mainstay_slo::export::prometheus_rules(&catalog, None).expect("a rule file");
    let [(slo, reason)] = exported.left_out.as_slice() else {
        panic!("it is left out: {}", exported.text)
    };
    assert_eq!(*slo, crate::fixture::slo());
    assert!(reason.contains("time slices"), "{reason}");
}
