//! What the counts say about an incident.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mainstay_incident::Impact;
use mainstay_kernel::{Labels, Ratio, Scope, TenantId};
use mainstay_review::facts::BudgetCost;
use mainstay_slo::burn::burn_rate;
use mainstay_slo::engine::Standing;
use mainstay_slo::gate::{Covered, Policy};
use mainstay_slo::{Counts, Objective, Promise, SloEngine};

use crate::judge::{Judge, Verdict};

use super::Telemetry;

/// The counts are looked at in steps of their slices.
const STEP_MS: i64 = 10_000;
/// How much later than its slice's beginning a first failure may have been.
pub(crate) const RESOLUTION: SignedDuration = SignedDuration::from_millis(STEP_MS);
/// How far back the beginning of trouble is looked for.
const LOOK_BACK_MS: i64 = 30 * 60_000;
/// How far back the end of a trouble that began earlier is looked for.
const END_LOOK_BACK_MS: i64 = 24 * 3_600_000;
/// Trouble that pauses for longer than this is another trouble.
const PAUSE_MS: i64 = 2 * 60_000;
/// Without a bad event for this long, while traffic flows, it has recovered.
const QUIET: SignedDuration = SignedDuration::from_secs(30);

impl Judge for Telemetry {
    fn verdict(&self, scope: &Scope, since: Option<Timestamp>, now: Timestamp) -> Option<Verdict> {
        let slos = self.slos();
        let objective = judged_by(&slos)?;
        let group = objective.group_of(scope);
        let now_ms = now.as_millisecond();
        let counts = |from_ms: i64, to_ms: i64| {
            slos.window(&objective.sli, &group, from_ms, to_ms)
                .map(|window| window.counts)
        };
        let is_bad = |from_ms: i64, to_ms: i64| {
            counts(from_ms, to_ms).is_some_and(|counts| is_trouble(objective, counts))
        };
        counts(now_ms - LOOK_BACK_MS, now_ms)?;
        let since_ms = since.map(Timestamp::as_millisecond);
        let Some((first_ms, last_ms)) = trouble(since_ms, now_ms, is_bad) else {
            return Some(Verdict::default());
        };
        let during = counts(first_ms, now_ms)?;
        let impact = Impact {
            tenants: tenants(&slos, objective, &group, first_ms, last_ms),
            bad: during.bad,
            total: during.total,
            first_bad_at: Timestamp::from_millisecond(first_ms).ok(),
            last_bad_at: Timestamp::from_millisecond(last_ms).ok(),
        };
        let after = counts(last_ms, now_ms)?;
        let quiet = i128::from(now_ms - last_ms) >= QUIET.as_millis();
        let recovered_at = impact.last_bad_at.filter(|_| quiet && after.total > 0);
        Some(Verdict { impact, recovered_at })
    }

    fn standings(&self, by: &[(Covered, Policy)], scope: &Scope, now: Timestamp) -> Vec<Standing> {
        self.standings_of(by, scope, now)
    }

    fn standings_in_places(&self, by: &[Covered], now: Timestamp) -> Vec<Standing> {
        self.standings_everywhere(by, now)
    }

    fn budget_costs(&self, scope: &Scope, from: Timestamp, to: Timestamp) -> Vec<BudgetCost> {
        let slos = self.slos();
        let (from_ms, to_ms) = (from.as_millisecond(), to.as_millisecond());
        let cost = |objective: &Objective| {
            let group = objective.group_of(scope);
            let during = slos.window(&objective.sli, &group, from_ms, to_ms)?;
            let bounds = objective.window.bounds(to);
            let whole = slos.window(&objective.sli, &group, bounds.start_ms, to_ms)?;
            let budget = objective.target.complement()?;
            let spent_something = during.counts.bad > 0;
            let name = if group.is_empty() {
                objective.id.to_string()
            } else {
                format!("{} {group}", objective.id)
            };
            spent_something.then(|| BudgetCost {
                slo: name,
                target: objective.target,
                allowed: budget.floor_of(whole.counts.total),
                spent_by_incident: during.counts.bad,
                spent: whole.counts.bad,
            })
        };
        slos.objectives().filter_map(cost).collect()
    }
}

