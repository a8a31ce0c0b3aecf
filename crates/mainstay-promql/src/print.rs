//! Expressions as text again: on one line, or broken into lines where one would be too long. What is printed parses to
//! the same tree (a leading plus, comments and the notation of numbers are not kept).

use std::fmt::Write as _;

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{MatchOp, Matcher};

use crate::ast::{
    Aggregate, At, Binary, Cardinality, Duration, Expr, ExprKind, Grouping, Matching, Selector, Shift,
};
use crate::duration::format_ms;
use crate::format::{float, quoted};
use crate::function::Function;

/// Words that, where an operand may begin, are read as something else than a metric's name.
const KEYWORDS: [&str; 7] = [
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
];
/// The longest line that is not broken, in bytes.
const LINE_BYTES: usize = 100;
const INDENT: &str = "  ";

/// On one line.
#[must_use]
pub fn text(expr: &Expr) -> String {
    let mut out = String::new();
    write(&mut out, expr);
    out
}

/// Broken into lines of at most 100 bytes where the tree allows it, two blanks per level.
#[must_use]
pub fn pretty(expr: &Expr) -> String {
    broken(expr, 0)
}

fn broken(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let whole = text(expr);
    if whole.len() <= LINE_BYTES {
        return indent + &whole;
    }
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Matrix { .. } => {
            indent + &whole
        }
        ExprKind::Negate(inner) => format!("{indent}-{}", broken(inner, level).trim()),
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", broken(inner, level + 1)),
        ExprKind::Subquery {
            expr,
            range,
            step,
            shift,
            ..
        } => broken(expr, level) + &subquery(range, step.as_ref(), shift),
        ExprKind::Call { function, args } => {
            let args = args.iter().enumerate().map(|(index, arg)| match &arg.kind {
                ExprKind::Selector(_) => INDENT.repeat(level + 1) + &argument(function, index, arg),
                _ => broken(arg, level + 1),
            });
            let args: Vec<String> = args.collect();
            format!("{indent}{}(\n{}\n{indent})", function.name, args.join(",\n"))
        }
        ExprKind::Aggregate(aggregate) => {
            let inside = aggregate.parameter.iter().chain([&aggregate.expr]);
            let inside: Vec<String> = inside.map(|expr| broken(expr, level + 1)).collect();
            format!(
                "{indent}{}(\n{}\n{indent})",
                aggregation(aggregate),
                inside.join(",\n")
            )
        }
        ExprKind::Binary(binary) => format!(
            "{}\n{indent}{}\n{}",
            broken(&binary.lhs, level + 1),
            operation(binary),
            broken(&binary.rhs, level + 1)
        ),
    }
}

/// Writing to a String cannot fail, here and below.
fn write(out: &mut String, expr: &Expr) {
    match &expr.kind {
        ExprKind::Number(value) => out.push_str(&float(*value)),
        ExprKind::String(bytes) => out.push_str(&quoted(bytes)),
        ExprKind::Selector(selector) => {
            write_selector(out, selector, true);
            write_extension(out, selector);
            write_shift(out, &selector.shift);
        }
        ExprKind::Matrix { selector, range } => {
            write_selector(out, selector, true);
            let _ = write!(out, "[{}]", duration(range));
            write_extension(out, selector);
            write_shift(out, &selector.shift);
        }
        ExprKind::Subquery {
            expr,
            range,
            step,
            shift,
            ..
        } => {
            write(out, expr);
            out.push_str(&subquery(range, step.as_ref(), shift));
        }
        ExprKind::Call { function, args } => {
            let args = args.iter().enumerate();
            let args: Vec<String> = args.map(|(index, arg)| argument(function, index, arg)).collect();
            let _ = write!(out, "{}({})", function.name, args.join(", "));
        }
        ExprKind::Aggregate(aggregate) => {
            out.push_str(&aggregation(aggregate));
            write_list(out, aggregate.parameter.iter().chain([&aggregate.expr]));
        }
        ExprKind::Binary(binary) => {
            write(out, &binary.lhs);
            let _ = write!(out, " {} ", operation(binary));
            write(out, &binary.rhs);
        }
        ExprKind::Negate(inner) => {
            out.push('-');
            write(out, inner);
        }
        ExprKind::Paren(inner) => {
            out.push('(');
            write(out, inner);
            out.push(')');
        }
    }
}

