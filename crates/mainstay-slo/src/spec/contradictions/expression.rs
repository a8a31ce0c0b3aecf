//! Reading PromQL: constants, ratios of events, comparisons, and how far back an expression looks.

use mainstay_kernel::MatchOp;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_promql::Expr;
use mainstay_promql::ast::{self, AggregateOp, BinaryOp, Duration, ExprKind, Shift, Span};

use super::values::{family, outside};
use crate::selector::Selector;

/// The value of an expression of numbers alone.
pub(super) fn constant(expr: &Expr) -> Option<f64> {
    match &expr.unwrapped().kind {
        ExprKind::Number(value) => Some(*value),
        ExprKind::Negate(inner) => Some(-constant(inner)?),
        ExprKind::Binary(binary) => {
            let (a, b) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op {
                BinaryOp::Add => Some(a + b),
                BinaryOp::Sub => Some(a - b),
                BinaryOp::Mul => Some(a * b),
                BinaryOp::Div => Some(a / b),
                BinaryOp::Pow => Some(a.powf(b)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A comparison with a number.
pub(super) struct Comparison<'e> {
    /// What is compared.
    pub(super) value: &'e Expr,
    /// As if the number stood on the right.
    pub(super) op: BinaryOp,
    pub(super) threshold: f64,
    /// Where the number stands.
    pub(super) at: Span,
}

/// The comparisons that decide whether an expression gives anything: those below `and`, `or`, `unless` and
/// parentheses alone.
pub(super) fn comparisons(expr: &Expr) -> Vec<Comparison<'_>> {
    let ExprKind::Binary(binary) = &expr.unwrapped().kind else {
        return Vec::new();
    };
    match binary.op {
        BinaryOp::And | BinaryOp::Or => {
            let mut found = comparisons(&binary.lhs);
            found.extend(comparisons(&binary.rhs));
            found
        }
        BinaryOp::Unless => comparisons(&binary.lhs),
        op if op.is_comparison() => {
            let (value, op, number) = match (constant(&binary.lhs), constant(&binary.rhs)) {
                (None, Some(_)) => (&binary.lhs, op, &binary.rhs),
                (Some(_), None) => (&binary.rhs, flipped(op), &binary.lhs),
                _ => return Vec::new(),
            };
            let threshold = constant(number).unwrap_or_default();
            vec![Comparison {
                value,
                op,
                threshold,
                at: number.span,
            }]
        }
        _ => Vec::new(),
    }
}

fn flipped(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        op => op,
    }
}

/// Events held against events of one metric: a share between 0 and 1, times a scale.
pub(super) struct Share {
    pub(super) part: Selector,
    pub(super) whole: Selector,
    /// Where the part is selected.
    pub(super) at: Span,
    /// Whether it is one less that share.
    pub(super) is_complement: bool,
    /// 100 for percentages.
    pub(super) scale: f64,
    /// Over which time, in milliseconds; `None` where it is no rate.
    pub(super) range_ms: Option<i64>,
    /// Where that time stands.
    pub(super) range_at: Span,
}

/// The expression as such a share: a quotient of sums of rates, one less it, or a multiple of it.
pub(super) fn share(expr: &Expr) -> Option<Share> {
    match &expr.unwrapped().kind {
        ExprKind::Aggregate(aggregate)
            if matches!(
                aggregate.op,
                AggregateOp::Max | AggregateOp::Min | AggregateOp::Avg
            ) =>
        {
            share(&aggregate.expr)
        }
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Div => quotient(&binary.lhs, &binary.rhs).or_else(|| {
                let found = share(&binary.lhs)?;
                Some(Share {
                    scale: found.scale / constant(&binary.rhs)?,
                    ..found
                })
            }),
            BinaryOp::Mul => {
                let (found, factor) = match (share(&binary.lhs), share(&binary.rhs)) {
                    (Some(found), None) => (found, constant(&binary.rhs)?),
                    (None, Some(found)) => (found, constant(&binary.lhs)?),
                    _ => return None,
                };
                Some(Share {
                    scale: found.scale * factor,
                    ..found
                })
            }
            BinaryOp::Sub => {
                let found = share(&binary.rhs)?;
                let whole = constant(&binary.lhs)?;
                #[expect(clippy::float_cmp, reason = "both were written as whole numbers")]
                let complements = whole == found.scale;
                complements.then_some(Share {
                    is_complement: !found.is_complement,
                    ..found
                })
            }
            _ => None,
        },
        _ => None,
    }
}

fn quotient(part: &Expr, whole: &Expr) -> Option<Share> {
    let (part, whole) = (events(part)?, events(whole)?);
    let one = family(&part.selector.metric) == family(&whole.selector.metric);
    let range_ms = match (part.range_ms, whole.range_ms) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (None, None) => None,
        _ => return None,
    };
    one.then_some(Share {
        part: part.selector,
        whole: whole.selector,
        at: part.at,
        is_complement: false,
        scale: 1.0,
        range_ms,
        range_at: part.range_at,
    })
}

