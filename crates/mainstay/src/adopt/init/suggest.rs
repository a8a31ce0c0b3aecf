//! Which target a history suggests: the tightest of the usual ones that it kept with a margin.

use mainstay_kernel::Ratio;
use mainstay_promql::Value;
use mainstay_remote::RemoteError;
use mainstay_remote::query::Client;

use super::found::{Durations, Requests};

/// The usual targets, the tightest first, in hundredths of a percent.
const TARGETS: [u64; 8] = [9_999, 9_995, 9_990, 9_950, 9_900, 9_800, 9_500, 9_000];
/// Where nothing was seen.
const UNSEEN: u64 = 9_900;
/// A history keeps a target with a margin if it spent no more of its budget than this part: a half.
const MARGIN: u64 = 2;
/// A budget of fewer events says nothing: one bad minute decides.
const BUDGET_MIN: u64 = 20;
const DAY_MS: i64 = 86_400_000;
/// How much history is looked at.
const HISTORY_DAYS: i64 = 30;

/// What happened, as the Prometheus computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evidence {
    /// On how many days anything did.
    pub(super) days: usize,
    /// How many events were bad.
    pub(super) bad: u64,
    /// How many there were.
    pub(super) total: u64,
}

/// A target, and what suggests it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// From 90 % to 99.99 %.
    pub(super) target: Ratio,
    /// What the history says of it.
    pub(super) basis: Basis,
    /// What happened.
    pub(super) evidence: Evidence,
}

/// What a history says of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// It kept it with a margin, and no tighter one.
    Kept,
    /// It kept none of the usual ones.
    NotKept,
    /// There was too little of it to say anything.
    TooLittle,
}

impl Evidence {
    /// The budget of a target, in ten-thousandths of an event.
    fn budget(self, target: u64) -> u128 {
        u128::from(10_000 - target) * u128::from(self.total)
    }

    fn has_margin(self, target: u64) -> bool {
        u128::from(self.bad) * 10_000 * u128::from(MARGIN) <= self.budget(target)
    }

    fn says_something(self, target: u64) -> bool {
        self.budget(target) >= u128::from(BUDGET_MIN) * 10_000
    }

    pub(super) fn suggests(self) -> Suggestion {
        let loosest = TARGETS[TARGETS.len() - 1];
        let kept = TARGETS
            .into_iter()
            .find(|target| self.has_margin(*target) && self.says_something(*target));
        let (target, basis) = match kept {
            Some(target) => (target, Basis::Kept),
            None if self.says_something(loosest) => (loosest, Basis::NotKept),
            None => (UNSEEN, Basis::TooLittle),
        };
        Suggestion {
            target: Ratio::new(target, 10_000).unwrap_or(Ratio::ZERO),
            basis,
            evidence: self,
        }
    }
}

/// What happened to requests, day by day: two requests, of at most 30 steps.
pub(super) async fn of_requests(
    client: &Client,
    requests: &Requests,
    now_ms: i64,
) -> Result<Suggestion, RemoteError> {
    let total = by_day(client, &format!("sum(increase({}[1d]))", requests.total), now_ms).await?;
    let bad = by_day(client, &format!("sum(increase({}[1d]))", requests.bad), now_ms).await?;
    let sum = |days: &[(Option<String>, Vec<f64>)]| days.iter().flat_map(|(_, days)| days).sum::<f64>();
    let evidence = Evidence {
        days: total.iter().map(|(_, days)| days.len()).max().unwrap_or(0),
        bad: events(sum(&bad)),
        total: events(sum(&total)),
    };
    Ok(evidence.suggests())
}

/// Which bucket suggests itself as a latency, as its label `le` has it: the smallest whose history keeps 99 %, else the
/// largest.
pub(super) async fn of_durations(
    client: &Client,
    durations: &Durations,
    now_ms: i64,
) -> Result<Option<(String, Suggestion)>, RemoteError> {
    let query = format!(
        "sum by (le) (increase({}{{{}}}[1d]))",
        durations.bucket, durations.matcher
    );
    let edges = by_day(client, &query, now_ms).await?;
    let mut counts: Vec<(f64, String, u64, usize)> = edges
        .into_iter()
        .filter_map(|(le, days)| {
            let le = le?;
            Some((le.parse::<f64>().ok()?, le, events(days.iter().sum()), days.len()))
        })
        .collect();
    counts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((_, _, total, days)) = counts.last().filter(|last| last.0.is_infinite()).cloned() else {
        return Ok(None);
    };
    let suggested = counts
        .iter()
        .filter(|edge| edge.0.is_finite())
        .map(|(_, le, good, _)| {
            let evidence = Evidence {
                days,
                bad: total.saturating_sub(*good),
                total,
            };
            (le.clone(), evidence)
        });
    let all: Vec<(String, Evidence)> = suggested.collect();
    let chosen = all
        .iter()
        .find(|(_, evidence)| evidence.has_margin(UNSEEN))
        .or(all.last());
    Ok(chosen.map(|(le, evidence)| (le.clone(), evidence.suggests())))
}

/// The values of each day of the history, by the label `le`.
async fn by_day(
    client: &Client,
    query: &str,
    now_ms: i64,
) -> Result<Vec<(Option<String>, Vec<f64>)>, RemoteError> {
    let start_ms = now_ms - (HISTORY_DAYS - 1) * DAY_MS;
    let answer = client.range(query, start_ms, now_ms, DAY_MS).await?;
    let Value::Matrix(series) = answer.value else {
        return Ok(Vec::new());
    };
    let days = |series: mainstay_promql::Series| {
        let values = series.samples.iter().map(|(_, value)| *value);
        let values = values
            .filter(|value| value.is_finite() && *value >= 0.0)
            .collect();
        (series.labels.get("le").map(str::to_owned), values)
    };
    Ok(series.into_iter().map(days).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and of an extrapolated count"
)]
fn events(count: f64) -> u64 {
    count.round().min(9e15) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_target_that_was_kept_with_a_margin() {
        let told = |bad, total| {
            let suggestion = Evidence { days: 30, bad, total }.suggests();
            (suggestion.target.to_string(), suggestion.basis)
        };
        let target = |text: &str, basis| (text.to_owned(), basis);
        assert_eq!(told(0, 10_000_000), target("0.9999", Basis::Kept));
        // Half of the budget of 99.95 % of a million is 250.
        assert_eq!(told(250, 1_000_000), target("0.9995", Basis::Kept));
        assert_eq!(told(251, 1_000_000), target("0.999", Basis::Kept));
        // 2,000 requests leave no budget that says anything above 99 %.
        assert_eq!(told(0, 2_000), target("0.99", Basis::Kept));
        assert_eq!(told(300_000, 1_000_000), target("0.9", Basis::NotKept));
        assert_eq!(told(0, 3), target("0.99", Basis::TooLittle));
        assert_eq!(told(0, 0), target("0.99", Basis::TooLittle));
    }
}
