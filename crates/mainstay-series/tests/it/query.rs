use mainstay_kernel::{MatchOp, Matcher};
use mainstay_series::{Options, Row, Sample, SeriesError};

use crate::{HOUR_MS, MINUTE_MS, held, labels, open, open_with, series};

#[test]
fn selections_are_left_open_sorted_and_limited() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let sets = [("b", "1"), ("a", "2"), ("a", "1")]
        .map(|(job, pod)| labels(&[("__name__", "up"), ("job", job), ("pod", pod)]));
    for t_ms in [1000, 2000, 3000] {
        let rows: Vec<Row<'_>> = sets
            .iter()
            .map(|labels| Row {
                labels,
                created_ms: Some(7),
                t_ms,
                value: 1.0,
            })
            .collect();
        assert_eq!(store.append_rows(&rows, 0).expect("appended").stored, 3);
    }
    let up = Matcher::equal("__name__", "up");
    let all = store
        .select(std::slice::from_ref(&up), 1000, 3000, 6)
        .expect("selected");
    let found: Vec<String> = all.iter().map(|series| series.labels.to_string()).collect();
    assert_eq!(
        found,
        [
            r#"up{job="a", pod="1"}"#,
            r#"up{job="a", pod="2"}"#,
            r#"up{job="b", pod="1"}"#
        ]
    );
    assert_eq!(
        (all[0].created_ms, &all[0].samples),
        (Some(7), &vec![(2000, 1.0), (3000, 1.0)])
    );
    let refused = store
        .select(std::slice::from_ref(&up), 1000, 3000, 5)
        .expect_err("too many");
    assert!(
        matches!(refused, SeriesError::TooManySamples { limit: 5 }),
        "{refused}"
    );
    let not_a = Matcher::new("job", MatchOp::NotEqual, "a").expect("a matcher");
    assert_eq!(
        store
            .select(&[up.clone(), not_a.clone()], 0, 3000, 99)
            .expect("selected")
            .len(),
        1
    );
    assert_eq!(store.label_names(&[]), ["__name__", "job", "pod"]);
    assert_eq!(store.label_values("pod", &[]), ["1", "2"]);
    assert_eq!(store.label_values("pod", &[not_a]), ["1"]);
    assert_eq!(store.series(&[up], 2999, 3000).len(), 3);
    assert_eq!(store.series(&[], 3000, 9000).len(), 0);
}

#[test]
fn memory_and_blocks_read_as_one_and_retention_drops_both_files_and_series() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        retention_ms: 24 * HOUR_MS,
        retention_5m_ms: 0,
        retention_1h_ms: 0,
        ..Options::default()
    };
    let store = open_with(dir.path(), options.clone());
    let (a, b) = (series(&store, "a"), series(&store, "b"));
    let mut expected = Vec::new();
    for minute in 0..30 * 60 {
        let (t_ms, value) = (
            minute * MINUTE_MS,
            f64::from(i32::try_from(minute).expect("small")) / 4.0,
        );
        expected.push((t_ms, value.to_bits()));
        let mut batch = vec![Sample {
            series: a,
            t_ms,
            value,
        }];
        if minute < 60 {
            batch.push(Sample {
                series: b,
                t_ms,
                value,
            });
        }
        store.append(&batch, t_ms).expect("appended");
        if minute % 10 == 0 && minute < 20 * 60 {
            store.maintain(t_ms).expect("maintained");
        }
    }
    assert!(store.stats().blocks >= 9, "{:?}", store.stats());
    assert_eq!(held(&store, "a"), expected);
    drop(store);
    let store = open_with(dir.path(), options);
    assert_eq!(held(&store, "a"), expected);
    let done = store.maintain(30 * HOUR_MS).expect("maintained");
    assert_eq!((done.blocks_removed, done.series_removed), (3, 1));
    let left = held(&store, "a");
    assert_eq!((left[0].0, left.last()), (6 * HOUR_MS, expected.last()));
    assert_eq!(held(&store, "b"), []);
    assert_eq!(store.stats().series, 1);
    let stats = store.stats();
    let per_sample = stats.block_bytes / stats.block_samples;
    assert!(per_sample < 8, "{stats:?}");
}

#[test]
fn a_backup_is_a_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let store = open(&live);
    let a = series(&store, "a");
    for minute in 0..300 {
        store
            .append(
                &[Sample {
                    series: a,
                    t_ms: minute * MINUTE_MS,
                    value: 1.0,
                }],
                minute * MINUTE_MS,
            )
            .expect("appended");
    }
    store.flush(2 * HOUR_MS).expect("flushed");
    store.backup(&copy).expect("backed up");
    store
        .append(
            &[Sample {
                series: a,
                t_ms: 300 * MINUTE_MS,
                value: 1.0,
            }],
            300 * MINUTE_MS,
        )
        .expect("appended");
    assert_eq!(held(&open(&copy), "a").len(), 300);
}
