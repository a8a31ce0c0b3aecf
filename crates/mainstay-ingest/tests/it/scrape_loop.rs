//! The rules of a scrape, without sockets.

use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::config::ScrapeConfig;
use mainstay_ingest::exposition::Format;
use mainstay_ingest::{Scrape, ScrapeBatch, ScrapeError, ScrapeLimits, ScrapeLoop, ScrapeTarget};
use mainstay_kernel::Labels;

fn target() -> ScrapeTarget {
    let mut target = ScrapeTarget::new("pay", "h:1", "http://h:1/metrics");
    target.labels = Labels::new().with("cell", "c1");
    target
}

fn scrape(text: &str) -> Result<Scrape, ScrapeError> {
    Ok(Scrape {
        format: Format::Text,
        body: text.to_owned().into(),
    })
}

fn openmetrics(text: &str) -> Result<Scrape, ScrapeError> {
    Ok(Scrape {
        format: Format::OpenMetrics,
        body: text.to_owned().into(),
    })
}

/// One line per sample, without the labels that are on all of them.
fn lines(batch: &ScrapeBatch) -> Vec<String> {
    let line = |sample: &mainstay_ingest::SeriesSample| {
        let own = sample
            .labels
            .filtered(|name| !["job", "instance", "cell"].contains(&name));
        assert_eq!(sample.labels.get("instance"), Some("h:1"));
        let value = if sample.value.is_stale() {
            "stale".to_owned()
        } else {
            sample.value.to_string()
        };
        let created = sample
            .created_ms
            .map(|ms| format!(" since {ms}"))
            .unwrap_or_default();
        format!("{own} {value} @{}{created}", sample.t_ms)
    };
    batch.samples.iter().map(line).collect()
}

fn run(core: &mut ScrapeLoop, at_ms: i64, result: Result<Scrape, ScrapeError>) -> Vec<String> {
    lines(&core.on_result(at_ms, Duration::from_millis(250), result))
}

#[test]
fn samples_get_the_targets_labels_and_the_scrape_reports_on_itself() {
    let mut core = ScrapeLoop::new(Arc::new(target()));
    let batch = core.on_result(1000, Duration::from_millis(250), scrape("a{x=\"1\"} 2\nb 3 77\n"));
    assert_eq!(
        batch.samples[0].labels.to_string(),
        r#"a{cell="c1", instance="h:1", job="pay", x="1"}"#
    );
    assert_eq!(
        lines(&batch),
        [
            r#"a{x="1"} 2 @1000"#,
            "b 3 @77",
            "up 1 @1000",
            "scrape_duration_seconds 0.25 @1000",
            "scrape_samples_scraped 2 @1000",
            "scrape_samples_post_metric_relabeling 2 @1000",
            "scrape_series_added 2 @1000"
        ]
    );
}

#[test]
fn exposed_labels_in_conflict_are_renamed_or_honoured() {
    let text = "a{job=\"x\",exported_job=\"y\",instance=\"z\"} 1\n";
    let mut core = ScrapeLoop::new(Arc::new(target()));
    let batch = core.on_result(1, Duration::ZERO, scrape(text));
    assert_eq!(
        batch.samples[0].labels.to_string(),
        r#"a{cell="c1", exported_exported_job="x", exported_instance="z", exported_job="y", instance="h:1", job="pay"}"#
    );
    let honoured = ScrapeTarget {
        honor_labels: true,
        ..target()
    };
    let batch = ScrapeLoop::new(Arc::new(honoured)).on_result(1, Duration::ZERO, scrape(text));
    assert_eq!(
        batch.samples[0].labels.to_string(),
        r#"a{cell="c1", exported_job="y", instance="z", job="x"}"#
    );
}

#[test]
fn what_vanishes_is_marked_stale_once() {
    let mut core = ScrapeLoop::new(Arc::new(target()));
    run(&mut core, 1, scrape("a 1\nb 1\nc 1 5\n"));
    let second = run(&mut core, 2, scrape("b 2\n"));
    assert_eq!(
        second[..3],
        ["b 2 @2", "a stale @2", "up 1 @2"],
        "c bore its own time"
    );
    assert_eq!(run(&mut core, 3, scrape("b 3\n"))[..2], ["b 3 @3", "up 1 @3"]);
    assert_eq!(
        run(&mut core, 4, scrape("a 4\nb 4\n"))[..3],
        ["a 4 @4", "b 4 @4", "up 1 @4"],
        "and comes back"
    );
}

