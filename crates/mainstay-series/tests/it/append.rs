use std::sync::Arc;

use mainstay_kernel::{STALE_NAN, is_stale};
use mainstay_series::{Lsn, Options, Outcome, Row, Sample, SeriesError, Store};

use crate::{HOUR_MS, MINUTE_MS, held, labels, open, open_with, series};

#[test]
fn each_sample_is_judged_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let a = series(&store, "a");
    let now = 100 * HOUR_MS;
    let at = |t_ms, value| Sample {
        series: a,
        t_ms,
        value,
    };
    let first = store.append(&[at(now, 1.0)], now).expect("appended");
    assert_eq!((first.stored, first.outcomes), (1, vec![Outcome::Stored]));
    let batch = [
        at(now, 1.0),                      // the same again
        at(now, 2.0),                      // another value at that time
        at(now - 10 * MINUTE_MS, 3.0),     // late, inside the window
        at(now - 10 * MINUTE_MS, 3.0),     // and again, in one batch
        at(now - 10 * MINUTE_MS, 4.0),     // in conflict with it
        at(now - 10 * MINUTE_MS - 1, 5.0), // too late
        at(now + 10 * MINUTE_MS, 6.0),     // as far ahead as allowed
        at(now + 10 * MINUTE_MS + 1, 7.0), // too far
        at(now + 1, STALE_NAN),            // late now
    ];
    let second = store.append(&batch, now).expect("appended");
    use Outcome::{Duplicate, OutOfOrder, Stored, TooFarAhead};
    assert_eq!(
        second.outcomes,
        [
            Duplicate,
            OutOfOrder,
            Stored,
            Duplicate,
            OutOfOrder,
            OutOfOrder,
            Stored,
            TooFarAhead,
            Stored
        ]
    );
    let counted = (
        second.stored,
        second.duplicate,
        second.out_of_order,
        second.too_far_ahead,
    );
    assert_eq!(counted, (3, 2, 3, 1));
    assert!(second.accepted(2) && !second.accepted(3) && second.lsn > first.lsn);
    let expected = [
        (now - 10 * MINUTE_MS, 3.0f64.to_bits()),
        (now, 1.0f64.to_bits()),
        (now + 1, STALE_NAN.to_bits()),
        (now + 10 * MINUTE_MS, 6.0f64.to_bits()),
    ];
    assert_eq!(held(&store, "a"), expected);
    drop(store);
    assert_eq!(held(&open(dir.path()), "a"), expected);
    assert!(is_stale(STALE_NAN) && !is_stale(f64::NAN));
}

#[test]
fn duplicates_are_known_across_flush_and_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let a = series(&store, "a");
    let batch: Vec<Sample> = (0..10)
        .map(|i| Sample {
            series: a,
            t_ms: i * MINUTE_MS,
            value: 0.5,
        })
        .collect();
    store.append(&batch, 0).expect("appended");
    let again = |store: &Store| {
        let appended = store.append(&batch, 10 * MINUTE_MS).expect("appended");
        assert_eq!((appended.stored, appended.duplicate), (0, 10));
    };
    again(&store);
    assert_eq!(store.flush(HOUR_MS).expect("flushed").blocks_written, 1);
    assert_eq!(store.stats().head_samples, 0);
    again(&store);
    drop(store);
    again(&open(dir.path()));
}

#[test]
fn limits_are_checked_before_anything_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        max_series: 2,
        max_label_bytes: 20,
        ..Options::default()
    };
    let store = open_with(dir.path(), options);
    let long = labels(&[("__name__", "abcdefghijklm")]);
    let refused = store.series_ref(&long).expect_err("too long");
    assert!(
        matches!(
            refused,
            SeriesError::LabelsTooLarge {
                bytes: 21,
                limit_bytes: 20
            }
        ),
        "{refused}"
    );
    let sets: Vec<_> = ["a", "b", "c", "a"]
        .map(|name| labels(&[("__name__", name)]))
        .into();
    let row = |labels| Row {
        labels,
        created_ms: None,
        t_ms: 1,
        value: 1.0,
    };
    let rows = [
        row(&sets[0]),
        row(&sets[1]),
        row(&sets[2]),
        row(&long),
        row(&sets[3]),
    ];
    let appended = store.append_rows(&rows, 0).expect("appended");
    use Outcome::{Duplicate, Limit, Stored};
    assert_eq!(appended.outcomes, [Stored, Stored, Limit, Limit, Duplicate]);
    assert_eq!((appended.limit, store.stats().series), (2, 2));
    let none = store.series_ref(&labels(&[])).expect_err("no labels");
    assert!(matches!(none, SeriesError::NoLabels), "{none}");
}

