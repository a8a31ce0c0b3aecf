//! What is refused, where and why.

use mainstay_promql::{Limits, MemorySamples, instant, parse, parse_selector};
use proptest::prelude::*;

use super::support::published_queries;

#[test]
fn errors_name_the_place() {
    for (query, expected) in [
        ("", "1:1: parse error: no expression found in input"),
        ("test +", "1:7: parse error: unexpected end of input"),
        (
            "sum(\n  rate(x[5m])\n  foo)",
            "3:3: parse error: unexpected identifier \"foo\", expected \")\"",
        ),
        (
            "foo{bar=baz}",
            "1:9: parse error: unexpected identifier \"baz\" in label matching, expected string",
        ),
        (
            "{}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            "up{__name__=\"x\"}",
            "1:1: parse error: metric name must not be set twice",
        ),
        (
            "rate(x)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "abs(x, y)",
            "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 2",
        ),
        ("nope(x)", "1:1: parse error: unknown function with name \"nope\""),
        (
            "1 and 2",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
        ),
        (
            "1 == 2",
            "1:1: parse error: comparisons between scalars must use BOOL modifier",
        ),
        (
            "x + bool y",
            "1:5: parse error: bool modifier can only be used on comparison operators",
        ),
        (
            "x and on(a) group_left y",
            "1:13: parse error: no grouping allowed for \"and\" operation",
        ),
        (
            "x * on(a) group_left(a) y",
            "1:11: parse error: label \"a\" must not occur in ON and GROUP clause at once",
        ),
        (
            "x[5m] offset 1m offset 2m",
            "1:17: parse error: offset may not be set multiple times",
        ),
        (
            "sum(x) offset 1m",
            "1:8: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("x[0s]", "1:3: parse error: duration must be greater than 0"),
        (
            "(x + y)[5m]",
            "1:8: parse error: ranges only allowed for vector selectors",
        ),
        (
            "x{a=~\"(\"}",
            "1:6: parse error: bad regular expression in a=~\"(\"",
        ),
        ("5mm", "1:1: parse error: bad number or duration syntax: \"5mm\""),
        ("\"abc", "1:1: parse error: unterminated quoted string"),
        ("x ! y", "1:3: parse error: unexpected \"!\""),
        ("x $ y", "1:3: parse error: unexpected character '$'"),
        (
            "topk(x)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        (
            "abs(x,)",
            "1:7: parse error: trailing commas not allowed in function call args",
        ),
    ] {
        let error = parse(query).expect_err(query).to_string();
        assert!(error.starts_with(expected), "{query}: {error}");
    }
}

/// Whatever is read and evaluated fits on half the stack that a thread usually has, even without optimisation.
#[test]
fn nesting_is_limited() {
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(nest)
        .expect("a thread");
    thread.join().expect("it fits");
}

fn nest() {
    let deep = |levels: usize| format!("{}x{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&deep(35)).is_ok());
    assert!(parse(&deep(50_000)).is_err_and(|error| error.message.contains("nested deeper")));
    assert!(parse(&"-".repeat(50_000)).is_err());
    assert!(parse(&"sum(".repeat(50_000)).is_err());
    assert!(parse(&format!("x{}", " ^ x".repeat(50_000))).is_err());
    let chain = |operations: usize| format!("x{}", " + x".repeat(operations));
    assert!(parse(&chain(250)).is_err());
    // Chains in parentheses in chains.
    let nested = (0..20).fold("x".to_owned(), |inner, _| {
        format!("({inner}{})", " + x".repeat(20))
    });
    assert!(parse(&nested).is_err_and(|error| error.message.contains("operations on each other")));
    assert!(parse(&format!("x{}", "[1h:1m]".repeat(3))).is_err());
    let subqueries = parse(&format!("x{}", "[1h:1m]".repeat(30_000)));
    assert!(subqueries.is_err_and(|error| error.message.contains("operations on each other")));
    // What is allowed can be evaluated on a small stack.
    let calls = format!("{}x{}", "abs(".repeat(35), ")".repeat(35));
    let sums = format!("{}x{}", "sum by (a) (".repeat(35), ")".repeat(35));
    let subqueries = format!("{}x{}", "max_over_time(".repeat(35), "[5m:1m])".repeat(35));
    for query in [chain(249), calls, sums, subqueries] {
        let expr = parse(&query).expect("as high as allowed");
        instant(&expr, 0, &MemorySamples::new(), &Limits::default()).expect("a value");
    }
}

#[test]
fn selectors_alone() {
    let matchers = parse_selector(r#"up{job=~"a.*", x!="1"}"#).expect("a selector");
    let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [r#"__name__="up""#, r#"job=~"a.*""#, r#"x!="1""#]);
    assert!(parse_selector("sum(up)").is_err());
    assert!(parse_selector("up offset 5m").is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn pieces_of_queries_are_read_or_refused(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "sum", "by", "(", ")", "x", "{", "}", "a", "=", "=~", "\"b\"", "[", "5m", "]", ":", "offset", "-", "+",
                "^", "@", "1", "start", "end", ",", "and", "on", "group_left", "rate", "bool", "==", "fill", "topk",
                "inf", "0x1f", "1e3", " ",
            ]),
            0..25,
        )
    ) {
        let _ = parse(&pieces.concat());
        let _ = parse(&pieces.join(" "));
    }
}

#[test]
fn published_queries_cut_anywhere_are_read_or_refused() {
    let Some(queries) = published_queries() else {
        return;
    };
    for query in queries.iter().step_by(7) {
        for (at, _) in query.char_indices() {
            let _ = parse(&query[..at]);
            let _ = parse(&query[at..]);
        }
    }
}
