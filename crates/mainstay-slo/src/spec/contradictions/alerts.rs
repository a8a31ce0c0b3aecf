//! Alerts: whether they can fire, for what they wake somebody, and what they say about the calendar.

use mainstay_catalog::{At, Diagnostic, Diagnostics, Spanned, lint};
use mainstay_kernel::Severity;
use mainstay_promql::Expr;
use mainstay_promql::ast::{AggregateOp, BinaryOp, ExprKind};
use mainstay_promql::duration::format_ms;

use super::answers::Answers;
use super::expression::{Comparison, Share, comparisons, plain, share};
use super::model::{Indicator, Model};
use super::objectives::figure;
use super::prose::words;
use super::rules::Alert;
use super::values::overlap;

const DAY_MS: i64 = 86_400_000;

pub(super) fn check(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for alert in &model.alerts {
        let mut single_pod_said = false;
        for comparison in comparisons(&alert.expr) {
            if let Some(share) = share(comparison.value) {
                diagnostics.extend(never_fires(alert, &comparison, Some(&share)));
                diagnostics.extend(no_budget(alert, &comparison, &share));
                diagnostics.extend(calendar(model, alert, &comparison, &share));
            } else {
                diagnostics.extend(never_fires(alert, &comparison, None));
            }
            diagnostics.extend(priority(model, alert, &comparison));
            if !single_pod_said && let Some(found) = single_pod(alert, &comparison) {
                single_pod_said = true;
                diagnostics.push(found);
            }
        }
    }
}

/// The range of a comparison's value, where it is a share of something.
fn bounds(comparison: &Comparison<'_>, share: Option<&Share>) -> Option<(f64, f64)> {
    if let Some(share) = share {
        return share.is_bounded().then_some((0.0, share.scale));
    }
    // A recorded ratio, by the convention for the names of rules, level:metric:operations: `job:errors:ratio_rate1h`.
    let ExprKind::Selector(selector) = &comparison.value.unwrapped().kind else {
        return None;
    };
    let metric = plain(selector)?.metric;
    let (_, operations) = metric.rsplit_once(':')?;
    operations.starts_with("ratio").then_some((0.0, 1.0))
}

/// A ratio is never above 1: 14.4 times the budget of 93% is.
fn never_fires(alert: &Alert<'_>, comparison: &Comparison<'_>, share: Option<&Share>) -> Option<Diagnostic> {
    let (low, high) = bounds(comparison, share)?;
    let threshold = comparison.threshold;
    let never = match comparison.op {
        BinaryOp::Greater => threshold >= high,
        BinaryOp::GreaterEqual => threshold > high,
        BinaryOp::Less => threshold <= low,
        BinaryOp::LessEqual => threshold < low,
        BinaryOp::Equal => threshold > high || threshold < low,
        _ => false,
    };
    never.then(|| {
        let message = format!(
            "{} never fires: the ratio is between {} and {}, and never {} {}",
            alert.name.value,
            figure(low),
            figure(high),
            comparison.op.symbol(),
            figure(threshold)
        );
        let help = "a burn rate of k can be reached only while k × (1 - target) is below 1; for lenient targets take a smaller factor, and write percentages as shares";
        alert.finding(lint::NEVER_FIRES, comparison.at, message).help(help)
    })
}

/// An alert that the first failure fires stands for an objective of 100%.
fn no_budget(alert: &Alert<'_>, comparison: &Comparison<'_>, share: &Share) -> Option<Diagnostic> {
    let pages = alert.severity()?.value.pages();
    let threshold = comparison.threshold;
    let edge = |value: f64| (threshold - value).abs() < f64::EPSILON;
    let first_failure = match comparison.op {
        BinaryOp::Greater | BinaryOp::NotEqual => edge(0.0),
        BinaryOp::Less => edge(share.scale),
        _ => false,
    };
    (pages && first_failure).then(|| {
        let message = format!(
            "{} pages for the first failure: that is an objective of 100%, which leaves no budget",
            alert.name.value
        );
        let help = "name a target below 100%, and page when its budget burns";
        alert.finding(lint::NO_BUDGET, comparison.at, message).help(help)
    })
}

/// The indicators whose answers an alert's share is about.
fn indicators_of<'m, 'a>(model: &'m Model<'a>, answers: &Answers) -> Vec<&'m Indicator<'a>> {
    let meets = |one: &&Indicator<'_>| Answers::of_indicator(one).is_some_and(|other| other.meets(answers));
    model.indicators.iter().filter(meets).collect()
}

