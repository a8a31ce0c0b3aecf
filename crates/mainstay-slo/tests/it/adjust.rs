//! Adjusted figures against a recount without the excluded events, and what becomes of budgets and alerts.

use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Labels, SloId};
use mainstay_slo::adjust::{Exclusion, Of, QUARTER_HOUR_MS};
use mainstay_slo::window::Bounds;
use mainstay_slo::{Counts, Settings, SloEngine, StatusValue};

use crate::fixture::{Cell, T0, at, engine, labels, slo};
use crate::recount::{feed, in_group, recount};
use crate::streams::{seeds, stream};

fn exclusion(place: &[(&str, &str)], start_ms: i64, end_ms: i64) -> Exclusion {
    Exclusion {
        of: Of::Objective(slo()),
        place: labels(place),
        stretch: Bounds { start_ms, end_ms },
        silences_burn: false,
    }
}

/// A few places and times at random, some of them on top of each other.
pub(crate) fn exclusions(entropy: &SeededEntropy, span_ms: i64) -> Vec<Exclusion> {
    let quarters = span_ms.unsigned_abs() / QUARTER_HOUR_MS.unsigned_abs() + 2;
    let place = || {
        let mut place = Labels::new();
        if entropy.below(2) == 0 {
            place.set("cell", format!("cell-{}", entropy.below(2)));
        }
        if entropy.below(2) == 0 {
            place.set("tenant", format!("tenant-{}", entropy.below(3)));
        }
        place
    };
    let one = |_| {
        let start_ms = T0 + entropy.below(quarters) as i64 * QUARTER_HOUR_MS;
        Exclusion {
            place: place(),
            ..exclusion(
                &[],
                start_ms,
                start_ms + (1 + entropy.below(8) as i64) * QUARTER_HOUR_MS,
            )
        }
    };
    (0..1 + entropy.below(6)).map(one).collect()
}

fn check(seed: u64) {
    let stream = stream(seed);
    let mut engine = engine(&["cell", "tenant"], &[], stream.settings);
    for position in 0..stream.batches.len() {
        feed(&mut engine, &stream, position);
    }
    let added = recount(&stream);
    let last_ms = added
        .iter()
        .map(|one| one.1)
        .max()
        .expect("something was counted");
    let entropy = SeededEntropy::new(seed ^ 0xad705);
    let excluded = exclusions(&entropy, last_ms - T0);
    engine.set_exclusions(excluded.clone());
    let regions: Vec<(Labels, Bounds)> = exclusions(&entropy, last_ms - T0)
        .into_iter()
        .map(|one| (one.place, one.stretch))
        .collect();
    let span = (last_ms - T0).unsigned_abs() + 60_000;
    let groups: Vec<Labels> = engine.groups("api").cloned().collect();
    for _ in 0..3 {
        let (a, b) = (entropy.below(span) as i64, entropy.below(span) as i64);
        let (from_ms, to_ms) = (T0 + a.min(b), T0 + a.max(b));
        for group in &groups {
            let period = engine
                .period(&slo(), group, from_ms, to_ms)
                .expect("the objective");
            let edges = period.raw.counted;
            let hits = |place: &Labels, stretch: Bounds, series: &Labels, t_ms: i64| {
                in_group(series, place) && t_ms > stretch.start_ms && t_ms <= stretch.end_ms
            };
            let (mut adjusted, mut raw) = (Counts::default(), Counts::default());
            let (mut gone, mut parts, mut background) = (0, vec![0; regions.len()], 0);
            for (series, t_ms, events, ..) in &added {
                let series = &stream.series[*series];
                if *t_ms <= edges.start_ms || *t_ms > edges.end_ms || !in_group(series, group) {
                    continue;
                }
                let bad = if series.get("code") == Some("500") {
                    *events
                } else {
                    0
                };
                raw.bad += bad;
                raw.total += events;
                let is_excluded = excluded
                    .iter()
                    .any(|one| hits(&one.place, one.stretch, series, *t_ms));
                if !is_excluded {
                    adjusted.bad += bad;
                    adjusted.total += events;
                }
                let first = regions
                    .iter()
                    .position(|(place, time)| hits(place, *time, series, *t_ms));
                match (is_excluded, first) {
                    (true, _) => gone += bad as i64,
                    (false, Some(first)) => parts[first] += bad as i64,
                    (false, None) => background += bad as i64,
                }
            }
            assert_eq!(period.raw.counts, raw, "seed {seed}, {group}");
            assert_eq!(
                period.adjusted, adjusted,
                "seed {seed}, {group}, {from_ms} to {to_ms}"
            );
            let shares = engine
                .shares(&slo(), group, from_ms, to_ms, &regions)
                .expect("the objective");
            assert_eq!(shares.excluded, gone, "seed {seed}, {group}");
            assert_eq!(shares.parts, parts, "seed {seed}, {group}");
            assert_eq!(shares.background, background, "seed {seed}, {group}");
            let sum = shares.excluded + shares.parts.iter().sum::<i64>() + shares.background;
            assert_eq!(sum, raw.bad as i64, "seed {seed}: the parts are the whole");
        }
    }
    engine.set_exclusions(Vec::new());
    let whole = engine
        .period(&slo(), &Labels::new(), T0, last_ms)
        .expect("the objective");
    assert_eq!(whole.raw.counts, whole.adjusted, "seed {seed}: withdrawn");
}

