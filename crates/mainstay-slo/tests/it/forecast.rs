//! Forecasts against what came: on streams of several shapes, four of five times a budget is spent inside the interval.

use mainstay_kernel::Ratio;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::Counts;
use mainstay_slo::forecast::{Burst, Forecast, Outlook, forecast};

use crate::fixture::{T0, at};

const HOUR_MS: i64 = 3_600_000;
const HISTORY_HOURS: usize = 29 * 24;
const AHEAD_HOURS: usize = 30 * 24;
/// Slices of a stream: 5 minutes.
const STEP_MS: i64 = 300_000;
const STEPS_PER_HOUR: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// The same traffic and the same share of failures at all hours.
    Steady,
    /// Ten times as much traffic by day as by night, half as much at weekends.
    Diurnal,
    /// Few failures, and now and then an incident of some minutes to hours.
    Bursty,
    /// Diurnal traffic and incidents.
    Both,
}

/// Failures of a budget of 0.1 %.
fn target() -> Ratio {
    "99.9%".parse().expect("a target")
}

/// A stream in slices of 5 minutes, and when what burns at the end of the history began.
fn stream(shape: Shape, seed: u64) -> Vec<Counts> {
    let entropy = SeededEntropy::new(seed);
    let unit = || (entropy.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30);
    let steps = (24 + HISTORY_HOURS + AHEAD_HOURS) * STEPS_PER_HOUR;
    // How much of the budget a stream burns is not the same for all of them.
    let burn = 1.1 + unit();
    let mut incident_left = 0.0_f64;
    let mut incident_share = 0.0;
    let mut slices = Vec::with_capacity(steps);
    for step in 0..steps {
        let hour = step / STEPS_PER_HOUR;
        let diurnal = matches!(shape, Shape::Diurnal | Shape::Both);
        let of_day = if diurnal {
            let phase = std::f64::consts::TAU * ((hour % 24) as f64 - 8.0) / 24.0;
            // The first day is a Tuesday.
            let weekend = if matches!((hour / 24) % 7, 4 | 5) {
                0.5
            } else {
                1.0
            };
            weekend * (0.55 + 0.45 * phase.sin())
        } else {
            1.0
        };
        let total = 30_000.0 * of_day;
        let bursty = matches!(shape, Shape::Bursty | Shape::Both);
        let share = if bursty {
            // One in two days, for an hour on average, exponential.
            if incident_left <= 0.0 && unit() < 1.0 / (48.0 * STEPS_PER_HOUR as f64) {
                incident_left = -unit().ln() * STEPS_PER_HOUR as f64;
                incident_share = 0.02 + 0.08 * unit();
            }
            incident_left -= 1.0;
            0.0004 * burn + if incident_left > -1.0 { incident_share } else { 0.0 }
        } else {
            0.001 * burn
        };
        let mean = total * share;
        // Nearly Poisson: a normal of the same variance.
        let noise = (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos();
        let bad = (mean + noise * mean.sqrt()).round().max(0.0);
        slices.push(Counts {
            bad: bad as u64,
            total: total as u64,
        });
    }
    slices
}

fn sum(slices: &[Counts]) -> Counts {
    slices.iter().fold(Counts::default(), |sum, one| Counts {
        bad: sum.bad + one.bad,
        total: sum.total + one.total,
    })
}

/// Forecast and truth (`None`: not inside the time asked for), in milliseconds after `T0`.
fn case(shape: Shape, seed: u64, rolling: bool) -> (Option<Forecast>, Option<i64>) {
    let slices = stream(shape, seed);
    let entropy = SeededEntropy::new(seed ^ 0xf0);
    // At any hour of the day.
    let (first, now_hour) = ((seed % 24) as usize, (seed % 24) as i64);
    let split = (first + HISTORY_HOURS) * STEPS_PER_HOUR;
    let hours: Vec<Counts> = slices.chunks(STEPS_PER_HOUR).map(sum).collect();
    let hours = &hours[first..first + HISTORY_HOURS];
    let known: Vec<Option<Counts>> = hours.iter().copied().map(Some).collect();
    // A budget of which some is left: that of a period that is partly over, with what was saved before it.
    let spent_hours = (2 + entropy.below(20) as usize) * 24;
    let mut spent = sum(&slices[split - spent_hours * STEPS_PER_HOUR..split]);
    let reserve = 2_000 + entropy.below(60_000);
    spent.bad = (spent.total / 1_000).saturating_sub(reserve);
    let leaving: Vec<Counts> = if rolling {
        // The window is as long as what is asked for: what leaves first is the oldest.
        hours[..AHEAD_HOURS.min(HISTORY_HOURS)].to_vec()
    } else {
        Vec::new()
    };
    let usual = sum(&slices[..split]);
    let is_fast = |one: &Counts| {
        let times = |a: u64, b: u64, by: u64| {
            u128::from(one.bad) * u128::from(b) > u128::from(one.total) * u128::from(a) * u128::from(by)
        };
        times(1, 1_000, 4) && times(usual.bad, usual.total, 4)
    };
    let lasted = slices[..split]
        .iter()
        .rev()
        .take(72)
        .take_while(|one| is_fast(one))
        .count();
    let burst = (lasted > 0).then(|| Burst {
        lasted_ms: lasted as i64 * STEP_MS,
        counts: sum(&slices[split - lasted..split]),
    });
    let told = forecast(&Outlook {
        now: at(T0 + now_hour * HOUR_MS),
        target: target(),
        spent,
        ahead_ms: AHEAD_HOURS as i64 * HOUR_MS,
        hours: &known,
        leaving: &leaving,
        burst,
    });
    let gain = |one: Counts| i128::from(one.total) - 1_000 * i128::from(one.bad);
    let mut left = gain(spent);
    let mut truth = None;
    for (step, slice) in slices[split..]
        .iter()
        .take(AHEAD_HOURS * STEPS_PER_HOUR)
        .enumerate()
    {
        let leaves = leaving.get(step / STEPS_PER_HOUR).map_or(0, |hour| gain(*hour));
        let change = gain(*slice) - leaves / STEPS_PER_HOUR as i128;
        if left + change <= 0 {
            let part_ms = left * i128::from(STEP_MS) / -change;
            let part_ms = i64::try_from(part_ms).expect("below 5 minutes");
            truth = Some(now_hour * HOUR_MS + step as i64 * STEP_MS + part_ms);
            break;
        }
        left += change;
    }
    (told, truth)
}

/// Where the truth came to lie: before the interval, in it, after it. A forecast without a last instant leaves out one
/// tenth only, so that it says nothing about four of five; it is not among these.
fn place(told: Forecast, truth: Option<i64>) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let latest = told.latest?;
    Some(match truth.map(|ms| at(T0 + ms)) {
        None => Greater,
        Some(truth) if truth > latest => Greater,
        Some(truth) if truth < told.earliest => Less,
        Some(_) => Equal,
    })
}

