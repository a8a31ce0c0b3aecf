//! An expression taken apart, in the form that Prometheus' own pages read.

use mainstay_kernel::Matcher;
use mainstay_promql::ast::{
    At, BinaryOp, Cardinality, Duration, Expr, ExprKind, Grouping, Matching, Selector, Shift, ValueType,
};
use mainstay_promql::function::{Function, Variadic};
use mainstay_promql::{format_float, print};
use serde_json::{Map, Value, json};

/// The tree of an expression.
pub(super) fn of(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(value) => json!({"type": "numberLiteral", "val": format_float(*value)}),
        ExprKind::String(bytes) => {
            json!({"type": "stringLiteral", "val": String::from_utf8_lossy(bytes)})
        }
        ExprKind::Selector(selected) => Value::Object(selector("vectorSelector", selected)),
        ExprKind::Matrix {
            selector: selected,
            range,
        } => {
            let mut node = selector("matrixSelector", selected);
            put_duration(&mut node, "range", Some(range));
            Value::Object(node)
        }
        ExprKind::Subquery {
            expr,
            range,
            step,
            shift: shifted,
            ..
        } => {
            let mut node = shift("subquery", shifted);
            node.insert("expr".to_owned(), of(expr));
            put_duration(&mut node, "range", Some(range));
            put_duration(&mut node, "step", step.as_ref());
            Value::Object(node)
        }
        ExprKind::Call { function, args } => json!({
            "type": "call",
            "func": signature(function),
            "args": args.iter().map(of).collect::<Vec<_>>(),
        }),
        ExprKind::Aggregate(aggregate) => {
            let (without, grouping) = labels(&aggregate.grouping);
            json!({
                "type": "aggregation",
                "op": aggregate.op.name(),
                "expr": of(&aggregate.expr),
                "param": aggregate.parameter.as_ref().map(of),
                "grouping": grouping,
                "without": without,
            })
        }
        ExprKind::Binary(binary) => {
            let vectors = [&binary.lhs, &binary.rhs]
                .iter()
                .all(|side| side.value_type() == ValueType::Vector);
            json!({
                "type": "binaryExpr",
                "op": binary.op.symbol(),
                "lhs": of(&binary.lhs),
                "rhs": of(&binary.rhs),
                "matching": vectors.then(|| matching(binary.op, &binary.matching)),
                "bool": binary.return_bool,
            })
        }
        ExprKind::Negate(inner) => json!({"type": "unaryExpr", "op": "-", "expr": of(inner)}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": of(inner)}),
    }
}

fn selector(kind: &str, selector: &Selector) -> Map<String, Value> {
    let mut node = shift(kind, &selector.shift);
    let name = print::metric_name(selector).map(Matcher::value);
    node.insert("name".to_owned(), json!(name.unwrap_or_default()));
    let matchers = selector.matchers.iter().map(
        |matcher| json!({"name": matcher.name(), "value": matcher.value(), "type": matcher.op().symbol()}),
    );
    node.insert("matchers".to_owned(), matchers.collect());
    node
}

fn shift(kind: &str, shift: &Shift) -> Map<String, Value> {
    let (timestamp, start_or_end) = match shift.at {
        None => (None, None),
        Some(At::Millis(ms)) => (Some(ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    };
    let mut node = Map::new();
    node.insert("type".to_owned(), json!(kind));
    node.insert("timestamp".to_owned(), json!(timestamp));
    node.insert("startOrEnd".to_owned(), json!(start_or_end));
    put_duration(&mut node, "offset", shift.offset.as_ref());
    node
}

/// Milliseconds; of a computed duration the expression instead.
fn put_duration(node: &mut Map<String, Value>, name: &str, duration: Option<&Duration>) {
    let (ms, expr) = match duration {
        None => (0, None),
        Some(Duration::Millis(ms)) => (*ms, None),
        Some(Duration::Computed(expr)) => (0, Some(of(expr))),
    };
    node.insert(name.to_owned(), json!(ms));
    node.insert(format!("{name}Expr"), json!(expr));
}

fn labels(grouping: &Grouping) -> (bool, &[String]) {
    match grouping {
        Grouping::Keep(names) => (false, names),
        Grouping::Drop(names) => (true, names),
    }
}

fn matching(op: BinaryOp, matching: &Matching) -> Value {
    let (ignoring, names) = labels(&matching.labels);
    let cardinality = match matching.cardinality {
        _ if op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": cardinality,
        "labels": names,
        "on": !ignoring,
        "include": matching.include,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    })
}

fn signature(function: &Function) -> Value {
    let variadic: i64 = match function.variadic {
        Variadic::No => 0,
        Variadic::Optional => 1,
        Variadic::Any => -1,
        Variadic::UpTo(most) => i64::try_from(most).unwrap_or(i64::MAX),
    };
    json!({
        "name": function.name,
        "argTypes": function.args.iter().map(|kind| type_name(*kind)).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": type_name(function.returns),
    })
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_taken_apart() {
        let expr = mainstay_promql::parse("sum by (a) (rate(x{b!=\"1\"}[5m] offset 1m)) / on (a) y > 1")
            .expect("PromQL");
        let tree = of(&expr);
        assert_eq!(tree["type"], "binaryExpr");
        assert_eq!(tree["op"], ">");
        assert_eq!(tree["matching"], Value::Null, "one side is a number");
        assert_eq!(tree["rhs"], json!({"type": "numberLiteral", "val": "1"}));
        let division = &tree["lhs"];
        assert_eq!(division["matching"]["card"], "one-to-one");
        assert_eq!(division["matching"]["labels"], json!(["a"]));
        let sum = &division["lhs"];
        assert_eq!((&sum["op"], &sum["without"]), (&json!("sum"), &json!(false)));
        let rate = &sum["expr"];
        assert_eq!(
            rate["func"],
            json!({"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"})
        );
        let window = &rate["args"][0];
        assert_eq!(window["type"], "matrixSelector");
        assert_eq!(
            (&window["range"], &window["offset"]),
            (&json!(300_000), &json!(60_000))
        );
        assert_eq!(window["name"], "x");
        assert!(window["matchers"].as_array().is_some_and(|matchers| {
            matchers.contains(&json!({"name": "b", "value": "1", "type": "!="}))
        }));
    }
}