fn write_list<'e>(out: &mut String, exprs: impl Iterator<Item = &'e Expr>) {
    out.push('(');
    for (index, expr) in exprs.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, expr);
    }
    out.push(')');
}

/// The matcher that stands before the braces as the metric's name, if there is one.
#[must_use]
pub fn metric_name(selector: &Selector) -> Option<&Matcher> {
    let names = |matcher: &&Matcher| {
        matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal && !matcher.value().is_empty()
    };
    selector.matchers.iter().find(names)
}

/// An argument on one line. The second of `info` is a selection of labels, which must stand in braces.
fn argument(function: &Function, index: usize, arg: &Expr) -> String {
    match &arg.kind {
        ExprKind::Selector(selector) if index == 1 && function.name == "info" => {
            let mut out = String::new();
            write_selector(&mut out, selector, false);
            write_extension(&mut out, selector);
            write_shift(&mut out, &selector.shift);
            out
        }
        _ => text(arg),
    }
}

/// With the metric's name before the braces, if it may stand there.
fn write_selector(out: &mut String, selector: &Selector, name_may_lead: bool) {
    let name = metric_name(selector);
    let named_again = |matcher: &Matcher| matcher.name() == METRIC_NAME;
    // Behind the braces' name there may be no other.
    let name_may_lead = name_may_lead
        && selector
            .matchers
            .iter()
            .filter(|matcher| named_again(matcher))
            .count()
            < 2;
    let others = selector
        .matchers
        .iter()
        .filter(|matcher| name.is_none_or(|name| !std::ptr::eq(name, *matcher)));
    let mut texts: Vec<String> = others
        .map(|matcher| {
            let value = quoted(matcher.value().as_bytes());
            format!("{}{}{value}", label(matcher.name()), matcher.op().symbol())
        })
        .collect();
    texts.sort_unstable();
    match name.map(Matcher::value) {
        Some(name) if name_may_lead && may_lead(name) => out.push_str(name),
        Some(name) => texts.insert(0, quoted(name.as_bytes())),
        None => {}
    }
    if !texts.is_empty() || name.is_none() {
        let _ = write!(out, "{{{}}}", texts.join(","));
    }
}

/// Whether a metric's name may stand before the braces.
fn may_lead(name: &str) -> bool {
    is_plain(name, true) && !KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Whether a name needs no quotation marks.
fn is_plain(name: &str, colons: bool) -> bool {
    let allowed = |(index, byte): (usize, u8)| {
        byte == b'_'
            || (colons && byte == b':')
            || byte.is_ascii_alphabetic()
            || (index > 0 && byte.is_ascii_digit())
    };
    !name.is_empty() && name.bytes().enumerate().all(allowed)
}

fn label(name: &str) -> String {
    if is_plain(name, false) {
        name.to_owned()
    } else {
        quoted(name.as_bytes())
    }
}

fn labels(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| label(name)).collect();
    names.join(", ")
}

fn aggregation(aggregate: &Aggregate) -> String {
    let op = aggregate.op.name();
    match &aggregate.grouping {
        Grouping::Keep(names) if names.is_empty() => op.to_owned(),
        Grouping::Keep(names) => format!("{op} by ({}) ", labels(names)),
        Grouping::Drop(names) => format!("{op} without ({}) ", labels(names)),
    }
}

fn operation(binary: &Binary) -> String {
    let mut text = binary.op.symbol().to_owned();
    if binary.return_bool {
        text.push_str(" bool");
    }
    write_matching(&mut text, &binary.matching);
    text
}

fn write_matching(out: &mut String, matching: &Matching) {
    let group = match matching.cardinality {
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
    };
    let _ = match &matching.labels {
        Grouping::Keep(names) => write!(out, " on ({})", labels(names)),
        Grouping::Drop(names) if names.is_empty() && group.is_none() => Ok(()),
        Grouping::Drop(names) => write!(out, " ignoring ({})", labels(names)),
    };
    if let Some(group) = group {
        let _ = write!(out, " group_{group} ({})", labels(&matching.include));
    }
    let _ = match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            write!(out, " fill ({})", float(left))
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    let _ = write!(out, " fill_{side} ({})", float(value));
                }
            }
            Ok(())
        }
    };
}