#[test]
fn four_of_five_budgets_are_spent_inside_the_interval() {
    let (mut inside, mut judged) = (0, 0);
    for shape in [Shape::Steady, Shape::Diurnal, Shape::Bursty, Shape::Both] {
        let (mut early, mut within, mut late) = (0, 0, 0);
        for seed in 0..300 {
            let (told, truth) = case(shape, seed, seed % 4 == 0);
            match told.and_then(|told| place(told, truth)) {
                Some(std::cmp::Ordering::Less) => early += 1,
                Some(std::cmp::Ordering::Equal) => within += 1,
                Some(std::cmp::Ordering::Greater) => late += 1,
                None => {}
            }
        }
        let all = early + within + late;
        eprintln!("{shape:?}: {within} of {all} inside, {early} before, {late} after");
        assert!(all >= 80, "{shape:?}: only {all} intervals");
        // 3.5 standard deviations of so many draws, and what a method may be off by in one shape.
        let share = f64::from(within) / f64::from(all);
        assert!((0.70..=0.90).contains(&share), "{shape:?}: {share:.3}");
        inside += within;
        judged += all;
    }
    let share = f64::from(inside) / f64::from(judged);
    eprintln!("all: {inside} of {judged} inside");
    assert!((0.75..=0.85).contains(&share), "{share:.3}");
}

