//! Finding the differences in a syntax tree.

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{MatchOp, Matcher};

use super::functions::{NAME_KEEPERS, NAN_GIVERS, NOT_METRICSQL, OF_DURATIONS, SINCE_PROMETHEUS_2_42};
use super::{Dialect, Difference, Rule};
use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Duration, Expr, ExprKind, Grouping, Selector, Span, ValueType,
};
use crate::function::Function;

/// Where an engine with this dialect gives another answer than ours, in the order of the text. Differences that depend on
/// the data are named where they can occur.
#[must_use]
pub fn differences(expr: &Expr, dialect: Dialect) -> Vec<Difference> {
    let mut walk = Walk {
        dialect,
        found: Vec::new(),
    };
    if dialect == Dialect::VictoriaMetrics && expr.value_type() == ValueType::Scalar {
        walk.say(
            Rule::VectorForScalar,
            expr.span,
            "comes as a vector of one series without labels",
        );
    }
    let seen = Seen {
        named: true,
        compared: false,
    };
    walk.expr(expr, seen);
    walk.found
        .sort_by_key(|difference| (difference.span.start, difference.span.end, difference.rule));
    walk.found.dedup();
    walk.found
}

/// What of an expression's result can be seen in the answer.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Whether the metric's name can.
    named: bool,
    /// Whether it is only compared, so that NaN is no result anyway.
    compared: bool,
}

struct Walk {
    dialect: Dialect,
    found: Vec<Difference>,
}

impl Walk {
    fn say(&mut self, rule: Rule, span: Span, message: impl Into<String>) {
        self.found.push(Difference {
            rule,
            span,
            message: message.into(),
        });
    }

    fn is_victoria(&self) -> bool {
        self.dialect == Dialect::VictoriaMetrics
    }

    fn expr(&mut self, expr: &Expr, seen: Seen) {
        let below = Seen {
            named: false,
            compared: false,
        };
        match &expr.kind {
            ExprKind::Number(value) => {
                if value.is_nan() && self.is_victoria() && !seen.compared {
                    self.say(Rule::NoNan, expr.span, "a NaN is no result");
                }
            }
            ExprKind::String(_) => {}
            ExprKind::Paren(inner) => self.expr(inner, seen),
            ExprKind::Negate(inner) => self.expr(inner, below),
            ExprKind::Selector(selector) => {
                self.selector(selector, expr.span);
                match self.dialect {
                    Dialect::Prometheus2 => self.say(
                        Rule::ClosedWindow,
                        expr.span,
                        "a sample exactly as old as the look-back still counts",
                    ),
                    Dialect::Prometheus3 => {}
                    Dialect::VictoriaMetrics => self.say(
                        Rule::ShortLookback,
                        expr.span,
                        "in a range query the series counts as gone after a few times the distance of its samples",
                    ),
                }
            }
            ExprKind::Matrix { selector, range } => {
                self.selector(selector, expr.span);
                self.window(range, expr.span);
            }
            ExprKind::Subquery {
                expr: inner,
                range,
                step,
                shift,
                ..
            } => {
                self.window(range, expr.span);
                for duration in step.iter().chain(&shift.offset) {
                    self.duration(duration, expr.span);
                }
                if self.is_victoria() {
                    let resolution = match step {
                        Some(_) => "",
                        None => {
                            ", and its resolution is that of the query, for a rule five minutes, not one minute"
                        }
                    };
                    let message =
                        format!("its steps are counted back from the time of the query{resolution}");
                    self.say(Rule::SubqueryStep, expr.span, message);
                }
                self.expr(inner, seen);
            }
            ExprKind::Call { function, args } => self.call(expr, function, args, seen),
            ExprKind::Aggregate(aggregate) => self.aggregate(expr, aggregate, seen),
            ExprKind::Binary(binary) => self.binary(expr, binary, seen),
        }
    }