/// Ruling R4: a range of days rolls; what it is said to decide about, or what its objective counts, is the calendar's.
fn calendar(
    model: &Model<'_>,
    alert: &Alert<'_>,
    comparison: &Comparison<'_>,
    share: &Share,
) -> Option<Diagnostic> {
    const CALENDAR: [&str; 5] = ["month", "monthly", "quarter", "quarterly", "calendar"];
    let range_ms = share.range_ms.filter(|range| *range >= 7 * DAY_MS)?;
    let range = format_ms(range_ms);
    let help = "let one window decide: an SLO with the calendar's window for what follows the calendar, and one that rolls for alerts";
    let spoken = alert
        .texts()
        .flat_map(|text| words(&text.value))
        .find(|word| CALENDAR.contains(&word.as_str()));
    if let Some(word) = spoken {
        let message = format!(
            "{} looks back {range} from now, and speaks of {word:?}: the two agree on one day of a month",
            alert.name.value
        );
        return Some(
            alert
                .finding(lint::WINDOW_KINDS, share.range_at, message)
                .help(help),
        );
    }
    let answers = Answers::of_share(share, comparison.op)?;
    let mut windows = indicators_of(model, &answers)
        .into_iter()
        .flat_map(|one| model.objectives_of(one))
        .filter_map(|one| Some((one, one.window?)))
        .peekable();
    let (first, _) = windows.peek().copied()?;
    windows.all(|(_, window)| !window.is_rolling).then(|| {
        let message = format!(
            "{} looks back {range} from now, and the objective {} counts by the calendar",
            alert.name.value,
            first.label()
        );
        alert
            .finding(lint::WINDOW_KINDS, share.range_at, message)
            .help(help)
    })
}

/// Ruling R29: P0 is an outage or several tenants; P1 a partial outage or a latency above twice its objective; near a
/// limit is P2.
fn priority(model: &Model<'_>, alert: &Alert<'_>, comparison: &Comparison<'_>) -> Option<Diagnostic> {
    let said = alert.severity()?;
    let (expected, why) = near_limit(comparison)
        .or_else(|| slow(model, comparison))
        .or_else(|| degraded(comparison))?;
    let worse_than_expected = said.value < expected;
    // A latency rule below its threshold is a second rule for the minor degradation; only a page that is none is wrong.
    let milder = said.value > expected && expected.pages() && !said.value.pages() && why.is_twice;
    (worse_than_expected || milder).then(|| {
        let message = format!(
            "{} is {}, and the severity table makes it {expected}: {}",
            alert.name.value, said.value, why.text
        );
        let Spanned { at, .. } = said;
        let at: At = at;
        let help = format!("give it priority {expected}; an outage, or errors of several tenants, are P0");
        alert
            .document
            .diagnostic(lint::PRIORITY_CONTRADICTS, at, message)
            .help(help)
    })
}

struct Why {
    text: String,
    is_twice: bool,
}

fn because(expected: Severity, text: String) -> (Severity, Why) {
    let why = Why {
        text,
        is_twice: false,
    };
    (expected, why)
}

/// The use of something limited, below its limit.
fn near_limit(comparison: &Comparison<'_>) -> Option<(Severity, Why)> {
    const LIMITS: [&str; 6] = ["max", "limit", "capacity", "quota", "size", "allocatable"];
    let rises = matches!(comparison.op, BinaryOp::Greater | BinaryOp::GreaterEqual);
    let ExprKind::Binary(binary) = &comparison.value.unwrapped().kind else {
        return None;
    };
    let [limit] = binary.rhs.selectors()[..] else {
        return None;
    };
    let limit = plain(limit)?.metric;
    let limited = words(&limit).iter().any(|word| LIMITS.contains(&word.as_str()));
    let below = comparison.threshold > 0.0 && comparison.threshold < 1.0;
    (binary.op == BinaryOp::Div && limited && rises && below).then(|| {
        because(
            Severity::P2,
            format!(
                "{}% of {limit} is near a limit, which is not reached",
                figure(comparison.threshold * 100.0)
            ),
        )
    })
}

