//! The runner of scripts notices what is wrong.

use mainstay_promql::promqltest::run;

const LOAD: &str = "load 1m\n  x{a=\"1\"} 1+1x10\n  x{a=\"2\"} 2+2x10\n  h {{count:1 sum:2}}x10\n\n";

/// The message for an evaluation that must fail.
fn refused(eval: &str) -> String {
    let report = run(&format!("{LOAD}{eval}\n")).unwrap_or_else(|error| panic!("{eval}: {error}"));
    assert_eq!((report.passed, report.failed.len()), (0, 1), "{eval}");
    assert_eq!(report.failed[0].line, 6);
    report.failed[0].message.clone()
}

#[test]
fn wrong_expectations_fail() {
    for (eval, expected) in [
        (
            "eval instant at 1m sum(x)\n  {} 7",
            "! {}\n        expected  7\n        got       6",
        ),
        (
            "eval instant at 1m sum(x)\n  {} 6.0001",
            "! {}\n        expected  6.0001\n        got       6",
        ),
        (
            "eval instant at 1m x\n  x{a=\"1\"} 2",
            "+ x{a=\"2\"}\n        expected  nothing\n        got       4",
        ),
        (
            "eval instant at 1m x{a=\"1\"}\n  x{a=\"1\"} 2\n  x{a=\"2\"} 4",
            "- x{a=\"2\"}\n        expected  4\n        got       nothing",
        ),
        (
            "eval instant at 1m sort(x)\n  expect ordered\n  x{a=\"2\"} 4\n  x{a=\"1\"} 2",
            "another order",
        ),
        ("eval instant at 1m x\n  expect fail", "did not fail"),
        (
            "eval instant at 1m x +\n  {} 1",
            "failed: unexpected end of input",
        ),
        (
            "eval instant at 1m x + on() x\n  expect fail msg: another",
            "failed with another message",
        ),
        (
            "eval instant at 1m rate(x[5m])\n  expect no_info\n  {a=\"1\"} 0.01",
            "expected no Info",
        ),
        (
            "eval instant at 1m x{a=\"1\"}\n  expect warn\n  x{a=\"1\"} 2",
            "an expected Warning is missing",
        ),
        (
            "eval range from 0 to 2m step 1m x{a=\"1\"}\n  x{a=\"1\"} 1 2 4",
            "! x{a=\"1\"} at 2m\n        expected  4\n        got       3",
        ),
        (
            "eval range from 0 to 2m step 1m x{a=\"1\"}\n  x{a=\"1\"} 1 2",
            "+ x{a=\"1\"} at 2m\n        expected  nothing\n        got       3",
        ),
        ("eval instant at 1m 1 + 1\n  3", "expected 3, got 2"),
        (
            "eval instant at 1m h\n  h {{count:1 sum:3}}",
            "! h\n        expected  {{count:1 sum:3}}\n        got       {{count:1 sum:2 counter_reset_hint:not_reset}}",
        ),
        (
            "eval instant at 1m h\n  h {{count:1 sum:2 counter_reset_hint:gauge}}",
            "! h\n        expected  {{count:1 sum:2 counter_reset_hint:gauge}}",
        ),
        (
            "eval instant at 1m h\n  h 1",
            "! h\n        expected  1\n        got       {{count:1",
        ),
        (
            "eval instant at 1m x{a=\"1\"}\n  x{a=\"1\"} {{count:2}}",
            "! x{a=\"1\"}\n        expected  {{count:2}}\n        got       2",
        ),
        (
            "eval instant at 1m sum({__name__=~\"x|h\"})\n  expect warn msg: another",
            "an expected Warning is missing",
        ),
        (
            "eval instant at 1m \"a\"\n  expect string \"b\"",
            "expected Some(\"b\"), got \"a\"",
        ),
    ] {
        let message = refused(eval);
        let first = message.strip_prefix("1 difference\n    ").unwrap_or(&message);
        assert!(first.starts_with(expected), "{eval}: {message}");
    }
}

#[test]
fn the_old_way_of_expecting_failure_is_understood() {
    let script = format!(
        "{LOAD}eval_fail instant at 1m x + on() x\n  expected_fail_regexp duplicate series\n\n\
         eval_fail instant at 1m x + on() x\n  expected_fail_message another\n\n\
         eval_ordered instant at 1m sort_desc(x)\n  x{{a=\"2\"}} 4 # the larger\n  x{{a=\"1\"}} 2\n"
    );
    let report = run(&script).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((report.passed, report.failed.len()), (2, 1));
    assert_eq!(report.failed[0].line, 9);
}

#[test]
fn scripts_that_cannot_be_read_are_refused_with_their_place() {
    for (script, expected) in [
        ("hello", "1:1: expected load, clear or eval"),
        ("load 5x\n  a 1", "1:1: expected a duration, found \"5x\""),
        ("load 5m\n  a{b=\"c\"} 1 2 q3", "2:16: bad value \"q3\""),
        (
            "load 5m\n  a{b=} 1",
            "2:7: unexpected \"}\" in label matching, expected string",
        ),
        ("\n\neval instant x", "3:1: expected `eval instant at TIME QUERY`"),
        (
            "eval instant at 5m x\n  expect nothing",
            "2:3: unknown expectation \"nothing\"",
        ),
        (
            "load 59999999999999999999\n  a 1 2",
            "1:1: expected a duration, found \"59999999999999999999\"",
        ),
        ("load 1m\n  a 0x99999999999", "2:5: bad value"),
    ] {
        let error = run(script).expect_err(script).to_string();
        assert!(error.starts_with(expected), "{script:?}: {error}");
    }
}