/// An outlook of a month of the same hours.
fn outlook<'a>(hours: &'a [Option<Counts>], spent: Counts) -> Outlook<'a> {
    Outlook {
        now: at(T0),
        target: target(),
        spent,
        ahead_ms: AHEAD_HOURS as i64 * HOUR_MS,
        hours,
        leaving: &[],
        burst: None,
    }
}

#[test]
fn the_same_hours_again_spend_what_is_left_to_the_minute() {
    // 2 of 1,000 an hour, where 1 is allowed: 48 of the 100 that are left are spent in two days, all in 100 hours.
    let hour = Counts { bad: 2, total: 1_000 };
    let spent = Counts {
        bad: 900,
        total: 1_000_000,
    };
    let hours = vec![Some(hour); HISTORY_HOURS];
    let told = forecast(&outlook(&hours, spent)).expect("it will be spent");
    let at_100h = at(T0 + 100 * HOUR_MS);
    assert_eq!(
        told,
        Forecast {
            earliest: at_100h,
            likely: Some(at_100h),
            latest: Some(at_100h)
        }
    );
    // What leaves a rolling window gives back as much as is spent anew: never.
    let leaving = vec![hour; AHEAD_HOURS];
    let rolling = Outlook {
        leaving: &leaving,
        ..outlook(&hours, spent)
    };
    assert_eq!(forecast(&rolling), None);
    // A good hour that leaves takes its allowance along.
    let leaving = vec![Counts { bad: 0, total: 1_000 }; AHEAD_HOURS];
    let rolling = Outlook {
        leaving: &leaving,
        ..outlook(&hours, spent)
    };
    assert_eq!(
        forecast(&rolling).map(|told| told.earliest),
        Some(at(T0 + 50 * HOUR_MS))
    );
}

#[test]
fn what_burns_now_goes_on_for_about_as_long_as_it_did() {
    let spent = Counts {
        bad: 0,
        total: 1_000_000,
    };
    // 10 minutes of 50 bad a minute: the 1,000 that are left last for 20 more, and it goes on for longer than that with one
    // chance in three.
    let burst = Burst {
        lasted_ms: 600_000,
        counts: Counts {
            bad: 500,
            total: 1_000,
        },
    };
    let alone = Outlook {
        burst: Some(burst),
        ..outlook(&[], spent)
    };
    let told = forecast(&alone).expect("it may be spent");
    let after_min = told.earliest.duration_since(at(T0)).as_mins();
    assert_eq!((after_min, told.likely, told.latest), (20, None, None));
    // After half an hour of the same, three more were needed for what is left to be spent in all of ten.
    let longer = Burst {
        lasted_ms: 1_800_000,
        ..burst
    };
    let told = forecast(&Outlook {
        burst: Some(longer),
        ..alone
    })
    .expect("it may be spent");
    assert_eq!(told.earliest.duration_since(at(T0)).as_mins(), 60);
    let slow = Burst {
        lasted_ms: 60_000,
        counts: Counts { bad: 5, total: 1_000 },
    };
    assert_eq!(
        forecast(&Outlook {
            burst: Some(slow),
            ..alone
        }),
        None,
        "one chance in ten is 9 minutes"
    );
}

#[test]
fn without_history_or_a_budget_there_is_no_forecast() {
    let (hour, spent) = (
        Counts { bad: 2, total: 1_000 },
        Counts {
            bad: 900,
            total: 1_000_000,
        },
    );
    let short = vec![Some(hour); 23];
    assert_eq!(forecast(&outlook(&short, spent)), None);
    let day = vec![Some(hour); 24];
    assert!(forecast(&outlook(&day, spent)).is_some());
    let dark: Vec<Option<Counts>> = (0..600).map(|at| (at % 30 == 0).then_some(hour)).collect();
    assert_eq!(forecast(&outlook(&dark, spent)), None, "20 hours of 600");
    let over = Counts { bad: 1_000, ..spent };
    assert_eq!(
        forecast(&outlook(&vec![Some(hour); 600], over)),
        None,
        "it is spent"
    );
    let good = vec![Some(Counts { bad: 1, total: 1_000 }); 600];
    assert_eq!(forecast(&outlook(&good, spent)), None, "just what is allowed");
}