#[test]
fn adjusted_counts_equal_a_recount_without_the_excluded_events() {
    seeds(5).for_each(check);
}

/// A cell with an outage of ten minutes, 02:00 to 02:10, and the engine at 03:00.
fn outage(exclusions: Vec<Exclusion>) -> Cell {
    let mut cell = Cell::new(Settings::default());
    cell.engine.set_exclusions(exclusions);
    for _ in 0..720 {
        cell.tick(1_000, 0);
    }
    for _ in 0..60 {
        cell.tick(0, 1_000);
    }
    for _ in 0..300 {
        cell.tick(1_000, 0);
    }
    cell
}

fn hours(from: i64, to: i64) -> (i64, i64) {
    (T0 + from * 3_600_000, T0 + to * 3_600_000)
}

#[test]
fn the_budget_follows_the_adjusted_figure_and_both_are_shown() {
    let (from_ms, to_ms) = hours(2, 3);
    let cell = outage(vec![exclusion(&[("cell", "cell-5")], from_ms, to_ms)]);
    let status = cell.status();
    assert_eq!(
        status.raw.counts,
        Counts {
            bad: 60_000,
            total: 1_080_000
        }
    );
    assert_eq!(
        status.budget.counts,
        Counts {
            bad: 0,
            total: 720_000
        }
    );
    assert_eq!(
        (status.value, status.state),
        (StatusValue::Ok, BudgetState::Healthy)
    );
    assert_eq!(status.excluded.len(), 1);
    assert!(!cell.engine.firing().is_empty() || status.burn.iter().any(|pair| pair.long.bad > 0));

    let raw = outage(Vec::new()).status();
    assert_eq!(
        (raw.value, raw.state),
        (StatusValue::Breached, BudgetState::Exhausted)
    );
    assert_eq!(raw.raw, raw.budget);
}

#[test]
fn an_exclusion_made_afterwards_and_taken_back_moves_the_state_both_ways() {
    let (from_ms, to_ms) = hours(2, 3);
    let mut cell = outage(Vec::new());
    cell.engine.set_exclusions(vec![exclusion(&[], from_ms, to_ms)]);
    let told = cell.tick(1_000, 0).budgets;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].from, told[0].to),
        (BudgetState::Exhausted, BudgetState::Healthy)
    );
    cell.engine.set_exclusions(Vec::new());
    let told = cell.tick(1_000, 0).budgets;
    assert_eq!(
        (told[0].from, told[0].to),
        (BudgetState::Healthy, BudgetState::Exhausted)
    );
}

