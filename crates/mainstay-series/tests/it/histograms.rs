//! Native histograms are kept as numbers are: judged one by one, durable, bit for bit, through files and restarts.

use std::sync::Arc;

use mainstay_kernel::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};
use mainstay_kernel::{MatchOp, Matcher, SampleValue};
use mainstay_series::{HistogramSample, Lsn, Outcome, Sample, SeriesRef, Store, Windows};

use crate::{HOUR_MS, MINUTE_MS, open, series};

/// What a counter of latencies may look like after so many minutes; now and then it is another one.
fn at(minute: i64) -> Histogram {
    let count = minute as f64;
    let buckets = vec![count, count * 2.0, 0.0, (count / 3.0).floor()];
    match minute % 97 {
        5 => Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 6.5,
            sum: -0.0,
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive_buckets: vec![1.5, 2.0, 3.0],
            custom_values: vec![0.1, 0.5],
            ..Histogram::default()
        },
        _ => Histogram {
            reset_hint: if minute % 50 == 0 {
                ResetHint::Reset
            } else {
                ResetHint::Unknown
            },
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: 1.0,
            count: buckets.iter().sum::<f64>() + 1.0,
            sum: count * 0.37,
            positive_spans: vec![
                BucketSpan {
                    offset: -2,
                    length: 2,
                },
                BucketSpan { offset: 5, length: 2 },
            ],
            positive_buckets: buckets,
            ..Histogram::default()
        },
    }
}

fn sample(series: SeriesRef, minute: i64) -> HistogramSample {
    HistogramSample {
        series,
        t_ms: minute * MINUTE_MS,
        value: Arc::new(at(minute)),
    }
}

fn check(store: &Store, minutes: &[i64]) {
    let selected = store
        .select(
            &[Matcher::equal("__name__", "latency")],
            i64::MIN,
            i64::MAX,
            10_000,
        )
        .expect("readable");
    let [series] = &selected[..] else {
        panic!("{} series", selected.len())
    };
    let times: Vec<i64> = series.histograms.iter().map(|held| held.0 / MINUTE_MS).collect();
    assert_eq!(times, minutes);
    for (t_ms, held) in &series.histograms {
        assert!(held.same_bits(&at(t_ms / MINUTE_MS)), "at {t_ms}: {held:?}");
    }
}

#[test]
fn they_are_kept_bit_for_bit_through_files_and_restarts() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    store.hold("a reader", Lsn::ZERO).expect("held");
    let latency = series(&store, "latency");
    let mut minutes = Vec::new();
    for minute in (0..600).filter(|minute| minute % 41 != 7) {
        let appended = store
            .append_histograms(&[sample(latency, minute)], minute * MINUTE_MS)
            .expect("appended");
        assert_eq!(appended.outcomes, [Outcome::Stored]);
        minutes.push(minute);
        if minute % 150 == 0 {
            store.flush((minute - 30) * MINUTE_MS).expect("flushed");
        }
    }
    check(&store, &minutes);
    // Late, twice, and in conflict.
    let now_ms = 600 * MINUTE_MS;
    let mut conflict = sample(latency, 599);
    conflict.value = Arc::new(at(3));
    let batch = [sample(latency, 599), conflict, sample(latency, 7)];
    let appended = store.append_histograms(&batch, now_ms).expect("appended");
    assert_eq!(
        appended.outcomes,
        [Outcome::Duplicate, Outcome::OutOfOrder, Outcome::OutOfOrder]
    );
    // A number where a histogram is, and a histogram where a number is.
    let number = |t_ms| Sample {
        series: latency,
        t_ms,
        value: 1.0,
    };
    let appended = store
        .append(&[number(598 * MINUTE_MS), number(601 * MINUTE_MS)], now_ms)
        .expect("appended");
    assert_eq!(appended.outcomes, [Outcome::OutOfOrder, Outcome::Stored]);
    let appended = store
        .append_histograms(&[sample(latency, 601)], now_ms)
        .expect("appended");
    assert_eq!(appended.outcomes, [Outcome::OutOfOrder]);
    check(&store, &minutes);
    let mut replayed = Vec::new();
    let each = |sample: mainstay_series::Replayed| {
        if let SampleValue::Histogram(value) = sample.value {
            assert!(value.same_bits(&at(sample.t_ms / MINUTE_MS)));
            replayed.push(sample.t_ms / MINUTE_MS);
        }
    };
    store.replay_since(Lsn::ZERO, each).expect("the log is held");
    assert_eq!(replayed, minutes);
    drop(store);
    let store = open(dir.path());
    check(&store, &minutes);
    store.flush(20 * HOUR_MS).expect("flushed");
    check(&store, &minutes);
    // Their windows are scanned, and those of other series are not.
    let mut windows = Windows::new(vec![Matcher::equal("__name__", "latency")], HOUR_MS);
    assert!(
        !store
            .windows(&mut windows, 599 * MINUTE_MS, |_, _| panic!(
                "nothing is handed out"
            ))
            .expect("readable")
    );
}

/// That a window holds histograms is found out once, not at every evaluation; when they have left it, it is summarised
/// again.
#[test]
fn that_a_window_must_be_scanned_is_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let (latency, requests) = (series(&store, "latency"), series(&store, "requests"));
    let any = Matcher::new("__name__", MatchOp::NotEqual, "").expect("a matcher");
    let mut windows = Windows::new(vec![any], HOUR_MS);
    let mut answered = Vec::new();
    for minute in 0..180 {
        let t_ms = minute * MINUTE_MS;
        if minute < 30 {
            let sample = sample(latency, minute);
            store.append_histograms(&[sample], t_ms).expect("appended");
        }
        let value = minute as f64;
        let counted = Sample {
            series: requests,
            t_ms,
            value,
        };
        store.append(&[counted], t_ms).expect("appended");
        let mut handed_out = 0;
        let summarised = store.windows(&mut windows, t_ms, |_, summary| {
            handed_out += 1;
            assert_eq!(summary.last.1, value);
        });
        if summarised.expect("readable") {
            assert_eq!(handed_out, 1, "the other series has nothing any more");
            answered.push(minute);
        }
        if minute < 120 {
            assert!(windows.begun() <= 4, "{} at minute {minute}", windows.begun());
        }
    }
    assert_eq!(
        answered,
        (120..180).collect::<Vec<_>>(),
        "asked again after an hour, and again after another"
    );
    assert!(windows.begun() <= 6, "{}", windows.begun());
}

#[test]
fn days_become_one_file_and_read_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let (latency, requests) = (series(&store, "latency"), series(&store, "requests"));
    let mut minutes = Vec::new();
    let mut numbers = Vec::new();
    let mut merged = 0;
    for minute in (0..3 * 24 * 60).step_by(5) {
        let t_ms = minute * MINUTE_MS;
        store
            .append_histograms(&[sample(latency, minute)], t_ms)
            .expect("appended");
        store
            .append(
                &[Sample {
                    series: requests,
                    t_ms,
                    value: minute as f64,
                }],
                t_ms,
            )
            .expect("appended");
        minutes.push(minute);
        numbers.push((t_ms, (minute as f64).to_bits()));
        merged += store.maintain(t_ms).expect("maintained").blocks_merged;
    }
    assert_eq!(merged, 2, "the days that are over");
    // Two days, and the spans of the third that are flushed.
    assert_eq!(store.stats().blocks, 2 + 11);
    check(&store, &minutes);
    assert_eq!(crate::held(&store, "requests"), numbers);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.stats().blocks, 2 + 11);
    check(&store, &minutes);
    assert_eq!(crate::held(&store, "requests"), numbers);
}
