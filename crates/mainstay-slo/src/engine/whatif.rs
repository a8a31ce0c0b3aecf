//! What if a target were another, by the counts that are kept.

use jiff::Timestamp;
use mainstay_kernel::{Labels, Ratio, SloId};

use super::SloEngine;
use crate::burn::{BurnPair, BurnReading};
use crate::error::SloError;
use crate::objective::Budget;
use crate::prefix::{FINE_KEEP_MS, MINUTE_KEEP_MS, SLICE_MS};
use crate::window::Bounds;

/// The width of the slices that are kept for four days, in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// The most pages that are listed of a target.
const PAGES_MAX: usize = 1_000;

/// What another target would have meant in a stretch of time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WhatIf {
    /// The edges of slices between which was counted.
    pub counted: Bounds,
    /// Since when pages are known: slices of 10 s are kept for 7 hours and of 1 minute for 4 days, and what is kept more
    /// coarsely says nothing about them. In milliseconds since the epoch.
    pub pages_from_ms: i64,
    /// Each target, in the order asked.
    pub targets: Vec<TargetWhatIf>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TargetWhatIf {
    /// The budget of the stretch, exact.
    pub budget: Budget,
    /// The burn-rate alerts that it would have raised.
    pub pages: Vec<WhatIfPage>,
    /// Further ones, for want of room.
    pub left_out: usize,
}

/// One alert that would have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct WhatIfPage {
    /// The pair that fires.
    pub pair: BurnPair,
    /// When it began, in milliseconds since the epoch.
    pub from_ms: i64,
    /// When it was over; none: not by the end.
    pub to_ms: Option<i64>,
    /// How exact these instants are, in milliseconds: the width of the slices.
    pub within_ms: i64,
}

impl SloEngine {
    /// Judges what was counted in a group after `from_ms` up to `to_ms` by other targets. `None` if there is no such
    /// objective or group. Cost: about 6,000 instants with two windows for each pair, and their judgement for each target.
    ///
    /// # Errors
    /// If a target is not below 1.
    pub fn what_if(
        &self,
        slo: &SloId,
        group: &Labels,
        targets: &[Ratio],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<WhatIf>, SloError> {
        if let Some(bad) = targets.iter().find(|target| **target >= Ratio::ONE) {
            return Err(SloError::BadTarget {
                slo: slo.to_string(),
                target: bad.to_string(),
            });
        }
        let Some(judge) = self.judge_of(slo) else {
            return Ok(None);
        };
        let sli = &self.slis[judge.sli];
        let Some(node) = sli.by_group.get(group).map(|node| &sli.nodes[*node as usize]) else {
            return Ok(None);
        };
        let at = |t_ms| Timestamp::from_millisecond(t_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let view = judge.view(&self.slis, node, at(to_ms));
        let (counted, counts) = view.counted_without(&judge.excluded, from_ms, to_ms);
        let newest_ms = view.last_ms().unwrap_or(to_ms);
        // By the whole of the tiers, which are thinned out once an hour, on edges of a quarter of one.
        let kept_ms = |keep_ms: i64| newest_ms - keep_ms + 2 * 3_600_000;
        let (fine_ms, minutes_ms) = (kept_ms(FINE_KEEP_MS), kept_ms(MINUTE_KEEP_MS));
        let longest_ms = judge.objective.burn.pairs.iter().map(|pair| pair.short_ms).max();
        let pages_from_ms = from_ms.max(minutes_ms + longest_ms.unwrap_or(0));
        let mut found: Vec<Vec<WhatIfPage>> = vec![Vec::new(); targets.len()];
        for pair in &judge.objective.burn.pairs {
            let mut since: Vec<Option<(i64, i64)>> = vec![None; targets.len()];
            let mut at_ms = pages_from_ms;
            while at_ms <= to_ms.min(newest_ms) {
                let width_ms = if at_ms - pair.short_ms >= fine_ms {
                    SLICE_MS
                } else {
                    MINUTE_MS
                };
                at_ms += width_ms - at_ms.rem_euclid(width_ms);
                let read = judge.view(&self.slis, node, at(at_ms)).read(*pair, None);
                for ((target, since), found) in targets.iter().zip(&mut since).zip(&mut found) {
                    let reading = BurnReading {
                        firing_since_ms: since.map(|(since_ms, _)| since_ms),
                        ..read
                    };
                    match *since {
                        None if reading.starts(*target) => *since = Some((at_ms, width_ms)),
                        Some((begun_ms, within_ms)) if reading.ends(*target) => {
                            *since = None;
                            found.push(WhatIfPage {
                                pair: *pair,
                                from_ms: begun_ms,
                                to_ms: Some(at_ms),
                                within_ms,
                            });
                        }
                        _ => {}
                    }
                }
            }
            for (since, found) in since.into_iter().zip(&mut found) {
                found.extend(since.map(|(begun_ms, within_ms)| WhatIfPage {
                    pair: *pair,
                    from_ms: begun_ms,
                    to_ms: None,
                    within_ms,
                }));
            }
        }
        let window_ms = judge.objective.window.bounds(at(to_ms)).length_ms();
        let targets = targets.iter().zip(found).map(|(target, mut pages)| {
            pages.sort_by_key(|page| page.from_ms);
            let left_out = pages.len().saturating_sub(PAGES_MAX);
            pages.truncate(PAGES_MAX);
            TargetWhatIf {
                budget: Budget {
                    target: *target,
                    window_ms,
                    counts,
                    unit: view.unit(),
                    to_come: view.to_come(counted.end_ms),
                },
                pages,
                left_out,
            }
        });
        Ok(Some(WhatIf {
            counted,
            pages_from_ms,
            targets: targets.collect(),
        }))
    }
}
