//! Indicators by themselves: what they can see, and whether their two sides belong together.

use mainstay_catalog::{Diagnostics, lint};
use mainstay_kernel::MatchOp;
use mainstay_promql::Expr;
use mainstay_promql::ast::{AggregateOp, BinaryOp, ExprKind};

use super::super::annotations;
use super::expression::constant;
use super::model::{Indicator, Model, Side};
use super::prose::words;
use super::values::{family, outside};
use crate::selector::Selector;
use crate::sli::Marked;

pub(super) fn check(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for indicator in model.indicators_in_order() {
        if !cohort(indicator, diagnostics) {
            within_total(indicator, diagnostics);
        }
        acknowledged(model, indicator, diagnostics);
        edges(indicator, diagnostics);
    }
    throughput(model, diagnostics);
}

/// Words for what has begun.
const BEGINNINGS: [&str; 9] = [
    "initiated",
    "started",
    "begun",
    "created",
    "submitted",
    "requested",
    "opened",
    "entered",
    "attempted",
];
/// Words for what has come to an end.
const ENDS: [&str; 16] = [
    "completed",
    "complete",
    "succeeded",
    "success",
    "successful",
    "finished",
    "done",
    "settled",
    "ended",
    "closed",
    "cleared",
    "fulfilled",
    "failed",
    "rejected",
    "aborted",
    "cancelled",
];

/// Which of these words a selector says: by a value that it asks for, else by the metric's name.
fn says(selector: &Selector, known: &[&str]) -> Option<String> {
    let asked = selector
        .matchers
        .iter()
        .filter(|matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Matches))
        .flat_map(|matcher| words(matcher.value()));
    asked
        .chain(words(&selector.metric))
        .find(|word| known.contains(&word.as_str()))
}

/// Ruling R27: what ends now began some time ago, and is not among what begins now.
fn cohort(indicator: &Indicator<'_>, diagnostics: &mut Diagnostics) -> bool {
    let Some((_, side, total)) = indicator.sides() else {
        return false;
    };
    let (Some(marked), Some(all)) = (side.selectors.first(), total.selectors.first()) else {
        return false;
    };
    let (Some(end), Some(beginning)) = (says(marked, &ENDS), says(all, &BEGINNINGS)) else {
        return false;
    };
    if says(marked, &BEGINNINGS).is_some() || says(all, &ENDS).is_some() {
        return false;
    }
    let message = format!(
        "{end:?} is held against {beginning:?}: what ends now began earlier, and what hangs never counts; when traffic rises or falls, the ratio is of different events"
    );
    let help = "judge by cohort: of those that began in the window, the share that ended well before their deadline; what a customer's bank declines for business reasons is no failure";
    diagnostics.push(side.finding(lint::PAYMENT_COHORT, message).help(help));
    true
}

/// Both sides are of one metric, and one has what the other leaves out.
fn within_total(indicator: &Indicator<'_>, diagnostics: &mut Diagnostics) {
    let Some((marked, side, total)) = indicator.sides() else {
        return;
    };
    let what = match marked {
        Marked::Good => "good",
        Marked::Bad => "bad",
    };
    for selector in &side.selectors {
        let same = total
            .selectors
            .iter()
            .filter(|all| family(&all.metric) == family(&selector.metric));
        let witnesses: Vec<Option<(&str, String)>> =
            same.map(|all| outside(selector, all, &["le"])).collect();
        let Some(Some((label, value))) = witnesses.first() else {
            continue;
        };
        if witnesses.iter().all(Option::is_some) {
            let shown = match value.as_str() {
                "" => format!("without a label {label}"),
                value => format!("with {label}={value:?}"),
            };
            let message = format!(
                "the {what} events are not among all: those {shown} are {what}, and are not in the total"
            );
            let help = "give the total every condition that the other side has, but the one that tells good from bad";
            diagnostics.push(side.finding(lint::GOOD_OUTSIDE_TOTAL, message).help(help));
        }
    }
}

const ACKNOWLEDGEMENTS: [&str; 16] = [
    "ack",
    "acks",
    "acked",
    "nack",
    "nacks",
    "nacked",
    "acknowledged",
    "acknowledgement",
    "acknowledgements",
    "acknowledgment",
    "acknowledgments",
    "unacknowledged",
    "confirmed",
    "confirmation",
    "confirmations",
    "unconfirmed",
];
const LOSSES: [&str; 9] = [
    "durability",
    "durable",
    "preserved",
    "loss",
    "lost",
    "delivery",
    "delivered",
    "persisted",
    "missing",
];