#[test]
fn one_directory_one_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let refused = Store::open(dir.path(), Options::default()).expect_err("in use");
    assert!(matches!(refused, SeriesError::Locked { .. }), "{refused}");
    drop(store);
    open(dir.path());
}

#[test]
fn what_was_accepted_is_replayed_in_order_and_only_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let (a, b) = (series(&store, "a"), series(&store, "b"));
    store.set_start(a, 10, Some(5)).expect("set");
    let sample = |series, t_ms, value| Sample { series, t_ms, value };
    let first = store
        .append(&[sample(a, 10, 1.0), sample(b, 10, 2.0)], 0)
        .expect("appended");
    store
        .append(&[sample(a, 20, 3.0), sample(a, 20, 9.0), sample(a, 15, 4.0)], 0)
        .expect("appended");
    store.set_start(a, 30, Some(25)).expect("set");
    store.append(&[sample(a, 30, 5.0)], 0).expect("appended");
    let replay = |store: &Store, after| {
        let mut seen = Vec::new();
        let last = store
            .replay_since(after, |sample| {
                seen.push((
                    sample.labels.metric_name().to_owned(),
                    sample.created_ms,
                    sample.t_ms,
                    sample.value.float().expect("a number"),
                ));
            })
            .expect("replayed");
        (last, seen)
    };
    let row = |name: &str, created, t_ms, value| (name.to_owned(), created, t_ms, value);
    let later = vec![
        row("a", Some(5), 20, 3.0),
        row("a", Some(5), 15, 4.0),
        row("a", Some(25), 30, 5.0),
    ];
    let mut all = vec![row("a", Some(5), 10, 1.0), row("b", None, 10, 2.0)];
    all.extend(later.clone());
    let (last, seen) = replay(&store, Lsn::ZERO);
    assert_eq!((last, seen), (store.last_lsn(), all.clone()));
    let (mut position, mut in_pieces) = (Lsn::ZERO, Vec::new());
    while position < store.last_lsn() {
        let before = in_pieces.len();
        position = store
            .replay_some(position, 1, |sample| {
                in_pieces.push((sample.t_ms, sample.value.float().expect("a number")))
            })
            .expect("replayed");
        assert!(in_pieces.len() <= before + 2, "a frame at a time");
    }
    let pairs: Vec<(i64, f64)> = all.iter().map(|row| (row.2, row.3)).collect();
    assert_eq!(in_pieces, pairs);
    drop(store);
    let store = open(dir.path());
    assert_eq!(replay(&store, Lsn::ZERO).1, all);
    let since = replay(&store, first.lsn).1;
    assert_eq!(since.iter().map(|row| row.3).collect::<Vec<_>>(), [3.0, 4.0, 5.0]);
    assert_eq!(since.last(), later.last());
    assert_eq!(replay(&store, last).1, []);
}

