//! Multi-window burn-rate alerts, after chapter 5 of the Site Reliability Workbook.
//!
//! A pair fires at once when in its long *and* in its short window more than `factor` times the budget's steady rate is
//! burnt: `bad / total > factor × (1 − target)`, compared as integers. There is no pending time: the long window is the
//! patience. It resolves when the short window is below again.
//!
//! What is not enough to go by: a pair never fires on fewer than [`BurnPair::min_bad`] bad events in its long window
//! (one failure of a quiet tenant is no outage), be they budgeted as events or as time slices; one that pages does not
//! fire on as many as a service that just keeps its promise has by chance (less than one in ten million); while the group is
//! blind nothing fires and nothing resolves; and a
//! short window without any event is no recovery as long as the long window still burns.

use std::cmp::Ordering;

use mainstay_kernel::{Ratio, Severity};

use crate::exact::{compare_products, most_below, most_up_to, small_product};
use crate::objective::error_share;
use crate::tally::Counts;

/// One pair of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct BurnPair {
    /// How many times faster than the budget allows.
    pub factor: Ratio,
    /// Whether the factor itself fires already (OpenSLO's `gte`), and not only more than it (`gt`).
    pub inclusive: bool,
    /// The long window, in milliseconds.
    pub long_ms: i64,
    /// The short window, in milliseconds.
    pub short_ms: i64,
    /// How bad it is when it fires.
    pub severity: Severity,
    /// The fewest bad events in the long window, also where time slices are budgeted. A finished ratio does not say how
    /// many events were bad: there it is not asked.
    pub min_bad: u64,
}

impl BurnPair {
    /// Whether `counts` burn as fast as the pair minds. No events burn nothing.
    #[must_use]
    pub fn burns(&self, counts: Counts, target: Ratio) -> bool {
        match compare_burn(counts, target, self.factor) {
            Ordering::Greater => true,
            Ordering::Equal => self.inclusive && counts.total > 0,
            Ordering::Less => false,
        }
    }

    /// The most of `total` or more events that may be bad in a window that surely does not burn. `None` where that does not
    /// fit 128 bits.
    pub(crate) fn most_bad(&self, total: u64, target: Ratio) -> Option<u64> {
        let budget = error_share(target);
        let limit = [total, budget.numerator(), self.factor.numerator()];
        let unit = [budget.denominator(), self.factor.denominator()];
        if self.inclusive {
            // Of no events or no budget, not even none bad.
            small_product(&limit).filter(|limit| *limit > 0)?;
            most_below(&limit, &unit)
        } else {
            most_up_to(&limit, &unit)
        }
    }

    /// The same of the long window, which must have some bad events.
    pub(crate) fn most_bad_long(&self, total: u64, target: Ratio) -> Option<u64> {
        let too_few = self.min_bad.max(1) - 1;
        Some(
            self.most_bad(total, target)
                .map_or(too_few, |most| most.max(too_few)),
        )
    }

    /// The most events of which `bad` or more are bad in a window that surely burns. `None` where there are none or that does
    /// not fit 128 bits.
    pub(crate) fn most_total(&self, bad: u64, target: Ratio) -> Option<u64> {
        let budget = error_share(target);
        let limit = [bad, budget.denominator(), self.factor.denominator()];
        most_below(&limit, &[budget.numerator(), self.factor.numerator()]).filter(|most| *most > 0)
    }
}

/// When an objective alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnPolicy {
    /// The pairs that are on; empty: no alerts.
    pub pairs: Vec<BurnPair>,
}

/// The fewest bad events in the long window, unless a policy says otherwise.
pub const MIN_BAD_DEFAULT: u64 = 5;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

impl BurnPolicy {
    /// No alerts.
    #[must_use]
    pub fn off() -> Self {
        Self { pairs: Vec::new() }
    }

