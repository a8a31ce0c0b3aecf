//! Places that contradict each other: the specification as it was written, what a correction says, and other mistakes of
//! the same kind with other names, numbers and files, so that nothing can be matched as text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_catalog::{Diagnostics, Documents, LintId, Platform, lint};
use mainstay_slo::spec::contradictions;

fn catalogs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs")
}

fn check(documents: &Documents) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let platform = Platform::build(documents, &mut Diagnostics::new());
    contradictions::check(documents, &platform, &mut diagnostics);
    diagnostics
}

/// Where the `nth` (from 0) occurrence of `needle` stands in `text`: `file:line:column`.
fn place(file: &str, text: &str, needle: &str, nth: usize) -> String {
    let (at, _) = text
        .match_indices(needle)
        .nth(nth)
        .unwrap_or_else(|| panic!("{needle:?} in {file}"));
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{file}:{line}:{column}")
}

#[test]
fn the_specification_as_it_was_written() {
    let folder = catalogs().join("as-written");
    let (documents, _) = Documents::load(&folder);
    let found = check(&documents);
    let told = found.render_short();
    let read = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
    let availability = "slo/api-availability.yaml";
    let cases: [(LintId, &str, &str, usize); 22] = [
        (
            lint::AVAILABILITY_COMPOSITION,
            "platform.yaml",
            "tier-2, depends_on: {hard: [val",
            0,
        ),
        (lint::INTERVAL_FINER_THAN_DATA, "rules.yml", "30s", 0),
        (lint::SINGLE_POD_PAGE, "rules.yml", "up{job", 0),
        (
            lint::CLIENT_ERRORS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"5..\"",
            0,
        ),
        (
            lint::GOOD_CONTRADICTS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"2..\"",
            0,
        ),
        (
            lint::WINDOW_KINDS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"2..\"",
            0,
        ),
        (
            lint::LOOKBACK_BEYOND_RETENTION,
            "rules.yml",
            "http_requests_total{job=\"payment-service\"}[30d]",
            0,
        ),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P0\n", 1),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P0\n", 2),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P1\n", 0),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P1\n", 1),
        (
            lint::BUDGET_RESET,
            availability,
            "api-availability\n  displayName: API Availability\n  annotations",
            0,
        ),
        (lint::BUDGET_MINUTES, availability, "\"21.9\"", 0),
        (lint::BUDGET_MINUTES, availability, "21.9 minutes downtime", 0),
        (lint::BUDGET_DISAGREES, availability, "30% ✅\n", 0),
        (lint::THROUGHPUT_OBJECTIVE, availability, "50000", 0),
        (
            lint::CLIENT_ERRORS,
            "slo/services.yaml",
            "http_requests_total{job=\"account-adapter\",status=~\"5..\"",
            0,
        ),
        (
            lint::GOOD_CONTRADICTS,
            "slo/services.yaml",
            "http_requests_total{job=\"account-adapter\",status=~\"5..\"",
            0,
        ),
        (lint::SHOWN_GREEN, "slo/services.yaml", "0.08% ✅\n", 0),
        (
            lint::PAYMENT_COHORT,
            "slo/system.yaml",
            "payments_total{status=\"COMPLETED\"}",
            0,
        ),
        (
            lint::ACKNOWLEDGED_LOSS,
            "slo/system.yaml",
            "database_writes_confirmed_total",
            0,
        ),
        (
            lint::ACKNOWLEDGED_LOSS,
            "slo/system.yaml",
            "kafka_producer_acknowledged_total",
            0,
        ),
    ];
    for (lint, file, needle, nth) in cases {
        let place = place(file, &read(file), needle, nth);
        assert!(
            found.iter().any(|one| one.lint == lint && one.place() == place),
            "{lint} at {place}:\n{told}"
        );
    }
    // Every kind that the specification's own words break, and no other: its budget states (77, 63, 27 and 18%) are the
    // ones that ruling R7 takes over.
    let kinds: BTreeSet<LintId> = found.iter().map(|one| one.lint).collect();
    let expected: BTreeSet<LintId> = cases.iter().map(|(lint, ..)| *lint).collect();
    assert_eq!(kinds, expected, "{told}");
    assert!(
        found.iter().all(|one| !one.help.is_empty()),
        "each says how to mend it"
    );
}

#[test]
fn the_corrected_catalog_is_clean() {
    let (documents, _) = Documents::load(&catalogs().join("payments"));
    let found = check(&documents);
    assert!(found.is_empty(), "{}", found.render_short());
}