#[test]
fn a_consumer_keeps_the_log_until_it_has_passed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = Options::default();
    options.wal.segment_bytes = 512;
    let mut store = open_with(dir.path(), options.clone());
    store.hold("slo", Lsn::ZERO).expect("held");
    let a = series(&store, "a");
    let mut half = Lsn::ZERO;
    for minute in 0..600 {
        let t_ms = minute * MINUTE_MS;
        let appended = store
            .append(
                &[Sample {
                    series: a,
                    t_ms,
                    value: 1.5,
                }],
                t_ms,
            )
            .expect("appended");
        if minute == 300 {
            half = appended.lsn;
        }
        store.maintain(t_ms).expect("maintained");
    }
    drop(store);
    store = open_with(dir.path(), options.clone());
    store.maintain(600 * MINUTE_MS).expect("maintained");
    let count = |store: &Store, after| {
        let mut count = 0;
        store.replay_since(after, |_| count += 1).map(|_| count)
    };
    assert_eq!(count(&store, Lsn::ZERO).expect("all kept, across a restart"), 600);
    store.hold("slo", half).expect("held");
    store
        .append(
            &[Sample {
                series: a,
                t_ms: 720 * MINUTE_MS,
                value: 1.5,
            }],
            720 * MINUTE_MS,
        )
        .expect("appended");
    let done = store.maintain(800 * MINUTE_MS).expect("maintained");
    assert!(done.wal_freed_bytes > 0 && done.holds_broken.is_empty());
    assert_eq!(count(&store, half).expect("what it has not passed is kept"), 300);
    count(&store, Lsn::ZERO).expect_err("what it has passed is dropped, and asking for it says so");
    drop(store);
    options.max_held_wal_bytes = 100;
    let store = open_with(dir.path(), options);
    store
        .append(
            &[Sample {
                series: series(&store, "a"),
                t_ms: 900 * MINUTE_MS,
                value: 1.5,
            }],
            900 * MINUTE_MS,
        )
        .expect("appended");
    let done = store.maintain(1200 * MINUTE_MS).expect("maintained");
    assert_eq!(
        done.holds_broken,
        ["slo"],
        "a stuck consumer cannot fill the disk, and is named"
    );
    assert_eq!(held(&store, "a").len(), 602);
}

#[test]
fn many_threads_append_and_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(dir.path()));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                let name = format!("s{thread}");
                let own = series(&store, &name);
                for i in 0..100 {
                    let sample = Sample {
                        series: own,
                        t_ms: i * MINUTE_MS,
                        value: 2.0,
                    };
                    assert_eq!(
                        store.append(&[sample], i * MINUTE_MS).expect("appended").stored,
                        1
                    );
                    assert_eq!(held(&store, &name).len(), usize::try_from(i).expect("small") + 1);
                }
            });
        }
        scope.spawn(|| {
            for hour in 0..20 {
                store.flush(hour * HOUR_MS / 12).expect("flushed");
            }
        });
    });
    for thread in 0..4 {
        assert_eq!(held(&store, &format!("s{thread}")).len(), 100);
    }
}

#[test]
fn a_tenant_that_fills_its_share_takes_nothing_from_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        max_tenant_series: 2,
        ..Options::default()
    };
    let of = |tenant: &str, name: &str| labels(&[("__name__", name), ("tenant", tenant)]);
    let store = open_with(dir.path(), options.clone());
    for (tenant, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("", "x")] {
        store.series_ref(&of(tenant, name)).expect("a series");
    }
    let refused = store.series_ref(&of("a", "z")).expect_err("too many");
    assert!(
        refused.is_limit() && refused.to_string().contains("tenant \"a\" has 2 series"),
        "{refused}"
    );
    store.series_ref(&of("a", "x")).expect("known already");
    store.series_ref(&of("b", "y")).expect("b has room");
    assert_eq!(
        store.tenants(),
        [("", 1), ("a", 2), ("b", 2)]
            .map(|(name, n)| (name.to_owned(), n))
            .into()
    );
    store.append(&[], 0).expect("durable");
    drop(store);
    let store = open_with(dir.path(), options);
    store.series_ref(&of("a", "z")).expect_err("still too many");
    // What has no samples goes after a while, and makes room.
    store.maintain(HOUR_MS).expect("maintained");
    assert_eq!(store.maintain(2 * HOUR_MS).expect("maintained").series_removed, 5);
    store.series_ref(&of("a", "z")).expect("there is room");
}

#[test]
fn a_series_that_is_written_no_more_keeps_no_samples_in_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for name in ["a", "b"] {
        let series = series(&store, name);
        let samples = (0..100).map(|at| Sample {
            series,
            t_ms: at * MINUTE_MS,
            value: 0.1,
        });
        store
            .append(&samples.collect::<Vec<_>>(), 100 * MINUTE_MS)
            .expect("appended");
    }
    let before = store.stats();
    assert!(before.head_bytes > 500 && before.head_samples == 200);
    store.flush(4 * HOUR_MS).expect("flushed");
    let after = store.stats();
    assert_eq!((after.series, after.head_samples, after.head_bytes), (2, 0, 0));
}