    /// The four pairs of the workbook. 14.4 times (2 % of a 30-day budget in an hour) is P0 and 6 times (5 % in six
    /// hours) P1: both page. 3 times (10 % in a day) is P2 and once (10 % in three days) P3: tickets.
    #[must_use]
    pub fn workbook() -> Self {
        let pair = |tenths, long_ms, short_ms, severity| BurnPair {
            factor: Ratio::new(tenths, 10).unwrap_or(Ratio::ONE),
            inclusive: false,
            long_ms,
            short_ms,
            severity,
            min_bad: MIN_BAD_DEFAULT,
        };
        Self {
            pairs: vec![
                pair(144, HOUR_MS, 5 * MINUTE_MS, Severity::P0),
                pair(60, 6 * HOUR_MS, 30 * MINUTE_MS, Severity::P1),
                pair(30, DAY_MS, 2 * HOUR_MS, Severity::P2),
                pair(10, 3 * DAY_MS, 6 * HOUR_MS, Severity::P3),
            ],
        }
    }

    /// Only the workbook's pairs of these factors.
    #[must_use]
    pub fn workbook_only(factors: &[Ratio]) -> Self {
        let mut policy = Self::workbook();
        policy.pairs.retain(|pair| factors.contains(&pair.factor));
        policy
    }
}

impl Default for BurnPolicy {
    fn default() -> Self {
        Self::workbook()
    }
}

/// `bad / total` against `factor × (1 − target)`, as integers.
fn compare_burn(counts: Counts, target: Ratio, factor: Ratio) -> Ordering {
    let budget = error_share(target);
    compare_products(
        &[counts.bad, budget.denominator(), factor.denominator()],
        &[counts.total, budget.numerator(), factor.numerator()],
    )
}

/// Whether a service that spends just its budget has so many bad events now and then.
fn is_chance(counts: Counts, target: Ratio) -> bool {
    let budget = error_share(target);
    let expected = u128::from(counts.total) * u128::from(budget.numerator());
    let denominator = u128::from(budget.denominator());
    let millionths = expected.saturating_mul(1_000_000).div_ceil(denominator);
    !crate::chance::too_many(counts.bad, millionths)
}

/// How many times the budget's rate `counts` burn, exact: `bad / (total × (1 − target))`. `None` without events.
#[must_use]
pub fn burn_rate(counts: Counts, target: Ratio) -> Option<Ratio> {
    let budget = error_share(target);
    crate::exact::reduced(
        u128::from(counts.bad) * u128::from(budget.denominator()),
        u128::from(counts.total) * u128::from(budget.numerator()),
    )
}

/// What one pair reads now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct BurnReading {
    /// The pair.
    pub pair: BurnPair,
    /// Counts of the long window.
    pub long: Counts,
    /// Counts of the short window.
    pub short: Counts,
    /// How many events were bad in the long window, whatever the counts are in; `None` where only their share is known.
    pub bad_events: Option<u64>,
    /// Since when it fires, in milliseconds since the epoch.
    pub firing_since_ms: Option<i64>,
}

/// What keeps a pair from firing though both of its windows burn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// Fewer bad events in the long window than [`BurnPair::min_bad`].
    TooFew,
    /// As many as a service that just keeps its promise has now and then.
    Chance,
}

impl BurnReading {
    /// Whether it should start to fire.
    #[must_use]
    pub fn starts(&self, target: Ratio) -> bool {
        self.both_burn(target) && self.held_back(target).is_none()
    }

    /// Why it does not fire, where both of its windows burn.
    #[must_use]
    pub fn held_back(&self, target: Ratio) -> Option<HeldBack> {
        if !self.both_burn(target) {
            None
        } else if self.is_too_few() {
            Some(HeldBack::TooFew)
        } else if self.pair.severity.pages() && self.counts_events() && is_chance(self.long, target) {
            Some(HeldBack::Chance)
        } else {
            None
        }
    }

    fn both_burn(&self, target: Ratio) -> bool {
        self.pair.burns(self.long, target) && self.pair.burns(self.short, target)
    }

    fn is_too_few(&self) -> bool {
        self.bad_events.is_some_and(|bad| bad < self.pair.min_bad.max(1))
    }