    fn selector(&mut self, selector: &Selector, span: Span) {
        for matcher in &selector.matchers {
            let name = matcher.name();
            let metric = (name == METRIC_NAME).then(|| matcher.value());
            let is_bad_metric = matcher.op() == MatchOp::Equal
                && metric.is_some_and(|metric| !is_ascii_name(&metric.replace(':', "_")));
            if self.dialect != Dialect::Prometheus3 && (!is_ascii_name(name) || is_bad_metric) {
                let message = "names of metrics and labels are of letters, digits and underscores";
                self.say(Rule::AsciiNames, span, message);
            }
        }
        if let Some(offset) = &selector.shift.offset {
            self.duration(offset, span);
        }
        if selector.extension.is_some() {
            let message = match self.dialect {
                Dialect::Prometheus3 => {
                    "anchored and smoothed need --enable-feature=promql-extended-range-selectors"
                }
                _ => "it does not know anchored and smoothed",
            };
            self.say(Rule::UnknownSyntax, span, message);
        }
    }

    fn window(&mut self, range: &Duration, span: Span) {
        self.duration(range, span);
        if self.dialect == Dialect::Prometheus2 {
            let message = "a sample exactly at the beginning of the window belongs to it";
            self.say(Rule::ClosedWindow, span, message);
        }
    }

    fn duration(&mut self, duration: &Duration, span: Span) {
        if let Duration::Computed(_) = duration {
            let message = match self.dialect {
                Dialect::Prometheus3 => {
                    "durations are computed with --enable-feature=promql-duration-expr only"
                }
                _ => "durations are not computed",
            };
            self.say(Rule::UnknownSyntax, span, message);
        }
    }

    fn call(&mut self, expr: &Expr, function: &Function, args: &[Expr], seen: Seen) {
        let name = function.name;
        self.known(function, expr.span);
        if self.is_victoria() {
            self.victoria_call(expr, name, args, seen);
        }
        let passes_on = matches!(
            name,
            "label_replace" | "label_join" | "sort" | "sort_desc" | "last_over_time"
        ) || (self.is_victoria() && NAME_KEEPERS.contains(&name));
        if matches!(name, "label_replace" | "label_join") {
            self.relabelling(expr, name, args);
        }
        if !passes_on && args.iter().any(selects_several_names) {
            self.name_is_gone(expr.span);
        }
        let below = Seen {
            named: passes_on && seen.named,
            compared: false,
        };
        for arg in args {
            self.expr(arg, below);
        }
    }

    /// Whether the engine knows the function.
    fn known(&mut self, function: &Function, span: Span) {
        let name = function.name;
        let message = match self.dialect {
            Dialect::Prometheus2 if SINCE_PROMETHEUS_2_42.contains(&name) => match name {
                "double_exponential_smoothing" => "it is called holt_winters".to_owned(),
                _ => format!("{name} came after Prometheus 2.42"),
            },
            Dialect::Prometheus2 if OF_DURATIONS.contains(&name) => format!("{name} came with Prometheus 3"),
            Dialect::Prometheus3 if OF_DURATIONS.contains(&name) => {
                format!("{name} needs --enable-feature=promql-duration-expr")
            }
            Dialect::Prometheus3 if function.is_experimental => {
                format!("{name} needs --enable-feature=promql-experimental-functions")
            }
            Dialect::VictoriaMetrics if NOT_METRICSQL.contains(&name) => {
                format!("MetricsQL does not know {name}")
            }
            _ => return,
        };
        self.say(Rule::UnknownFunction, span, message);
    }

    fn victoria_call(&mut self, expr: &Expr, name: &str, args: &[Expr], seen: Seen) {
        match name {
            "rate" | "increase" | "delta" => self.say(
                Rule::NoExtrapolation,
                expr.span,
                format!("{name} is not extrapolated, and begins at the last sample before the window"),
            ),
            "changes" | "resets" | "idelta" | "irate" | "deriv" | "predict_linear" => self.say(
                Rule::SampleBeforeWindow,
                expr.span,
                format!("{name} also sees the last sample before the window, at least where the window has too few"),
            ),
            "timestamp" if !matches!(args.first().map(|arg| &arg.unwrapped().kind), Some(ExprKind::Selector(_))) => {
                self.say(
                    Rule::TimestampOfComputed,
                    expr.span,
                    "gives the time of the samples that the argument is computed from",
                );
            }
            "clamp" if is_reversed(args) => self.say(
                Rule::ClampReversed,
                expr.span,
                "gives a value although the minimum is above the maximum",
            ),
            "histogram_quantile" => self.say(
                Rule::HistogramRepair,
                expr.span,
                "buckets that are not cumulative, such as of counters that begin again, are repaired in another way",
            ),
            _ => {}
        }
        if seen.named && NAME_KEEPERS.contains(&name) {
            self.say(
                Rule::KeepsName,
                expr.span,
                format!("the metric keeps its name after {name}"),
            );
        }
        if !seen.compared && NAN_GIVERS.contains(&name) {
            self.say(Rule::NoNan, expr.span, "where it gives NaN there is no result");
        }
    }