/// Ruling R28: who acknowledged may lose it afterwards.
fn acknowledged(model: &Model<'_>, indicator: &Indicator<'_>, diagnostics: &mut Diagnostics) {
    let Some((_, side, _)) = indicator.sides() else {
        return;
    };
    let Some(word) = side.selectors.iter().find_map(|one| says(one, &ACKNOWLEDGEMENTS)) else {
        return;
    };
    let own = [Some(&indicator.name), indicator.description.as_ref()];
    let of_slos = model
        .objectives_of(indicator)
        .flat_map(|one| [Some(one.name()), one.description.as_ref()]);
    let texts = own.into_iter().chain(of_slos).flatten();
    let about = texts
        .flat_map(|text| words(&text.value))
        .find(|word| LOSSES.contains(&word.as_str()));
    if let Some(about) = about {
        let message = format!(
            "{:?} is about {about:?}, and is measured by what was {word}: what is lost after that is not seen",
            indicator.name.value
        );
        let help = "let an independent reader recount what is there against what was accepted, and count what is missing";
        diagnostics.push(side.finding(lint::ACKNOWLEDGED_LOSS, message).help(help));
    }
}

/// A threshold of a latency is one edge of the histogram, and one only.
fn edges(indicator: &Indicator<'_>, diagnostics: &mut Diagnostics) {
    let Some((_, side, total)) = indicator.sides() else {
        return;
    };
    for (side, selector) in [side, total]
        .into_iter()
        .flat_map(|side| side.selectors.iter().map(move |one| (side, one)))
    {
        if !selector.metric.ends_with("_bucket") {
            continue;
        }
        let mut le = selector.matchers.iter().filter(|matcher| matcher.name() == "le");
        let message = match (le.next(), le.next()) {
            (None, _) => {
                "the buckets of a histogram hold one another: without `le` a request counts once in every one".to_owned()
            }
            (Some(le), None) if le.op() == MatchOp::Equal => match le.value().parse::<f64>() {
                Ok(edge) => match declared_edges(indicator) {
                    Some(edges) if !edge.is_infinite() && !edges.contains(&edge) => {
                        let named: Vec<String> = edges.iter().map(ToString::to_string).collect();
                        format!("{} is no edge of {}: they are {}", le.value(), selector.metric, named.join(", "))
                    }
                    _ => continue,
                },
                Err(_) => format!("{:?} is no edge of a bucket", le.value()),
            },
            _ => "several buckets of a histogram hold one another, and their sum counts a request more than once".to_owned(),
        };
        let help = "select one bucket, such as le=\"0.2\", whose edge is the threshold; a threshold between two edges cannot be counted";
        diagnostics.push(side.finding(lint::LATENCY_EDGE, message).help(help));
    }
}

/// The edges that the indicator says its histogram has.
fn declared_edges(indicator: &Indicator<'_>) -> Option<Vec<f64>> {
    let text = indicator.metadata.annotations.get(annotations::EDGES)?;
    annotations::edges(&text.value)
}

/// Ruling R33: at night there is less to do, and nothing is wrong.
fn throughput(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for objective in &model.objectives {
        let Some(query) = model
            .indicator_of(objective)
            .and_then(|one| one.threshold.as_ref())
        else {
            continue;
        };
        if !is_flow(query) {
            continue;
        }
        for target in &objective.slo.spec.objectives {
            let floor = target
                .op
                .as_ref()
                .filter(|op| matches!(op.value.as_str(), "gt" | "gte"));
            if let (Some(_), Some(value)) = (floor, &target.value) {
                let message = format!(
                    "a floor of {} events a second is no objective: every quiet night misses it, and nothing is wrong",
                    value.value.0
                );
                let help = "make it the goal of a load test; what is promised is the share of the requests that are answered well, however many come";
                diagnostics.push(
                    objective
                        .document
                        .diagnostic(lint::THROUGHPUT_OBJECTIVE, value.at, message)
                        .help(help),
                );
            }
        }
    }
}

/// Whether a query says how many events there are in a time, and not how many of others.
fn is_flow(query: &Side<'_>) -> bool {
    fn flow(expr: &Expr) -> bool {
        match &expr.unwrapped().kind {
            ExprKind::Aggregate(aggregate) => {
                matches!(
                    aggregate.op,
                    AggregateOp::Sum | AggregateOp::Avg | AggregateOp::Min | AggregateOp::Max
                ) && flow(&aggregate.expr)
            }
            ExprKind::Call { function, args } => {
                matches!(function.name, "rate" | "irate" | "increase")
                    || (function.name.ends_with("_over_time") && args.iter().any(flow))
            }
            ExprKind::Subquery { expr, .. } => flow(expr),
            ExprKind::Binary(binary) => match binary.op {
                BinaryOp::Add => flow(&binary.lhs) && flow(&binary.rhs),
                BinaryOp::Mul | BinaryOp::Div => {
                    (flow(&binary.lhs) && constant(&binary.rhs).is_some())
                        || (flow(&binary.rhs) && constant(&binary.lhs).is_some())
                }
                _ => false,
            },
            _ => false,
        }
    }
    mainstay_promql::parse(&query.text).is_ok_and(|expr| flow(&expr))
}
