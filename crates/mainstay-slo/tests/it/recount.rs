//! The engine against a recount: the recount knows all samples that are to be accepted, sorts them, and adds up
//! differences between neighbours, with nothing in common with the engine but the rules in words.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::{Counts, Doubt, RawSample, Settings, SloEngine};

use crate::fixture::{T0, at, engine, slo};
use crate::streams::{Sample, Stream, seeds, stream};

/// Feeds one batch.
pub(crate) fn feed(engine: &mut SloEngine, stream: &Stream, position: usize) -> bool {
    let samples = stream.batches[position].iter().map(|sample| RawSample {
        labels: &stream.series[sample.series],
        t_ms: sample.t_ms,
        value: sample.value,
        created_ms: sample.created_ms,
    });
    engine.on_samples(position as u64, samples)
}

/// The samples that are counts and not too late, by series and time.
fn accepted(stream: &Stream) -> BTreeMap<usize, BTreeMap<i64, &Sample>> {
    let mut accepted: BTreeMap<usize, BTreeMap<i64, &Sample>> = BTreeMap::new();
    for sample in stream.batches.iter().flatten() {
        let known = accepted.entry(sample.series).or_default();
        let newest = known.keys().next_back().copied();
        let in_time = newest.is_none_or(|newest| sample.t_ms > newest - stream.settings.lateness.window_ms);
        if sample.value.is_finite() && sample.value >= 0.0 && sample.value.fract() == 0.0 && in_time {
            known.entry(sample.t_ms).or_insert(sample);
        }
    }
    accepted
}

/// What each accepted sample adds: (series, time, events, missed, restarts).
pub(crate) fn recount(stream: &Stream) -> Vec<(usize, i64, u64, u64, u64)> {
    let Settings { lateness, .. } = stream.settings;
    let warm_until_ms = T0 + stream.settings.scrape_interval_ms * stream.settings.gap_intervals;
    let mut added = Vec::new();
    for (series, samples) in accepted(stream) {
        let samples: Vec<&Sample> = samples.into_values().collect();
        for (index, sample) in samples.iter().enumerate() {
            let value = sample.value as u64;
            let before = index.checked_sub(1).map(|before| samples[before]);
            let (events, missed, restarts) = match before {
                Some(before) if sample.t_ms - before.t_ms <= lateness.forget_ms => {
                    let newer = match (before.created_ms, sample.created_ms) {
                        (Some(old), Some(new)) => new > old,
                        (None, Some(new)) => new > before.t_ms,
                        (_, None) => false,
                    };
                    if newer || sample.value < before.value {
                        (value, 0, 1)
                    } else {
                        (value - before.value as u64, 0, 0)
                    }
                }
                _ if sample.created_ms.is_some_and(|created| created >= T0) => (value, 0, 0),
                _ if sample.t_ms <= warm_until_ms => (0, 0, 0),
                _ => (0, value, 0),
            };
            added.push((series, sample.t_ms, events, missed, restarts));
        }
    }
    added
}

pub(crate) fn in_group(series: &Labels, group: &Labels) -> bool {
    group
        .iter()
        .all(|(name, value)| series.get(name).unwrap_or("(none)") == value)
}