/// An SLI of two queries.
fn sli(name: &str, side: &str, query: &str, total: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec:\n  ratioMetric:\n    counter: true\n    \
         {side}: {{metricSource: {{type: prometheus, spec: {{query: '{query}'}}}}}}\n    \
         total: {{metricSource: {{type: prometheus, spec: {{query: '{total}'}}}}}}\n"
    )
}

const ROLLING: &str = "{duration: 30d, isRolling: true}";
const MONTH: &str =
    "{duration: 1M, isRolling: false, calendar: {startTime: \"2026-01-01 00:00:00\", timeZone: Asia/Tokyo}}";

/// An SLO of that SLI; `more` are further lines of its metadata.
fn slo(name: &str, sli: &str, window: &str, target: &str, text: &str, more: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: {name}\n{more}spec:\n  description: '{text}'\n  \
         service: shop\n  indicatorRef: {sli}\n  timeWindow: [{window}]\n  budgetingMethod: Occurrences\n  \
         objectives: [{{displayName: Ours, target: {target}}}]\n"
    )
}

/// A rule file with one alert.
fn rule(priority: &str, expr: &str, text: &str) -> String {
    format!(
        "groups:\n- name: shop\n  interval: 45s\n  rules:\n  - alert: Wrong\n    expr: |\n      {expr}\n    \
         labels: {{priority: {priority}}}\n    annotations: {{description: '{text}'}}\n"
    )
}