/// The objective by which incidents are judged: the first promise to ourselves with burn alerts, else the first of all.
fn judged_by(slos: &SloEngine) -> Option<&Objective> {
    let pages =
        |objective: &&Objective| objective.promise == Promise::Objective && !objective.burn.pairs.is_empty();
    slos.objectives().find(pages).or_else(|| slos.objectives().next())
}

/// Whether so many bad events are trouble: a budget allows some, and a few failures among many requests neither begin an
/// incident nor keep it from being over. Trouble burns the budget as fast as the objective's pages mind.
fn is_trouble(objective: &Objective, counts: Counts) -> bool {
    let pages = objective.burn.pairs.iter().filter(|pair| pair.severity.pages());
    let factor = pages.map(|pair| pair.factor).min().unwrap_or(Ratio::ONE);
    counts.bad > 0 && burn_rate(counts, objective.target).is_none_or(|rate| rate >= factor)
}

fn tenants(
    slos: &SloEngine,
    objective: &Objective,
    group: &Labels,
    from_ms: i64,
    to_ms: i64,
) -> BTreeSet<TenantId> {
    let inside = |candidate: &&Labels| {
        candidate.get("tenant").is_some()
            && candidate.len() == group.len() + usize::from(group.get("tenant").is_none())
            && group
                .iter()
                .all(|(name, value)| candidate.get(name) == Some(value))
    };
    let hit = |candidate: &&Labels| {
        slos.window(&objective.sli, candidate, from_ms, to_ms)
            .is_some_and(|window| is_trouble(objective, window.counts))
    };
    let groups = slos.groups(&objective.sli).filter(inside).filter(hit);
    groups
        .filter_map(|labels| TenantId::new(labels.get("tenant")?).ok())
        .collect()
}

/// The beginning and the end of the newest trouble, as edges of slices: going back from now, bad slices with pauses of
/// at most [`PAUSE_MS`] between them. Of a trouble whose beginning is known, only the end is looked for. `None` if there
/// is none. Cost: the slices from now back to the beginning, or to the end where the beginning is known.
fn trouble(since_ms: Option<i64>, now_ms: i64, is_bad: impl Fn(i64, i64) -> bool) -> Option<(i64, i64)> {
    let earliest_ms = match since_ms {
        Some(since_ms) => (since_ms - STEP_MS).max(now_ms - END_LOOK_BACK_MS),
        None => now_ms - LOOK_BACK_MS,
    };
    let mut edges: Option<(i64, i64)> = None;
    let mut slice_end = now_ms - now_ms.rem_euclid(STEP_MS) + STEP_MS;
    while slice_end > earliest_ms {
        let slice_start = slice_end - STEP_MS;
        if is_bad(slice_start, slice_end) {
            edges = match (edges, since_ms) {
                (None, Some(since_ms)) => return Some((since_ms.min(slice_start), slice_end.min(now_ms))),
                (None, None) => Some((slice_start, slice_end)),
                (Some((first, _)), _) if first - slice_end > PAUSE_MS => break,
                (Some((_, last)), _) => Some((slice_start, last)),
            };
        }
        slice_end = slice_start;
    }
    edges.map(|(first, last)| (first, last.min(now_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_begins_after_the_last_long_pause() {
        // Bad slices end at 20 s, 30 s, then a pause of five minutes, then 330 s and 350 s; now is 400 s.
        let slices = [20_000, 30_000, 330_000, 350_000];
        let is_bad = |from: i64, to: i64| slices.iter().any(|end| *end > from && *end <= to);
        assert_eq!(trouble(None, 400_000, is_bad), Some((320_000, 350_000)));
        assert_eq!(trouble(Some(10_000), 400_000, is_bad), Some((10_000, 350_000)));
        assert_eq!(trouble(None, 3_000_000, is_bad), None);
        assert_eq!(trouble(Some(360_001), 400_000, is_bad), None);
        // An instant of long ago costs no more than a day.
        let asked = std::cell::Cell::new(0);
        let never = |_, _| {
            asked.set(asked.get() + 1);
            false
        };
        assert_eq!(trouble(Some(0), 1_736_899_200_000, never), None);
        assert!(asked.get() <= 8_641, "{}", asked.get());
    }
}