/// A quantile of a latency that has an objective.
fn slow(model: &Model<'_>, comparison: &Comparison<'_>) -> Option<(Severity, Why)> {
    let ExprKind::Call { function, args } = &comparison.value.unwrapped().kind else {
        return None;
    };
    let rises = matches!(comparison.op, BinaryOp::Greater | BinaryOp::GreaterEqual);
    if function.name != "histogram_quantile" || !rises {
        return None;
    }
    let quantile = super::expression::constant(args.first()?)?;
    let [bucket] = args.get(1)?.selectors()[..] else {
        return None;
    };
    let bucket = plain(bucket)?;
    let edges = model
        .objectives
        .iter()
        .filter(|one| !one.is_agreement)
        .filter_map(|one| {
            let same = one
                .targets
                .iter()
                .any(|target| (target.value.to_f64() - quantile).abs() < 1e-9);
            let indicator = model.indicator_of(one)?;
            let (_, side, _) = indicator.sides()?;
            let meets = side
                .selectors
                .iter()
                .any(|selector| overlap(selector, &bucket, &["le"]));
            Some((indicator.edge()?, one)).filter(|_| same && meets)
        });
    let (edge, objective) = edges.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let times = comparison.threshold / edge;
    let text = format!(
        "{} s is {} times the objective {}",
        figure(comparison.threshold),
        figure(times),
        objective.label()
    );
    if times >= 2.0 {
        let why = Why { text, is_twice: true };
        return Some((Severity::P1, why));
    }
    Some(because(Severity::P2, format!("{text}, and P1 begins at twice")))
}

/// A share of failures that leaves most requests answered.
fn degraded(comparison: &Comparison<'_>) -> Option<(Severity, Why)> {
    let share = share(comparison.value)?;
    let rises = matches!(comparison.op, BinaryOp::Greater | BinaryOp::GreaterEqual);
    let threshold = comparison.threshold / share.scale;
    let failures = if rises { threshold } else { 1.0 - threshold };
    Answers::of_share(&share, comparison.op)?;
    (failures < 0.5).then(|| {
        because(
            Severity::P1,
            format!(
                "{}% failures are a service that is degraded, not down",
                figure(failures * 100.0)
            ),
        )
    })
}

/// Ruling R30: the state of one target, as if it were that of all.
fn single_pod(alert: &Alert<'_>, comparison: &Comparison<'_>) -> Option<Diagnostic> {
    let severity = alert.severity()?.value;
    let (threshold, op) = (comparison.threshold, comparison.op);
    let zero = threshold.abs() < f64::EPSILON;
    let down = match op {
        BinaryOp::Equal | BinaryOp::LessEqual => zero,
        BinaryOp::Less => threshold > 0.0 && threshold <= 1.0,
        BinaryOp::NotEqual => !zero,
        _ => false,
    };
    let some = match op {
        BinaryOp::Greater | BinaryOp::NotEqual => zero,
        BinaryOp::GreaterEqual => threshold <= 1.0,
        _ => false,
    };
    let value = comparison.value.unwrapped();
    let one_is_down = match &value.kind {
        ExprKind::Selector(_) => down && is_health(value),
        ExprKind::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Min => down && is_health(&aggregate.expr),
            // Whatever is below the whole is one that is down.
            AggregateOp::Avg => {
                matches!(op, BinaryOp::Less) && threshold >= 1.0 && is_health(&aggregate.expr)
            }
            AggregateOp::Count => {
                let inner = comparisons(&aggregate.expr);
                some && inner.iter().any(|one| is_health(one.value))
            }
            _ => false,
        },
        _ => false,
    };
    (severity.pages() && one_is_down).then(|| {
        let message = format!(
            "{} is {severity} as soon as one target is down, and the others may well answer",
            alert.name.value
        );
        let help = "page when none is left: sum by (cell) (up{..}) == 0, or absent(..); one pod is P3, and P2 when it stays down";
        alert
            .finding(lint::SINGLE_POD_PAGE, comparison.value.span, message)
            .help(help)
    })
}

/// Whether it says of each target by itself whether it is up.
fn is_health(expr: &Expr) -> bool {
    let ExprKind::Selector(selector) = &expr.unwrapped().kind else {
        return false;
    };
    plain(selector).is_some_and(|selector| {
        let metric = selector.metric.as_str();
        matches!(metric, "up" | "probe_success" | "kube_pod_status_ready") || metric.ends_with("_up")
    })
}