/// Checks every group in a few windows.
fn check(seed: u64) {
    let stream = stream(seed);
    let mut engine = engine(&["cell", "tenant"], &[], stream.settings);
    for position in 0..stream.batches.len() {
        assert!(feed(&mut engine, &stream, position));
    }
    let added = recount(&stream);
    let last_ms = added
        .iter()
        .map(|(_, t, ..)| *t)
        .max()
        .expect("something was counted");
    let entropy = SeededEntropy::new(seed ^ 0x5eed);
    let span = (last_ms - T0).unsigned_abs() + 60_000;
    let mut windows = vec![(T0 - 1_000_000, last_ms)];
    for _ in 0..4 {
        let (a, b) = (entropy.below(span) as i64, entropy.below(span) as i64);
        windows.push((T0 + a.min(b), T0 + a.max(b)));
    }
    let groups: Vec<Labels> = engine.groups("api").cloned().collect();
    for (from_ms, to_ms) in windows {
        let mut by_level: BTreeMap<BTreeSet<String>, (u64, u64)> = BTreeMap::new();
        for group in &groups {
            let window = engine.window("api", group, from_ms, to_ms).expect("a group");
            let edges = window.counted;
            assert!(
                edges.start_ms <= from_ms && edges.end_ms >= to_ms,
                "seed {seed}: {edges:?}"
            );
            let (mut counts, mut doubt) = (Counts::default(), Doubt::default());
            for (series, t_ms, events, missed, restarts) in &added {
                let labels = &stream.series[*series];
                if *t_ms > edges.start_ms && *t_ms <= edges.end_ms && in_group(labels, group) {
                    let bad = labels.get("code") == Some("500");
                    counts.bad += if bad { *events } else { 0 };
                    counts.total += events;
                    doubt.missed_marked += if bad { *missed } else { 0 };
                    doubt.missed_total += missed;
                    doubt.restarts += restarts;
                }
            }
            assert_eq!(
                window.counts, counts,
                "seed {seed}, {group}, {from_ms} to {to_ms}"
            );
            // Sources that ended are another matter: see ended.rs.
            let Doubt {
                ended,
                unbounded,
                unread,
                ..
            } = window.doubt;
            let doubt = Doubt {
                ended,
                unbounded,
                unread,
                ..doubt
            };
            assert_eq!(window.doubt, doubt, "seed {seed}, {group}, {from_ms} to {to_ms}");
            let level = group.iter().map(|(name, _)| name.to_owned()).collect();
            let sums = by_level.entry(level).or_default();
            sums.0 += window.counts.bad;
            sums.1 += window.counts.total;
        }
        let sums: BTreeSet<(u64, u64)> = by_level.into_values().collect();
        assert!(
            sums.len() <= 1,
            "seed {seed}: every level adds up to the whole: {sums:?}"
        );
    }
    let status = engine
        .status(&slo(), &Labels::new(), at(last_ms))
        .expect("the objective");
    let bad: u64 = added
        .iter()
        .filter(|one| stream.series[one.0].get("code") == Some("500"))
        .map(|one| one.2)
        .sum();
    let total: u64 = added.iter().map(|one| one.2).sum();
    assert_eq!(
        status.budget.counts,
        Counts { bad, total },
        "seed {seed}: the budget"
    );
    assert_eq!(
        status.budget.allowed(),
        total / 2_000,
        "seed {seed}: 0.05 % of all, rounded down"
    );
}

#[test]
fn every_count_of_every_window_equals_a_recount() {
    seeds(1).for_each(check);
}

#[test]
fn the_streams_have_everything_in_them() {
    let (mut restarts, mut missed) = (0, 0);
    let mut met = mainstay_slo::Ingested::default();
    for seed in 0..40 {
        let stream = stream(seed);
        let mut engine = engine(&["cell"], &[], stream.settings);
        for position in 0..stream.batches.len() {
            feed(&mut engine, &stream, position);
        }
        let ingested = engine.ingested();
        met.duplicate += ingested.duplicate;
        met.too_late += ingested.too_late;
        met.stale += ingested.stale;
        met.not_a_count += ingested.not_a_count;
        let added = recount(&stream);
        restarts += added.iter().map(|one| one.4).sum::<u64>();
        missed += added.iter().map(|one| one.3).sum::<u64>();
    }
    for (what, count) in [
        ("duplicates", met.duplicate),
        ("late samples", met.too_late),
        ("stale markers", met.stale),
        ("values that are no counts", met.not_a_count),
        ("restarts", restarts),
        ("missed events", missed),
    ] {
        assert!(count > 40, "only {count} {what}");
    }
}