    /// `label_replace` and `label_join`: names of labels, and names of metrics that are gone.
    fn relabelling(&mut self, expr: &Expr, name: &str, args: &[Expr]) {
        let text = |index: usize| match args.get(index).map(|arg| &arg.unwrapped().kind) {
            Some(ExprKind::String(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        if self.dialect == Dialect::Prometheus2 && !is_ascii_name(&text(1)) {
            let message = "names of labels are of letters, digits and underscores";
            self.say(Rule::AsciiNames, expr.span, message);
        }
        let sources = if name == "label_replace" {
            3..4
        } else {
            3..args.len()
        };
        let reads_name = sources.into_iter().any(|index| text(index) == METRIC_NAME);
        if reads_name && args.first().is_some_and(drops_name) {
            self.name_is_gone(expr.span);
        }
    }

    fn name_is_gone(&mut self, span: Span) {
        let message = "the metric's name is gone after a function, also for what stands around it";
        self.say(Rule::NameRemovedAtOnce, span, message);
    }

    fn aggregate(&mut self, expr: &Expr, aggregate: &Aggregate, seen: Seen) {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Stddev, Stdvar, Topk};
        let chooses = matches!(aggregate.op, Topk | Bottomk | Limitk | LimitRatio);
        match (self.dialect, aggregate.op) {
            (Dialect::Prometheus2, Limitk | LimitRatio) | (Dialect::VictoriaMetrics, LimitRatio) => {
                let message = format!("it does not know {}", aggregate.op.name());
                self.say(Rule::UnknownFunction, expr.span, message);
            }
            (Dialect::Prometheus3, Limitk | LimitRatio) => {
                let message = format!(
                    "{} needs --enable-feature=promql-experimental-functions",
                    aggregate.op.name()
                );
                self.say(Rule::UnknownFunction, expr.span, message);
            }
            (Dialect::VictoriaMetrics, Limitk) => {
                self.say(Rule::OtherChoice, expr.span, "other series are taken");
            }
            (Dialect::VictoriaMetrics, CountValues) => {
                let message = "there is a limit on how many series it may give";
                self.say(Rule::SeriesLimit, expr.span, message);
            }
            _ => {}
        }
        let named_label = |names: &[String]| names.iter().any(|name| name == METRIC_NAME);
        let keeps = match &aggregate.grouping {
            Grouping::Keep(names) => named_label(names),
            Grouping::Drop(names) => !named_label(names) && chooses,
        };
        if keeps && !chooses && drops_name(&aggregate.expr) {
            self.name_is_gone(expr.span);
        }
        if self.is_victoria()
            && !seen.compared
            && matches!(aggregate.op, Stddev | Stdvar | AggregateOp::Quantile)
        {
            self.say(Rule::NoNan, expr.span, "where it gives NaN there is no result");
        }
        let below = Seen {
            named: (chooses || keeps) && seen.named,
            compared: false,
        };
        if let Some(parameter) = &aggregate.parameter {
            self.expr(
                parameter,
                Seen {
                    named: false,
                    compared: true,
                },
            );
        }
        self.expr(&aggregate.expr, below);
    }

    fn binary(&mut self, expr: &Expr, binary: &Binary, seen: Seen) {
        use BinaryOp::{Div, Mod, Pow};
        if binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some() {
            let message = match self.dialect {
                Dialect::Prometheus3 => "fill needs --enable-feature=promql-binop-fill-modifiers",
                _ => "it does not know fill",
            };
            self.say(Rule::UnknownSyntax, expr.span, message);
        }
        if binary.op.is_trim() && self.dialect != Dialect::Prometheus3 {
            let message = format!("it does not know {}", binary.op.symbol());
            self.say(Rule::UnknownSyntax, expr.span, message);
        }
        if binary.op == BinaryOp::Atan2 && self.dialect == Dialect::Prometheus2 && seen.named {
            self.say(
                Rule::KeepsName,
                expr.span,
                "the metric keeps its name after atan2",
            );
        }
        let filters = binary.op.is_comparison() && !binary.return_bool;
        if self.is_victoria() && !seen.compared && matches!(binary.op, Div | Mod | Pow) {
            self.say(
                Rule::NoNan,
                expr.span,
                "where it gives NaN, such as 0/0, there is no result",
            );
        }
        let side = |other: &Expr| Seen {
            named: seen.named && (filters && other.value_type() == ValueType::Scalar || binary.op.is_set()),
            compared: filters,
        };
        let (left, right) = (side(&binary.rhs), side(&binary.lhs));
        self.expr(&binary.lhs, left);
        self.expr(&binary.rhs, right);
    }
}

/// Whether the result of an expression has lost the metric's name.
fn drops_name(expr: &Expr) -> bool {
    match &expr.unwrapped().kind {
        ExprKind::Call { function, args } => match function.name {
            "label_replace" | "label_join" | "sort" | "sort_desc" => args.first().is_some_and(drops_name),
            "last_over_time" | "first_over_time" => false,
            _ => true,
        },
        ExprKind::Binary(binary) => !binary.op.is_set() && (!binary.op.is_comparison() || binary.return_bool),
        ExprKind::Negate(_) => true,
        ExprKind::Subquery { expr, .. } => drops_name(expr),
        _ => false,
    }
}

/// Whether metrics of several names can be among what is selected.
fn selects_several_names(expr: &Expr) -> bool {
    match &expr.unwrapped().kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => {
            let one = |matcher: &Matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
            !selector.matchers.iter().any(one)
        }
        ExprKind::Subquery { expr, .. } => selects_several_names(expr),
        _ => false,
    }
}

/// Whether a label's name is one that engines before UTF-8 names read.
fn is_ascii_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `clamp(v, min, max)` with numbers, of which the minimum is the larger.
fn is_reversed(args: &[Expr]) -> bool {
    let number = |index: usize| match args.get(index).map(|arg| &arg.unwrapped().kind) {
        Some(ExprKind::Number(value)) => Some(*value),
        _ => None,
    };
    matches!((number(1), number(2)), (Some(min), Some(max)) if min > max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn found(query: &str, dialect: Dialect) -> Vec<String> {
        let expr = parse(query).expect("PromQL");
        differences(&expr, dialect)
            .into_iter()
            .map(|difference| {
                let part = query
                    .get(difference.span.start..difference.span.end)
                    .unwrap_or_default();
                format!("{}: {part}", difference.rule)
            })
            .collect()
    }

    #[test]
    fn each_difference_stands_where_it_is() {
        let ratio = "sum(rate(errors[5m])) / sum(rate(requests[5m])) > 0.1";
        assert_eq!(
            found(ratio, Dialect::VictoriaMetrics),
            [
                "no-extrapolation: rate(errors[5m])",
                "no-extrapolation: rate(requests[5m])"
            ]
        );
        assert_eq!(
            found(ratio, Dialect::Prometheus2),
            ["closed-window: errors[5m]", "closed-window: requests[5m]"]
        );
        assert_eq!(found(ratio, Dialect::Prometheus3), [""; 0]);
    }

    #[test]
    fn a_name_that_cannot_be_seen_is_no_difference() {
        let of = |query| found(query, Dialect::VictoriaMetrics);
        assert_eq!(of("max_over_time(x[5m])"), ["keeps-name: max_over_time(x[5m])"]);
        assert_eq!(
            of("max_over_time(x[5m]) > 3"),
            ["keeps-name: max_over_time(x[5m])"]
        );
        assert_eq!(
            of("topk(3, max_over_time(x[5m]))"),
            ["keeps-name: max_over_time(x[5m])"]
        );
        assert_eq!(of("sum(max_over_time(x[5m]))"), [""; 0]);
        assert_eq!(of("max_over_time(x[5m]) + 1"), [""; 0]);
    }

    #[test]
    fn what_must_be_switched_on_is_said_also_of_prometheus_3() {
        let of = |query| found(query, Dialect::Prometheus3);
        assert_eq!(of("limitk(3, x)"), ["unknown-function: limitk(3, x)"]);
        assert_eq!(of("x[5m + 1m]"), ["unknown-syntax: x[5m + 1m]"]);
        assert_eq!(
            of("sum by (__name__) (rate(x[5m]))"),
            ["name-removed-at-once: sum by (__name__) (rate(x[5m]))"]
        );
    }
}
