//! Objectives and their error budgets, in integers.

use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, Ratio, Scope, ServiceId, SloId};

use crate::burn::{BurnPolicy, window_text};
use crate::error::SloError;
use crate::exact::{compare_products, most_below, most_up_to, reduced};
use crate::floor::TrafficFloor;
use crate::slice::{Budgeting, Unit};
use crate::tally::Counts;
use crate::window::Window;

/// Who was promised it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// Ourselves: a service level objective.
    Objective,
    /// Customers, by contract: a service level agreement.
    Agreement,
}

/// A promise about an indicator.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Its id.
    pub id: SloId,
    /// What people call it.
    pub display_name: String,
    /// What is promised, in a sentence.
    pub description: String,
    /// Whose service.
    pub service: Option<ServiceId>,
    /// The indicator that it is about.
    pub sli: String,
    /// What spends its budget.
    pub budgeting: Budgeting,
    /// The least share of good events; at least 0 and below 1.
    pub target: Ratio,
    /// Over which time.
    pub window: Window,
    /// The labels by which it is judged, a subset of the indicator's: one budget and one set of alerts per group.
    pub group_by: Vec<String>,
    /// To whom.
    pub promise: Promise,
    /// When its budget changes its name.
    pub budget: BudgetPolicy,
    /// When it alerts.
    pub burn: BurnPolicy,
    /// Labels that its alerts carry besides, such as `team`.
    pub labels: Labels,
    /// The runbook that its alerts name.
    pub runbook: Option<String>,
    /// How little traffic alerts, if that does.
    pub traffic_floor: Option<TrafficFloor>,
    /// The indicator of the probes that look at the same from outside.
    pub probes: Option<String>,
}