    /// Whether its counts are events. Of time slices and of shares chance says nothing: what fails in one slice fails for one
    /// reason.
    fn counts_events(&self) -> bool {
        self.bad_events == Some(self.long.bad)
    }

    /// Whether its long window alone would have it.
    pub(crate) fn long_starts(&self, target: Ratio) -> bool {
        !self.is_too_few() && self.pair.burns(self.long, target)
    }

    /// Whether it is over.
    #[must_use]
    pub fn ends(&self, target: Ratio) -> bool {
        let silent = self.short.total == 0 && self.pair.burns(self.long, target);
        !self.pair.burns(self.short, target) && !silent
    }
}

/// A window's length as Prometheus writes it: `5m`, `6h`, `3d`.
#[must_use]
pub fn window_text(ms: i64) -> String {
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (1_000, "s")];
    units
        .into_iter()
        .find(|(unit, _)| ms >= *unit && ms % unit == 0)
        .map_or_else(
            || format!("{ms}ms"),
            |(unit, name)| format!("{}{name}", ms / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_itself_fires_only_where_it_is_meant_to() {
        let target: Ratio = "99.95%".parse().expect("a target");
        let above = BurnPolicy::workbook().pairs[0];
        let from = BurnPair {
            inclusive: true,
            ..above
        };
        // 14.4 × 0.0005 = 0.0072: 72 of 10,000 is the edge.
        let edge = Counts {
            bad: 72,
            total: 10_000,
        };
        assert!(!above.burns(edge, target) && from.burns(edge, target));
        assert!(above.burns(Counts { bad: 73, ..edge }, target));
        assert!(!above.burns(Counts::default(), target) && !from.burns(Counts::default(), target));
        assert_eq!(burn_rate(edge, target), Some(above.factor));
    }

    #[test]
    fn the_pairs_are_the_workbooks() {
        let texts: Vec<String> = BurnPolicy::workbook()
            .pairs
            .iter()
            .map(|pair| {
                format!(
                    "{} {} {} {}",
                    pair.factor,
                    window_text(pair.long_ms),
                    window_text(pair.short_ms),
                    pair.severity
                )
            })
            .collect();
        assert_eq!(
            texts,
            ["14.4 1h 5m P0", "6 6h 30m P1", "3 1d 2h P2", "1 3d 6h P3"]
        );
    }

    #[test]
    fn what_burns_and_does_not_fire_says_why() {
        let target: Ratio = "99.9%".parse().expect("a target");
        let reading = |bad, total| {
            let counts = Counts { bad, total };
            BurnReading {
                pair: BurnPolicy::workbook().pairs[0],
                long: counts,
                short: counts,
                bad_events: Some(bad),
                firing_since_ms: None,
            }
        };
        for (bad, total, why) in [
            (0, 100, None),
            (4, 100, Some(HeldBack::TooFew)),
            (5, 345, Some(HeldBack::Chance)),
            (50, 100, None),
        ] {
            let reading = reading(bad, total);
            assert_eq!(reading.held_back(target), why, "{bad} of {total}");
            assert_eq!(reading.starts(target), bad == 50, "{bad} of {total}");
        }
    }

    #[test]
    fn silence_is_no_recovery_while_the_hour_still_burns() {
        let target: Ratio = "99.9%".parse().expect("a target");
        let reading = |long, short| BurnReading {
            pair: BurnPolicy::workbook().pairs[0],
            long,
            short,
            bad_events: Some(long.bad),
            firing_since_ms: Some(0),
        };
        let burning = Counts {
            bad: 50,
            total: 1_000,
        };
        let calm = Counts { bad: 0, total: 1_000 };
        assert!(!reading(burning, Counts::default()).ends(target));
        assert!(reading(burning, calm).ends(target));
        assert!(reading(calm, Counts::default()).ends(target));
        assert!(!reading(Counts { bad: 1, total: 1 }, Counts { bad: 1, total: 1 }).starts(target));
    }
}
