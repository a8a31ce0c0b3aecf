//! Types: what fits together.

use crate::ast::{Binary, Expr, ExprKind, Grouping, Matching, ValueType};
use crate::function::Function;

use super::Fault;

/// Checks an expression and everything below it.
pub(super) fn check(expr: &Expr, text: &str) -> Result<(), Fault> {
    if let ExprKind::Call { function, args } = &expr.kind
        && function.name == "info"
    {
        return info(expr, function, args, text);
    }
    for child in expr.children() {
        check(child, text)?;
    }
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => {
            if selector.matchers.iter().all(|matcher| matcher.matches_value("")) {
                let message = "vector selector must contain at least one non-empty matcher";
                return Err((expr.span, message.to_owned()));
            }
            Ok(())
        }
        ExprKind::Call { function, args } => call(expr, function, args),
        ExprKind::Aggregate(aggregate) => {
            if let (Some(parameter), Some(wanted)) = (&aggregate.parameter, aggregate.op.parameter()) {
                expect(parameter, wanted, "aggregation parameter")?;
            }
            expect(&aggregate.expr, ValueType::Vector, "aggregation expression")
        }
        ExprKind::Binary(operation) => binary(expr, operation),
        ExprKind::Negate(inner) => match inner.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => {
                let message = "unary expression only allowed on expressions of type scalar or instant vector";
                Err((expr.span, format!("{message}, got {other:?}")))
            }
        },
        ExprKind::Subquery { expr: inner, .. } => match inner.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => Err((
                expr.span,
                format!("subquery is only allowed on instant vector, got {other}"),
            )),
        },
        _ => Ok(()),
    }
}

fn expect(expr: &Expr, wanted: ValueType, context: &str) -> Result<(), Fault> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    Err((
        expr.span,
        format!("expected type {wanted} in {context}, got {found}"),
    ))
}

fn call(expr: &Expr, function: &Function, args: &[Expr]) -> Result<(), Fault> {
    let arity = function.arity();
    if !arity.contains(&args.len()) {
        let (least, most) = (*arity.start(), *arity.end());
        let wanted = if least == most {
            format!("expected {least} argument(s)")
        } else if args.len() < least {
            format!("expected at least {least} argument(s)")
        } else {
            format!("expected at most {most} argument(s)")
        };
        return Err((
            expr.span,
            format!("{wanted} in call to {:?}, got {}", function.name, args.len()),
        ));
    }
    for (index, arg) in args.iter().enumerate() {
        expect(
            arg,
            function.argument(index),
            &format!("call to function {:?}", function.name),
        )?;
    }
    Ok(())
}

/// The second argument of `info` is a selection of labels, which may hold for series without them.
fn info(expr: &Expr, function: &Function, args: &[Expr], text: &str) -> Result<(), Fault> {
    args.iter().take(1).try_for_each(|arg| check(arg, text))?;
    call(expr, function, args)?;
    match args.get(1) {
        None => Ok(()),
        Some(arg) if !matches!(arg.kind, ExprKind::Selector(_)) => {
            Err((arg.span, "expected label selectors only".to_owned()))
        }
        Some(arg)
            if !text
                .get(arg.span.start..)
                .is_some_and(|text| text.starts_with('{')) =>
        {
            let message = "expected label selectors only, got vector selector instead";
            Err((arg.span, message.to_owned()))
        }
        Some(_) => Ok(()),
    }
}

fn binary(expr: &Expr, binary: &Binary) -> Result<(), Fault> {
    let (left, right) = (binary.lhs.value_type(), binary.rhs.value_type());
    for (side, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err((side.span, format!("{message}, got {found}")));
        }
    }
    let scalars = [left, right]
        .iter()
        .filter(|found| **found == ValueType::Scalar)
        .count();
    if scalars == 2 && binary.op.is_comparison() && !binary.return_bool {
        return Err((
            expr.span,
            "comparisons between scalars must use BOOL modifier".to_owned(),
        ));
    }
    if scalars == 0 {
        return Ok(());
    }
    if scalars == 2 && binary.op.is_trim() {
        let message = format!(
            "operator {:?} not allowed for Scalar operations",
            binary.op.symbol()
        );
        return Err((expr.span, message));
    }
    if binary.op.is_set() {
        let message = format!(
            "set operator {:?} not allowed in binary scalar expression",
            binary.op.symbol()
        );
        return Err((expr.span, message));
    }
    let Matching {
        labels: Grouping::Keep(labels) | Grouping::Drop(labels),
        fill_left,
        fill_right,
        ..
    } = &binary.matching;
    if !labels.is_empty() || fill_left.is_some() || fill_right.is_some() {
        return Err((
            expr.span,
            "vector matching only allowed between instant vectors".to_owned(),
        ));
    }
    Ok(())
}