impl Objective {
    /// Checks what no document schema can.
    ///
    /// # Errors
    /// If the target leaves no budget, or a burn-rate threshold cannot be reached.
    pub fn check(&self) -> Result<(), SloError> {
        let (target, budget) = (self.target, error_share(self.target));
        if target >= Ratio::ONE {
            return Err(SloError::BadTarget {
                slo: self.id.to_string(),
                target: target.to_string(),
            });
        }
        self.budgeting.check(self.id.as_str())?;
        self.check_windows(self.budgeting)?;
        for pair in &self.burn.pairs {
            let reach = [pair.factor.numerator(), budget.numerator()];
            let whole = [pair.factor.denominator(), budget.denominator()];
            if compare_products(&reach, &whole).is_ge() {
                return Err(SloError::UnreachableBurn {
                    slo: self.id.to_string(),
                    factor: pair.factor.to_string(),
                    target: target.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// The labels of groups that are places of the platform.
const PLACES: [&str; 2] = ["cell", "region"];

impl Objective {
    /// The group that a part of the platform is, as far as the objective is judged by its labels.
    #[must_use]
    pub fn group_of(&self, scope: &Scope) -> Labels {
        group_of(&self.group_by, scope)
    }

    /// The labels among those that it is judged by that say where something runs.
    #[must_use]
    pub fn place_labels(&self) -> Vec<String> {
        let labels = self.group_by.iter();
        labels
            .filter(|label| PLACES.contains(&label.as_str()))
            .cloned()
            .collect()
    }
}

/// The group, of groups by these labels, that a part of the platform is.
pub(crate) fn group_of(labels: &[String], scope: &Scope) -> Labels {
    let value = |name: &str| match name {
        "cell" => scope.cell.as_ref().map(ToString::to_string),
        "tenant" => scope.tenant.as_ref().map(ToString::to_string),
        "region" => scope.region.as_ref().map(ToString::to_string),
        _ => None,
    };
    let labels = labels.iter();
    labels
        .filter_map(|name| Some((name.clone(), value(name)?)))
        .collect()
}

impl Objective {
    /// Checks that every window that it alerts on holds a whole slice of what is measured by.
    pub(crate) fn check_windows(&self, budgeting: Budgeting) -> Result<(), SloError> {
        let Some(width_ms) = budgeting.width_ms() else {
            return Ok(());
        };
        match self.burn.pairs.iter().find(|pair| pair.short_ms < width_ms) {
            Some(pair) => Err(SloError::WindowBelowSlice {
                slo: self.id.to_string(),
                window: window_text(pair.short_ms),
                slice: window_text(width_ms),
            }),
            None => Ok(()),
        }
    }
}

/// The share of events that may be bad: one less the target.
pub(crate) fn error_share(target: Ratio) -> Ratio {
    target.complement().unwrap_or(Ratio::ZERO)
}

/// At which share of the budget its state changes (ruling R7). A state turns worse at once, and better only when
/// `hysteresis` more than its threshold is left, so that a budget at an edge does not flap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Below this share left it is a warning.
    pub warning_below: Ratio,
    /// Below this share left it is critical.
    pub critical_below: Ratio,
    /// How much more than a threshold must be left before the state turns better.
    pub hysteresis: Ratio,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        let percent = |n| Ratio::new(n, 100).unwrap_or(Ratio::ZERO);
        Self {
            warning_below: percent(50),
            critical_below: percent(20),
            hysteresis: percent(2),
        }
    }
}

impl BudgetPolicy {
    /// What must be left at least in each state but the worst, best first.
    fn edges(self) -> [(BudgetState, Ratio); 3] {
        [
            (BudgetState::Healthy, self.warning_below),
            (BudgetState::Warning, self.critical_below),
            (BudgetState::Critical, Ratio::ZERO),
        ]
    }

    /// The most of `total` or more events that may be bad without a doubt that a budget's state is no worse than this.
    /// `None` where there is no such number or it does not fit 128 bits.
    pub(crate) fn most_bad(self, state: BudgetState, total: u64, target: Ratio) -> Option<u64> {
        if state == BudgetState::Exhausted {
            return Some(u64::MAX);
        }
        let budget = error_share(target);
        let (allowed, unit) = ([total, budget.numerator()], budget.denominator());
        let mut most = most_below(&allowed, &[unit])?;
        for (_, share) in self.edges().into_iter().filter(|(other, _)| *other >= state) {
            let rest = share.complement()?;
            let limit = [allowed[0], allowed[1], rest.numerator()];
            most = most.min(most_up_to(&limit, &[unit, rest.denominator()])?);
        }
        Some(most)
    }

    /// The most events of which `bad` or more are bad without a doubt that a budget in this state turns no better. `None`
    /// as above.
    pub(crate) fn most_total(self, state: BudgetState, bad: u64, target: Ratio) -> Option<u64> {
        if state == BudgetState::Healthy {
            return Some(u64::MAX);
        }
        // Where none is bad everything is left.
        if bad == 0 {
            return None;
        }
        let better = self.edges().into_iter().filter(|(other, _)| *other < state);
        let least_left = better.map(|(_, edge)| sum(edge, self.hysteresis)).min()?;
        let (budget, rest) = (error_share(target), least_left.complement()?);
        let limit = [bad, budget.denominator(), rest.denominator()];
        most_below(&limit, &[budget.numerator(), rest.numerator()])
    }
}

/// An error budget over a window: what may go wrong, and what did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Budget {
    /// The least share of good events.
    pub target: Ratio,
    /// The length of the whole window in milliseconds.
    pub window_ms: i64,
    /// What was counted in it.
    pub counts: Counts,
    /// What the counts are in.
    pub unit: Unit,
    /// How much more there will be of the same in the window: the time slices that end between now and its end. 0 where
    /// that is unknown, as for events.
    pub to_come: u64,
}

impl Budget {
    /// What the budget is a share of: all that was counted, and what is known to come.
    fn whole(&self) -> u64 {
        self.counts.total.saturating_add(self.to_come)
    }

    /// How many events may be bad of those counted, or slices of those that the window has: `floor((1 − target) × total)`.
    /// Slices that were not seen are in neither.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        error_share(self.target).floor_of(self.whole())
    }

    /// How many more events may be bad; negative where more were bad than may be.
    #[must_use]
    pub fn remaining(&self) -> i128 {
        i128::from(self.allowed()) - i128::from(self.counts.bad)
    }

    /// The share of good events, or `None` without events.
    #[must_use]
    pub fn good_share(&self) -> Option<Ratio> {
        Ratio::new(
            self.counts.total.saturating_sub(self.counts.bad),
            self.counts.total,
        )
        .ok()
    }

    /// The share of the budget that is spent, exact: `bad / ((1 − target) × total)`. 0 without events; `None` where
    /// the fraction does not fit 64 bits.
    #[must_use]
    pub fn spent_share(&self) -> Option<Ratio> {
        if self.counts.bad == 0 {
            return Some(Ratio::ZERO);
        }
        let budget = error_share(self.target);
        reduced(
            u128::from(self.counts.bad) * u128::from(budget.denominator()),
            u128::from(budget.numerator()) * u128::from(self.whole()),
        )
    }

    /// The share of the budget that is left, as a percentage with one digit, rounded towards what was spent:
    /// `35.8%`, or `-4.0%` when overspent.
    #[must_use]
    pub fn left_percent(&self) -> String {
        let Some(spent) = self.spent_share() else {
            return "unknown".to_owned();
        };
        let spent_tenths = (u128::from(spent.numerator()) * 1_000).div_ceil(u128::from(spent.denominator()));
        let left = 1_000 - i128::try_from(spent_tenths).unwrap_or(i128::MAX / 2);
        let sign = if left < 0 { "-" } else { "" };
        format!("{sign}{}.{}%", left.unsigned_abs() / 10, left.unsigned_abs() % 10)
    }

    /// How the budget stands, for a sentence: `35.8% of the budget is left`, `the budget is spent 11.2 times over`.
    #[must_use]
    pub fn words(&self) -> String {
        match self.spent_share() {
            Some(spent) if spent > Ratio::ONE => {
                let tenths = u128::from(spent.numerator()) * 10 / u128::from(spent.denominator());
                format!("the budget is spent {}.{} times over", tenths / 10, tenths % 10)
            }
            _ => format!("{} of the budget is left", self.left_percent()),
        }
    }

    /// The whole budget in minutes of total outage: `(1 − target) × window`, exact (ruling R3: 22.32 minutes for
    /// 99.95 % of 31 days).
    #[must_use]
    pub fn minutes(&self) -> Option<Ratio> {
        let budget = error_share(self.target);
        reduced(
            u128::from(self.window_ms.unsigned_abs()) * u128::from(budget.numerator()),
            60_000 * u128::from(budget.denominator()),
        )
    }

    /// The spent budget in minutes of total outage, exact: the bad slices themselves, or the window times the share of bad
    /// events.
    #[must_use]
    pub fn spent_minutes(&self) -> Option<Ratio> {
        if matches!(self.unit, Unit::Slices { .. } | Unit::SliceMillionths { .. }) {
            return self.unit.amount(self.counts.bad);
        }
        if self.counts.total == 0 {
            return Some(Ratio::ZERO);
        }
        reduced(
            u128::from(self.window_ms.unsigned_abs()) * u128::from(self.counts.bad),
            60_000 * u128::from(self.counts.total),
        )
    }

    /// Whether the promise is kept by what was counted: `bad ≤ (1 − target) × total`.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_left(Ratio::ZERO)
    }

    /// Whether at least this share of the budget is left. Without events all of it is.
    #[must_use]
    pub fn is_left(&self, share: Ratio) -> bool {
        if self.counts.bad == 0 {
            return share <= Ratio::ONE;
        }
        let Some(rest) = share.complement() else {
            return false;
        };
        // bad / (budget × total) ≤ 1 − share, without a division.
        let budget = error_share(self.target);
        let spent = [self.counts.bad, budget.denominator(), rest.denominator()];
        let limit = [budget.numerator(), self.whole(), rest.numerator()];
        compare_products(&spent, &limit).is_le()
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let budget = error_share(self.target);
        self.counts.bad > 0
            && compare_products(
                &[self.counts.bad, budget.denominator()],
                &[budget.numerator(), self.whole()],
            )
            .is_ge()
    }

    /// The state by the thresholds alone.
    #[must_use]
    pub fn plain_state(&self, policy: BudgetPolicy) -> BudgetState {
        if self.is_exhausted() {
            BudgetState::Exhausted
        } else if !self.is_left(policy.critical_below) {
            BudgetState::Critical
        } else if !self.is_left(policy.warning_below) {
            BudgetState::Warning
        } else {
            BudgetState::Healthy
        }
    }

    /// The state after `before` in the same window: worse at once, better only past the hysteresis.
    #[must_use]
    pub fn state_after(&self, before: BudgetState, policy: BudgetPolicy) -> BudgetState {
        let plain = self.plain_state(policy);
        if before == BudgetState::Unknown || plain >= before {
            return plain;
        }
        // The best state whose lower edge is passed by the hysteresis, but none worse than it was.
        policy
            .edges()
            .into_iter()
            .find(|(state, edge)| {
                *state >= plain && *state < before && self.is_left(sum(*edge, policy.hysteresis))
            })
            .map_or(before, |(state, _)| state)
    }
}

/// `a + b`, at most 1.
fn sum(a: Ratio, b: Ratio) -> Ratio {
    let wide = |ratio: Ratio| (u128::from(ratio.numerator()), u128::from(ratio.denominator()));
    let ((an, ad), (bn, bd)) = (wide(a), wide(b));
    reduced(an * bd + bn * ad, ad * bd).map_or(Ratio::ONE, |sum| sum.min(Ratio::ONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn budget(bad: u64, total: u64) -> Budget {
        Budget {
            target: "99.95%".parse().expect("a target"),
            window_ms: 30 * DAY_MS,
            counts: Counts { bad, total },
            unit: Unit::Events,
            to_come: 0,
        }
    }

    #[test]
    fn the_measured_incidents_spend_what_was_counted() {
        // 550 requests/s on average for 30 days (1.426 G) at 99.95 %: 457,297 bad at the peak, 174,103 at the trough.
        let peak = budget(457_297, 1_425_600_000);
        assert_eq!(peak.allowed(), 712_800);
        assert_eq!(peak.remaining(), 255_503);
        assert_eq!(
            peak.spent_share().map(|share| share.percent(1)),
            Some("64.2%".to_owned())
        );
        let trough = budget(174_103, 1_425_600_000);
        assert_eq!(
            trough.spent_share().map(|share| share.percent(1)),
            Some("24.4%".to_owned())
        );
        assert_eq!(trough.left_percent(), "75.5%");
    }

    #[test]
    fn minutes_follow_the_real_month() {
        for (days, minutes) in [(28, "20.16"), (29, "20.88"), (30, "21.6"), (31, "22.32")] {
            let month = Budget {
                window_ms: days * DAY_MS,
                ..budget(0, 0)
            };
            assert_eq!(
                month.minutes().map(|minutes| minutes.to_string()),
                Some(minutes.to_owned())
            );
        }
        assert_eq!(
            budget(1, 4).spent_minutes().map(|minutes| minutes.to_string()),
            Some("10800".to_owned())
        );
    }

    #[test]
    fn states_change_at_the_thresholds_of_the_ruling() {
        let state = |bad| budget(bad, 2_000_000).plain_state(BudgetPolicy::default());
        assert_eq!(state(500), BudgetState::Healthy, "exactly half is left");
        assert_eq!(state(501), BudgetState::Warning);
        assert_eq!(state(800), BudgetState::Warning, "exactly a fifth is left");
        assert_eq!(state(801), BudgetState::Critical);
        assert_eq!(state(999), BudgetState::Critical);
        assert_eq!(state(1_000), BudgetState::Exhausted);
        assert!(
            budget(1_000, 2_000_000).is_kept(),
            "nothing left, but the promise is kept"
        );
        assert!(!budget(1_001, 2_000_000).is_kept());
        assert_eq!(budget(1_001, 2_000_000).left_percent(), "-0.1%");
        assert_eq!(
            budget(0, 0).plain_state(BudgetPolicy::default()),
            BudgetState::Healthy
        );
    }

    #[test]
    fn a_state_turns_better_only_past_the_hysteresis() {
        let after = |bad, before| budget(bad, 2_000_000).state_after(before, BudgetPolicy::default());
        assert_eq!(after(500, BudgetState::Warning), BudgetState::Warning);
        assert_eq!(after(480, BudgetState::Warning), BudgetState::Healthy);
        assert_eq!(after(990, BudgetState::Exhausted), BudgetState::Exhausted);
        assert_eq!(after(980, BudgetState::Exhausted), BudgetState::Critical);
        assert_eq!(after(490, BudgetState::Exhausted), BudgetState::Warning);
        assert_eq!(after(10, BudgetState::Exhausted), BudgetState::Healthy);
        assert_eq!(after(1_200, BudgetState::Healthy), BudgetState::Exhausted);
        assert_eq!(after(900, BudgetState::Unknown), BudgetState::Critical);
    }
}