#[test]
fn a_series_written_in_another_way_is_not_stale() {
    let mut core = ScrapeLoop::new(Arc::new(target()));
    run(&mut core, 1, scrape("a{x=\"1\",y=\"2\"} 1\n"));
    let second = run(&mut core, 2, scrape("a{y=\"2\", x=\"1\"} 1\n"));
    assert_eq!(second[..2], [r#"a{x="1", y="2"} 1 @2"#, "up 1 @2"]);
}

#[test]
fn a_failed_scrape_ends_everything_and_brings_nothing() {
    let mut limited = target();
    limited.limits.samples = 2;
    limited.limits.body_bytes = 100;
    limited.limits.label_bytes = 60;
    // With how many samples were read before it failed, and kept by relabelling.
    let failures = [
        (Err(ScrapeError::Timeout(Duration::from_secs(1))), 0),
        (scrape("a 1\nb 1\nb{"), 2),
        (scrape("new 1\nb 1\nc 1\n"), 3),
        (scrape(&"#".repeat(101)), 0),
    ];
    for (failure, scraped) in failures {
        let mut core = ScrapeLoop::new(Arc::new(limited.clone()));
        run(&mut core, 1, scrape("a 1\nb 1\n"));
        let batch = core.on_result(2, Duration::ZERO, failure);
        assert!(batch.error.is_some());
        assert_eq!(
            lines(&batch),
            [
                "a stale @2".to_owned(),
                "b stale @2".to_owned(),
                "up 0 @2".to_owned(),
                "scrape_duration_seconds 0 @2".to_owned(),
                format!("scrape_samples_scraped {scraped} @2"),
                format!("scrape_samples_post_metric_relabeling {scraped} @2"),
                "scrape_series_added 0 @2".to_owned(),
            ],
            "{:?}",
            batch.error
        );
        assert_eq!(run(&mut core, 3, scrape("a 1\n"))[..2], ["a 1 @3", "up 1 @3"]);
    }
    let long = format!("a{{x=\"{}\"}} 1\n", "x".repeat(40));
    let batch = ScrapeLoop::new(Arc::new(limited)).on_result(2, Duration::ZERO, scrape(&long));
    assert!(
        matches!(batch.error, Some(ScrapeError::LabelsTooLarge { .. })),
        "{:?}",
        batch.error
    );
}

#[test]
fn a_removed_target_ends_its_reports_too() {
    let mut core = ScrapeLoop::new(Arc::new(target()));
    assert_eq!(core.on_removed(1).samples, []);
    run(&mut core, 2, scrape("a 1\n"));
    let stale = [
        "a stale @3",
        "up stale @3",
        "scrape_duration_seconds stale @3",
        "scrape_samples_scraped stale @3",
        "scrape_samples_post_metric_relabeling stale @3",
        "scrape_series_added stale @3",
    ];
    assert_eq!(lines(&core.on_removed(3)), stale);
    assert_eq!(core.on_removed(4).samples, []);
}

#[test]
fn created_times_reach_every_sample_of_their_group() {
    let text = "# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 0\nh_bucket{x=\"1\",le=\"+Inf\"} 2\nh_count{x=\"1\"} 2\n\
        h_sum{x=\"1\"} 3\nh_created{x=\"1\"} 1.5\n# TYPE g gauge\ng{x=\"1\"} 1\n# TYPE c counter\nc_created 2\nc_total 7\n\
        # TYPE d counter\nd_total 7\n# EOF\n";
    let mut core = ScrapeLoop::new(Arc::new(target()));
    for at_ms in [1, 2] {
        let expected: Vec<String> = [
            r#"h_bucket{le="1", x="1"} 0 @T since 1500"#,
            r#"h_bucket{le="+Inf", x="1"} 2 @T since 1500"#,
            r#"h_count{x="1"} 2 @T since 1500"#,
            r#"h_sum{x="1"} 3 @T since 1500"#,
            r#"g{x="1"} 1 @T"#,
            "c_total 7 @T since 2000",
            "d_total 7 @T",
            "up 1 @T",
        ]
        .map(|line| line.replace("@T", &format!("@{at_ms}")))
        .into();
        assert_eq!(run(&mut core, at_ms, openmetrics(text))[..8], expected);
    }
    let text = "# TYPE c_total counter\nc_total{x=\"1\"} 1\n# TYPE c_created gauge\nc_created{x=\"1\"} 9\n";
    let found = run(&mut core, 3, scrape(text));
    assert_eq!(found[0], r#"c_total{x="1"} 1 @3 since 9000"#);
}

/// The labels that relabelling drops or changes, as a job has them.
fn relabelled(rules: &str) -> ScrapeTarget {
    let text = format!("scrape_configs: [{{job_name: t, metric_relabel_configs: {rules}}}]");
    let config = ScrapeConfig::parse("p.yml", &text).expect("reads");
    ScrapeTarget {
        metric_relabel: Arc::clone(&config.jobs[0].metric_relabel),
        ..target()
    }
}

#[test]
fn samples_are_relabelled_and_counted_before_and_after() {
    let rules = "[{source_labels: [__name__], regex: 'drop_.*', action: drop}, {source_labels: [x], target_label: y}, \
        {regex: x, action: labeldrop}]";
    let mut core = ScrapeLoop::new(Arc::new(relabelled(rules)));
    let text = "a{x=\"1\"} 1\ndrop_me 2\n";
    for (at_ms, added) in [(1, 1), (2, 0)] {
        assert_eq!(
            run(&mut core, at_ms, scrape(text)),
            [
                format!("a{{y=\"1\"}} 1 @{at_ms}"),
                format!("up 1 @{at_ms}"),
                format!("scrape_duration_seconds 0.25 @{at_ms}"),
                format!("scrape_samples_scraped 2 @{at_ms}"),
                format!("scrape_samples_post_metric_relabeling 1 @{at_ms}"),
                format!("scrape_series_added {added} @{at_ms}"),
            ]
        );
    }
    assert_eq!(
        run(&mut core, 3, scrape("drop_me 2\n"))[..2],
        [r#"a{y="1"} stale @3"#, "up 1 @3"]
    );
    let nameless = relabelled("[{regex: __name__, action: labeldrop}]");
    let batch = ScrapeLoop::new(Arc::new(nameless)).on_result(1, Duration::ZERO, scrape("a 1\n"));
    assert_eq!(batch.error, Some(ScrapeError::NoMetricName("a".to_owned())));
}

#[test]
fn dropped_samples_do_not_count_towards_the_limit() {
    let mut limited = relabelled("[{source_labels: [__name__], regex: 'drop_.*', action: drop}]");
    limited.limits.samples = 1;
    let mut core = ScrapeLoop::new(Arc::new(limited));
    assert_eq!(
        run(&mut core, 1, scrape("drop_a 1\na 1\ndrop_b 1\n"))[..2],
        ["a 1 @1", "up 1 @1"]
    );
    let batch = core.on_result(2, Duration::ZERO, scrape("a 1\nb 1\n"));
    assert_eq!(batch.error, Some(ScrapeError::TooManySamples { limit: 1 }));
}

#[test]
fn labels_are_held_to_each_limit() {
    let error = |change: fn(&mut ScrapeLimits), text: &str| {
        let mut limited = target();
        change(&mut limited.limits);
        let batch = ScrapeLoop::new(Arc::new(limited)).on_result(1, Duration::ZERO, scrape(text));
        batch.error.map(|error| error.to_string())
    };
    // Name, job, instance and cell are four.
    assert_eq!(error(|limits| limits.labels = 5, "a{x=\"1\"} 1\n"), None);
    assert_eq!(
        error(|limits| limits.labels = 4, "a{x=\"1\"} 1\n").as_deref(),
        Some("a has 5 labels, allowed are 4")
    );
    assert_eq!(
        error(|limits| limits.label_name_bytes = 8, "a{x23456789=\"1\"} 1\n").as_deref(),
        Some("a has a label name of 9 bytes (x23456789), allowed are 8")
    );
    assert_eq!(
        error(|limits| limits.label_value_bytes = 4, "a{x=\"12345\"} 1\n").as_deref(),
        Some("a has a value of 5 bytes for the label x, allowed are 4")
    );
}

#[test]
fn exposed_times_are_taken_or_not_and_end_or_not() {
    let mut plain = ScrapeLoop::new(Arc::new(ScrapeTarget {
        honor_timestamps: false,
        ..target()
    }));
    assert_eq!(run(&mut plain, 1, scrape("a 1 77\n"))[0], "a 1 @1");
    assert_eq!(run(&mut plain, 2, scrape(""))[0], "a stale @2");
    let mut tracked = ScrapeLoop::new(Arc::new(ScrapeTarget {
        track_timestamps_staleness: true,
        ..target()
    }));
    assert_eq!(run(&mut tracked, 1, scrape("a 1 77\n"))[0], "a 1 @77");
    assert_eq!(run(&mut tracked, 100, scrape(""))[0], "a stale @100");
}

#[test]
fn more_is_reported_if_asked_for() {
    let mut core = ScrapeLoop::new(Arc::new(ScrapeTarget {
        extra_metrics: true,
        ..target()
    }));
    assert_eq!(
        run(&mut core, 1, scrape("a 1\n"))[6..],
        [
            "scrape_timeout_seconds 10 @1",
            "scrape_sample_limit 100000 @1",
            "scrape_body_size_bytes 4 @1"
        ]
    );
}