impl Share {
    /// Whether the part is within the whole, so that the share is at most 1.
    pub(super) fn is_bounded(&self) -> bool {
        outside(&self.part, &self.whole, &["le"]).is_none()
    }
}

/// How many events: a sum of the rate of one selector, or the selector itself.
struct Events {
    selector: Selector,
    at: Span,
    range_ms: Option<i64>,
    range_at: Span,
}

fn events(expr: &Expr) -> Option<Events> {
    match &expr.unwrapped().kind {
        ExprKind::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum => events(&aggregate.expr),
        ExprKind::Call { function, args } if matches!(function.name, "rate" | "increase" | "irate") => {
            let inner = args.first()?.unwrapped();
            let ExprKind::Matrix { selector, range } = &inner.kind else {
                return None;
            };
            Some(Events {
                selector: plain(selector)?,
                at: inner.span,
                range_ms: Some(millis(range)),
                range_at: inner.span,
            })
        }
        ExprKind::Selector(selector) => Some(Events {
            selector: plain(selector)?,
            at: expr.unwrapped().span,
            range_ms: None,
            range_at: expr.span,
        }),
        _ => None,
    }
}

/// A selector of one metric, as indicators have them.
pub(super) fn plain(selector: &ast::Selector) -> Option<Selector> {
    let is_name = |name: &str| name == METRIC_NAME;
    let name = selector
        .matchers
        .iter()
        .find(|one| is_name(one.name()) && one.op() == MatchOp::Equal)?;
    Some(Selector {
        metric: name.value().to_owned(),
        matchers: selector
            .matchers
            .iter()
            .filter(|one| !is_name(one.name()))
            .cloned()
            .collect(),
    })
}

/// A duration; one that is computed from the query's own times says nothing.
fn millis(duration: &Duration) -> i64 {
    match duration {
        Duration::Millis(ms) => *ms,
        Duration::Computed(_) => 0,
    }
}

fn back(shift: &Shift) -> i64 {
    shift.offset.as_ref().map_or(0, millis)
}

/// How far back, in milliseconds, each range of an expression looks, and where it stands.
pub(super) fn lookbacks(expr: &Expr) -> Vec<(i64, Span)> {
    match &expr.kind {
        ExprKind::Selector(selector) => vec![(back(&selector.shift), expr.span)],
        ExprKind::Matrix { selector, range } => {
            vec![(millis(range).saturating_add(back(&selector.shift)), expr.span)]
        }
        ExprKind::Subquery {
            expr: inner,
            range,
            shift,
            ..
        } => {
            let outer = millis(range).saturating_add(back(shift));
            let inner = lookbacks(inner).into_iter().map(|(ms, _)| ms).max();
            vec![(outer.saturating_add(inner.unwrap_or_default()), expr.span)]
        }
        _ => expr.children().into_iter().flat_map(lookbacks).collect(),
    }
}
