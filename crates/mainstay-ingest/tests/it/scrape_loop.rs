//! The rules of a scrape, without sockets.

use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::exposition::Format;
use mainstay_ingest::{Scrape, ScrapeBatch, ScrapeError, ScrapeLoop, ScrapeTarget};
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
    let line = |sample: &mainstay_ingest::ScrapedSample| {
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
            "scrape_samples_scraped 2 @1000"
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
    let long = format!("a{{x=\"{}\"}} 1\n", "x".repeat(40));
    let failures = [
        Err(ScrapeError::Timeout(Duration::from_secs(1))),
        scrape("a 1\nb 1\nb{"),
        scrape("new 1\nb 1\nc 1\n"),
        scrape(&"#".repeat(101)),
        scrape(&long),
    ];
    for failure in failures {
        let mut core = ScrapeLoop::new(Arc::new(limited.clone()));
        run(&mut core, 1, scrape("a 1\nb 1\n"));
        let batch = core.on_result(2, Duration::ZERO, failure);
        assert!(batch.error.is_some());
        assert_eq!(
            lines(&batch),
            [
                "a stale @2",
                "b stale @2",
                "up 0 @2",
                "scrape_duration_seconds 0 @2",
                "scrape_samples_scraped 0 @2"
            ],
            "{:?}",
            batch.error
        );
        assert_eq!(run(&mut core, 3, scrape("a 1\n"))[..2], ["a 1 @3", "up 1 @3"]);
    }
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