#[test]
fn burn_alerts_see_everything_unless_the_window_silences_them() {
    let (from_ms, to_ms) = hours(2, 3);
    let fired = |silences_burn| {
        let mut cell = Cell::new(Settings::default());
        cell.engine.set_exclusions(vec![Exclusion {
            silences_burn,
            ..exclusion(&[], from_ms, to_ms)
        }]);
        for _ in 0..720 {
            cell.tick(1_000, 0);
        }
        let alerts = (0..60).flat_map(|_| cell.tick(0, 1_000).alerts);
        alerts.count()
    };
    assert!(fired(false) > 0);
    assert_eq!(fired(true), 0);
}

#[test]
fn other_objectives_and_places_that_no_group_tells_apart_keep_their_counts() {
    let (from_ms, to_ms) = hours(2, 3);
    let other = Of::Objective(SloId::new("another").expect("a name"));
    let everything = outage(vec![
        Exclusion {
            of: other,
            ..exclusion(&[], from_ms, to_ms)
        },
        exclusion(&[("cell", "cell-6")], from_ms, to_ms),
        exclusion(&[("tenant", "STD-001")], from_ms, to_ms),
    ]);
    let status = everything.status();
    assert_eq!(status.raw, status.budget);
    assert!(status.excluded.is_empty());
}

#[test]
fn only_whole_quarter_hours_are_taken_out() {
    // 02:05 to 02:40 is narrowed to 02:15 to 02:30, which is after the outage.
    let minutes = |minute: i64| T0 + (120 + minute) * 60_000;
    let status = outage(vec![exclusion(&[], minutes(5), minutes(40))]).status();
    assert_eq!(status.raw.counts.bad, status.budget.counts.bad);
    assert_eq!(status.raw.counts.total - status.budget.counts.total, 90_000);
}