/// One mistake: what is found where, and the change after which nothing is.
struct Case {
    lint: LintId,
    files: Vec<(&'static str, String)>,
    /// The file and the words that the finding points at.
    at: (&'static str, &'static str),
    /// Words of one of the files, and what they should be.
    mend: (&'static str, &'static str),
}

const BAD: &str = r#"hits{code=~"5..|408|429|499"}"#;

fn shop(extra: &[String]) -> String {
    sli("answers", "bad", BAD, "hits") + &extra.concat()
}

fn cases() -> Vec<Case> {
    let answers = |window: &str, target: &str, text: &str, more: &str| {
        (
            "a.yaml",
            shop(&[slo("answers", "answers", window, target, text, more)]),
        )
    };
    let alert = |priority: &str, expr: &str| {
        let rolling = answers(ROLLING, "0.99", "", "").1;
        vec![("a.yaml", rolling), ("b.yml", rule(priority, expr, ""))]
    };
    let latency = |le: &str, total: &str, target: &str, text: &str| {
        let query = format!("page_seconds_bucket{{{le}}}");
        sli("slow", "good", &query, total) + &slo("slow", "slow", ROLLING, target, text, "")
    };
    let count = "page_seconds_count";
    let prometheus = "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: {retention: 2w, scrapeInterval: 15s}\n";
    let monitor = "---\napiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: m}\nspec: {podMetricsEndpoints: [{interval: 1m}]}\n";
    let slow_monitor = prometheus.replace("15s", "2m") + monitor;
    let long = r#"sum(rate(hits{code=~"5..|408|429|499"}[1w])) / sum(rate(hits[1w] offset 2w)) > 0.2"#;
    vec![
        Case {
            lint: lint::GOOD_CONTRADICTS,
            files: alert("P1", r#"1 - sum(rate(hits{code=~"2..|404"}[5m])) / sum(rate(hits[5m])) > 0.1"#),
            at: ("b.yml", r#"hits{code=~"2..|404"}"#),
            mend: (r#"code=~"2..|404""#, r#"code!~"5..|408|429|499""#),
        },
        Case {
            lint: lint::CLIENT_ERRORS,
            files: vec![("x/y.yaml", sli("answers", "good", r#"hits{code!~"5..|408"}"#, "hits"))],
            at: ("x/y.yaml", r#"hits{code!~"5..|408"}"#),
            mend: ("5..|408", "5..|408|4[29]9"),
        },
        Case {
            lint: lint::SHOWN_GREEN,
            files: vec![answers(ROLLING, "0.99", "", "  annotations: {team/shown-good: 98.4% ok}\n")],
            at: ("a.yaml", "98.4%"),
            mend: ("98.4% ok", "98.4% critical"),
        },
        Case {
            lint: lint::BUDGET_MINUTES,
            files: vec![answers(ROLLING, "0.999", "Budget: 40 min of outage", "")],
            at: ("a.yaml", "40 min"),
            mend: ("40 min", "43.2 min"),
        },
        Case {
            lint: lint::WINDOW_KINDS,
            files: vec![answers(ROLLING, "0.99", "What is promised per quarter", "")],
            at: ("a.yaml", "quarter"),
            mend: ("per quarter", "over 30 days"),
        },
        Case {
            lint: lint::WINDOW_KINDS,
            files: vec![
                ("a.yaml", shop(&[slo("sla", "answers", MONTH, "0.99", "", "  annotations: {mainstay/promise: agreement}\n")])),
                ("b.yml", rule("P2", r#"sum(increase(hits{code=~"5..|408|429|499"}[2w])) / sum(increase(hits[2w])) > 0.01"#, "")),
            ],
            at: ("b.yml", "hits{"),
            mend: (MONTH, ROLLING),
        },
        Case {
            lint: lint::LOOKBACK_BEYOND_RETENTION,
            files: vec![("p.yaml", prometheus.to_owned()), ("b.yml", rule("P2", long, ""))],
            at: ("b.yml", "hits[1w]"),
            mend: ("retention: 2w", "retention: 30d"),
        },
        Case {
            lint: lint::BUDGET_DISAGREES,
            files: vec![answers(
                ROLLING,
                "0.99",
                "",
                "  annotations: {status/shown-good: 99.8%, status/shown-budget-used: 35%}\n",
            )],
            at: ("a.yaml", "35%"),
            mend: ("35%", "20%"),
        },
        Case {
            lint: lint::BUDGET_STATES,
            files: vec![answers(ROLLING, "0.99", "", "  annotations: {x/shown-budget-left: '60% healthy, 30% healthy'}\n")],
            at: ("a.yaml", "30% healthy"),
            mend: ("30% healthy", "30% warning"),
        },
        Case {
            lint: lint::BUDGET_STATES,
            files: vec![answers(
                ROLLING,
                "0.99",
                "",
                "  annotations: {mainstay/budget-warning-below: 10%, mainstay/budget-critical-below: 25%}\n",
            )],
            at: ("a.yaml", "25%"),
            mend: ("25%", "5%"),
        },
        Case {
            lint: lint::PAYMENT_COHORT,
            files: vec![("c.yaml", sli("orders", "bad", "orders_failed_total", "orders_submitted_total"))],
            at: ("c.yaml", "orders_failed_total"),
            mend: ("orders_submitted_total", "orders_judged_total"),
        },
        Case {
            lint: lint::ACKNOWLEDGED_LOSS,
            files: vec![("c.yaml", sli("no-message-lost", "bad", r#"sends{result="nacked"}"#, "sends"))],
            at: ("c.yaml", "sends{"),
            mend: (r#"sends{result="nacked"}"#, r#"sends{result="not-found-again"}"#),
        },
        Case {
            lint: lint::THROUGHPUT_OBJECTIVE,
            files: vec![(
                "t.yaml",
                "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: t}\nspec:\n  service: mail\n  indicator:\n    metadata: {name: t}\n    \
                 spec: {thresholdMetric: {metricSource: {type: prometheus, spec: {query: 'min_over_time(sum(irate(mails_total[1m]))[1h:])'}}}}\n  \
                 timeWindow: [{duration: 4w, isRolling: true}]\n  budgetingMethod: Timeslices\n  objectives: [{op: gte, value: 1200, target: 0.9}]\n"
                    .to_owned(),
            )],
            at: ("t.yaml", "1200"),
            mend: ("op: gte", "op: lte"),
        },
        Case {
            lint: lint::BUDGET_RESET,
            files: vec![answers(MONTH, "0.98", "", "")],
            at: ("a.yaml", "answers\nspec:\n  description"),
            mend: (MONTH, ROLLING),
        },
        Case {
            lint: lint::PRIORITY_CONTRADICTS,
            files: vec![("b.yml", rule("P0", r#"100 * disk_used / disk_quota * 0.01 > 0.9 or disk_used / disk_quota > 0.9"#, ""))],
            at: ("b.yml", "P0"),
            mend: ("priority: P0", "priority: P2"),
        },
        Case {
            lint: lint::PRIORITY_CONTRADICTS,
            files: vec![
                ("l.yaml", latency(r#"le="1.5""#, count, "0.9", "")),
                ("b.yml", rule("P1", "histogram_quantile(0.9, sum by (le) (rate(page_seconds_bucket[5m]))) > 2.5", "")),
            ],
            at: ("b.yml", "P1"),
            mend: ("> 2.5", "> 3"),
        },
        Case {
            lint: lint::PRIORITY_CONTRADICTS,
            files: alert("P0", r#"sum(rate(hits{code!~"5..|408|429|499"}[9m])) / sum(rate(hits[9m])) < 0.8"#),
            at: ("b.yml", "P0"),
            mend: ("< 0.8", "< 0.1"),
        },
        Case {
            lint: lint::SINGLE_POD_PAGE,
            files: vec![("b.yml", rule("P1", "count(pg_up{zone=\"b\"} < 1) > 0", ""))],
            at: ("b.yml", "count("),
            mend: ("count(pg_up{zone=\"b\"} < 1) > 0", "max by (zone) (pg_up{zone=\"b\"}) < 1"),
        },
        Case {
            lint: lint::INTERVAL_FINER_THAN_DATA,
            files: vec![("p.yaml", slow_monitor), ("b.yml", rule("P2", "shop_open == 0", ""))],
            at: ("b.yml", "45s"),
            mend: ("interval: 1m", "interval: 30s"),
        },
        Case {
            lint: lint::NEVER_FIRES,
            files: vec![("b.yml", rule("P1", "shop:errors:ratio_rate1h > (14.4 * 0.07)", ""))],
            at: ("b.yml", "(14.4 * 0.07)"),
            mend: ("14.4 * 0.07", "14.4 * 0.06"),
        },
        Case {
            lint: lint::NEVER_FIRES,
            files: alert("P1", r#"sum(rate(hits{code=~"5..|408|429|499"}[5m])) / sum(rate(hits[5m])) > 5"#),
            at: ("b.yml", "5\n    labels"),
            mend: ("> 5\n", "> 0.05\n"),
        },
        Case {
            lint: lint::NO_BUDGET,
            files: alert("P1", r#"sum(rate(hits{code=~"5..|408|429|499"}[5m])) / sum(rate(hits[5m])) > 0"#),
            at: ("b.yml", "0\n    labels"),
            mend: ("> 0\n", "> 0.02\n"),
        },
        Case {
            lint: lint::GOOD_OUTSIDE_TOTAL,
            // Pyrra's example of nginx: a latency whose success selects 5xx.
            files: vec![("n.yaml", sli("n", "good", r#"n_seconds_bucket{code=~"5..",le="0.1"}"#, r#"n_seconds_count{code=~"2.."}"#))],
            at: ("n.yaml", "n_seconds_bucket"),
            mend: (r#"code=~"5..",le"#, r#"code=~"2..",le"#),
        },
        Case {
            lint: lint::LATENCY_EDGE,
            files: vec![(
                "l.yaml",
                latency(r#"le="0.4""#, count, "0.95", "")
                    .replace("metadata: {name: slow}", "metadata: {name: slow, annotations: {mainstay/edges: '0.1, 0.25, 0.5'}}"),
            )],
            at: ("l.yaml", "page_seconds_bucket"),
            mend: (r#"le="0.4""#, r#"le="0.25""#),
        },
        Case {
            lint: lint::LATENCY_EDGE,
            files: vec![("l.yaml", latency(r#"job="x""#, count, "0.95", ""))],
            at: ("l.yaml", "page_seconds_bucket"),
            mend: (r#"{job="x"}"#, r#"{le="0.5"}"#),
        },
        Case {
            lint: lint::AGREEMENT_TIGHTER,
            files: vec![(
                "a.yaml",
                shop(&[
                    slo("ours", "answers", ROLLING, "0.98", "", ""),
                    slo("theirs", "answers", MONTH, "0.99", "", "  annotations: {mainstay/promise: agreement}\n"),
                ]),
            )],
            at: ("a.yaml", "0.99"),
            mend: ("0.99", "0.97"),
        },
        Case {
            lint: lint::AGREEMENT_TIGHTER,
            files: vec![(
                "l.yaml",
                latency(r#"le="0.5""#, count, "0.9", "")
                    + &sli("fast", "good", r#"page_seconds_bucket{le="0.1"}"#, count)
                    + &slo("fast", "fast", ROLLING, "0.9", "", "").replace("Ours", "SLA"),
            )],
            at: ("l.yaml", r#"page_seconds_bucket{le="0.1"}"#),
            mend: (r#"le="0.1""#, r#"le="1""#),
        },
        Case {
            lint: lint::SAYS_OTHERWISE,
            files: vec![("l.yaml", latency(r#"le="0.25""#, count, "0.9", "90% of the pages within 300 ms"))],
            at: ("l.yaml", "300 ms"),
            mend: ("300 ms", "250 ms"),
        },
        Case {
            lint: lint::SAYS_OTHERWISE,
            files: vec![answers(ROLLING, "0.995", "Fewer than 1% fail", "")],
            at: ("a.yaml", "1%"),
            mend: ("1%", "0.5%"),
        },
    ]
}

#[test]
fn other_mistakes_are_found_and_their_correction_is_silent() {
    let mut failures = String::new();
    for case in cases() {
        let (documents, unread) = Documents::from_texts(case.files.clone());
        assert!(unread.is_empty(), "{}", unread.render_short());
        let found = check(&documents);
        let (file, needle) = case.at;
        let text = &case
            .files
            .iter()
            .find(|(name, _)| *name == file)
            .expect("the file")
            .1;
        let place = place(file, text, needle, 0);
        if !found
            .iter()
            .any(|one| one.lint == case.lint && one.place() == place)
        {
            failures += &format!("{} at {place}, found:\n{}\n", case.lint, found.render_short());
        }
        let (from, to) = case.mend;
        let mended: Vec<(&str, String)> = case
            .files
            .iter()
            .map(|(name, text)| (*name, text.replace(from, to)))
            .collect();
        assert_ne!(mended, case.files, "{from:?} is there");
        let (documents, _) = Documents::from_texts(mended);
        let found = check(&documents);
        if !found.is_empty() {
            failures += &format!("{}, corrected to {to:?}:\n{}\n", case.lint, found.render_short());
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let tried: BTreeSet<LintId> = cases().iter().map(|case| case.lint).collect();
    assert_eq!(tried.len(), 21, "{tried:?}");
}

const PLATFORM: &str = "apiVersion: mainstay/v1\nkind: Platform\nmetadata: {name: p}\nspec:\n  title: P\n  time_zone: UTC\n  \
    availability_tiers: [{id: gold, title: Gold, target: 99.9%}, {id: tin, title: Tin, target: 98%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Databases\nitems: [{id: db, team: t, availability: 99.95%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Externals\nitems: [{id: bank, title: Bank, availability: 99.4%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Services\nitems:\n  - {id: shop, title: Shop, team: t, tier: tin, depends_on: {hard: [db, bank]}}\n  \
    - {id: cart, title: Cart, team: t, tier: gold, depends_on: {soft: [bank]}}\n";

/// Ruling R17: a promise above what the hard dependencies keep together, as a tier and as an objective.
#[test]
fn no_promise_is_above_what_its_parts_keep() {
    let find = |platform: &str, target: &str| {
        let objectives = shop(&[slo("answers", "answers", ROLLING, target, "", "")]);
        let (documents, _) = Documents::from_texts([("p.yaml", platform.to_owned()), ("a.yaml", objectives)]);
        check(&documents).render_short()
    };
    assert_eq!(find(PLATFORM, "0.993"), "");
    let told = find(PLATFORM, "0.994");
    assert!(
        told.contains("availability-composition") && told.contains("99.350% together"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    let hard = PLATFORM.replace("{soft: [bank]}", "{hard: [bank]}");
    let told = find(&hard, "0.993");
    let line = place("p.yaml", &hard, "gold, depends_on", 0);
    assert!(
        told.starts_with(&line) && told.contains("cart is of gold"),
        "{told}"
    );
    let soft = PLATFORM.replace("hard: [db, bank]", "hard: [db], soft: [bank]");
    assert_eq!(
        find(&soft, "0.9995"),
        "",
        "exactly what the database keeps can be promised"
    );
}

/// Nothing is said where nothing can be shown.
#[test]
fn what_may_be_meant_is_not_reported() {
    let rules = "groups:\n- name: g\n  rules:\n  \
        - {alert: OneCode, expr: 'sum(rate(hits{code=\"503\"}[5m])) / sum(rate(hits[5m])) > 0.2', labels: {priority: P1}}\n  \
        - {alert: Clients, expr: 'sum(rate(hits{code=~\"4..\",code!~\"408|429|499\"}[5m])) / sum(rate(hits[5m])) > 0.5', labels: {priority: P2}}\n  \
        - {alert: Elsewhere, expr: 'sum(rate(other{code=~\"2..\"}[5m])) / sum(rate(other[5m])) < 0.9', labels: {priority: P2}}\n  \
        - {alert: Tenants, expr: 'count(sum by (tenant) (rate(hits{code=~\"5..|408|429|499\"}[5m])) / sum by (tenant) (rate(hits[5m])) > 0.1) > 2', labels: {priority: P0}}\n  \
        - {alert: Gone, expr: 'sum(up{job=\"x\"}) == 0 or absent(up{job=\"x\"})', labels: {priority: P0}}\n  \
        - {alert: Ratio, expr: 'queue_length / workers > 3', labels: {priority: P1}}\n";
    let objectives = shop(&[slo(
        "answers",
        "answers",
        ROLLING,
        "0.99",
        "99% of the answers within 30 days, such as v1.6.0 gave in 2025-01-15",
        "",
    )]);
    let (documents, _) = Documents::from_texts([("a.yaml", objectives), ("b.yml", rules.to_owned())]);
    let found = check(&documents);
    assert!(found.is_empty(), "{}", found.render_short());
}