fn duration(duration: &Duration) -> String {
    match duration {
        Duration::Millis(ms) => format_ms(*ms),
        Duration::Computed(expr) => text(expr),
    }
}

/// `[range:step]`, and the time shift.
fn subquery(range: &Duration, step: Option<&Duration>, shift: &Shift) -> String {
    let step = step.map_or_else(String::new, duration);
    let mut text = format!("[{}:{step}]", duration(range));
    write_shift(&mut text, shift);
    text
}

fn write_extension(out: &mut String, selector: &Selector) {
    if let Some(extension) = selector.extension {
        let _ = write!(out, " {}", extension.name());
    }
}

fn write_shift(out: &mut String, shift: &Shift) {
    match shift.at {
        #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
        Some(At::Millis(ms)) => {
            let _ = write!(out, " @ {:.3}", ms as f64 / 1_000.0);
        }
        Some(At::Start) => out.push_str(" @ start()"),
        Some(At::End) => out.push_str(" @ end()"),
        None => {}
    }
    match &shift.offset {
        None | Some(Duration::Millis(0)) => {}
        Some(offset) => {
            let _ = write!(out, " offset {}", duration(offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn on_one_line_as_prometheus_prints() {
        for (query, expected) in [
            ("sum(x)by(a,b)", "sum by (a, b) (x)"),
            ("sum without() (x)", "sum without () (x)"),
            ("sum by () (x)", "sum(x)"),
            ("topk( 5,x )", "topk(5, x)"),
            ("{__name__=\"x\",b='1',a!~\"2\"}", "x{a!~\"2\",b=\"1\"}"),
            ("{\"a.b\",\"c.d\"=\"e\"}", "{\"a.b\",\"c.d\"=\"e\"}"),
            ("{a=\"1\"}", "{a=\"1\"}"),
            ("a+on()b", "a + on () b"),
            ("rate(a[5m]anchored offset 1m)", "rate(a[5m] anchored offset 1m)"),
            ("a smoothed@5", "a smoothed @ 5.000"),
            ("h</2>/1", "h </ 2 >/ 1"),
            ("info(a,{b=\"c\"})", "info(a, {b=\"c\"})"),
            ("info(a,{})", "info(a, {})"),
            ("info(a,{__name__='b',c='d'})", "info(a, {\"b\",c=\"d\"})"),
            (
                "a*ignoring(x)group_left(y,z)b",
                "a * ignoring (x) group_left (y, z) b",
            ),
            ("a>bool 1", "a > bool 1"),
            ("x[90s] offset -1h@5", "x[1m30s] @ 5.000 offset -1h"),
            ("rate(x[5m])[1d:]@end()", "rate(x[5m])[1d:] @ end()"),
            ("-(a)^ -b", "-(a) ^ -b"),
            ("{'a',''}", "{\"a\",__name__=\"\"}"),
            ("a and ignoring() on", "a and {\"on\"}"),
            ("a + {\"Bool\",b='c'}", "a + {\"Bool\",b=\"c\"}"),
            (
                "a * on(b) {\"group_left\"} ^ 2",
                "a * on (b) {\"group_left\"} ^ 2",
            ),
            ("{'nan'} > {'Inf'}", "{\"nan\"} > {\"Inf\"}"),
            ("1e3", "1000"),
            ("'a\"\\n'", "\"a\\\"\\n\""),
        ] {
            let expr = parse(query).expect(query);
            assert_eq!(text(&expr), expected);
            let again = parse(expected).expect(expected);
            assert_eq!(text(&again), expected, "it prints as it was read");
        }
    }

    #[test]
    fn long_lines_are_broken() {
        let query = "sum by (cell) (rate(http_requests_total{job=\"api-gateway\",status=~\"5..\"}[5m])) / \
                     sum by (cell) (rate(http_requests_total{job=\"api-gateway\"}[5m])) > 0.05";
        assert_eq!(
            pretty(&parse(query).expect("PromQL")),
            "    sum by (cell) (rate(http_requests_total{job=\"api-gateway\",status=~\"5..\"}[5m]))\n\
             \x20 /\n\
             \x20   sum by (cell) (rate(http_requests_total{job=\"api-gateway\"}[5m]))\n\
             >\n\
             \x20 0.05"
        );
    }
}