#[test]
fn exclusions_survive_another_catalog_and_are_no_part_of_the_stored_state() {
    let (from_ms, to_ms) = hours(2, 3);
    let cell = outage(vec![exclusion(&[], from_ms, to_ms)]);
    let bytes = cell.engine.to_bytes();
    let catalog = || {
        let objective = crate::fixture::objective(&["cell"]);
        crate::fixture::catalog(crate::fixture::indicator(&["cell"]), objective)
    };
    let now = at(cell.now_ms);
    let mut back = SloEngine::from_bytes(&bytes, catalog(), Settings::default(), now).expect("a state");
    let bad = |engine: &SloEngine| {
        let status = engine.status(&slo(), &labels(&[("cell", "cell-5")]), now);
        status.expect("the objective").budget.counts.bad
    };
    assert_eq!(bad(&back), 60_000);
    back.set_exclusions(cell.engine.exclusions().to_vec());
    assert_eq!(bad(&back), 0);
    back.reconfigure(catalog(), now);
    assert_eq!(bad(&back), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn ninety_days_are_recomputed_within_a_second() {
    const DAY_MS: i64 = 86_400_000;
    let settings = Settings {
        scrape_interval_ms: QUARTER_HOUR_MS,
        ..Settings::default()
    };
    let mut engine = engine(&["cell", "tenant"], &["tenant"], settings);
    let series = |tenant: usize, code: &str| {
        let tenant = format!("tenant-{tenant}");
        labels(&[
            ("__name__", "requests_total"),
            ("cell", "cell-5"),
            ("tenant", &tenant),
            ("code", code),
        ])
    };
    let series: Vec<Labels> = (0..10)
        .flat_map(|tenant| [series(tenant, "200"), series(tenant, "500")])
        .collect();
    let mut position = 0;
    for step in 1..=90 * 96 {
        position += 1;
        let samples = series
            .iter()
            .enumerate()
            .map(|(index, labels)| mainstay_slo::RawSample {
                labels,
                t_ms: T0 + step * QUARTER_HOUR_MS,
                value: (step * if index % 2 == 0 { 900 } else { 1 }) as f64,
                created_ms: Some(T0),
            });
        assert!(engine.on_samples(position, samples));
    }
    let days = 0..90;
    let nightly = days.clone().map(|day| {
        let start_ms = T0 + day * DAY_MS + 2 * 3_600_000;
        exclusion(&[], start_ms, start_ms + 2 * 3_600_000)
    });
    let own = days.map(|day| {
        let start_ms = T0 + day * DAY_MS + 3 * 3_600_000;
        let tenant = format!("tenant-{}", day % 10);
        exclusion(&[("tenant", &tenant)], start_ms, start_ms + 3_600_000 * 3 / 2)
    });
    let all: Vec<Exclusion> = nightly.chain(own).collect();
    let began = std::time::Instant::now();
    engine.set_exclusions(all);
    let (from_ms, to_ms) = (T0, T0 + 90 * DAY_MS);
    let groups: Vec<Labels> = engine.groups("api").cloned().collect();
    let read = |group: &Labels| {
        engine
            .period(&slo(), group, from_ms, to_ms)
            .expect("the objective")
    };
    let periods: Vec<_> = groups.iter().map(read).collect();
    let took = began.elapsed();
    eprintln!(
        "{} groups over 90 days with 180 exclusions in {took:?}",
        groups.len()
    );
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    // 90 nights of two hours, eight quarters each; and nine times half an hour more of each tenant.
    let whole = periods[groups.iter().position(Labels::is_empty).expect("the whole")].clone();
    assert_eq!(
        whole.raw.counts,
        Counts {
            bad: 86_400,
            total: 77_846_400
        }
    );
    let gone = (90 * 8 * 10 + 9 * 2 * 10) as u64;
    assert_eq!(
        whole.adjusted,
        Counts {
            bad: 86_400 - gone,
            total: 77_846_400 - gone * 901
        }
    );
}

#[test]
fn of_what_is_older_than_a_quarter_only_full_hours_are_left_out_and_each_event_once() {
    let settings = Settings {
        scrape_interval_ms: QUARTER_HOUR_MS,
        ..Settings::default()
    };
    let mut engine = engine(&["cell"], &["cell"], settings);
    let one = labels(&[
        ("__name__", "requests_total"),
        ("cell", "cell-5"),
        ("code", "500"),
    ]);
    for step in 1..=130 * 96 {
        let sample = mainstay_slo::RawSample {
            labels: &one,
            t_ms: T0 + step * QUARTER_HOUR_MS,
            value: (step * 10) as f64,
            created_ms: Some(T0),
        };
        assert!(engine.on_samples(step.unsigned_abs(), [sample]));
    }
    let quarters = |from: i64, to: i64| (T0 + from * QUARTER_HOUR_MS, T0 + to * QUARTER_HOUR_MS);
    let bad = |engine: &mut SloEngine, stretches: &[(i64, i64)]| {
        let all = stretches.iter().map(|(from, to)| {
            let (from_ms, to_ms) = quarters(*from, *to);
            exclusion(&[], from_ms, to_ms)
        });
        engine.set_exclusions(all.collect());
        let (from_ms, to_ms) = quarters(0, 96);
        let period = engine
            .period(&slo(), &Labels::new(), from_ms, to_ms)
            .expect("the objective");
        assert_eq!(period.raw.counts.bad, 960);
        period.adjusted.bad
    };
    assert_eq!(bad(&mut engine, &[(48, 52)]), 920, "a full hour");
    assert_eq!(bad(&mut engine, &[(48, 49), (49, 51)]), 960, "no full hour");
    assert_eq!(
        bad(&mut engine, &[(47, 49), (49, 53)]),
        920,
        "the full hour of both together"
    );
}
