//! Objectives and their counts, in words.

use mainstay_kernel::Ratio;
use mainstay_slo::burn::window_text;
use mainstay_slo::completion::Completion;
use mainstay_slo::{Budget, Budgeting, Events, Marked, Member, Objective, SliDefinition};
use mainstay_web::view::{Amounts, Share};

/// What is counted, and what of it is bad.
pub(super) fn definition(objective: &Objective, sli: &SliDefinition) -> String {
    let selectors = |list: &[mainstay_slo::selector::Selector]| {
        list.iter()
            .map(|selector| format!("`{selector}`"))
            .collect::<Vec<_>>()
            .join(" or ")
    };
    let counted = match &sli.events {
        Events::Counters(counters) => {
            let marked = selectors(&counters.marked_by);
            let marked = match counters.marked {
                Marked::Bad => format!("bad are those of {marked}"),
                Marked::Good => format!("good are those of {marked}, bad all others"),
            };
            format!("Events are counted by {}; {marked}.", selectors(&counters.total))
        }
        Events::Histograms(one) => format!(
            "Every observation of the native histograms {} is an event; good are those {}.",
            selectors(&one.histograms),
            one.good
        ),
        Events::Gauge(gauge) => {
            let what = gauge.sampled.as_ref().map_or_else(
                || format!("Every sample of {}", selectors(&gauge.gauges)),
                |expression| format!("Sampled: every evaluation of `{expression}`"),
            );
            format!("{what} is an event; good are those {}.", gauge.good)
        }
        Events::Share(share) => {
            let marked = match share.marked {
                Marked::Bad => "bad",
                Marked::Good => "good",
            };
            let shares = share.sampled.as_ref().map_or_else(
                || selectors(&share.shares),
                |expression| format!("`{expression}`"),
            );
            format!("Sampled: every sample of {shares} is the {marked} share of one event.")
        }
        Events::Completion(completion) => completion_words(completion),
        Events::Composite(members) => {
            let member = |member: &Member| format!("{} (weight {})", member.sli, member.weight);
            let members: Vec<String> = members.iter().map(member).collect();
            format!("The weighted mean of the bad shares of {}.", members.join(", "))
        }
    };
    let slices = match objective.budgeting {
        Budgeting::Occurrences => String::new(),
        Budgeting::Timeslices { width_ms, target } => format!(
            " A slice of {} is bad if fewer than {} of its events are good.",
            window_text(width_ms),
            Share(target).percent()
        ),
        Budgeting::RatioTimeslices { width_ms } => format!(
            " Every slice of {} counts by the share of its bad events.",
            window_text(width_ms)
        ),
    };
    let judged = if objective.group_by.is_empty() {
        String::new()
    } else {
        format!(" Judged by {}.", objective.group_by.join(" and "))
    };
    let description = objective.description.trim_end_matches('.');
    format!("{description}. {counted}{slices}{judged}")
}

fn completion_words(completion: &Completion) -> String {
    let good: Vec<&str> = completion.good.iter().map(String::as_str).collect();
    format!(
        "Each of the stream {:?} counts when it began; good are those that were {} within {}, bad all others but those \
         rejected for a reason of the customer's, which count nowhere.",
        completion.stream,
        good.join(" or "),
        window_text(completion.deadline_ms)
    )
}

/// A count to be read: whole where it is whole, else with at most three digits.
pub(super) fn number(amount: Ratio) -> String {
    if amount.denominator() == 1 {
        return mainstay_ui::number::count(amount.numerator());
    }
    let thousandths = u128::from(amount.numerator()) * 1_000 / u128::from(amount.denominator());
    let whole = u64::try_from(thousandths / 1_000).unwrap_or(u64::MAX);
    let digits = format!("{:03}", thousandths % 1_000);
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{}{point}{digits}", mainstay_ui::number::count(whole))
}

/// Counts to be read: those of `raw`, which are everything that was counted, beside what is left of a budget.
pub(super) fn amounts(raw: &Budget, budget: &Budget, left: i64) -> Amounts {
    let unit = budget.unit;
    let amount = |count: u64| unit.amount(count).map_or_else(|| "unknown".to_owned(), number);
    let sign = if left < 0 { "-" } else { "" };
    Amounts {
        bad: amount(raw.counts.bad),
        total: amount(raw.counts.total),
        adjusted_bad: amount(budget.counts.bad),
        adjusted_total: amount(budget.counts.total),
        left: format!("{sign}{}", amount(left.unsigned_abs())),
        allowed: amount(budget.allowed()),
        noun: unit.noun().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_slo::{Counts, Unit};

    use super::*;

    fn read(unit: Unit, bad: u64, total: u64) -> [String; 5] {
        let budget = Budget {
            target: "0.9995".parse().expect("a target"),
            window_ms: 30 * 86_400_000,
            counts: Counts { bad, total },
            unit,
            to_come: 0,
        };
        let left = i64::try_from(budget.remaining()).expect("small");
        let read = amounts(&budget, &budget, left);
        [read.bad, read.total, read.left, read.allowed, read.noun]
    }

    #[test]
    fn slices_are_read_as_minutes_and_parts_as_decimals() {
        let minutes = Unit::Slices { width_ms: 60_000 };
        assert_eq!(read(minutes, 12, 43_200), ["12", "43,200", "9", "21", "minutes"]);
        let parts = Unit::SliceMillionths { width_ms: 300_000 };
        let million = 1_000_000;
        assert_eq!(
            read(parts, 5 * million, 8_640 * million),
            ["25", "43,200", "-3.4", "21.6", "minutes"]
        );
        assert_eq!(read(Unit::Events, 7, 1_000), ["7", "1,000", "-7", "0", "events"]);
        let whole = Unit::Billionths;
        assert_eq!(
            read(whole, 1_234_567, 1_000_000_000),
            ["0.123", "100", "-0.073", "0.05", "percent"]
        );
    }
}
