//! Another parser of PromQL reads the published queries the same way: same operators, same nesting.

use mainstay_promql::ast::{BinaryOp, Expr, ExprKind};
use promql_parser::parser::Expr as PeerExpr;

use super::support::published_queries;

#[test]
fn another_parser_sees_the_same_tree() {
    let Some(queries) = published_queries() else {
        return;
    };
    let (mut same, mut only_here, mut refused_by_both) = (0, 0, 0);
    for query in &queries {
        match (mainstay_promql::parse(query), promql_parser::parser::parse(query)) {
            (Ok(here), Ok(there)) => {
                assert_eq!(shape(&here), peer_shape(&there), "{query}");
                same += 1;
            }
            (Ok(_), Err(_)) => only_here += 1,
            (Err(_), Err(_)) => refused_by_both += 1,
            (Err(error), Ok(_)) => assert!(is_known_to_differ(query, &error.message), "{query}: {error}"),
        }
    }
    eprintln!("{same} same, {only_here} only here, {refused_by_both} refused by both");
    assert!(same > 1700, "only {same} of {}", queries.len());
}

/// What the other parser lets through.
fn is_known_to_differ(query: &str, message: &str) -> bool {
    // Functions that are not here, and modifiers that are not supported.
    message.contains("unknown function") || message.contains("is not supported") || query.contains("info(")
}

fn shape(expr: &Expr) -> String {
    let below: Vec<String> = expr.children().into_iter().map(shape).collect();
    let below = below.join(" ");
    match &expr.kind {
        ExprKind::Number(value) if value.is_sign_negative() => format!("(- {})", -value),
        ExprKind::Number(value) => value.to_string(),
        ExprKind::String(_) => "text".to_owned(),
        ExprKind::Selector(selector) => format!("selector{}", selector.matchers.len()),
        ExprKind::Matrix { selector, .. } => format!("matrix{}", selector.matchers.len()),
        ExprKind::Subquery { .. } => format!("(subquery {below})"),
        ExprKind::Call { function, .. } => format!("({} {below})", function.name),
        ExprKind::Aggregate(aggregate) => format!("({} {below})", aggregate.op.name()),
        ExprKind::Binary(binary) => format!("({} {below})", symbol(binary.op)),
        ExprKind::Negate(_) => format!("(- {below})"),
        ExprKind::Paren(_) => format!("[{below}]"),
    }
}

fn symbol(op: BinaryOp) -> &'static str {
    op.symbol()
}

fn peer_shape(expr: &PeerExpr) -> String {
    match expr {
        PeerExpr::NumberLiteral(number) if number.val.is_sign_negative() => format!("(- {})", -number.val),
        PeerExpr::NumberLiteral(number) => number.val.to_string(),
        PeerExpr::StringLiteral(_) => "text".to_owned(),
        PeerExpr::VectorSelector(selector) => {
            let named = usize::from(selector.name.is_some());
            format!("selector{}", selector.matchers.matchers.len() + named)
        }
        PeerExpr::MatrixSelector(matrix) => {
            let named = usize::from(matrix.vs.name.is_some());
            format!("matrix{}", matrix.vs.matchers.matchers.len() + named)
        }
        PeerExpr::Subquery(subquery) => format!("(subquery {})", peer_shape(&subquery.expr)),
        PeerExpr::Call(call) => {
            let args: Vec<String> = call.args.args.iter().map(|arg| peer_shape(arg)).collect();
            format!("({} {})", call.func.name, args.join(" "))
        }
        PeerExpr::Aggregate(aggregate) => {
            let parts = aggregate
                .param
                .iter()
                .chain([&aggregate.expr])
                .map(|part| peer_shape(part));
            format!("({} {})", aggregate.op, parts.collect::<Vec<_>>().join(" "))
        }
        PeerExpr::Binary(binary) => {
            format!(
                "({} {} {})",
                binary.op,
                peer_shape(&binary.lhs),
                peer_shape(&binary.rhs)
            )
        }
        PeerExpr::Unary(unary) => format!("(- {})", peer_shape(&unary.expr)),
        PeerExpr::Paren(paren) => format!("[{}]", peer_shape(&paren.expr)),
        PeerExpr::Extension(_) => "extension".to_owned(),
    }
}
