//! Mistakes of the kinds that the specification makes, with other names, numbers and files, and what corrects each.

use mainstay_catalog::{LintId, lint};

/// An SLI of two queries.
pub(crate) fn sli(name: &str, side: &str, query: &str, total: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec:\n  ratioMetric:\n    counter: true\n    \
         {side}: {{metricSource: {{type: prometheus, spec: {{query: '{query}'}}}}}}\n    \
         total: {{metricSource: {{type: prometheus, spec: {{query: '{total}'}}}}}}\n"
    )
}

pub(crate) const ROLLING: &str = "{duration: 30d, isRolling: true}";
pub(crate) const MONTH: &str =
    "{duration: 1M, isRolling: false, calendar: {startTime: \"2026-01-01 00:00:00\", timeZone: Asia/Tokyo}}";

/// An SLO of that SLI; `more` are further lines of its metadata.
pub(crate) fn slo(name: &str, sli: &str, window: &str, target: &str, text: &str, more: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: {name}\n{more}spec:\n  description: '{text}'\n  \
         service: shop\n  indicatorRef: {sli}\n  timeWindow: [{window}]\n  budgetingMethod: Occurrences\n  \
         objectives: [{{displayName: Ours, target: {target}}}]\n"
    )
}

/// A rule file with one alert.
pub(crate) fn rule(priority: &str, expr: &str, text: &str) -> String {
    format!(
        "groups:\n- name: shop\n  interval: 45s\n  rules:\n  - alert: Wrong\n    expr: |\n      {expr}\n    \
         labels: {{priority: {priority}}}\n    annotations: {{description: '{text}'}}\n"
    )
}

/// One mistake: what is found where, and the change after which nothing is.
pub(crate) struct Case {
    pub(crate) lint: LintId,
    pub(crate) files: Vec<(&'static str, String)>,
    /// The file and the words that the finding points at.
    pub(crate) at: (&'static str, &'static str),
    /// Words of one of the files, and what they should be.
    pub(crate) mend: (&'static str, &'static str),
}

const BAD: &str = r#"hits{code=~"5..|408|429|499"}"#;

pub(crate) fn shop(extra: &[String]) -> String {
    sli("answers", "bad", BAD, "hits") + &extra.concat()
}

pub(crate) fn cases() -> Vec<Case> {
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
