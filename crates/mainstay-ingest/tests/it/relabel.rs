//! Relabelling, by the examples of Prometheus' documentation and what its own tests expect.

use mainstay_ingest::config::{ScrapeConfig, ScrapeJob};
use mainstay_ingest::relabel::relabel;
use mainstay_kernel::Labels;

/// The rules as a configuration holds them.
fn job(rules: &str) -> ScrapeJob {
    let text = format!("scrape_configs:\n  - job_name: t\n    relabel_configs: {rules}\n");
    let mut config = ScrapeConfig::parse("p.yml", &text).unwrap_or_else(|error| panic!("{rules}: {error}"));
    config.jobs.remove(0)
}

fn apply(labels: &[(&str, &str)], rules: &str) -> String {
    let labels: Labels = labels.iter().copied().collect();
    relabel(labels, &job(rules).relabel).map_or_else(|| "dropped".to_owned(), |labels| labels.to_string())
}

#[test]
fn each_action_does_what_prometheus_does() {
    let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
    let cases: &[(&str, &str)] = &[
        (
            "[{source_labels: [a], regex: 'f(.*)', target_label: d, separator: ';', replacement: 'ch${1}-ch${1}'}]",
            r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#,
        ),
        (
            "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}, \
              {source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}]",
            r#"{a="boobam", b="bar", c="baz", d="boooom"}"#,
        ),
        // An expression matches as a whole or not at all.
        ("[{source_labels: [a], regex: o, action: keep}]", "dropped"),
        (
            "[{source_labels: [a], regex: o, action: drop}]",
            r#"{a="foo", b="bar", c="baz"}"#,
        ),
        ("[{source_labels: [a], regex: 'f|foo', action: Drop}]", "dropped"),
        (
            "[{source_labels: [a], regex: 'no match', target_label: d, replacement: x}]",
            r#"{a="foo", b="bar", c="baz"}"#,
        ),
        // An empty replacement removes; a target that is no name changes nothing.
        (
            "[{source_labels: [a], target_label: a, replacement: ''}]",
            r#"{b="bar", c="baz"}"#,
        ),
        (
            "[{source_labels: [missing], target_label: '${1}', replacement: x}]",
            r#"{a="foo", b="bar", c="baz"}"#,
        ),
        (
            "[{source_labels: [a], regex: '(?P<x>f).*', target_label: 'n_${x}', replacement: '$x$$'}]",
            r#"{a="foo", b="bar", c="baz", n_f="f$"}"#,
        ),
        (
            "[{target_label: d, replacement: fixed}]",
            r#"{a="foo", b="bar", c="baz", d="fixed"}"#,
        ),
        // The values that Prometheus' own tests have.
        (
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            r#"{a="foo", b="bar", c="baz", d="976"}"#,
        ),
        (
            "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
            r#"{a="foo", b="bar", bar_b="bar", c="baz"}"#,
        ),
        ("[{regex: '[ab]', action: labeldrop}]", r#"{c="baz"}"#),
        ("[{regex: '[ab]', action: labelkeep}]", r#"{a="foo", b="bar"}"#),
        (
            "[{source_labels: [a, b], target_label: d, action: uppercase}]",
            r#"{a="foo", b="bar", c="baz", d="FOO;BAR"}"#,
        ),
        (
            "[{source_labels: [a], target_label: d, action: uppercase}, {source_labels: [d], target_label: d, action: lowercase}]",
            r#"{a="foo", b="bar", c="baz", d="foo"}"#,
        ),
        (
            "[{source_labels: [a], target_label: b, action: keepequal}]",
            "dropped",
        ),
        (
            "[{source_labels: [a], target_label: b, action: dropequal}]",
            r#"{a="foo", b="bar", c="baz"}"#,
        ),
        (
            "[{source_labels: [a], target_label: a, action: dropequal}]",
            "dropped",
        ),
    ];
    for (rules, expected) in cases {
        assert_eq!(apply(&abc, rules), *expected, "{rules}");
    }
    // A dot is any character, a line's end too.
    assert_eq!(
        apply(
            &[("a", "x\ny")],
            "[{source_labels: [a], target_label: b, replacement: '<$1>'}]"
        ),
        r#"{a="x\ny", b="<x\ny>"}"#
    );
    assert_eq!(
        apply(
            &[("a", "foo\nbar")],
            "[{source_labels: [a], target_label: b, action: hashmod, modulus: 1000}]"
        ),
        r#"{a="foo\nbar", b="734"}"#
    );
}

#[test]
fn meta_labels_make_targets() {
    let job = {
        let text = "scrape_configs:\n  - job_name: t\n    scrape_interval: 1m30s\n    scheme: https\n    params: {module: [http_2xx, other], x: ['a b']}\n    \
            relabel_configs:\n      - {source_labels: [__address__], target_label: __param_target}\n      \
            - {source_labels: [__param_target], target_label: instance}\n      \
            - {target_label: __address__, replacement: '127.0.0.1:9115'}\n      \
            - {source_labels: [__meta_role], regex: skip, action: drop}\n      \
            - {source_labels: [__meta_every], regex: '(.+)', target_label: __scrape_interval__}\n      \
            - {source_labels: [__meta_role], target_label: role}\n    \
            static_configs:\n      - {targets: [one.example], labels: {__meta_role: web}}\n      \
            - {targets: [two.example], labels: {__meta_role: skip}}\n      \
            - {targets: [three.example], labels: {__meta_every: 5s}}\n      \
            - {targets: [four.example], labels: {__meta_every: 5m, __scheme__: ftp}}\n";
        ScrapeConfig::parse("p.yml", text).expect("reads").jobs.remove(0)
    };
    let found = job.targets(&job.static_groups, &Default::default());
    assert_eq!((found.dropped_count, found.dropped.len()), (1, 1));
    assert_eq!(
        found.dropped[0].to_string(),
        r#"{__address__="two.example", __meta_role="skip", __metrics_path__="/metrics", __param_module="http_2xx", __param_x="a b", __scheme__="https", __scrape_interval__="1m30s", __scrape_timeout__="10s", job="t"}"#
    );
    assert_eq!(
        found.refused,
        [
            r#""three.example": __scrape_timeout__ is above __scrape_interval__"#,
            r#""four.example": the scheme "ftp" is neither http nor https"#
        ]
    );
    let [target] = &found.active[..] else {
        panic!("one target")
    };
    assert_eq!(
        target.url,
        "https://127.0.0.1:9115/metrics?module=http_2xx&module=other&target=one.example&x=a+b"
    );
    assert_eq!(
        target.target_labels().to_string(),
        r#"{instance="one.example", job="t", role="web"}"#
    );
}
