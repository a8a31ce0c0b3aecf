//! What a forecast rests on, read from the counts.

use jiff::Timestamp;
use mainstay_kernel::{Labels, SloId};

use super::SloEngine;
use super::judge::View;
use crate::burn::burn_rate;
use crate::forecast::{Burst, Forecast, HOUR_MS, Outlook, forecast};
use crate::tally::Counts;
use crate::window::Window;

/// How much of the past a forecast looks at: 28 days and the one that is not over, in hours.
const HISTORY_HOURS: i64 = 29 * 24;
/// How far ahead it looks at most: 31 days, in milliseconds.
const AHEAD_MAX_MS: i64 = 31 * 24 * HOUR_MS;
/// The slices by which the beginning of a burst is found, and how far back, in milliseconds.
const BURST_STEP_MS: i64 = 5 * 60_000;
const BURST_MAX_MS: i64 = 6 * HOUR_MS;
/// What burns so many times faster than the budget, and than it did on average before, is a burst.
const BURST_FACTOR: u64 = 4;

impl SloEngine {
    /// When the budget of a group will be spent if things go on as they did ([`forecast`] says what that means). `None` if
    /// it will not inside the window, if it is spent, if the group is not seen now, or if there is no such objective or
    /// group. Cost: about 1,400 windows.
    #[must_use]
    pub fn forecast(&self, slo: &SloId, group: &Labels, now: Timestamp) -> Option<Forecast> {
        let judge = self.judge_of(slo)?;
        let sli = &self.slis[judge.sli];
        let node = &sli.nodes[*sli.by_group.get(group)? as usize];
        let view = judge.view(&self.slis, node, now);
        let is_seen = view.last_ms().is_some() && !view.is_retired();
        // What a composite is made of has hours of its own, which its weighted share does not.
        let is_composite = !view.parts.is_empty();
        if !is_seen || is_composite || view.blind_since(&self.settings).is_some() {
            return None;
        }
        outlook(&view)
    }
}

fn outlook(view: &View<'_>) -> Option<Forecast> {
    let (objective, node, now, bounds) = (view.objective, view.node, view.now, view.bounds);
    let now_ms = now.as_millisecond();
    // Hours of the clock: their edges are edges of slices.
    let hour_ms = now_ms - now_ms.rem_euclid(HOUR_MS);
    let (ahead_ms, leaving) = match objective.window {
        Window::Calendar(_) => (bounds.end_ms - now_ms, Vec::new()),
        Window::Rolling(_) => {
            let ahead_ms = bounds.length_ms().min(AHEAD_MAX_MS);
            let first_ms = bounds.start_ms - bounds.start_ms.rem_euclid(HOUR_MS);
            let hours = 0..ahead_ms / HOUR_MS;
            let leaving = hours.map(|hour| hour_of(view, first_ms + hour * HOUR_MS));
            (ahead_ms, leaving.collect())
        }
    };
    let first_seen_ms = node.coverage.first_ms().unwrap_or(now_ms);
    let hours: Vec<Option<Counts>> = (0..HISTORY_HOURS)
        .map(|hour| hour_ms - (HISTORY_HOURS - hour) * HOUR_MS)
        .map(|from_ms| {
            let dark_ms: i64 = node
                .coverage
                .gaps(from_ms, from_ms + HOUR_MS)
                .map(|(from, to)| to - from)
                .sum();
            let is_known = first_seen_ms <= from_ms && dark_ms * 4 <= HOUR_MS;
            is_known.then(|| hour_of(view, from_ms))
        })
        .collect();
    forecast(&Outlook {
        now,
        target: objective.target,
        spent: view.budget().counts,
        ahead_ms,
        hours: &hours,
        leaving: &leaving,
        burst: burst(view, &hours),
    })
}

fn hour_of(view: &View<'_>, from_ms: i64) -> Counts {
    view.counted(from_ms, from_ms + HOUR_MS).1
}

/// What burns now: the newest slices without one that does not burn fast between them.
fn burst(view: &View<'_>, hours: &[Option<Counts>]) -> Option<Burst> {
    let target = view.objective.target;
    let mut before = Counts::default();
    for hour in hours.iter().flatten() {
        before.bad = before.bad.saturating_add(hour.bad);
        before.total = before.total.saturating_add(hour.total);
    }
    let usual = burn_rate(before, target);
    let is_fast = |counts: Counts| {
        burn_rate(counts, target).is_some_and(|rate| {
            let times = |usual: mainstay_kernel::Ratio| {
                let (rate, usual) = (
                    [rate.numerator(), usual.denominator()],
                    [rate.denominator(), usual.numerator(), BURST_FACTOR],
                );
                crate::exact::compare_products(&rate, &usual).is_gt()
            };
            times(mainstay_kernel::Ratio::ONE) && usual.is_none_or(times)
        })
    };
    let now_ms = view.now.as_millisecond();
    let (mut lasted_ms, mut during) = (0, Counts::default());
    while lasted_ms < BURST_MAX_MS {
        let to_ms = now_ms - lasted_ms;
        let slice = view.counted(to_ms - BURST_STEP_MS, to_ms).1;
        if !is_fast(slice) {
            break;
        }
        during.bad = during.bad.saturating_add(slice.bad);
        during.total = during.total.saturating_add(slice.total);
        lasted_ms += BURST_STEP_MS;
    }
    (lasted_ms > 0).then_some(Burst {
        lasted_ms,
        counts: during,
    })
}
